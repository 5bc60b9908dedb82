import pytest

from instdiff.layout import Box
from instdiff.world.alignment import aligned, clearness, crosses, in_line, moved

LEFT = ("x", -1)
RIGHT = ("x", 1)
ABOVE = ("y", -1)
BELOW = ("y", 1)


def box(x, y, width=0.2, height=0.2):
    """A box about (x, y)."""
    return Box(x0=x - width / 2, y0=y - height / 2, x1=x + width / 2, y1=y + height / 2)


@pytest.mark.parametrize(
    ("direction", "x", "y", "clear"),
    [
        (LEFT, 0.2, 0.5, True),
        (LEFT, 0.3, 0.8, False),
        (LEFT, 0.7, 0.5, False),
        (RIGHT, 0.8, 0.6, True),
        (ABOVE, 0.5, 0.2, True),
        (ABOVE, 0.2, 0.3, False),
        (BELOW, 0.6, 0.8, True),
        (BELOW, 0.5, 0.3, False),
    ],
)
def test_a_direction_is_clear_beyond_45_degrees(direction, x, y, clear):
    assert (clearness(direction, box(x, y), box(0.5, 0.5)) > 0) is clear


@pytest.mark.parametrize("direction", [LEFT, RIGHT])
@pytest.mark.parametrize("x", [0.15, 0.4, 0.6, 0.85])
@pytest.mark.parametrize("y", [0.15, 0.5, 0.85])
def test_what_may_rise_is_seen_at_the_side(direction, x, y):
    at = box(0.5, 0.6, 0.5, 0.3)
    assert clearness(direction, aligned(box(x, y), direction, at, may_rise=True), at) > 0


@pytest.mark.parametrize(("direction", "y"), [(ABOVE, 0.15), (ABOVE, 0.4), (BELOW, 0.6), (BELOW, 0.85), (BELOW, 0.2)])
@pytest.mark.parametrize("x", [0.15, 0.5, 0.85])
def test_what_is_above_or_below_is_moved_sideways(direction, x, y):
    at = box(0.5, 0.5)
    assert clearness(direction, aligned(box(x, y), direction, at, may_rise=True), at) > 0


def test_what_is_clear_stays_where_it_is():
    assert aligned(box(0.2, 0.5), LEFT, box(0.7, 0.5), may_rise=True) == box(0.2, 0.5)
    assert aligned(box(0.5, 0.2), ABOVE, box(0.52, 0.7), may_rise=True) == box(0.5, 0.2)


def test_what_rests_on_something_is_not_raised():
    assert aligned(box(0.3, 0.8), LEFT, box(0.35, 0.2), may_rise=False).y1 == pytest.approx(0.9)


def test_the_line_between_two_things_crosses_what_is_in_line():
    a, b = box(0.2, 0.3), box(0.8, 0.5)
    low = box(0.5, 0.85)
    assert not crosses(low, a, b)
    assert crosses(in_line(low, a, b), a, b)
    assert in_line(box(0.5, 0.4), a, b) == box(0.5, 0.4)


@pytest.mark.parametrize("where", [(-0.3, 0.5), (1.2, 1.4), (0.5, -0.1)])
def test_a_moved_box_stays_in_the_frame(where):
    found = moved(box(0.5, 0.5), *where)
    assert 0 <= found.x0 < found.x1 <= 1 and 0 <= found.y0 < found.y1 <= 1
    assert (found.width, found.height) == pytest.approx((0.2, 0.2))
