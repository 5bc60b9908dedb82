"""What can be done about a thing that failed: each move gives another plan, or None where it would change nothing.

A move of a box is made only if it breaks no relation of the scene that held before.
"""

from __future__ import annotations

from agent.edit.editable_plan import Sheet
from agent.edit.place import place, scale_of
from agent.planners.english.words import ADJECTIVES, COLOURS
from agent.planners.plan import Plan
from agent.repair.failures import Failure
from instdiff.layout import Box, Instance, Point
from instdiff.world.nouns import ARTICLES
from instdiff.world.relations import broken_relations_in

ENLARGE = 1.2
MIDDLING = 0.10  # share of the picture that a thing of usual size covers
COVERED = 0.25  # share of a box behind another one, from which on it moves away
TRUSTED_IOU = 0.1  # what overlaps its place less is another place, to which the plan follows only where it is free
LEVEL = 0.02  # centres this close are on neither side of one another
MOST_OVERLAP = 0.3  # IoU with another box that a move may bring about
ELSEWHERE = 0.7  # a place with a higher IoU with the one before is no other
EDGE = 0.01  # what is moved keeps so far from the frame
BELOW = 0.02  # so much lower stands what is brought to the front
STRONG_MIS = 0.5


def paint_again(plan: Plan, failure: Failure) -> Plan | None:
    """The same from other noise."""
    return plan


def ground_more(plan: Plan, failure: Failure) -> Plan | None:
    """Grounding in all steps, and the thing denoised on its own in half of them; a model may always ground so."""
    if plan.alpha == 1.0:
        return None
    return plan.model_copy(update={"alpha": 1.0, "mis": max(plan.mis or 0.0, STRONG_MIS)})


def say_plainly(plan: Plan, failure: Failure) -> Plan | None:
    """Article, colours and noun alone: "a red lamp" for "a tall red reading lamp with a shade".

    Of what nobody asked for the colour was a planner's choice, and goes too.
    """
    instance = _instance(plan, failure)
    asked = frozenset() if _is_chosen(plan, _index(failure)) else COLOURS
    noun = instance.category.lower()
    words = instance.caption.lower().replace(",", " ").split()
    if not noun or not words:
        return None
    colours = [word for word in words if word in asked and word not in noun.split()]
    article = [words[0]] if words[0] in ARTICLES else []
    phrase = " ".join(dict.fromkeys([*colours, *noun.split()]))
    if article and article[0] in ("a", "an"):
        article = ["an" if phrase[0] in "aeiou" else "a"]
    return _described(plan, failure, " ".join([*article, phrase]))


def say_the_colour_first(plan: Plan, failure: Failure) -> Plan | None:
    """The colour alone before the noun, and once more behind it: "a red car, entirely red"."""
    if ", entirely" in _instance(plan, failure).caption:
        return None
    plain = say_plainly(plan, failure) or plan
    caption = _instance(plain, failure).caption
    words = caption.lower().split()
    adjectives = [word for word in words if word in COLOURS] or [word for word in words if word in ADJECTIVES]
    if not adjectives:
        return plain if plain != plan else None
    return _described(plain, failure, f"{caption}, entirely {' and '.join(dict.fromkeys(adjectives))}")


def make_larger(plan: Plan, failure: Failure) -> Plan | None:
    """Described plainly, and nearer to a usual shape and size, since painters are weak at others, or larger and away
    from what covers it."""
    plan = say_plainly(plan, failure) or plan
    box = _instance(plan, failure).box
    if box is None:
        return None
    index = _index(failure)
    others = [at.box for i, at in enumerate(plan.layout.instances) if i != index and at.box]
    covering = max(others, key=box.intersection, default=None)
    usual = [_of_usual_size(box, middle) for middle in (None, box.centre.y)]
    larger = _enlarge(box, covering)
    is_covered = covering is not None and box.intersection(covering) > COVERED * box.area
    candidates = [larger, *usual] if is_covered else [*usual, larger]
    return next((moved for candidate in candidates if (moved := _moved(plan, index, candidate))), None)


def place_anew(plan: Plan, failure: Failure) -> Plan | None:
    """Described plainly, in another place, as its relations allow, where least is in its way."""
    plan = say_plainly(plan, failure) or plan
    index = _index(failure)
    box = plan.layout.instances[index].box
    if box is None:
        return None
    sheet = Sheet(plan)
    name = sheet.order[index]
    own = [relation for relation in sheet.relations if relation.subject == name]
    other = place(sheet, sheet.objects[name], own, like=box, scale=scale_of(sheet, name))
    if other.iou(box) > ELSEWHERE:
        return None
    moved = plan.with_box(index, other)
    return None if _breaks(plan, moved) else moved


def bring_to_front(plan: Plan, failure: Failure) -> Plan | None:
    """Its foot right below that of what hides it: what stands lower is nearer."""
    index = _index(failure)
    box = plan.layout.instances[index].box
    if box is None:
        return None
    others = [at.box for i, at in enumerate(plan.layout.instances) if i != index and at.box]
    covering = max((other for other in others if other.y1 > box.y1), key=box.intersection, default=None)
    if covering is None or not box.intersection(covering):
        return None
    foot = min(covering.y1 + BELOW, 1 - EDGE)
    moved = plan.with_box(index, Box(x0=box.x0, y0=max(foot - box.height, EDGE), x1=box.x1, y1=foot))
    return None if foot <= covering.y1 or _breaks(plan, moved) else moved


def follow(plan: Plan, failure: Failure) -> Plan | None:
    """The plan goes to where the thing is seen; the picture stays as it is."""
    assert failure.verdict
    seen = failure.verdict.detection
    instance = _instance(plan, failure)
    if seen is None or instance.box is None:
        return None
    index = _index(failure)
    others = [at.extent for i, at in enumerate(plan.layout.instances) if i != index and at.extent]
    if seen.box.iou(instance.box) < TRUSTED_IOU and any(seen.box.iou(other) > MOST_OVERLAP for other in others):
        return None
    moved = plan.with_box(index, seen.box)
    return None if _breaks(plan, moved) else moved


def erase(plan: Plan, failure: Failure) -> Plan | None:
    """Nothing is planned there; what is seen there is what the picture is to be without."""
    return plan


def _index(failure: Failure) -> int:
    assert failure.verdict
    return failure.verdict.instance


def _instance(plan: Plan, failure: Failure) -> Instance:
    return plan.layout.instances[_index(failure)]


def _is_chosen(plan: Plan, index: int) -> bool:
    """True if no words name a thing: the planner added it."""
    if plan.scene is None or len(plan.ids) != len(plan.layout.instances):
        return False
    return any(item.chosen for item in plan.scene.objects if item.id == plan.ids[index])


def _described(plan: Plan, failure: Failure, caption: str) -> Plan | None:
    """The plan with another caption of a thing, None if it is the same."""
    instances = list(plan.layout.instances)
    instances[_index(failure)] = instances[_index(failure)].model_copy(update={"caption": caption})
    changed = plan.model_copy(update={"layout": plan.layout.with_instances(instances)})
    return changed if caption != _instance(plan, failure).caption else None


def _moved(plan: Plan, index: int, box: Box) -> Plan | None:
    """The plan with a thing in another box, None if that changes how it lies to another, or what the words ask for."""
    old = plan.layout.instances[index].box
    if old is None or box == old or not _stays_on_its_side(plan, index, old, box):
        return None
    moved = plan.with_box(index, box)
    return None if _breaks(plan, moved) else moved


def _breaks(before: Plan, after: Plan) -> bool:
    """True if a relation of the scene holds before, and not after."""
    held = broken_relations_in(before)
    return any(relation not in held for relation in broken_relations_in(after))


def _stays_on_its_side(plan: Plan, index: int, old: Box, new: Box) -> bool:
    """True if a thing keeps its side of every other and of the middle, touches what it touched, and hides no other."""
    for i, neighbour in enumerate(plan.layout.instances):
        at = neighbour.box
        if i == index or at is None:
            continue
        if any(abs(before) > LEVEL and before * after <= 0 for before, after in _offsets(old, new, at.centre)):
            return False
        if old.intersection(at) and not new.intersection(at):
            return False
        if new.iou(at) > max(MOST_OVERLAP, old.iou(at) + 0.05):
            return False
    middle = Point(x=0.5, y=0.5)
    return not any(before * after < 0 < abs(before) - 0.05 for before, after in _offsets(old, new, middle))


def _offsets(old: Box, new: Box, point: Point) -> tuple[tuple[float, float], tuple[float, float]]:
    """(before, after) from left to right and from top to bottom: how far the centre is from a point."""
    before = old.centre
    after = new.centre
    return (before.x - point.x, after.x - point.x), (before.y - point.y, after.y - point.y)


def _enlarge(box: Box, crowding: Box | None) -> Box:
    """A fifth larger on the same foot, moved away from what covers most of it."""
    width = min(box.width * ENLARGE, 1 - 2 * EDGE)
    height = min(box.height * ENLARGE, 1 - 2 * EDGE)
    middle = box.centre.x
    if crowding and 0 < box.intersection(crowding) < 0.9 * box.area:
        middle += 0.1 * width if middle >= crowding.centre.x else -0.1 * width
    return _box_about(middle, box.y1 - height / 2, width, height)


def _of_usual_size(box: Box, middle: float | None) -> Box:
    """Halfway (geometrically) to a square of middling size, on the same foot, or about a middle."""
    width, height = ((MIDDLING**0.5 * side) ** 0.5 for side in (box.width, box.height))
    return _box_about(box.centre.x, box.y1 - height / 2 if middle is None else middle, width, height)


def _box_about(x: float, y: float, width: float, height: float) -> Box:
    """A box of this size about (x, y), or as near to it as the picture allows."""
    x0 = min(max(x - width / 2, EDGE), 1 - EDGE - width)
    y0 = min(max(y - height / 2, EDGE), 1 - EDGE - height)
    return Box(x0=x0, y0=y0, x1=x0 + width, y1=y0 + height)
