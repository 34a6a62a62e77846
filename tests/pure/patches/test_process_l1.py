"""To and from the files of the original program."""
from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from mpicamnet.errors import UserError
from mpicamnet.patches.process_l1 import export_patches, import_patches
from mpicamnet.patches.schema import SCHEMA
from mpicamnet.patches.verify import broken_rows
from tests.shared_data import DATA, needs_data


def original(path: Path, **datasets: tuple[np.ndarray, list[list[int]]]) -> Path:
    """A file of the original: patches and locations (row, column) by key, `__` for `/`."""
    with h5py.File(path, "w") as f:
        for key, (px, locations) in datasets.items():
            f[f"{key.replace('__', '/')}/patches"] = px
            f[f"{key.replace('__', '/')}/locations"] = np.array(locations, np.int64)
    return path


def drawn(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, 8, 8, 3), dtype=np.uint8)


def test_rows_of_the_newer_layout_come_out_as_rgb_at_level_0_in_our_order(tmp_path: Path) -> None:
    normal, tumor = drawn(2, 1), drawn(1, 2)
    source = original(tmp_path / "o.h5", normal__l5__c0__p004__n4__0000=(normal, [[10, 3], [2, 7]]), tumor__l5__c0__p004__n4__0000=(tumor, [[2, 1]]))
    said = import_patches(source, tmp_path / "patches.h5")
    with h5py.File(tmp_path / "patches.h5") as f:
        assert f.attrs["schema"] == SCHEMA
        assert f["slides/name"][...].tolist() == [b"patient_004_node_4"] and f["slides/center"][0] == 0
        assert f["xy"][...].tolist() == [[32, 64], [224, 64], [96, 320]]  # 32 px of level 0 to one of level 5; by y, then x
        assert f["label"][...].tolist() == [1, 0, 0]
        assert np.array_equal(f["pixels"][...], np.stack([tumor[0], normal[1], normal[0]])[..., ::-1])
        assert len(broken_rows(f, range(3))) == 0
    assert "3 patches of 8 px from 1 slides: 1 tumour, 2 normal; B, G, R turned" in said[0] and "32 px" in said[1]


def test_what_is_exported_is_imported_again(tmp_path: Path) -> None:
    first = original(tmp_path / "o.h5", normal__l0__c1__p020__n2__0000=(drawn(3), [[1, 2], [3, 4], [5, 6]]),
                     tumor__l0__c2__p041__n0__0000=(drawn(2, 9), [[9, 8], [7, 6]]))
    import_patches(first, tmp_path / "a.h5")
    assert export_patches(tmp_path / "a.h5", tmp_path / "b.h5", 0)[0].startswith("5 patches")
    import_patches(tmp_path / "b.h5", tmp_path / "c.h5")
    with h5py.File(tmp_path / "a.h5") as a, h5py.File(tmp_path / "c.h5") as c:
        assert a.attrs["content_digest"] == c.attrs["content_digest"]
        assert a["slides/patient"][...].tolist() == [20, 41]


def test_a_slide_that_is_there_twice_is_named(tmp_path: Path) -> None:
    px = drawn(2)
    said = import_patches(original(tmp_path / "o.h5", normal__level7__centre0__patient010__node4=(px, [[1, 1], [2, 2]]),
                                   normal__level7__centre1__patient030__node4=(px, [[1, 1], [2, 2]])), tmp_path / "p.h5")
    assert "centre0/patient010/node4" in said[2] and "centre1/patient030/node4" in said[2]


@pytest.mark.parametrize(("key", "px"), [("tumor__l5__patient3", drawn(1)), ("normal__l5__c0__p1__n1__0", drawn(1).astype(np.float32))])
def test_what_is_no_such_file_is_said(tmp_path: Path, key: str, px: np.ndarray) -> None:
    with pytest.raises(UserError, match="not as PROCESS_L1 wrote"):
        import_patches(original(tmp_path / "o.h5", **{key: (px, [[0, 0]])}), tmp_path / "p.h5")
    assert not (tmp_path / "p.h5").exists()


@needs_data
def test_the_files_of_the_original_program_are_read(tmp_path: Path) -> None:
    """5 normal and 5 tumour patches of patient 10, node 4, stored a second time as centre 1, patient 30 (README of the files)."""
    said = import_patches(DATA / "process_l1" / "cam17_patches.hdf5", tmp_path / "p.h5")
    assert said[0].startswith("20 patches of 224 px from 2 slides: 10 tumour, 10 normal") and sum("twice" in line for line in said) == 2
    with h5py.File(tmp_path / "p.h5") as f:
        red, green, blue = f["pixels"][...].mean((0, 1, 2))
        assert red > blue > green  # eosin is pink
    said = import_patches(DATA / "process_l1" / "cam16_patches.hdf5", tmp_path / "q.h5")
    with h5py.File(tmp_path / "q.h5") as f:
        assert f["slides/name"][...].tolist() == [b"patient042_Mask"] and f["slides/node"][0] == -1
