"""What the critic looks for in the places of a layout: each check yields what is wrong, and how to repair it.

Boxes are fractions of the picture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import NamedTuple

from agent.planners.plan import Plan
from instdiff.layout import Box
from instdiff.world import nouns, placement
from instdiff.world.relations import broken, broken_in
from instdiff.world.scene import Predicate

SLIVER = 0.03
CUT_OFF = 0.4  # less than this share of a thing inside the frame is called out of frame
COVERED = 0.8
HIGHEST_FOOT = 0.3
HIGHEST_LOOSE_FOOT = 0.45  # no ground is seen above the first, no ground right behind a cup above the second
SAME_LINE = 0.06  # feet this close are at one distance
SIZE_RATIO = 3.0
SPECK = 0.16  # things shorter than SPECK are enlarged on purpose
SIZE_WORDS = set(
    "big large huge giant gigantic enormous massive small little tiny miniature toy mini baby tall".split()
)


class FindingKind(StrEnum):
    """What can be wrong with a layout."""

    OUT_OF_FRAME = "out of frame"
    SLIVER = "sliver"
    DUPLICATE = "duplicate"
    HIDDEN = "hidden"
    FLOATING = "floating"
    SIZE = "wrong size"
    RELATION = "broken relation"
    COUNT = "wrong count"
    FORBIDDEN = "forbidden"


class Fault(NamedTuple):
    """Something wrong with an instance; ``mend`` gives the repaired plan, or nothing if there is no one right repair."""

    kind: FindingKind
    index: int | None
    sentence: str
    mend: Callable[[], Plan | None] | None = None


def tag(plan: Plan, index: int) -> str:
    """How a person knows an instance: "dog 2"."""
    return f"{plan.layout.instances[index].name} {index + 1}"


def _boxes(plan: Plan) -> Iterator[tuple[int, Box]]:
    for index, instance in enumerate(plan.layout.instances):
        if instance.extent:
            yield index, instance.extent


def out_of_frame(plan: Plan) -> Iterator[Fault]:
    aspect = plan.layout.width / plan.layout.height
    for index, box in _boxes(plan):
        thing = nouns.thing_of(plan.layout.instances[index].name)
        if thing is None or thing.depth_m or placement.hangs(plan, index):
            continue
        width_m, height_m = placement.metres(plan, index)
        natural_width = box.height * width_m / height_m / aspect
        natural_height = box.width * aspect * height_m / width_m
        left = box.x0 < 0.004
        right = box.x1 > 0.996
        top = box.y0 < 0.004
        bottom = box.y1 > 0.996
        if left != right and box.width < CUT_OFF * natural_width:
            width = min(natural_width, 0.9)
            centre = 0.0 if left else 1.0
            foot = box.y1
            height = box.height * width / natural_width
        elif top != bottom and box.height < CUT_OFF * natural_height:
            height = min(natural_height, 0.9)
            centre = box.centre.x
            foot = 0.0 if top else 1.0
            width = box.width * height / natural_height
        else:
            continue
        sentence = f"{tag(plan, index)} is cut off: most of it is out of the frame."
        whole = placement.frame(centre, foot, width, height)
        yield Fault(
            FindingKind.OUT_OF_FRAME,
            index,
            sentence,
            lambda index=index, whole=whole: plan.with_box(index, whole),
        )


def slivers(plan: Plan) -> Iterator[Fault]:
    for index, box in _boxes(plan):
        width_m, height_m = placement.metres(plan, index)
        thin = min(width_m, height_m) < 0.15 * max(width_m, height_m)
        if min(box.width, box.height) >= SLIVER * (0.6 if thin else 1.0):
            continue
        sentence = f"{tag(plan, index)} is a sliver of {box.width:.1%} x {box.height:.1%} of the picture."
        width, height = (max(side, placement.SHORTEST_SIDE) for side in (box.width, box.height))
        larger = placement.frame(box.centre.x, box.y1, width, height)
        yield Fault(
            FindingKind.SLIVER,
            index,
            sentence,
            lambda index=index, larger=larger: plan.with_box(index, larger),
        )


def relations(plan: Plan) -> Iterator[Fault]:
    if plan.scene is None:
        return
    for relation in broken_in(plan):
        index = plan.ids.index(relation.subject)
        target = None if relation.predicate.is_place else plan.ids.index(relation.object)
        other = "" if target is None else f" {tag(plan, target)}"
        sentence = f"{tag(plan, index)} is not {relation.predicate}{other}, as the words ask."
        yield Fault(
            FindingKind.RELATION,
            index,
            sentence,
            lambda r=relation, i=index, t=target: _mend_relation(plan, r.predicate, i, t),
        )


def _mend_relation(plan: Plan, predicate: Predicate, index: int, target: int | None) -> Plan | None:
    """What is on the wrong side changes places with the other; what should rest on something is put there."""
    if target is None:
        return None
    box = plan.layout.instances[index].extent
    other = plan.layout.instances[target].extent
    if predicate in (Predicate.LEFT_OF, Predicate.RIGHT_OF):
        mended = plan.with_box(index, placement.frame(other.centre.x, box.y1, box.width, box.height))
        mended = mended.with_box(target, placement.frame(box.centre.x, other.y1, other.width, other.height))
    elif predicate is Predicate.ON:
        mended = _put_on(plan, index, target)
    else:
        return None
    still = broken(plan.scene, mended.layout, plan.ids)
    return mended if len(still) < len(broken_in(plan)) else None


def _put_on(plan: Plan, index: int, target: int) -> Plan:
    """The instance with its foot on the other's surface, over it from left to right."""
    box = plan.layout.instances[index].extent
    other = plan.layout.instances[target].extent
    slack = max(other.width - box.width, 0.0) / 2
    centre = min(max(box.centre.x, other.centre.x - slack), other.centre.x + slack)
    return plan.with_box(index, placement.frame(centre, placement.surface(plan, target), box.width, box.height))


def floating(plan: Plan) -> Iterator[Fault]:
    for index, box in _boxes(plan):
        thing = nouns.thing_of(plan.layout.instances[index].name)
        if (
            placement.hangs(plan, index)
            or placement.carrier(plan, index) is not None
            or placement.asked_carrier(plan, index) is not None
        ):
            continue
        small = thing.on[0] == "table"
        if box.y1 >= (HIGHEST_LOOSE_FOOT if small else HIGHEST_FOOT):
            continue
        sentence = f"{tag(plan, index)} floats: nothing that it could stand on is under its foot."
        yield Fault(FindingKind.FLOATING, index, sentence, lambda index=index, small=small: _landed(plan, index, small))


def _landed(plan: Plan, index: int, small: bool) -> Plan:
    """A small thing falls onto what can carry it below, anything else to the ground at its distance."""
    box = plan.layout.instances[index].extent
    if small:
        for other, below in _boxes(plan):
            dropped = _put_on(plan, index, other)
            straight = below.x0 <= box.centre.x <= below.x1 and below.y0 > box.y1
            if other != index and straight and placement.carrier(dropped, index) == other:
                return dropped
    foot = placement.foot_at(plan, placement.scale(plan, index))
    return plan.with_box(index, placement.frame(box.centre.x, foot, box.width, box.height))


def sizes(plan: Plan) -> Iterator[Fault]:
    """Things with their feet on one line are equally far away, so a metre is as long on each."""
    standing = [index for index, _ in _boxes(plan) if placement.stands(plan, index) and not _said_size(plan, index)]
    for index in standing:
        box = plan.layout.instances[index].extent
        mine = placement.scale(plan, index)
        too_large = []
        too_small = []
        for other in standing:
            at = plan.layout.instances[other].extent
            theirs = placement.scale(plan, other)
            if (
                other != index
                and box.y1 <= at.y1 + SAME_LINE
                and mine > SIZE_RATIO * theirs
                and max(box.width, box.height) > SPECK
            ):
                too_large.append(theirs)
            if (
                other != index
                and box.y1 >= at.y1 - SAME_LINE
                and theirs > SIZE_RATIO * mine
                and max(at.width, at.height) > SPECK
            ):
                too_small.append(theirs)
        others = [placement.scale(plan, other) for other in standing if other != index]
        blamed = too_large or too_small
        if len(blamed) * 2 <= len(others) or len(others) == 1 and not too_large:  # blamed is who differs from most
            continue
        sentence = (
            f"{tag(plan, index)} is too {'large' if too_large else 'small'} for its distance beside what stands there."
        )
        factor = sorted(blamed)[len(blamed) // 2] / mine
        width = box.width * factor
        height = box.height * factor
        fit = max(1.0, placement.SHORTEST_SIDE / min(width, height)) * min(1.0, 0.9 / max(width, height))
        better = placement.frame(box.centre.x, box.y1, width * fit, height * fit)
        mend = (lambda index=index, better=better: plan.with_box(index, better)) if len(blamed) > 1 else None
        yield Fault(FindingKind.SIZE, index, sentence, mend)


def _said_size(plan: Plan, index: int) -> bool:
    """True if the words give a size, so that a giant cat stays one."""
    return bool(SIZE_WORDS & set(plan.layout.instances[index].caption.lower().split()))


def hidden(plan: Plan) -> Iterator[Fault]:
    for index, box in _boxes(plan):
        for other, cover in _boxes(plan):
            if other == index or box.intersection(cover) < COVERED * box.area or not _in_front(plan, other, index):
                continue
            yield Fault(FindingKind.HIDDEN, index, f"{tag(plan, index)} is hidden behind {tag(plan, other)}.")
            break


def _in_front(plan: Plan, other: int, index: int) -> bool:
    """True if the other instance is surely nearer: it stands lower, and neither rests on the other."""
    if (
        placement.base(plan, other) < placement.base(plan, index) + SAME_LINE
        or index in placement.loads(plan, other)
        or placement.hangs(plan, other)
    ):
        return False
    return plan.layout.instances[other].extent.area > plan.layout.instances[index].extent.area
