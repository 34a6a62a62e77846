"""Under mpirun: the extract stage, N times after one to warm up; prints each rank's peak memory and a JSON list of seconds."""
from __future__ import annotations

import json
import mmap
import shutil
import sys
import time
from pathlib import Path

from mpicamnet import config as cfg
from mpicamnet.job import Job
from mpicamnet.patches import stage
from mpicamnet.ranks import Clock, Communicators, Log, Signals, finish, start
from mpicamnet.ranks.clock import most_held
from mpicamnet.slides import catalogue


def job_of(comms: Communicators, path: str, *overrides: str) -> Job:
    config = cfg.load(path, list(overrides))
    work = Path(config.work)
    if comms.world.rank == 0:
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
    comms.world.Barrier()
    return Job(config, comms, Log(comms.world.rank, "quiet"), Clock(), Signals(), catalogue(config.data), "bench", work)


def seconds(comms: Communicators, path: str, *overrides: str) -> tuple[float, float, Job]:
    """One extraction, from before the slide is opened until the file has its name: seconds on the wall, CPU seconds of this rank."""
    job = job_of(comms, path, *overrides)
    warm(job, path, *overrides)
    comms.world.Barrier()
    begun, cpu = time.perf_counter(), time.process_time()
    stage.run(job)
    cpu = time.process_time() - cpu
    comms.world.Barrier()
    return time.perf_counter() - begun, cpu, job


def warm(job: Job, path: str, *overrides: str) -> None:
    """Hold page frames, and work, until the clock starts. A hypervisor takes back frames some 2 s after they were freed (free page reporting) or last
    used, and the next use costs a fault: what earlier runs freed is taken while we hold ours, and ours are used once more just before they are let go.
    Huge pages for the file, by each rank for its part, and small ones for arrays. All ranks extract meanwhile, without px: so that slide, kernels and
    heap are in use, and because a core that has slept runs at half its speed for a tenth of a second."""
    world, spare = job.comms.world, job.work.with_suffix(f".spare{job.comms.world.rank}")
    part = bytes((1800 << 20) // world.size)
    with mmap.mmap(-1, 256 << 20) as small, spare.open("w+b", 0) as large:
        small.madvise(mmap.MADV_NOHUGEPAGE)

        def use() -> None:
            large.seek(0)
            large.write(part)
            small[::mmap.PAGESIZE] = bytes(len(small) // mmap.PAGESIZE)

        use()
        begun = time.perf_counter()
        while world.bcast(time.perf_counter() - begun) < 3:
            stage.run(job_of(job.comms, path, *overrides, "extract.storage=coords", f"work={job.work}-warm"))
        use()
        world.Barrier()
        spare.unlink()
    world.Barrier()


def main() -> None:
    comms = start().with_members(None)
    stage.run(job_of(comms, sys.argv[1]))
    peak = max(comms.world.allgather(most_held())) >> 20  # before frames are held
    found = [seconds(comms, sys.argv[1])[0] for _ in range(int(sys.argv[2]))]
    if comms.world.rank == 0:
        print("peak", peak, "MiB")
        print(json.dumps(found))
    finish()


if __name__ == "__main__":
    main()
