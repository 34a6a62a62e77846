"""Start and end of MPI, and the communicators that stages work on."""
from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import NoReturn

import mpi4py

mpi4py.rc.initialize = False  # a command that needs MPI says so; --help and plan must not start it
mpi4py.rc.finalize = False
from mpi4py import MPI  # noqa: E402

from ..errors import FAULT, UserError  # noqa: E402
from .launcher import refuse_strangers  # noqa: E402

Comm = MPI.Intracomm
AWAKE = 0.02  # seconds that a rank waits awake, in which it gives its core to whoever asks: longer makes nothing faster


@dataclass(frozen=True)
class Communicators:
    """`world`: all ranks. `node`: those that share memory. `train`, `infer`: members of those stages, None on the other ranks."""

    world: Comm
    node: Comm
    train: Comm | None
    infer: Comm | None

    def with_members(self, train_ranks: int | None, per_device: int = 1) -> Communicators:
        """The communicators with members for training and inference: one rank per device trains, `per_device` infer, where nodes have devices, else
        all ranks do; of these the first `train_ranks` train. Gives each rank its device, before TensorFlow looks for one. Collective over the world."""
        world, node = self.world, self.node
        if train_ranks is not None and train_ranks > world.size:
            raise UserError(f"`train.ranks` is {train_ranks}", "", f"there are only {world.size} ranks: start more, or lower it")
        devices = _devices()
        anywhere = world.allreduce(len(devices), op=MPI.MAX) > 0
        if anywhere:
            os.environ.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")  # as nvidia-smi counts them
            os.environ["CUDA_VISIBLE_DEVICES"] = device_of(node.rank, devices, per_device)
        trains, infers = (not anywhere or node.rank < n * len(devices) for n in (1, per_device))
        return Communicators(world, node, _members(world, trains, train_ranks), _members(world, infers, None))


def start() -> Communicators:
    """Initialise MPI; collective over all ranks. Raises UserError, with MPI not running, where the ranks do not find each other."""
    if not MPI.Is_initialized():
        refuse_strangers(os.environ, MPI.Get_library_version())
        if os.environ.get("OMPI_COMM_WORLD_SIZE", "") == os.environ.get("OMPI_COMM_WORLD_LOCAL_SIZE"):
            # All ranks on one node talk through shared memory: looking for fast networks (libfabric) only takes Open MPI 0.2 s.
            os.environ.setdefault("OMPI_MCA_pml", "ob1")
        # Horovod's thread talks with the other ranks every millisecond. Where it spins while it waits, and a rank has one core, it takes that core
        # from the network: two ranks then train 1.3 times as fast as one, and 1.9 times where it gives way.
        os.environ.setdefault("OMPI_MCA_mpi_yield_when_idle", "1")
        MPI.Init_thread(MPI.THREAD_MULTIPLE)
    try:
        refuse_strangers(os.environ, MPI.Get_library_version(), MPI.COMM_WORLD.size)
    except UserError:
        MPI.Finalize()
        raise
    abort_on_uncaught()
    world = MPI.COMM_WORLD.Dup()  # libraries talk on COMM_WORLD; their messages must not meet ours
    node = _intra(world.Split_type(MPI.COMM_TYPE_SHARED, key=world.rank))
    return Communicators(world, node, None, None)


def _members(world: Comm, wanted: bool, most: int | None) -> Comm | None:
    before = world.exscan(int(wanted)) or 0  # None on rank 0
    member = wanted and (most is None or before < most)
    comm = world.Split(0 if member else MPI.UNDEFINED, key=world.rank)
    return _intra(comm) if member else None


def _intra(comm: MPI.Comm) -> Comm:
    assert isinstance(comm, MPI.Intracomm)  # splitting one gives one
    return comm


def device_of(node_rank: int, devices: list[str], per_device: int) -> str:
    """The device of a rank, "-1" for none. They are dealt out in turn, so that the ranks that train, one on each, keep theirs when more infer."""
    return devices[node_rank % len(devices)] if node_rank < per_device * len(devices) else "-1"


def _devices() -> list[str]:
    """Names of the GPUs that this process may use, found without starting a GPU library."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    gpus = Path("/proc/driver/nvidia/gpus")
    present = len(list(gpus.iterdir())) if gpus.is_dir() else 0
    if visible is None:
        return [str(k) for k in range(present)]
    return [v.strip() for v in visible.split(",") if v.strip() not in ("", "-1")][:present]


def finish() -> None:
    """End MPI in order: every rank comes here, with nothing left to send."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
        # A launcher that sees one rank leave with a code other than 0 ends the others: they are leaving, and must do so with the same code.
        signal.signal(number, signal.SIG_IGN)
    sys.stdout.flush()
    sys.stderr.flush()
    if MPI.Is_initialized() and not MPI.Is_finalized():
        MPI.Finalize()


def abort(error: UserError) -> NoReturn:
    """Say an error and end the whole job at once: for a rank that fails where the others cannot be told."""
    if MPI.COMM_WORLD.rank:
        time.sleep(3)  # rank 0 may have met the same error: then it ends the job before this one says it again
    sys.stderr.write(f"mpicamnet: error: {error}\n")
    sys.stderr.flush()
    MPI.COMM_WORLD.Abort(error.code)
    raise error


def abort_on_uncaught() -> None:
    """An error that no fence caught would leave the other ranks waiting for ever: print it and end the whole job."""

    def hook(kind: type[BaseException], value: BaseException, trace: TracebackType | None) -> None:
        if MPI.Is_initialized() and not MPI.Is_finalized():
            sys.stderr.write(f"mpicamnet: fault on rank {MPI.COMM_WORLD.rank}:\n")
        traceback.print_exception(kind, value, trace)
        sys.stderr.flush()
        if MPI.Is_initialized() and not MPI.Is_finalized():
            MPI.COMM_WORLD.Abort(FAULT)

    sys.excepthook = hook


def wait_asleep(comm: Comm, longest: float = 0.05) -> None:
    """A barrier that burns no core: for ranks with nothing to do while others work; collective over `comm`."""
    sleep_until([comm.Ibarrier()], longest)


def sleep_until(requests: list[MPI.Request], longest: float = 0.002) -> None:
    """Wait for requests without burning a core, which another rank may need: Open MPI's own wait spins.

    Awake at first, as waits between ranks at work are short, but giving way: sleep takes 0.05 ms at least, and a core that has slept is slow for a while.
    """
    tired, pause = time.perf_counter() + AWAKE, 0.00002
    while not MPI.Request.Testall(requests):
        if time.perf_counter() < tired:
            os.sched_yield()
        else:
            time.sleep(pause)
            pause = min(2 * pause, longest)
