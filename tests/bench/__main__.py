"""`python -m tests.bench [extract|ranks|memory|train|infer|explain ...]`: draw the slides once (runs/bench), measure, print a line per figure."""
from __future__ import annotations

import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from mpicamnet.synth import draw_slide
from tests.launch import ENVIRONMENT, ROOT
from tests.untrained import save_untrained

SLIDES = ROOT / "runs" / "bench"
FAST = Path(tempfile.gettempdir())
SIDE = 16_384


def slide(name: str, width: int, height: int, **how: object) -> Path:
    """A drawn slide that is all tissue; made once."""
    path = SLIDES / name / f"{name}.tif"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        print(f"drawing {name}, {width} x {height} px, once", flush=True)
        draw_slide(path, width, height, 1, tissue="full", **how)  # type: ignore[arg-type]
    return path


def config(name: str, work: Path, infer: dict[str, object] | None = None, **extract: object) -> Path:
    path = work.with_suffix(".yaml")
    path.write_text(json.dumps({"work": str(work), "data": {"layout": "folder", "root": str(SLIDES / name), "patch": 224},
                                "extract": {"sampling": "dense", **extract}, "infer": infer or {}}))
    return path


def child(ranks: int, module: str, *words: object, pin: bool = True) -> list[str]:
    """Lines that a program of this package prints, on that many ranks, each on a core of its own (0: without mpirun)."""
    bind = ["--bind-to", "core"] if pin and ranks <= (os.cpu_count() or 1) else ["--bind-to", "none", "--oversubscribe"]
    env = {**os.environ, **ENVIRONMENT, "NUMBA_DISABLE_ERROR_MESSAGE_HIGHLIGHTING": "1"}  # as `mpicamnet` itself sets it
    launch = ["mpirun", *bind, "-n", str(ranks)] if ranks else []
    done = subprocess.run([*launch, sys.executable, "-m", f"tests.bench.{module}", *map(str, words)], cwd=ROOT, env=env,
                          capture_output=True, text=True, timeout=3000)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    return done.stdout.splitlines()


def bench_extract(work: Path) -> None:
    """One core: the whole of extraction against raw decoding and against other readers."""
    slide("square", SIDE, SIDE)
    for line in child(1, "one_core", config("square", work / "w"), SLIDES / "square" / "square.tif"):
        print(line, flush=True)


def bench_ranks(work: Path) -> None:
    """Two ranks against one, and four on the same cores against two."""
    slide("square", SIDE, SIDE)
    seconds = {n: [] for n in (1, 2, 4)}  # type: dict[int, list[float]]
    for _ in range(3):  # in turn, so that what else the machine does falls on all
        for n, found in seconds.items():
            found += json.loads(child(n, "whole_stage", config("square", work / "w"), 3)[-1])
    best = {n: sorted(v)[len(v) // 2] for n, v in seconds.items()}
    print(f"extraction of {SIDE} px square, dense 224 px, median of 9 s: 1 rank {best[1]:.3f}, 2 ranks {best[2]:.3f}, 4 ranks {best[4]:.3f}")
    print(f"two ranks against one: {best[1] / best[2]:.2f} x; four on {os.cpu_count()} cores against two: {best[2] / best[4]:.2f} x")


def bench_memory(work: Path) -> None:
    """Peak memory of a rank, and of one on a slide twice as large."""
    peaks = {}
    for name, height in (("square", SIDE), ("double", 2 * SIDE)):
        slide(name, SIDE, height)
        peaks[name] = int(child(1, "whole_stage", config(name, work / name), 1)[0].split()[1])
    print(f"peak memory of a rank: {peaks['square']} MiB; on a slide twice as large {peaks['double']} MiB")


def bench_explain(work: Path) -> None:
    """LIME on two ranks against one; Grad-CAM against a plain loop forward and back."""
    slide("small", 4096, 4096)
    taken: dict[int, list[dict[str, float]]] = {1: [], 2: []}
    for _ in range(3):
        for n, found in taken.items():
            found.append(json.loads(child(n, "explanations", SLIDES / "small", work / "explain")[-1]))
    for what in ("lime", "with panels"):
        one, two = (sorted(f[what] for f in found)[1] for found in taken.values())
        print(f"LIME of 1,000 samples x 8 patches, {what}: 1 rank {one:.2f} s, 2 ranks {two:.2f} s: {one / two:.2f} x" + "  (bar 1.8)" * (what == "lime"))
    for network in taken[1][0]["gradcam"]:  # type: ignore[attr-defined]
        rate = sorted(f["gradcam"][network] for f in taken[1])[1]  # type: ignore[index]
        print(f"Grad-CAM / forward and backward in a plain loop, {network}: {rate:.2f} x  (bar 0.5)")


def bench_infer(work: Path) -> None:
    """One core: inference end to end against `model.predict` on the same patches in memory; a second core to read ahead; two ranks against one."""
    slide("infer", SIDE // 2, SIDE // 2)
    path = config("infer", work / "w", infer={"model": str(save_untrained(work / "model.keras", 224, None)), "batch": 64})
    found = {}
    for name, ranks, pin in (("one core", 1, True), ("a core to read ahead", 1, False), ("two ranks", 2, True)):
        said = json.loads(child(ranks, "inference", path, 5, pin=pin)[-1])
        found[name] = {way: [statistics.median(column) for column in zip(*each, strict=True)] for way, each in said["seconds"].items()}
        for way, (wall, cpu) in found[name].items():
            print(f"{name:22}{way:16} {said['tiles'] / wall:7.1f} patches/s ({wall:.2f} s, {cpu:.2f} CPU s of a rank)", flush=True)
    for name in ("one core", "a core to read ahead"):
        ratios = [b / a for a, b in zip(found[name]["infer"], found[name]["model.predict"], strict=True)]
        print(f"infer / model.predict, {name}: {ratios[0]:.3f} on the wall, {ratios[1]:.3f} in CPU s  (bar 0.90)")
    ratios = [b / a for a, b in zip(found["two ranks"]["infer"], found["one core"]["infer"], strict=True)]
    print(f"two ranks against one: {ratios[0]:.2f} x on the wall, {ratios[1]:.2f} x in CPU s of a rank  (bar 1.85)")


def bench_train(work: Path) -> None:
    """Two ranks against one, one against `keras.fit`, the loader alone, memory: short runs in turn, so that what else the machine does falls on all."""
    rows, many = 320, 3200
    for n in (rows, many):
        child(0, "training", "draw", work / f"rows{n}", n, 0)
    at = work / f"rows{rows}"
    runs: dict[str, list[dict[str, list[float]]]] = {"one": [], "two": [], "keras": [], "loader": []}
    for _ in range(5):
        for name, found in runs.items():
            what = {"one": "stage", "two": "stage"}.get(name, name)
            found.append(json.loads(child({"two": 2, "keras": 0}.get(name, 1), "training", what, at, rows, 2)[-1]))
    wall, cpu = ({name: statistics.median(v for run in found for v in run[kind]) for name, found in runs.items()} for kind in ("wall", "cpu"))
    print(f"images/s, median of 10 epochs of {rows}: 1 rank {rows / wall['one']:.0f}, 2 ranks {rows / wall['two']:.0f} ({wall['one'] / wall['two']:.3f} x), "
          f"keras.fit {rows / wall['keras']:.0f}, loader alone {rows / wall['loader']:.0f} ({wall['one'] / wall['loader']:.0f} x one rank)")
    print(f"CPU seconds of a rank per epoch: 1 rank {cpu['one']:.3f}, 2 ranks {cpu['two']:.3f} each, keras.fit {cpu['keras']:.3f}, loader {cpu['loader']:.3f}")
    print(f"epoch over keras.fit's: {wall['one'] / wall['keras']:.3f} on the wall, {cpu['one'] / cpu['keras']:.3f} in CPU seconds; "
          f"ratios of each round, on the wall: {_ratios(runs, 'one', 'keras')}; one over two ranks: {_ratios(runs, 'one', 'two')}")
    peaks = [json.loads(child(1, "training", "stage", work / f"rows{n}", n, 0)[-1])["peak"] for n in (rows, many)]
    print(f"peak memory of a rank: {peaks[0]} MiB with {rows} rows, {peaks[1]} MiB with {many}")


def _ratios(runs: dict[str, list[dict[str, list[float]]]], over: str, under: str) -> list[float]:
    return [round(min(a["wall"]) / min(b["wall"]), 3) for a, b in zip(runs[over], runs[under], strict=True)]


@contextlib.contextmanager
def page_cache() -> Iterator[Path]:
    """A folder of page cache with no disk behind it: a tmpfs of our own in huge pages, for root; else /dev/shm, whose small pages cost twice as much."""
    if not os.access("/dev/shm", os.W_OK):
        raise SystemExit("bench: needs a /dev/shm that can be written")
    work = Path(tempfile.mkdtemp(prefix="mpicamnet-bench-", dir="/dev/shm"))
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "huge=always,size=4g", "tmpfs", str(work)], capture_output=True).returncode == 0
    print(f"page cache: {'a tmpfs in huge pages' if mounted else '/dev/shm'}")
    try:
        yield work
    finally:
        if mounted:
            subprocess.run(["umount", str(work)], check=True)
        shutil.rmtree(work, ignore_errors=True)


def main() -> None:
    with page_cache() as work:
        for name in sys.argv[1:] or ["extract", "ranks", "memory", "train", "infer", "explain"]:
            globals()[f"bench_{name}"](work)


main()
