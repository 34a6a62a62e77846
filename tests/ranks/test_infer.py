"""Inference and evaluation on several ranks: the same probabilities, pictures and measures; a bad slide does not stop the others."""
from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from mpicamnet.config import Config, Data, Evaluate, Extract, Infer, Split
from mpicamnet.errors import UserError
from mpicamnet.job import Job
from mpicamnet.ranks import Clock, Communicators, Log, Signals
from mpicamnet.slides import catalogue
from mpicamnet.synth import draw_cohort
from tests.launch import on_ranks
from tests.untrained import save_untrained

PATCH = 64


@pytest.fixture(scope="module")
def slides(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("infer") / "slides"
    draw_cohort(root, slides=4, size=1024, seed=5)
    return root


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_untrained(tmp_path_factory.mktemp("model") / "model.keras", PATCH, 0.5)


def job(comms: Communicators, slides: str, model: str, work: str, **data: Any) -> Job:
    config = Config(work, seed=5, data=Data(root=slides, **{"patch": PATCH, **data}), extract=Extract(block=256),
                    infer=Infer(model=model, batch=16), evaluate=Evaluate(bootstrap=50))
    if comms.world.rank == 0:
        Path(work).mkdir(exist_ok=True)
    comms.world.Barrier()
    return Job(config, comms.with_members(None), Log(1), Clock(), Signals(), catalogue(config.data), "d" * 64, Path(work))


def inferred(comms: Communicators, slides: str, model: str, work: str) -> dict[str, Any]:
    from mpicamnet.evaluate import stage as evaluate
    from mpicamnet.infer import stage as infer

    order = job(comms, slides, model, work)
    infer.run(order)
    evaluate.run(order)
    return {"failed": [str(e) for e in order.failed]}


def predictions(work: Path) -> dict[str, Any]:
    with h5py.File(work / "infer" / "predictions.h5") as f:
        columns = {k: f[k][...] for k in ("slide", "xy", "prob", "label")}
        names, status = ([n.decode() for n in f[f"slides/{k}"]] for k in ("name", "status"))
        return {**columns, "names": names, "status": status, "content": f.attrs["content_digest"]}


@pytest.fixture(scope="module")
def on_one(slides: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    work = tmp_path_factory.mktemp("works") / "r1"
    assert on_ranks(1, inferred, str(slides), str(model), str(work), timeout=180) == [{"failed": []}]
    return work


@pytest.mark.parametrize("ranks", [2, 3, 4])
def test_probabilities_files_and_measures_are_the_same_on_any_number_of_ranks(slides: Path, model: Path, on_one: Path, ranks: int) -> None:
    work = on_one.with_name(f"r{ranks}")
    on_ranks(ranks, inferred, str(slides), str(model), str(work), timeout=180)
    one, more = predictions(on_one), predictions(work)
    assert len(one["prob"]) > 100 and one["names"] == more["names"]
    for column in ("slide", "xy", "prob", "label"):
        assert np.array_equal(one[column], more[column]), column
    assert one["content"] == more["content"]
    names = sorted(f"{slide}{suffix}" for slide in one["names"] for suffix in (".tif", ".png", ".geojson", ".xml"))
    for w in (on_one, work):
        assert sorted(p.name for p in (w / "infer" / "heatmaps").iterdir()) == names
        assert sorted(p.name for p in (w / "infer").iterdir()) == ["heatmaps", "predictions.h5"]
    for name in names:
        assert (work / "infer" / "heatmaps" / name).read_bytes() == (on_one / "infer" / "heatmaps" / name).read_bytes(), name
    a, b = (json.loads((w / "evaluate" / "evaluation.json").read_text()) for w in (on_one, work))
    assert a["tile"] == b["tile"] and a["content_digest"] == b["content_digest"]


def test_tiles_stand_by_slide_then_row_then_column_and_only_once(on_one: Path) -> None:
    p = predictions(on_one)
    places = list(zip(p["slide"].tolist(), p["xy"][:, 1].tolist(), p["xy"][:, 0].tolist(), strict=True))
    assert places == sorted(set(places))
    assert (p["prob"] > 0).all() and (p["prob"] < 1).all()


def test_a_probability_is_what_the_network_says_of_the_slides_own_px(on_one: Path, slides: Path, model: Path) -> None:
    """Px by OpenSlide, the logistic by hand."""
    import openslide

    from mpicamnet.train import load_model

    p = predictions(on_one)
    network = load_model(model)
    for i in np.linspace(0, len(p["prob"]) - 1, 12).astype(int):
        path = next(slides.glob(f"center_*/{p['names'][p['slide'][i]]}.tif"))
        with openslide.OpenSlide(str(path)) as s:
            px = np.asarray(s.read_region(tuple(int(v) for v in p["xy"][i]), 0, (PATCH, PATCH)).convert("RGB"), np.float32)
        logit = float(np.asarray(network(px[None]))[0, 0])
        assert p["prob"][i] == pytest.approx(1 / (1 + np.exp(-logit)), abs=1e-5)


def test_the_measures_equal_scikit_learns(on_one: Path) -> None:
    p, e = predictions(on_one), json.loads((on_one / "evaluate" / "evaluation.json").read_text())
    known = p["label"] >= 0
    assert e["schema"] == "mpicamnet.evaluation/1" and e["tile"]["n"] == int(known.sum())
    assert e["tile"]["roc_auc"]["value"] == pytest.approx(roc_auc_score(p["label"][known], p["prob"][known]))
    assert e["tile"]["pr_auc"]["value"] == pytest.approx(average_precision_score(p["label"][known], p["prob"][known]))
    assert sorted(e["tile"]["by_center"]) == ["0", "1", "2"]


def test_a_bad_slide_is_left_out_and_the_others_are_done(slides: Path, model: Path, on_one: Path, tmp_path: Path) -> None:
    broken = tmp_path / "slides"
    shutil.copytree(slides, broken)
    victim = sorted(broken.glob("center_*/*.tif"))[1]
    victim.write_text("not a slide\n")
    outcomes = on_ranks(2, inferred, str(broken), str(model), str(tmp_path / "w"), timeout=180)
    assert len(outcomes[0]["failed"]) == 1 and victim.stem in outcomes[0]["failed"][0] and outcomes[0] == outcomes[1]
    whole, rest = predictions(on_one), predictions(tmp_path / "w")
    bad = whole["names"].index(victim.stem)
    assert rest["status"][bad] != "ok" and not (tmp_path / "w" / "infer" / "heatmaps" / f"{victim.stem}.png").exists()
    keep = whole["slide"] != bad
    assert np.array_equal(rest["prob"], whole["prob"][keep]) and np.array_equal(rest["slide"], whole["slide"][keep])


def refused(comms: Communicators, slides: str, model: str, work: str) -> list[str]:
    from mpicamnet.infer import stage as infer

    said = []
    for data in ({"patch": 96}, {"split": Split(by="center", train=[0], val=[1])}, {"mpp": 1.5}):
        order = job(comms, slides, model, work, **data)
        try:
            infer.run(order)
        except UserError as e:
            said.append(f"{e.code} {e}")
        assert not (order.work / "infer" / "predictions.h5").exists()
    return said


def test_a_model_of_another_size_or_resolution_and_a_split_without_test_are_refused(slides: Path, model: Path, tmp_path: Path) -> None:
    outcomes = on_ranks(2, refused, str(slides), str(model), str(tmp_path / "w"))
    assert outcomes[0] == outcomes[1]
    assert "2 the model takes patches of 64 px, and `data.patch` is 96" in outcomes[0][0]
    assert "no slides are in the split's test" in outcomes[0][1]
    assert outcomes[0][2].startswith("2 it would be read at 1.5 um per px, and the model was trained at 0.5") and "data.mpp" in outcomes[0][2]
