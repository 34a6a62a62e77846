"""Who trains, validates and tests."""
from __future__ import annotations

import pytest

from mpicamnet.config import Split
from mpicamnet.errors import UserError
from mpicamnet.train.split import parts_of
from mpicamnet.train.table import TableSlide

SLIDES = [TableSlide(f"patient_{patient:03d}_node_{node}", center, patient, 0.5)
          for center, patient, node in ((0, 0, 0), (0, 0, 1), (0, 4, 0), (1, 21, 0), (1, 27, 0), (2, 41, 0))]


def parts(**split: object) -> list[list[int]]:
    found = parts_of(Split(**split), SLIDES, 7)  # type: ignore[arg-type]
    return [found.train.tolist(), found.val.tolist(), found.test.tolist()]


def test_members_of_a_centre_a_patient_or_a_slide_go_together() -> None:
    assert parts(by="center", train=[0, 1], val=[2], test=[2]) == [[0, 1, 2, 3, 4], [5], [5]]
    assert parts(by="patient", train=[0, 21], val=[4], test=[41]) == [[0, 1, 3], [2], [5]]
    assert parts(by="slide", train=["patient_004_node_0"], val=["patient_041_node_0"]) == [[2], [5], []]


@pytest.mark.parametrize(("split", "words"), [
    ({}, ["no split is given"]),
    ({"by": "center", "train": [0], "val": [9]}, ["`data.split.val`", "centre 9", "there are 0, 1, 2"]),
    ({"by": "center", "train": [0, 1], "val": [1]}, ["centre 1 is in train and in val"]),
    ({"by": "center", "train": [0, 1], "val": [2], "test": [0]}, ["centre 0 is in train and in test"]),
    ({"by": "patient", "train": [0, 4], "val": [4]}, ["patient 4 is in train and in val"]),
    ({"by": "slide", "train": ["patient_000_node_0"], "val": ["patient_000_node_1"]}, ["patient 0 is in train", "patient_000_node_1"]),
])
def test_a_split_that_leaks_or_names_nobody_is_an_error_that_says_who(split: dict[str, object], words: list[str]) -> None:
    with pytest.raises(UserError) as e:
        parts(**split)
    assert e.value.code == 2
    for word in words:
        assert word in str(e.value)


def test_fractions_deal_out_whole_members_by_the_seed_alone() -> None:
    split = Split(by="patient", fractions=[0.6, 0.2, 0.2])
    found = parts_of(split, SLIDES, 7)
    sizes = [len({SLIDES[i].patient for i in part}) for part in (found.train, found.val, found.test)]
    assert sizes == [3, 1, 1]  # 5 patients: 3.0, 1.0, 1.0
    assert sorted([*found.train, *found.val, *found.test]) == list(range(6))
    turned = parts_of(split, SLIDES[::-1], 7)  # the order of the list does not matter
    assert {SLIDES[::-1][i].patient for i in turned.train} == {SLIDES[i].patient for i in found.train}
