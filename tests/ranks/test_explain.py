"""The explain stage on several ranks: the same arrays and panels, also after a stop; what is wrong is said before anything is drawn."""
from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from mpicamnet.config import Concepts, Config, Data, Explain, Extract, Infer, Lime
from mpicamnet.errors import UserError
from mpicamnet.job import Job
from mpicamnet.ranks import Clock, Communicators, Log, Signals
from mpicamnet.slides import catalogue
from mpicamnet.synth import draw_cohort
from tests.launch import on_ranks

PATCH = 64
LIME = Lime(superpixels=12, samples=40, seeds=[0, 5])
CONCEPTS = Concepts(patches=24, permutations=50)
FILES = ("concepts.csv", "rcv.json", "rcv_r2.png", "rcv_relevance.png", "concepts.png")


@pytest.fixture(scope="module")
def slides(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("explain") / "slides"
    draw_cohort(root, slides=2, size=1024, seed=5)
    return root


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`model.keras`, that has learned nothing, and `plain.keras`, without a convolution."""
    from mpicamnet.train.engine import start_tensorflow
    from mpicamnet.train.model_file import Card, save_model
    from mpicamnet.train.zoo import NETWORKS

    _, keras = start_tensorflow(1)
    keras.utils.set_random_seed(4)
    folder = tmp_path_factory.mktemp("models")
    inputs = keras.Input((PATCH, PATCH, 3))
    plain = keras.Model(inputs, keras.layers.Dense(1)(keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(inputs))))
    card = Card("camnet_small", PATCH, 0.5, 0, "RGB", "px / 127.5 - 1", "logit", ("normal", "tumour"))
    for name, model in (("model", NETWORKS["camnet_small"].build(PATCH)), ("plain", plain)):
        save_model(folder / f"{name}.keras", model, card, {}, "m")
    return folder


def job(comms: Communicators, slides: str, model: str, work: str, **explain: Any) -> Job:
    config = Config(work, seed=5, data=Data(root=slides, patch=PATCH), extract=Extract(block=256), infer=Infer(model=model, batch=16),
                    explain=dataclasses.replace(Explain(batch=16, sanity=2, lime=LIME, concepts=CONCEPTS), **explain))
    if comms.world.rank == 0:
        Path(work).mkdir(exist_ok=True)
    comms.world.Barrier()
    return Job(config, comms.with_members(None), Log(1), Clock(), Signals(), catalogue(config.data), "d" * 64, Path(work))


class StopAfter(Signals):
    """A signal that comes when the ranks ask for the n-th time."""

    def __init__(self, asked: int):
        super().__init__()
        self._left = asked

    def any_stopped(self, comm: Any) -> bool:
        self._left -= 1
        self.caught = int(self._left <= 0)
        return super().any_stopped(comm)


def explained(comms: Communicators, slides: str, model: str, work: str, stop: int = 0, infer_first: bool = True, explain: Any = None) -> list[str]:
    from mpicamnet.explain import stage
    from mpicamnet.infer import stage as infer

    order = job(comms, slides, model, work, **(explain or {}))
    if infer_first:
        infer.run(order)
    if stop:
        order.signals = StopAfter(stop)
    try:
        stage.run(order)
    except UserError as e:
        return [f"{e.code} {e}"]
    return [str(e) for e in order.failed]


def arrays(work: Path) -> dict[str, Any]:
    found: dict[str, Any] = {}
    with h5py.File(work / "explain" / "attributions.h5") as f:
        f.visititems(lambda name, o: found.__setitem__(name, o[...]) if isinstance(o, h5py.Dataset) else None)
        return {**found, "content": f.attrs["content_digest"], "layer": f.attrs["layer"], "schema": f.attrs["schema"]}


def panels(work: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted((work / "explain" / "panels").iterdir())}


@pytest.fixture(scope="module")
def on_one(slides: Path, models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    work = tmp_path_factory.mktemp("works") / "r1"
    assert on_ranks(1, explained, str(slides), str(models / "model.keras"), str(work), timeout=300) == [[]]
    return work


def inferred(on_one: Path, work: Path) -> Path:
    """A new `work` with the probabilities of `on_one`."""
    work.mkdir()
    (work / "infer").symlink_to(on_one / "infer")
    return work


@pytest.mark.parametrize("ranks", [2, 3, 4])
def test_arrays_and_panels_are_the_same_on_any_number_of_ranks(slides: Path, models: Path, on_one: Path, ranks: int) -> None:
    work = inferred(on_one, on_one.with_name(f"r{ranks}"))
    assert on_ranks(ranks, explained, str(slides), str(models / "model.keras"), str(work), 0, False, timeout=300) == [[]] * ranks
    one, more = arrays(on_one), arrays(work)
    for name, value in one.items():
        assert np.array_equal(value, more[name], equal_nan=isinstance(value, np.ndarray) and value.dtype.kind == "f"), name
    assert panels(work) == panels(on_one)
    for name in FILES:
        assert (work / "explain" / name).read_bytes() == (on_one / "explain" / name).read_bytes(), name


def test_the_file_holds_what_was_asked_for(on_one: Path) -> None:
    found = arrays(on_one)
    n = len(found["row"])
    assert found["schema"] == "mpicamnet.attributions/1" and found["layer"] == "conv4" and n >= 4 and (found["label"] >= 0).all()
    for method in ("gradcam", "gradcam++"):
        assert found[method].shape == (n, PATCH, PATCH) and found[method].min() >= 0 and found[method].max() == 1
    assert found["cam"].shape == (n, PATCH, PATCH) and found["cam"].min() < 0
    assert found["lime/weights"].shape[:2] == (n, 2) and found["lime/seeds"].tolist() == [0, 5]
    assert found["lime/segments"].shape == (n, PATCH, PATCH) and (np.abs(found["lime/agreement"]) <= 1).all()
    assert found["sanity/layers"].tolist() == [4, 8] and found["sanity/spearman"].shape == (2, 3)
    assert len(panels(on_one)) == n and not list(on_one.glob("explain/*.partial"))
    document = json.loads((on_one / "explain" / "rcv.json").read_text())
    assert len((on_one / "explain" / "concepts.csv").read_text().splitlines()) == 1 + 48 == 1 + document["patches"]
    for layer, of_layer in document["layers"].items():
        assert [n.decode() for n in found[f"rcv/{layer}/concept"]] == list(of_layer)
        np.testing.assert_allclose(np.linalg.norm(found[f"rcv/{layer}/vectors"], axis=1), 1)


def test_the_maps_and_lime_are_those_of_the_px_on_the_slide(on_one: Path, slides: Path, models: Path) -> None:
    """Px by OpenSlide; maps by the public functions; LIME by the package itself."""
    import contextlib
    import io

    import openslide
    from lime.lime_image import LimeImageExplainer
    from skimage.segmentation import slic

    from mpicamnet.explain import gradcam
    from mpicamnet.train import load_model

    found, network = arrays(on_one), load_model(models / "model.keras")
    names = [n.decode() for n in found["slides/name"]]
    for i in (0, len(found["row"]) - 1):
        path = next(slides.glob(f"center_*/{names[found['slide'][i]]}.tif"))
        with openslide.OpenSlide(str(path)) as s:
            px = np.asarray(s.read_region(tuple(int(v) for v in found["xy"][i]), 0, (PATCH, PATCH)).convert("RGB"))
        np.testing.assert_allclose(found["gradcam"][i], gradcam(network, px[None])[0], atol=1e-4)
        with contextlib.redirect_stderr(io.StringIO()):
            theirs = LimeImageExplainer(random_state=5).explain_instance(
                px, lambda p: 1 / (1 + np.exp(-np.asarray(network(np.asarray(p, np.float32))))), labels=(0,), top_labels=None, num_samples=40,
                segmentation_fn=lambda p: slic(p, n_segments=12, compactness=10.0, sigma=1, start_label=0, channel_axis=-1), random_seed=1)
        weights = [w for _, w in sorted(theirs.local_exp[0])]
        np.testing.assert_allclose(found["lime/weights"][i, 1, :len(weights)], weights, atol=1e-5)


def test_a_stopped_run_goes_on_on_other_ranks_and_does_no_patch_again(slides: Path, models: Path, on_one: Path) -> None:
    work = inferred(on_one, on_one.with_name("stopped"))
    args = str(slides), str(models / "model.keras"), str(work)
    told = on_ranks(2, explained, *args, 3, False, timeout=300)
    assert told[0] == told[1] and told[0][0].startswith("75 ")
    done = {p: p.stat().st_mtime_ns for p in (work / "explain" / "panels").iterdir()}
    assert 0 < len(done) < len(panels(on_one)) and not (work / "explain" / "attributions.h5").exists()
    assert on_ranks(3, explained, *args, 0, False, timeout=300) == [[]] * 3
    assert {p: p.stat().st_mtime_ns for p in done} == done
    assert arrays(work)["content"] == arrays(on_one)["content"] and panels(work) == panels(on_one)


def test_a_run_stopped_between_measures_goes_on_and_measures_nothing_again(slides: Path, models: Path, on_one: Path, tmp_path: Path) -> None:
    work = inferred(on_one, tmp_path / "w")
    args = str(slides), str(models / "model.keras"), str(work)
    only = {"methods": ["rcv"]}
    assert on_ranks(1, explained, *args, 1, False, only, timeout=180)[0][0].startswith("75 ")
    kept = work / "explain" / "concepts.partial" / "0.npz"
    assert kept.exists() and len(list(kept.parent.glob("*.npz"))) == 1
    with np.load(kept) as z:
        changed = {name: z[name] for name in z.files}
    changed["values"][0, 0] = 4321  # a mark, to see that this part is not measured again
    np.savez(kept, **changed)
    assert on_ranks(2, explained, *args, 0, False, only, timeout=180) == [[], []]
    before, after = ((w / "explain" / "concepts.csv").read_text().splitlines() for w in (on_one, work))
    assert [i for i, (a, b) in enumerate(zip(before, after, strict=True)) if a != b] == [1] and ",4321," in after[1]




@pytest.mark.parametrize("network, explain, words", [
    ("model", {"layer": "conv44"}, "2 the network has no layer `conv44`: explain.layer: did you mean `conv4`?"),
    ("plain", {}, "2 this network has no convolution"),
    ("model", {"patches": ["nobody:0:0"]}, "2 predictions.h5 has no slide `nobody`"),
])
def test_what_is_wrong_is_said_once_and_leaves_nothing(slides: Path, models: Path, on_one: Path, tmp_path: Path, network: str, explain: dict[str, Any],
                                                       words: str) -> None:
    work = inferred(on_one, tmp_path / "w")
    told = on_ranks(2, explained, str(slides), str(models / f"{network}.keras"), str(work), 0, False, explain, timeout=120)
    assert told[0] == told[1] and len(told[0]) == 1 and told[0][0].startswith(words)
    assert not list(work.glob("explain/*.h5")) and not list(work.glob("explain/panels/*"))


def test_without_class_maps_a_network_without_convolution_is_explained_by_lime(slides: Path, models: Path, on_one: Path, tmp_path: Path) -> None:
    work = inferred(on_one, tmp_path / "w")
    row = int(arrays(on_one)["row"][0])
    args = str(slides), str(models / "plain.keras"), str(work), 0, False, {"methods": ["lime"], "patches": [row]}
    assert on_ranks(2, explained, *args, timeout=120) == [[], []]
    found = arrays(work)
    assert found["row"].tolist() == [row] and found["why"][0] == b"named" and "gradcam" not in found and found["layer"] == ""
