"""Processes that were started together but do not find each other are refused; those that do, and those that are alone, are not."""
from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from mpicamnet.errors import UserError
from mpicamnet.ranks.launcher import refuse_strangers, tasks_started

OPEN_MPI, MPICH = "Open MPI v4.1.4, package: Debian OpenMPI, ident: 4.1.4", "MPICH Version: 4.0.2"
SRUN = {"SLURM_NTASKS": "4", "SLURM_STEP_NUM_TASKS": "4", "SLURM_PROCID": "1"}  # as SLURM 22.05 sets them


@pytest.mark.parametrize(("environment", "library", "size"), [
    ({}, OPEN_MPI, None), ({}, OPEN_MPI, 1),
    ({**SRUN, "PMIX_RANK": "1"}, OPEN_MPI, None), (SRUN, OPEN_MPI, 4),
    ({**SRUN, "SLURM_STEP_NUM_TASKS": "1"}, OPEN_MPI, 1),
    ({"SLURM_NTASKS": "4", "SLURM_PROCID": "0"}, OPEN_MPI, 1),  # a command of the batch script itself, beside its steps
    ({**SRUN, "OMPI_COMM_WORLD_SIZE": "1", "OMPI_COMM_WORLD_RANK": "0"}, OPEN_MPI, 1),  # `mpirun -n 1` on another node of the job
    (SRUN, MPICH, None), ({**SRUN, "PMI_RANK": "1", "PMI_SIZE": "4"}, MPICH, 4),
])
def test_ranks_that_find_each_other_or_are_alone_pass(environment: dict[str, str], library: str, size: int | None) -> None:
    refuse_strangers(environment, library, size)


@pytest.mark.parametrize(("environment", "library", "size"), [
    (SRUN, OPEN_MPI, None), (SRUN, OPEN_MPI, 1), (SRUN, MPICH, 1), ({"PMI_RANK": "1", "PMI_SIZE": "4"}, OPEN_MPI, 1),
])
def test_strangers_are_refused_with_the_way_to_start_them(environment: dict[str, str], library: str, size: int | None) -> None:
    with pytest.raises(UserError, match="4 processes .* alone.*srun --mpi=pmix"):
        refuse_strangers(environment, library, size)


@pytest.mark.parametrize(("components", "refused"), [("mca:pmix:isolated:version\\nmca:pmix:ext3x:version", True), ("mca:pmix:s2:version", False)])
def test_an_open_mpi_with_pmi_2_may_be_started_with_it(components: str, refused: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ompi_info = tmp_path / "ompi_info"
    ompi_info.write_text(f'#!/bin/sh\nprintf "{components}\\n"\n')
    ompi_info.chmod(ompi_info.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    pmi2 = {**SRUN, "PMI_RANK": "1", "PMI_SIZE": "4"}
    if refused:
        with pytest.raises(UserError, match="alone"):
            refuse_strangers(pmi2, OPEN_MPI)
    else:
        refuse_strangers(pmi2, OPEN_MPI)


def test_the_nearest_launcher_says_how_many_were_started() -> None:
    assert tasks_started(SRUN) == 4
    assert tasks_started({**SRUN, "OMPI_COMM_WORLD_SIZE": "2"}) == 2
    assert tasks_started({"SLURM_NTASKS": "4"}) == 1
