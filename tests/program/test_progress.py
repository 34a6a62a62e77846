"""How far a run is, as a person sees it: live at the foot of a terminal, a line now and then in a file, from one rank."""
from __future__ import annotations

import re
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.launch import begin, end, good
from tests.program.conftest import Configure
from tests.screen import watched

LONG: dict[str, Any] = {"sampling": "dense", "stride": 4, "storage": "coords", "block": 1024}  # seconds of work, a small file
PACE = r"[\d,.]+/(?:s|min) +(?:\d+ (?:h|min) )?[\d.]+ (?:s|min) left"
SPLIT = {"by": "center", "train": [0, 1], "val": [2], "test": [2]}


def test_a_terminal_shows_one_live_display_of_all_ranks(configure: Configure) -> None:
    seen = watched(2, "extract", configure(extract=LONG))
    assert seen.code == 0, seen.end.text
    shown = next(m for m in reversed(seen.moments) if "rows kept" in m and " left" in m).split("\n")
    foot = next(i for i, line in enumerate(shown) if re.fullmatch(r"extract  [\d.]+ s", line))
    assert shown[0].startswith("extract: slides to patches") and "on 2 ranks" in shown[0]
    assert re.match(r"  windows .* [\d,]+ of [\d,]+ +" + PACE, shown[foot + 1])
    facts = " ".join(" ".join(shown[foot + 2:]).split())
    assert re.fullmatch(r"[\d,]+ rows kept; slide [123] of 3 \(patient_\d+_node_\d\); slowest rank [01] \(1\.\d\d x the mean\)", facts)
    assert max(m.count("of 3 (patient_") for m in seen.moments) == 1  # painted in place, by one rank
    lines = seen.end.text.rstrip("\n").split("\n")
    assert lines[-1].startswith("extract: patches.h5 in ")
    assert not any("rows kept" in line or line.endswith(" left") for line in lines)


def test_ctrl_c_leaves_the_terminal_in_order_and_the_error_to_read(configure: Configure) -> None:
    c = configure(extract={**LONG, "stride": 3})
    seen = watched(0, "extract", c, press=("rows kept", "\x03"))
    assert seen.code == 75
    lines = [line for line in seen.end.text.split("\n") if "mpicamnet: error:" in line]
    assert [line.removeprefix("^C") for line in lines] == ["mpicamnet: error: stopped by a signal: run again: it goes on from here"]
    assert "rows kept" in seen.end.text and seen.end.column == 0


@pytest.mark.parametrize("how", ["a file", "a file, through a script", "a terminal that obeys no codes"])
def test_elsewhere_there_are_lines_and_no_codes(configure: Configure, tmp_path: Path, how: str) -> None:
    c = configure(extract=LONG, log_every=0.4)
    begun = time.monotonic()
    if how == "a terminal that obeys no codes":
        out = watched(2, "extract", c, TERM="dumb").end.text
    elif how == "a file":
        out = good("extract", c, ranks=2)
    else:
        out = through_a_script(c)
    seconds = time.monotonic() - begun
    assert "\x1b" not in out
    lines = [line for line in out.splitlines() if line.endswith(" left")]
    assert 1 <= len(lines) <= seconds / 0.4
    assert [line for line in lines if not re.fullmatch(rf"  [\d,]+ of [\d,]+ windows, {PACE.replace(' +', ', ')}", line)] == []


def through_a_script(config: Path) -> str:
    """mpirun's ranks are shells that start the program: its parent's output is the same terminal of mpirun's making."""
    p = end(begin(2, "sh", "-c", f"{sys.executable} -m mpicamnet extract {config}; exit $?"), 120)
    assert p.returncode == 0, p.stderr
    return p.stdout


def test_training_says_how_far_it_is_within_an_epoch(configure: Configure) -> None:
    c = configure(data={"split": SPLIT}, extract={"sampling": "random", "per_class": 60}, train={"epochs": 2, "batch": 4}, log_every=0.1)
    good("extract", c)
    again = configure("again", data={"split": SPLIT}, extract={"sampling": "random", "per_class": 60}, train={"epochs": 2, "batch": 4}, log_every=7)
    again.with_suffix("").mkdir()
    shutil.copy(c.with_suffix("") / "patches.h5", again.with_suffix(""))
    out = good("train", c, ranks=2)
    rows = int(re.search(r"  ([\d,]+) patches train", out)[1].replace(",", "")) // 8 * 8  # type: ignore[index]
    lines = [line for line in out.splitlines() if " patches, " in line]
    assert lines and all(re.fullmatch(r"  epoch [12] of 2, loss \d\.\d{4}(, validation)?: [\d,]+ of " + f"{2 * rows:,}" + r" patches, [\d.]+/s, .* left", x)
                         for x in lines)
    assert "done before" in good("extract", again)  # log_every is no part of what a stage's output is made from


def test_training_is_live_on_a_terminal(configure: Configure) -> None:
    c = configure(data={"split": SPLIT}, extract={"sampling": "random", "per_class": 60}, train={"epochs": 12, "batch": 4})
    good("extract", c)
    seen = watched(2, "train", c)
    assert seen.code == 0, seen.end.text
    foot = re.compile(r"\ntrain  \d+ s\n  patches .* [\d,]+ of [\d,]+ +" + PACE + r" *\n  epoch \d+ of 12, loss \d\.\d{4}")
    assert any(foot.search(m) for m in seen.moments)
    assert " of 12, loss" not in seen.end.text
