from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mpicamnet.errors import SlideError
from mpicamnet.slides import Slide, open_slide, read_patch, resolve, shrink
from tests.pure.slides import drawn

Opener = Callable[[float | None], Slide]


@pytest.fixture
def slide_at(tmp_path: Path) -> Opener:
    def slide(mpp: float | None) -> Slide:
        path = drawn.write(tmp_path / "s.tif", drawn.pyramid(drawn.picture()), compression="deflate")
        return open_slide(path, mpp=mpp)
    return slide


@pytest.mark.parametrize(("target", "level", "scale"), [(0.25, 0, 1), (0.252, 0, 1), (0.248, 0, 1), (0.5, 1, 1), (1.0, 2, 1), (0.4, 0, 1.6), (0.75, 1, 1.5),
                                                        (0.256, 0, 1.024), (4.0, 2, 4)])
def test_a_target_is_read_from_the_level_that_has_it_else_from_the_next_finer(target: float, level: int, scale: float, slide_at: Opener) -> None:
    with slide_at(0.25) as slide:
        r = resolve(slide, mpp=target)
        assert (r.level, r.scale) == (level, pytest.approx(scale))
        assert r.downsample == pytest.approx(slide.levels[level].downsample * scale)
        assert r.mpp == pytest.approx(target, rel=0.01)


def test_a_level_is_taken_as_it_is_also_without_mpp(slide_at: Opener) -> None:
    with slide_at(None) as slide:
        r = resolve(slide, level=1)
        assert (r.level, r.scale, r.downsample, r.mpp) == (1, 1.0, 2.0, None)
    with slide_at(0.25) as slide:
        assert resolve(slide, level=2).mpp == 1.0


def test_what_cannot_be_read_is_told(slide_at: Opener) -> None:
    with slide_at(0.25) as slide:
        with pytest.raises(SlideError, match=r"data.mpp is 0.1, finer than the slide's 0.25"):
            resolve(slide, mpp=0.1)
        with pytest.raises(SlideError, match="level 3 does not exist"):
            resolve(slide, level=3)
    with slide_at(None) as slide, pytest.raises(SlideError, match="does not say its resolution.*column mpp.*data.level"):
        resolve(slide, mpp=0.5)


def test_shrinking_by_two_is_the_mean_of_four() -> None:
    px = np.array([[0, 10, 4, 4], [20, 30, 4, 5]], np.uint8)[..., None].repeat(3, 2)
    # (0 + 10 + 20 + 30) / 4 = 15; (4 + 4 + 4 + 5) / 4 = 4.25 -> 4
    assert shrink(np.vstack([px, px]), 0, 0, 2.0, 2)[..., 0].tolist() == [[15, 4], [15, 4]]


def test_fractional_edges_count_by_their_share() -> None:
    px = np.array([0, 100, 200, 60], np.uint8)[None, :, None].repeat(4, 0).repeat(3, 2)
    # from 0.5 on, 1.5 wide: (0.5 * 0 + 1 * 100) / 1.5 = 66.67 -> 67; then 2.0 to 3.5: (1 * 200 + 0.5 * 60) / 1.5 = 153.33 -> 153
    assert shrink(px, 0.5, 0, 1.5, 2)[0, :, 0].tolist() == [67, 153]


def test_a_patch_is_the_same_whatever_is_read_around_it(slide_at: Opener) -> None:
    with slide_at(0.25) as slide:
        r = resolve(slide, mpp=0.4)
        whole = slide.read(0, 0, slide.width, slide.height)
        for x, y in ((0, 0), (13, 7), (401, 333)):
            patch = read_patch(slide, x, y, 64, r)
            assert np.array_equal(patch, shrink(whole, x, y, 1.6, 64))


def test_a_patch_of_a_coarser_level_begins_between_its_px(slide_at: Opener) -> None:
    with slide_at(0.25) as slide:
        r = resolve(slide, mpp=0.75)
        whole = slide.read(0, 0, slide.levels[1].width, slide.levels[1].height, 1)
        assert np.array_equal(read_patch(slide, 101, 50, 40, r), shrink(whole, 50.5, 25, 1.5, 40))
