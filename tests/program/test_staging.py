"""Slides on the node's own disk: the same results, nothing copied twice, damage mended, no room said with both numbers."""
from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.launch import begin, end, error_line, good, mpicamnet, ranks_of
from tests.program.conftest import Configure
from tests.program.test_extract import datasets


def size_of(root: Path) -> int:
    return sum(p.stat().st_size for p in root.glob("center_*/*.tif"))


def read_now(said: str) -> str:
    """`1.4 MB` of the line `staging: ...; 1.4 MB read now, in ...`."""
    line = next(line for line in said.splitlines() if line.startswith("staging:"))
    return line.partition("; ")[2].partition(" read now")[0]


def test_a_staged_run_gives_the_same_datasets_and_tells_of_the_original_paths(configure: Configure, tmp_path: Path) -> None:
    plain, staged = configure("plain"), configure("staged", data={"stage": str(tmp_path / "local")})
    good("extract", plain, ranks=2)
    said = good("extract", staged, ranks=2)
    assert "3 files" in said and read_now(said) != "0 B"
    assert datasets(staged) == datasets(plain)
    assert "done before" in good("extract", staged)


def test_copies_are_read_instead_of_the_slides(configure: Configure, cohort: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(cohort, tmp_path / "root"))
    c = configure(data={"root": str(root), "stage": str(tmp_path / "local")})
    good("stage", c)
    for path in root.glob("center_*/*.tif"):  # the same size and time, other bytes
        times = path.stat()
        path.write_bytes(bytes(times.st_size))
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    good("extract", c, ranks=2)
    plain = configure("plain")
    good("extract", plain)
    mine, expected = datasets(c), datasets(plain)
    assert all(mine[name] == expected[name] for name in expected if name != "slides/path")


def test_what_is_there_is_not_copied_again_and_what_was_damaged_is(configure: Configure, cohort: Path, tmp_path: Path) -> None:
    local = tmp_path / "local"
    c = configure()
    assert read_now(good("stage", c, "--to", local, ranks=3)) == read_now(good("stage", c, "--to", tmp_path / "other"))
    assert read_now(good("stage", c, "--to", local)) == "0 B"
    copy = sorted(local.glob("*/*.tif"))[1]
    original = next(cohort.glob(f"center_*/{copy.name}"))
    data = bytearray(copy.read_bytes())
    data[len(data) // 2] ^= 1
    copy.write_bytes(data)
    assert read_now(good("stage", c, "--to", local, ranks=2)) not in ("0 B", read_now(good("stage", c, "--to", tmp_path / "third")))
    assert copy.read_bytes() == original.read_bytes()
    assert not list(local.rglob("*.partial"))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", disk], capture_output=True).returncode != 0:
        pytest.skip("a small disk needs root and mount")
    yield disk
    subprocess.run(["umount", disk], check=True)


def test_slides_that_do_not_fit_are_refused_with_both_numbers_before_anything_is_copied(configure: Configure, small_disk: Path) -> None:
    line = error_line(mpicamnet("stage", configure(), "--to", small_disk, ranks=2), 2)
    assert "the slides do not fit" in line and " are wanted, 20" in line and "kB are free" in line
    assert not list(small_disk.rglob("*.tif*"))


def test_a_killed_copy_goes_on(configure: Configure, tmp_path: Path) -> None:
    """A file of 30 pieces; the rank is killed once some are there; the rest alone is read afterwards."""
    root, local = tmp_path / "root", tmp_path / "local"
    root.mkdir()
    with (root / "big.tif").open("wb") as f:
        for _ in range(30):
            f.write(os.urandom(1 << 20) * 16)
    c = configure(data={"root": str(root), "layout": "folder"})
    p = begin(2, sys.executable, "-m", "mpicamnet", "stage", c, "--to", local)
    partial = local / "big" / "big.tif.partial"
    while p.poll() is None and not (partial.exists() and partial.stat().st_size > 64 << 20):
        time.sleep(0.002)
    for victim in ranks_of(p.pid):
        os.kill(victim, signal.SIGKILL)
    end(p, 60)
    assert partial.exists()
    said = read_now(good("stage", c, "--to", local, ranks=3))
    assert 0 < float(said.split()[0]) <= (30 - 4) * 16 * 1.049 and said.endswith("MB"), said
    assert (local / "big" / "big.tif").read_bytes() == (root / "big.tif").read_bytes()


def test_a_slide_that_cannot_be_read_is_left_out_as_without_staging(configure: Configure, cohort: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(cohort, tmp_path / "root"))
    victim = sorted(root.glob("center_*/*.tif"))[0]
    victim.write_bytes(victim.read_bytes()[:100_000])  # truncated: its copy is as bad, and is named by the original's path
    plain, staged = configure("plain", data={"root": str(root)}), configure("staged", data={"root": str(root), "stage": str(tmp_path / "local")})
    codes = [mpicamnet("extract", c, ranks=2) for c in (plain, staged)]
    assert [p.returncode for p in codes] == [3, 3]
    assert str(tmp_path / "local") not in codes[1].stderr
    assert datasets(staged) == datasets(plain)


def test_no_folder_or_an_unset_variable_is_exit_2(configure: Configure, tmp_path: Path) -> None:
    assert "say `--to DIR`" in error_line(mpicamnet("stage", configure()), 2)
    assert "names $NOT_SET, which is not set" in error_line(mpicamnet("stage", configure(), "--to", "$NOT_SET/x"), 2)


def test_inference_and_coordinates_read_the_copies_too(configure: Configure, cohort: Path, tmp_path: Path) -> None:
    sections = {"extract": {"sampling": "random", "per_class": 20, "storage": "coords"}, "train": {"epochs": 1, "batch": 8}, "infer": {"stride": 384}}
    c = configure(data={"stage": str(tmp_path / "local"), "split": {"by": "slide", "fractions": [.4, .3, .3]}}, **sections)
    good("run", c, "--only", "extract", "--only", "train", "--only", "infer", ranks=2, timeout=300)
    phases = (c.with_suffix("") / "timing.jsonl").read_text()
    assert phases.count('"phase": "staging"') == 1
