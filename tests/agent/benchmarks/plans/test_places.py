import pytest

from agent.benchmarks.plans import places
from instdiff.layout import Box, Instance, Point
from tests.agent.benchmarks.hand_made import instance


def box(x0, y0, x1, y1):
    return Box(x0=x0, y0=y0, x1=x1, y1=y1)


MIDDLE = box(0.4, 0.4, 0.6, 0.6)
LEFT = box(0.0, 0.45, 0.2, 0.65)
RIGHT = box(0.8, 0.45, 1.0, 0.65)
TOP = box(0.45, 0.0, 0.65, 0.2)
BOTTOM = box(0.45, 0.8, 0.65, 1.0)
INSIDE = box(0.45, 0.45, 0.55, 0.55)
ATOP = box(0.45, 0.2, 0.55, 0.42)
ASTRIDE = box(0.3, 0.3, 0.5, 0.5)


@pytest.mark.parametrize(
    ("place", "side"), [(LEFT, "left"), (RIGHT, "right"), (TOP, "above"), (BOTTOM, "below"), (ATOP, "above")]
)
def test_a_side_is_where_the_centres_differ_more(place, side):
    assert places.side_of(place, MIDDLE) == side


@pytest.mark.parametrize(
    ("relation", "holds", "fails"),
    [
        ("left_of", LEFT, RIGHT),
        ("left_of", box(0.1, 0.0, 0.3, 0.1), ATOP),  # no column in common
        ("right_of", RIGHT, LEFT),
        ("above", TOP, BOTTOM),
        ("above", ATOP, box(0.0, 0.0, 0.2, 0.2)),  # too far to the side
        ("below", BOTTOM, TOP),
        ("under", BOTTOM, INSIDE),
        ("on", ATOP, TOP),
        ("on", ATOP, box(0.45, 0.5, 0.55, 0.7)),  # before it, not upon it
        ("on", ATOP, box(0.2, 0.2, 0.42, 0.42)),  # only a corner
        ("in", INSIDE, ASTRIDE),
        ("in_front", BOTTOM, TOP),
        ("in_front", MIDDLE, INSIDE),
        ("behind", TOP, BOTTOM),
        ("beside", LEFT, INSIDE),
        ("beside", ASTRIDE, TOP),
    ],
)
def test_relations_of_readings(relation, holds, fails):
    assert places.READINGS[relation](holds, MIDDLE)
    assert not places.READINGS[relation](fails, MIDDLE)


def test_between_is_on_the_line_of_the_centres():
    assert places.lies_between(MIDDLE, LEFT, RIGHT)
    assert places.lies_between(MIDDLE, RIGHT, LEFT)
    assert not places.lies_between(TOP, LEFT, RIGHT)
    assert not places.lies_between(LEFT, MIDDLE, RIGHT)


def test_apart_is_less_than_70_percent_of_the_smaller():
    assert places.lies_apart(LEFT, MIDDLE) and places.lies_apart(ASTRIDE, MIDDLE)
    assert not places.lies_apart(INSIDE, MIDDLE)
    assert not places.lies_apart(MIDDLE, INSIDE)


@pytest.mark.parametrize("point", [Point(x=0, y=0), Point(x=1, y=1), Point(x=0.3, y=0.7)])
def test_a_point_is_a_speck(point):
    speck = places.box_of(Instance(caption="a fly", point=point))
    assert speck.centre.x == pytest.approx(point.x, abs=1e-5) and speck.centre.y == pytest.approx(point.y, abs=1e-5)


def test_no_instance_is_its_own_pair():
    owl = instance("an owl", 0.5, 0.5)
    assert not places.any_pair([owl], [owl], lambda first, second: True)
    assert places.any_pair([owl], [owl, instance("an owl", 0.2, 0.5)], places.lies_left_or_right)
