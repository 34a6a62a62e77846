"""The config: what a mistake is told, what a digest depends on."""
from __future__ import annotations

from pathlib import Path

import pytest

from mpicamnet import config as cfg
from mpicamnet.errors import UserError


def written(folder: Path, text: str) -> Path:
    path = folder / "c.yaml"
    path.write_text(text)
    return path


GOOD = "work: out\nseed: 7\ndata:\n  root: slides\n  patch: 96\n"


def test_defaults_fill_in_and_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    c = cfg.load(written(tmp_path, GOOD))
    assert (c.work, c.data.root, c.data.patch, c.extract.block, c.label.tumor_min) == (str(tmp_path / "out"), str(tmp_path / "slides"), 96, 4096, 0.5)


def test_set_overrides_one_key_relative_to_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    c = cfg.load(written(tmp_path, GOOD), ["work=here", "extract.white.max_share=0.5", "data.split={by: patient, fractions: [.7, .1, .2]}"])
    assert (c.work, c.extract.white.max_share, c.extract.white.intensity, c.data.split.by) == ("/here", 0.5, 200, "patient")


def test_variables_and_home_expand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLIDES", "/somewhere")
    monkeypatch.setenv("HOME", "/home/me")
    c = cfg.load(written(tmp_path, "work: ~/out\ndata: {root: $SLIDES/c17}"))
    assert (c.work, c.data.root) == ("/home/me/out", "/somewhere/c17")


@pytest.mark.parametrize(("text", "words"), [
    (GOOD + "extarct: {x: 1}", ["unknown key `extarct`", "line 6", "`extract`"]),
    (GOOD + "extract:\n  strid: 4", ["unknown key `extract.strid`", "line 7", "`extract.stride`"]),
    (GOOD + "stride: 4", ["unknown key `stride`", "`extract.stride`"]),
    ("work: out\ndata:\n  root: s\n  patch: big", ["`data.patch` must be a whole number", '"big"', "line 4"]),
    (GOOD + "train: {epochs: 0}", ["`train.epochs` is 0", "at least 1"]),
    (GOOD + "train: {batch: 32, accumulate: 5}", ["`train.batch` (32) cannot be divided", "`train.accumulate` (5)"]),
    (GOOD + "train: {compression: dgc, optimizer: adam}", ["`train.compression` is dgc", "sgd alone"]),
    (GOOD + "train: {compression: dgc, precision: mixed_float16}", ["dgc", "mixed_float16"]),
    (GOOD + "train: {compression: fp16, reduce: adasum}", ["`train.reduce` is adasum", "keep one"]),
    (GOOD + "extract: {sampling: densely}", ["`extract.sampling`", "did you mean `dense`", "`random`"]),
    (GOOD + "label: {tumor_min: 0.2, normal_max: 0.3}", ["`label.normal_max`", "both classes"]),
    ("data: {root: s}", ["`work` is missing"]),
    ("work: w", ["`data.root` is missing"]),
    ("work: [", ["not YAML", "line"]),
    ("", ["empty"]),
    (GOOD + "seed: 8", ["`seed` stands twice"]),
    ("work: w\ndata: {root: s, split: {by: center, train: [a]}}", ["`data.split.train`", "numbers"]),
    ("work: w\ndata: 5", ["`data` must be a list"]),
])
def test_a_mistake_is_told_in_one_line_with_its_place(tmp_path: Path, text: str, words: list[str]) -> None:
    with pytest.raises(UserError) as e:
        cfg.load(written(tmp_path, text))
    assert "\n" not in str(e.value) and e.value.code == 2
    for word in words:
        assert word in str(e.value)


@pytest.mark.parametrize("value", ["1e-3", "1.0e-3", "0.001"])
def test_a_number_with_an_exponent_is_a_number_though_yaml_thinks_otherwise(tmp_path: Path, value: str) -> None:
    assert cfg.load(written(tmp_path, GOOD + f"train: {{learning_rate: {value}}}")).train.learning_rate == 0.001


def test_a_digest_depends_on_its_keys_and_inputs_and_on_nothing_else(tmp_path: Path) -> None:
    c = cfg.load(written(tmp_path, GOOD))
    other = cfg.load(written(tmp_path, GOOD), ["train.epochs=3", "work=/elsewhere"])
    keys = ("seed", "data.patch", "extract.white")
    assert cfg.digest(c, keys) == cfg.digest(other, keys)
    assert cfg.digest(c, (*keys, "train")) != cfg.digest(other, (*keys, "train"))
    assert cfg.digest(c, keys) != cfg.digest(c, keys, "input")


def test_training_depends_on_all_its_keys_but_those_that_change_no_result(tmp_path: Path) -> None:
    from mpicamnet.stages import BY_NAME

    plain, keys = cfg.load(written(tmp_path, GOOD)), BY_NAME["train"].keys
    for change, other in (("train.threads=2", False), ("train.timeline=true", False), ("train.fusion_mb=1", False), ("train.loss=focal", True),
                          ("train.compression=fp16", True), ("train.freeze=1", True), ("train.sync_batchnorm=true", True)):
        assert (cfg.digest(plain, keys) != cfg.digest(cfg.load(written(tmp_path, GOOD), [change]), keys)) is other, change


def test_the_whole_config_as_yaml_reads_back_to_the_same(tmp_path: Path) -> None:
    c = cfg.load(written(tmp_path, GOOD), ["extract.hints={cb_nodes: 4}"])
    assert cfg.load(written(tmp_path, cfg.as_yaml(c))) == c


def test_changes_are_told_key_by_key(tmp_path: Path) -> None:
    a, b = (cfg.select(cfg.load(written(tmp_path, GOOD), [f"extract.per_class={n}"]), ["extract"]) for n in (10, 12))
    assert cfg.changes(a, b) == ["extract.per_class was 10, is 12"]


def test_a_path_that_is_changed_on_the_command_line_need_not_be_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOWHERE", raising=False)
    path = written(tmp_path, "work: w\ndata: {root: $NOWHERE}\n")
    assert cfg.load(path, [f"data.root={tmp_path}"]).data.root == str(tmp_path)
    with pytest.raises(UserError, match="NOWHERE"):
        cfg.load(path, ["data.patch=96"])


def test_the_reference_in_docs_is_made_from_todays_types() -> None:
    from mpicamnet.config_reference import reference

    assert (Path(__file__).parents[2] / "docs" / "config.md").read_text() == reference(), "say: python -m mpicamnet.config_reference > docs/config.md"


@pytest.mark.parametrize("path", sorted((Path(__file__).parents[2] / "configs").glob("*.yaml")), ids=lambda p: p.name)
def test_every_shipped_config_loads(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CAMELYON16", "CAMELYON17", "PCAM_SLIDES"):
        monkeypatch.setenv(name, "/somewhere")
    assert cfg.load(path).data.root
