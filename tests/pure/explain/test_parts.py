"""Parts of long work: kept while its digest is the same, and only when they are whole."""
from __future__ import annotations

from pathlib import Path

import numpy as np

from mpicamnet.explain.kept import begin, keep, part


def test_parts_are_found_again_with_the_same_digest_and_thrown_away_with_another(tmp_path: Path) -> None:
    folder = tmp_path / "work.partial"
    assert begin(folder, "a") == set()
    keep(folder, 12, {"x": np.arange(3), "y": np.ones((2, 2))})
    keep(folder, 3, {})
    (folder / "7.npz.partial").write_bytes(b"cut off")
    assert begin(folder, "a") == {3, 12}
    assert part(folder, 12)["x"].tolist() == [0, 1, 2] and list(part(folder, 12, "y")) == ["y"] and part(folder, 3) == {}
    assert begin(folder, "b") == set() and [p.name for p in folder.iterdir()] == ["digest"]


def test_a_folder_that_does_not_say_its_digest_is_not_trusted(tmp_path: Path) -> None:
    folder = tmp_path / "work.partial"
    folder.mkdir()
    (folder / "1.npz").write_bytes(b"")
    assert begin(folder, "a") == set()
