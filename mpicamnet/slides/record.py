"""What the catalogue knows of a slide, and a digest of it: runs with the same digest work on the same slides, outlines and labels."""
from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass

STAGES = ("negative", "itc", "micro", "macro")  # of a slide
PN_STAGES = ("pN0", "pN0(i+)", "pN1mi", "pN1", "pN2")  # of a patient


@dataclass(frozen=True)
class SlideRecord:
    """A slide of the catalogue.

    `center`, `patient`, `node`: -1 where unknown. `stage`: negative, itc, micro, macro, or "" where unknown. `annotation`: the path of its
    outlines. `background`: the label outside the outlines, 0 where the slide is negative or annotated, else -1. `mpp`: um per px of
    level 0, where the table says so. `copy`: the same slide on the node's own disk, to be read instead; nothing that is made may tell of it.
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
    copy: str | None = None


def background_of(stage: str, annotation: str | None) -> int:
    """0 where outside the outlines is normal tissue: the slide is annotated, or known to be negative; -1 where nobody can tell."""
    return 0 if annotation is not None or stage == "negative" else -1


def catalogue_digest(records: Iterable[SlideRecord]) -> str:
    """Hex SHA-256 over what each slide is called, where it belongs and what is known of it, its file's size and its outlines.

    A file that cannot be read counts by its error; the slide is left out when it is opened.
    """
    whole = hashlib.sha256()
    for r in records:
        size, outlines = 0, None
        try:
            size = os.path.getsize(r.path)
            if r.annotation is not None:
                with open(r.annotation, "rb") as f:
                    outlines = hashlib.file_digest(f, "sha256").hexdigest()
        except OSError as e:
            outlines = str(e.strerror)
        whole.update(json.dumps([r.name, r.center, r.patient, r.node, size, outlines, r.stage, r.background, r.mpp]).encode() + b"\n")
    return whole.hexdigest()
