"""What a stage is handed: config, catalogue, communicators, log, clock."""
from __future__ import annotations

import functools
import importlib.metadata
import json
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from .config import Config
from .errors import SlideError
from .ranks import Clock, Communicators, Log, Signals, fence
from .ranks.clock import append_timing
from .slides import SlideRecord
from .timings import likeness


@dataclass
class Job:
    """One stage's work order; the same on every rank but for `clock`.

    `digest` is what the stage's output must carry; `records` is the catalogue in its fixed order; `failed` collects slides left out.
    """

    config: Config
    comms: Communicators
    log: Log
    clock: Clock
    signals: Signals
    records: list[SlideRecord]
    digest: str
    work: Path
    failed: list[SlideError] = field(default_factory=list)

    def leave_out(self, errors: list[SlideError]) -> None:
        """Name slides that could not be processed; the run goes on, and ends with exit code 3."""
        for e in errors:
            self.log.warn(f"slide left out: {e}")
        self.failed.extend(errors)

    def write_timing(self, stage: str, phases: list[str], work: str = "") -> None:
        """Append the stage's lines to timing.jsonl, and say how evenly the phase `work` fell on the ranks; collective over the world."""
        rows = self.clock.table(self.comms.world, phases)
        for seconds in (row["seconds"] for row in rows if row["phase"] == work and self.comms.world.size > 1 and row["seconds"]["mean"] > 0):
            self.log.say(f"  imbalance {seconds['max'] / seconds['mean']:.2f} (slowest rank over mean, {work})")
        with fence(self.comms.world, self.work):
            if self.comms.world.rank == 0:
                append_timing(self.work / "timing.jsonl", stage, rows, likeness(stage, self.config), commit())


@functools.cache
def software() -> str:
    """Versions that shape results, as JSON: what a file says it was made with."""
    names = ["mpicamnet", "numpy", "numba", "h5py", "mpi4py", "imagecodecs", "openslide-python", "openslide-bin", "shapely", "scikit-image",
             "tensorflow-cpu", "tensorflow", "keras", "horovod"]
    found = {}
    for name in names:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return json.dumps({**found, "commit": commit()})


@functools.cache
def commit() -> str:
    """The commit of the checkout that the program runs from; the version where it is installed."""
    here = Path(__file__).parent
    try:
        done = subprocess.run(["git", "-C", str(here), "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, timeout=10, check=True)
        return done.stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return importlib.metadata.version("mpicamnet")
