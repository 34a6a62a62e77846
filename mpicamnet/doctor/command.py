"""`mpicamnet doctor [CONFIG]`, alone or under mpirun."""
from __future__ import annotations

import tempfile
from pathlib import Path

from .. import config as cfg
from ..errors import DONE, USAGE
from . import local
from .finding import Finding, print_table


def run(config_path: Path | None, overrides: list[str]) -> int:
    """Print the table on rank 0; returns the exit code: 2 where something is bad. Collective from the start of MPI, where there is one."""
    config = cfg.load(config_path, overrides) if config_path is not None else None
    found = local.findings(config)
    try:
        from ..ranks import finish, start
    except ImportError as e:
        return _end([Finding("bad", "MPI", f"mpi4py cannot be loaded: {e}", local.SETUP), *found])
    comms = start()
    from . import together

    folder = Path(config.work) if config is not None else Path.cwd()
    folder = next(p for p in (folder, *folder.parents) if p.is_dir())
    if config is None and comms.world.size == 1:
        folder = Path(tempfile.gettempdir())
    found = together.worst(comms.world, found) + together.findings(comms.world, comms.world.bcast(folder, root=0))
    if comms.world.rank == 0:
        _end(found)
    finish()
    return _code(found)


def _end(found: list[Finding]) -> int:
    print_table(found)
    bad = sum(f.level == "bad" for f in found)
    look = sum(f.level == "look" for f in found)
    print("fit for a run" if not bad + look else f"{bad} bad, {look} to look at")
    return _code(found)


def _code(found: list[Finding]) -> int:
    return USAGE if any(f.level == "bad" for f in found) else DONE
