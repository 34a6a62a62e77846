"""The laws of the house, held over the source: imports go downward, MPI lives in one room, the command line loads nothing heavy."""
from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

HOME = Path(__file__).parents[2] / "mpicamnet"
FLOORS = {  # a room may import rooms of lower numbers, and itself
    "errors": 0, "words": 0, "terminal": 0, "examples": 0, "compiled": 0,
    "config": 1, "config_reference": 2, "ranks": 2, "slides": 2, "synth": 2, "timings": 2, "job": 3, "made": 1,
    "patches": 4, "staging": 4, "train": 5, "infer": 6,
    "evaluate": 4, "explain": 7, "stages": 7, "verify": 8, "report": 8, "plan": 8, "program": 9, "doctor": 9, "completion": 9, "cli": 10, "__main__": 11,
}
MODULES = sorted(HOME.rglob("*.py"))


def imports(path: Path) -> list[tuple[str, str]]:
    """(top-level name, whole name) of each import anywhere in a module; own modules without `mpicamnet.`."""
    package = ["mpicamnet", *path.relative_to(HOME).parent.parts]
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [(a.name.split(".")[0], a.name) for a in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[:len(package) - node.level + 1] if node.level else []
            name = ".".join([*base, *([node.module] if node.module else [])])
            found += [(name.split(".")[0], f"{name}.{a.name}") for a in node.names]
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(HOME)))
def test_imports_go_downward_and_mpi_stays_in_ranks(path: Path) -> None:
    room = path.relative_to(HOME).parts[0].removesuffix(".py")
    for top, name in imports(path):
        if top == "mpicamnet":
            other = name.split(".")[1] if "." in name else "__init__"
            if room != "__init__" and other in FLOORS and other != room:
                assert FLOORS[other] < FLOORS[room], f"{room} imports {other}"
        if top == "mpi4py":
            assert room == "ranks"
        if top in ("h5py", "tensorflow", "keras", "horovod"):
            assert room not in ("slides", "ranks", "synth", "config", "errors")
        if top in ("tensorflow", "keras", "horovod"):
            assert room in ("train", "infer", "explain", "doctor")


@pytest.mark.parametrize("path", sorted((HOME / "evaluate").glob("*.py")), ids=lambda p: p.name)
def test_evaluation_knows_of_slides_what_is_true_of_them_and_never_their_pixels(path: Path) -> None:
    """Outlines and tables of stages are truth that no other file holds; all else comes from predictions.h5, so that measures need no slides."""
    taken = {name.rsplit(".", 1)[1] for top, name in imports(path) if top == "mpicamnet" and name.startswith("mpicamnet.slides")}
    assert taken <= {"SlideRecord", "read_annotation", "patient_stages"}
    assert not taken or path.name in ("truth.py", "stage.py")


def test_a_rank_starts_without_scipy_or_tensorflow() -> None:
    """Each rank of thousands loads what `program` loads, from one shared file system; scipy.ndimage alone is 0.3 s and 100 files."""
    heavy = {"scipy.ndimage", "scipy.special", "scipy.linalg", "skimage", "tensorflow", "keras", "matplotlib", "jinja2"}
    code = f"import sys, mpicamnet.program; print(*{heavy} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60).stdout.strip() == ""
