"""Boxes that show a relation at a glance: left and right more sideways than up and down, above and below the other way.

Boxes are fractions of the picture. A direction is (axis, sign): ("x", -1) is to the left, ("y", 1) is below.
"""

from __future__ import annotations

from instdiff.layout import Box
from instdiff.world.placement import MARGIN
from instdiff.world.predicates import Predicate
from instdiff.world.relations import middle_x, middle_y

Direction = tuple[str, int]

STEEP = 1.2  # how many times farther apart in the asked direction than across it centres are put at least
CLEAR = 0.03  # ... and how much more, as a fraction of the picture
GAP = 0.01  # between things that are moved apart
DIRECTIONS: dict[Predicate, Direction] = {
    Predicate.LEFT_OF: ("x", -1),
    Predicate.RIGHT_OF: ("x", 1),
    Predicate.ABOVE: ("y", -1),
    Predicate.ON: ("y", -1),
    Predicate.BELOW: ("y", 1),
    Predicate.UNDER: ("y", 1),
}


def clearness(direction: Direction, box: Box, at: Box) -> float:
    """How much farther the centre is from another's in a direction than across it; above 0 it is beyond 45 degrees."""
    axis, sign = direction
    across = middle_x(box) - middle_x(at)
    down = middle_y(box) - middle_y(at)
    return sign * across - abs(down) if axis == "x" else sign * down - abs(across)


def aligned(box: Box, direction: Direction, at: Box, may_rise: bool) -> Box:
    """The box, moved as little as shows that it lies in this direction from another one.

    Args:
        may_rise: if it may be moved up and down too, where there is no room at its side.
    """
    axis, sign = direction
    across = middle_x(box) - middle_x(at)
    down = middle_y(box) - middle_y(at)
    if axis == "y":
        if may_rise and sign * down < CLEAR:
            box = moved(box, middle_x(box), middle_y(at) + sign * max((box.height + at.height) / 3, 2 * CLEAR))
            down = middle_y(box) - middle_y(at)
        most = max((sign * down - CLEAR) / STEEP, 0.0)
        if abs(across) <= most:
            return box
        return moved(box, middle_x(at) + min(max(across, -most), most), middle_y(box))
    needed = STEEP * abs(down) + CLEAR
    if sign * across >= needed:
        return box
    apart = max(needed, (box.width + at.width) / 2 + GAP)
    box = moved(box, middle_x(at) + sign * apart, middle_y(box))
    room = max((sign * (middle_x(box) - middle_x(at)) - CLEAR) / STEEP, 0.0)
    if abs(down) <= room or not may_rise:
        return box
    return moved(box, middle_x(box), middle_y(at) + min(max(down, -room), room))


def in_line(box: Box, a: Box, b: Box) -> Box:
    """The box, moved up or down as little as lets the line between the centres of a and b cross it."""
    span = middle_x(b) - middle_x(a)
    share = min(max((middle_x(box) - middle_x(a)) / span, 0.0), 1.0) if span else 0.5
    line = middle_y(a) + share * (middle_y(b) - middle_y(a))
    most = 0.3 * box.height
    return moved(box, middle_x(box), min(max(middle_y(box), line - most), line + most))


def crosses(box: Box, a: Box, b: Box) -> bool:
    """True if the line between the centres of a and b, short of their ends, goes through the box."""
    for step in range(4, 17):
        x = middle_x(a) + step / 20 * (middle_x(b) - middle_x(a))
        y = middle_y(a) + step / 20 * (middle_y(b) - middle_y(a))
        if box.x0 < x < box.x1 and box.y0 < y < box.y1:
            return True
    return False


def moved(box: Box, x: float, y: float) -> Box:
    """The box with its centre here, or as near as the frame allows."""
    x0 = min(max(x - box.width / 2, MARGIN), max(1 - MARGIN - box.width, 0.0))
    y0 = min(max(y - box.height / 2, MARGIN), max(1 - MARGIN - box.height, 0.0))
    return Box(x0=x0, y0=y0, x1=min(x0 + box.width, 1.0), y1=min(y0 + box.height, 1.0))
