"""What a user can get wrong about training data: one clear line and exit 2, before any epoch."""
from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import pytest

from mpicamnet.train import read_card
from tests.launch import error_line, good, mpicamnet
from tests.program.conftest import Configure
from tests.untrained import save_untrained

SPLIT = {"by": "center", "train": [0, 1], "val": [2], "test": [2]}
BASE: dict[str, Any] = {"extract": {"sampling": "random", "per_class": 20}, "train": {"epochs": 1, "batch": 8}}


@pytest.fixture(scope="module")
def extracted(tmp_path_factory: pytest.TempPathFactory, cohort: Path) -> Path:
    """A patches.h5 of the cohort, made once and copied into other works."""
    folder = tmp_path_factory.mktemp("extracted")
    config = {"work": str(folder / "w"), "seed": 7, "data": {"root": str(cohort), "patch": 96}, "extract": {**BASE["extract"], "block": 1024}}
    (folder / "c.yaml").write_text(json.dumps(config))
    good("extract", folder / "c.yaml", ranks=2)
    return folder / "w" / "patches.h5"


def as_partial(path: Path) -> None:
    path.rename(path.with_name("patches.h5.partial"))


def of_another_schema(path: Path) -> None:
    with h5py.File(path, "r+") as f:
        f.attrs["schema"] = "mpicamnet.patches/9"


def of_one_class(path: Path) -> None:
    with h5py.File(path, "r+") as f:
        f["label"][...] = 0


def without_labels(path: Path) -> None:
    with h5py.File(path, "r+") as f:
        f["label"][...] = -1


def as_it_is(path: Path) -> None:
    pass


@pytest.mark.parametrize(("change", "sections", "words"), [
    (as_partial, {}, ["patches.h5 is not finished", "mpicamnet extract"]),
    (of_another_schema, {}, ["mpicamnet.patches/9", "mpicamnet.patches/1", "mpicamnet extract"]),
    (of_one_class, {}, ["train are all normal"]),
    (without_labels, {}, ["no rows are in the split's train"]),
    (as_it_is, {"train": {"batch": 500}}, ["a step takes 1,000 (500 on each of 2 ranks)", "train.batch"]),
    (as_it_is, {"data": {"split": {"by": "center", "train": [0], "val": [2], "fractions": [0.5, 0.5, 0]}}}, ["fractions and lists"]),
    (as_it_is, {"train": {"augment": {"hue": 0.7}}}, ["train.augment.hue", "at most 0.5"]),
    (as_it_is, {"train": {"augment": {"hues": 0.1}}}, ["train.augment.hues", "did you mean `train.augment.hue`"]),
    (as_it_is, {"train": {"epochs": 3, "mining": {"after": 3}}}, ["train.mining.after", "no epoch is left"]),
], ids=["partial", "another schema", "one class", "no labels", "batch too large", "two splits", "out of range", "unknown key", "mining too late"])
def test_bad_training_data_end_with_exit_2_before_any_epoch(configure: Configure, extracted: Path, change: Callable[[Path], None],
                                                            sections: dict[str, dict[str, Any]], words: list[str]) -> None:
    given = {name: {**BASE.get(name, {}), **sections.get(name, {})} for name in ("extract", "train", "data")}
    given["data"].setdefault("split", SPLIT)
    c = configure("t", **given)
    work = c.with_suffix("")
    work.mkdir()
    shutil.copy(extracted, work / "patches.h5")
    change(work / "patches.h5")
    line = error_line(mpicamnet("train", c, ranks=2), 2)
    for word in words:
        assert word in line, line
    assert not (work / "train" / "history.csv").exists() and not list(work.glob("train/last/*"))


def test_a_network_does_not_start_from_the_file_that_training_replaces(configure: Configure, extracted: Path) -> None:
    c = configure("own", data={"split": SPLIT}, **BASE)
    work = c.with_suffix("")
    (work / "train").mkdir(parents=True)
    shutil.copy(extracted, work / "patches.h5")
    save_untrained(work / "train" / "model.keras", 96, 0.5)
    line = error_line(mpicamnet("train", c, "--set", f"train.weights={work / 'train' / 'model.keras'}", ranks=2), 2)
    assert "would replace the file" in line and "copy it elsewhere" in line
    assert (work / "train" / "model.keras").exists()


def test_all_storages_train_and_pixels_and_coords_end_with_the_same_network(configure: Configure) -> None:
    """JPEG loses a little, so its network differs; the number of loader threads changes nothing and so asks for no new training."""
    kept = {}
    for storage, readers in (("pixels", 1), ("coords", 2), ("jpeg", 1)):
        c = configure(storage, extract={**BASE["extract"], "storage": storage}, train={**BASE["train"], "readers": readers}, data={"split": SPLIT})
        good("run", c, "--only", "extract", "--only", "train", ranks=2)
        kept[storage] = c.with_suffix("")
    digests = {name: read_card(work / "train" / "model.keras")[1] for name, work in kept.items()}
    assert digests["pixels"] == digests["coords"] != digests["jpeg"]
    assert "done before" in good("train", kept["pixels"].with_suffix(".yaml"), "--set", "train.readers=3", ranks=1)
