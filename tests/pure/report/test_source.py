"""What the page reads of the other stages' files."""
from __future__ import annotations

import json
from pathlib import Path

from mpicamnet.report.words import measure, number, time_rows
from mpicamnet.timings import read_timings


def line(stage: str, phase: str, seconds: list[float], time: str, ranks: int = 2) -> str:
    values = dict(zip(("min", "mean", "max"), seconds, strict=True))
    return json.dumps({"stage": stage, "phase": phase, "ranks": ranks, "seconds": values, "items": 100, "bytes": 0, "commit": "c", "time": time})


def test_the_last_time_of_each_stage_is_shown_and_a_line_that_a_kill_cut_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "timing.jsonl"
    path.write_text("\n".join([
        line("extract", "read", [1, 2, 3], "monday"), line("extract", "stage", [4, 4, 4], "monday"), line("train", "stage", [9, 9, 9], "monday"),
        line("extract", "read", [1, 4, 5], "tuesday", 4), line("extract", "stage", [6, 6, 8], "tuesday", 4), '{"stage": "inf']))
    times, unread = read_timings(path)
    assert [(t.stage, t.time, t.seconds, t.ranks) for t in times] == [("train", "monday", 9, 2), ("extract", "tuesday", 8, 4)]
    assert unread == 1
    row = time_rows(times[1])[0]
    assert (row.name, row.imbalance, row.rate) == ("read", "1.25", "20/s")  # 5 s over a mean of 4 s; 100 items in 5 s
    assert (row.bar, row.low) == (5 / 8, 1 / 8)


def test_no_timing_file_is_no_error(tmp_path: Path) -> None:
    assert read_timings(tmp_path / "timing.jsonl") == ([], 0)


def test_a_measure_says_its_interval_or_why_there_is_none() -> None:
    assert measure({"value": 0.9126, "low": 0.85, "high": 0.9601}) == "0.913 [0.850,\u00a00.960]"
    assert measure({"value": 1.0, "low": None, "high": None}) == "1.000"
    assert measure({"value": None, "why": "all tiles are normal"}) == "none: all tiles are normal"
    assert number(float("nan")) == number(None) == "–"
