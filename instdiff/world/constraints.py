"""What the relations of a scene ask of the picture: who rests on whom, who is left of whom, where each may lie.

Words go before physics: where they ask for what the world does not have, the world gives way and `Links.relaxed` says
so. Of words that contradict each other the first win.
"""

from __future__ import annotations

from instdiff.world.links import BORNE, Anchor, Links, Pairs, Window, supports_of
from instdiff.world.predicates import Predicate
from instdiff.world.scene import HANGING, PICTURE, Relation, Scene, SceneObject

# Where the centre of what the words put in a part of the picture may be: (x0, x1, y0, y1), fractions.
PLACES = {
    Predicate.LEFT: (0.0, 0.4, 0.0, 1.0),
    Predicate.RIGHT: (0.6, 1.0, 0.0, 1.0),
    Predicate.TOP: (0.0, 1.0, 0.0, 0.4),
    Predicate.BOTTOM: (0.0, 1.0, 0.6, 1.0),
    Predicate.CENTRE: (0.36, 0.64, 0.3, 0.7),
}
# Each predicate that puts things in a row: the row, and if the subject comes first in it.
ROWS = {
    Predicate.LEFT_OF: ("across", True),
    Predicate.LEFT: ("across", True),
    Predicate.RIGHT_OF: ("across", False),
    Predicate.RIGHT: ("across", False),
    Predicate.ABOVE: ("down", True),
    Predicate.ON: ("down", True),
    Predicate.TOP: ("down", True),
    Predicate.BELOW: ("down", False),
    Predicate.UNDER: ("down", False),
    Predicate.BOTTOM: ("down", False),
    Predicate.IN_FRONT_OF: ("away", True),
    Predicate.BEHIND: ("away", False),
    Predicate.LARGER_THAN: ("size", True),
    Predicate.SMALLER_THAN: ("size", False),
}
SIDES = (Predicate.LEFT_OF, Predicate.RIGHT_OF)
# the order in which relations are read, all others after these
FIRST = {
    Predicate.ON: 0,
    **dict.fromkeys(BORNE, 0),
    Predicate.UNDER: 1,
    Predicate.ABOVE: 2,
    Predicate.BELOW: 2,
}
SIZE_STEP = 1.6  # what is to look larger is made at least so much larger, in metres
ORDERED_FROM = 2.7  # what is so many times as large is not drawn smaller
TOO_WIDE = 2.0  # what is wider than so many times its carrier rests on it because the words ask, not by nature
SAME_SIZE = 1.05  # real sizes that differ less do not speak against the words
LOW_ROOF = 1.15  # what another thing is under is at least so many times as high


def links_of(scene: Scene) -> Links:
    """Read the relations of a scene, physical ones first, so that "on" decides where a thing stands."""
    links = Links({item.id: item for item in scene.objects})
    links.aloft = frozenset(item.id for item in scene.objects if item.is_aloft)
    _accept(links, scene.relations)
    _resize(links)
    links.between = _between(links.demands)
    for relation in sorted(links.demands, key=lambda relation: FIRST.get(relation.predicate, len(FIRST))):
        _read(links, relation.subject, relation.predicate, relation.object)
    for name, item in links.objects.items():
        if item.rests_on_tables and item.support == "table" and name not in links.anchors:
            _join_neighbour(links, name)
    links.rows = {row: {pair for pair in pairs if PICTURE not in pair} for row, pairs in links.rows.items()}
    links.window = _windows(links)
    links.much_larger = _much_larger(links.objects)
    return links


def _between(demands: list[Relation]) -> dict[str, tuple[str, str]]:
    """{middle: (left, right)} for what is right of one thing and left of one other."""
    lefts: dict[str, list[str]] = {}
    rights: dict[str, list[str]] = {}
    for demand in demands:
        if demand.predicate is Predicate.RIGHT_OF:
            lefts.setdefault(demand.subject, []).append(demand.object)
        elif demand.predicate is Predicate.LEFT_OF:
            rights.setdefault(demand.subject, []).append(demand.object)
    pairs = {name: (lefts[name], rights[name]) for name in lefts if name in rights}
    return {name: (a[0], b[0]) for name, (a, b) in pairs.items() if len(a) == len(b) == 1 and a != b}


def _much_larger(objects: dict[str, SceneObject]) -> dict[str, set[str]]:
    """For each solid thing those that are really so much larger that they may not look smaller."""
    solid = [item for item in objects.values() if not item.is_far and not item.is_flat]
    return {a.id: {b.id for b in solid if b.size_m >= ORDERED_FROM * a.size_m} for a in solid}


def _accept(links: Links, relations: tuple[Relation, ...]) -> None:
    """Keep what does not contradict what was said before: a row that comes back to where it began."""
    for relation in relations:
        row, first = ROWS.get(relation.predicate, (None, True))
        if row:
            pair = (relation.subject, relation.object) if first else (relation.object, relation.subject)
            if _leads(links.rows[row], pair[1], pair[0]):
                links.refused.append(relation)
                refusal = f"{links.the(relation.subject)} is not {links.phrase(relation)}"
                links.relaxed.append(f"{refusal}: the words before it ask for the opposite")
                continue
            links.rows[row].add(pair)
        links.demands.append(relation)


def _leads(pairs: Pairs, start: str, end: str) -> bool:
    """True if a chain of pairs leads from start to end."""
    reached = {start}
    last = {start}
    while last:
        last = {b for a, b in pairs if a in last} - reached
        reached |= last
    return end in reached


def _resize(links: Links) -> None:
    """Give what the words call larger or smaller the metres for it; what must be larger still grows, link by link."""
    sized = [relation for relation in links.demands if ROWS.get(relation.predicate, ("",))[0] == "size"]
    real = dict(links.objects)
    for relation in sized:
        ratio = real[relation.object].size_m / real[relation.subject].size_m
        larger = relation.predicate is Predicate.LARGER_THAN
        _scale(links, relation.subject, max(ratio * SIZE_STEP, 1.0) if larger else min(ratio / SIZE_STEP, 1.0))
    for _ in sized:
        for large, small in sorted(links.rows["size"]):
            _scale(links, large, max(SIZE_STEP * links.objects[small].size_m / links.objects[large].size_m, 1.0))
    for relation in sized:
        a = real[relation.subject]
        b = real[relation.object]
        ratio = b.size_m / a.size_m if relation.predicate is Predicate.LARGER_THAN else a.size_m / b.size_m
        if ratio > SAME_SIZE:
            change = f"{links.the(a.id)} is made {links.phrase(relation)}"
            links.relaxed.append(f"{change}, as the words ask, against their real sizes")


def _scale(links: Links, name: str, grow: float) -> None:
    item = links.objects[name]
    links.objects[name] = item.model_copy(update={"width_m": item.width_m * grow, "height_m": item.height_m * grow})


def _read(links: Links, subject: str, predicate: Predicate, target: str) -> None:
    match predicate:
        case Predicate.NEXT_TO:
            _read_beside(links, subject, target)
        case Predicate.IN_FRONT_OF:
            _read_depth(links, subject, target, front_first=True)
        case Predicate.BEHIND:
            _read_depth(links, target, subject, front_first=False)
        case Predicate.ON:
            _read_on(links, subject, target)
        case Predicate.IN | Predicate.HELD_BY | Predicate.WORN_BY:
            links.anchor(subject, target, BORNE[predicate])
        case Predicate.UNDER | Predicate.BELOW:
            _read_under(links, subject, target)
        case Predicate.ABOVE:
            _read_above(links, subject, target)
        case Predicate.LEFT_OF | Predicate.RIGHT_OF:
            _read_side(links, subject, target)
        case Predicate.TOP:
            links.hang(subject, "at the top")


def _read_on(links: Links, subject: str, target: str) -> None:
    """What is on two things is on the smaller one, which is on the larger: a cat on a blanket on a bed."""
    widest_m = TOO_WIDE * links.objects[target].width_m
    before = links.anchor_of(subject)
    if links.anchor(subject, target, "on"):
        if links.objects[subject].width_m > widest_m:
            carrier = f"what is much smaller, {links.the(target)}"
            links.relaxed.append(f"{links.the(subject)} rests on {carrier}, as the words ask")
    elif before.manner == "on" and before.target != target:
        lower, upper = sorted((before.target, target), key=lambda name: -links.objects[name].size_m)
        if links.anchor(upper, lower, "on"):
            links.anchors[subject] = Anchor(upper, "on")


def _read_beside(links: Links, subject: str, target: str) -> None:
    """The smaller one is placed at the larger one, what hangs at what stands."""
    ends = (subject, target)
    a, b = sorted(ends, key=lambda name: (not links.objects[name].hangs, links.objects[name].size_m))
    if not links.anchor(a, b, "beside"):
        links.anchor(b, a, "beside")


def _read_depth(links: Links, near: str, far: str, front_first: bool) -> None:
    """What is in front comes down from the sky where it can stand, for its foot to be the lower one."""
    item = links.objects[near]
    grounds = [place for place in supports_of(item) if place not in HANGING]
    if item.support == "sky" and grounds and near not in links.anchors:
        links.objects[near] = item.model_copy(update={"support": grounds[0]})
    anchors = [(near, far, "front"), (far, near, "behind")]
    for anchor in anchors if front_first or links.objects[near].hangs else anchors[::-1]:
        if links.anchor(*anchor):
            return


def _read_side(links: Links, subject: str, target: str) -> None:
    """What hangs is placed after, and level with, the one thing beside it that stands; so is what is around others."""
    if subject in links.between:
        subject, target = links.between[subject]
    hanging, standing = (subject, target) if links.objects[subject].hangs else (target, subject)
    sides = [demand for demand in links.demands if demand.predicate in SIDES]
    alone = sum(hanging in (demand.subject, demand.object) for demand in sides) == 1
    if alone and links.objects[hanging].hangs and not links.objects[standing].hangs:
        links.anchor(hanging, standing, "level")


def _read_under(links: Links, subject: str, target: str) -> None:
    """What has room there is placed under the target, with all that it rests on; else the target is above it."""
    below = links.objects[subject]
    over = links.objects[target]
    hangs = over.hangs or any(place in HANGING for place in supports_of(over)[:1])
    foot = links.foot_of(subject)
    height_m = below.height_m + (links.objects[foot].height_m if foot != subject else 0.0)
    has_room = over.height_m > LOW_ROOF * height_m or (below.is_flat and foot == subject)
    if hangs or not has_room or not links.anchor(foot, target, "under"):
        _read_above(links, target, subject)


def _read_above(links: Links, subject: str, target: str) -> None:
    """What rests on something is hung up with it, where that can hang, or is lower than what is to be below."""
    foot = links.foot_of(subject)
    item = links.objects[foot]
    can_hang = foot == subject or any(place in HANGING for place in supports_of(item))
    is_low = item.height_m < links.objects[target].height_m
    if foot not in links.anchors and foot != links.foot_of(target) and (can_hang or is_low):
        links.hang(foot, f"above {links.the(target)}")
        links.anchor(foot, target, "above")


def _join_neighbour(links: Links, name: str) -> None:
    """A small thing beside, or left or right of, something that rests on a carrier rests on it too."""
    pairs = {(demand.subject, demand.object) for demand in links.demands if demand.predicate is Predicate.NEXT_TO}
    for a, b in sorted(links.rows["across"] | pairs):
        neighbour = b if a == name else a if b == name else ""
        if links.anchor_of(neighbour).manner == "on":
            links.anchor(name, links.anchors[neighbour].target, "on")
            return


def _windows(links: Links) -> dict[str, Window]:
    """Where each centre may be, with room on each side for as many objects as the relations put there."""
    windows = {}
    for name, item in links.objects.items():
        left = _chain(links.rows["across"], name, 1)
        right = _chain(links.rows["across"], name, 0)
        up = _chain(links.rows["down"], name, 1)
        down = _chain(links.rows["down"], name, 0)
        x0 = left / (left + right + 1)
        x1 = 1 - right / (left + right + 1)
        y0 = up / (up + down + 1)
        y1 = 1 - down / (up + down + 1)
        windows[name] = (x0, x1, y0, y1) if item.hangs else (x0, x1, 0.0, 1.0)
    for relation in links.demands:
        if relation.object == PICTURE:
            x0, x1, y0, y1 = windows[relation.subject]
            part = PLACES[relation.predicate]
            joint = (max(x0, part[0]), min(x1, part[1]), max(y0, part[2]), min(y1, part[3]))
            # the part of the picture wins where both cannot be had
            windows[relation.subject] = joint if joint[0] < joint[1] and joint[2] < joint[3] else part
    return windows


def _chain(pairs: Pairs, name: str, end: int) -> int:
    """Length of the longest row of pairs that leads to (end = 1) or from (end = 0) the object; rows have no circles."""
    length = 0
    last = {name}
    while last := {pair[1 - end] for pair in pairs if pair[end] in last}:
        length += 1
    return length
