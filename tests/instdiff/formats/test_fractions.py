"""Layout files whose places are fractions of the picture are read as such, and that is said."""

import json
import warnings

import pytest

from instdiff import BadInput, Box, Instance, Layout, Point, Scribble
from instdiff.formats import BoxFormatWarning, layout_from_json, layout_to_json, load_layout, save_layout

SIZE = (640, 400)
CAT = {"category_name": "cat", "caption": "a grey cat"}


def file_with(*annos: dict, **frame) -> dict:
    return {
        "caption": "a cat",
        "width": SIZE[0],
        "height": SIZE[1],
        "annos": [{**CAT, **one} for one in annos],
        **frame,
    }


def read(*annos: dict, boxes: str = "auto") -> list[Instance]:
    with pytest.warns(BoxFormatWarning, match="lie within 0..1 and are read as fractions of the canvas"):
        return list(layout_from_json(file_with(*annos), boxes).instances)


def test_a_file_of_fractions(tmp_path):
    cat, lamp = {"bbox": [0.1, 0.3, 0.4, 0.6]}, {"bbox": [0.6, 0.1, 0.3, 0.7]}
    (tmp_path / "layout.json").write_text(json.dumps(file_with(cat, lamp)))
    with pytest.warns(BoxFormatWarning, match="all boxes lie within 0..1"):
        layout = load_layout(tmp_path / "layout.json")
    assert [instance.box.xyxy for instance in layout.instances] == [
        pytest.approx((0.1, 0.3, 0.5, 0.9)),
        pytest.approx((0.6, 0.1, 0.9, 0.8)),
    ]


@pytest.mark.parametrize("boxes", ["auto", "corners"])
@pytest.mark.filterwarnings("ignore:boxes are read as corners")
def test_fractions_may_be_corners(boxes):
    [one, other] = read({"bbox": [0.5, 0.5, 0.9, 1.0]}, {"bbox": [0.2, 0.1, 0.7, 0.8]}, boxes=boxes)
    assert one.box == Box(x0=0.5, y0=0.5, x1=0.9, y1=1.0) and other.box == Box(x0=0.2, y0=0.1, x1=0.7, y1=0.8)


@pytest.mark.parametrize(
    "bbox, xyxy",
    [
        ([0, 0, 1, 1], (0, 0, 1, 1)),
        ([0.25, 0, 0.75, 1], (0.25, 0, 1, 1)),
        ([0.5, 0.5, 0.5004, 0.5], (0.5, 0.5, 1, 1)),
        ([0, 0, 1.0005, 0.5], (0, 0, 1, 0.5)),
    ],
)
def test_boxes_at_the_border(bbox, xyxy):
    assert read({"bbox": bbox})[0].box.xyxy == pytest.approx(xyxy)


def test_points_scribbles_and_polygons_may_be_fractions_too():
    ring = [0.25, 0.25, 0.75, 0.25, 0.75, 0.5, 0.25, 0.5]
    dot, line, flat, shape = read(
        {"point": [0.5, 0.25]},
        {"scribble": [[0.5, 0.25], [1, 1]]},
        {"scribble": [0.5, 0.25, 1, 1]},
        {"mask": [ring], "bbox": [0.25, 0.25, 0.5, 0.25]},
    )
    assert dot.point == Point(x=0.5, y=0.25)
    assert line.scribble == flat.scribble == Scribble(points=(Point(x=0.5, y=0.25), Point(x=1, y=1)))
    assert shape.mask.box == shape.box == Box(x0=0.25, y0=0.25, x1=0.75, y1=0.5)


def test_run_lengths_beside_fractions_stay():
    mask = {"size": [4, 4], "counts": [0, 16]}
    [one, other] = read({"bbox": [0, 0, 0.5, 0.5], "mask": mask}, {"mask": [[0.1, 0.1, 0.9, 0.1, 0.5, 0.9]]})
    assert one.mask.array.all() and other.mask.array.shape == SIZE[::-1]


@pytest.mark.parametrize(
    "annos",
    [
        [{"bbox": [0, 0, 1, 2]}],
        [{"bbox": [0.5, 0.5, 0.4, 0.4]}, {"bbox": [10, 10, 50, 50]}],
        [{"point": [1, 1]}, {"point": [0, 1]}],
        [{"bbox": [0, 1, 1, 1]}],
    ],
    ids=["two pixels", "one small box of two", "points on pixels", "a pixel"],
)
def test_pixels_stay_pixels(annos):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        instances = layout_from_json(file_with(*annos), "xywh").instances
    assert len(instances) == len(annos) and all(
        (one.box or Box(x0=0, y0=0, x1=1 / 64, y1=1 / 64)).area < 0.1 for one in instances
    )


@pytest.mark.parametrize(
    "value", [[0.5, 0.5, "a", 0.5], [0.5, [0.5], 0.5, 0.5], [[[[[0.5]]]]], {"x": 0.5}, [0.5, True], [0.5, 10**400]]
)
@pytest.mark.parametrize("key", ["bbox", "scribble", "mask", "point"])
@pytest.mark.filterwarnings("ignore:all ")
def test_what_is_no_place_is_refused_by_name(key, value):
    with pytest.raises(BadInput, match=r"annos\[0\]"):
        layout_from_json(file_with({key: value}))


def test_a_layout_smaller_than_a_pixel_comes_back(tmp_path):
    speck = Instance(caption="a speck", box=Box(x0=0, y0=0, x1=0.001, y1=0.002), point=Point(x=0.0004, y=0.001))
    layout = Layout(caption="x", instances=(speck,))
    save_layout(layout, tmp_path / "x.json")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load_layout(tmp_path / "x.json") == layout
    assert "units" not in layout_to_json(Layout(caption="x", instances=(Instance(caption="a", point=Point(x=1, y=1)),)))
