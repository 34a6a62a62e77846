"""The harness as its user calls it: from a folder, with the names that the command itself gives things."""
from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.launch import ENVIRONMENT, ROOT


def scaling(cwd: Path, *words: str) -> str:
    env = {**os.environ, **ENVIRONMENT, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-m", "scaling", *words], cwd=cwd, env=env, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_extraction_is_measured_predicted_and_reported_in_the_folder_that_is_meant(tmp_path: Path) -> None:
    """In runs/scaling below where the user is: the folder that is taken where none is named."""
    for study in ("strong", "weak"):
        said = scaling(tmp_path, study, "--side", "4096", "--only", "extract", "--ranks", "1", "2", "--repeats", "1")
        assert f"{study}, extract, extract: 2 ranks" in said
    said = scaling(tmp_path, "predict", "--machine", "prometheus", "--nodes", "1,10")
    assert "held out: weak, 2 ranks, 2 slides of 4096 px" in said and "10 nodes" in said
    scaling(tmp_path, "report")
    made = tmp_path / "runs" / "scaling"
    assert "Strong scaling" in (made / "report.md").read_text() and (made / "pictures" / "strong.png").exists()
    assert not list(made.glob("work-*"))
