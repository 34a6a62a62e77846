"""How a row's look changes: against scikit-image, TensorFlow and published numbers."""
from __future__ import annotations

import threading
import time

import numpy as np
import numpy.typing as npt
import pytest
from skimage.color import hed2rgb, rgb2hed

from mpicamnet.config import Augment
from mpicamnet.train.augment import Looks, looking, looks, stain_jitter
from mpicamnet.train.philox import philox4x32, uniforms

NOT = Augment(flips=False, stain=0, brightness=0, contrast=0, hue=0, saturation=0)


def noise(n: int = 2, side: int = 32) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (n, side, side, 3), np.uint8)


Numbers = tuple[float, ...]


def look(px: npt.NDArray[np.uint8], symmetry: int = 0, alpha: Numbers = (1, 1, 1), beta: Numbers = (0, 0, 0), tone: Numbers = (0, 1, 1, 0)) \
        -> npt.NDArray[np.uint8]:
    n = len(px)
    every = [np.broadcast_to(np.array(v, float), (n, len(v))) for v in (alpha, beta, tone)]
    mix, shift = stain_jitter(every[0], every[1])
    return looking(px, np.arange(n), Looks(np.full(n, symmetry), mix, shift, every[2].astype(np.float32), True, True))


def test_philox_gives_the_known_answers() -> None:
    """The vectors of Random123's kat_vectors for philox4x32, 10 rounds (Salmon et al. 2011); the last is of the digits of pi."""
    known = [("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
             ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
             ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1")]
    for counter, key, answer in known:
        words = [np.array([int(w, 16) for w in text.split()], np.uint32) for text in (counter, key, answer)]
        assert (philox4x32(words[0][None], words[1])[0] == words[2]).all()


def test_what_a_row_draws_depends_on_seed_epoch_row_and_copy_alone() -> None:
    rows, copies = np.array([5, 1 << 40, 7, 7]), np.array([0, 0, 0, 1])
    drawn = uniforms(1, "a", 3, rows, copies, 11)
    assert (uniforms(1, "a", 3, rows[::-1], copies[::-1], 11)[::-1] == drawn).all()
    assert (uniforms(1, "a", 3, rows[1:2], copies[1:2], 6) == drawn[1, :6]).all()
    others = [uniforms(2, "a", 3, rows, copies, 11), uniforms(1, "b", 3, rows, copies, 11), uniforms(1, "a", 4, rows, copies, 11)]
    assert len({row.tobytes() for table in (drawn, *others) for row in table}) == 16
    many = uniforms(1, "a", 0, np.arange(20_000), np.zeros(20_000, np.int64), 11)
    assert many.min() > 0 and many.max() < 1
    assert np.abs(many.mean(0) - 0.5).max() < 5 * np.sqrt(1 / 12 / 20_000)
    assert np.abs(np.corrcoef(many.T) - np.eye(11)).max() < 5 / np.sqrt(20_000)


def test_without_jitter_px_stay_as_they_are() -> None:
    grey = np.repeat(np.arange(256, dtype=np.uint8), 3).reshape(1, 16, 16, 3)
    for px in (noise(), grey):
        assert (look(px) == px).all()  # through all steps, each doing nothing
        every = np.arange(len(px))
        assert (looking(px, every, looks(NOT, 1, 2, every, every)) == px).all()


def test_the_eight_symmetries_are_quarter_turns_and_their_mirror_images() -> None:
    px = noise(1, 5)
    plain = Looks(np.zeros(1, np.int64), np.zeros((1, 3, 3), np.float32), np.zeros((1, 3), np.float32), np.zeros((1, 4), np.float32), False, False)
    for which in range(8):
        turned = np.rot90(px[0], which % 4)
        expected = turned[:, ::-1] if which >= 4 else turned
        assert (look(px, which)[0] == expected).all()
        assert (looking(px, np.zeros(1, np.int64), Looks(np.array([which]), *list(vars(plain).values())[1:]))[0] == expected).all()
    drawn = looks(Augment(), 7, 0, np.arange(4000), np.zeros(4000, np.int64)).symmetry
    assert np.bincount(drawn, minlength=8).min() > 400  # 500 expected


@pytest.mark.parametrize(("alpha", "beta"), [((1.05, 1, 1), (0, 0, 0)), ((1, 0.9, 1), (0, 0.03, 0)), ((0.95, 1.04, 1.02), (0.05, -0.02, 0.04))])
def test_stain_jitter_equals_scikit_images_colour_deconvolution(alpha: tuple[float, ...], beta: tuple[float, ...]) -> None:
    """scikit-image gives stains in units of 6 decades (it divides ln by ln 1e-6), and cuts them at 0: px that are cut are left out."""
    px = noise(1, 64)
    hed = rgb2hed(px[0])
    whole = (hed > 0).all(-1)
    assert whole.sum() > 100
    expected = np.round(255 * hed2rgb(hed * alpha + np.array(beta) / 6))
    assert np.abs(look(px, alpha=alpha, beta=beta)[0].astype(float) - expected)[whole].max() <= 1


@pytest.mark.parametrize(("tone", "name"), [
    ((25.5, 1, 1, 0), "brightness"), ((0, 1.3, 1, 0), "contrast"), ((0, 0.6, 1, 0), "contrast"), ((0, 1, 1.4, 0), "saturation"), ((0, 1, 0.5, 0), "saturation"),
    ((0, 1, 1, 0.3), "hue"), ((0, 1, 1, -1.7), "hue")])
def test_tone_and_colour_equal_tensorflow(tone: tuple[float, ...], name: str) -> None:
    from mpicamnet.train.engine import start_tensorflow

    tf, _ = start_tensorflow(1)
    adjust = {"brightness": (tf.image.adjust_brightness, tone[0] / 255), "contrast": (tf.image.adjust_contrast, tone[1]),
              "saturation": (tf.image.adjust_saturation, tone[2]), "hue": (tf.image.adjust_hue, tone[3] / 6)}
    px = noise(2, 16)
    call, by = adjust[name]
    expected = np.round(np.clip(call(tf.constant(px / 255, tf.float32), by).numpy(), 0, 1) * 255)
    assert np.abs(look(px, tone=tone).astype(float) - expected).max() <= 1


def test_each_key_moves_what_it_names_within_its_range() -> None:
    rows = np.arange(3000)
    none, some = (looks(a, 1, 0, rows, np.zeros(3000, np.int64)) for a in (NOT, Augment(True, 0.05, 0.2, 0.3, 0.1, 0.4)))
    assert not none.symmetry.any() and not none.stained and not none.toned
    assert (none.tone == [0, 1, 1, 0]).all() and np.allclose(none.mix, np.eye(3), atol=1e-6) and not none.shift.any()
    for j, (middle, reach) in enumerate([(0, 51), (1, 0.3), (1, 0.4), (0, 0.6)]):  # brightness, contrast, saturation, hue
        assert middle - reach <= some.tone[:, j].min() < middle - 0.98 * reach and middle + 0.98 * reach < some.tone[:, j].max() <= middle + reach
    stains = np.linalg.eigvals(some.mix)  # similar to a diagonal matrix: the eigenvalues are the factors of the three stains
    assert 0.949 < stains.real.min() < 0.951 and 1.049 < stains.real.max() < 1.051


def test_kernels_run_without_the_gil() -> None:
    """A thread that only counts goes on counting while another augments. Were the lock held, it would stand still for each whole call."""
    px, every = noise(64, 96), np.zeros(64, np.int64)
    call = looks(Augment(), 1, 0, np.arange(64), every)
    looking(px, every, call)
    gaps, stop = [0.0], threading.Event()

    def count() -> None:
        last = time.perf_counter()
        while not stop.is_set():
            now = time.perf_counter()
            gaps[0], last = max(gaps[0], now - last), now

    begun = time.perf_counter()
    big = np.tile(every, 40)
    large = looks(Augment(), 1, 0, np.arange(len(big)), np.zeros(len(big), np.int64))
    counter = threading.Thread(target=count)
    counter.start()
    looking(px, big, large)
    stop.set()
    counter.join()
    assert gaps[0] < 0.5 * (time.perf_counter() - begun)
