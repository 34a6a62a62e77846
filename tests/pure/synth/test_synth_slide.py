"""A drawn slide: the same for the same seed, readable, and with tumour where the outlines say. Expected values come from OpenSlide,
tifffile, shapely."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import openslide
import pytest
import shapely
import tifffile
from scipy import ndimage

from mpicamnet.synth import Polygon, cells, draw_slide, texture
from mpicamnet.synth.noise import inside
from mpicamnet.synth.shapes import edges, layout, lesion, longest_axis

SQUARE = Polygon(np.array([[256.0, 256.0], [1280.0, 256.0], [1280.0, 1280.0], [256.0, 1280.0]]))


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def haematoxylin(rgb: np.ndarray) -> np.ndarray:
    """Optical density in red: nuclei take red light, eosin hardly any."""
    return np.asarray(-np.log((rgb[..., 0].astype(float) + 1) / 242))


@pytest.fixture(scope="module")
def slide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("slide") / "a.tif"
    draw_slide(path, 1700, 1300, 7, tumor=[SQUARE], tissue="full", mpp=0.5)
    return path


def test_the_same_seed_gives_the_same_bytes_on_any_number_of_threads(tmp_path: Path, slide: Path) -> None:
    draw_slide(tmp_path / "b.tif", 1700, 1300, 7, tumor=[SQUARE], tissue="full", mpp=0.5, threads=1)
    draw_slide(tmp_path / "c.tif", 1700, 1300, 8, tumor=[SQUARE], tissue="full", mpp=0.5, threads=3)
    assert digest(tmp_path / "b.tif") == digest(slide) != digest(tmp_path / "c.tif")


def test_nothing_partial_is_left(slide: Path) -> None:
    assert [p.name for p in slide.parent.iterdir()] == [slide.name]


def test_openslide_sees_levels_tiles_and_resolution(slide: Path) -> None:
    with openslide.OpenSlide(slide) as s:
        assert s.properties["openslide.vendor"] == "generic-tiff"
        assert s.level_dimensions == ((1700, 1300), (850, 650))
        assert float(s.properties["openslide.mpp-x"]) == float(s.properties["openslide.mpp-y"]) == 0.5
        assert s.properties["openslide.level[0].tile-width"] == "512"


@pytest.mark.parametrize(
    ("side", "levels", "sizes"), [(1025, None, [1025, 512]), (1536, 3, [1536, 768, 384]), (600, 1, [600]), (513, 2, [513, 256])]
)
def test_levels_halve_down_to_1024_px_or_as_many_as_asked_for(tmp_path: Path, side: int, levels: int | None, sizes: list[int]) -> None:
    draw_slide(tmp_path / "a.tif", side, 512, 1, levels=levels)
    with tifffile.TiffFile(tmp_path / "a.tif") as f:
        assert [p.shape[1] for p in f.pages] == sizes


def test_a_level_is_the_mean_of_the_one_below(slide: Path) -> None:
    with tifffile.TiffFile(slide) as f:
        full, half = f.pages[0].asarray(), f.pages[1].asarray()
    means = full.reshape(650, 2, 850, 2, 3).mean((1, 3))
    assert np.abs(means - half).mean() < 6  # both went through JPEG
    assert np.abs(means.mean((0, 1)) - half.mean((0, 1))).max() < 0.5


def test_tifffile_and_openslide_read_the_same_colours(slide: Path) -> None:
    with openslide.OpenSlide(slide) as s:
        seen = np.asarray(s.read_region((0, 0), 0, s.dimensions).convert("RGB"))
    assert np.abs(seen.astype(int) - tifffile.imread(slide)).max() <= 1
    assert seen[..., 0].mean() > seen[..., 1].mean() + 20 < seen[..., 2].mean()  # pink to violet, not the green of a YCbCr taken for RGB


def test_glass_is_light_and_costs_little(tmp_path: Path) -> None:
    draw_slide(tmp_path / "a.tif", 1024, 1024, 1, tissue=[], levels=1)
    rgb = tifffile.imread(tmp_path / "a.tif")
    assert rgb.min() >= 236 and rgb.max() <= 247
    assert (tmp_path / "a.tif").stat().st_size * 8 / 1024**2 < 0.2


def test_tissue_costs_as_many_bits_as_real_tissue(tmp_path: Path) -> None:
    draw_slide(tmp_path / "a.tif", 2048, 2048, 1, tissue="full", levels=1)
    assert 1.7 < (tmp_path / "a.tif").stat().st_size * 8 / 2048**2 < 2.8  # Camelyon, 0.24 um per px, quality 85, 4:2:0: 2.1


def test_nuclei_are_larger_inside_the_outlines_though_the_colour_is_much_the_same(slide: Path) -> None:
    od = ndimage.gaussian_filter(haematoxylin(tifffile.imread(slide)), 1.5)

    def nuclei(region: np.ndarray) -> tuple[float, float]:
        """How far the inmost 1 % of what is dark lies from its edge, px; and the mean density of all."""
        depth = ndimage.distance_transform_edt(region > 0.75)
        return float(np.percentile(depth[depth > 0], 99)), float(region.mean())

    tumor, normal = nuclei(od[300:1240, 300:1240]), nuclei(od[:, 1330:])
    assert tumor[0] > 1.35 * normal[0]
    assert abs(tumor[1] - normal[1]) < 0.25 * normal[1]


def test_a_hole_is_normal_tissue() -> None:
    hole = np.array([[40.0, 40.0], [60.0, 40.0], [60.0, 60.0], [40.0, 60.0]])
    mask, count = inside(edges([Polygon(np.array([[10.0, 10.0], [90.0, 10.0], [90.0, 90.0], [10.0, 90.0]]), (hole,))]), 0, 0, 100)
    assert count == mask.sum() == 80 * 80 - 20 * 20
    assert mask[20, 20] == 1 and mask[50, 50] == 0 and mask[5, 5] == 0


def test_a_mask_agrees_with_shapely() -> None:
    rng = np.random.default_rng(0)
    drawn = layout(rng, 400, 400)
    polygon = lesion(rng, drawn.frame, drawn.long, 250, hole=True)
    mask, _ = inside(edges([polygon]), 0, 0, 400)
    expected = shapely.Polygon(polygon.outline, polygon.holes)
    y, x = np.mgrid[:400, :400] + 0.5
    clear = (
        shapely.distance(expected.boundary, shapely.points(x, y)) > 1e-6
    )  # a px whose middle lies on the outline may fall to either side
    assert (mask.astype(bool) == shapely.contains_xy(expected, x, y))[clear].all() and clear.sum() > 159_000


@pytest.mark.parametrize("axis", [200.0, 900.0, 2100.0])
def test_a_lesion_is_as_long_as_asked_for_and_lies_in_its_island(axis: float) -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        drawn = layout(rng, 2048, 2048)
        polygon = lesion(rng, drawn.frame, drawn.long, axis)
        assert longest_axis(polygon) == pytest.approx(axis, rel=0.01)
        assert shapely.Polygon(drawn.outlines[0].outline).contains(shapely.Polygon(polygon.outline))


def test_islands_are_simple_apart_and_on_the_slide() -> None:
    for seed in range(50):
        one, two = (shapely.Polygon(p.outline) for p in layout(np.random.default_rng(seed), 3000, 3000).outlines)
        assert one.is_valid and two.is_valid and one.disjoint(two)
        assert shapely.box(0, 0, 3000, 3000).contains(one) and shapely.box(0, 0, 3000, 3000).contains(two)


def test_neighbouring_tiles_of_a_mosaic_fit(tmp_path: Path) -> None:
    draw_slide(tmp_path / "a.tif", 1536, 1536, 3, tissue="full", tumor=[SQUARE], mosaic=True, levels=1, quality=100)
    grey = tifffile.imread(tmp_path / "a.tif").astype(float).mean(2)
    steps = np.abs(np.diff(grey, axis=1)).mean(0)  # from column to column
    assert steps[511] < 1.3 * np.median(steps) and steps[1023] < 1.3 * np.median(steps)  # a seam would stand out several times


def test_slides_of_one_centre_are_stained_more_alike_than_those_of_two(tmp_path: Path) -> None:
    colour = {}
    for center in (0, 1):
        for seed in (1, 2):
            draw_slide(tmp_path / "a.tif", 1024, 1024, seed, tissue="full", center=center, levels=1)
            rgb = tifffile.imread(tmp_path / "a.tif").reshape(-1, 3)
            od = -np.log((rgb.astype(float) + 1) / 242).mean(0)
            colour[center, seed] = od / np.linalg.norm(od)
    within = max(np.linalg.norm(colour[c, 1] - colour[c, 2]) for c in (0, 1))
    between = min(np.linalg.norm(colour[0, a] - colour[1, b]) for a in (1, 2) for b in (1, 2))
    assert between > 2 * within


def test_memory_is_bounded_by_tiles_not_by_the_slide(tmp_path: Path) -> None:
    code = (
        "import resource, sys; from mpicamnet.synth import draw_slide; draw_slide(sys.argv[1], 512, 512, 1, tissue='full');"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss; draw_slide(sys.argv[1], 8192, 8192, 1, tissue='full', threads=2);"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.tif")], capture_output=True, text=True, check=True, timeout=300)
    assert int(done.stdout) < 100 * 1024  # KiB; the slide is 201 MB of px


@pytest.mark.parametrize("module", [cells, texture])
def test_a_change_in_a_kernel_makes_those_that_call_it_be_compiled_anew(module: ModuleType) -> None:
    *names, held = module.MADE_OF
    folder = Path(str(module.__file__)).parent
    today = hashlib.sha256(b"".join((folder / name).read_bytes() for name in names)).hexdigest()[:12]
    assert held == today, f"{module.__name__}.MADE_OF must end with {today}: else Numba's cache still draws with the old kernels"


def test_a_killed_drawing_leaves_nothing_under_the_final_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mpicamnet.synth.tiff.PyramidWriter.finish", lambda self: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        draw_slide(tmp_path / "a.tif", 512, 512, 1)
    assert not (tmp_path / "a.tif").exists()
