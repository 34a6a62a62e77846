"""`mpicamnet synth`: the words of the command line. Light: what draws is imported when it draws."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import DONE, UserError
from ..words import duration, size

if TYPE_CHECKING:
    from .cohort import Drawn

DESCRIPTION = """\
Draw a cohort of H&E slides by program, in the layout of Camelyon17: slides in center_C/, tumour outlines in lesion_annotations/,
stage_labels.csv. Tumour lies exactly where the outlines say. The same options give the same bytes.
"""
EXAMPLES = """\
examples:
  mpicamnet synth runs/demo-slides                     4 slides of 4,096 px from 3 centres: seconds, 20 MB
  mpicamnet synth big --slides 12 --size 16384         12 slides of 16,384 px: minutes, 1 GB
  mpicamnet synth huge --slides 1 --size 100000        one slide as large as a scanner's: minutes, 3 GB
  mpicamnet synth bench --slides 2 --size 16384 --tissue full
                                                       tissue all over, to measure speed

A second call with the same options finds the cohort there and draws nothing; a call that was killed goes on where it was.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give `parser` the arguments of `mpicamnet synth`, and a help that shows examples."""
    parser.description, parser.epilog = DESCRIPTION, EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("root", metavar="DIR", type=Path, help="a new or empty folder for the cohort")
    parser.add_argument("--slides", type=int, default=4, metavar="N", help="how many slides [4]")
    parser.add_argument("--size", type=int, default=4096, metavar="PX", help="side of a slide in px [4096]")
    parser.add_argument("--seed", type=int, default=2020, metavar="S", help="another seed draws other slides [2020]")
    parser.add_argument("--tile", type=int, default=512, metavar="PX", help="side of the file's tiles, a multiple of 16 px [512]")
    parser.add_argument("--quality", type=int, default=85, metavar="Q", help="JPEG quality, 1 to 100 [85]")
    parser.add_argument(
        "--tissue", choices=("islands", "full"), default="islands", help="two pieces on glass, or tissue all over [islands]"
    )
    parser.add_argument("--mpp", type=float, default=0.5, metavar="UM", help="um per px [0.5, i.e. 20x]")


def run(args: argparse.Namespace) -> int:
    """Draw the cohort that the arguments ask for, a line per slide; returns the exit code. Raises UserError."""
    _check(args)
    from .cohort import draw_cohort

    begun, drawn_now = time.monotonic(), 0

    def say(slide: Drawn, drawn: bool) -> None:
        nonlocal begun, drawn_now
        seconds, begun = time.monotonic() - begun, time.monotonic()
        drawn_now += drawn
        lesion = f"{slide.stage}, {slide.lesions_mm[0]:.2f} mm" if slide.lesions_mm else slide.stage
        how = f"{size((args.root / slide.path).stat().st_size)} in {duration(seconds)}" if drawn else "already there"
        print(f"{slide.path}  {lesion}  {how}", flush=True)

    draw_cohort(
        args.root, args.slides, args.size, args.seed, mpp=args.mpp, tile=args.tile, quality=args.quality, tissue=args.tissue, say=say
    )
    print(
        f"{args.root}: {args.slides} slides, lesion_annotations/, stage_labels.csv: "
        + (f"{drawn_now} drawn now" if drawn_now else "already there")
    )
    return DONE


def _check(args: argparse.Namespace) -> None:
    for name, value, low, high in (
        ("--slides", args.slides, 1, 60),
        ("--size", args.size, 512, 400_000),
        ("--seed", args.seed, 0, 2**63 - 1),
        ("--tile", args.tile, 64, 4096),
        ("--quality", args.quality, 1, 100),
    ):
        if not low <= value <= high:
            raise UserError(f"{name} is {value}", "synth", f"it must be from {low:,} to {high:,}")
    if args.tile % 16:
        raise UserError(f"--tile is {args.tile}", "synth", "it must be a multiple of 16, as TIFF wants")
    if not 0.05 <= args.mpp <= 5:
        raise UserError(f"--mpp is {args.mpp}", "synth", "it must be from 0.05 to 5 um per px")
