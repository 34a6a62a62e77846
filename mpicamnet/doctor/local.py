"""What one process can see by itself: interpreter, libraries, cores, folders. Knows no MPI.

The only place that catches every exception: a library may be broken in any way, and saying so is the purpose.
"""
from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from .. import config as cfg
from ..errors import UserError
from ..words import size
from .finding import Finding

SETUP = "say `make setup`"
ENOUGH = 2 << 30  # bytes of memory for a rank, and of disk for a small run


def findings(config: cfg.Config | None) -> list[Finding]:
    """All that this process finds, in the order of the table; `config` adds what a run of it needs."""
    checks: list[tuple[str, Callable[[], Finding]]] = [
        ("Python", _python), ("packages", _packages), ("HDF5", _hdf5), ("TensorFlow", _tensorflow), ("Horovod", _horovod), ("OpenSlide", _openslide),
        ("Numba", _numba), ("cores", lambda: _cores(config)), ("memory", _memory),
    ]
    if config is not None:
        checks += [("slides", lambda: _slides(config)), ("work", lambda: _work(config))]
    return [_checked(what, check) for what, check in checks]


def _checked(what: str, check: Callable[[], Finding]) -> Finding:
    try:
        return check()
    except UserError as e:
        return Finding("bad", what, f"{e.what}: {e.where}", e.mend)
    except Exception as e:
        return Finding("bad", what, f"{type(e).__name__}: " + " ".join(str(e).split())[:200], SETUP)


def _python() -> Finding:
    return Finding("good", "Python", f"{sys.version.split()[0]}, {sys.executable}")


def _packages() -> Finding:
    wanted = [re.split(r"[^\w.-]", line)[0] for line in importlib.metadata.requires("mpicamnet") or [] if "extra ==" not in line]
    missing = [name for name in wanted if not _version(name)]
    if "tensorflow-cpu" in missing and _version("tensorflow"):
        missing.remove("tensorflow-cpu")  # the build for GPUs
    if missing:
        return Finding("bad", "packages", "not installed: " + ", ".join(missing), f"{SETUP}, or install them into this Python")
    return Finding("good", "packages", f"all {len(wanted)} there; mpicamnet {_version('mpicamnet')}")


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _hdf5() -> Finding:
    import h5py

    words = f"{h5py.version.hdf5_version}, h5py {h5py.version.version}"
    if not h5py.get_config().mpi:
        return Finding("bad", "HDF5", f"{words}: serial, built without MPI", f"{SETUP}, which builds h5py on parallel HDF5")
    return Finding("good", "HDF5", f"{words}, parallel")


def _tensorflow() -> Finding:
    from ..train.engine import start_tensorflow

    tf, keras = start_tensorflow(1)
    gpus = len(tf.config.list_physical_devices("GPU"))
    return Finding("good", "TensorFlow", f"{tf.__version__}, Keras {keras.__version__}, " + (f"{gpus} GPUs" if gpus else "CPU only"))


def _horovod() -> Finding:
    if not _version("horovod"):
        return Finding("bad", "Horovod", "not installed", f"{SETUP}, which builds it with MPI and TensorFlow")
    import horovod.tensorflow as hvd

    if not hvd.mpi_built():
        return Finding("bad", "Horovod", f"{_version('horovod')}: built without MPI", f"{SETUP}, which builds it with MPI (HOROVOD_WITH_MPI=1)")
    return Finding("good", "Horovod", f"{_version('horovod')}, with MPI" + (" and NCCL" if hvd.nccl_built() else ""))


def _openslide() -> Finding:
    import openslide

    return Finding("good", "OpenSlide", openslide.__library_version__)


def _numba() -> Finding:
    import numba

    caches = [Path(p) for p in (os.environ.get("NUMBA_CACHE_DIR"), str(Path(__file__).parents[1] / "patches"), str(Path.home())) if p]
    if not any(os.access(p, os.W_OK) for p in caches):
        return Finding("look", "Numba", f"{numba.__version__}: compiled code cannot be kept, so every rank compiles anew (20 s)",
                       "set NUMBA_CACHE_DIR to a folder that you may write to")
    return Finding("good", "Numba", numba.__version__)


def _cores(config: cfg.Config | None) -> Finding:
    mine = len(os.sched_getaffinity(0))
    wanted = max(config.train.threads, config.infer.threads or 1) if config is not None else 1
    if wanted > mine:
        return Finding("look", "cores", f"this rank may use {mine}, the config wants {wanted} threads",
                       "give each rank more: srun --cpus-per-task, mpirun --map-by slot:PE=N; or lower train.threads and infer.threads")
    return Finding("good", "cores", f"{mine} of {os.cpu_count()} for this rank")


def _memory() -> Finding:
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if free < ENOUGH:
        return Finding("look", "memory", f"{size(free)} free", "a rank takes about 0.5 GB to extract and 1 to 2 GB to train")
    return Finding("good", "memory", f"{size(free)} free on this node")


def _slides(config: cfg.Config) -> Finding:
    from ..slides import catalogue

    records = catalogue(config.data)
    return Finding("good", "slides", f"{len(records)}, {sum(r.annotation is not None for r in records)} annotated, in {config.data.root or config.data.csv}")


def _work(config: cfg.Config) -> Finding:
    folder = Path(config.work)
    there = next(p for p in (folder, *folder.parents) if p.exists())
    if not os.access(there, os.W_OK):
        return Finding("bad", "work", f"{there} cannot be written to", "choose another `work`")
    free = shutil.disk_usage(there).free
    if free < ENOUGH:
        return Finding("look", "work", f"{size(free)} free in {there}", "`mpicamnet plan` says what a run needs")
    return Finding("good", "work", f"{folder}, {size(free)} free")
