"""Things that are there get another place: "to the left", "onto the table", "towards the dog", that of another thing.

What rests on a thing goes with it. Boxes are fractions of the picture.
"""

from __future__ import annotations

from collections.abc import Iterator

from agent.edit.directions import Direction, direction_of, steps_of
from agent.edit.editable_plan import Sheet
from agent.edit.place import place, scale_of
from agent.edit.referents import find
from agent.planners.plan import Plan
from instdiff.errors import BadInput
from instdiff.layout import Box
from instdiff.world import placement
from instdiff.world.relations import broken_relations_in
from instdiff.world.scene import Predicate, Relation

STEP = 0.2
LITTLE = 0.08
NEARER = 1.3
LITTLE_NEARER = 1.12
LEAST_AREA = 0.8  # of what it was: a thing that can only be as small as that where it is to go has no room there
MOST_SHARED = 0.4  # of its area with the thing that it is to be beside
LEAST_WAY = 0.01  # what has less between it and another thing is at it already
PERSPECTIVE = (0.7, 1.4)  # how much smaller or larger a thing gets where it is farther away or nearer


def move(sheet: Sheet, name: str, where: str) -> None:
    """Move one thing, as the words say.

    Raises:
        BadInput: the words name no place, or a thing that is not there.
    """
    steps = [where] if direction_of(where) else steps_of(where)
    directions = [direction_of(step) for step in steps]
    if not directions or not all(directions):
        raise BadInput("edit", f'"{where}" is no place; say it like "to the left", "up", "closer", or "onto the table"')
    loads = sheet.loads_of(name)
    before = sheet.box(name)
    for direction in directions:
        if direction:
            _go(sheet, name, direction)
    bring(sheet, loads, before, sheet.box(name))
    sheet.relate([], {name, *loads})
    sheet.notes.append(f"Moved {sheet.instances[name].caption} {where}.")


def _go(sheet: Sheet, name: str, direction: Direction) -> None:
    """One step of a move."""
    match direction.sort:
        case "between":
            ends = sorted((_anchor(sheet, phrase, name) for phrase in direction.others), key=lambda i: sheet.box(i).x0)
            sides = zip((Predicate.RIGHT_OF, Predicate.LEFT_OF), ends, strict=True)
            _move_to(sheet, name, [Relation(subject=name, predicate=side, object=end) for side, end in sides])
        case "relation":
            other = _anchor(sheet, direction.others[0], name)
            predicate = direction.predicate or Predicate.NEXT_TO
            _move_to(sheet, name, [Relation(subject=name, predicate=predicate, object=other)])
        case "other side":
            other = _anchor(sheet, direction.others[0], name)
            is_left = sheet.box(name).centre.x < sheet.box(other).centre.x
            predicate = Predicate.RIGHT_OF if is_left else Predicate.LEFT_OF
            _move_to(sheet, name, [Relation(subject=name, predicate=predicate, object=other)])
        case "towards" if direction.much:
            other = _anchor(sheet, direction.others[0], name)
            _move_to(sheet, name, [Relation(subject=name, predicate=Predicate.NEXT_TO, object=other)])
        case "towards" | "away":
            _approach(sheet, name, _anchor(sheet, direction.others[0], name), direction)
        case "nearer" | "farther":
            _to_depth(sheet, name, direction)
        case "up":
            way = _amount(sheet, direction, upward=True) or (0.5 if direction.much else _step(direction))
            _slide(sheet, name, 0.0, direction.step * way, direction)
        case _:
            _to_side(sheet, name, direction)


def _step(direction: Direction) -> float:
    return LITTLE if direction.little else STEP


def _amount(sheet: Sheet, direction: Direction, upward: bool = False) -> float:
    """How far the words say in numbers, as a fraction of the picture; 0 where they say nothing."""
    layout = sheet.start.layout
    side = layout.height if upward else layout.width
    return direction.amount / (side if direction.unit == "px" else 100)


def _approach(sheet: Sheet, name: str, other: str, direction: Direction) -> None:
    """Towards another thing or away from it, on the same ground and in the same size; never past its edge."""
    box = sheet.box(name)
    at = sheet.box(other)
    away = direction.sort == "away"
    room = max(at.x0 - box.x1, box.x0 - at.x1)
    asked = _amount(sheet, direction)
    if not away and room < LEAST_WAY:
        raise BadInput("edit", f"{sheet.instances[name].caption} is at {sheet.instances[other].caption} already")
    way = asked or (LITTLE if direction.little else STEP if away else room / 2)
    side = 1 if at.centre.x >= box.centre.x else -1
    _slide(sheet, name, side * (-way if away else min(way, room)), 0.0, direction)


def _slide(sheet: Sheet, name: str, across: float, down: float, direction: Direction) -> None:
    """Move a thing so far, as fractions of the picture, or up to its edge.

    Raises:
        BadInput: the words say how far, and there is no room for that.
    """
    box = sheet.box(name)
    starts = (box.x0, box.y0)
    moved = []
    for start, side, way in zip(starts, (box.width, box.height), (across, down), strict=True):
        first = min(placement.MARGIN, start)
        last = max(1 - placement.MARGIN - side, start)
        moved.append(min(max(start + way, first), last))
    short = max(abs(start + way - end) for start, way, end in zip(starts, (across, down), moved, strict=True))
    if direction.amount and short > LEAST_WAY:
        what = sheet.instances[name].caption or name
        raise BadInput("edit", f"{what} has no room to go {direction.amount:g} {direction.unit} that way")
    x0, y0 = moved
    sheet.put(name, Box(x0=x0, y0=y0, x1=min(x0 + box.width, 1.0), y1=min(y0 + box.height, 1.0)))


def _to_depth(sheet: Sheet, name: str, direction: Direction) -> None:
    """Nearer to the viewer, or farther away: larger and lower, or smaller and higher."""
    box = sheet.box(name)
    by = LITTLE_NEARER if direction.little else NEARER
    factor = by if direction.sort == "nearer" else 1 / by
    foot = box.y1
    if placement.stands(sheet.plan(), sheet.index(name)) and foot > placement.HORIZON:
        foot = placement.HORIZON + (foot - placement.HORIZON) * factor
    fit = min(factor, 0.95 / max(box.width, box.height))
    sheet.put(name, placement.frame(box.centre.x, foot, box.width * fit, box.height * fit))


def _to_side(sheet: Sheet, name: str, direction: Direction) -> None:
    """To a side of the picture, or into its middle."""
    box = sheet.box(name)
    asked = _amount(sheet, direction)
    x = box.centre.x
    y = box.centre.y
    match direction.side[:3]:
        case "lef":
            usual = max(x - LITTLE, 0.0) if direction.little else min(x - 0.15, 0.28)
            x = x - asked if asked else 0.0 if direction.much else usual
        case "rig":
            usual = x + LITTLE if direction.little else max(x + 0.15, 0.72)
            x = x + asked if asked else 1.0 if direction.much else usual
        case "mid" | "cen":
            x = 0.5
            y = y if placement.stands(sheet.plan(), sheet.index(name)) else 0.5
    if direction.level:
        y = 0.0 if direction.level in ("upper", "top") else 1.0
    _slide(sheet, name, x - box.centre.x, y - box.centre.y, direction)


def _anchor(sheet: Sheet, phrase: str, name: str) -> str:
    """The other thing of a relation: one of those that the words mean, and not the moved one itself."""
    anchors = [anchor for anchor in find(sheet, phrase) if anchor != name]
    if not anchors:
        raise BadInput("edit", f'"{phrase}" is the moved thing itself; name another one')
    return anchors[0]


def _move_to(sheet: Sheet, name: str, related: list[Relation]) -> None:
    """Place a thing anew at another one; its old relations in space do not bind it any more."""
    box = sheet.box(name)
    item = sheet.objects[name]
    scale = _scale_beside(sheet, name, related[0].object)
    loads = set(sheet.loads_of(name))
    if related[0].object in loads:
        raise BadInput("edit", f"{sheet.instances[related[0].object].caption} stands on it; move that one first")
    pairs = {(name, relation.object) for relation in related} | {(relation.object, name) for relation in related}
    sheet.forget([relation for relation in sheet.relations if (relation.subject, relation.object) in pairs])
    relations = sheet.relations
    sheet.relations = [r for r in sheet.relations if name not in (r.subject, r.object)]
    if related[0].predicate is Predicate.ABOVE and not item.hangs:
        sheet.objects[name] = item = item.model_copy(update={"support": "air"})
    elif item.support == "air":
        sheet.objects[name] = item = item.model_copy(update={"support": item.thing.on[0] if item.thing else "ground"})
    at = place(sheet, item, related, box, scale)
    if related[0].predicate in (Predicate.LEFT_OF, Predicate.RIGHT_OF):
        grown = min(scale_of(sheet, related[0].object) / scale, 1.0)
        other = sheet.box(related[0].object)
        is_small = at.area < LEAST_AREA * box.area * grown**2
        has_room = box.width + other.width < 1 - 3 * placement.MARGIN
        if is_small or has_room and at.intersection(other) > MOST_SHARED * at.area:
            at = _with_room_made(sheet, name, related[0])
    if max(box.width, box.height) < placement.SHORTEST_LONG_SIDE:  # what is smaller than can be painted stays so
        at = placement.frame(at.centre.x, at.y1, min(at.width, box.width), min(at.height, box.height))
    sheet.put(name, at)
    if related[0].predicate is Predicate.BEHIND:
        sheet.order.remove(name)
        sheet.order.insert(sheet.index(related[0].object), name)
    sheet.relations = relations
    sheet.relate(related, {name})


def _with_room_made(sheet: Sheet, name: str, relation: Relation) -> Box:
    """The box of a thing at the edge of the picture, as large as it is; the other thing moves away as far as it must.

    Raises:
        BadInput: the picture has no room for both beside each other.
    """
    box = sheet.box(name)
    other = sheet.box(relation.object)
    called = f"{sheet.instances[name].caption} {relation.predicate} {sheet.instances[relation.object].caption}"
    if box.width + other.width > 1 - 3 * placement.MARGIN:
        raise BadInput("edit", f"there is no room for {called}; make one of them smaller first")
    is_left = relation.predicate is Predicate.LEFT_OF
    edge = placement.MARGIN
    x0 = edge if is_left else 1 - edge - box.width
    beside = max(other.x0, x0 + box.width + edge) if is_left else min(other.x0, x0 - edge - other.width)
    loads = sheet.loads_of(relation.object)
    moved = Box(x0=beside, y0=other.y0, x1=min(beside + other.width, 1.0), y1=other.y1)
    sheet.put(relation.object, moved)
    bring(sheet, loads, other, moved)
    sheet.notes.append(f"Moved {sheet.instances[relation.object].caption} to make room.")
    return Box(x0=x0, y0=box.y0, x1=x0 + box.width, y1=box.y1)


def _scale_beside(sheet: Sheet, name: str, other: str) -> float:
    """The scale of a thing as the other one has it: sizes are those on the picture, and change with the distance alone.

    Layouts of other origin give things sizes that they have nowhere: a cat as large as the dog stays so beside it.
    """
    plan = sheet.plan()
    if sheet.objects[other].hangs or sheet.instances[other].extent is None or sheet.instances[name].extent is None:
        return scale_of(sheet, name)
    near, far = (
        max(placement.base(plan, sheet.index(key)) - placement.HORIZON, placement.LEAST_DROP) for key in (name, other)
    )
    least, most = PERSPECTIVE
    ratio = 1.0 if sheet.objects[name].hangs else min(max(far / near, least), most)
    return scale_of(sheet, other) / ratio


def swap(sheet: Sheet, first: list[str], second: list[str]) -> None:
    """Two things change places; each is as large as it is at the other's distance."""
    if len(first) != 1 or len(second) != 1 or first == second:
        raise BadInput("edit", 'swap needs two different things; say it like "swap the cat and the dog"')
    a = first[0]
    b = second[0]
    plan = sheet.plan()
    boxes = {name: sheet.box(name) for name in (a, b)}
    loads = {name: [load for load in sheet.loads_of(name) if load not in (a, b)] for name in (a, b)}
    places = min(_exchanges(sheet, plan, a, b), key=lambda exchange: _crowding(sheet, exchange))
    for name, box in places.items():
        sheet.put(name, box)
    for name, on_it in loads.items():
        bring(sheet, on_it, boxes[name], sheet.box(name))
    turned = [exchange_ends(relation, a, b) for relation in broken_relations_in(sheet.plan())]
    sheet.relate([], {a, b, *loads[a], *loads[b]})
    sheet.relations += turned
    sheet.relate([], {a, b})
    sheet.last = [a, b]
    sheet.notes.append(f"{sheet.instances[a].caption} and {sheet.instances[b].caption} changed places.")


def _exchanges(sheet: Sheet, plan: Plan, a: str, b: str) -> Iterator[dict[str, Box]]:
    """Ways to exchange two things: as large as at the other's distance, as large as they are, or on their own feet."""
    standing = all(placement.stands(plan, sheet.index(name)) for name in (a, b))
    for with_scale, with_foot in ((standing, True), (False, True), (False, False)):
        places = {}
        for name, partner in ((a, b), (b, a)):
            box = sheet.box(name)
            place_there = sheet.box(partner)
            ratio = scale_of(sheet, partner) / scale_of(sheet, name) if with_scale else 1.0
            ratio = min(max(ratio, 0.7), 1.4) if box.y1 != place_there.y1 else 1.0
            ratio = min(ratio, 0.95 / max(box.width, box.height))
            hung = sheet.objects[name].hangs
            foot = box.y1 if not with_foot else place_there.centre.y + box.height / 2 if hung else place_there.y1
            places[name] = placement.frame(place_there.centre.x, foot, box.width * ratio, box.height * ratio)
        yield places


def _crowding(sheet: Sheet, places: dict[str, Box]) -> float:
    """How much the things in new places cover of the others, and of each other."""
    boxes = {name: places.get(name) or sheet.box(name) for name in sheet.order}
    pairs = [(boxes[name], neighbour) for name in places for key, neighbour in boxes.items() if key != name]
    covered = sum(box.intersection(neighbour) / min(box.area, neighbour.area) for box, neighbour in pairs)
    return round(covered, 2)  # of equals the first


def exchange_ends(relation: Relation, a: str, b: str) -> Relation:
    """The relation with a and b exchanged."""
    subject, target = ({a: b, b: a}.get(name, name) for name in (relation.subject, relation.object))
    return relation.model_copy(update={"subject": subject, "object": target})


def bring(sheet: Sheet, loads: list[str], before: Box, after: Box, top: bool = False) -> None:
    """What rests on a moved thing keeps its place on it; on a resized one its own size too (``top``)."""
    for load in loads:
        box = sheet.box(load)
        x = after.x0 + (box.centre.x - before.x0) / before.width * after.width
        foot = after.y1 - (before.y1 - box.y1) / before.height * after.height
        grow = 1.0 if top else (after.height / before.height)
        sheet.put(load, placement.frame(x, foot, box.width * grow, box.height * grow))
