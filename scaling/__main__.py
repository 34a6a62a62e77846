"""`python -m scaling COMMAND`: measure, predict, report."""
from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from mpicamnet.cli import Parser
from mpicamnet.errors import DONE, UserError
from mpicamnet.words import duration

from . import cases, derived, fits, predict, table, transfer
from .calibration import calibrated
from .machine import machine
from .report import write_report
from .runner import run as run_case

EXAMPLES = """\
examples:
  python -m scaling strong                     dense extraction, training, inference on 1, 2, 4 ranks, three times each
  python -m scaling weak --ranks 1 2
  python -m scaling predict                    held-out runs first, then 43 M patches on 1 to 8,000 nodes
  python -m scaling predict --machine prometheus --nodes 1,10,100
  python -m scaling table4 --side 100000       slides as large as a scanner's: minutes to draw, gigabytes
  python -m scaling table5                     transfers between two hosts made of namespaces; needs root
  python -m scaling report                     FOLDER/report.md and report.html from all that was measured
Inside a SLURM job cases are started by srun, else by mpirun.
"""


def main(words: Sequence[str] | None = None) -> int:
    try:
        a = _parser().parse_args(words)
        a.act(a)
    except UserError as e:
        print(f"scaling: error: {e}", file=sys.stderr)
        return e.code
    return DONE


def _parser() -> Parser:
    parser = Parser(prog="python -m scaling", description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.set_defaults(act=None)
    common = Parser(add_help=False)
    common.add_argument("--folder", type=Path, default=Path("runs/scaling"), help="where the table, slides and pictures go [runs/scaling]")
    measured = Parser(add_help=False, parents=[common])
    measured.add_argument("--ranks", type=_count, nargs="+", default=None, help="numbers of ranks [1, 2, 4 ... to twice the cores; studies beside strong: 1 2]")
    measured.add_argument("--repeats", type=_count, default=3, help="runs of each case, in turn [3]")
    measured.add_argument("--timeout", type=float, default=3600, metavar="S", help="a run that takes longer has failed [3600]")
    measured.add_argument("--only", metavar="LABEL", help="only the cases whose label begins so")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def study(name: str, says: str, side: int | None = None) -> Parser:
        p = commands.add_parser(name, help=says, description=says, parents=[measured])
        if side is not None:
            p.add_argument("--side", type=_count, default=side, help=f"px of a slide [{side}]")
        p.set_defaults(act=_measure, study=name)
        return p

    p = study("strong", "the same work on more ranks", 16_384)
    p.add_argument("--storage", choices=["pixels", "jpeg", "coords"], default="pixels", help="what extraction keeps of a patch [pixels]")
    study("weak", "as many slides as ranks", 8_192)
    study("table4", "the paper's Table 4: random and dense sampling, 1 and 5 slides", 16_384)
    p = study("figure9", "training time by network")
    p.add_argument("--networks", nargs="+", default=["camnet_small", "efficientnet_lite0", "googlenet"], help="of the zoo [three small ones]")
    p = study("figure10", "epoch time against the number of patches")
    p.add_argument("--per-class", type=_count, nargs="+", default=[50, 100, 200, 400], help="patches per class and slide [50 100 200 400]")
    study("heatmap", "the 10,000 patches of section 4.4")
    for name in ("table5", "figure8"):
        p = commands.add_parser(name, help="transfer of files between two hosts by scp, rsync, GridFTP, parallel streams", parents=[common])
        p.add_argument("--mb", type=_count, nargs="+", default=[1, 4, 16, 64], help="sizes [1 4 16 64]")
        p.add_argument("--mbit", type=_count, default=200, help="of the link [200]")
        p.add_argument("--repeats", type=_count, default=2, help="of each [2]")
        p.set_defaults(act=_transfer)
    for name, says in (("predict", "what larger machines would take, and how far off such predictions are"), ("figure7", "patches per second against nodes")):
        p = commands.add_parser(name, help=says, description=says, parents=[common])
        p.add_argument("--machine", nargs="+", default=["prometheus", "supermuc-ng"], help="presets in scaling/machines, or YAML files")
        p.add_argument("--nodes", type=_counts, default="1,10,100,1000,8000", help="[1,10,100,1000,8000]")
        p.set_defaults(act=_predict)
    p = commands.add_parser("report", help="one page of tables and figures", parents=[common])
    p.set_defaults(act=lambda a: print("\n".join(map(str, write_report(a.folder)))))
    return parser


def _count(word: str) -> int:
    if not word.isdecimal() or int(word) == 0:
        raise argparse.ArgumentTypeError(f"`{word}` is not a whole number from 1 on")
    return int(word)


def _counts(words: str) -> list[int]:
    return [_count(word) for word in words.split(",")]


def chosen(a: argparse.Namespace) -> list[cases.Case]:
    """The cases of a study, with the arguments given."""
    cores = len(os.sched_getaffinity(0))
    ranks = a.ranks or ([2**k for k in range(20) if 2**k <= 2 * cores] if a.study == "strong" else [1, min(2, cores)])
    found = {"strong": lambda: cases.strong(ranks, a.side, a.storage), "weak": lambda: cases.weak(ranks, a.side), "table4": lambda: cases.table4(ranks, a.side),
             "figure9": lambda: cases.figure9(ranks, a.networks), "figure10": lambda: cases.figure10(ranks, a.per_class),
             "heatmap": lambda: cases.heatmap(ranks)}[a.study]()
    kept = [c for c in found if c.label.startswith(a.only or "")]
    if not kept:
        raise UserError(f"no case of {a.study} is called `{a.only}`", "", "they are " + ", ".join(dict.fromkeys(c.label for c in found)))
    return kept


def _measure(a: argparse.Namespace) -> None:
    for repeat in range(a.repeats):  # in turn, so that what else the machine does falls on all cases
        for case in chosen(a):
            rows = run_case(case, repeat, a.folder, a.timeout)
            table.append(a.folder / "measured.csv", rows)
            stages = ", ".join(f"{r.stage} {duration(r.seconds_max)}" for r in rows if r.phase == "stage")
            print(f"{case.study}, {case.label}, {case.ranks} ranks, run {repeat + 1}: {stages} (load {rows[0].load})", flush=True)
    rows = table.read(a.folder / "measured.csv")
    for label in dict.fromkeys(c.label for c in chosen(a)):
        for stage in dict.fromkeys(s for c in chosen(a) if c.label == label for s in c.stages):
            for p in derived.points(rows, a.study, label, stage):
                print(f"{a.study}, {label}, {stage}: {p.ranks} ranks {p.seconds:.2f} s, {p.tiles_per_second:,.0f} tiles/s, speed-up {p.speed_up:.2f}, "
                      f"efficiency {p.efficiency:.2f}, serial fraction {p.serial_fraction:.3f}, imbalance {p.imbalance:.2f}; "
                      f"{derived.WORK_PHASE[stage]} alone {p.work:.2f} s, speed-up {p.work_speed_up:.2f}")


def _predict(a: argparse.Namespace) -> None:
    rows = table.read(a.folder / "measured.csv")
    here = machine("laptop")
    costs, _ = calibrated(rows, here)
    print(f"calibrated: {1 / costs.window:,.0f} windows/s on a core, {1e-9 / costs.written_byte:.2f} GB/s written; beside a second rank "
          f"{costs.contention:.0%} and {costs.write_contention:.0%} longer")
    for c in predict.checks(rows, here):
        print(f"held out: {c.study}, {c.ranks} ranks, {c.slides} slides of {c.side} px: measured {c.measured:.2f} s, predicted {c.predicted:.2f} s, "
              f"error {c.error:+.0%}" + ("" if abs(c.error) <= predict.BAR else f" (more than {predict.BAR:.0%})"))
    for name in a.machine:
        m = machine(name)
        found = predict.points(costs, m, a.nodes)
        print(f"{name}: {predict.PATCHES:,} patches, {predict.BYTES / 1e12:.0f} TB, dense, a rank per core")
        for n, o in found:
            print(f"  {n:,} nodes{' (more than it has)' if predict.beyond(m, n) else ''}: {duration(o.seconds)}, {predict.PATCHES / o.seconds:,.0f} patches/s, "
                  f"{o.rounds:,} rounds; limited by {o.limit} ({o.causes[o.limit] / o.seconds:.0%})")
        print(f"  Amdahl: serial fraction {fits.amdahl(a.nodes, [o.seconds for _, o in found]).serial:.1e}", end="")
        with contextlib.suppress(ValueError):  # fewer than three points
            u = fits.universal(a.nodes, [predict.PATCHES / o.seconds for _, o in found])
            print(f"; universal law: contention {u.contention:.1e}, crosstalk {u.crosstalk:.1e}", end="")
        print()


def _transfer(a: argparse.Namespace) -> None:
    why = transfer.why_not()
    if why:
        print(f"skipped: two hosts cannot be made here: {why}")
        return
    for t in transfer.measure(a.folder, a.mb, a.mbit, a.repeats):
        print(f"{t.way}, {t.megabytes} MB: {t.seconds:.2f} s", flush=True)
    for way, (setup, rate) in transfer.laws(transfer.read(a.folder)).items():
        print(f"{way}: {setup:.2f} s to set up, then {rate:.1f} MB/s ({8 * rate / a.mbit:.0%} of the link)")


if __name__ == "__main__":
    sys.exit(main())
