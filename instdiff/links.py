"""What the relations of a scene ask of the picture: who rests on whom, who is left of whom, where each may lie."""

from __future__ import annotations

from dataclasses import dataclass, field

from instdiff.scene import PICTURE, Predicate, Scene, SceneObject

HANGING = ("sky", "wall", "ceiling", "air")
PLACES = {
    Predicate.LEFT: (0.0, 0.4, 0.0, 1.0),
    Predicate.RIGHT: (0.6, 1.0, 0.0, 1.0),
    Predicate.TOP: (0.0, 1.0, 0.0, 0.4),
    Predicate.BOTTOM: (0.0, 1.0, 0.6, 1.0),
    Predicate.CENTRE: (0.36, 0.64, 0.3, 0.7),
}


@dataclass
class Links:
    """The relations of one scene as demands on box centres and on depth.

    ``left_right``, ``up_down`` and ``near_far`` hold pairs of ids in that order, ``beside`` pairs that touch or
    nearly do. ``anchor`` says which object to place first and lie at: (its id, how), how being "on", "under",
    "beside", "front", "behind" or "above". ``window`` bounds the centre: (x0, x1, y0, y1), fractions.
    """

    objects: dict[str, SceneObject]
    left_right: set[tuple[str, str]] = field(default_factory=set)
    up_down: set[tuple[str, str]] = field(default_factory=set)
    near_far: set[tuple[str, str]] = field(default_factory=set)
    beside: set[tuple[str, str]] = field(default_factory=set)
    anchor: dict[str, tuple[str, str]] = field(default_factory=dict)
    window: dict[str, tuple[float, float, float, float]] = field(default_factory=dict)

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

    def raise_up(self, name: str) -> None:
        """Hang the object from what it can hang from; what cannot hang floats."""
        item = self.objects[name]
        if item.support not in HANGING:
            support = next((place for place in (item.thing.on if item.thing else ()) if place in HANGING), "air")
            self.objects[name] = item.model_copy(update={"support": support})

    def rank(self, name: str) -> int:
        """How many anchors must be placed before this object."""
        steps = 0
        while name in self.anchor:
            name, steps = self.anchor[name][0], steps + 1
        return steps


def links_of(scene: Scene) -> Links:
    """Read the relations of a scene, physical ones first, so that "on" decides where a thing stands."""
    links = Links({item.id: item for item in scene.objects})
    physical = (Predicate.ON, Predicate.UNDER)
    for relation in sorted(scene.relations, key=lambda relation: relation.predicate not in physical):
        _read(links, relation.subject, relation.predicate, relation.object)
    for name, item in links.objects.items():
        if item.thing and item.thing.on[0] == "table" and item.support == "table" and name not in links.anchor:
            _join_neighbour(links, name)
    _set_windows(links, scene)
    return links


def _read(links: Links, subject: str, predicate: Predicate, target: str) -> None:
    match predicate:
        case Predicate.LEFT_OF:
            links.left_right.add((subject, target))
        case Predicate.RIGHT_OF:
            links.left_right.add((target, subject))
        case Predicate.NEXT_TO:
            links.beside.add((subject, target))
            links.hook(subject, target, "beside") or links.hook(target, subject, "beside")
        case Predicate.IN_FRONT_OF:
            links.near_far.add((subject, target))
            links.hook(subject, target, "front") or links.hook(target, subject, "behind")
        case Predicate.BEHIND:
            links.near_far.add((target, subject))
            links.hook(subject, target, "behind") or links.hook(target, subject, "front")
        case Predicate.ON:
            links.hook(subject, target, "on")
            links.up_down.add((subject, target))
        case Predicate.UNDER | Predicate.BELOW:
            _read_under(links, subject, target)
        case Predicate.ABOVE:
            _read_above(links, subject, target)
        case Predicate.TOP:
            links.raise_up(subject)


def _read_under(links: Links, subject: str, target: str) -> None:
    below, over = links.objects[subject], links.objects[target]
    hangs = over.support in HANGING or (over.thing is not None and over.thing.on[0] in HANGING)
    if not hangs and (over.height_m > 1.15 * below.height_m or (below.thing and below.thing.depth_m)):
        links.hook(subject, target, "under")
        links.up_down.add((target, subject))
    else:
        _read_above(links, target, subject)


def _read_above(links: Links, subject: str, target: str) -> None:
    if subject not in links.anchor:
        links.raise_up(subject)
        links.hook(subject, target, "above")
    links.up_down.add((subject, target))


def _join_neighbour(links: Links, name: str) -> None:
    """A small thing beside, or left or right of, something that rests on a carrier rests on it too."""
    for a, b in sorted(links.left_right | links.beside):
        other = b if a == name else a if b == name else None
        if other in links.anchor and links.anchor[other][1] == "on":
            links.hook(name, links.anchor[other][0], "on")
            return


def _set_windows(links: Links, scene: Scene) -> None:
    """Leave room on each side for as many objects as the relations put there."""
    for name in links.objects:
        left, right = _chain(links.left_right, name, 1), _chain(links.left_right, name, 0)
        up, down = _chain(links.up_down, name, 1), _chain(links.up_down, name, 0)
        x0, x1 = left / (left + right + 1), 1 - right / (left + right + 1)
        y0, y1 = up / (up + down + 1), 1 - down / (up + down + 1)
        links.window[name] = (x0, x1, y0, y1) if links.objects[name].support in HANGING else (x0, x1, 0.0, 1.0)
    for relation in scene.relations:
        if relation.object == PICTURE:
            x0, x1, y0, y1 = links.window[relation.subject]
            a0, a1, b0, b1 = PLACES[relation.predicate]
            joint = (max(x0, a0), min(x1, a1), max(y0, b0), min(y1, b1))
            # the part of the picture wins where both cannot be had
            links.window[relation.subject] = joint if joint[0] < joint[1] and joint[2] < joint[3] else (a0, a1, b0, b1)


def _chain(pairs: set[tuple[str, str]], name: str, end: int, seen: frozenset[str] = frozenset()) -> int:
    """The longest row of pairs that leads to (end = 1) or from (end = 0) the object; circles are cut."""
    lengths = [
        1 + _chain(pairs, pair[1 - end], end, seen | {name})
        for pair in pairs
        if pair[end] == name and pair[1 - end] not in seen and len(seen) < 8
    ]
    return max(lengths, default=0)
