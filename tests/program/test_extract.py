"""Layer 1 as a user meets it: same bytes on any number of ranks, kills cost a round, the pixels are the slide's."""
from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import openslide
import pytest
import xxhash

from mpicamnet import config as cfg
from mpicamnet.patches import stage
from mpicamnet.patches.stage import Extraction
from mpicamnet.patches.store import Store
from mpicamnet.plan.command import make_plan
from mpicamnet.ranks import Communicators
from tests.bench.whole_stage import job_of
from tests.launch import begin, end, good, mpicamnet, on_ranks, ranks_of
from tests.program.conftest import Configure


def made(config: Path) -> Path:
    return config.with_suffix("") / "patches.h5"


def attribute(config: Path, name: str) -> str:
    with h5py.File(made(config)) as f:
        return str(f.attrs[name])


def datasets(config: Path) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    with h5py.File(made(config)) as f:
        f.visititems(lambda name, o: found.__setitem__(name, o[...].tobytes()) if isinstance(o, h5py.Dataset) else None)
    return found


def digest_by_the_specification(path: Path) -> str:
    """SHA-256 over XXH3-128 of slide name, 0x00, x, y, label, payload; of patches.h5 itself."""
    whole = hashlib.sha256()
    with h5py.File(path) as f:
        names = [bytes(n) for n in f["slides/name"]]
        slide, xy, label = f["slide"][...].tolist(), f["xy"][...].astype("<i8"), f["label"][...]
        offset = f["jpeg/offset"][...].tolist() if "jpeg" in f else []
        for first in range(0, len(slide), 1024):
            px = f["pixels"][first:first + 1024] if "pixels" in f else None
            for i in range(first, min(first + 1024, len(slide))):
                row = names[slide[i]] + b"\0" + xy[i].tobytes() + label[i].tobytes()
                if px is not None:
                    row += px[i - first].tobytes()
                elif offset:
                    row += f["jpeg/bytes"][offset[i]:offset[i + 1]].tobytes()
                whole.update(xxhash.xxh3_128(row).digest())
    return whole.hexdigest()


@pytest.mark.parametrize("sampling", ["dense", "random"])
@pytest.mark.parametrize("storage", ["pixels", "jpeg", "coords"])
def test_every_dataset_is_the_same_on_1_to_4_and_7_ranks(configure: Configure, sampling: str, storage: str) -> None:
    extract = {"sampling": sampling, "storage": storage, "per_class": 25, "block": 600}
    first = configure("r1", extract=extract)
    good("extract", first)
    expected = datasets(first)
    assert len(expected["label"]) > 40
    assert digest_by_the_specification(made(first)) == attribute(first, "content_digest")
    for ranks in (2, 3, 4, 7) if storage == "pixels" else (2, 3):
        other = configure(f"r{ranks}", extract=extract)
        good("extract", other, ranks=ranks)
        found = datasets(other)
        assert found.keys() == expected.keys()
        assert [name for name in expected if found[name] != expected[name]] == []


def test_collective_writes_give_the_same_file_also_with_more_ranks_than_work(configure: Configure) -> None:
    few = {"data": {"patch": 700}, "tissue": {"method": "none"}, "label": {"tumor_min": 0.01}}
    digests = set()
    for io in ("independent", "collective"):
        for ranks in (1, 6):
            c = configure(f"{io}{ranks}", extract={"io": io, "white": {"max_share": 1.0}}, **few)
            good("extract", c, ranks=ranks)
            digests.add(attribute(c, "content_digest"))
    assert len(digests) == 1
    with h5py.File(made(c)) as f:
        assert len(f["slide"]) == 3 * 4  # 2 x 2 windows of 700 px on each of 3 slides of 2,048 px


def writes(comms: Communicators, config: str) -> list[bool]:
    """Of each write of rows, whether it was in the midst of reading, which takes 3 ms more for each tile."""
    reading, found = [False], []
    work, write_rows, nudge = Extraction.work, Store.write_rows, Extraction._nudge

    def noted_work(self: Extraction, share: Any) -> Any:
        reading[0] = True
        try:
            return work(self, share)
        finally:
            reading[0] = False

    def noted_write(self: Store, *args: Any) -> int:
        found.append(reading[0])
        return write_rows(self, *args)

    def slow_nudge(self: Extraction, rounds: Any) -> None:
        time.sleep(0.003)
        nudge(self, rounds)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Extraction, "_nudge", slow_nudge)
        patch.setattr(Extraction, "work", noted_work)
        patch.setattr(Store, "write_rows", noted_write)
        stage.run(job_of(comms, config))
    return found


@pytest.mark.parametrize("storage", ["pixels", "jpeg"])
def test_ranks_write_in_the_midst_of_reading_unless_they_write_together(configure: Configure, storage: str) -> None:
    extract = {"block": 1024, "buffer": 4, "storage": storage}
    assert sum(sum(inside) for inside in on_ranks(2, writes, str(configure("i", extract=extract)))) >= 2
    for inside in on_ranks(2, writes, str(configure("c", extract={**extract, "io": "collective"}))):
        assert inside and not any(inside)


def test_rows_are_the_slides_pixels_and_stand_in_order(configure: Configure, cohort: Path) -> None:
    c = configure(extract={"stride": 61, "block": 512})
    good("extract", c, ranks=2)
    with h5py.File(made(c)) as f:
        slide, xy, px = f["slide"][...], f["xy"][...], f["pixels"]
        paths = [p.decode() for p in f["slides/path"]]
        for i in random.Random(1).sample(range(len(slide)), 60):
            with openslide.OpenSlide(paths[slide[i]]) as s:
                x, y = (int(v) for v in xy[i])
                assert np.array_equal(np.asarray(s.read_region((x, y), 0, (96, 96)).convert("RGB")), px[i])
        block = 512 // 61 * 61
        keys = [(s, y // block, x // block, y, x) for s, (x, y) in zip(slide.tolist(), xy.tolist(), strict=True)]
        assert keys == sorted(set(keys))


def test_a_slide_read_at_a_coarser_resolution_is_what_read_patch_gives(configure: Configure) -> None:
    from mpicamnet.slides import open_slide, read_patch, resolve

    c = configure(data={"mpp": 0.8}, extract={"per_class": 20, "sampling": "random"})
    good("extract", c, ranks=2)
    with h5py.File(made(c)) as f:
        rows = range(0, len(f["slide"]), 5)
        for i in rows:
            with open_slide(f["slides/path"][f["slide"][i]].decode()) as s:
                expected = read_patch(s, int(f["xy"][i, 0]), int(f["xy"][i, 1]), 96, resolve(s, mpp=0.8))
            assert np.array_equal(f["pixels"][i], expected)


def test_ten_kills_at_random_moments_cost_a_round_each(configure: Configure) -> None:
    """SIGKILL to one rank, then a rerun on another number of ranks: the same digest, and what was marked is not read again."""
    rng = random.Random(4)
    extract = {"stride": 24, "block": 512}
    whole = configure("whole", extract=extract)
    begun = time.monotonic()
    good("extract", whole, ranks=2)
    took = time.monotonic() - begun
    expected, reused = attribute(whole, "content_digest"), []
    for k in range(10):
        c = configure(f"kill{k}", extract=extract)
        p = begin(rng.choice((2, 3)), sys.executable, "-m", "mpicamnet", "extract", c)
        if k % 2:  # half of them once rows are being written, half at any moment
            partial = made(c).with_name("patches.h5.partial")
            while p.poll() is None and not (partial.exists() and partial.stat().st_blocks > 20_000):
                time.sleep(0.01)
            time.sleep(rng.uniform(0, 0.3) * took)
        else:
            time.sleep(rng.uniform(0.1, 1.0) * took)
        for victim in ranks_of(p.pid)[-1:]:
            os.kill(victim, signal.SIGKILL)
        end(p, 60)
        assert made(c).exists() or p.returncode != 0
        good("extract", c, ranks=rng.choice((1, 2, 4)))
        assert attribute(c, "content_digest") == expected
        assert digest_by_the_specification(made(c)) == expected
        assert not list(c.with_suffix("").glob("*.partial")) and not list(c.with_suffix("").glob("*.head"))
        reused.append(int(attribute(c, "blocks_reused")))
    assert sum(n > 0 for n in reused) >= 3, reused


@pytest.mark.parametrize(("ranks", "buffer"), [(2, 64), (4, 512)])
def test_random_sampling_goes_on_after_a_signal_with_other_ranks_and_buffers(configure: Configure, ranks: int, buffer: int) -> None:
    """A group of slides is as large as ranks and buffers: the rerun has fewer, and must still find its place."""
    extract = {"sampling": "random", "per_class": 600, "block": 512}
    whole, cut = configure("whole", extract=extract), configure("cut", extract={**extract, "buffer": buffer})
    good("extract", whole, ranks=2)
    p = begin(ranks, sys.executable, "-m", "mpicamnet", "extract", cut)
    partial = made(cut).with_name("patches.h5.partial")
    while p.poll() is None and not (partial.exists() and partial.stat().st_blocks > 5_000):
        time.sleep(0.01)
    for victim in ranks_of(p.pid)[:1]:
        os.kill(victim, signal.SIGTERM)
    done = end(p, 60)
    assert done.returncode in (0, 75), done.stderr
    cut = configure("cut", extract={**extract, "buffer": 1})
    good("extract", cut, ranks=1)
    assert attribute(cut, "content_digest") == attribute(whole, "content_digest") == digest_by_the_specification(made(cut))


def test_random_keeps_n_per_class_by_seed(configure: Configure) -> None:
    a, b = configure("a", extract={"sampling": "random", "per_class": 30}), configure("b", extract={"sampling": "random", "per_class": 30}, seed=8)
    said = good("extract", a)
    good("extract", b)
    with h5py.File(made(a)) as f, h5py.File(made(b)) as g:
        places = [{(int(s), *map(int, xy)) for s, xy in zip(h["slide"], h["xy"], strict=True)} for h in (f, g)]
        assert len(places[0]) == len(f["slide"]), "no position twice"
        counts = {(int(s), int(v)): int(((f["slide"][:] == s) & (f["label"][:] == v)).sum()) for s in range(3) for v in (0, 1)}
        annotated = f["slides/annotated"][:]
        assert set(f["label"][:]) == {0, 1}
    assert all(counts[s, 0] == 30 for s in range(3))
    assert all(counts[s, 1] == (30 if annotated[s] else 0) for s in range(3)), (counts, said)
    assert len(places[0] & places[1]) < 10


def test_a_second_call_says_that_it_is_done_and_another_config_says_what_changed(configure: Configure) -> None:
    c = configure(extract={"sampling": "random", "per_class": 10})
    good("extract", c)
    before = made(c).stat().st_mtime_ns
    assert "done before" in good("extract", c, ranks=2)
    assert made(c).stat().st_mtime_ns == before
    c = configure(extract={"sampling": "random", "per_class": 12})
    assert "extract.per_class was 10, is 12" in good("extract", c)


def test_alone_is_one_rank(configure: Configure) -> None:
    alone, one = configure("alone"), configure("one")
    good("extract", alone)
    good("extract", one, ranks=1)
    assert attribute(alone, "content_digest") == attribute(one, "content_digest")


def test_timing_has_a_line_per_phase(configure: Configure) -> None:
    c = configure()
    good("extract", c, ranks=2)
    lines = [json.loads(line) for line in (c.with_suffix("") / "timing.jsonl").read_text().splitlines()]
    assert {line["phase"] for line in lines} >= {"plan", "read", "write", "wait", "finish"}
    for line in lines:
        s = line["seconds"]
        assert line["ranks"] == 2 and 0 <= s["min"] <= s["mean"] <= s["max"] < 120


def test_help_and_plan_start_no_mpi_and_load_no_tensorflow(configure: Configure) -> None:
    for words in (["--help"], ["run", "--help"], ["synth", "--help"], ["plan", configure()]):
        p = end(begin(0, sys.executable, "-X", "importtime", "-m", "mpicamnet", *words), 60)
        assert p.returncode == 0, p.stderr[-500:]
        loaded = {line.rsplit("|", 1)[-1].strip() for line in p.stderr.splitlines()}
        assert not loaded & {"mpi4py.MPI", "tensorflow", "horovod"}, words
        if words != ["plan", configure()]:
            assert not loaded & {"h5py", "numpy"}, words


@pytest.mark.parametrize("extract", [{}, {"storage": "jpeg"}, {"sampling": "random", "per_class": 60}], ids=str)
def test_plan_tells_within_a_fifth_what_extract_then_makes(configure: Configure, extract: dict[str, Any]) -> None:
    c = configure(extract=extract)
    planned = make_plan(cfg.load(c), 1)
    good("extract", c)
    with h5py.File(made(c)) as f:
        rows = len(f["slide"])
    assert planned.work.rows == pytest.approx(rows, rel=0.2) and rows <= planned.work.most
    assert planned.stages[0].size == pytest.approx(made(c).stat().st_size, rel=0.2)
    lines = [json.loads(line) for line in (c.with_suffix("") / "timing.jsonl").read_text().splitlines()]
    assert planned.stages[0].memory == pytest.approx(lines[0]["memory"], rel=0.3)
    said = good("plan", c)
    assert f"at most {planned.work.most:,}" in said
    assert next(line for line in said.splitlines() if line.startswith("extract")).endswith("done")
    assert "training would refuse" in said  # this config has no split


def test_unknown_words_on_the_command_line_are_one_line(configure: Configure) -> None:
    for words in (["extrakt", "c.yaml"], ["extract"], ["run", configure(), "--only", "training"], ["extract", configure(), "--set", "seed"]):
        p = mpicamnet(*words)
        assert p.returncode == 2 and p.stderr.startswith("mpicamnet: error:") and p.stderr.count("\n") == 1, p.stderr
