"""Where boxes lie to one another on the picture. Boxes are fractions of the picture, y grows downwards.

By the rules of the benchmarks; what a planner aims at has margins, and is `instdiff.world.relations`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from instdiff.layout import Box, Instance, Point

BETWEEN = "between"
EDGE = 1e-6  # edges closer than that are at one height
SPECK = 1e-6  # side of the box around a bare point, as a fraction of the picture
MOST_INSIDE = 0.7  # two boxes are next to each other where the smaller lies in the other by less


def box_of(instance: Instance) -> Box:
    """The box of an instance; a speck where it has only a point."""
    if box := instance.extent:
        return box
    point = instance.point or Point(x=0.5, y=0.5)
    x0 = min(point.x, 1 - SPECK)
    y0 = min(point.y, 1 - SPECK)
    return Box(x0=x0, y0=y0, x1=x0 + SPECK, y1=y0 + SPECK)


def side_of(box: Box, target: Box) -> str:
    """ "left", "right", "above" or "below": where the box lies seen from the target, by the angle of their centres.

    Left and right where the centres differ more sideways than up and down (Feng et al., 2023, LayoutGPT).
    """
    sideways = box.centre.x - target.centre.x
    down = box.centre.y - target.centre.y
    if abs(sideways) > abs(down):
        return "left" if sideways < 0 else "right"
    return "above" if down < 0 else "below"


def lies_left_or_right(box: Box, target: Box) -> bool:
    """True if the centres differ more sideways than up and down."""
    return side_of(box, target) in ("left", "right")


def lies_apart(box: Box, target: Box) -> bool:
    """True if the smaller box lies in the other by less than 70 %."""
    return box.intersection(target) < MOST_INSIDE * min(box.area, target.area)


def lies_nearer(box: Box, target: Box) -> bool:
    """True if the lower edge of the box is lower on the picture, which is nearer on the ground."""
    return box.y1 > target.y1


def any_pair(first: Sequence[Instance], second: Sequence[Instance], holds: Callable[[Box, Box], bool]) -> bool:
    """True if the relation holds from some instance of the first to another one of the second."""
    pairs = ((a, b) for a in first for b in second if a is not b)
    return any(holds(box_of(a), box_of(b)) for a, b in pairs)


def lies_sideways(box: Box, target: Box) -> bool:
    """True if the centres differ more sideways than up and down, or the boxes share no column of the picture."""
    return lies_left_or_right(box, target) or _overlap_across(box, target) <= 0


def lies_in_column(box: Box, target: Box) -> bool:
    """True if the box is not farther beside the other than half its own width."""
    return _overlap_across(box, target) > -0.5 * box.width


def lies_on(box: Box, target: Box) -> bool:
    """True if the lower edge of the box is within the other or just above it, and the box is upon it, not before it."""
    shares = _overlap_across(box, target) > 0.3 * min(box.width, target.width)
    foot = target.y0 - 0.1 * target.height < box.y1 < target.y1 + 0.05 * target.height
    return shares and foot and box.centre.y < target.centre.y + 0.25 * target.height


def lies_beside(box: Box, target: Box) -> bool:
    """True if neither lies in the target, and they share some of the smaller height."""
    shared_height = min(box.y1, target.y1) - max(box.y0, target.y0)
    return lies_apart(box, target) and shared_height > 0.2 * min(box.height, target.height)


def lies_between(box: Box, start: Box, end: Box) -> bool:
    """True if the line between the centres of two boxes crosses the box, short of its ends."""
    sideways = end.centre.x - start.centre.x
    down = end.centre.y - start.centre.y
    points = [(start.centre.x + step / 20 * sideways, start.centre.y + step / 20 * down) for step in range(4, 17)]
    return any(box.x0 < x < box.x1 and box.y0 < y < box.y1 for x, y in points)


def _overlap_across(box: Box, target: Box) -> float:
    """The width that two boxes share; negative where there is a gap between them."""
    return min(box.x1, target.x1) - max(box.x0, target.x0)


READINGS: dict[str, Callable[[Box, Box], bool]] = {  # the relations of readings of free English
    "left_of": lambda box, target: box.centre.x < target.centre.x and lies_sideways(box, target),
    "right_of": lambda box, target: box.centre.x > target.centre.x and lies_sideways(box, target),
    "above": lambda box, target: box.centre.y < target.centre.y and lies_in_column(box, target),
    "below": lambda box, target: box.centre.y > target.centre.y and lies_in_column(box, target),
    "under": lambda box, target: box.centre.y > target.centre.y and lies_in_column(box, target),
    "on": lies_on,
    "in": lambda box, target: box.intersection(target) > 0.5 * box.area,
    "in_front": lambda box, target: box.y1 >= target.y1 - EDGE,
    "behind": lambda box, target: box.y1 <= target.y1 + EDGE,
    "beside": lies_beside,
}
