"""What a bare point or a scribble is taken to reach."""

import numpy as np
import pytest

from instdiff.layout import Box, Instance, Layout, Mask, Point, Scribble
from instdiff.model.grounding import AROUND_SCRIBBLE, MOST_OBLONG, POINT_REACH, with_reach
from instdiff.world import knowledge


def reached(**place) -> Box | None:
    layout = Layout(width=256, height=256, caption="", instances=(Instance(caption="a thing", **place),))
    return with_reach(layout).instances[0].box


def test_a_place_with_an_extent_of_its_own_is_left_alone():
    box = Box(x0=0.1, y0=0.2, x1=0.3, y1=0.9)
    assert reached(box=box, point=Point(x=0.2, y=0.5)) == box
    mask = Mask.from_array(np.eye(4, dtype=bool))
    assert reached(mask=mask, point=Point(x=0.2, y=0.2)) is None


def test_an_unknown_thing_is_square_around_its_point():
    assert reached(point=Point(x=0.5, y=0.4)).xyxy == pytest.approx(
        [0.5 - POINT_REACH, 0.4 - POINT_REACH, 0.5 + POINT_REACH, 0.4 + POINT_REACH]
    )


@pytest.mark.parametrize("category", ["bus", "giraffe", "snake", "cup"])
def test_a_known_thing_has_its_shape_and_the_same_area(category):
    thing = knowledge.things()[category]
    box = reached(point=Point(x=0.5, y=0.5), category=category)
    shape = min(max(thing.width_m / thing.height_m, 1 / MOST_OBLONG), MOST_OBLONG)
    assert box.width / box.height == pytest.approx(shape)
    assert box.width * box.height == pytest.approx((2 * POINT_REACH) ** 2)


@pytest.mark.parametrize(("x", "y"), [(0.0, 0.0), (1.0, 1.0), (0.02, 0.97), (0.5, 1.0)])
def test_at_the_border_the_box_is_whole_and_holds_the_point(x, y):
    box = reached(point=Point(x=x, y=y), category="bus")
    x0, y0, x1, y1 = box.xyxy
    assert 0 <= x0 <= x <= x1 <= 1 and 0 <= y0 <= y <= y1 <= 1
    assert box.width * box.height == pytest.approx((2 * POINT_REACH) ** 2)


def test_a_scribble_is_a_little_larger_than_its_points_and_stays_in_the_picture():
    box = reached(scribble=Scribble(points=(Point(x=0.01, y=0.5), Point(x=0.4, y=0.6))))
    assert box.xyxy == pytest.approx([0.0, 0.5 - AROUND_SCRIBBLE, 0.4 + AROUND_SCRIBBLE, 0.6 + AROUND_SCRIBBLE])
