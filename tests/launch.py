"""Start programs under mpirun with a time-out: a hang is a failure that says so, and leaves no process behind."""
from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
ENVIRONMENT = {
    "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "OMP_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3",
    "OMPI_MCA_btl_vader_single_copy_mechanism": "none",  # containers often forbid it
}


def command(ranks: int, *words: object) -> list[str]:
    """`words` after `mpirun -n ranks`, or alone where ranks is 0."""
    start = ["mpirun", "--oversubscribe", "--bind-to", "none", "-n", str(ranks)] if ranks else []
    return [*start, *map(str, words)]


def begin(ranks: int, *words: object, **env: str) -> subprocess.Popen[str]:
    return subprocess.Popen(command(ranks, *words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, start_new_session=True,
                            env={**os.environ, **ENVIRONMENT, **env})


def end(p: subprocess.Popen[str], timeout: float) -> subprocess.CompletedProcess[str]:
    try:
        out, err = p.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(p.pid, signal.SIGKILL)
        out, err = p.communicate()
        raise AssertionError(f"no end within {timeout} s: {p.args}\n{out[-1000:]}\n{err[-2000:]}") from None
    return subprocess.CompletedProcess(p.args, p.returncode, out, err)


def mpicamnet(*words: object, ranks: int = 0, timeout: float = 180, **env: str) -> subprocess.CompletedProcess[str]:
    """The command, on that many ranks (0: alone, without mpirun)."""
    return end(begin(ranks, sys.executable, "-m", "mpicamnet", *words, **env), timeout)


def good(*words: object, ranks: int = 0, timeout: float = 180, **env: str) -> str:
    p = mpicamnet(*words, ranks=ranks, timeout=timeout, **env)
    assert p.returncode == 0, f"exit {p.returncode}: {words}\n{p.stdout[-2000:]}\n{p.stderr[-3000:]}"
    return p.stdout


def error_line(p: subprocess.CompletedProcess[str], code: int) -> str:
    """The one line of a user's error; fails on another exit code, on a traceback, on more lines than one."""
    lines = [line for line in p.stderr.splitlines() if line.startswith("mpicamnet: error:")]
    assert p.returncode == code, f"exit {p.returncode}, not {code}\n{p.stdout[-1000:]}\n{p.stderr[-3000:]}"
    assert "Traceback" not in p.stdout + p.stderr, p.stderr[-3000:]
    assert len(lines) == 1, p.stderr[-2000:]
    return lines[0]


def on_ranks(ranks: int, function: Callable[..., Any], *args: Any, timeout: float = 90) -> list[Any]:
    """Run a function of a test module on every rank under mpirun, and return what each rank returned (as JSON), in rank order.

    The function takes a Communicators, then `args`.
    """
    code = ("import json, sys; import mpicamnet.ranks as r; import importlib; comms = r.start(); "
            f"f = getattr(importlib.import_module({function.__module__!r}), {function.__name__!r}); "
            "out = comms.world.gather(f(comms, *json.loads(sys.argv[1])), root=0); "
            "comms.world.rank or print('RESULT ' + json.dumps(out), flush=True); r.finish()")
    p = end(begin(ranks, sys.executable, "-c", code, json.dumps(args)), timeout)
    assert p.returncode == 0, f"exit {p.returncode}\n{p.stdout[-2000:]}\n{p.stderr[-3000:]}"
    line = next(line for line in p.stdout.splitlines() if line.startswith("RESULT "))
    result: list[Any] = json.loads(line[7:])
    return result


def ranks_of(mpirun: int) -> list[int]:
    """Pids of the mpicamnet processes that descend from a pid."""
    parents = {}
    for p in Path("/proc").iterdir():
        if p.name.isdigit():
            try:
                parents[int(p.name)] = int((p / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except OSError:  # it ended while we looked
                continue
    found = []
    for pid in parents:
        above = parents[pid]
        while above in parents and above != mpirun:
            above = parents[above]
        try:
            if above == mpirun and b"mpicamnet" in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(pid)
        except OSError:
            continue
    return sorted(found)
