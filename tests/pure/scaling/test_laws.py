"""Numbers derived from times, and fitted laws, against values worked by hand."""
from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from scaling import derived, fits
from scaling.simulation import ring_allreduce
from scaling.transfer import Transfer, laws
from tests.pure.scaling.rows import row


def test_the_serial_fraction_is_that_of_karp_and_flatt() -> None:
    """A speed-up of 3.2 on 4: (1/3.2 - 1/4) / (1 - 1/4) = 0.0625 / 0.75 = 1/12."""
    assert derived.karp_flatt(3.2, 4) == pytest.approx(1 / 12)
    assert derived.karp_flatt(4, 4) == 0


def test_speed_up_efficiency_and_imbalance_come_from_medians() -> None:
    """Medians 10 s and 6 s: 1.667 on two, efficiency 0.833, serial (0.6 - 0.5) / 0.5 = 0.2; slowest reader 5 s over mean 4 s."""
    rows = [row(1, 9, 0), row(1, 10, 1), row(1, 30, 2), row(2, 6, 0), row(2, 6, 1), row(2, 5, 2), row(2, 5, phase="read", mean=4.0)]
    one, two = derived.points(rows, "strong", "extract", "extract")
    assert (one.ranks, one.seconds, one.speed_up) == (1, 10, 1) and math.isnan(one.serial_fraction)
    assert (two.speed_up, two.efficiency, two.serial_fraction) == pytest.approx((10 / 6, 10 / 12, 0.2))
    assert two.imbalance == 1.25 and two.repeats == (6, 6, 5) and two.tiles_per_second == pytest.approx(1000 / 6)


def test_slides_of_another_side_are_another_measurement() -> None:
    """The table keeps every run; a median over slides of 4,096 and of 8,192 px would be of neither."""
    rows = [row(1, 10), row(2, 6), *(dataclasses.replace(row(n, s, tiles=4000), side=8192) for n, s in ((1, 40.0), (2, 20.0)))]
    assert [(p.seconds, p.tiles) for p in derived.points(rows, "strong", "extract", "extract")] == [(40, 4000), (20, 4000)]


def test_weak_scaling_counts_the_work_that_grew() -> None:
    """Twice the tiles in the same time on two ranks is a speed-up of 2."""
    two = derived.points([row(1, 10, study="weak"), row(2, 10, tiles=2000, study="weak")], "weak", "extract", "extract")[1]
    assert (two.speed_up, two.efficiency, two.serial_fraction) == pytest.approx((2, 1, 0))


def test_what_reading_is_besides_decoding_is_the_filter() -> None:
    assert derived.named_phases({"read": 5.0, "decode": 3.0, "wait": 1.0, "write": 2.0, "plan": 0.5}) == {
        "open": 0.5, "decode": 3.0, "exchange": 1.0, "write": 2.0, "filter": 2.0}


def test_the_fits_find_the_laws_that_points_were_made_from() -> None:
    p = np.array([1.0, 2, 4, 8, 16, 1000])
    a = fits.amdahl(p.tolist(), (80 * (0.07 + 0.93 / p)).tolist())
    assert (a.one, a.serial) == pytest.approx((80, 0.07), rel=1e-4)
    u = fits.universal(p.tolist(), (50 * p / (1 + 0.03 * (p - 1) + 2e-4 * p * (p - 1))).tolist())
    assert (u.one, u.contention, u.crosstalk) == pytest.approx((50, 0.03, 2e-4), rel=1e-3)


def test_a_law_of_three_numbers_needs_three_points() -> None:
    with pytest.raises(ValueError, match="three"):
        fits.universal([1, 2, 2], [1, 2, 2])


def test_a_ring_moves_twice_all_but_a_share_of_the_bytes() -> None:
    """400 MB over 4 processes at 1 GB/s: 2 x 3/4 x 0.4 s = 0.6 s, and 6 messages of 1 ms."""
    assert ring_allreduce(400_000_000, 4, 1e9, 1e-3) == pytest.approx(0.606)


def test_a_transfer_is_a_set_up_and_a_rate() -> None:
    found = [Transfer("scp", mb, 100, 0, 0.5 + mb / 12) for mb in (1, 12, 60)]
    assert laws(found)["scp"] == pytest.approx((0.5, 12))
