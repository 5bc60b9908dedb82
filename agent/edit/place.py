"""Where a thing goes in a layout in which everything else stays: possible boxes, and the best of them.

Sizes follow from metres and the scale of what is near (`instdiff.world.placement`). Boxes are fractions of the picture.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import NamedTuple

from agent.edit.editable_plan import Sheet
from instdiff.layout import Box
from instdiff.world import placement
from instdiff.world.bearing import Bearing, borne_box
from instdiff.world.links import BORNE
from instdiff.world.relations import slack
from instdiff.world.scene import PICTURE, Predicate, Relation, SceneObject

FULL = Box(x0=0.0, y0=0.0, x1=1.0, y1=1.0)
SMALLER = (1.0, 0.7, 0.5, 0.3)  # what finds no place as large as it is, is painted smaller
OFF = 2.0  # what it costs to be a whole picture away from the part of it that the words name
BROKEN = 10.0  # what a broken relation costs
ACROSS = (0.5, 0.3, 0.7, 0.15, 0.85, 0.4, 0.6, 0.22, 0.78)
FEET = (0.8, 0.86, 0.74, 0.92, 0.68, 0.62)


class _Spot(NamedTuple):
    """A possible place: the centre of the foot, and picture heights per metre there."""

    x: float
    foot: float
    scale: float


def place(sheet: Sheet, item: SceneObject, relations: list[Relation], like: Box | None = None, scale: float = 1) -> Box:
    """The best box for a thing with these relations, while all others stay.

    Args:
        relations: those with the thing as the subject are wanted; the first one says where to look.
        like: the box the thing had, whose shape it keeps.
        scale: picture heights per metre where it had that box.
    """
    if relations and relations[0].predicate in BORNE:
        return _borne(sheet, item, relations[0])
    best = (float("inf"), FULL)
    for smaller in SMALLER:
        for rank, spot in enumerate(_spots(sheet, item, relations)):
            width, height = _extent(item, spot.scale * smaller, sheet.aspect)
            if like:
                ratio = spot.scale * smaller / scale
                width, height = _bound(like.width * ratio, like.height * ratio)
            box = placement.frame(spot.x, spot.foot, width, height)
            cost = _cost(sheet, item, box, relations) + 0.002 * rank
            if cost < best[0]:
                best = (cost, box)
        if best[0] < BROKEN:
            break
    return best[1]


def _borne(sheet: Sheet, item: SceneObject, relation: Relation) -> Box:
    """The box of what is in a container, at a hand or on a body, beside what is there in the same manner."""
    others = [r for r in sheet.relations if (r.predicate, r.object) == (relation.predicate, relation.object)]
    taken = len({r.subject for r in others} - {item.id})
    shortest = (placement.SHORTEST_SIDE, placement.SHORTEST_LONG_SIDE)
    bearing = Bearing(sheet.objects[relation.object], sheet.box(relation.object), sheet.aspect, shortest)
    return borne_box(BORNE[relation.predicate], bearing, item, (taken, taken + 1), Random(item.id))


def usual_carrier(sheet: Sheet, item: SceneObject) -> str | None:
    """A table or the like with room for a thing that is usually on one."""
    if item.support != "table" or item.thing is None:
        return None
    for name in sheet.order:
        carrier = sheet.objects[name]
        load = sum(sheet.box(i).width for i in sheet.loads_of(name))
        fits = carrier.category in ("table", "bookshelf", "shelf") and item.longest_m < 0.9 * carrier.width_m
        width = max(_extent(item, scale_of(sheet, name), sheet.aspect)[0], placement.SHORTEST_SIDE)
        if fits and load + width < sheet.box(name).width:
            return name
    return None


def scale_of(sheet: Sheet, name: str) -> float:
    """Picture heights per metre where a thing is; for a bare point by the box around it."""
    return placement.scale(sheet.plan(), sheet.index(name)) or sheet.box(name).height / sheet.objects[name].height_m


def _bound(width: float, height: float) -> tuple[float, float]:
    grow = max(1.0, placement.SHORTEST_LONG_SIDE / max(width, height), placement.SHORTEST_SIDE / min(width, height))
    fit = min(1.0, placement.LONGEST_SIDE / max(width * grow, height * grow))
    return max(width * grow * fit, placement.SHORTEST_SIDE), max(height * grow * fit, placement.SHORTEST_SIDE)


def _extent(item: SceneObject, scale: float, aspect: float) -> tuple[float, float]:
    """(width, height) on the picture; what lies flat is seen from above at a low angle."""
    width = item.width_m * scale / aspect
    return _bound(width, placement.FLAT_HEIGHT * width * aspect if _is_flat(item) else item.height_m * scale)


def _is_flat(item: SceneObject) -> bool:
    return item.thing is not None and item.thing.depth_m is not None


def _spots(sheet: Sheet, item: SceneObject, relations: list[Relation]) -> Iterator[_Spot]:
    """Possible places, the most natural first."""
    mine = [r for r in relations if r.subject == item.id and r.object != PICTURE]
    if mine:
        yield from _spots_at(sheet, item, mine[0].predicate, mine[0].object)
    elif item.hangs:
        yield from _spots_up(sheet, item)
    elif any(r.predicate is Predicate.TOP for r in relations):
        yield from (_Spot(x, foot, placement.scale_at(sheet.plan(), 0.7)) for foot in (0.3, 0.38) for x in ACROSS)
    else:
        plan = sheet.plan()
        yield from (_Spot(x, foot, placement.scale_at(plan, foot)) for foot in FEET for x in ACROSS)
        yield from (_Spot(x, 0.6, 0.5 * placement.scale_at(plan, 0.6)) for x in ACROSS)


def _spots_up(sheet: Sheet, item: SceneObject) -> Iterator[_Spot]:
    """In the sky, on the wall or under the ceiling: sizes as pleasant as those of `instdiff.world.camera`."""
    scale = placement.scale_at(sheet.plan(), 0.62)
    if item.support == "sky":
        usual = item.thing.apparent if item.thing and item.thing.apparent else (0.14, 0.2)
        scale = sum(usual) / 2 / item.longest_m
    height = _extent(item, scale, sheet.aspect)[1]
    middles = (height / 2 + 0.02,) if item.support == "ceiling" else (0.2, 0.28, 0.14, 0.36)
    yield from (_Spot(x, max(middle + height / 2, height + 0.02), scale) for middle in middles for x in ACROSS)


def _spots_at(sheet: Sheet, item: SceneObject, predicate: Predicate, target: str) -> Iterator[_Spot]:
    """Beside, on, under, above, before or behind another thing."""
    at = sheet.box(target)
    scale = scale_of(sheet, target)
    width, height = _extent(item, scale, sheet.aspect)
    reach = [at.x0 + at.width * share for share in ACROSS]
    away = at.y1 - placement.HORIZON
    match predicate:
        case Predicate.ON:
            foot = placement.surface(sheet.plan(), sheet.index(target))
            yield from (_Spot(x, foot, scale) for x in reach)
        case Predicate.UNDER if not sheet.objects[target].hangs:
            fit = min(1.0, 0.6 * at.height / height)
            yield from (_Spot(x, at.y1 - 0.01, scale * fit) for x in reach)
        case Predicate.UNDER | Predicate.BELOW:
            plan = sheet.plan()
            feet = [(max(foot, at.y1 + height), placement.scale_at(plan, foot)) for foot in FEET]
            yield from (_Spot(x, foot, foot_scale) for foot, foot_scale in feet for x in reach)
        case Predicate.ABOVE:
            yield from (_Spot(x, max(at.y0 - gap, height + 0.01), scale) for gap in (0.02, 0.06, 0.1) for x in reach)
        case Predicate.IN_FRONT_OF | Predicate.BEHIND:
            side = 1 if predicate is Predicate.IN_FRONT_OF else -1
            for step in (0.07, 0.04, 0.11):
                ratio = min(max((away + side * step) / away, 0.6), 1.6) if away > 0.1 else 1.0
                middles = [at.centre.x + shift * (at.width + width) / 2 for shift in (0.0, 0.4, -0.4, 0.7, -0.7)]
                yield from (_Spot(x, at.y1 + side * step, scale * ratio) for x in middles)
        case _:
            sides = {Predicate.LEFT_OF: (-1,), Predicate.RIGHT_OF: (1,)}.get(predicate, (1, -1))
            if len(sides) == 1 and sheet.objects[target].hangs and not item.hangs:
                plan = sheet.plan()  # a table to the left of a bird stands on the ground
                reach = [at.centre.x + sides[0] * share for share in (0.15, 0.25, 0.35, 0.5)]
                yield from (_Spot(x, foot, placement.scale_at(plan, foot)) for foot in FEET for x in reach if 0 < x < 1)
            for gap in (0.02, 0.05, 0.1, 0.18, -0.04):
                middles = [at.centre.x + s * ((at.width + width) / 2 + gap) for s in sides]
                yield from (_Spot(x, at.y1 + shift, scale) for shift in (0.0, 0.03, -0.03) for x in middles)


def _off(predicate: Predicate, box: Box) -> float:
    """How far a box is from the middle of the part of the picture that it is wanted in."""
    x = box.centre.x
    y = box.centre.y
    aims = {Predicate.LEFT: abs(x - 0.2), Predicate.RIGHT: abs(x - 0.8)}
    aims |= {Predicate.TOP: abs(y - 0.2), Predicate.BOTTOM: abs(y - 0.8)}
    return OFF * aims.get(predicate, abs(x - 0.5) + abs(y - 0.5))


def _cost(sheet: Sheet, item: SceneObject, box: Box, relations: list[Relation]) -> float:
    """What is wrong with a box: broken relations first, then what it covers or hides."""
    wanted = [r for r in (*relations, *sheet.relations) if item.id in (r.subject, r.object)]
    belongs = set()
    deep = set()
    cost = sum(_off(relation.predicate, box) for relation in relations if relation.object == PICTURE)
    for relation in wanted:
        partner = relation.object if relation.subject == item.id else relation.subject
        if partner != PICTURE and partner not in sheet.instances:
            continue
        partner_box = FULL if partner == PICTURE else sheet.box(partner)
        pair = (box, partner_box) if relation.subject == item.id else (partner_box, box)
        aloft = relation.object in sheet.objects and sheet.objects[relation.object].hangs
        room = slack(relation.predicate, *pair, aloft)
        cost += BROKEN if room <= 0 else max(0.02 - room, 0.0)
        belongs |= {partner} if relation.predicate in (Predicate.ON, Predicate.UNDER, *BORNE) else set()
        deep |= {partner} if relation.predicate in (Predicate.IN_FRONT_OF, Predicate.BEHIND) else set()
    for name in sheet.order:
        at = sheet.box(name)
        shared = box.intersection(at)
        if name == item.id or name in belongs or not shared:
            continue
        flat = _is_flat(sheet.objects[name])
        weight = 0.1 if flat else 1.5 if name in deep else 4.0
        cost += weight * (shared / box.area + shared / at.area)
    return cost
