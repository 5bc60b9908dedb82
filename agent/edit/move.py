"""Things that are there get another place or size: "to the left", "onto the table", "twice as large".

What rests on a thing goes with it. Boxes are fractions of the picture.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from agent.edit.editable_plan import Sheet, with_adjectives, with_other_phrase
from agent.edit.parse import find
from agent.edit.place import place, scale_of
from agent.planners.english.words import RELATIONS
from agent.planners.plan import Plan
from instdiff.errors import BadInput
from instdiff.layout import Box
from instdiff.world import placement
from instdiff.world.relations import broken_relations_in
from instdiff.world.scene import Predicate, Relation

_LITTLE = re.compile(r"\b(?:a bit|a little|slightly|a tad|a touch)\b")
_MUCH = re.compile(r"\b(?:far|much|a lot|all the way|way)\b")
_SIDE = re.compile(
    r"(?:(?:over|further|more|back|down|up)\s+)*(?:(?:to|towards?|on|onto|in|into|at)\s+)?(?:the\s+)?"
    r"(?:(?P<level>upper|lower|top|bottom)[\s-]*)?(?:(?P<side>left|right|middle|cent(?:er|re))(?:wards?)?)?"
    r"(?:\s+(?:hand\s+)?(?:side|half|edge|corner|part))?(?:\s+of (?:the|this)"
    r" (?:picture|image|scene|photo|frame|canvas))?"
)
_UP = {"up": -1, "upward": -1, "upwards": -1, "higher": -1, "down": 1, "downward": 1, "downwards": 1, "lower": 1}
_NEARER = re.compile(
    r"(?:(?:to|into|in|towards?) the )?(?:closer|nearer|forwards?|front|foreground|to the viewer|towards the viewer)"
)
_FARTHER = re.compile(
    r"(?:(?:to|into|in|towards?) the )?(?:backwards?|back|away|farther(?: away)?|further(?: away)?|background|behind)"
)
_GROWTH = re.compile(
    r"(?:(?P<twice>twice|double|two times|three times|half|thrice)(?: as| the)?\s+)?(?:(?P<percent>\d+) ?% )?"
    r"(?P<size>larger|bigger|smaller|taller|wider|shorter|narrower|thinner|broader"
    r"|large|big|small|tall|wide|size|huge|tiny|giant|high)"
)
_TIMES = {"twice": 2.0, "double": 2.0, "two times": 2.0, "three times": 3.0, "thrice": 3.0, "half": 0.5}
STEP = 0.2
LITTLE = 0.08
NEARER = 1.3
SMALLEST = 0.03
LARGEST = 0.96  # sides that a thing can be given


def move(sheet: Sheet, name: str, where: str) -> None:
    """Move one thing, as the words say.

    Raises:
        BadInput: the words name no place, or a thing that is not there.
    """
    plain = " ".join(_MUCH.sub(" ", _LITTLE.sub(" ", where)).split())
    plain = re.sub(r"\b(?:closer|nearer|close) to\b", "next to", re.sub(r"\bon to\b", "onto", plain))
    step = LITTLE if _LITTLE.search(where) else STEP
    loads = sheet.loads_of(name)
    before = sheet.box(name)
    if related := _relations(sheet, name, plain):
        _move_to(sheet, name, related)
    else:
        _shift(sheet, name, plain, step, far=bool(_MUCH.search(where)))
    _bring(sheet, loads, before, sheet.box(name))
    sheet.relate([], {name, *loads})
    sheet.notes.append(f"Moved {sheet.instances[name].caption} {where}.")


def resize(sheet: Sheet, name: str, words: str) -> bool:
    """Make one thing larger or smaller on its foot; False if the words give no size."""
    plain = " ".join(_MUCH.sub(" ", _LITTLE.sub(" ", words)).replace(" as ", " ").split())
    plain = re.sub(r"^(?:as|the) | (?:than|as|of) .*$", "", plain)
    growth = _GROWTH.fullmatch(plain)
    if not growth:
        return False
    word = growth["size"]
    box = sheet.box(name)
    loads = sheet.loads_of(name)
    smaller = word in ("smaller", "small", "shorter", "narrower", "thinner", "tiny")
    factor = 1.15 if _LITTLE.search(words) else 1.7 if _MUCH.search(words) or word in ("huge", "giant", "tiny") else 1.3
    factor = 1 / factor if smaller else factor
    if growth["twice"]:
        times = _TIMES[growth["twice"]]
        factor = 1 / times if smaller and times > 1 else times
    elif growth["percent"]:
        factor = max(1 - int(growth["percent"]) / 100, 0.1) if smaller else 1 + int(growth["percent"]) / 100
    across = 1.0 if word in ("taller", "tall", "shorter", "high") else factor
    upward = 1.0 if word in ("wider", "wide", "narrower", "thinner", "broader") else factor
    width, height = (min(max(side, SMALLEST), LARGEST) for side in (box.width * across, box.height * upward))
    foot = box.centre.y + height / 2 if sheet.objects[name].hangs else box.y1
    sheet.put(name, placement.frame(box.centre.x, foot, width, height))
    _bring(sheet, loads, box, sheet.box(name), top=True)
    sheet.relate([], {name, *loads})
    change = f"{width / box.width:.2f} times as wide and {height / box.height:.2f} times as high"
    sheet.notes.append(f"{sheet.instances[name].caption} is {change}.")
    if across == upward:  # the words of the caption must not speak against the size
        old = sheet.instances[name].caption or sheet.objects[name].category
        new = with_adjectives(old, ["small" if factor < 1 else "large"])
        sheet.caption = with_other_phrase(sheet.caption, old, sheet.objects[name].category, new)
        sheet.describe(name, new)
    return True


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
        _bring(sheet, on_it, boxes[name], sheet.box(name))
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


def _relations(sheet: Sheet, name: str, where: str) -> list[Relation]:
    """The relations that "onto the table" or "between the cat and the dog" ask for; none for a side or direction."""
    if between := re.fullmatch(r"(?:in )?between (.+) and (.+)", where):
        ends = [_anchor(sheet, phrase, name) for phrase in between.groups()]
        ends.sort(key=lambda end: sheet.box(end).centre.x)
        sides = zip((Predicate.RIGHT_OF, Predicate.LEFT_OF), ends, strict=True)
        return [Relation(subject=name, predicate=side, object=end) for side, end in sides]
    if any(direction.fullmatch(where) for direction in (_SIDE, _NEARER, _FARTHER)):
        return []
    words = where.split()
    for end in range(min(6, len(words) - 1), 0, -1):
        if predicate := RELATIONS.get(" ".join(words[:end])):
            return [Relation(subject=name, predicate=predicate, object=_anchor(sheet, " ".join(words[end:]), name))]
    return []


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
    scale = scale_of(sheet, name)
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
    sheet.put(name, place(sheet, item, related, box, scale))
    if related[0].predicate is Predicate.BEHIND:
        sheet.order.remove(name)
        sheet.order.insert(sheet.index(related[0].object), name)
    sheet.relations = relations
    sheet.relate(related, {name})


def _shift(sheet: Sheet, name: str, where: str, step: float, far: bool) -> None:
    """Move a thing to a side, up or down, nearer or farther away."""
    box = sheet.box(name)
    standing = placement.stands(sheet.plan(), sheet.index(name))
    if _NEARER.fullmatch(where) or _FARTHER.fullmatch(where):
        factor = NEARER if _NEARER.fullmatch(where) else 1 / NEARER
        foot = box.y1
        if standing and foot > placement.HORIZON:
            foot = placement.HORIZON + (foot - placement.HORIZON) * factor
        fit = min(factor, 0.95 / max(box.width, box.height))
        return sheet.put(name, placement.frame(box.centre.x, foot, box.width * fit, box.height * fit))
    if where in _UP:
        foot = box.y1 + _UP[where] * (0.5 if far else step)
        return sheet.put(name, placement.frame(box.centre.x, foot, box.width, box.height))
    side = _SIDE.fullmatch(where)
    if not side or not (side["side"] or side["level"]):
        raise BadInput("edit", f'"{where}" is no place; say it like "to the left", "up", "closer", or "onto the table"')
    x = box.centre.x
    y = box.centre.y
    match (side["side"] or "")[:3]:
        case "lef":
            x = 0.0 if far else max(x - LITTLE, 0.0) if step == LITTLE else min(x - 0.15, 0.28)
        case "rig":
            x = 1.0 if far else x + LITTLE if step == LITTLE else max(x + 0.15, 0.72)
        case "mid" | "cen":
            x = 0.5
            y = y if standing else 0.5
    if side["level"]:
        y = 0.0 if side["level"] in ("upper", "top") else 1.0
    sheet.put(name, placement.frame(x, y + box.height / 2, box.width, box.height))


def _bring(sheet: Sheet, loads: list[str], before: Box, after: Box, top: bool = False) -> None:
    """What rests on a moved thing keeps its place on it; on a resized one its own size too (``top``)."""
    for load in loads:
        box = sheet.box(load)
        x = after.x0 + (box.centre.x - before.x0) / before.width * after.width
        foot = after.y1 - (before.y1 - box.y1) / before.height * after.height
        grow = 1.0 if top else (after.height / before.height)
        sheet.put(load, placement.frame(x, foot, box.width * grow, box.height * grow))
