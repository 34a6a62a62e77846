"""Regression concept vectors on planted truth in arrays: who matters is called, who does not is not, whatever the shape of the layer."""
from __future__ import annotations

import csv
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from mpicamnet.explain.concept_figures import extreme_rows, write_extremes, write_r2, write_relevance
from mpicamnet.explain.concept_files import Patches, rcv_document, write_concepts, write_rcv
from mpicamnet.explain.concepts import Concept
from mpicamnet.explain.rcv import Settings, Vectors, concept_vectors, layer_result, skipped_concepts
from mpicamnet.explain.sample import sampled_rows

NAMES = ("used", "held", "noise")


def found(d: int, seed: int, sign: float = 1.0, curved: bool = False, n: int = 120) -> Vectors:
    """A layer of d channels, the first the used concept, the second a concept that the layer holds and the output does not follow, the others noise."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d))
    gradient = np.zeros((n, d))
    gradient[:, 0] = sign / (1 + np.exp(-x[:, 0])) if curved else sign  # of softplus, or of a straight line
    values = np.stack([x[:, 0], x[:, 1], rng.normal(size=n)], axis=1) + 0.1 * rng.normal(size=(n, 3))
    return concept_vectors({"layer": x}, {"layer": gradient}, NAMES, values, np.arange(n) // 12, Settings(permutations=199, seed=seed))


@pytest.mark.parametrize("curved", [False, True], ids=["straight", "curved"])
@pytest.mark.parametrize("d", [2, 40])
def test_the_used_concept_is_called_and_others_are_not(d: int, curved: bool) -> None:
    """In at least nine of ten seeds neither a concept that the layer holds but the output does not follow, nor one of noise, is called."""
    every = [{r.concept: r for r in found(d, seed, curved=curved).rows} for seed in range(40)]
    for rows in every:
        used = rows["used"]
        assert used.r2 > 0.8 and used.tcav == 1 and used.p < 0.05 and used.relevant
        assert abs(used.vector[0]) > 0.99 and np.linalg.norm(used.vector) == pytest.approx(1)
        assert rows["held"].r2 > 0.8
        assert (used.br is None) == (not curved)
    assert sum(rows["held"].relevant for rows in every) <= 4
    assert sum(rows["noise"].relevant for rows in every) <= 4


def test_a_concept_that_speaks_against_has_tcav_0_and_negative_br() -> None:
    used = found(5, 0, sign=-1, curved=True).rows[0]
    assert used.tcav == 0 and used.br is not None and used.br < 0 and used.br_scaled == -1 and used.p < 0.05


def test_more_activations_than_patches_do_not_make_noise_relevant() -> None:
    rows = {r.concept: r for r in found(600, 1).rows}
    assert rows["noise"].r2 < 0.1 and not rows["noise"].relevant and not rows["held"].relevant


def test_a_constant_concept_is_left_out_and_said_so() -> None:
    rng = np.random.default_rng(0)
    x, values = rng.normal(size=(40, 4)), rng.normal(size=(40, 3))
    values[:, 0], values[:30, 1] = 7.0, math.nan
    out = concept_vectors({"a": x}, {"a": x}, ("same", "rare", "fine"), values, np.arange(40) // 5, Settings(permutations=9))
    assert [r.concept for r in out.rows] == ["fine"]
    assert out.skipped == {"same": "it is the same over all patches (7)", "rare": "it has a value for 10 of 40 patches; 20 are needed"}


def test_patches_without_a_value_are_left_out_for_that_concept_alone() -> None:
    """As if those patches were not there: but for the patches that are judged, which are given."""
    rng = np.random.default_rng(2)
    x, g = rng.normal(size=(60, 5)), rng.normal(size=(60, 5))
    y = x[:, :1] + 0.1 * rng.normal(size=(60, 1))
    groups, settings = np.arange(60) // 6, Settings(permutations=19)
    with_gaps = y.copy()
    with_gaps[40:] = math.nan
    judged = np.arange(60) < 40
    a = layer_result("l", x, g, ("c",), with_gaps, groups, settings, judged)[0]
    b = layer_result("l", x[:40], g[:40], ("c",), y[:40], groups[:40], settings)[0]
    assert a.n == b.n == 40 and a.vector == pytest.approx(b.vector)
    assert (a.r2, a.tcav, a.br, a.p) == pytest.approx((b.r2, b.tcav, b.br, b.p))


def test_layers_done_apart_and_put_together_are_the_same_bytes() -> None:
    from mpicamnet.explain.rcv import with_discoveries

    rng = np.random.default_rng(4)
    x, g, values = rng.normal(size=(2, 50, 6)), rng.normal(size=(2, 50, 6)), rng.normal(size=(50, 2))
    groups, settings, names = np.arange(50) // 5, Settings(permutations=49), ("a", "b")
    whole = concept_vectors({"l0": x[0], "l1": x[1]}, {"l0": g[0], "l1": g[1]}, names, values, groups, settings)
    apart = [layer_result(f"l{i}", x[i], g[i], names, values, groups, settings) for i in (1, 0)]  # whoever came first
    again = with_discoveries((*apart[1], *apart[0]), skipped_concepts(names, values), settings.alpha)
    for a, b in zip(whole.rows, again.rows, strict=True):
        assert np.array_equal(a.vector, b.vector) and replace(a, vector=b.vector) == b


@pytest.fixture(scope="module")
def measured() -> tuple[Vectors, tuple[Concept, ...], npt.NDArray[np.float64], Patches]:
    concepts = tuple(Concept(n, "um2", "px2", "continuous", n) for n in NAMES)
    values = np.random.default_rng(0).normal(size=(120, 3))
    values[3, 1] = math.nan
    patches = Patches(tuple(f"s{i // 12}" for i in range(120)), np.stack([np.arange(120), np.zeros(120, np.int64)], axis=1), np.ones(120, np.int8),
                      np.linspace(0, 1, 120, dtype=np.float32), np.full(120, 0.5))
    return found(5, 0), concepts, values, patches


def test_rcv_json_says_all_and_only_valid_json(tmp_path: Path, measured: tuple[Vectors, tuple[Concept, ...], npt.NDArray[np.float64], Patches]) -> None:
    vectors, concepts, values, patches = measured
    write_rcv(tmp_path / "rcv.json", rcv_document(vectors, concepts, values, Settings(permutations=199), patches, "all patches"))
    said = json.loads((tmp_path / "rcv.json").read_text(), parse_constant=lambda c: pytest.fail(f"{c} is no JSON"))
    used = said["layers"]["layer"]["used"]
    assert used["tcav"] == 1 and used["relevant"] is True and used["br"] is None and "same sensitivity" in used["br_why"]
    assert used["agrees_with_correlation"] is (said["concepts"]["used"]["correlation"] > 0)  # its sensitivity is above 0
    assert said["concepts"]["held"]["unit"] == "um2" and said["said"] == []
    assert said["concepts"]["used"]["correlation"] == pytest.approx(np.corrcoef(values[:, 0], patches.prob)[0, 1], rel=1e-5)


def test_concepts_csv_has_a_line_per_patch_with_units(tmp_path: Path,
                                                     measured: tuple[Vectors, tuple[Concept, ...], npt.NDArray[np.float64], Patches]) -> None:
    _, concepts, values, patches = measured
    write_concepts(tmp_path / "concepts.csv", patches, concepts, values)
    rows = list(csv.DictReader((tmp_path / "concepts.csv").open()))
    assert len(rows) == 120 and rows[3]["held [um2]"] == "" and float(rows[5]["used [um2]"]) == pytest.approx(values[5, 0], rel=1e-5)
    write_concepts(tmp_path / "px.csv", replace(patches, mpp=np.full(120, math.nan)), concepts, values)
    assert "used [px2]" in (tmp_path / "px.csv").read_text().splitlines()[0]


def test_without_um_per_px_the_document_says_so(measured: tuple[Vectors, tuple[Concept, ...], npt.NDArray[np.float64], Patches]) -> None:
    vectors, concepts, values, patches = measured
    said = rcv_document(vectors, concepts, values, Settings(), replace(patches, mpp=np.full(120, math.nan)), "all")
    assert "um per px is not known" in said["said"][0] and said["concepts"]["used"]["unit"] == "px2"


def test_extremes_are_the_lowest_and_highest_known_values() -> None:
    assert extreme_rows(np.array([5.0, math.nan, 1, 9, 3, 7]), 2).tolist() == [2, 4, 5, 3]
    assert extreme_rows(np.array([math.nan, 2.0]), 3).tolist() == []


def test_figures_are_written_whole(tmp_path: Path, measured: tuple[Vectors, tuple[Concept, ...], npt.NDArray[np.float64], Patches]) -> None:
    vectors, concepts, values, _ = measured
    write_r2(tmp_path / "r2.png", vectors)
    write_relevance(tmp_path / "relevance.png", vectors)
    asked: list[int] = []

    def px_of(row: int) -> npt.NDArray[np.uint8]:
        asked.append(row)
        return np.full((8, 8, 3), 90, np.uint8)

    write_extremes(tmp_path / "extremes.png", concepts, ("um2",) * 3, values, px_of, each=2)
    assert len(asked) == 12 and asked[0] == int(np.nanargmin(values[:, 0])) and 3 not in asked[4:8]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["extremes.png", "r2.png", "relevance.png"]
    assert all(p.read_bytes()[:4] == b"\x89PNG" for p in tmp_path.iterdir())


def test_rows_are_drawn_by_slide_and_class_whatever_else_is_in_the_cohort() -> None:
    slide, label = np.repeat(np.arange(3, dtype=np.int32), 20), np.array([1, 0, -1, 0] * 15, np.int8)
    label[40:] = np.array([0] * 18 + [1] * 2)  # the third slide has two rows of tumour
    rows = sampled_rows(slide, ("a", "b", "c"), label, 8, 5)
    assert [(slide[rows] == i).sum() for i in range(3)] == [8, 8, 8] and (label[rows] >= 0).all()
    assert [(label[rows][slide[rows] == i] == 1).sum() for i in range(3)] == [4, 4, 2]
    alone = sampled_rows(np.zeros(20, np.int32), ("b",), label[20:40], 8, 5)
    assert (alone + 20).tolist() == rows[slide[rows] == 1].tolist()
