"""The plan: what is counted, what is reckoned, what it warns of. Expected values are worked by hand."""
from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mpicamnet import config as cfg
from mpicamnet.config import Config
from mpicamnet.plan import costs, warning
from mpicamnet.plan.brief import brief
from mpicamnet.plan.command import make_plan
from mpicamnet.plan.costs import Network
from mpicamnet.plan.estimate import Estimate, by_last, extract, in_one_process, infer, train
from mpicamnet.plan.work import Work
from mpicamnet.slides import catalogue
from mpicamnet.synth import draw_cohort
from mpicamnet.timings import StageTime, likeness
from mpicamnet.train import NETWORKS
from tests.pure.slides.drawn import write

# 10 patches/s train, 100 are looked at; 5 and 2 s until the first step; 1 GB and 1 MB a patch, 500 MB and 0.1 MB; a million parameters
PLAIN = Network(10, 100, 5, 2, 1e9, 1e6, 5e8, 1e5, 1_000_000)
WORK = Work(slides=4, windows=10_000, tissue=10**9, pieces=50, most=10_000, rows=9_000, px=27_648.0, passing=0.9, train=1000, val=200, tested=0,
            tiles=3000, raster=0, explained=0, measured=0)


def config(tmp_path: Path, **sections: Any) -> Config:
    base: dict[str, Any] = {"work": str(tmp_path / "w"), "data": {"root": str(tmp_path), "patch": 96}, "extract": {"sampling": "dense"}}
    for section, values in sections.items():
        base[section] = {**base.get(section, {}), **values}
    path = tmp_path / "c.yaml"
    path.write_text(json.dumps(base))
    return cfg.load(path)


def test_every_network_has_its_costs() -> None:
    assert set(costs.NETWORKS) == set(NETWORKS)
    assert all(c.train < c.forward and c.train_held > c.forward_held for c in costs.NETWORKS.values())


def test_training_takes_whole_steps_of_all_ranks_and_an_epoch_of_the_head_alone_costs_no_more_than_looking(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(costs, "of", lambda model: PLAIN)
    keys = {"batch": 32, "epochs": 4, "freeze": 1, "run": 8, "pool": 128, "optimizer": "adam", "fusion_mb": 64}
    found = train(WORK, config(tmp_path, train=keys), 2)
    # 15 steps of 64 rows are 960; (960 x 3 / 10 + 960 / 100 + 4 x 200 / 100) / 2 ranks, and two graphs of 5 s
    assert found.items == 4 * 960 and found.seconds == pytest.approx((288 + 9.6 + 8) / 2 + 10)
    # the network and 32 patches; 2 x 8 x 128 / 2 rows that are read ahead; model, best, two of Adam's; Horovod's 64 MiB
    assert found.memory == pytest.approx(1e9 + 32e6 + 1024 * 27_648 + 16e6 + 64 * 2**20)
    assert found.size == pytest.approx(4e6 + 16e6, rel=0.01)  # model.keras, and the checkpoint
    twice = train(WORK, config(tmp_path, data={"patch": 192}, train=keys), 2)
    assert twice.seconds - 10 == pytest.approx(4 * (found.seconds - 10))
    assert train(WORK, config(tmp_path, train={**keys, "ranks": 1}), 8).items == 4 * 992  # 31 steps of 32


def test_patches_are_as_large_as_their_px_and_inference_looks_as_often_as_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(costs, "of", lambda model: PLAIN)
    found = extract(WORK, config(tmp_path), 2)
    assert found.size == pytest.approx(60 * 2**22 + 9000 * 53, rel=0.01)  # 9,000 rows of 96 x 96 x 3 bytes are 59.3 chunks of 4 MiB
    once, eight = (infer(WORK, config(tmp_path, infer={"tta": tta}), 3, "resnet50") for tta in ("none", "d4"))
    assert once.seconds == pytest.approx(2 + 3000 / 100 / 3) and eight.seconds == pytest.approx(2 + 8 * 3000 / 100 / 3)


def test_the_last_time_counts_where_it_was_like_today_and_is_scaled_by_work_and_ranks(tmp_path: Path) -> None:
    c = config(tmp_path)
    now = Estimate("train", "", 999, 10, 1, 7, "step", 1000)
    last = StageTime("train", 2, 100.0, "", "", [{"phase": "step", "items": 500}], likeness("train", c), 12)
    found = by_last(now, last, c, 4)
    assert (found.seconds, found.memory, found.timed) == (10 + 90 * 2 / 2, 12, True)  # twice the rows on twice the ranks, after 10 s of start
    two = config(tmp_path, train={"ranks": 2})
    assert by_last(now, dataclasses.replace(last, ranks=8), two, 4).seconds == 10 + 90 * 2  # two train, then and now
    assert by_last(now, None, c, 4) == now
    assert by_last(now, last, config(tmp_path, train={"model": "resnet50"}), 4) == now
    assert by_last(now, dataclasses.replace(last, like=""), c, 4) == now  # a line of an older version


def test_memory_of_a_run_does_not_fall_and_what_a_stage_keeps_stands_under_the_next() -> None:
    stages = [Estimate(name, "", 1, 0, 0, memory, "", 0, left=left) for name, memory, left in (("extract", 300, 150), ("train", 1000, 50), ("infer", 900, 0))]
    assert [e.memory for e in in_one_process(stages)] == [300, 1150, 1150]
    assert [e.memory for e in in_one_process(stages[2:])] == [900]
    timed = dataclasses.replace(stages[1], timed=True)  # was measured in a run: what stood under it is in it
    assert [e.memory for e in in_one_process([stages[0], timed, stages[2]])] == [300, 1000, 1100]


def test_a_plan_warns_of_what_a_run_would_stumble_over_and_says_how_to_mend_it(tmp_path: Path) -> None:
    assert warning.too_many_ranks(WORK, 50) == "" and "50 would do" in warning.too_many_ranks(WORK, 51)
    assert warning.no_space(10e9, 11.1e9, "w") == "" and "w has 9.0 GB free, and the run writes about 10.0 GB" in warning.no_space(10e9, 9e9, "w")
    hungry = [Estimate("extract", "", 1, 0, 0, 1e9, "", 0), Estimate("train", "", 1, 0, 0, 3e9, "", 0)]
    assert warning.no_memory(hungry, 8, 4, 12e9) == warning.no_memory([], 8, 4, 1) == ""
    said = warning.no_memory(hungry, 8, 4, 11e9)
    assert "12.0 GB on a node with 4 ranks" in said and "start 3 on a node, or lower train.batch" in said
    c = config(tmp_path, train={"batch": 100})
    assert warning.batch_too_large(WORK, c, 10) == "" and "a step takes 1,100 rows (100 on each of 11 ranks)" in warning.batch_too_large(WORK, c, 11)
    assert warning.nothing_to_train(WORK) == "" and "data.split.val" in warning.nothing_to_train(dataclasses.replace(WORK, val=0))


@pytest.mark.parametrize("sampling, most, rows", [("dense", 64, 32), ("random", 20, 20)])
def test_rows_are_those_that_pass_and_not_only_all_windows(tmp_path: Path, sampling: str, most: int, rows: int) -> None:
    """A slide without tumour whose right half is white: of its 64 windows 32 pass; where 20 are drawn, 20 that pass are found."""
    px = np.full((1024, 1024, 3), (180, 90, 150), np.uint8)
    px[:, 512:] = 240
    write(tmp_path / "a.tif", [px])
    (tmp_path / "slides.csv").write_text("path,stage\na.tif,negative\n")
    c = config(tmp_path, data={"csv": str(tmp_path / "slides.csv"), "layout": "csv", "patch": 128}, tissue={"method": "none"},
               extract={"sampling": sampling, "per_class": 20})
    plan = make_plan(c, 1)
    assert (plan.work.windows, plan.work.most) == (64, most)
    assert plan.work.rows == pytest.approx(rows, rel=0.2)
    assert any("training would refuse: no split is given" in line for line in plan.warnings)


def test_a_split_and_labels_decide_who_trains(tmp_path: Path) -> None:
    draw_cohort(tmp_path / "slides", slides=3, size=1024, seed=5)
    c = config(tmp_path, data={"root": str(tmp_path / "slides"), "split": {"by": "slide", "fractions": [0.34, 0.33, 0.33]}})
    plan = make_plan(c, 2)
    assert 0 < plan.work.train < plan.work.rows and plan.work.tested == 1 and plan.done == frozenset()
    assert [e.stage for e in plan.todo] == ["extract", "train", "infer", "evaluate", "explain", "report"]


def test_a_run_begins_with_what_lies_ahead_and_the_last_times_of_runs_like_it(tmp_path: Path) -> None:
    draw_cohort(tmp_path / "slides", slides=2, size=1024, seed=5)
    c = config(tmp_path, data={"root": str(tmp_path / "slides")})
    records = catalogue(c.data)
    [line] = brief(c, records, ["extract", "train"], 4)
    assert line.startswith("plan: extract, train; 2 slides, ") and " free in " in line
    Path(c.work).mkdir()
    rows = [{"stage": s, "phase": "stage", "ranks": 2, "seconds": {"min": 1, "mean": 1, "max": 192}, "items": 0, "bytes": 0, "like": like, "time": "t"}
            for s, like in (("extract", likeness("extract", c)), ("train", "another network"))]
    (Path(c.work) / "timing.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    assert brief(c, records, ["extract", "train"], 4)[1:] == ["  last time: extract 3 min 12 s on 2 (now 4 ranks)"]
