"""The page: all sections, readable without pictures, whole without a network, small enough to be sent."""
from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mpicamnet import config as cfg
from mpicamnet.errors import SlideError
from mpicamnet.made import recorded
from mpicamnet.report.card import Card, draw_card
from mpicamnet.report.montage import Tile
from mpicamnet.report.page import Found, page
from mpicamnet.report.picture import drawing, photograph
from mpicamnet.report.source import SlideTable
from mpicamnet.report.stage import CARD, CARDS, FIGURE_SIDE, FIGURES, PANEL, PANEL_SIDE, PANELS
from mpicamnet.slides import SlideRecord
from mpicamnet.synth import draw_cohort
from mpicamnet.timings import StageTime

SECTIONS = ["summary", "cohort", "measures", "confusion", "calibration", "montage", "slides", "training", "attributions", "concepts", "timing", "environment"]
SAID = {"config": {"work": "</script><b>"}, "config_digest": "d1"}
NAME = 'a <b>&"c'  # as nobody should call a slide

RCV: dict[str, Any] = {"patches": 80, "slides": 2, "alpha": 0.05, "said": [], "skipped": {"cavities": "there are none"},
   "concepts": {"nuclei_area": {"unit": "um2", "correlation": 0.8}, "cavities": {"unit": "cavities", "correlation": None}},
   "layers": {"conv1": {"nuclei_area": {"r2": 0.3, "tcav": 1.0, "br": 2.0, "q": 0.01, "relevant": True}},
              "conv2": {"nuclei_area": {"r2": 0.6, "tcav": 0.5, "br": None, "q": 0.7, "relevant": False}}}}


class Seen(HTMLParser):
    """What a browser would find: elements by name, their attributes, all text."""

    def __init__(self, text: str):
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words += data

    def of(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.elements if tag == name]


def value(v: float | None) -> dict[str, Any]:
    return {"value": None, "why": "one class only"} if v is None else {"value": v, "low": v - 0.01, "high": v}


def table(slides: int) -> SlideTable:
    columns = {"center": [1] * slides, "patient": [-1] * slides, "node": [0] * slides, "stage": ["macro"] * slides, "width": [2048] * slides,
               "height": [1024] * slides, "mpp": [0.5] * slides, "annotated": [1] * slides, "status": ["ok"] * slides, "downsample": [1.0] * slides}
    return SlideTable([NAME, *(f"slide_{i}" for i in range(1, slides))], columns, np.full((slides, 3), 40), np.arange(slides + 1) * 120)


def extracted(slides: int) -> Found:
    """What is there after extract alone."""
    return Found("demo", "work: demo\n", 0.5, 96, table(slides), None, None, None, None, None, {}, [], 0, [], {"numpy": "2"})


def whole(slides: int, tmp_path: Path) -> tuple[Found, list[Card]]:
    """All that can be there, with pictures of noise, which compress worst."""
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (600, 1100, 3), np.uint8)).save(tmp_path / "noise.png")
    noise = rng.integers(0, 256, (640, 640, 3), np.uint8)
    share = min(CARD, CARDS // slides)
    small = photograph(noise, share // 4, 640)
    card = Card(small, small, drawing(tmp_path / "noise.png", share // 2, 1200))
    cards = [card] * slides
    cards[0] = replace(card, tiles={i: photograph(noise[:96, :96], 8_000, 96) for i in range(32)})
    tile = {m: value(0.9) for m in ("roc_auc", "pr_auc", "accuracy", "sensitivity", "specificity", "f1", "ece")}
    classes = {n: {"predicted": "micro", "true": "macro", "score": 0.7, "longest_axis_mm": 1.25} for n in table(slides).name}
    evaluation = {
        "tile": {"n": 100, "positives": 40, **tile, "confusion": [[50, 10], [4, 36]], "by_center": {"1": {"n": 100, "positives": 40, **tile}}},
        "lesion": {"slides": 2, "lesions": 3, "froc": value(0.61), "sensitivity_at": {"0.25": value(0.5)}},
        "slide": {"n": 2, "roc_auc": value(None), "accuracy": value(0.5), "labels": ["negative", "macro"], "confusion": [[1, 0], [1, 0]], "classes": classes},
        "patient": {"n": 1, "kappa": value(0.77), "accuracy": value(1.0), "labels": ["pN0", "pN1"], "confusion": [[1, 0], [0, 0]],
                    "stages": {"patient_1": {"predicted": "pN0", "true": "pN0", "slides": 1}}}}
    figures = {name: drawing(tmp_path / "noise.png", most, FIGURE_SIDE) for name, most in FIGURES.items()}
    panel = drawing(tmp_path / "noise.png", PANEL, PANEL_SIDE)
    montage = [Tile(i, 0, 10 * i, 20, 0.99, ("TP", "FN", "FP", "TN")[i // 8]) for i in range(32)]
    history = [{"epoch": "1", "loss": "0.5"}, {"epoch": "2", "loss": "0.25"}]
    found = replace(extracted(slides), predicted=table(slides), evaluation=evaluation, history=history, rcv=RCV, figures=figures,
                    panels=[(f"p{i}", panel) for i in range(PANELS)], panels_there=400, montage=montage)
    return found, cards


def read(text: str) -> Seen:
    """The page, after what holds for every page."""
    seen = Seen(text)
    ids = [a["id"] for _, a in seen.elements if a.get("id")]
    assert [a["id"] for a in seen.of("section")] == SECTIONS
    assert len(ids) == len(set(ids))
    assert {a["href"] for a in seen.of("a")} <= {f"#{i}" for i in ids}
    assert all((a.get("alt") or "").strip() for a in seen.of("img"))
    for _, attributes in seen.elements:
        for name in ("src", "href", "data", "srcset", "poster", "action"):
            assert (attributes.get(name) or "#").startswith(("data:", "#"))
    assert all(a.get("type") == "application/json" for a in seen.of("script"))
    assert "url(" not in text and "@import" not in text and not seen.of("iframe") and not seen.of("b")
    return seen


def test_a_whole_page_of_50_slides_is_below_15_mb_though_every_picture_is_noise(tmp_path: Path) -> None:
    text = page(*whole(50, tmp_path), SAID)
    seen = read(text)
    assert len(text.encode()) < 15_000_000
    assert len(seen.of("img")) == 50 * 3 + 32 + len(FIGURES) + PANELS
    for words in ("0.900", "0.610", "0.770", "one class only", "24 of 400 panels", NAME, "Tumour, missed", "left out: there are none", "patient_1"):
        assert words in seen.words


def test_a_concept_is_shown_at_a_layer_where_it_is_used_before_one_that_tells_it_better() -> None:
    rows = [row for row in page(replace(extracted(1), rcv=RCV), [Card()], SAID).split("<tr>") if "nuclei area" in row]
    assert len(rows) == 1
    assert "conv1" in rows[0] and "yes" in rows[0] and "conv2" not in rows[0]


def test_what_no_stage_has_made_is_a_line_with_its_command() -> None:
    seen = read(page(extracted(2), [Card(), Card()], SAID))
    for command in ("train", "infer", "evaluate", "explain"):
        assert f"mpicamnet {command} CONFIG" in seen.words
    assert not seen.of("img")


def test_a_slide_that_cannot_be_read_is_named_with_its_error() -> None:
    found = extracted(2)
    found.table.columns["status"][1] = "no tissue"  # which is no error
    seen = read(page(found, [Card(errors=[SlideError("the slide is truncated", "/a.tif", "copy it again")]), Card()], SAID))
    assert "1 with an error" in seen.words and "the slide is truncated: copy it again" in seen.words


def test_times_are_shown_and_are_no_part_of_the_content_and_the_page_says_what_it_was_made_from(tmp_path: Path) -> None:
    found = extracted(1)
    phase = {"phase": "read", "seconds": {"min": 1.0, "mean": 2.0, "max": 3.0}, "items": 10, "bytes": 5_000_000}
    timed = replace(found, times=[StageTime("extract", 4, 192.0, "abc", "2026-01-01T10:00:00", [phase])], made="today")
    digests = []
    for i, f in enumerate((found, timed, replace(found, threshold=0.6, name="other"))):
        path = tmp_path / f"{i}.html"
        path.write_text(page(f, [Card()], SAID))
        made = recorded(path)
        assert (made.config_digest, made.config) == ("d1", SAID["config"])
        digests.append(made.content_digest)
    assert digests[0] == digests[1] != digests[2]
    words = read(page(timed, [Card()], SAID)).words
    assert "3 min 12 s" in words and "1.50" in words and "5.0 MB" in words and "made today" in words


def test_a_card_shows_outlines_tissue_and_dots_where_patches_were_taken(tmp_path: Path) -> None:
    """The drawn slide of 1,024 px has its first patch of each label at a known place: a dot of the label's colour stands in the middle of each."""
    import io

    draw_cohort(tmp_path, slides=1, size=1024, seed=5)
    path = next(tmp_path.glob("center_*/*.tif"))
    config = cfg.load(config_file(tmp_path))
    places = np.array([[400, 400], [600, 200]]), np.array([1, 0], np.int8)
    record = SlideRecord("s", str(path), annotation=str(next(tmp_path.glob("lesion_annotations/*.xml"))))
    card = draw_card(record, config, places, 1.0, {7: (100, 100)}, tmp_path / "none.png", 10_000_000)
    assert not card.errors and card.heat is None and card.slide is not None and card.tissue is not None and list(card.tiles) == [7]
    px = np.asarray(Image.open(io.BytesIO(card.tissue.webp)).convert("RGB")).astype(int)
    scale = px.shape[0] / 1024
    red, blue = px[round((400 + 48) * scale), round((400 + 48) * scale)], px[round((200 + 48) * scale), round((600 + 48) * scale)]
    assert red[0] > red[2] + 60 and blue[2] > blue[0] + 60


def test_an_unreadable_slide_leaves_a_card_with_its_error(tmp_path: Path) -> None:
    card = draw_card(SlideRecord("s", str(tmp_path / "none.tif")), cfg.load(config_file(tmp_path)), (np.zeros((0, 2), np.int64), np.zeros(0, np.int8)), 1.0, {},
                     tmp_path / "none.png", 10_000)
    assert card.slide is None and len(card.errors) == 1 and "none.tif" in str(card.errors[0])


def config_file(folder: Path) -> Path:
    path = folder / "c.yaml"
    path.write_text(f"work: {folder}/w\ndata: {{root: {folder}, patch: 96}}\n")
    return path


@pytest.mark.parametrize("text", ["<html></html>", '<script type="application/json" id="mpicamnet">{</script>'])
def test_a_page_that_is_not_ours_is_refused(tmp_path: Path, text: str) -> None:
    from mpicamnet.errors import UserError

    (tmp_path / "r.html").write_text(text)
    with pytest.raises(UserError, match="not a finished file"):
        recorded(tmp_path / "r.html")
