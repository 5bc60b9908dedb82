"""What the relations of a scene ask of the picture: who rests on whom, who is left of whom, where each may lie.

Words go before physics: where they ask for what the world does not have, the world gives way and `Links.gave_way` says
so. Of words that contradict each other the first win.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from instdiff.world.placement import HANGING
from instdiff.world.scene import PICTURE, Predicate, Relation, Scene, SceneObject

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
SIZE_STEP = 1.6  # what is to look larger is made at least so much larger, in metres
ORDERED_FROM = 2.7  # what is so many times as large is not drawn smaller
TOO_WIDE = 2.0  # what is wider than so many times its carrier rests on it because the words ask, not by nature

Pairs = set[tuple[str, str]]


@dataclass
class Links:
    """The relations of one scene as demands on boxes and on depth.

    ``rows`` holds pairs of ids in order: "across" from left to right, "down" from top to bottom, "away" from near to
    far, "size" from large to small. ``anchor`` says which object to place first and lie at: (its id, how), how being
    "on", "under", "beside", "front", "behind" or "above". ``window`` bounds the centre: (x0, x1, y0, y1), fractions.
    ``much_larger`` holds for each id what is really so much larger that it must look larger too. ``demands`` are the
    relations that can be had together, ``refused`` the others. ``aloft`` are the ids of what hangs or flies by nature.
    """

    objects: dict[str, SceneObject]
    rows: dict[str, Pairs] = field(default_factory=lambda: {row: set() for row in ("across", "down", "away", "size")})
    anchor: dict[str, tuple[str, str]] = field(default_factory=dict)
    window: dict[str, tuple[float, float, float, float]] = field(default_factory=dict)
    much_larger: dict[str, set[str]] = field(default_factory=dict)
    demands: list[Relation] = field(default_factory=list)
    refused: list[Relation] = field(default_factory=list)
    aloft: frozenset[str] = frozenset()
    gave_way: list[str] = field(default_factory=list)

    def hook(self, subject: str, target: str, how: str) -> bool:
        """Place the subject at the target; refused where it has a place already, or in a circle."""
        step: str | None = target
        while step is not None:
            if step == subject:
                return False
            step = self.anchor[step][0] if step in self.anchor else None
        if subject in self.anchor:
            return False
        self.anchor[subject] = (target, how)
        return True

    def raise_up(self, name: str, where: str) -> None:
        """Hang the object from what it can hang from; what cannot hang floats."""
        item = self.objects[name]
        if item.support not in HANGING:
            support = next((place for place in (item.thing.on if item.thing else ()) if place in HANGING), "air")
            self.objects[name] = item.model_copy(update={"support": support})
            if support == "air":
                self.gave_way.append(f"{self.the(name)} floats {where}, as the words ask")

    def rank(self, name: str) -> int:
        """How many anchors must be placed before this object."""
        steps = 0
        while name in self.anchor:
            name = self.anchor[name][0]
            steps = steps + 1
        return steps

    @property
    def nothing_stands(self) -> bool:
        """True if everything hangs or flies, so that the whole picture is free for it."""
        return all(item.support in HANGING for item in self.objects.values())

    def load(self, name: str) -> int:
        """How many things rest on the object."""
        return sum(anchor == (name, "on") for anchor in self.anchor.values())

    def the(self, name: str) -> str:
        """The object in a sentence: "the red cat"."""
        words = self.objects[name].caption or self.objects[name].category
        first, _, rest = words.partition(" ")
        return f"the {rest if first in ('a', 'an', 'the') and rest else words}"

    def phrase(self, relation: Relation) -> str:
        """What follows the subject of a relation in a sentence: "left of the dog"."""
        return str(relation.predicate) + (f" {self.the(relation.object)}" if relation.object != PICTURE else "")


def links_of(scene: Scene) -> Links:
    """Read the relations of a scene, physical ones first, so that "on" decides where a thing stands."""
    links = Links({item.id: item for item in scene.objects})
    links.aloft = frozenset(item.id for item in scene.objects if item.support in ("sky", "wall", "ceiling"))
    _accept(links, scene.relations)
    _resize(links)
    for relation in sorted(
        links.demands, key=lambda relation: relation.predicate not in (Predicate.ON, Predicate.UNDER)
    ):
        _read(links, relation.subject, relation.predicate, relation.object)
    for name, item in links.objects.items():
        if item.thing and item.thing.on[0] == "table" and item.support == "table" and name not in links.anchor:
            _join_neighbour(links, name)
    links.rows = {row: {pair for pair in pairs if PICTURE not in pair} for row, pairs in links.rows.items()}
    _set_windows(links)
    solid = [item for item in links.objects.values() if not item.is_far and not item.is_flat]
    links.much_larger = {a.id: {b.id for b in solid if b.size_m >= ORDERED_FROM * a.size_m} for a in solid}
    return links


def _accept(links: Links, relations: tuple[Relation, ...]) -> None:
    """Keep what does not contradict what was said before: a row that comes back to where it began."""
    for relation in relations:
        row, first = ROWS.get(relation.predicate, (None, True))
        if row:
            pair = (relation.subject, relation.object) if first else (relation.object, relation.subject)
            if _leads(links.rows[row], pair[1], pair[0]):
                links.refused.append(relation)
                said = f"{links.the(relation.subject)} is not {links.phrase(relation)}"
                links.gave_way.append(f"{said}: the words before it ask for the opposite")
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
    """Give what the words call larger or smaller the metres for it; then what must be larger still grows, link by link."""
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
        if ratio > 1.05:
            said = f"{links.the(a.id)} is made {links.phrase(relation)}"
            links.gave_way.append(f"{said}, as the words ask, against their real sizes")


def _scale(links: Links, name: str, grow: float) -> None:
    item = links.objects[name]
    links.objects[name] = item.model_copy(update={"width_m": item.width_m * grow, "height_m": item.height_m * grow})


def _read(links: Links, subject: str, predicate: Predicate, target: str) -> None:
    match predicate:
        case Predicate.NEXT_TO:
            links.hook(subject, target, "beside") or links.hook(target, subject, "beside")
        case Predicate.IN_FRONT_OF:
            _read_depth(links, subject, target, front_first=True)
        case Predicate.BEHIND:
            _read_depth(links, target, subject, front_first=False)
        case Predicate.ON:
            if (
                links.hook(subject, target, "on")
                and links.objects[subject].width_m > TOO_WIDE * links.objects[target].width_m
            ):
                links.gave_way.append(
                    f"{links.the(subject)} rests on what is much smaller, {links.the(target)}, as the words ask"
                )
        case Predicate.UNDER | Predicate.BELOW:
            _read_under(links, subject, target)
        case Predicate.ABOVE:
            _read_above(links, subject, target)
        case Predicate.TOP:
            links.raise_up(subject, "at the top")


def _read_depth(links: Links, near: str, far: str, front_first: bool) -> None:
    """What is in front comes down from the sky where it can stand, for its foot to be the lower one."""
    item = links.objects[near]
    grounds = [place for place in (item.thing.on if item.thing else ()) if place not in HANGING]
    if item.support == "sky" and grounds and near not in links.anchor:
        links.objects[near] = item.model_copy(update={"support": grounds[0]})
    hooks = [(near, far, "front"), (far, near, "behind")]
    first_hangs = links.objects[near].support in HANGING
    for hook in hooks if front_first or first_hangs else hooks[::-1]:
        if links.hook(*hook):
            return


def _read_under(links: Links, subject: str, target: str) -> None:
    below = links.objects[subject]
    over = links.objects[target]
    hangs = over.support in HANGING or (over.thing is not None and over.thing.on[0] in HANGING)
    if not hangs and (over.height_m > 1.15 * below.height_m or below.is_flat):
        links.hook(subject, target, "under")
    else:
        _read_above(links, target, subject)


def _read_above(links: Links, subject: str, target: str) -> None:
    if subject not in links.anchor:
        links.raise_up(subject, f"above {links.the(target)}")
        links.hook(subject, target, "above")


def _join_neighbour(links: Links, name: str) -> None:
    """A small thing beside, or left or right of, something that rests on a carrier rests on it too."""
    beside = {
        (relation.subject, relation.object) for relation in links.demands if relation.predicate is Predicate.NEXT_TO
    }
    for a, b in sorted(links.rows["across"] | beside):
        other = b if a == name else a if b == name else None
        if other in links.anchor and links.anchor[other][1] == "on":
            links.hook(name, links.anchor[other][0], "on")
            return


def _set_windows(links: Links) -> None:
    """Leave room on each side for as many objects as the relations put there."""
    for name, item in links.objects.items():
        left = _chain(links.rows["across"], name, 1)
        right = _chain(links.rows["across"], name, 0)
        up = _chain(links.rows["down"], name, 1)
        down = _chain(links.rows["down"], name, 0)
        x0 = left / (left + right + 1)
        x1 = 1 - right / (left + right + 1)
        y0 = up / (up + down + 1)
        y1 = 1 - down / (up + down + 1)
        links.window[name] = (x0, x1, y0, y1) if item.support in HANGING else (x0, x1, 0.0, 1.0)
    for relation in links.demands:
        if relation.object == PICTURE:
            x0, x1, y0, y1 = links.window[relation.subject]
            a0, a1, b0, b1 = PLACES[relation.predicate]
            joint = (max(x0, a0), min(x1, a1), max(y0, b0), min(y1, b1))
            # the part of the picture wins where both cannot be had
            links.window[relation.subject] = joint if joint[0] < joint[1] and joint[2] < joint[3] else (a0, a1, b0, b1)


def _chain(pairs: Pairs, name: str, end: int) -> int:
    """How long the longest row of pairs is that leads to (end = 1) or from (end = 0) the object; rows have no circles."""
    length = 0
    last = {name}
    while last := {pair[1 - end] for pair in pairs if pair[end] in last}:
        length += 1
    return length
