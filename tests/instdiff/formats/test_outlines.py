"""Polygons and run lengths: as pycocotools draws them, and whatever is spoiled in them is left out."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from pycocotools import mask as coco_mask

from instdiff import rle
from instdiff.formats import outlines
from instdiff.formats.outlines import read_outline

SIZE = (60, 40)  # width, height
masks = arrays(bool, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=20), elements=st.booleans())
coordinates = st.floats(-30, 90, allow_nan=False)


@given(st.lists(st.lists(coordinates, min_size=6, max_size=14).filter(lambda ring: len(ring) % 2 == 0), min_size=1))
def test_polygons_are_filled_as_pycocotools_fills_them(rings):
    outline = read_outline(rings, SIZE, SIZE)
    theirs = coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(rings, SIZE[1], SIZE[0]))).astype(bool)
    mask = outline.draw(SIZE, SIZE)
    assert outline.lost == "" and (mask.array == theirs).all() if theirs.any() else mask is None
    xs = [x for ring in rings for x in ring[::2]]
    assert outline.bounds(SIZE)[0] == min(xs) and outline.bounds(SIZE)[2] == max(xs)


@given(masks)
def test_run_lengths_as_text_and_as_a_list(array):
    size = array.shape[::-1]
    counts = rle.encode(array)
    for written in (counts, rle.counts_to_string(counts)):
        outline = read_outline({"size": list(array.shape), "counts": written}, size, size)
        mask = outline.draw(size, size)
        if array.any():
            assert (mask.array == array).all() and outline.lost == ""
            corners = [side * scale for side, scale in zip(mask.box.xyxy, size * 2, strict=True)]
            assert outline.bounds(size) == pytest.approx(corners)
        else:
            assert mask is None and outline.bounds(size) is None


@pytest.mark.parametrize(
    ("value", "lost"),
    [
        ([[1, 2, 3, 4]], outlines.NO_POLYGON),
        ([[1, 2, 3, 4, 5, float("nan")]], outlines.NO_POLYGON),
        ([[1, 2, 3, 4, 5, 10**400]], outlines.NO_POLYGON),
        ([[10**400, 2, -(10**400), 4, 5, 6]], outlines.NO_POLYGON),
        ([[1e300, 2, 3, 4, 5, 6]], outlines.NO_POLYGON),
        ([[4.2e8, 2, 4.3e8, 4, 5, 6]], outlines.LONG_POLYGON),  # past the whole numbers of whoever fills it
        ([[0, 0, 60, 40] * 3000], outlines.LONG_POLYGON),  # zigzags
        ([[0, 0, 1, 1] * 30_000], outlines.LONG_POLYGON),
        ([None, {}, "x", 5], outlines.NO_POLYGON),
        ([[[1, 2], [3, 4], 5]], outlines.NO_POLYGON),
        ({"size": [40, 60]}, outlines.NO_RUNS),
        ({"size": [40], "counts": [2400]}, outlines.NO_RUNS),
        ({"size": [40, 60], "counts": [-5, 2405]}, outlines.NO_RUNS),
        ({"size": [40, 60], "counts": [1200.5, 1199.5]}, outlines.NO_RUNS),
        ({"size": [10**30, 10**30], "counts": [10**60]}, outlines.NO_RUNS),
        ({"size": [40, 60], "counts": ["2400"]}, outlines.NO_RUNS),
        ({"size": None, "counts": "0"}, outlines.NO_RUNS),
        ({"size": [60, 40], "counts": [0, 2400]}, outlines.OTHER_SHAPE),
        (7, outlines.NO_OUTLINE),
    ],
)
def test_what_cannot_be_drawn_is_left_out(value, lost):
    outline = read_outline(value, SIZE, SIZE)
    assert outline.lost == lost and not outline and outline.draw(SIZE, SIZE) is None and outline.bounds(SIZE) is None


def test_masks_of_many_pixels_are_drawn_at_fewer():
    height, width = 6000, 8000
    counts = [height * width // 2, height * width - height * width // 2]  # the right half
    mask = read_outline({"size": [height, width], "counts": counts}, (width, height), (400, 300)).draw(
        (width, height), (400, 300)
    )
    assert mask.size == (300, 400) and mask.array[:, 200:].all() and not mask.array[:, :200].any()


def test_outlines_are_drawn_on_the_canvas_of_the_layout():
    square = [2000, 1000, 6000, 1000, 6000, 5000, 2000, 5000]
    mask = read_outline([square], (8000, 6000), (400, 300)).draw((8000, 6000), (400, 300))
    expected = np.zeros((300, 400), bool)
    expected[50:250, 100:300] = True
    assert (mask.array == expected).all()
