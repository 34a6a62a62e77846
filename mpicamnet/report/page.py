"""The page: all that was read and drawn, put into the template."""
from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2

from ..timings import StageTime
from ..train import Card as Network
from ..words import duration
from . import words
from .card import Card
from .montage import ORDER, Tile
from .picture import Picture
from .source import SlideTable

SCHEMA = "mpicamnet.report/1"


@dataclass(frozen=True)
class Found:
    """What rank 0 has read of `work`. Pictures by name of their file; `panels`: file names and pictures of explain/panels, of `panels_there`;
    `times`: what differs from run to run, and is no part of the content."""

    name: str
    config_yaml: str
    threshold: float
    patch: int
    table: SlideTable
    predicted: SlideTable | None
    network: Network | None
    evaluation: dict[str, Any] | None
    history: list[dict[str, str]] | None
    rcv: dict[str, Any] | None
    figures: Mapping[str, Picture]
    panels: Sequence[tuple[str, Picture]]
    panels_there: int
    montage: Sequence[Tile]
    software: Mapping[str, str]
    times: Sequence[StageTime] = ()
    made: str = ""


@dataclass(frozen=True)
class SlideView:
    """A slide of the page: texts for the table and the card. `wrong`: its class was predicted, and is not the true one."""

    anchor: str
    name: str
    center: str
    patient: str
    stage: str
    extent: str
    resolution: str
    annotated: str
    status: str
    good: bool
    tumor: str
    normal: str
    unknown: str
    tiles: str
    predicted: str
    score: str
    axis: str
    forest: str
    why: str
    wrong: bool
    card: Card


def page(found: Found, cards: Sequence[Card], said: Mapping[str, Any]) -> str:
    """The whole page as HTML; `said`: config and config digest, which it carries with its content digest (SHA-256 of the page without times)."""
    environment = jinja2.Environment(loader=jinja2.PackageLoader("mpicamnet.report"), autoescape=True, undefined=jinja2.StrictUndefined,
                                     trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"number": words.number, "measure": words.measure, "short": words.short, "duration": duration}
    template = environment.get_template("page.html")
    values = _values(found, cards)
    timeless = template.render(**values, times=[], made="", record="")
    content = hashlib.sha256(timeless.encode("utf-8", "surrogateescape")).hexdigest()
    record = json.dumps({"schema": SCHEMA, **said, "content_digest": content}).replace("<", "\\u003c")
    times = [(t, words.time_rows(t)) for t in found.times]
    return template.render(**values, times=times, made=found.made, record=record)


def _values(found: Found, cards: Sequence[Card]) -> dict[str, Any]:
    e, style = found.evaluation, Path(__file__).parent / "templates" / "style.css"
    slides = [_slide(found, i, card) for i, card in enumerate(cards)]
    pixels = {row: p for card in cards for row, p in card.tiles.items()}
    montage = [(outcome, words.OUTCOME_WORDS[outcome], [(t, found.predicted.name[t.slide], pixels[t.row]) for t in found.montage
                                                        if found.predicted is not None and t.outcome == outcome and t.row in pixels]) for outcome in ORDER]
    return {
        "f": found, "style": style.read_text(encoding="utf-8"), "slides": slides, "failed": [s for s in slides if not s.good],
        "counts": found.table.rows.sum(axis=0).tolist(), "montage": [m for m in montage if m[2]],
        "measures": words.measures_table(e) if e else None, "centers": words.centers_table(e) if e else None, "froc": words.froc_table(e) if e else None,
        "confusions": words.confusions(e) if e else [], "history": words.history_table(found.history) if found.history else None,
        "concepts": words.concepts_table(found.rcv) if found.rcv else None,
    }


def _slide(found: Found, i: int, card: Card) -> SlideView:
    t, c = found.table, found.table.columns
    name, mpp = t.name[i], float(c["mpp"][i])
    known = mpp == mpp and mpp > 0
    mm = f", {c['width'][i] * mpp / 1000:.1f}\u00a0×\u00a0{c['height'][i] * mpp / 1000:.1f}\u00a0mm" if known else ""
    at = found.predicted.name.index(name) if found.predicted is not None and name in found.predicted.name else None
    result = ((found.evaluation or {}).get("slide", {}).get("classes") or {}).get(name) or {}
    normal, tumor, unknown = (f"{int(n):,}" for n in t.rows[i])
    status = [str(c["status"][i])]
    if found.predicted is not None and at is not None and found.predicted.columns["status"][at] not in ("ok", status[0]):
        status.append(f"inference: {found.predicted.columns['status'][at]}")
    status += [f"{e.what}: {e.mend}" if e.mend else e.what for e in card.errors]
    predicted, true = result.get("predicted") or "", result.get("true") or str(c["stage"][i])
    return SlideView(
        f"slide-{i}", name, _id(c["center"][i]), _id(c["patient"][i]), true or "unknown", f"{c['width'][i]:,} × {c['height'][i]:,} px{mm}",
        f"{mpp:.3g}\u00a0µm/px" if known else "not known", "yes" if c["annotated"][i] else "no",
        "; ".join(dict.fromkeys(status)), status in (["ok"], ["no tissue"]),
        tumor, normal, unknown, f"{int(found.predicted.rows[at].sum()):,}" if found.predicted is not None and at is not None else "–", predicted or "–",
        words.number(result.get("score")), words.number(result.get("longest_axis_mm"), 2), result.get("forest") or "", result.get("why") or "",
        bool(predicted and result.get("true") and predicted != result["true"]), card)


def _id(value: int) -> str:
    return "–" if value < 0 else str(value)
