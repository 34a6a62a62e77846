"""`mpicamnet verify`: do the files in `work` still hold what was written into them? Collective."""
from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path

from .errors import UserError
from .infer.predictions import content_of
from .made import recorded
from .patches import verify as patches
from .ranks import Comm, Log, fence
from .stages import STAGES


def verify(comm: Comm, work: Path, log: Log) -> None:
    """Say of each stage's output that it holds, or is not there; collective. Raises UserError on all ranks at the first that does not hold."""
    there = 0
    for stage in STAGES:
        path = work / stage.output
        if not comm.bcast(path.exists(), root=0):
            log.say(f"{stage.output}: not there")
            continue
        there += 1
        if stage.name == "extract":
            log.say(f"{stage.output}: {patches.verify(path, comm):,} rows, each gives its digest")
            continue
        with fence(comm, path):
            if comm.rank == 0:
                log.say(f"{stage.output}: {_checked(path)}")
    with fence(comm, work):
        if not there:
            raise UserError("nothing has been made here", work, "see `work` in the config")


def _checked(path: Path) -> str:
    """In words, what was checked; raises UserError where it does not hold."""
    made = recorded(path)
    if path.name == "predictions.h5":
        found, words = content_of(path), "its tiles give its digest"
    elif path.suffix == ".json":
        said = json.loads(path.read_text(encoding="utf-8"))
        content = {k: v for k, v in said.items() if k not in ("config", "config_digest", "content_digest")}
        found, words = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest(), "its measures give its digest"
    elif path.suffix == ".keras":
        with zipfile.ZipFile(path) as z:
            broken = z.testzip()
        found, words = made.content_digest if broken is None else "", "every part gives its checksum"
    else:
        return "can be read, and says what it was made from"
    if found != made.content_digest:
        raise UserError("this file does not hold what was written", path, "it was damaged or changed: remove it and run again")
    return words
