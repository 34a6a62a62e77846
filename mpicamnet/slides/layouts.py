"""How Camelyon17, Camelyon16 and plain folders lie on disk: from directory listings to slide records."""
from __future__ import annotations

import csv
import os
import re
from collections.abc import Callable
from pathlib import Path

from ..config import Data
from ..errors import UserError
from .record import PN_STAGES, STAGES, SlideRecord

SLIDE_SUFFIXES = (".tif", ".tiff", ".svs", ".ndpi", ".mrxs", ".scn", ".vms", ".vmu", ".bif", ".svslide", ".dcm")
OUTLINE_SUFFIXES = (".xml", ".geojson", ".json")  # and NAME_mask.tif
_NODE = re.compile(r"patient_(\d+)_node_(\d+)$", re.IGNORECASE)
_PATIENT = re.compile(r"patient_(\d+)(?:\.zip)?$", re.IGNORECASE)
_CENTER = re.compile(r"cent(?:er|re)_(\d+)$", re.IGNORECASE)
_PATIENTS_PER_CENTER = 20  # Camelyon17's training set, where a copy without centre folders leaves it to the number
WANTED = {
    "camelyon17": "layout camelyon17 wants center_C/patient_PPP_node_N.tif in it",
    "camelyon16": "layout camelyon16 wants folders tumor, normal and test with slides in it",
    "folder": "layout folder wants slides right in it (" + ", ".join(SLIDE_SUFFIXES) + ")",
    "csv": "layout csv wants a line per slide in it",
}


def camelyon17(data: Data) -> list[SlideRecord]:
    """`center_C/patient_PPP_node_N.tif` (also `centre_C`), in the root or its `training`; or all slides in `images`."""
    root = _root(data)
    bases = [b for b in (root, root / "training") if b.is_dir()]
    outlines = _outlines([b / d for b in bases for d in ("lesion_annotations", "annotations")])
    stages: dict[str, str] = {}
    for path in _stage_tables(data):
        stages.update(stage_labels(path))
    found = []
    for b in bases:
        for folder in _folders(b):
            center = _CENTER.match(folder.name)
            if not center and folder.name.lower() != "images":
                continue
            for path in _slides(folder):
                node = _NODE.match(path.stem)
                if not node:
                    continue
                patient = int(node[1])
                c = int(center[1]) if center else patient // _PATIENTS_PER_CENTER
                key = path.stem.lower()
                found.append(SlideRecord(path.stem, str(path), c, patient, int(node[2]), stages.get(key, ""), outlines.get(key)))
    return found


def camelyon16(data: Data) -> list[SlideRecord]:
    """Folders tumor, normal and test (also training/tumor, testing/images, ...); its name or the test set's reference says what a slide is.

    A slide of the challenge is a patient of its own, and its file does not say the centre: both are -1.
    """
    root = _root(data)
    parents = ("training", "train", "trainingdata", "testing", "test", "testset")
    folders = _folders(root)
    folders += [g for f in folders if f.name.lower() in parents for g in _folders(f)]
    wanted = ("tumor", "normal", "train_tumor", "train_normal", "test", "testing", "testset", "images")
    notes = ("lesion_annotations", "annotations", "xml", "evaluation", "ground_truth")
    note_folders = [root, *(f for f in folders if f.name.lower() in (*notes, "test", "testing", "testset"))]
    outlines = _outlines([f for f in folders if f.name.lower() in notes])
    reference: dict[str, str] = {}
    for f in note_folders:
        for path in sorted(f.glob("reference*.csv")):
            reference.update(_test_reference(path))
    found = []
    for f in folders:
        if f.name.lower() not in wanted:
            continue
        for path in _slides(f):
            key = path.stem.lower()
            stage = reference.get(key, "negative" if key.startswith("normal") else "")
            found.append(SlideRecord(path.stem, str(path), stage=stage, annotation=outlines.get(key)))
    return found


def folder(data: Data) -> list[SlideRecord]:
    """Every slide right in the root; outlines beside them or in `data.annotations`; stages from `stage_labels.csv`, if it is there."""
    root = _root(data)
    notes = root
    if data.annotations is not None:
        notes = Path(data.annotations)
        if not notes.is_dir():
            raise UserError("the folder of annotations is not there", notes, "mend `data.annotations`")
    outlines = _outlines([notes])
    stages: dict[str, str] = {}
    for path in _stage_tables(data):
        stages.update(stage_labels(path))
    found = []
    for path in _slides(root):
        node = _NODE.match(path.stem)
        key = path.stem.lower()
        found.append(SlideRecord(path.stem, str(path), -1, int(node[1]) if node else -1, int(node[2]) if node else -1, stages.get(key, ""),
                                 outlines.get(key)))
    return found


LAYOUTS: dict[str, Callable[[Data], list[SlideRecord]]] = {"camelyon17": camelyon17, "camelyon16": camelyon16, "folder": folder}


def stage_labels(path: Path) -> dict[str, str]:
    """Slide name (lower case, no suffix) -> stage, of a table as Camelyon17's: `patient,stage`; lines of patients (.zip) are left out."""
    stages: dict[str, str] = {}
    for line, row in _table(path, ("patient", "stage")):
        name, stage = row["patient"].strip(), row["stage"].strip().lower()
        if name.lower().endswith(".zip") or not name:
            continue
        if stage and stage not in STAGES:
            raise UserError(f"unknown stage `{row['stage']}`", f"{path}, line {line}", "it can be " + ", ".join(STAGES))
        stages[_stem(name)] = stage
    return stages


def patient_stages(data: Data) -> dict[int, str]:
    """Patient number -> pN stage, from the lines of patients (`patient_PPP.zip,pN1`) in the tables of stages that a layout has."""
    stages: dict[int, str] = {}
    for path in _stage_tables(data):
        for line, row in _table(path, ("patient", "stage")):
            patient, stage = _PATIENT.match(row["patient"].strip()), row["stage"].strip()
            if patient is None or not stage:
                continue
            if stage not in PN_STAGES:
                raise UserError(f"unknown stage `{stage}` of a patient", f"{path}, line {line}", "it can be " + ", ".join(PN_STAGES))
            stages[int(patient[1])] = stage
    return stages


def _stage_tables(data: Data) -> list[Path]:
    """The tables of stages that lie where a layout has them."""
    root = Path(data.root or "")
    places = {"camelyon17": [base / name for base in (root, root / "training") for name in ("stage_labels.csv", "stages.csv")],
              "folder": [root / "stage_labels.csv"]}
    return [path for path in places.get(data.layout, []) if path.is_file()]


def _test_reference(path: Path) -> dict[str, str]:
    """Camelyon16's test set: the challenge's `reference.csv` (name, Normal or Tumor, type, Macro/Micro/None; no header), or a table with
    slide_name, is_tumor, category_2. A tumour whose size is not told stays unknown."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as f:
            rows = [r for r in csv.reader(f) if r]
    except (OSError, UnicodeDecodeError) as e:
        raise UserError("the table cannot be read", path, str(e)) from None
    name, kind, size, begin = 0, 1, 3, 0
    if rows and "slide_name" in rows[0] and "is_tumor" in rows[0]:
        header = rows[0]
        name, kind, begin = header.index("slide_name"), header.index("is_tumor"), 1
        size = header.index("category_2") if "category_2" in header else len(header)
    stages: dict[str, str] = {}
    for line, row in enumerate(rows[begin:], begin + 1):
        word = row[kind].strip().lower() if len(row) > kind else ""
        if word not in ("normal", "tumor"):
            raise UserError(f"`{word}` is neither Normal nor Tumor", f"{path}, line {line}", "mend the table")
        told = row[size].strip().lower() if len(row) > size else ""
        stages[_stem(row[name])] = "negative" if word == "normal" else told if told in ("itc", "micro", "macro") else ""
    return stages


def _table(path: Path, columns: tuple[str, ...]) -> list[tuple[int, dict[str, str]]]:
    try:
        with open(path, newline="", encoding="utf-8-sig") as f:
            reader = csv.DictReader(f)
            missing = [c for c in columns if c not in (reader.fieldnames or ())]
            if missing:
                raise UserError(f"the table has no column `{missing[0]}`", path, "its first line must be " + ",".join(columns))
            return [(reader.line_num, {c: row.get(c) or "" for c in columns}) for row in reader]
    except (OSError, UnicodeDecodeError) as e:
        raise UserError("the table cannot be read", path, getattr(e, "strerror", None) or "it is not text") from None


def _root(data: Data) -> Path:
    root = Path(data.root or "")
    if not root.is_dir():
        raise UserError("the folder of the slides is not there", root, "mend `data.root`")
    return root


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda e: e.name)
    except OSError as e:
        raise UserError("a folder cannot be read", folder, (e.strerror or str(e)).lower()) from None


def _folders(folder: Path) -> list[Path]:
    return [Path(e.path) for e in _entries(folder) if e.is_dir() and not e.name.startswith(".")]


def _slides(folder: Path) -> list[Path]:
    files = [Path(e.path) for e in _entries(folder) if e.is_file() and not e.name.startswith(".")]
    return [p for p in files if p.suffix.lower() in SLIDE_SUFFIXES and not p.stem.lower().endswith("_mask")]


def _outlines(folders: list[Path]) -> dict[str, str]:
    """Slide name (lower case) -> its outlines. A file belongs to the slide of its own name only; XML goes before JSON before a mask."""
    found: dict[str, tuple[int, str]] = {}
    for f in folders:
        if not f.is_dir():
            continue
        for e in _entries(f):
            path = Path(e.path)
            suffix, stem = path.suffix.lower(), path.stem.lower()
            if suffix in OUTLINE_SUFFIXES:
                rank = OUTLINE_SUFFIXES.index(suffix)
            elif suffix in (".tif", ".tiff") and stem.endswith("_mask"):
                rank, stem = len(OUTLINE_SUFFIXES), stem.removesuffix("_mask")
            else:
                continue
            if stem not in found or rank < found[stem][0]:
                found[stem] = (rank, str(path))
    return {stem: path for stem, (_, path) in found.items()}


def _stem(name: str) -> str:
    name = name.strip().lower()
    return Path(name).stem if Path(name).suffix in SLIDE_SUFFIXES else name
