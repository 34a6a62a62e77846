"""The evaluate stage on a planted cohort: the same files on any number of ranks, whole, and with the figures that were planted."""
from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from mpicamnet import config as cfg
from mpicamnet.evaluate.stage import run
from mpicamnet.job import Job
from mpicamnet.ranks import Clock, Communicators, Log, Signals
from mpicamnet.slides import catalogue
from tests.launch import on_ranks
from tests.pure.evaluate.test_levels import ASAP, spot

SIDE = {"negative": 0, "itc": 1, "micro": 8, "macro": 16}  # tiles of 100 um: diagonals 0.14, 1.1 and 2.3 mm
TOLD = ["macro", "negative", "itc", "negative", "micro", "negative", "macro", "micro", "negative", "macro", "itc", "negative"]


def plant(root: Path, work: Path) -> None:
    """Twelve slides of six patients, 24 x 24 tiles of 100 px at 1 um, tumour as TOLD has it, all seen rightly but for a micrometastasis that is
    seen as one tile (diagonal 0.14 mm: ITC) and a false spot of 3 x 3 tiles (0.42 mm: micro) on a negative slide."""
    lines, rows, names = ["patient,stage"], [], []
    y, x = np.mgrid[:24, :24]
    xy = np.stack((x.ravel(), y.ravel()), 1) * 100
    (root / "lesion_annotations").mkdir(parents=True)
    for i, stage in enumerate(TOLD):
        center, name, side = i // 6, f"patient_{i // 2:03d}_node_{i % 2}", SIDE[stage]
        (root / f"center_{center}").mkdir(exist_ok=True)
        (root / f"center_{center}" / f"{name}.tif").touch()
        if side:
            (root / "lesion_annotations" / f"{name}.xml").write_text(ASAP.format(400, 400 + 100 * side))
        names.append(name)
        lines.append(f"{name}.tif,{stage}")
        inside = ((xy >= 400) & (xy < 400 + 100 * side)).all(axis=1)
        prob = spot(xy, 400, 1 if i == 7 else 3 if i == 5 else side, 0.93 + 0.005 * i)
        rows.append((np.full(len(xy), i), xy, inside, prob))
    (root / "stage_labels.csv").write_text("\n".join(lines) + "\n")
    (work / "infer").mkdir(parents=True)
    with h5py.File(work / "infer" / "predictions.h5", "w") as f:
        f["slide"] = np.concatenate([r[0] for r in rows]).astype("<i4")
        f["xy"] = np.concatenate([r[1] for r in rows]).astype("<i8")
        f["label"] = np.concatenate([r[2] for r in rows]).astype("i1")
        f["prob"] = np.concatenate([r[3] for r in rows]).astype("<f4")
        f["slides/name"], f["slides/status"] = np.array(names, "S"), np.array(["ok"] * 12, "S")
        f["slides/center"], f["slides/patient"] = np.arange(12) // 6, np.arange(12) // 2
        f["slides/mpp"], f["slides/downsample"] = np.ones(12), np.ones(12)
        f.attrs.update({"schema": "mpicamnet.predictions/1", "stride": 100, "patch": 100})


def evaluated(comms: Communicators, config: str) -> list[str]:
    """Runs the stage; digests of the files that it leaves."""
    c = cfg.load(config)
    run(Job(c, comms, Log(comms.world.rank, "quiet"), Clock(), Signals(), catalogue(c.data), "d" * 64, Path(c.work)))
    comms.world.Barrier()
    return [f"{p.name} {hashlib.sha256(p.read_bytes()).hexdigest()}" for p in sorted((Path(c.work) / "evaluate").iterdir())]


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("evaluate")
    plant(folder / "slides", folder / "work")
    config: dict[str, Any] = {"work": str(folder / "work"), "seed": 7, "data": {"root": str(folder / "slides")},
                              "evaluate": {"bootstrap": 60, "forest": 20, "detection": {"smoothing": 0}}}
    (folder / "c.yaml").write_text(json.dumps(config))
    return folder / "c.yaml"


def test_the_files_are_the_same_on_1_to_4_ranks_and_hold_what_was_planted(planted: Path) -> None:
    """Slides: ten of twelve right (slide 5 seen as micro, slide 7 as itc). Lesions that count: 3 macro, 2 micro, all hit (one hot tile of the
    micrometastasis is enough); slide 5's spot is the one false positive: 0.955, above slides 0 and 4, so (0, 3/5), (1/12, 3/5), (1/12, 1).
    Patients by rule, true and predicted: pN1 pN1, pN0(i+) pN0(i+), pN1mi pN1mi (with slide 5), pN1 pN1, pN1 pN1, pN0(i+) pN0(i+)."""
    folder = planted.parent / "work" / "evaluate"
    first = on_ranks(1, evaluated, str(planted))[0]
    assert [line.split()[0] for line in first] == ["calibration.png", "detections.csv", "evaluation.json", "froc.csv", "froc.png", "lesions.csv",
                                                   "patients.csv", "pr.png", "roc.png", "slides.csv", "tiles.csv"]
    for ranks in (2, 3, 4):
        assert on_ranks(ranks, evaluated, str(planted)) == [first] * ranks

    said = json.loads((folder / "evaluation.json").read_text())
    assert said["slide"]["n"] == 12 and said["slide"]["accuracy"]["value"] == pytest.approx(10 / 12)
    assert said["slide"]["classes"]["patient_003_node_1"]["predicted"] == "itc"
    assert said["lesion"]["lesions"] == 5 and said["lesion"]["isolated_tumor_cells"] == 2 and said["lesion"]["slides"] == 12
    assert said["lesion"]["froc"]["value"] == 1
    assert said["patient"]["n"] == 6 and said["patient"]["kappa"]["value"] == 1
    assert said["tile"]["confusion"] == [[12 * 576 - 3 * 256 - 2 * 64 - 2 - 9, 9], [63, 3 * 256 + 64 + 2 + 1]]
    assert set(said["tile"]["by_center"]) == {"0", "1"}
    assert said["slide"]["forest"]["n"] == 12 and 0 <= said["slide"]["forest"]["accuracy"]["value"] <= 1
    with (folder / "froc.csv").open(newline="") as f:
        curve = [(float(r["false_positives_per_slide"]), float(r["sensitivity"])) for r in csv.DictReader(f)]
    assert curve[2:] == [(0, pytest.approx(0.6)), (pytest.approx(1 / 12, abs=1e-6), pytest.approx(0.6)), (pytest.approx(1 / 12, abs=1e-6), pytest.approx(0.8)),
                         (pytest.approx(1 / 12, abs=1e-6), 1)]
    outcomes = [r["outcome"] for r in csv.DictReader((folder / "detections.csv").open(newline=""))]
    assert outcomes.count("found") == 5 and outcomes.count("false positive") == 1 and outcomes.count("isolated tumour cells") == 2
