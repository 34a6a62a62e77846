"""What a person sees while a stage works, without MPI: the foot of a terminal, and lines where there is none."""
from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import numpy as np
import pytest

from mpicamnet.ranks import Log, Progress, Standing, log, slowest
from mpicamnet.ranks.display import Count, Display, display
from mpicamnet.terminal import Terminal
from tests.screen import Screen


@dataclass(frozen=True)
class Pair(Terminal):
    """The terminal end of a pseudo-terminal, and whether the job is in front there."""

    fd: int = -1
    front: tuple[bool, ...] = (True,)

    def open(self) -> TextIO:
        return open(os.dup(self.fd), "w")

    def in_front(self) -> bool:
        return self.front[0]


class Watched:
    """A Log whose display is one side of a pseudo-terminal, and what has been seen at the other."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, front: bool = True, file: Path | None = None):
        self.other, inner = os.openpty()
        os.set_blocking(self.other, False)
        shown = Display(Pair(os.getpid(), True, inner, (front,)))
        os.close(inner)
        monkeypatch.setattr(log, "display", lambda: shown)
        self.log, self.screen = Log(0, file=file, every=0.001), Screen()

    def look(self, seconds: float = 0.0) -> str:
        time.sleep(seconds)
        with contextlib.suppress(BlockingIOError):
            while True:
                self.screen.feed(os.read(self.other, 1 << 16).decode())
        return self.screen.text


PAINTED = 1.2  # seconds after which a foot has been painted: twice a second


def test_the_foot_says_stage_count_rate_time_left_and_facts_and_is_gone_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    w = Watched(monkeypatch)
    with w.log.showing("extract", lambda: False):
        progress = Progress(w.log, "windows", 12_000, done=2_000)
        time.sleep(1)
        progress.update(7_000, "4,100 rows kept", "slide 3 of 9 (tumor_07)", "slowest rank 5 (1.20 x the mean)")
        lines = w.look(PAINTED).split("\n")
        assert lines[0].split()[0] == "extract"
        assert lines[1].split()[0] == "windows" and "7,000 of 12,000" in lines[1]
        rate = int(lines[1].split("/s")[0].split()[-1].replace(",", ""))
        assert 4_000 < rate <= 5_000  # 5,000 of this run in a little more than 1 s
        assert 0 <= float(lines[1].split("/s")[1].split()[0]) < 1 and lines[1].rstrip().endswith("s left")  # 1 s from then on, less what has passed
        assert " ".join(" ".join(lines[2:]).split()) == "4,100 rows kept; slide 3 of 9 (tumor_07); slowest rank 5 (1.20 x the mean)"
    assert w.look() == "" and w.screen.line == 0


def test_what_is_said_stands_whole_above_the_foot(monkeypatch: pytest.MonkeyPatch) -> None:
    w = Watched(monkeypatch)
    with w.log.showing("train", lambda: False):
        Progress(w.log, "patches", 100)
        for i in range(3):
            w.look(PAINTED / 2)
            w.log.say(f"  line {i}")
            w.log.warn(f"look at {i}")
            said = [text for k in range(i + 1) for text in (f"  line {k}", f"mpicamnet: warning: look at {k}")]
            lines = w.look().split("\n")
            assert lines[:len(said)] == said
        assert lines[len(said)].startswith("train") and "0 of 100" in lines[len(said) + 1]
    assert w.look().rstrip("\n").split("\n") == said


def test_a_finished_count_stays_until_the_next_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    w = Watched(monkeypatch)
    with w.log.showing("infer", lambda: False):
        windows = Progress(w.log, "windows", 10)
        windows.update(10)
        assert "10 of 10" in w.look(PAINTED)
        Progress(w.log, "heatmaps", 2)
        text = w.look(PAINTED)
        assert "0 of 2" in text and "windows" not in text


def test_after_a_signal_the_foot_stays_as_it_is_and_what_others_write_below_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    w = Watched(monkeypatch)
    stopping: list[bool] = []
    with w.log.showing("extract", lambda: bool(stopping)):
        Progress(w.log, "windows", 10)
        before = w.look(PAINTED)
        assert "0 of 10" in before
        stopping.append(True)
        w.screen.feed("mpirun has a word to say\r\n")
        w.log.say("the last line")
        w.look(PAINTED)
    assert w.look() == before + "mpirun has a word to say\nthe last line\n"


def test_nothing_is_painted_over_another_job_and_lines_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    w = Watched(monkeypatch, front=False)
    with w.log.showing("extract", lambda: False):
        progress = Progress(w.log, "windows", 10)
        time.sleep(PAINTED)
        progress.update(4)
        w.log.say("a line")
        assert [line.split(",")[0] for line in w.look().split("\n")] == ["  4 of 10 windows", "a line", ""]


def test_lines_of_progress_are_in_the_file_where_the_screen_has_the_foot(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    w = Watched(monkeypatch, file=tmp_path / "run.log")
    with w.log.showing("extract", lambda: False):
        progress = Progress(w.log, "windows", 10)
        time.sleep(0.01)
        progress.update(4)
    assert "4 of 10 windows" not in w.look()
    assert "  4 of 10 windows, " in (tmp_path / "run.log").read_text()


def test_a_terminal_that_is_gone_takes_the_words_and_not_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    w = Watched(monkeypatch)
    with w.log.showing("extract", lambda: False):
        Progress(w.log, "windows", 10)
        w.look(PAINTED)
        os.close(w.other)
        w.log.say("nobody hears")
        time.sleep(PAINTED)
        w.log.say("nor this")


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """A clock that the test turns."""
    clock = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    yield clock


def test_elsewhere_a_line_goes_out_every_so_many_seconds_and_never_at_the_end(now: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress(Log(0, every=30), "windows", 1000, done=100)
    for second in range(1, 91):
        now[0] = 1000.0 + second
        progress.update(100 + 10 * second, "a fact for the display")
    out = capsys.readouterr().out
    assert out.splitlines() == ["  400 of 1,000 windows, 10/s, 1 min 0 s left", "  700 of 1,000 windows, 10/s, 30 s left"]


def test_a_line_can_say_where_in_the_work_it_is(now: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress(Log(0, every=5), "patches", 600)
    now[0] += 100
    progress.update(10, at="epoch 1 of 3, loss 0.6931")
    assert capsys.readouterr().out == "  epoch 1 of 3, loss 0.6931: 10 of 600 patches, 0.1/s, 1 h 38 min left\n"  # 590 x 10 s


def test_other_ranks_and_quiet_runs_say_nothing(now: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    for silent in (Log(1, every=1), Log(0, "quiet", every=1)):
        progress = Progress(silent, "windows", 10)
        now[0] += 5
        with silent.showing("extract", lambda: False):
            progress.update(5)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(("done", "seconds", "rate"), [(5_000, 2, "2,500/s"), (5, 2, "2.5/s"), (3, 60, "3.0/min"), (0, 9, "0/s")])
def test_slow_work_is_counted_by_the_minute(now: list[float], done: int, seconds: float, rate: str) -> None:
    count = Count("slides", 10_000, 0)
    now[0] += seconds
    count.update(done, ())
    assert count.rate() == rate


def test_the_slowest_rank_is_the_one_that_has_worked_longest() -> None:
    none = np.zeros(0, np.int64)
    assert slowest(Standing(3, none, 1, 5 / 3)) == "slowest rank 1 (1.67 x the mean)"
    assert slowest(Standing(3, none, 0, 1.0)) == slowest(Standing(3, none, 2, 0.0)) == ""


def test_a_terminal_that_obeys_no_codes_has_no_display(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mpicamnet.ranks.display.terminal", lambda: Terminal(os.getpid(), True))
    monkeypatch.setenv("TERM", "dumb")
    assert display() is None
    monkeypatch.delenv("TERM")
    assert display() is None
