"""`verify` finds what was damaged after it was made."""
from __future__ import annotations

import h5py
import pytest

from tests.launch import good, mpicamnet
from tests.program.conftest import Configure


@pytest.mark.parametrize("storage", ["pixels", "jpeg", "coords"])
def test_a_byte_that_was_changed_is_found_on_any_number_of_ranks(configure: Configure, storage: str) -> None:
    config = configure(storage, extract={"storage": storage, "block": 600})
    good("extract", config, ranks=2)
    path = config.with_suffix("") / "patches.h5"
    with h5py.File(path) as f:
        rows = len(f["slide"])
    assert f"patches.h5: {rows:,} rows, each gives its digest" in good("verify", config, ranks=3)
    column = {"pixels": "pixels", "jpeg": "jpeg/bytes", "coords": "xy"}[storage]
    with h5py.File(path, "r+") as f:
        values = f[column][-1]
        f[column][-1] = values ^ 1
    for ranks in (1, 3):
        said = mpicamnet("verify", config, ranks=ranks)
        assert said.returncode == 2
        assert f"1 of {rows:,} rows do not give their digests, the first is row {rows - 1:,}" in said.stderr
        assert said.stderr.count("mpicamnet: error:") == 1


def test_where_nothing_was_made_it_says_so(configure: Configure) -> None:
    said = mpicamnet("verify", configure("empty"))
    assert said.returncode == 2 and "nothing has been made here" in said.stderr
