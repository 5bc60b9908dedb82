import math

import numpy as np
import pytest

from instdiff import BadInput, Box, Instance, Layout, Mask, Point, Scribble

BOX = Box(x0=0.25, y0=0.5, x1=0.75, y1=1.0)


def scribble(*pairs) -> Scribble:
    return Scribble(points=tuple(Point(x=x, y=y) for x, y in pairs))


@pytest.mark.parametrize(
    "box, other, iou",
    [
        ((0.0, 0.0, 0.5, 0.5), (0.0, 0.0, 0.5, 0.5), 1.0),
        ((0.0, 0.0, 0.5, 0.5), (0.5, 0.0, 1.0, 0.5), 0.0),
        ((0.0, 0.0, 0.5, 1.0), (0.25, 0.0, 0.75, 1.0), 1 / 3),
        ((0.0, 0.0, 1.0, 1.0), (0.0, 0.0, 0.5, 0.5), 0.25),
    ],
)
def test_iou(box, other, iou):
    box, other = (Box(**dict(zip(("x0", "y0", "x1", "y1"), values, strict=True))) for values in (box, other))
    assert box.iou(other) == other.iou(box) == pytest.approx(iou)


@pytest.mark.parametrize(
    "corners, problem",
    [
        ((0.5, 0.0, 0.5, 1.0), "no area"),
        ((0.6, 0.0, 0.5, 1.0), "no area"),
        ((0.0, 1.0, 0.5, 0.5), "no area"),
        ((-0.1, 0.0, 0.5, 1.0), "greater than or equal to 0"),
        ((0.0, 0.0, 1.1, 1.0), "less than or equal to 1"),
        ((0.0, 0.0, math.nan, 1.0), "finite"),
        ((0.0, 0.0, math.inf, 1.0), "finite"),
        (("left", 0.0, 1.0, 1.0), "valid number"),
    ],
)
def test_boxes_that_are_none(corners, problem):
    with pytest.raises(BadInput, match=problem):
        Box.parse(dict(zip(("x0", "y0", "x1", "y1"), corners, strict=True)))


def test_pixels_of_a_wide_picture():
    box = Box.from_coco([192, 128, 384, 256], (768, 512))
    assert box == Box(x0=0.25, y0=0.25, x1=0.75, y1=0.75) == Box.from_corners([192, 128, 576, 384], (768, 512))
    assert (box.to_coco((768, 512)), box.to_corners((768, 512))) == ([192, 128, 384, 256], [192, 128, 576, 384])


@pytest.mark.parametrize(
    "places, extent",
    [
        ({"box": BOX}, BOX),
        ({"point": Point(x=0.5, y=0.5)}, None),
        ({"scribble": scribble((0.1, 0.2), (0.3, 0.4))}, Box(x0=0.1, y0=0.2, x1=0.3, y1=0.4)),
        ({"scribble": scribble((0.1, 0.2), (0.1, 0.4))}, None),
        ({"mask": Mask.from_array(np.pad(np.ones((2, 3)), ((1, 1), (1, 0))))}, Box(x0=0.25, y0=0.25, x1=1.0, y1=0.75)),
        ({"mask": Mask.from_array(np.zeros((4, 4)))}, None),
        ({"box": BOX, "scribble": scribble((0.1, 0.2), (0.3, 0.4))}, BOX),
    ],
)
def test_extent(places, extent):
    assert Instance(caption="a dog", **places).extent == extent


def test_mask_shape_is_not_transposed():
    array = np.zeros((3, 5), dtype=bool)
    array[2, 1:4] = True
    mask = Mask.from_array(array)
    assert mask.size == (3, 5) and (mask.array == array).all()


@pytest.mark.parametrize(
    "data, field, problem",
    [
        ({}, "caption", "required"),
        ({"caption": "x", "width": 63}, "width", "64"),
        ({"caption": "x", "height": 4097}, "height", "4096"),
        ({"caption": "x", "colour": "red"}, "colour", "not permitted"),
        ({"caption": "x", "instances": [{"caption": "dog"}]}, "instances.0", '"dog" has no place'),
        ({"caption": "x", "instances": [{"caption": "", "box": dict(BOX)}]}, "instances.0", "caption or a category"),
        ({"caption": "x", "instances": [{"caption": "dog", "box": dict(BOX)}] * 31}, "instances", "31 instances"),
        (
            {"caption": "x", "instances": [{"caption": "a", "mask": {"size": [9, 9], "counts": "1"}}]},
            "instances.0.mask",
            "add up to 1",
        ),
    ],
)
def test_refusals_name_field_and_reason(data, field, problem):
    with pytest.raises(BadInput) as caught:
        Layout.parse(data)
    assert caught.value.field == field and problem in caught.value.reason and "\n" not in str(caught.value)


def test_layouts_do_not_change():
    layout = Layout(caption="x")
    with pytest.raises(ValueError, match="frozen"):
        layout.caption = "y"
    assert layout.with_size(640, 384).size == (640, 384) and layout.size == (512, 512)


def test_control_characters_in_words_become_spaces():
    """Words are shown on terminals, where an escape sequence could do anything."""
    layout = Layout(caption="a\x1b[2Jcat\n", instances=[Instance(caption="a \x07cat", point=Point(x=0.5, y=0.5))])
    assert layout.caption == "a [2Jcat\n"
    assert layout.instances[0].caption == "a  cat"
