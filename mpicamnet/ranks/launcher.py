"""Whether the processes that a launcher started find each other: srun without the PMIx that this MPI speaks starts strangers.

Each would be rank 0 of a world of one, and all would do the same work over each other's files; or MPI ends them with a page of its own.
"""
from __future__ import annotations

import subprocess
from collections.abc import Mapping

from ..errors import UserError


def tasks_started(environment: Mapping[str, str]) -> int:
    """How many processes were started together, by the word of the launcher nearest to them: mpirun, a PMI server, else srun."""
    for name in ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"):  # mpirun in a job starts its daemons by srun: its own word counts
        if environment.get(name, "").isdigit():
            return int(environment[name])
    return 1


def refuse_strangers(environment: Mapping[str, str], library: str, size: int | None = None) -> None:
    """Raise UserError where processes that belong together do not find each other.

    Before MPI starts (`size` None) by the environment that `library` (MPI.Get_library_version) needs; afterwards by the world's `size`.
    """
    started = tasks_started(environment)
    if started <= 1:
        return
    if size is None:
        found = "Open MPI" not in library or any(n in environment for n in ("PMIX_RANK", "OMPI_COMM_WORLD_RANK")) or \
            ("PMI_RANK" in environment and _speaks_pmi())
    else:
        found = size > 1
    if not found:
        raise UserError(f"{started} processes were started together, but to MPI each is alone", library.split(",")[0],
                        "start them by `srun --mpi=pmix` (`srun --mpi=list` says what there is), or by this MPI's own `mpirun` inside the job")


def _speaks_pmi() -> bool:
    """Whether this Open MPI was built with the older PMI-1 or PMI-2 too; True where it cannot be asked."""
    try:
        said = subprocess.run(["ompi_info", "--parsable", "--param", "pmix", "all"], capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return True
    return any(f"mca:pmix:{name}:" in said for name in ("s1", "s2", "cray"))
