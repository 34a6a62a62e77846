"""One page of all that was measured and predicted: report.md, and report.html that needs no other file."""
from __future__ import annotations

import base64
import html
import re
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path

from mpicamnet.errors import UserError
from mpicamnet.words import duration

from . import derived, figures, fits, predict, table, table4, transfer
from .calibration import calibrated
from .machine import machine
from .simulation import epoch_seconds

NODES = (1, 10, 100, 1000, 8000)
MACHINES = ("prometheus", "supermuc-ng")
PARAMETERS = {"GoogLeNet": 6_000_000, "DenseNet121": 7_000_000, "ResNet50": 23_600_000, "InceptionResNetV2": 54_300_000}
STYLE = ("body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}table{border-collapse:collapse;margin:1rem 0;"
         "font-size:.9rem}td,th{padding:.25rem .7rem;border-bottom:1px solid #ddd;text-align:right}td:first-child,th:first-child{text-align:left}"
         "img{max-width:100%}")


def write_report(folder: Path) -> list[Path]:
    """Write FOLDER/report.md, report.html and the pictures; returns their paths. Raises UserError where nothing was measured."""
    rows = table.read(folder / "measured.csv")
    pictures = folder / "pictures"
    pictures.mkdir(exist_ok=True)
    sections: list[Callable[[Sequence[table.Row], Path], list[str]]] = [_head, _strong, _weak, _held_out, _archive, _table4, _learning, _transfers]
    lines = [line for section in sections for line in section(rows, pictures)]
    text = "\n".join(lines) + "\n"
    (folder / "report.md").write_text(text, encoding="utf-8")
    (folder / "report.html").write_text(page(text, folder), encoding="utf-8")
    return [folder / "report.md", folder / "report.html", *sorted(pictures.glob("*.png"))]


def _head(rows: Sequence[table.Row], _: Path) -> list[str]:
    loads = [r.load for r in rows]
    last = rows[-1]
    said = ["# How mpicamnet scales", "", f"Measured on {last.host}, {last.cores} cores; last run {last.date}, commit {last.commit}. Load (processes that want "
            f"a core) when the runs began: {min(loads):.0f} to {max(loads):.0f}, median {statistics.median(loads):.0f}.", ""]
    if statistics.median(loads) > last.cores:
        said += ["**The machine was shared with other work while this was measured: seconds are too long, and ratios rough.**", ""]
    return said


def _strong(rows: Sequence[table.Row], pictures: Path) -> list[str]:
    out = ["## Strong scaling: the same work on more ranks", ""]
    curves = {}
    for name, label, stage in (("dense extraction", "extract", "extract"), ("dense extraction as JPEG", "extract as jpeg", "extract"),
                               ("dense extraction of places", "extract as coords", "extract"), ("training", "learn", "train"), ("inference", "learn", "infer")):
        found = derived.points(rows, "strong", label, stage)
        if found:
            curves[name] = found
    for name, found in curves.items():
        out += [f"### {name[0].upper()}{name[1:]}", "", *_points(found), ""]
        if len(found) > 1:
            law = fits.amdahl([p.ranks for p in found], [p.seconds for p in found])
            out += [f"Amdahl's law nearest to it: serial fraction {law.serial:.3f}.", ""]
    if curves:
        out += [_picture(figures.scaling(pictures / "strong.png", "Strong scaling", curves)), ""]
    if "dense extraction" in curves:
        out += [_picture(figures.phases(pictures / "phases.png", "Where dense extraction's time goes", curves["dense extraction"])), ""]
    return out if curves else []


def _weak(rows: Sequence[table.Row], pictures: Path) -> list[str]:
    found = derived.points(rows, "weak", "extract", "extract")
    if not found:
        return []
    return ["## Weak scaling: a slide per rank", "", *_points(found), "",
            _picture(figures.scaling(pictures / "weak.png", "Weak scaling, dense extraction", {"dense extraction": found}, weak=True)), ""]


def _held_out(rows: Sequence[table.Row], pictures: Path) -> list[str]:
    try:
        checks = predict.checks(rows, machine("laptop"))
    except UserError:
        return []
    if not checks:
        return []
    good = sum(abs(c.error) <= predict.BAR for c in checks)
    return ["## Predictions of runs that were measured and held out", "", f"Calibrated by strong scaling on 1 and 2 ranks. {good} of {len(checks)} within "
            f"{predict.BAR:.0%}.", "", *_table(["run", "ranks", "slides", "px", "measured, s", "predicted, s", "error"],
            [[c.study, c.ranks, c.slides, c.side, f"{c.measured:.2f}", f"{c.predicted:.2f}", f"{c.error:+.0%}"] for c in checks]), ""]


def _archive(rows: Sequence[table.Row], pictures: Path) -> list[str]:
    try:
        costs, _ = calibrated(rows, machine("laptop"))
    except UserError:
        return []
    out = [f"## Predicted: {predict.PATCHES:,} patches, {predict.BYTES / 1e12:.0f} TB", "", "Dense extraction, a rank per core, by a simulation of the "
           "program's rounds.", ""]
    curves = {}
    for name in MACHINES:
        m = machine(name)
        found = predict.points(costs, m, NODES)
        curves[name] = found
        out += [f"### {name}", "", *_table(["nodes", "time", "patches/s", "rounds", "limited by"], [
            [f"{n:,}" + (" *" if predict.beyond(m, n) else ""), duration(o.seconds), f"{predict.PATCHES / o.seconds:,.0f}", f"{o.rounds:,}",
             f"{o.limit} ({o.causes[o.limit] / o.seconds:.0%})"] for n, o in found]), ""]
        if any(predict.beyond(m, n) for n in NODES):
            out += [f"\\* more than the machine's {m.nodes:,} nodes", ""]
        u = fits.universal(NODES, [predict.PATCHES / o.seconds for _, o in found])
        a = fits.amdahl(NODES, [o.seconds for _, o in found])
        out += [f"Fitted to these points: Amdahl, serial fraction {a.serial:.1e}; universal law, contention {u.contention:.1e}, "
                f"crosstalk {u.crosstalk:.1e}.", ""]
    return [*out, _picture(figures.nodes(pictures / "figure7.png", "Patches per second against nodes (Figure 7)", curves, predict.PATCHES)), ""]


def _table4(rows: Sequence[table.Row], pictures: Path) -> list[str]:
    try:
        costs, _ = calibrated(rows, machine("laptop"))
    except UserError:
        return []
    found = table4.entries(rows, costs, machine("prometheus"))
    if not found:
        return []
    head = ["sampling", "px", "patches", "where", "seconds", "of cores, s", "load", "the paper, s", ""]
    return ["## Table 4: extraction", "", "Whole processes, from start to end. Measured here; predicted for Prometheus. `-`: not measured so, or the paper's "
            "figure is not at hand (scaling/paper.yaml).", "", *_table(head, [
                [e.label, f"{e.side:,}", f"{e.patches:,}", e.where, f"{e.seconds:,.1f}", "-" if e.cpu is None else f"{e.cpu:,.1f}",
                 "-" if e.load is None else f"{e.load:.0f}", "-" if e.paper is None else f"{e.paper:,.0f}", "measured" if e.measured else "predicted"]
                for e in found]), ""]


def _learning(rows: Sequence[table.Row], pictures: Path) -> list[str]:
    out = []
    networks = {label: derived.points(rows, "figure9", label, "train") for label in dict.fromkeys(r.label for r in rows if r.study == "figure9")}
    if networks:
        groups = {name: {f"{p.ranks} rank{'s' * (p.ranks > 1)}": p.phases.get("step", 0.0) for p in found} for name, found in networks.items()}
        out += ["## Figure 9: training time by network", "", *_table(["network", "ranks", "epoch's steps, s", "stage, s", "speed-up"], [
            [name, p.ranks, f"{p.phases.get('step', 0.0):.2f}", f"{p.seconds:.2f}", f"{p.speed_up:.2f}"]
            for name, found in networks.items() for p in found]), "",
            _picture(figures.bars(pictures / "figure9.png", "Steps of one epoch, by network (Figure 9)", "network", groups)), ""]
    m = machine("lisa")
    out += ["## Training on devices, predicted", "", "One epoch over 1 M patches of 224 px, batch 32 per device, LISA's 4 devices per node; the ring's cost "
            "2 (p - 1) / p x bytes / bandwidth is not overlapped, so this is an upper bound. The device's rate is ResNet50's for every network: only the sums "
            "differ.", "", *_table(["network", *(f"{d} devices" for d in (1, 4, 16, 64))], [
                [name, *(f"{duration(s)} ({r / s:.0%} sums)" for s, r in (epoch_seconds(1_000_000, 32, n, m, d) for d in (1, 4, 16, 64)))]
                for name, n in PARAMETERS.items()]), ""]
    sizes = sorted({int(r.label) for r in rows if r.study == "figure10"})
    if sizes:
        curves: dict[str, list[tuple[float, Sequence[float]]]] = {}
        for n in sorted({r.ranks for r in rows if r.study == "figure10"}):
            of = [[r for r in rows if (r.study, r.label, r.ranks) == ("figure10", str(k), n)] for k in sizes]
            curves[f"{n} rank{'s' * (n > 1)}"] = [
                (float(next(r.tiles for r in some if r.stage == "extract")), [r.seconds_mean for r in some if (r.stage, r.phase) == ("train", "step")])
                for some in of if some]
        out += ["## Figure 10: epoch time against data", "", _picture(figures.against(pictures / "figure10.png", "Steps of one epoch against data (Figure 10)",
                                                                                      "patches", curves)), ""]
    found = derived.points(rows, "heatmap", "10,000 patches", "infer")
    if found:
        theirs = table4.paper_numbers()["heatmap"]
        out += ["## Section 4.4: heatmap", "", *_points(found), "", f"The paper's program: {theirs['patches']:,} patches in {theirs['seconds']} s, "
                f"{theirs['patches'] / theirs['seconds']:.0f} patches/s on one GPU, with ResNet50 at 224 px; ours is the demo's network at 96 px on cores.", ""]
    return out


def _transfers(_: Sequence[table.Row], pictures: Path) -> list[str]:
    found = transfer.read(pictures.parent)
    if not found:
        return []
    ways = list(dict.fromkeys(t.way for t in found))
    return ["## Table 5, Figure 8: transfer between two hosts", "", f"Two network namespaces of this machine, a link of {found[0].mbit} Mbit/s, by "
            "jobs/transfer.sh.", "", *_table(["way", "set-up, s", "rate, MB/s", "of the link"], [
                [way, f"{setup:.2f}", f"{rate:.1f}", f"{8 * rate / found[0].mbit:.0%}"] for way, (setup, rate) in transfer.laws(found).items()]), "",
            *_table(["MB", *ways], [
                [mb, *(f"{statistics.median([t.seconds for t in found if (t.way, t.megabytes) == (way, mb)]):.2f} s" for way in ways)]
                for mb in sorted({t.megabytes for t in found})]), "", _picture(figures.transfers(pictures / "figure8.png", found)), ""]


def _points(found: Sequence[derived.Point]) -> list[str]:
    return _table(["ranks", "seconds (median)", "tiles/s", "speed-up", "efficiency", "serial fraction", "imbalance", "work alone, s", "its speed-up",
                   "repeats, s"], [
        [p.ranks, f"{p.seconds:.2f}", f"{p.tiles_per_second:,.0f}", f"{p.speed_up:.2f}", f"{p.efficiency:.2f}", _number(p.serial_fraction, 3),
         _number(p.imbalance, 2), _number(p.work, 2), _number(p.work_speed_up, 2), " ".join(f"{s:.2f}" for s in p.repeats)] for p in found])


def _number(x: float, places: int) -> str:
    return f"{x:.{places}f}" if x == x else "-"


def _table(head: Sequence[str], body: Sequence[Sequence[object]]) -> list[str]:
    return ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head), *("| " + " | ".join(map(str, line)) + " |" for line in body)]


def _picture(path: Path) -> str:
    return f"![{path.stem}](pictures/{path.name})"


def page(text: str, folder: Path) -> str:
    """The markdown that this module writes (headings, tables, pictures, paragraphs, bold, code) as one HTML page with the pictures in it."""
    out, cells = [], False
    for line in text.splitlines():
        row = line.startswith("|")
        if cells and not row:
            out.append("</table>")
        if row and not cells:
            out.append("<table>")
        kind, cells = ("td" if cells else "th"), row
        picture = re.fullmatch(r"!\[(.*)\]\((.*)\)", line)
        if row:
            if not set(line) <= set("|- "):
                out.append("<tr>" + "".join(f"<{kind}>{_inline(cell)}</{kind}>" for cell in line.strip("| ").split(" | ")) + "</tr>")
        elif picture is not None:
            data = base64.b64encode((folder / picture[2]).read_bytes()).decode()
            out.append(f'<img alt="{html.escape(picture[1])}" src="data:image/png;base64,{data}">')
        elif line.startswith("#"):
            level = len(line) - len(line.lstrip("#"))
            out.append(f"<h{level}>{_inline(line[level + 1:])}</h{level}>")
        elif line:
            out.append(f"<p>{_inline(line)}</p>")
    title = html.escape(text.splitlines()[0].lstrip("# "))
    return f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{STYLE}</style><body>\n' + "\n".join(out) + "\n</body></html>\n"


def _inline(text: str) -> str:
    text = html.escape(text.replace("\\*", "*"), quote=False)
    return re.sub(r"`(.+?)`", r"<code>\1</code>", re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", text))
