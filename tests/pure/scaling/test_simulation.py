"""The simulation, in cases small enough to follow by hand."""
from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from mpicamnet.errors import UserError
from scaling import predict
from scaling.calibration import calibrated, work_of
from scaling.machine import PRESETS, Machine, machine
from scaling.simulation import Costs, Work, queued, simulate
from tests.pure.scaling.rows import row

FREE = Machine(nodes=1000, cores=4, core_speed=1, read_gb_s=1e9, write_gb_s=1e9, stripe_gb_s=1e9, stripes=1, operation_ms=0, link_gb_s=1e9, link_us=0,
               devices=0, device_images_s=0)
COSTS = Costs(window=0.01, written_byte=0, plan=0, mark=0, share=0, start=0, finish=0)


def work(blocks: int, windows: int = 100) -> Work:
    return Work(np.full(blocks, windows, np.int64), 1, 0, 1000)


def test_a_queue_serves_who_comes_first() -> None:
    """Arrivals 0, 5, 1, each served 2 s: 0-2, 1 waits to 2-4, 5-7. Another queue beside it is idle between."""
    assert queued(np.array([[0.0, 5, 1], [0, 10, 20]]), np.full((2, 3), 2.0)).tolist() == [[2, 7, 4], [2, 12, 22]]


def test_on_a_machine_where_only_cores_cost_time_a_core_more_takes_its_share() -> None:
    """4,800 blocks of 100 windows of 10 ms: 4,800 s; on 4 nodes of 4 cores 300 s."""
    assert simulate(work(4800), FREE, COSTS, 1, 1).seconds == pytest.approx(4800)
    assert simulate(work(4800), FREE, COSTS, 4).seconds == pytest.approx(300)


def test_more_ranks_than_blocks_gain_nothing_and_the_limit_says_so() -> None:
    """Two blocks: two ranks have a block of 1 s each, the other 62 wait."""
    outcome = simulate(work(2), FREE, COSTS, 16)
    assert outcome.seconds == pytest.approx(1)
    assert "too few blocks" in outcome.limit


def test_more_ranks_than_cores_share_them() -> None:
    """Eight ranks on four cores take as long as four."""
    assert simulate(work(4800), FREE, COSTS, 1, 8).seconds == pytest.approx(simulate(work(4800), FREE, COSTS, 1, 4).seconds)


def test_a_slow_file_system_takes_bytes_over_bandwidth_whoever_writes() -> None:
    """480,000 windows of 1,000 bytes at 1 MB/s: 480 s of writing, with which no number of nodes helps. Decoding (300 s on 16 ranks) goes on meanwhile
    only until a rank has its rows of the round before to write, so it is less than the sum, and no less than the bytes."""
    slow = dataclasses.replace(FREE, write_gb_s=0.001)
    for nodes in (4, 40):
        outcome = simulate(work(4800), slow, COSTS, nodes)
        assert 480 <= outcome.seconds <= 480 + 4800 / (4 * nodes)
    assert outcome.limit == "file system, writing"


def test_stripes_limit_one_file() -> None:
    assert dataclasses.replace(FREE, write_gb_s=100, stripe_gb_s=0.5, stripes=16).file_write == 8e9


def test_a_core_half_as_fast_takes_twice_as_long() -> None:
    assert simulate(work(480), dataclasses.replace(FREE, core_speed=0.5), COSTS, 1).seconds == pytest.approx(2 * simulate(work(480), FREE, COSTS, 1).seconds)


def test_causes_add_up_to_the_time_of_the_mean_rank() -> None:
    costly = Costs(window=0.01, written_byte=1e-8, plan=1, mark=0.01, share=1e-6, start=5, finish=1, contention=0.1)
    slow = dataclasses.replace(FREE, write_gb_s=0.01, read_gb_s=0.01, operation_ms=1, link_us=10)
    outcome = simulate(dataclasses.replace(work(500), bytes_in=500.0), slow, costly, 3)
    assert sum(outcome.causes.values()) == pytest.approx(outcome.seconds, rel=1e-9)


def test_blocks_are_those_that_the_program_cuts() -> None:
    """16,384 px: 73 windows of 224 along each side (anchors: 5,329 patches), in blocks of 16 (3,584 px, seven file tiles of 512): 4 of 16 and one of 9."""
    w = work_of(2, 16_384)
    assert w.windows.sum() == 2 * 5329 and len(w.windows) == 2 * 25
    assert w.windows[:5].tolist() == [256, 256, 256, 256, 144]


def test_every_preset_is_whole_and_says_where_each_number_is_from() -> None:
    for path in PRESETS.glob("*.yaml"):
        assert machine(path.stem).cores > 0
        for line in path.read_text().splitlines():
            if line and not line.startswith("#"):
                assert "#" in line or line.startswith(("stripes: 1", "device_images_s: 0", "devices: 0")), f"{path.name}: {line}"


def test_a_machine_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(UserError, match="prometheus"):
        machine("summit")


def test_the_archive_is_that_of_the_paper() -> None:
    a = predict.archive()
    assert a.windows.sum() == 43_000_000 and a.bytes_out * a.windows.sum() == pytest.approx(7e12)


def measured(study: str, ranks: int, tiles: int, read: float, write: float, slides: int = 1, sync: float = 0.0) -> list:  # type: ignore[type-arg]
    """Rows of a run whose phases add up to its stage, but for 0 s."""
    rows = [row(ranks, s, phase=p, tiles=tiles, study=study) for p, s in (
        ("plan", 0.0), ("lay", 0.0), ("select", 0.0), ("read", read), ("wait", 0.0), ("write", write), ("mark", 0.0), ("sync", sync), ("finish", 0.0),
        ("stage", read + write + sync))]
    return [dataclasses.replace(r, bytes=tiles * 150_528 if r.phase == "write" else 0, side=16_384, slides=slides) for r in rows]


def test_a_run_like_the_calibration_is_predicted_as_it_was_and_a_slower_one_with_its_error() -> None:
    """5,329 windows: 8 s of reading and 2 s of writing on one rank. Two slides on one rank take 20 s; were 25 s measured, the error is -20 %."""
    rows = measured("strong", 1, 5329, 8.0, 2.0)
    smaller = [dataclasses.replace(r, side=8192) for r in measured("strong", 1, 1296, 1.0, 0.1)]
    costs, _ = calibrated([*smaller, *rows], machine("laptop"))
    assert costs.window == pytest.approx(8 / 5329) and costs.written_byte == pytest.approx(2 / 5329 / 150_528)
    check, = predict.checks([*rows, *measured("weak", 1, 2 * 5329, 20.0, 5.0, slides=2)], machine("laptop"))
    assert check.predicted == pytest.approx(20, rel=1e-3) and check.error == pytest.approx(-0.2, abs=1e-3)


def test_the_runs_of_the_calibration_come_out_as_they_were_on_one_rank_and_on_two() -> None:
    """Two ranks take half of 8 s to read, and 1.5 instead of 1 s to write. Blocks cannot be halved: up to 3 % more."""
    rows = [*measured("strong", 1, 219 * 219, 8.0, 2.0), *measured("strong", 2, 219 * 219, 4.0, 1.5)]
    costs, on = calibrated(rows, machine("laptop"))
    assert costs.write_contention == pytest.approx(0.5)
    w = work_of(1, 49_152)
    assert simulate(w, on, costs, 1, 1).seconds == pytest.approx(10, rel=1e-3)
    assert simulate(w, on, costs, 1, 2).seconds == pytest.approx(5.5, rel=0.03)


def test_seconds_without_a_phase_grow_with_the_work_and_laying_out_and_finishing_do_not() -> None:
    """One rank: 8 s of reading, 1 s to lay the file out, and 1 s that no phase has. Four slides: 4 x 9 + 1."""
    rows = [dataclasses.replace(r, seconds_mean=s, seconds_max=s) for r in measured("strong", 1, 5329, 8.0, 1e-9)
            for s in [{"lay": 1.0, "stage": 10.0}.get(r.phase, r.seconds_max)]]
    costs, on = calibrated(rows, machine("laptop"))
    assert simulate(work_of(4, 16_384), on, costs, 1, 1).seconds == pytest.approx(37, rel=1e-3)


def test_what_is_brought_to_the_disk_at_the_end_takes_as_long_on_two_ranks_as_on_one() -> None:
    """2 s of 12 s on one rank; the other 10 s halve on two."""
    costs, on = calibrated(measured("strong", 1, 5329, 10.0, 1e-9, sync=2.0), machine("laptop"))
    assert simulate(work_of(1, 16_384), on, costs, 1, 2).seconds == pytest.approx(7, rel=0.05)


def test_without_a_run_on_one_rank_there_is_nothing_to_calibrate_by() -> None:
    with pytest.raises(UserError, match="strong"):
        calibrated(measured("strong", 2, 100, 1.0, 1.0), machine("laptop"))
