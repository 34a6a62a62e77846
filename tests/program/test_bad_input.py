"""What a user can get wrong: one clear line, the right exit code, nothing half-made under a final name, no hang."""
from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile

from tests.launch import begin, end, error_line, good, mpicamnet
from tests.program.conftest import Configure
from tests.program.test_extract import digest_by_the_specification


@pytest.fixture
def root(cohort: Path, tmp_path: Path) -> Path:
    """A copy of the cohort, to be damaged."""
    return Path(shutil.copytree(cohort, tmp_path / "root"))


def slide_of(root: Path) -> Path:
    """A slide with an annotation."""
    annotated = sorted(p.stem for p in (root / "lesion_annotations").glob("*.xml"))[0]
    return next(root.glob(f"center_*/{annotated}.tif"))


def nothing_final(work: Path) -> None:
    assert not (work / "patches.h5").exists()


@pytest.mark.parametrize(("sections", "words"), [
    ({"extarct": {"x": 1}}, ["extarct", "extract"]),
    ({"data": {"patch": "big"}}, ["data.patch", "whole number"]),
    ({"data": {"root": "/nowhere/at/all"}}, ["/nowhere/at/all"]),
    ({"data": {"level": 9}}, ["level 9", "levels"]),
    ({"data": {"patch": 100_000}}, ["larger than the slide"]),
    ({"data": {"mpp": 0.01}}, ["0.01", "finer"]),
    ({"data": {"centers": [77]}}, ["77"]),
])
def test_what_is_wrong_for_all_slides_ends_at_once_with_exit_2(configure: Configure, sections: dict[str, object], words: list[str]) -> None:
    c = configure(**sections)
    line = error_line(mpicamnet("extract", c, ranks=2), 2)
    for word in words:
        assert word in line
    nothing_final(c.with_suffix(""))


def test_no_slides_is_exit_2_and_names_the_folder(configure: Configure, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert str(tmp_path / "empty") in error_line(mpicamnet("extract", configure(data={"root": str(tmp_path / "empty")}), ranks=2), 2)


def truncate(root: Path) -> None:
    path = slide_of(root)
    path.write_bytes(path.read_bytes()[:int(path.stat().st_size * 0.6)])


def text(root: Path) -> None:
    slide_of(root).write_text("not a slide\n")


def annotation(root: Path, content: str) -> None:
    (root / "lesion_annotations" / f"{slide_of(root).stem}.xml").write_text(content)


def polygon(*points: tuple[int, int]) -> str:
    dots = "".join(f'<Coordinate Order="{i}" X="{x}" Y="{y}" />' for i, (x, y) in enumerate(points))
    return ('<?xml version="1.0"?><ASAP_Annotations><Annotations><Annotation Name="A" Type="Polygon" PartOfGroup="metastases" Color="#F4FA58">'
            f"<Coordinates>{dots}</Coordinates></Annotation></Annotations></ASAP_Annotations>")


@pytest.mark.parametrize("damage", [
    truncate, text, lambda root: annotation(root, "<ASAP_Annotations><Annot"), lambda root: annotation(root, polygon((0, 0), (50, 50))),
    lambda root: annotation(root, polygon((90000, 90000), (90500, 90000), (90500, 90500)))],
    ids=["truncated at 60 %", "a text file", "malformed XML", "polygon of 2 points", "polygon of another slide"])
def test_one_bad_slide_is_named_in_one_line_and_the_others_are_done(configure: Configure, root: Path, damage: object) -> None:
    damage(root)  # type: ignore[operator]
    c = configure(data={"root": str(root)})
    p = mpicamnet("extract", c, ranks=2)
    assert p.returncode == 3, p.stderr
    lines = [line for line in p.stderr.splitlines() if line.startswith("mpicamnet: warning: slide left out:")]
    assert len(lines) == 1 and slide_of(root).stem in lines[0], p.stderr
    assert "Traceback" not in p.stderr
    with h5py.File(c.with_suffix("") / "patches.h5") as f:
        status = [s.decode() for s in f["slides/status"]]
        assert sum(s == "ok" for s in status) == 2 and sum(slide_of(root).stem in s for s in status) == 1
        assert len(set(f["slide"][:])) == 2


def test_patches_that_meet_a_damaged_tile_are_left_out_and_the_slide_is_named(configure: Configure, root: Path) -> None:
    path = slide_of(root)
    with tifffile.TiffFile(path) as t:
        page = t.pages[0]
        across, hit = -(-page.imagewidth // page.tilewidth), int(np.argmax(page.databytecounts))
        at, size = page.dataoffsets[hit], page.databytecounts[hit]
    data = bytearray(path.read_bytes())
    data[at:at + size] = os.urandom(1) * size
    path.write_bytes(data)
    digests = set()
    for ranks in (1, 3):
        c = configure(f"r{ranks}", data={"root": str(root)}, extract={"stride": 64})
        p = mpicamnet("extract", c, ranks=ranks)
        assert p.returncode == 3 and path.stem in p.stderr, p.stderr
        with h5py.File(c.with_suffix("") / "patches.h5") as f:
            digests.add(f.attrs["content_digest"])
            mine = f["slide"][:] == [n.decode() for n in f["slides/name"]].index(path.stem)
            x, y = f["xy"][:][mine].T
            left, top = hit % across * 512, hit // across * 512
            assert mine.sum() and not ((x + 96 > left) & (x < left + 512) & (y + 96 > top) & (y < top + 512)).any()
    assert len(digests) == 1


def test_a_slide_without_tissue_is_named_and_gives_no_rows(configure: Configure, root: Path) -> None:
    path = sorted(root.glob("center_*/*.tif"))[0]
    annotation_path = root / "lesion_annotations" / f"{path.stem}.xml"
    annotation_path.unlink(missing_ok=True)
    tifffile.imwrite(path, np.full((1024, 1024, 3), 244, np.uint8), tile=(256, 256), photometric="rgb")
    c = configure(data={"root": str(root)})
    assert f"no tissue found on {path.stem}" in good("extract", c, ranks=2)
    with h5py.File(c.with_suffix("") / "patches.h5") as f:
        assert f["slides/status"][0] == b"no tissue" and 0 not in f["slide"][:]


def test_a_work_that_cannot_be_written_is_exit_74(configure: Configure, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert str(tmp_path / "file") in error_line(mpicamnet("extract", configure(work=str(tmp_path / "file" / "x")), ranks=2), 74)


@pytest.mark.parametrize("io", ["independent", "collective"])
def test_a_full_disk_is_exit_74_and_a_rerun_goes_on_once_there_is_room(configure: Configure, tmp_path: Path, io: str) -> None:
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(small)], capture_output=True).returncode:
        pytest.skip("only root may mount a small tmpfs")
    try:
        c = configure(work=str(small / "w"), extract={"io": io})
        line = error_line(mpicamnet("extract", c, ranks=2), 74)
        assert "no space left" in line and "patches.h5" in line
        nothing_final(small / "w")
        subprocess.run(["mount", "-o", "remount,size=200m", str(small)], check=True)
        good("extract", c, ranks=3)
        found = digest_by_the_specification(small / "w" / "patches.h5")
    finally:
        subprocess.run(["umount", str(small)], check=True)
    whole = configure("whole")
    good("extract", whole)
    assert digest_by_the_specification(whole.with_suffix("") / "patches.h5") == found


def test_a_work_that_may_be_read_but_not_written_is_exit_74(configure: Configure, tmp_path: Path) -> None:
    work = tmp_path / "locked"
    work.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(work)], capture_output=True).returncode:
        pytest.skip("only root may mount a read-only tmpfs")
    try:
        assert str(work) in error_line(mpicamnet("extract", configure(work=str(work)), ranks=2), 74)
    finally:
        subprocess.run(["umount", str(work)], check=True)


def test_a_second_run_on_the_same_work_is_refused(configure: Configure) -> None:
    c = configure(extract={"stride": 16})
    first = begin(2, sys.executable, "-m", "mpicamnet", "extract", c)
    partial = c.with_suffix("") / "patches.h5.partial"
    while first.poll() is None and not partial.exists():
        time.sleep(0.02)
    line = error_line(mpicamnet("extract", c, ranks=1), 2)
    assert "another run is at work here" in line and "process" in line
    assert end(first, 120).returncode == 0


def test_force_wants_a_stage(configure: Configure) -> None:
    assert "extrct" in error_line(mpicamnet("run", configure(), "--force", "extrct"), 2)


def test_a_file_that_is_not_ours_under_our_name_is_told(configure: Configure) -> None:
    c = configure()
    c.with_suffix("").mkdir()
    (c.with_suffix("") / "patches.h5").write_text("something else")
    assert "not a finished file" in error_line(mpicamnet("extract", c, ranks=2), 2)


def test_training_on_patches_of_another_config_says_what_differs(configure: Configure) -> None:
    good("extract", configure(extract={"sampling": "random", "per_class": 10}))
    line = error_line(mpicamnet("train", configure(extract={"sampling": "random", "per_class": 12}), ranks=2), 2)
    assert "patches.h5" in line and "extract.per_class was 10, is 12" in line


def test_a_serial_h5py_is_refused_with_the_way_out(configure: Configure, tmp_path: Path) -> None:
    fake = tmp_path / "fake" / "h5py"
    fake.mkdir(parents=True)
    (fake / "__init__.py").write_text("class _C:\n    mpi = False\n\n\ndef get_config():\n    return _C\n")
    line = error_line(mpicamnet("extract", configure(), ranks=2, PYTHONPATH=str(tmp_path / "fake")), 2)
    assert "h5py" in line and "serial" in line and "make setup" in line


def test_tasks_of_srun_without_pmix_are_refused_by_one_line_of_the_first(configure: Configure) -> None:
    srun = {"SLURM_JOB_ID": "1", "SLURM_STEP_ID": "0", "SLURM_NTASKS": "2", "SLURM_STEP_NUM_TASKS": "2"}
    first, second = (mpicamnet("extract", configure(), **srun, SLURM_PROCID=str(k)) for k in (0, 1))
    assert "srun --mpi=pmix" in error_line(first, 2)
    assert second.returncode == 2 and second.stderr == ""
