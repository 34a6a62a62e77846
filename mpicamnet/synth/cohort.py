"""A cohort in the layout of Camelyon17: slides, lesion annotations, stage labels, and a manifest that is written last."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ..errors import UserError, file_system_error
from . import shapes
from .shapes import Polygon
from .slide import draw_slide

Node = Literal["negative", "itc", "micro", "macro"]
DRAWING = 1  # raise when the same parameters give other pictures: a cohort of an older hand is then not taken for today's
PLAN: tuple[Node, ...] = ("macro", "macro", "macro", "negative", "micro", "negative", "itc", "negative")  # what is wanted, slide by slide
MACRO_MM, MICRO_MM = 2.0, 0.2  # at least this long (longest axis)
WANTED_MM: dict[Node, tuple[float, float]] = {"micro": (0.5, 1.2), "itc": (0.10, 0.16)}
PATIENTS_PER_CENTER = 20


@dataclass(frozen=True)
class Drawn:
    """A slide of the cohort: where it lies under the root, what it shows; `lesions_mm`: longest axis of each lesion, the longest first."""

    path: str
    center: int
    patient: int
    node: int
    stage: Node
    lesions_mm: tuple[float, ...]


def draw_cohort(
    root: str | Path,
    slides: int = 4,
    size: int = 4096,
    seed: int = 2020,
    centers: Sequence[int] = (0, 1, 2),
    mpp: float = 0.5,
    tile: int = 512,
    quality: int = 85,
    tissue: Literal["islands", "full"] = "islands",
    nodes: int = 1,
    threads: int | None = None,
    say: Callable[[Drawn, bool], None] = lambda slide, drawn: None,
) -> list[Drawn]:
    """Draw a cohort into an empty folder: `center_C/patient_PPP_node_N.tif`, `lesion_annotations/patient_PPP_node_N.xml`,
    `stage_labels.csv`.

    Slides go around the centres there and back (0, 1, 2, 2, 1, 0, ...), and are in turn macro, macro, macro, negative, micro, negative,
    itc, negative, as far as a slide has room for a metastasis that long: with 4 slides, centre 2 has one of each. Each node is classed by
    the longest axis of what was drawn. A killed call goes on where it was; on a cohort that is complete it draws nothing.

    Parameters
    ----------
    root : an empty or new folder, or one that holds (a part of) the same cohort
    slides : how many
    size : side of a slide, px
    mpp : um per px
    tile, quality, tissue, threads : see `draw_slide`
    nodes : slides per patient; patient numbers are 20 centre + 0, 1, 2, ...
    say : told of each slide, and whether it was drawn now; not called where the cohort is complete

    Raises
    ------
    UserError : the folder holds something else, or cannot be written
    """
    root = Path(root)
    counts = [sum(c == center for c in _centers(centers, slides)) for center in centers]
    if max(counts) > nodes * PATIENTS_PER_CENTER:
        raise UserError(
            f"{slides} slides are too many for {len(centers)} centres of {PATIENTS_PER_CENTER} patients",
            f"nodes {nodes}",
            "draw fewer slides, or more nodes per patient",
        )
    wanted = {
        "drawing": DRAWING,
        "slides": slides,
        "size": size,
        "seed": seed,
        "centers": list(centers),
        "mpp": mpp,
        "tile": tile,
        "quality": quality,
        "tissue": tissue,
        "nodes": nodes,
    }
    manifest = root / "cohort.json"
    begun = root / "cohort.json.partial"
    plans = list(_plans(slides, size, seed, centers, mpp, nodes))
    cohort = [drawn for drawn, _ in plans]
    try:
        _claim(root, manifest, begun, wanted)
        if manifest.exists() and all((root / drawn.path).exists() for drawn in cohort):
            return cohort
        for number, (drawn, (islands, lesions)) in enumerate(plans):
            path = root / drawn.path
            there = path.exists()
            if not there:
                path.parent.mkdir(exist_ok=True)
                if lesions:
                    _write(root / "lesion_annotations" / f"{path.stem}.xml", annotation(lesions))
                draw_slide(
                    path,
                    size,
                    size,
                    _key(seed, number),
                    tumor=lesions,
                    tissue="full" if tissue == "full" else islands,
                    center=drawn.center,
                    mpp=mpp,
                    tile=tile,
                    quality=quality,
                    threads=threads,
                )
            say(drawn, not there)
        _write(root / "stage_labels.csv", stage_labels(cohort))
        _write(manifest, json.dumps({"parameters": wanted, "slides": [asdict(d) for d in cohort]}, indent=1) + "\n")
        begun.unlink(missing_ok=True)
    except OSError as e:
        raise file_system_error(e, e.filename or root) from e
    return cohort


def node_stage(lesions_mm: Sequence[float]) -> Node:
    """A node's class by the longest axis of its largest metastasis: below 0.2 mm itc, below 2 mm micro, else macro."""
    longest = max(lesions_mm, default=0.0)
    return "negative" if not longest else "itc" if longest < MICRO_MM else "micro" if longest < MACRO_MM else "macro"


def patient_stage(nodes: Sequence[Node]) -> str:
    """Camelyon17's pN stage of a patient's nodes: macro- and micrometastases count as metastases, itc does not."""
    if "macro" in nodes:
        return "pN1" if sum(n in ("macro", "micro") for n in nodes) <= 3 else "pN2"
    return "pN1mi" if "micro" in nodes else "pN0(i+)" if "itc" in nodes else "pN0"


def stage_labels(cohort: Sequence[Drawn]) -> str:
    """The table of patients and nodes, as Camelyon17 writes it."""
    lines = ["patient,stage"]
    for patient in sorted({d.patient for d in cohort}):
        nodes = sorted((d for d in cohort if d.patient == patient), key=lambda d: d.node)
        lines.append(f"patient_{patient:03}.zip,{patient_stage([d.stage for d in nodes])}")
        lines += [f"{Path(d.path).name},{d.stage}" for d in nodes]
    return "\n".join(lines) + "\n"


def annotation(lesions: Sequence[Polygon]) -> str:
    """Polygons as ASAP writes them: outlines in the group `metastases`, holes in the group `normal`."""
    lines = ['<?xml version="1.0"?>', "<ASAP_Annotations>", "\t<Annotations>"]
    rings = [
        (r, group, color)
        for p in lesions
        for r, group, color in [(p.outline, "metastases", "#F4FA58"), *((h, "normal", "#64FE2E") for h in p.holes)]
    ]
    for number, (ring, group, color) in enumerate(rings):
        lines += [
            f'\t\t<Annotation Name="Annotation {number}" Type="Polygon" PartOfGroup="{group}" Color="{color}">',
            "\t\t\t<Coordinates>",
        ]
        lines += [f'\t\t\t\t<Coordinate Order="{order}" X="{x:.1f}" Y="{y:.1f}" />' for order, (x, y) in enumerate(ring)]
        lines += ["\t\t\t</Coordinates>", "\t\t</Annotation>"]
    lines += ["\t</Annotations>", "\t<AnnotationGroups>"]
    for name, color in (("metastases", "#ff0000"), ("normal", "#0000ff")):
        lines += [f'\t\t<Group Name="{name}" PartOfGroup="None" Color="{color}">', "\t\t\t<Attributes />", "\t\t</Group>"]
    return "\n".join([*lines, "\t</AnnotationGroups>", "</ASAP_Annotations>"]) + "\n"


def _centers(centers: Sequence[int], slides: int) -> list[int]:
    there_and_back = [*centers, *reversed(centers)]
    return [there_and_back[k % len(there_and_back)] for k in range(slides)]


def _plans(
    slides: int, size: int, seed: int, centers: Sequence[int], mpp: float, nodes: int
) -> Iterator[tuple[Drawn, tuple[list[Polygon], list[Polygon]]]]:
    """Each slide of the cohort, with its islands of tissue and its lesions."""
    seen = dict.fromkeys(centers, 0)
    for number, center in enumerate(_centers(centers, slides)):
        rng = np.random.Generator(np.random.Philox(key=[_key(seed, number), 1]))
        layout = shapes.layout(rng, size, size)
        island_px = shapes.longest_axis(layout.outlines[0])
        want = PLAN[number % len(PLAN)]
        lesions: list[Polygon] = []
        if want == "macro":
            axis_px = max(MACRO_MM * 1.075 / mpp * 1000, float(rng.uniform(0.35, 0.5)) * island_px)
            lesions.append(shapes.lesion(rng, layout.frame, layout.long, axis_px, hole=True))
            if number % 2 == 0:
                lesions.append(shapes.lesion(rng, layout.frame, layout.small, 0.15 * island_px))
        elif want != "negative":
            low, high = WANTED_MM[want]
            lesions.append(shapes.lesion(rng, layout.frame, layout.long, float(rng.uniform(low, high)) / mpp * 1000))
        lengths = tuple(sorted((round(shapes.longest_axis(p) * mpp / 1000, 3) for p in lesions), reverse=True))
        patient, node = divmod(seen[center], nodes)
        seen[center] += 1
        patient += PATIENTS_PER_CENTER * center
        path = f"center_{center}/patient_{patient:03}_node_{node}.tif"
        yield Drawn(path, center, patient, node, node_stage(lengths), lengths), (list(layout.outlines), lesions)


def _key(seed: int, number: int) -> int:
    """The seed of one slide; fits 63 bits."""
    return int(np.random.Philox(key=[seed, number]).random_raw()) >> 1


def _claim(root: Path, manifest: Path, begun: Path, wanted: dict[str, Any]) -> None:
    """Make sure that `root` is ours: new, empty, or of the same cohort."""
    for known in (manifest, begun):
        if known.exists():
            try:
                held = json.loads(known.read_text(encoding="utf-8"))["parameters"]
            except (ValueError, KeyError, TypeError):
                raise UserError("the manifest of a cohort cannot be read", known, "choose another folder, or delete this one") from None
            differs = [f"{k} {held.get(k)}, not {v}" for k, v in wanted.items() if held.get(k) != v]
            if differs:
                raise UserError(
                    "the folder holds another cohort", root, f"({'; '.join(differs)}) choose another folder, or delete this one"
                )
            return
    if root.exists() and any(root.iterdir()):
        raise UserError("the folder is not empty", root, "choose a new or empty folder for the cohort")
    root.mkdir(parents=True, exist_ok=True)
    _write(begun, json.dumps({"parameters": wanted}) + "\n")


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)
