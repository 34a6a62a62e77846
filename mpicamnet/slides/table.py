"""Layout csv: a table with a line per slide, for whatever lies on disk in another way."""
from __future__ import annotations

import csv
import difflib
import os
from pathlib import Path

from ..config import Data
from ..errors import UserError
from .annotation import SUFFIXES
from .record import STAGES, SlideRecord

COLUMNS = ("path", "annotation", "center", "patient", "node", "stage", "mpp")


def slides_of_table(data: Data) -> list[SlideRecord]:
    """The slides of `data.csv`; paths in it are relative to `data.root` where given, else to the table's folder.

    Raises UserError, with the line, for whatever a person can have got wrong.
    """
    path = Path(data.csv or "")
    base = Path(data.root) if data.root else path.parent
    try:
        with open(path, newline="", encoding="utf-8-sig") as f:
            reader = csv.DictReader(f, skipinitialspace=True)
            for name in reader.fieldnames or []:
                if name not in COLUMNS:
                    near = difflib.get_close_matches(name, COLUMNS, 1, 0.0)[0]
                    raise UserError(f"unknown column `{name}`", f"{path}, line 1", f"did you mean `{near}`?")
            if "path" not in (reader.fieldnames or []):
                raise UserError("the table has no column `path`", path, "its first line must name columns of " + ",".join(COLUMNS))
            return [_record(row, base, f"{path}, line {reader.line_num}") for row in reader]
    except (OSError, UnicodeDecodeError) as e:
        raise UserError("the table of slides cannot be read", path, getattr(e, "strerror", None) or "it is not text") from None


def _record(row: dict[str, str | None], base: Path, where: str) -> SlideRecord:
    if None in row:
        raise UserError("a line has more fields than the first", where, "put a field that holds a comma in quotes")
    cells = {name: (value or "").strip() for name, value in row.items()}
    path = _file(cells["path"], base)
    if not cells["path"] or not path.is_file():
        raise UserError("the slide is not there", f"{where}, {path}", "mend column path")
    outlines = _file(cells["annotation"], base) if cells.get("annotation") else None
    if outlines is not None and (not outlines.is_file() or outlines.suffix.lower() not in SUFFIXES):
        raise UserError("the annotation is not there, or of a type that is not read", f"{where}, {outlines}",
                        "it can be " + ", ".join(SUFFIXES))
    stage = cells.get("stage", "").lower()
    if stage and stage not in STAGES:
        raise UserError(f"unknown stage `{stage}`", where, "it can be empty, or " + ", ".join(STAGES))
    center, patient, node = (_whole(cells.get(c, ""), c, where) for c in ("center", "patient", "node"))
    mpp = _mpp(cells.get("mpp", ""), where)
    return SlideRecord(path.stem, str(path), center, patient, node, stage, str(outlines) if outlines else None, mpp=mpp)


def _file(cell: str, base: Path) -> Path:
    return Path(os.path.normpath(base / Path(os.path.expandvars(cell)).expanduser()))


def _whole(cell: str, column: str, where: str) -> int:
    if not cell:
        return -1
    if not cell.isdecimal():
        raise UserError(f"column {column} holds `{cell}`", where, "it must be a whole number, or empty")
    return int(cell)


def _mpp(cell: str, where: str) -> float | None:
    try:
        mpp = float(cell) if cell else None
    except ValueError:
        mpp = -1.0
    if mpp is not None and not 0 < mpp < float("inf"):
        raise UserError(f"column mpp holds `{cell}`", where, "it must be um per px of level 0, e.g. 0.25, or empty")
    return mpp
