"""Which tiles the montage shows."""
from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

from mpicamnet.report.montage import EACH, montage_tiles
from mpicamnet.report.source import read_slides


def predictions(path: Path, rows: list[tuple[int, int, int, float]]) -> Path:
    """Rows (slide, x, label, probability) of two slides, windows of 10 px at a downsample of 2, so 20 px of level 0."""
    slide, x, label, prob = zip(*rows, strict=True)
    with h5py.File(path, "w") as f:
        f.attrs["patch"] = "10"
        f["slide"], f["label"], f["prob"] = np.array(slide, "i4"), np.array(label, "i1"), np.array(prob, "f4")
        f["xy"] = np.stack([np.array(x, "i8"), np.zeros(len(x), "i8")], axis=1)
        f["slides/name"] = np.array([b"a", b"b"])
        f["slides/downsample"] = np.array([2.0, 2.0])
    return path


def shown(path: Path) -> list[tuple[str, int, int]]:
    return [(t.outcome, t.slide, t.x) for t in montage_tiles(path, read_slides(path), 0.5)]


def test_the_surest_of_each_outcome_come_first_and_none_lies_over_another(tmp_path: Path) -> None:
    """By hand, threshold 0.5: tumour at 0.9 and 0.95 overlap (10 of 20 px), so the surer is shown; 0.5 counts as called; a label of -1 never."""
    path = predictions(tmp_path / "p.h5", [(0, 0, 1, 0.9), (0, 10, 1, 0.95), (0, 30, 1, 0.5), (0, 60, 1, 0.1), (0, 90, 0, 0.7), (0, 120, 0, 0.2),
                                          (1, 0, -1, 0.99)])
    assert shown(path) == [("TP", 0, 10), ("TP", 0, 30), ("FN", 0, 60), ("FP", 0, 90), ("TN", 0, 120)]


def test_a_slide_full_of_sure_hits_leaves_room_for_another(tmp_path: Path) -> None:
    """Slide a has 20 hits at 0.99, slide b five at 0.8: four of each, though every hit of a is surer."""
    path = predictions(tmp_path / "p.h5", [(0, 20 * i, 1, 0.99) for i in range(20)] + [(1, 20 * i, 1, 0.8) for i in range(5)])
    found = shown(path)
    assert len(found) == EACH == 8
    assert [s for _, s, _ in found] == [0] * 4 + [1] * 4
