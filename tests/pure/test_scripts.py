"""The shell scripts: clean by shellcheck, and each job as its readers expect it."""
from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
JOBS = [p for p in sorted((ROOT / "jobs").rglob("*.sh")) if "\n#SBATCH --" in p.read_text()]


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="no shellcheck (as root, `install/system.sh tests` installs it)")
def test_shellcheck_finds_nothing() -> None:
    scripts = [*sorted((ROOT / "jobs").rglob("*.sh")), *sorted((ROOT / "install").glob("*.sh")), ROOT / ".ci" / "run"]
    done = subprocess.run(["shellcheck", "-x", *map(str, scripts)], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("job", JOBS, ids=lambda p: p.name)
def test_a_job_takes_a_config_starts_one_srun_is_queued_again_and_says_what_to_edit(job: Path) -> None:
    text = job.read_text()
    assert re.search(r"^# .*sbatch .*CONFIG", text, re.MULTILINE) and re.search(r"^# .*Edit: ", text, re.MULTILINE)
    assert len(re.findall(r'^srun "\$\{program\[@\]\}" \w+ "\$@"', text, re.MULTILINE)) == 1
    assert text.endswith("leave $?\n")
    directives = " ".join(line for line in text.splitlines() if line.startswith("#SBATCH"))
    for option in ("--signal=USR1@", "--requeue", "--open-mode=append", "--partition=", "--time="):
        assert option in directives
    assert job.stat().st_mode & 0o111
