"""On one pinned core, in one run, in turn: raw decoding, extraction, OpenSlide + NumPy, pyvips, the filter; medians of five, as ratios.

Times are CPU seconds of the whole process, kernel included: on an idle core the same as seconds on the wall, on a shared one the fairer.
"""
from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import imagecodecs
import numpy as np
import openslide
import tifffile

from mpicamnet import config as cfg
from mpicamnet.patches.fill import Filler
from mpicamnet.patches.filter import count
from mpicamnet.patches.plan import plan_slide, window_candidates
from mpicamnet.ranks import finish, start
from mpicamnet.slides import catalogue
from tests.bench.whole_stage import seconds

PATCH = 224


def timed(act: Callable[[], object]) -> float:
    begun = time.process_time()
    act()
    return time.process_time() - begun


def main() -> None:
    config_path, slide = sys.argv[1], Path(sys.argv[2])
    comms = start().with_members(None)
    config = cfg.load(config_path)
    record = catalogue(config.data)[0]

    with tifffile.TiffFile(slide) as f:
        page = f.pages[0]
        width, height, tables = page.imagewidth, page.imagelength, page.jpegtables
        places = list(zip(page.dataoffsets, page.databytecounts, strict=True))
        tile = np.empty((page.tilelength, page.tilewidth, 3), np.uint8)
    data = np.memmap(slide, np.uint8, "r")
    corners = [(x, y) for y in range(0, height - PATCH + 1, PATCH) for x in range(0, width - PATCH + 1, PATCH)]
    megapixels = width * height / 1e6

    def raw() -> None:
        for offset, size in places:
            imagecodecs.jpeg8_decode(data[offset:offset + size], tables=tables, colorspace="YCBCR", outcolorspace="RGB", out=tile)

    def by_openslide() -> int:
        kept = 0
        with openslide.OpenSlide(slide) as s:
            for x, y in corners:
                px = np.asarray(s.read_region((x, y), 0, (PATCH, PATCH)).convert("RGB"))
                kept += (px > 200).all(-1).mean() <= 0.7 and (px < 20).all(-1).mean() <= 0.1
        return kept

    def bare_blocks() -> None:
        with openslide.OpenSlide(slide) as s:
            for y in range(0, height, 512):
                for x in range(0, width, 512):
                    s.read_region((x, y), 0, (512, 512))

    def by_vips() -> None:
        import pyvips

        region = pyvips.Region.new(pyvips.Image.tiffload(str(slide)))
        for x, y in corners:
            np.frombuffer(region.fetch(x, y, PATCH, PATCH), np.uint8)

    def read_and_filter() -> None:
        plan = plan_slide(record, 0, config, PATCH)
        filler = Filler(config.extract)
        for block in range(plan.grid.blocks):
            c = window_candidates(plan, config, block)
            filler.fill(record, plan.resolution, c.x, c.y, patches[:len(c)], (int(c.x.max()) + PATCH, int(c.y.max()) + PATCH))
        filler.close()

    patches = np.zeros((324, PATCH, PATCH, 3), np.uint8)
    whole: dict[str, float] = {}

    def stage(*overrides: str) -> float:
        took, job = seconds(comms, config_path, *overrides)[1:]
        whole.update(job.clock.seconds)
        return took

    ways: dict[str, Callable[[], float]] = {
        "raw": lambda: timed(raw), "read and filter": lambda: timed(read_and_filter), "extraction": stage,
        "extraction, OpenSlide": lambda: stage("data.reader=openslide", "extract.storage=coords"), "bare read_region, blocks": lambda: timed(bare_blocks),
        "pyvips": lambda: timed(by_vips), "OpenSlide loop": lambda: timed(by_openslide),
    }
    for act in (ways["raw"], ways["read and filter"], ways["extraction"]):
        act()  # warm: page cache, compiled kernels
    found: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(5):
        for name, act in ways.items():
            found[name].append(act())
            if name == "extraction":
                phases = "  ".join(f"{k} {v:.3f}" for k, v in whole.items())
    median = {name: statistics.median(v) for name, v in found.items()}
    for name, s in median.items():
        print(f"{name:28} {s:7.3f} s  {megapixels / s:7.1f} Mpx/s")
    print("extraction, each:", " ".join(f"{s:.3f}" for s in found["extraction"]))
    print(f"phases of the last extraction, s: {phases}")
    print(f"read, mask, filter / raw decoding: {median['raw'] / median['read and filter']:.2f}  (bar 0.9)")
    print(f"extraction / raw decoding: {median['raw'] / median['extraction']:.2f}  (bar 0.60)")
    print(f"extraction / OpenSlide + PIL + NumPy loop: {median['OpenSlide loop'] / median['extraction']:.1f} x  (bar 4)")
    print(f"extraction / pyvips region fetch (reading only): {median['pyvips'] / median['extraction']:.2f} x  (bar 1.0)")
    print(f"extraction through OpenSlide / bare read_region in blocks: {median['bare read_region, blocks'] / median['extraction, OpenSlide']:.2f}  (bar 0.95)")

    noise = np.random.default_rng(0).integers(0, 256, (256, PATCH, PATCH, 3), dtype=np.uint8)
    count(noise, np.uint8(200), np.uint8(20))
    ours = statistics.median(timed(lambda: count(noise, np.uint8(200), np.uint8(20))) for _ in range(5))
    numpys = statistics.median(timed(lambda: ((noise > 200).all(-1).mean((1, 2)), (noise < 20).all(-1).mean((1, 2)))) for _ in range(5))
    print(f"Numba filter / NumPy: {numpys / ours:.0f} x  (bar 10)")
    finish()


if __name__ == "__main__":
    main()
