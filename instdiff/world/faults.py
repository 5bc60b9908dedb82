"""What is wrong with a box that an object may be given, beside what is placed already.

Boxes are fractions of the picture, distances are metres.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from instdiff.layout import Box
from instdiff.world.alignment import Direction, clearness, crosses
from instdiff.world.arrangement import Arrangement
from instdiff.world.links import Links
from instdiff.world.predicates import Predicate
from instdiff.world.relations import WHOLE, middle_x, middle_y, slack
from instdiff.world.scene import PICTURE, Relation

MAX_IOU_ALIKE = 0.1  # of two things of one kind, to be told apart and counted
MAX_IOU = 0.2
MAX_HIDDEN = 0.4
MAX_HIDDEN_DEEP = 0.5  # share of a thing that what the words put in front of it may hide
MAX_HIDDEN_ON = 0.55  # share of a thing that what is on or under it may hide
BROKEN = 10.0  # the fault of a relation that does not hold
UNCLEAR = 3.0  # the fault of one that cannot be seen at a glance
SURE = 0.02  # how far beyond 45 degrees a direction is that can, as in `instdiff.world.alignment.clearness`
INVERTED = 2  # the fault of a thing that looks larger than what is really larger
NARROW = 0.5  # a window narrower than this is kept to, give or take `WINDOW_SLACK`
WINDOW_SLACK = 0.08
# How far a relation must be from breaking for the camera to be content, as in `instdiff.world.relations.slack`.
CARE = {
    Predicate.LEFT_OF: 0.04,
    Predicate.RIGHT_OF: 0.04,
    Predicate.NEXT_TO: 0.03,
    Predicate.LARGER_THAN: 0.1,
    Predicate.SMALLER_THAN: 0.1,
}
LEAST_CARE = 0.01


class Neighbour(NamedTuple):
    """A thing that is placed already, as another one sees it that may be put near it.

    ``must_be_larger`` and ``must_be_smaller`` say how it must look beside the other; ``may_cover`` is, of two things
    that are meant to overlap, the share of the farther one that the nearer may hide, and the fault of hiding more.
    """

    x0: float
    y0: float
    x1: float
    y1: float
    area: float
    distance: float
    hidden: float
    must_be_larger: bool
    must_be_smaller: bool
    may_cover: tuple[float, float] | None
    is_level: bool  # both stand on the horizon, or neither: what stands on it may be half hidden
    is_alike: bool


class Surroundings(NamedTuple):
    """All that the boxes of one object are judged by: the bounds of their centre, and what is placed already.

    ``asked`` are the relations with what is placed, with its box; ``lines`` are the three that must be in a line, the
    one between the others first.
    """

    name: str
    across: tuple[float, float]
    down: tuple[float, float]
    neighbours: list[Neighbour]
    asked: list[tuple[Relation, Box]]
    directions: list[tuple[Direction, Box]]
    lines: list[tuple[str, str, str]]
    boxes: dict[str, Box]
    aloft: frozenset[str]


def surroundings_of(links: Links, name: str, arrangement: Arrangement) -> Surroundings:
    """What the boxes of an object are judged by that joins an arrangement."""
    x0, x1, y0, y1 = links.window[name]
    boxes = {**arrangement.boxes, PICTURE: WHOLE}
    ends = [(ask, ask.object if ask.subject == name else ask.subject) for ask in links.asked.get(name, ())]
    lines = [(middle, a, b) for middle, (a, b) in links.between.items() if name in (middle, a, b)]
    return Surroundings(
        name,
        _bounds(x0, x1),
        _bounds(y0, y1),
        [_neighbour(links, name, other, arrangement) for other in arrangement.boxes],
        [(ask, boxes[other]) for ask, other in ends if other in boxes],
        [(direction, boxes[other]) for other, direction in links.directions[name].items() if other in boxes],
        [line for line in lines if {name, *boxes}.issuperset(line)],
        boxes,
        links.aloft,
    )


def _bounds(low: float, high: float) -> tuple[float, float]:
    """Where a centre may be in a window: anywhere if the window is wide."""
    return (low - WINDOW_SLACK, high + WINDOW_SLACK) if high - low < NARROW else (-math.inf, math.inf)


def _neighbour(links: Links, name: str, other: str, arrangement: Arrangement) -> Neighbour:
    """What is placed already, as the object called ``name`` sees it."""
    box = arrangement.boxes[other]
    belongs = links.belong(name, other)
    bears = belongs and links.bears(name, other)
    may_cover = None
    if belongs:
        may_cover = (MAX_HIDDEN_ON, float(not bears and not links.outsizes(name, other)))
    elif links.is_deep(name, other):
        may_cover = (MAX_HIDDEN_DEEP, 2.0)
    return Neighbour(
        *box.xyxy,
        box.area,
        arrangement.distance[other],
        arrangement.hidden[other],
        not bears and other in links.much_larger.get(name, ()),
        not bears and name in links.much_larger.get(other, ()),
        may_cover,
        (name in links.backdrops) == (other in links.backdrops),
        links.objects[name].category == links.objects[other].category,
    )


def judge(box: Box, distance: float, surroundings: Surroundings) -> tuple[float, float]:
    """(faults, overlap): broken relations count 10 each, wrong sizes 2, overlap past the bounds 1 and by how much."""
    fault = _unmet(box, surroundings)
    overlap = 0.0
    hidden = 0.0
    area = box.area
    x0, y0, x1, y1 = box.xyxy
    for at in surroundings.neighbours:
        if (at.must_be_larger and at.area < area) or (at.must_be_smaller and area < at.area):
            fault += INVERTED
        if x1 <= at.x0 or at.x1 <= x0 or y1 <= at.y0 or at.y1 <= y0:
            continue
        common = (min(x1, at.x1) - max(x0, at.x0)) * (min(y1, at.y1) - max(y0, at.y0))
        is_behind = distance > at.distance
        if at.may_cover:
            share, fault_of_covering = at.may_cover
            fault += fault_of_covering * (common / (area if is_behind else at.area) > share)
            continue
        overlap += common
        if not at.is_level:
            continue
        fault += _fault_of_overlap(common / (area + at.area - common), at.is_alike)
        if is_behind:
            hidden += common / area
        elif (covered := at.hidden + common / at.area) > MAX_HIDDEN:
            fault += 1 + covered
    return fault + (1 + hidden if hidden > MAX_HIDDEN else 0), overlap


def _fault_of_overlap(iou: float, alike: bool) -> float:
    """The fault of two things that lie over each other; of two of one kind less is borne."""
    if alike:
        return (iou / MAX_IOU_ALIKE) ** 2 if iou > MAX_IOU_ALIKE else 0.0
    return 1 + iou if iou > MAX_IOU else 0.0


def _unmet(box: Box, surroundings: Surroundings) -> float:
    """The fault of the relations that do not hold, with some care, between this box and what is placed."""
    left, right = surroundings.across
    top, bottom = surroundings.down
    fault = BROKEN * (not left <= middle_x(box) <= right) + BROKEN * (not top <= middle_y(box) <= bottom)
    for relation, at in surroundings.asked:
        ends = (box, at) if relation.subject == surroundings.name else (at, box)
        room = slack(relation.predicate, *ends, relation.object in surroundings.aloft)
        fault += BROKEN * (room < CARE.get(relation.predicate, LEAST_CARE))
    for direction, at in surroundings.directions:
        if clearness(direction, box, at) < SURE:
            fault += UNCLEAR
    if surroundings.lines:
        boxes = {**surroundings.boxes, surroundings.name: box}
        is_out = any(not crosses(boxes[middle], boxes[a], boxes[b]) for middle, a, b in surroundings.lines)
        fault += BROKEN * is_out
    return fault
