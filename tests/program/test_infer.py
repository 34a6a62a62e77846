"""Inference as a user meets it: kills cost a round, bad slides do not stop the others, heatmaps lie over their slides."""
from __future__ import annotations

import csv
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import openslide
import pytest
import tifffile

from mpicamnet.patches.journal import Mark, last_mark
from tests.launch import begin, end, error_line, good, mpicamnet, ranks_of
from tests.program.conftest import Configure
from tests.untrained import save_untrained

PATCH = 32


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_untrained(tmp_path_factory.mktemp("model") / "model.keras", PATCH, 0.5)


def folder(config: Path) -> Path:
    return config.with_suffix("") / "infer"


def outcome(config: Path) -> tuple[dict[str, bytes], dict[str, bytes], dict[str, Any]]:
    """Datasets, files of heatmaps, attributes."""
    datasets: dict[str, bytes] = {}
    with h5py.File(folder(config) / "predictions.h5") as f:
        f.visititems(lambda name, o: datasets.__setitem__(name, o[...].tobytes()) if isinstance(o, h5py.Dataset) else None)
        attributes = dict(f.attrs)
    return datasets, {p.name: p.read_bytes() for p in (folder(config) / "heatmaps").iterdir()}, attributes


def mark_of(config: Path) -> Mark:
    """How far a run has come that is at work; nowhere where it has not begun."""
    try:
        with h5py.File(folder(config) / "predictions.h5.partial") as f:
            return last_mark(f)
    except (OSError, KeyError, IndexError):
        return Mark()


def test_kills_at_random_moments_cost_a_round_each(configure: Configure, model: Path) -> None:
    """SIGKILL to one rank, twice while it predicts and once while it draws, then a rerun on another number of ranks: the same files, and what was
    marked is not done again."""
    rng = random.Random(2)
    sections = {"data": {"patch": PATCH}, "infer": {"model": str(model), "stride": 24, "batch": 16}, "extract": {"block": 512}}
    whole = configure("whole", **sections)
    good("infer", whole, ranks=2, timeout=400)
    expected = outcome(whole)
    assert len(expected[1]) == 4 * 3 and expected[2]["blocks_reused"] == 0
    done = int(expected[2]["blocks_done"])
    for k, first in enumerate((1, done // 2, done)):
        c = configure(f"kill{k}", **sections)
        p = begin(rng.choice((2, 3)), sys.executable, "-m", "mpicamnet", "infer", c)
        while p.poll() is None and not (mark_of(c).total >= first and (first < done or any(folder(c).glob("heatmaps.partial/*.png")))):
            time.sleep(0.01)
        if first < done:  # drawing may take less than this
            time.sleep(rng.uniform(0, 0.3))
        for victim in ranks_of(p.pid)[-1:]:
            os.kill(victim, signal.SIGKILL)
        end(p, 60)
        assert p.returncode != 0 and not (folder(c) / "predictions.h5").exists() and not (folder(c) / "heatmaps").exists()
        marked = mark_of(c)
        drawn = {path.name: path.stat().st_mtime_ns for path in folder(c).glob("heatmaps.partial/*.*")}
        said = good("infer", c, ranks=rng.choice((1, 4)), timeout=400)
        assert "going on after" in said
        datasets, files, attributes = outcome(c)
        assert datasets == expected[0] and files == expected[1]
        assert attributes["content_digest"] == expected[2]["content_digest"]
        assert attributes["blocks_reused"] == marked.total >= first and attributes["blocks_done"] == done
        assert sorted(path.name for path in folder(c).iterdir()) == ["heatmaps", "predictions.h5"]
        kept = sum((folder(c) / "heatmaps" / name).stat().st_mtime_ns == at for name, at in drawn.items() if ".partial" not in name)
        assert kept >= 4 * marked.slides, "a slide that was drawn is not drawn again"


def test_a_signal_stops_between_rounds_and_force_begins_anew(configure: Configure, model: Path) -> None:
    c = configure(data={"patch": PATCH}, infer={"model": str(model), "stride": 24, "batch": 16}, extract={"block": 512})
    p = begin(2, sys.executable, "-m", "mpicamnet", "infer", c)
    while p.poll() is None and not mark_of(c).total:
        time.sleep(0.01)
    os.kill(ranks_of(p.pid)[0], signal.SIGTERM)
    assert error_line(end(p, 60), 75)
    good("infer", c, timeout=400)
    assert outcome(c)[2]["blocks_reused"] > 0
    assert "done before" in good("infer", c)
    (folder(c) / "heatmaps" / "notes.txt").write_text("mine")
    good("run", c, "--only", "infer", "--force", "infer", timeout=400)
    assert outcome(c)[2]["blocks_reused"] == 0 and (folder(c) / "heatmaps" / "notes.txt").read_text() == "mine"


def test_bad_slides_are_named_and_the_others_done(configure: Configure, cohort: Path, model: Path, tmp_path: Path) -> None:
    """One slide cut off in the middle, one with a hundred kB of zeros in its level 0."""
    sections = {"data": {"patch": PATCH}, "infer": {"model": str(model)}}
    whole = configure("whole", **sections)
    good("infer", whole, ranks=2)
    broken = tmp_path / "slides"
    shutil.copytree(cohort, broken)
    cut, holed, sound = sorted(broken.glob("center_*/*.tif"))
    os.truncate(cut, cut.stat().st_size // 2)
    with tifffile.TiffFile(holed) as f:
        offsets = sorted(f.pages[0].dataoffsets)
    with holed.open("r+b") as raw:
        raw.seek(offsets[len(offsets) // 2])
        raw.write(bytes(100_000))
    c = configure("c", **{**sections, "data": {"patch": PATCH, "root": str(broken)}})
    p = mpicamnet("infer", c, ranks=2)
    assert p.returncode == 3, p.stderr
    for path in (cut, holed):
        assert sum(path.stem in line for line in p.stderr.splitlines()) == 1, p.stderr
    assert sound.stem not in p.stderr and "Traceback" not in p.stderr
    files, undisturbed = outcome(c)[1], outcome(whole)[1]
    assert {name for name in files if sound.stem in name} == {sound.stem + suffix for suffix in (".tif", ".png", ".geojson", ".xml")}
    assert all(files[name] == undisturbed[name] for name in files if sound.stem in name)
    with h5py.File(folder(c) / "predictions.h5") as f:
        names, status = ([v.decode() for v in f[f"slides/{k}"]] for k in ("name", "status"))
    assert status[names.index(sound.stem)] == "ok" and status[names.index(cut.stem)] != "ok" and "decode" in status[names.index(holed.stem)]


def table(path: Path, cohort: Path, *mpp: float) -> Path:
    with path.open("w", newline="") as f:
        w = csv.writer(f)
        w.writerow(["path", "mpp"])
        w.writerows(zip(sorted(cohort.glob("center_*/*.tif")), mpp, strict=False))
    return path


def test_a_slide_of_another_resolution_is_left_out_or_resampled(configure: Configure, cohort: Path, model: Path, tmp_path: Path) -> None:
    """The model was trained at 0.5 um per px. Of three slides one is said to have 0.25."""
    data = {"layout": "csv", "csv": str(table(tmp_path / "s.csv", cohort, 0.5, 0.25, 0.52)), "patch": PATCH}
    c = configure("levels", data=data, infer={"model": str(model)})
    p = mpicamnet("infer", c, ranks=2)
    assert p.returncode == 3
    (line,) = [line for line in p.stderr.splitlines() if "left out" in line]
    assert "0.25 um per px" in line and "trained at 0.5" in line and "data.mpp" in line
    with h5py.File(folder(c) / "predictions.h5") as f:
        assert set(f["slide"][:]) == {0, 2}
    c = configure("resampled", data={**data, "csv": str(table(tmp_path / "t.csv", cohort, 0.5, 0.25, 0.5)), "mpp": 0.5}, infer={"model": str(model)})
    good("infer", c, ranks=2)
    with h5py.File(folder(c) / "predictions.h5") as f:
        assert set(f["slide"][:]) == {0, 1, 2} and f["slides/downsample"][:].tolist() == [1, 2, 1]


def test_heatmaps_lie_over_their_slides(configure: Configure, cohort: Path, model: Path) -> None:
    """A map's corner is the slide's, its px a power of two of the slide's, and it knows a probability where the slide has tissue."""
    c = configure(data={"patch": PATCH}, infer={"model": str(model), "stride": 16, "tta": "flips", "interpolation": "cubic"})
    good("infer", c, ranks=2, timeout=400)
    for path in sorted(cohort.glob("center_*/*.tif")):
        with openslide.OpenSlide(path) as slide, openslide.OpenSlide(folder(c) / "heatmaps" / path.name) as heat:
            step = round(slide.dimensions[0] / heat.dimensions[0])
            assert step == 4 and heat.dimensions == tuple(-(-s // step) for s in slide.dimensions)
            assert float(heat.properties["openslide.mpp-x"]) == pytest.approx(step * float(slide.properties["openslide.mpp-x"]), rel=1e-6)
            px = np.asarray(heat.read_region((0, 0), 0, heat.dimensions).convert("L"))
            rgb = np.asarray(slide.get_thumbnail(heat.dimensions), np.int64)[:px.shape[0], :px.shape[1]]
        coloured = (rgb.max(axis=2) - rgb.min(axis=2)) > 25
        known = px > 0
        assert (coloured & known).sum() > 0.85 * coloured.sum() and (known & coloured).sum() > 0.85 * known.sum(), path.name


def test_two_numbers_of_threads_in_one_run_are_refused_before_work(configure: Configure) -> None:
    c = configure(train={"threads": 1}, infer={"threads": 2})
    assert "infer.threads" in error_line(mpicamnet("run", c, ranks=2), 2)
    assert not (c.with_suffix("") / "patches.h5").exists()
