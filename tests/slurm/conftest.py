"""A SLURM of four nodes, and a folder on its shared file system that looks like a user's checkout, with the jobs edited to its size."""
from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from mpicamnet.synth import draw_cohort
from tests.launch import ENVIRONMENT, ROOT

from .cluster import Cluster, why_not


class Site:
    """A user's checkout on a cluster: submits jobs from its top."""

    def __init__(self, folder: Path, cluster: Cluster):
        self.folder, self.cluster = folder, cluster
        shutil.copytree(ROOT / "jobs", folder / "jobs")
        (folder / ".venv").symlink_to(sys.prefix)
        for script in (folder / "jobs").rglob("*.sh"):
            text = script.read_text()
            for option, value in (("--nodes", "2"), ("--ntasks-per-node", "1"), ("--gpus-per-node", "1"), ("extract.per_class", "30")):
                text = re.sub(rf"{option}=\d+", f"{option}={value}", text)
            script.write_text(text)

    def edit(self, script: str, **values: str) -> None:
        """Change NAME=VALUE in a job, as its head tells users to."""
        path = self.folder / "jobs" / script
        lines = path.read_text().splitlines(keepends=True)
        for name, value in values.items():
            n = [i for i, line in enumerate(lines) if not line.startswith("# ") and re.search(rf"\b{name}=", line)]
            assert len(n) == 1, f"{name}= in {script}"
            lines[n[0]] = re.sub(rf"(?<=\b{name}=)\S+", value, lines[n[0]])
        path.write_text("".join(lines))

    def call(self, *words: object) -> str:
        """A command at the top of the checkout, on the login node."""
        environment = {k: v for k, v in ENVIRONMENT.items() if k.startswith("OMPI_MCA")}
        return self.cluster.ask("env", "-C", self.folder, *words, PYTHONPATH=str(ROOT), **environment)

    def submit(self, script: str, *words: object, options: tuple[str, ...] = ()) -> str:
        """The number of the job."""
        return self.call("sbatch", "--parsable", *options, f"jobs/{script}", *words).strip()


@pytest.fixture(scope="session")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("cohort") / "slides"
    draw_cohort(root, slides=3, size=2048, seed=5)
    return root


def started(nodes: int, mbit: int | None = None) -> Iterator[Cluster]:
    """A cluster for as long as it is wanted; skips the test where there can be none."""
    if why := why_not():
        pytest.skip(f"SLURM cannot be started here: {why}")
    folder = Path(tempfile.mkdtemp(prefix="slurm-", dir="/tmp"))  # sockets want a short path
    made = Cluster(folder, nodes, mbit)
    try:
        yield made
    finally:
        made.end()
        if not os.environ.get("KEEP_SLURM_LOGS"):
            shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    yield from started(4)


@pytest.fixture
def slow_cluster() -> Iterator[Cluster]:
    """Two nodes, joined by links of 100 Mbit/s."""
    yield from started(2, mbit=100)


@pytest.fixture
def site(cluster: Cluster, tmp_path: Path) -> Iterator[Site]:
    yield Site(tmp_path, cluster)
    cluster.settle()
