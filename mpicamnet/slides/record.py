"""What the catalogue knows of a slide, and a digest of it: runs with the same digest work on the same slides, outlines and labels."""
from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass

from ..errors import SlideError

STAGES = ("negative", "itc", "micro", "macro")


@dataclass(frozen=True)
class SlideRecord:
    """A slide of the catalogue.

    `center`, `patient`, `node`: -1 where unknown. `stage`: negative, itc, micro, macro, or "" where unknown. `annotation`: the path of its
    outlines. `background`: the label outside the outlines, 0 where the slide is negative or annotated, else -1. `mpp`: um per px of
    level 0, where the table says so.
    """
    name: str
    path: str
    center: int = -1
    patient: int = -1
    node: int = -1
    stage: str = ""
    annotation: str | None = None
    background: int = -1
    mpp: float | None = None


def background_of(stage: str, annotation: str | None) -> int:
    """0 where outside the outlines is normal tissue: the slide is annotated, or known to be negative; -1 where nobody can tell."""
    return 0 if annotation is not None or stage == "negative" else -1


def catalogue_digest(records: Iterable[SlideRecord]) -> str:
    """Hex SHA-256 over each slide's name, file size, outlines, stage, background and mpp; raises SlideError where a file cannot be read."""
    whole = hashlib.sha256()
    for r in records:
        try:
            size = os.path.getsize(r.path)
            outlines = None
            if r.annotation is not None:
                with open(r.annotation, "rb") as f:
                    outlines = hashlib.file_digest(f, "sha256").hexdigest()
        except OSError as e:
            raise SlideError("a file cannot be read", e.filename or r.path, (e.strerror or str(e)).lower()) from None
        whole.update(json.dumps([r.name, size, outlines, r.stage, r.background, r.mpp]).encode() + b"\n")
    return whole.hexdigest()
