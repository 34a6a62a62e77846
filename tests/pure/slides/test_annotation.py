import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from shapely import Polygon, box

from mpicamnet.errors import SlideError
from mpicamnet.slides import check_annotation, open_slide, read_annotation
from tests.pure.slides import drawn
from tests.shared_data import DATA, needs_data

SQUARE = [(0, 0), (10, 0), (10, 10), (0, 10)]


def asap(*annotations: tuple[str, list[tuple[float, float]]], kind: str = "Polygon") -> str:
    text = ""
    for k, (group, points) in enumerate(annotations):
        coordinates = "".join(f'<Coordinate Order="{i}" X="{x}" Y="{y}" />' for i, (x, y) in enumerate(points))
        text += f'<Annotation Name="Annotation {k}" Type="{kind}" PartOfGroup="{group}"><Coordinates>{coordinates}</Coordinates></Annotation>'
    return f'<?xml version="1.0"?><ASAP_Annotations><Annotations>{text}</Annotations></ASAP_Annotations>'


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


@needs_data
@pytest.mark.parametrize(("file", "areas"), [("patient_004_node_4.xml", SHOELACE := [93494.895, 92491.585, 66960.72]),
                                             ("patient_004_node_4.group_Tumor.xml", SHOELACE)])
def test_the_three_outlines_of_a_camelyon17_slide_have_their_areas(file: str, areas: list[float]) -> None:
    """Areas by the shoelace formula over the vertices in the file, worked outside of this program."""
    polygons = read_annotation(DATA / "annotations/camelyon17" / file)
    assert sorted(p.area for p in polygons.geoms) == pytest.approx(sorted(areas), rel=1e-4)
    assert polygons.bounds == pytest.approx((10626, 75345, 13483, 89161), abs=1)


@needs_data
def test_the_json_and_the_xml_of_one_slide_are_the_same_area() -> None:
    folder = DATA / "wsi/camelyon16_tumor_072"
    a, b = read_annotation(folder / "Tumor_072.json"), read_annotation(folder / "tumor_072.from_json.xml")
    assert a.is_valid and a.equals(b)
    # The README's four areas; the first outline crosses itself, so that its true area is a little larger than its shoelace sum.
    assert a.area == pytest.approx(59_128_695 + 289_296 + 57_697_982 + 305_660, rel=1e-4)


@needs_data
@pytest.mark.parametrize("path", sorted(DATA.glob("pcam_slides/lesion_annotations/*.xml")), ids=lambda p: p.stem)
def test_tumour_cells_lie_inside_and_others_outside(path: Path) -> None:
    """The README of pcam_slides: every tumour cell's centre lies inside, every other's does not."""
    import csv

    import shapely
    polygons = read_annotation(path)
    with open(DATA / "pcam_slides/cells.csv", newline="") as f:
        cells = [r for r in csv.DictReader(f) if path.stem in r["slide"]]
    assert cells
    inside = shapely.contains_xy(polygons, [96 * int(c["col"]) + 48 for c in cells], [96 * int(c["row"]) + 48 for c in cells])
    assert inside.tolist() == [bool(int(c["tumour"])) for c in cells]


@pytest.mark.parametrize("group", ["_2", "2", "normal", "Normal", "Exclusion", "none_tumor", "none-tumor"])
def test_excluded_groups_are_holes(group: str, tmp_path: Path) -> None:
    path = written(tmp_path / "a.xml", asap(("Tumor", SQUARE), (group, [(2, 2), (4, 2), (4, 4), (2, 4)])))
    assert read_annotation(path).area == 96


@pytest.mark.parametrize("group", ["Tumor", "metastases", "_0", "_1", "None", ""])
def test_all_other_groups_are_tumour(group: str, tmp_path: Path) -> None:
    assert read_annotation(written(tmp_path / "a.xml", asap((group, SQUARE)))).area == 100


def test_overlapping_outlines_count_once(tmp_path: Path) -> None:
    shifted = [(x + 5, y) for x, y in SQUARE]
    assert read_annotation(written(tmp_path / "a.xml", asap(("_0", SQUARE), ("_1", shifted)))).area == 150


def test_points_are_taken_in_their_order_not_the_files(tmp_path: Path) -> None:
    text = asap(("Tumor", SQUARE)).replace('Order="1"', 'Order="9"').replace('Order="2"', 'Order="1"').replace('Order="9"', 'Order="2"')
    # (0,0), (10,10), (10,0), (0,10): a bow tie of two triangles, 25 each
    assert read_annotation(written(tmp_path / "a.xml", text)).area == 50


def test_an_outline_that_touches_itself_is_mended_into_areas_only(tmp_path: Path) -> None:
    spike = [*SQUARE[:2], (20, 0), (10, 0), *SQUARE[2:]]  # a spike without area
    polygons = read_annotation(written(tmp_path / "a.xml", asap(("Tumor", spike))))
    assert polygons.is_valid and polygons.area == 100 and polygons.bounds == (0, 0, 10, 10)


def test_no_outlines_are_an_empty_area(tmp_path: Path) -> None:
    for name, text in (("a.xml", asap()), ("b.geojson", '{"type": "FeatureCollection", "features": []}'), ("c.json", '{"positive": [], "negative": []}')):
        polygons = read_annotation(written(tmp_path / name, text))
        assert polygons.is_empty and polygons.geom_type == "MultiPolygon"


def test_dots_and_measures_have_no_area(tmp_path: Path) -> None:
    assert read_annotation(written(tmp_path / "a.xml", asap(("Tumor", [(1, 1)]), kind="Dot"))).is_empty


@pytest.mark.parametrize(("name", "text", "says"), [
    ("a.xml", '<?xml version="1.0"?>\n<ASAP_Annotations>\n<Annot', "no well-formed XML: .*a.xml, line 3"),
    ("a.xml", "", "no well-formed XML: .*a.xml, line 1"),
    ("a.xml", asap(("Tumor", SQUARE), ("Tumor", SQUARE[:2])), "annotation `Annotation 1` has 2 points: .*a.xml"),
    ("a.xml", asap(("Tumor", SQUARE)).replace('X="10"', 'X="ten"'), "annotation `Annotation 0` has a coordinate that cannot be read"),
    ("a.xml", asap(("Tumor", SQUARE)).replace('X="10"', 'X="nan"'), "annotation `Annotation 0` has a coordinate that is no number"),
    ("a.json", '{"positive": [{"name": "T1", "vertices": [[0, 0], [1, NaN], [1, 1]]}]}', "annotation `T1` has a coordinate that is no number"),
    ("a.geojson", '{"type": "FeatureCollection",\n "features": [', "no well-formed JSON: .*a.geojson, line 2"),
    ("a.geojson", '{"type": "Polygon", "coordinates": [[[0, 0], [1, 1]]]}', "has 2 points"),
    ("a.geojson", '{"type": "Circle", "coordinates": []}', "neither GeoJSON nor"),
    ("a.json", '{"positive": [{"name": "T1", "vertices": [[0, 0], [1, 1]]}]}', "annotation `T1` has 2 points"),
    ("a.json", "[1, 2]", "neither GeoJSON nor"),
    ("a.csv", "x,y", "type `.csv` are not read"),
])
def test_a_mistake_is_told_with_its_place(name: str, text: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(SlideError, match=says) as e:
        read_annotation(written(tmp_path / name, text))
    assert "\n" not in str(e.value)


RING = [[0, 0], [10, 0], [10, 10], [0, 10], [0, 0]]
HOLE = [[2, 2], [4, 2], [4, 4], [2, 4], [2, 2]]


@pytest.mark.parametrize(("tree", "area"), [
    ({"type": "Polygon", "coordinates": [RING, HOLE]}, 96),
    ({"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [RING]}, "properties": {}}, 100),
    ([{"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [RING]}, "properties": {"classification": {"name": "Tumor"}}}], 100),
    ({"type": "MultiPolygon", "coordinates": [[RING], [[[20, 0], [21, 0], [21, 1], [20, 0]]]]}, 100.5),
    ({"type": "FeatureCollection", "features": [
        {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [RING]}, "properties": {"classification": {"names": ["Tumor"]}}},
        {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [HOLE]}, "properties": {"classification": "Ignore*"}},
        {"type": "Feature", "geometry": {"type": "Point", "coordinates": [1, 1]}, "properties": None}]}, 96),
])
def test_geojson_in_all_its_shapes(tree: object, area: float, tmp_path: Path) -> None:
    assert read_annotation(written(tmp_path / "a.geojson", json.dumps(tree))).area == area


@needs_data
@pytest.mark.parametrize(("file", "area", "parts"), [
    # 1835 x 2138 + 3973 x 2811 + 953 x 952, from the corners in the file
    ("JP2K-33003-1.geojson", 1835 * 2138 + 3973 * 2811 + 953 * 952, 3), ("holed.geojson", None, 1), ("qupath05.geojson", None, 3)])
def test_quPath_exports_are_read(file: str, area: float | None, parts: int) -> None:
    polygons = read_annotation(DATA / "annotations/qupath" / file)
    assert len(getattr(polygons, "geoms", [polygons])) == parts
    if area is not None:
        assert polygons.area == area
    if file == "holed.geojson":
        assert polygons.interiors and polygons.area < (13369 - 10098) * (19491 - 16763)


@needs_data
def test_camelyon16_json_has_its_polygons() -> None:
    assert read_annotation(DATA / "annotations/camelyon16/Tumor_073.json").geom_type == "Polygon"
    assert len(read_annotation(DATA / "annotations/camelyon16/Tumor_098.json").geoms) == 5


def test_a_mask_is_outlined_to_the_px(tmp_path: Path) -> None:
    mask = np.zeros((300, 400), np.uint8)
    mask[10:60, 20:80] = 255
    mask[30:40, 40:50] = 0  # a hole
    mask[60:70, 80:90] = 1  # touches at a corner
    mask[100:150, 100:150] = 2  # marked as normal
    path = tmp_path / "s_mask.tif"
    with tifffile.TiffWriter(path) as tiff:
        tiff.write(mask, tile=(128, 128), metadata=None, compression="lzw")
        tiff.write(mask[::2, ::2], tile=(128, 128), metadata=None, compression="lzw", subfiletype=1)
    polygons = read_annotation(path)
    assert polygons.equals(box(20, 10, 80, 60).difference(box(40, 30, 50, 40)).union(box(80, 60, 90, 70)))


def test_a_mask_too_large_is_outlined_on_a_coarser_level(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mpicamnet.slides import mask_annotation
    monkeypatch.setattr(mask_annotation, "MOST_PIXELS", 100 * 100)
    mask = np.zeros((256, 256), np.uint8)
    mask[64:128, 32:96] = 1
    path = tmp_path / "s_mask.tif"
    with tifffile.TiffWriter(path) as tiff:
        for step in (1, 4):
            tiff.write(mask[::step, ::step], tile=(128, 128), metadata=None, subfiletype=int(step > 1))
    assert read_annotation(path).equals(box(32, 64, 96, 128))


def test_the_annotation_of_another_slide_is_noticed(tmp_path: Path) -> None:
    with open_slide(drawn.write(tmp_path / "s.tif", [drawn.picture()])) as slide:  # 700 x 500
        check_annotation(Polygon([(600, 100), (740, 100), (740, 200), (600, 200)]), slide)  # 100 of 140 inside
        with pytest.raises(SlideError, match="100% of the annotation lies outside the slide: s: .*another slide"):
            check_annotation(box(9000, 100, 9100, 200), slide)
        check_annotation(Polygon(), slide)
