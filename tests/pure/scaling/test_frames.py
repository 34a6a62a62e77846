"""Frames that are held for what a run writes."""
from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from scaling import frames

MB = 1 << 20


def anonymous() -> int:
    """Bytes of this process's memory that no file is behind."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("RssAnon"))


def soon(true: Callable[[], bool]) -> bool:
    end = time.monotonic() + 10
    while not true() and time.monotonic() < end:
        time.sleep(0.01)
    return true()


def test_frames_are_let_go_as_the_output_grows_and_all_of_them_when_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "AHEAD", 20 * MB)
    output, before = tmp_path / "x.partial", anonymous()
    with frames.held(200 * MB, output, 1):
        assert anonymous() - before > 190 * MB
        time.sleep(5 * frames.LOOK)
        assert anonymous() - before > 190 * MB, "nothing is let go before there is an output"
        output.write_bytes(bytes(60 * MB))
        assert soon(lambda: anonymous() - before < 130 * MB) and anonymous() - before > 100 * MB
        output.rename(tmp_path / "x")
        assert soon(lambda: anonymous() - before < 20 * MB)


def test_no_more_than_two_thirds_of_the_memory_is_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "available", lambda: 100 * MB)
    before = anonymous()
    with frames.held(1000 * MB, tmp_path / "x", 1):
        assert 56 * MB < anonymous() - before < 76 * MB
    assert anonymous() - before < 20 * MB
    with frames.held(0, tmp_path / "x", 1):
        assert anonymous() - before < 20 * MB
