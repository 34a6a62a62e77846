"""What only all ranks together can see: are they one job, of one build, on one file system, and how fast are they? Collective."""
from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from pathlib import Path

from ..errors import UserError
from ..job import software
from ..ranks import Comm, fence
from ..ranks.bandwidth import allreduce_rate, hosts, library, write_rate
from ..words import size
from .finding import Finding

HOME = Path(__file__).parents[1]


def findings(comm: Comm, folder: Path) -> list[Finding]:
    """The same on every rank; `folder` is where the small write is measured."""
    return [_job(comm), _one_mpi(), _build(comm), *_crowding(comm), _shared(comm, folder), _allreduce(comm), _write(comm, folder)]


def worst(comm: Comm, mine: list[Finding]) -> list[Finding]:
    """Rank 0's findings, and under each what other ranks found worse; collective."""
    every = comm.allgather(mine)
    names = hosts(comm)
    out = []
    for i, first in enumerate(every[0]):
        out.append(first)
        others: dict[tuple[str, str, str, str], list[int]] = {}
        for rank, found in enumerate(every[1:], 1):
            f = found[i]
            if f.level != "good" and (f.level, f.found) != (first.level, first.found):
                others.setdefault((f.level, f.what, f.found, f.mend), []).append(rank)
        out += [Finding(found[i].level, f.what, f"rank {ranks[0]} on {names[ranks[0]]}" + f" and {len(ranks) - 1} more" * (len(ranks) > 1) + f": {f.found}",
                        f.mend) for ranks in others.values() for found in [every[ranks[0]]] for f in [found[i]]]
    return out


def _job(comm: Comm) -> Finding:
    nodes = Counter(hosts(comm))
    return Finding("good", "MPI", f"{library()}; {comm.size} rank{'s' * (comm.size > 1)} on {len(nodes)} node{'s' * (len(nodes) > 1)}")


def _one_mpi() -> Finding:
    """Two MPI libraries in one process crash late and darkly: mpi4py, h5py and Horovod must have been built on the same."""
    libraries = sorted({line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines() if re.search(r"/libmpi(ch)?\.so", line)})
    if len(libraries) > 1:
        return Finding("bad", "one MPI", "several are loaded: " + ", ".join(libraries),
                       "say `make setup` with only one MPI module loaded: h5py and Horovod are then built on it")
    return Finding("good", "one MPI", ", ".join(libraries) or "linked into mpi4py")


def _build(comm: Comm) -> Finding:
    """Ranks of two builds would disagree in the middle of a run."""
    every = comm.allgather((software(), sources()))
    if len(set(every)) == 1:
        return Finding("good", "one build", f"all ranks run the sources {every[0][1][:12]}")
    common = Counter(every).most_common(1)[0][0]
    other = next(r for r, e in enumerate(every) if e != common)
    return Finding("bad", "one build", f"rank {other} on {hosts(comm)[other]} runs another build of the program or of its libraries",
                   "start all ranks from one environment: one venv or image on a file system that all nodes see")


def sources() -> str:
    """Hex SHA-256 over the program's own files."""
    h = hashlib.sha256()
    for path in sorted(HOME.rglob("*.py")):
        h.update(str(path.relative_to(HOME)).encode() + b"\0" + path.read_bytes())
    return h.hexdigest()


def _crowding(comm: Comm) -> list[Finding]:
    """More ranks than cores on a node take turns, and waiting ranks spin."""
    names, cores = hosts(comm), comm.allgather(os.cpu_count() or 1)
    crowded = [(host, n, cores[names.index(host)]) for host, n in Counter(names).items() if n > cores[names.index(host)]]
    if not crowded:
        return []
    host, n, most = crowded[0]
    return [Finding("look", "crowding", f"{n} ranks on the {most} cores of {host}", "start as many ranks as there are cores, or fewer")]


def _shared(comm: Comm, folder: Path) -> Finding:
    """All ranks must see one `work`."""
    token = folder / f".mpicamnet-doctor-{os.getpid()}"
    told: Path = comm.bcast(token, root=0)
    with fence(comm, folder):
        if comm.rank == 0:
            told.write_text("seen")
    seen = comm.allgather(told.exists())
    with fence(comm, folder):
        if comm.rank == 0:
            told.unlink()
    blind = [r for r, s in enumerate(seen) if not s]
    if blind:
        return Finding("bad", "shared files", f"rank {blind[0]} on {hosts(comm)[blind[0]]} does not see {folder}",
                       "choose a `work` on the file system that all nodes share")
    return Finding("good", "shared files", f"all ranks see {folder}")


def _allreduce(comm: Comm) -> Finding:
    rate = allreduce_rate(comm)
    return Finding("good", "allreduce", "one rank alone" if comm.size == 1 else f"{size(rate)}/s for 16 MiB over {comm.size} ranks")


def _write(comm: Comm, folder: Path) -> Finding:
    path: Path = comm.bcast(folder / f".mpicamnet-doctor-{os.getpid()}.data", root=0)
    try:
        rate = write_rate(comm, path)
    except UserError as e:
        return Finding("bad", "writing", f"{e.what}: {e.where}", e.mend)
    return Finding("good", "writing", f"{size(rate)}/s, all ranks into one file, synced")
