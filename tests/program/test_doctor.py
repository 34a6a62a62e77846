"""The doctor over broken installations: it names what is wrong and how to mend it."""
from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mpicamnet.doctor import local
from tests.launch import ROOT, begin, end, mpicamnet


def line(said: subprocess.CompletedProcess[str], what: str) -> str:
    """The doctor's words about `what`, with what to do, on one line."""
    words = said.stdout[said.stdout.index(f"  {what} "):]
    return " ".join(words.split("\n")[0].split() + words.split("\n")[1].split())


def broken(folder: Path, package: str, code: str) -> str:
    """A PYTHONPATH on which `package` is another one."""
    (folder / package).mkdir()
    (folder / package / "__init__.py").write_text(code)
    return f"{folder}:{ROOT}"


def test_a_whole_installation_is_fit_for_a_run() -> None:
    said = mpicamnet("doctor", ranks=2)
    assert said.returncode == 0, said.stdout + said.stderr
    assert "bad" not in said.stdout.replace("0 bad", "") and "2 ranks on 1 node" in said.stdout
    assert said.stdout.count("HDF5") == 1  # one table, from one rank


def test_a_serial_h5py_is_bad(tmp_path: Path) -> None:
    code = "class version:\n    hdf5_version = version = '3.0'\nclass get_config:\n    mpi = False\n"
    said = mpicamnet("doctor", PYTHONPATH=broken(tmp_path, "h5py", code))
    assert said.returncode == 2
    assert "serial, built without MPI" in line(said, "HDF5") and "make setup" in line(said, "HDF5")


def test_a_horovod_that_does_not_load_is_bad(tmp_path: Path) -> None:
    said = mpicamnet("doctor", PYTHONPATH=broken(tmp_path, "horovod", "raise ImportError('libmpi.so.40: cannot open shared object file')"))
    assert said.returncode == 2 and "libmpi.so.40" in line(said, "Horovod") and "make setup" in line(said, "Horovod")


def test_a_missing_horovod_is_bad(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "_version", lambda name: "" if name == "horovod" else "1")
    found = {f.what: f for f in local.findings(None)}
    assert found["Horovod"].level == "bad" and found["Horovod"].found == "not installed"
    assert found["packages"].level == "bad" and "horovod" in found["packages"].found


def test_a_rank_of_another_build_is_named(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "mpicamnet", tmp_path / "mpicamnet", ignore=shutil.ignore_patterns("__pycache__"))
    with (tmp_path / "mpicamnet" / "words.py").open("a") as f:
        f.write("# another build\n")
    doctor = [sys.executable, "-m", "mpicamnet", "doctor"]
    said = end(begin(2, *doctor, ":", "-n", "1", "env", "-C", tmp_path, f"PYTHONPATH={tmp_path}", *doctor), 180)
    assert said.returncode != 0
    assert "rank 2 on" in line(said, "one build") and "another build" in line(said, "one build")


def test_a_config_adds_its_slides_and_its_folder(tmp_path: Path) -> None:
    config = tmp_path / "c.yaml"
    config.write_text(f"work: {tmp_path}/w\ndata: {{layout: folder, root: {tmp_path}/nowhere}}\ntrain: {{threads: 4096}}\n")
    said = mpicamnet("doctor", config)
    assert said.returncode == 2 and "nowhere" in line(said, "slides")
    assert "4096 threads" in line(said, "cores")
