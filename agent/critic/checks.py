"""What the critic looks for in a layout: each check yields what is wrong, and how to repair it.

Boxes are fractions of the picture.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from typing import NamedTuple

from agent.critic.findings import FindingKind
from agent.planners.plan import Plan
from instdiff.layout import Box
from instdiff.world import nouns
from instdiff.world.placement import (
    SHORTEST_SIDE,
    asked_carrier,
    base,
    box_of,
    carrier,
    foot_at,
    frame,
    hangs,
    indexed_boxes,
    known_thing,
    loads,
    metres,
    scale_in,
    stands,
    surface,
)
from instdiff.world.predicates import Predicate
from instdiff.world.relations import broken_relations_in

SAME_PLACE = 0.8  # IoU of two things that are one
EDGE = 0.004  # what ends nearer to the frame is cut by it
CUT_OFF = 0.4  # less than this share of a thing inside the frame is called out of frame
LARGEST = 0.9  # side that a repair gives a thing at most
SLIVER = 0.03
THIN = 0.15  # a thing whose short side is less than this share of its long side is thin by nature
THIN_SLIVER = 0.6 * SLIVER
COVERED = 0.8
HIGHEST_FOOT = 0.3
HIGHEST_LOOSE_FOOT = 0.45  # no ground is seen above the first, no ground right behind a cup above the second
SAME_LINE = 0.06  # feet this close are at one distance
SIZE_RATIO = 3.0
SPECK = 0.16  # things shorter than SPECK are enlarged on purpose
SIZE_WORDS = set(
    "big large huge giant gigantic enormous massive small little tiny miniature toy mini baby tall".split()
)


class Fault(NamedTuple):
    """Something wrong with an instance; ``mend`` gives the repaired plan, or None if there is no one right repair."""

    kind: FindingKind
    instance: int | None
    sentence: str
    mend: Callable[[], Plan | None] | None = None


def tag(plan: Plan, index: int) -> str:
    """How a person knows an instance: "dog 2"."""
    return f"{plan.layout.instances[index].name} {index + 1}"


def _category(plan: Plan, index: int) -> str:
    return nouns.category_of(plan.layout.instances[index].name)


def _categories(plan: Plan) -> Counter[str]:
    """How many instances of each category there are."""
    return Counter(_category(plan, index) for index in range(len(plan.layout.instances)))


def _without(plan: Plan, index: int) -> Plan:
    """The plan without an instance, and its scene without the object behind it if no other instance shows it."""
    instances = [instance for i, instance in enumerate(plan.layout.instances) if i != index]
    ids = tuple(name for i, name in enumerate(plan.ids) if i != index)
    scene = plan.scene
    if scene and index < len(plan.ids) and (gone := plan.ids[index]) not in ids:
        objects = tuple(item for item in scene.objects if item.id != gone)
        relations = tuple(r for r in scene.relations if gone not in (r.subject, r.object))
        scene = scene.model_copy(update={"objects": objects, "relations": relations})
    return plan.model_copy(update={"layout": plan.layout.with_instances(instances), "ids": ids, "scene": scene})


def forbidden(plan: Plan, absent: Collection[str]) -> Iterator[Fault]:
    """Instances of categories that the words exclude."""
    for index in range(len(plan.layout.instances)):
        if (category := _category(plan, index)) in absent:
            sentence = f"{tag(plan, index)} must not be there: the words exclude {category}."
            yield Fault(FindingKind.FORBIDDEN, index, sentence, partial(_without, plan, index))


def duplicates(plan: Plan, wanted: Mapping[str, int]) -> Iterator[Fault]:
    """Instances in the place of an earlier one of their category; surplus where that many are not ``wanted``."""
    counts = _categories(plan)
    boxes = list(indexed_boxes(plan))
    for position, (index, box) in enumerate(boxes):
        category = _category(plan, index)
        twins = (i for i, at in boxes[:position] if box.iou(at) >= SAME_PLACE and _category(plan, i) == category)
        twin = next(twins, None)
        if twin is None:
            continue
        sentence = f"{tag(plan, index)} lies on {tag(plan, twin)}: the same thing in the same place."
        alike = plan.layout.instances[index].caption == plan.layout.instances[twin].caption
        is_surplus = counts[category] > wanted[category] if category in wanted else alike
        mend = partial(_without, plan, index) if is_surplus else None
        yield Fault(FindingKind.DUPLICATE, index, sentence, mend)


def counts(plan: Plan, wanted: Mapping[str, int]) -> Iterator[Fault]:
    """Categories of which there are more, or fewer, than ``wanted``."""
    planned = _categories(plan)
    for category, count in wanted.items():
        if planned[category] == count:
            continue
        sentence = f"{planned[category]} x {category} planned, and the words ask for {count}."
        if planned[category] < count:
            yield Fault(FindingKind.COUNT, None, sentence)
            continue
        members = [i for i in range(len(plan.layout.instances)) if _category(plan, i) == category]
        # only what is shown twice is surely too much; which of five dogs goes if four are asked for is a choice
        twice = [i for i in members if i < len(plan.ids) and plan.ids[i] in plan.ids[:i]]
        mend = partial(_without, plan, twice[-1]) if twice else None
        yield Fault(FindingKind.COUNT, (twice or members)[-1], sentence, mend)


def out_of_frame(plan: Plan) -> Iterator[Fault]:
    """Things of which the frame cuts off the most, judged by their usual shape."""
    aspect = plan.layout.width / plan.layout.height
    for index, box in indexed_boxes(plan):
        known = known_thing(plan, index)
        if known is None or known.depth_m or hangs(plan, index):
            continue
        width_m, height_m = metres(plan, index)
        natural_width = box.height * width_m / height_m / aspect
        natural_height = box.width * aspect * height_m / width_m
        left = box.x0 < EDGE
        right = box.x1 > 1 - EDGE
        top = box.y0 < EDGE
        bottom = box.y1 > 1 - EDGE
        if left != right and box.width < CUT_OFF * natural_width:
            width = min(natural_width, LARGEST)
            complete = frame(0.0 if left else 1.0, box.y1, width, box.height * width / natural_width)
        elif top != bottom and box.height < CUT_OFF * natural_height:
            height = min(natural_height, LARGEST)
            complete = frame(box.centre.x, 0.0 if top else 1.0, box.width * height / natural_height, height)
        else:
            continue
        sentence = f"{tag(plan, index)} is cut off: most of it is out of the frame."
        yield Fault(FindingKind.OUT_OF_FRAME, index, sentence, partial(plan.with_box, index, complete))


def slivers(plan: Plan) -> Iterator[Fault]:
    """Things that are too thin to be painted."""
    for index, box in indexed_boxes(plan):
        width_m, height_m = metres(plan, index)
        is_thin = min(width_m, height_m) < THIN * max(width_m, height_m)
        if min(box.width, box.height) >= (THIN_SLIVER if is_thin else SLIVER):
            continue
        sentence = f"{tag(plan, index)} is a sliver of {box.width:.1%} x {box.height:.1%} of the picture."
        larger = frame(box.centre.x, box.y1, max(box.width, SHORTEST_SIDE), max(box.height, SHORTEST_SIDE))
        yield Fault(FindingKind.SLIVER, index, sentence, partial(plan.with_box, index, larger))


def relations(plan: Plan) -> Iterator[Fault]:
    """Relations of the scene that do not hold."""
    for relation in broken_relations_in(plan):
        index = plan.ids.index(relation.subject)
        target = None if relation.predicate.is_place else plan.ids.index(relation.object)
        target_tag = "" if target is None else f" {tag(plan, target)}"
        sentence = f"{tag(plan, index)} is not {relation.predicate}{target_tag}, as the words ask."
        mend = partial(_mend_relation, plan, relation.predicate, index, target)
        yield Fault(FindingKind.RELATION, index, sentence, mend)


def _mend_relation(plan: Plan, predicate: Predicate, index: int, target: int | None) -> Plan | None:
    """What is on the wrong side changes places with the other; what should rest on something is put there."""
    if target is None:
        return None
    if predicate in (Predicate.LEFT_OF, Predicate.RIGHT_OF):
        a = box_of(plan, index)
        b = box_of(plan, target)
        mended = plan.with_box(index, frame(b.centre.x, a.y1, a.width, a.height))
        mended = mended.with_box(target, frame(a.centre.x, b.y1, b.width, b.height))
    elif predicate is Predicate.ON:
        mended = _put_on(plan, index, target)
    else:
        return None
    return mended if len(broken_relations_in(mended)) < len(broken_relations_in(plan)) else None


def _put_on(plan: Plan, index: int, target: int) -> Plan:
    """The plan with an instance's foot on another's surface, over it from left to right."""
    box = box_of(plan, index)
    below = box_of(plan, target)
    room = max(below.width - box.width, 0.0) / 2
    centre = min(max(box.centre.x, below.centre.x - room), below.centre.x + room)
    return plan.with_box(index, frame(centre, surface(plan, target), box.width, box.height))


def floating(plan: Plan) -> Iterator[Fault]:
    """Things that should stand, and have no ground or carrier under their foot."""
    for index, box in indexed_boxes(plan):
        if hangs(plan, index) or carrier(plan, index) is not None or asked_carrier(plan, index) is not None:
            continue
        known = known_thing(plan, index)
        is_small = known is not None and known.on[0] == "table"
        if box.y1 >= (HIGHEST_LOOSE_FOOT if is_small else HIGHEST_FOOT):
            continue
        sentence = f"{tag(plan, index)} floats: nothing that it could stand on is under its foot."
        yield Fault(FindingKind.FLOATING, index, sentence, partial(_land, plan, index, is_small))


def _land(plan: Plan, index: int, is_small: bool) -> Plan:
    """A small thing falls onto what can carry it below, anything else to the ground at its distance."""
    box = box_of(plan, index)
    for target, below in indexed_boxes(plan) if is_small else ():
        is_straight_below = below.x0 <= box.centre.x <= below.x1 and below.y0 > box.y1
        if target != index and is_straight_below:
            landed = _put_on(plan, index, target)
            if carrier(landed, index) == target:
                return landed
    foot = foot_at(plan, scale_in(plan, index, box))
    return plan.with_box(index, frame(box.centre.x, foot, box.width, box.height))


def sizes(plan: Plan) -> Iterator[Fault]:
    """Things whose size does not fit the others': with feet on one line a metre is as long on each."""
    standing = [
        (index, box, scale_in(plan, index, box))
        for index, box in indexed_boxes(plan)
        if stands(plan, index) and not _has_size_word(plan, index)
    ]
    for index, box, scale in standing:
        others = [entry for entry in standing if entry[0] != index]
        smaller = [
            far
            for _, at, far in others
            if box.y1 <= at.y1 + SAME_LINE and scale > SIZE_RATIO * far and max(box.width, box.height) > SPECK
        ]
        larger = [
            near
            for _, at, near in others
            if box.y1 >= at.y1 - SAME_LINE and near > SIZE_RATIO * scale and max(at.width, at.height) > SPECK
        ]
        scales = sorted(smaller or larger)
        if len(scales) * 2 <= len(others) or len(others) == 1 and not smaller:  # blamed is who differs from most
            continue
        size = "large" if smaller else "small"
        sentence = f"{tag(plan, index)} is too {size} for its distance beside what stands there."
        better = _resize(box, scales[len(scales) // 2] / scale)
        mend = partial(plan.with_box, index, better) if len(scales) > 1 else None
        yield Fault(FindingKind.SIZE, index, sentence, mend)


def _resize(box: Box, factor: float) -> Box:
    """The box so many times as large on the same foot, as far as it can be painted."""
    width = box.width * factor
    height = box.height * factor
    fit = max(1.0, SHORTEST_SIDE / min(width, height)) * min(1.0, LARGEST / max(width, height))
    return frame(box.centre.x, box.y1, width * fit, height * fit)


def _has_size_word(plan: Plan, index: int) -> bool:
    """True if the words give a size, so that a giant cat stays one."""
    return bool(SIZE_WORDS & set(plan.layout.instances[index].caption.lower().split()))


def hidden(plan: Plan) -> Iterator[Fault]:
    """Things that another, nearer one covers almost wholly."""
    for index, box in indexed_boxes(plan):
        for cover, cover_box in indexed_boxes(plan):
            covered = cover != index and box.intersection(cover_box) >= COVERED * box.area
            if covered and cover_box.area > box.area and _is_nearer(plan, cover, index):
                yield Fault(FindingKind.HIDDEN, index, f"{tag(plan, index)} is hidden behind {tag(plan, cover)}.")
                break


def _is_nearer(plan: Plan, cover: int, index: int) -> bool:
    """True if the cover is surely nearer: it stands lower, and neither rests on the other."""
    is_lower = base(plan, cover) >= base(plan, index) + SAME_LINE
    return is_lower and index not in loads(plan, cover) and not hangs(plan, cover)
