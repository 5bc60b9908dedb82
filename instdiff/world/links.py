"""The relations of a scene as demands on boxes and on depth, by the ids of its objects."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from instdiff.world import knowledge
from instdiff.world.alignment import DIRECTIONS, Direction
from instdiff.world.predicates import Predicate
from instdiff.world.scene import HANGING, PICTURE, Relation, SceneObject

OPPOSITE = (
    (Predicate.LEFT, Predicate.RIGHT, Predicate.LEFT_OF),
    (Predicate.TOP, Predicate.BOTTOM, Predicate.ABOVE),
)
FEW = 4  # what has more neighbours in a direction cannot show each of them at a glance

Pairs = set[tuple[str, str]]
Window = tuple[float, float, float, float]


class Anchor(NamedTuple):
    """What an object is placed at: the id of ``target``, and ``manner``, which is "on", "under", "beside", "front",
    "behind", "above", "level", "in", "held" or "worn"; both are empty where it is placed freely.
    """

    target: str = ""
    manner: str = ""


FREE = Anchor()
BORNE = {Predicate.IN: "in", Predicate.HELD_BY: "held", Predicate.WORN_BY: "worn"}  # the manner of each
ATTACHED = ("on", "under", *BORNE.values())  # manners in which a thing's size and place are those of its target


@dataclass
class Links:
    """The relations of one scene as demands on boxes and on depth.

    ``rows`` holds pairs of ids in order: "across" from left to right, "down" from top to bottom, "away" from near to
    far, "size" from large to small. ``anchors`` says which object to place first and lie at. ``window`` bounds the
    centre: (x0, x1, y0, y1), fractions. ``much_larger`` holds for each id what is really so much larger that it must
    look larger too. ``demands`` are the relations that can be had together, ``refused`` the others. ``aloft`` are the
    ids of what hangs or flies by nature, ``between`` the ids of what each thing is between.
    ``relaxed`` says in sentences what could not be kept.
    """

    objects: dict[str, SceneObject]
    rows: dict[str, Pairs] = field(default_factory=lambda: {row: set() for row in ("across", "down", "away", "size")})
    anchors: dict[str, Anchor] = field(default_factory=dict)
    window: dict[str, Window] = field(default_factory=dict)
    much_larger: dict[str, set[str]] = field(default_factory=dict)
    demands: list[Relation] = field(default_factory=list)
    refused: list[Relation] = field(default_factory=list)
    aloft: frozenset[str] = frozenset()
    between: dict[str, tuple[str, str]] = field(default_factory=dict)
    relaxed: list[str] = field(default_factory=list)

    @cached_property
    def asked(self) -> dict[str, list[Relation]]:
        """The demands that each object is part of."""
        asked: dict[str, list[Relation]] = {}
        for demand in self.demands:
            asked.setdefault(demand.subject, []).append(demand)
            if demand.object != PICTURE:
                asked.setdefault(demand.object, []).append(demand)
        return asked

    @cached_property
    def directions(self) -> dict[str, dict[str, Direction]]:
        """For each object the others that it is seen to lie from in a direction: {id: {other: direction}}.

        Each of two things in opposite parts of the picture, too; not those that have too many such neighbours.
        """
        directions: dict[str, dict[str, Direction]] = {name: {} for name in self.objects}
        ends = ((a, ("x", -1), b) for a, b in self.between.values())
        for a, direction, b in (*ends, *self._opposite_places(), *self._said_directions()):
            directions[a][b] = direction
            directions[b][a] = (direction[0], -direction[1])
        crowded = {name for name, others in directions.items() if len(others) > FEW}
        return {
            name: {} if name in crowded else {b: way for b, way in others.items() if b not in crowded}
            for name, others in directions.items()
        }

    def _said_directions(self) -> list[tuple[str, Direction, str]]:
        shared = [name for name in self.objects if self.load(name) > 1]
        return [
            (demand.subject, DIRECTIONS[demand.predicate], demand.object)
            for demand in self.demands
            if demand.predicate in DIRECTIONS and not (demand.predicate is Predicate.ON and demand.object in shared)
        ]

    def _opposite_places(self) -> list[tuple[str, Direction, str]]:
        places = [(demand.subject, demand.predicate) for demand in self.demands if demand.object == PICTURE]
        return [
            (a, DIRECTIONS[direction], b)
            for first, second, direction in OPPOSITE
            for a, place in places
            for b, other in places
            if a != b and (place, other) == (first, second)
        ]

    def anchor_of(self, name: str) -> Anchor:
        """What the object is placed at, `FREE` if at nothing."""
        return self.anchors.get(name, FREE)

    def anchor(self, subject: str, target: str, manner: str) -> bool:
        """Place the subject at the target; False where it has a place already, or in a circle."""
        below = target
        while below:
            if below == subject:
                return False
            below = self.anchor_of(below).target
        if subject in self.anchors:
            return False
        self.anchors[subject] = Anchor(target, manner)
        return True

    def hang(self, name: str, where: str) -> None:
        """Hang the object from what it can hang from; what cannot hang floats."""
        item = self.objects[name]
        if item.hangs:
            return
        support = next((place for place in supports_of(item) if place in HANGING), "air")
        self.objects[name] = item.model_copy(update={"support": support})
        if support == "air":
            self.relaxed.append(f"{self.the(name)} floats {where}, as the words ask")

    def rank(self, name: str) -> int:
        """How many others must be placed before this object: what it is placed at, and what it is between."""
        return self._rank(name, frozenset())

    def _rank(self, name: str, above: frozenset[str]) -> int:
        before = {self.anchor_of(name).target, *self.between.get(name, ())} - {""} - above
        return max((1 + self._rank(other, above | {name}) for other in before), default=0)

    @cached_property
    def backdrops(self) -> frozenset[str]:
        """The ids of what stands on the horizon."""
        return frozenset(name for name, item in self.objects.items() if item.is_backdrop)

    @cached_property
    def order(self) -> list[str]:
        """The ids in the order in which to place them: anchors and large things first."""
        return sorted(self.objects, key=lambda name: (self.rank(name), -self.objects[name].size_m, name))

    @cached_property
    def nothing_stands(self) -> bool:
        """True if everything hangs or flies, so that the whole picture is free for it."""
        return all(item.hangs for item in self.objects.values())

    def belong(self, a: str, b: str) -> bool:
        """True if one is on, under, in or at the body of the other, or both are at one body: they may overlap."""
        worn = ("held", "worn")
        first, second = self.anchor_of(a), self.anchor_of(b)
        shared = first.target == second.target and first.manner in worn and second.manner in worn
        return shared or a in self._bearers(b) or b in self._bearers(a)

    def foot_of(self, name: str) -> str:
        """What the object rests on or is in at last, itself if on nothing."""
        return ([name, *self._bearers(name)])[-1]

    def _bearers(self, name: str) -> list[str]:
        """What the object is attached to, directly or over something in between."""
        bearers: list[str] = []
        while (anchor := self.anchor_of(name)).manner in ATTACHED:
            name = anchor.target
            bearers.append(name)
        return bearers

    def bears(self, a: str, b: str) -> bool:
        """True if one is in, held by or worn by the other, or both are at one body: neither hides the other."""
        return self.belong(a, b) and not any(
            self.anchor_of(s) in ((t, "on"), (t, "under")) for s, t in ((a, b), (b, a))
        )

    def outsizes(self, a: str, b: str) -> bool:
        """True if one is on the other and is really the larger one, so that it cannot but hide it."""
        pairs = ((a, b), (b, a))
        return any(self.anchor_of(s) == (t, "on") and self.objects[s].size_m > self.objects[t].size_m for s, t in pairs)

    def is_deep(self, a: str, b: str) -> bool:
        """True if the words put one in front of the other, so that it may hide much of it."""
        return not self.rows["away"].isdisjoint(((a, b), (b, a)))

    @cached_property
    def _loads(self) -> dict[tuple[str, str], list[str]]:
        """The ids of what is placed at each anchor, in a fixed order."""
        loads: dict[tuple[str, str], list[str]] = {}
        for name in sorted(self.anchors):
            loads.setdefault(self.anchors[name], []).append(name)
        return loads

    def borne(self, name: str, manner: str) -> list[str]:
        """The ids of what is attached to the object in this manner, in a fixed order."""
        return self._loads.get((name, manner), [])

    def load(self, name: str) -> int:
        """How many things rest on the object."""
        return len(self.borne(name, "on"))

    def the(self, name: str) -> str:
        """The object in a sentence: "the red cat"."""
        words = self.objects[name].caption or self.objects[name].category
        first, _, noun = words.partition(" ")
        return f"the {noun if first in ('a', 'an', 'the') and noun else words}"

    def phrase(self, relation: Relation) -> str:
        """What follows the subject of a relation in a sentence: "left of the dog"."""
        return str(relation.predicate) + (f" {self.the(relation.object)}" if relation.object != PICTURE else "")


def supports_of(item: SceneObject) -> tuple[knowledge.Support, ...]:
    """What a thing may stand on or hang from, the usual first."""
    return item.thing.on if item.thing else ()
