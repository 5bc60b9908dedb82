"""Large pictures are looked at whole and in overlapping tiles that leave nothing out."""

import numpy as np
import pytest
from PIL import Image

from evaluators.detectors.tiles import View, views_of


@pytest.mark.parametrize(
    ("size", "count"),
    [((64, 48), 1), ((149, 20), 1), ((150, 20), 5), ((100, 299), 5), ((300, 300), 10), ((4000, 3000), 10)],
)
def test_the_larger_the_picture_the_more_views(size, count):
    views = views_of([Image.new("L", size)], 100)
    assert len(views) == count and views[0].corners == (0, 0, *size)
    covered = np.zeros(size, dtype=int)
    for view in views[1:]:
        x0, y0, x1, y1 = view.corners
        covered[x0:x1, y0:y1] += 1
        assert view.crop([Image.new("L", size)]).size == (x1 - x0, y1 - y0)
    assert count == 1 or (covered.min() == 1 and covered.max() == 4)


def test_views_know_their_picture():
    images = [Image.new("RGB", (50, 50), "red"), Image.new("RGB", (200, 200), "blue")]
    views = views_of(images, 100)
    assert [view.picture for view in views] == [0, 1, 1, 1, 1, 1]
    assert views[0].crop(images).getpixel((0, 0)) == (255, 0, 0) and views[-1].crop(images).getpixel((0, 0))[2] == 255


def test_neighbours_overlap_by_a_quarter():
    first, second = views_of([Image.new("L", (700, 700))], 400)[1:3]
    assert (first.corners, second.corners) == ((0, 0, 400, 400), (300, 0, 700, 400))


BOXES = np.array(
    [
        [0.1, 0.1, 0.5, 0.5],
        [0.0, 0.2, 0.5, 0.5],  # from the left edge
        [0.1, 0.0, 0.5, 0.5],
        [0.5, 0.5, 1.0, 0.9],
        [0.5, 0.5, 0.9, 1.0],
    ]
)


@pytest.mark.parametrize(
    ("corners", "whole"),
    [
        ((0, 0, 200, 100), [True, True, True, True, True]),  # the edges of the picture cut nothing
        ((0, 0, 100, 50), [True, True, True, False, False]),
        ((100, 50, 200, 100), [True, False, False, True, True]),
        ((50, 0, 150, 100), [True, False, True, False, True]),
    ],
)
def test_what_an_inner_edge_cuts_is_not_whole(corners, whole):
    boxes, is_whole = View(0, corners, (200, 100)).on_picture(BOXES)
    assert is_whole.tolist() == whole and boxes.shape == BOXES.shape


def test_boxes_of_a_tile_are_boxes_of_the_picture():
    boxes, whole = View(0, (100, 50, 200, 100), (200, 100)).on_picture(BOXES[:1])
    assert boxes.tolist() == [pytest.approx([0.55, 0.55, 0.75, 0.75])] and whole.all()
    boxes, whole = View(0, (0, 0, 10, 10), (20, 20)).on_picture(np.zeros((0, 4)))
    assert boxes.shape == (0, 4) and whole.shape == (0,)
