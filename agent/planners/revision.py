"""A plan is mended by what became of each of its instances on the picture.

Each instance that failed gets the next move that it has not had yet; the noise stays as it is, so that the move is what
changes. Only where the moves of an instance are spent is the picture painted from other noise.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from agent.planners.grammar.vocabulary import ADJECTIVES, COLOURS
from agent.planners.plan import Plan
from instdiff.layout import Box, Instance
from instdiff.world.relations import broken

if TYPE_CHECKING:
    from evaluators.report import Report, Verdict

ENLARGE = 1.2
COMPACT = 0.06, 0.10  # share of the picture that a thing of compact shape covers, at least and at most
COVERED = 0.25  # share of a box behind another one, from which on it moves away
TRUSTED_IOU = 0.25  # what overlaps its place less is not followed
MIS_STEP = 0.1
MOST_MIS = 0.5
USUAL_ALPHA = 0.8
ALPHA_STEP = 0.2  # share of the steps with grounding


def revised(plan: Plan, report: Report, seed: int) -> Plan:
    """The plan after one move for each instance that failed.

    - missing: a box halfway to one that is as wide as high and of middling size, since painters are weak at unusual
      shapes and sizes, or else a larger one, away from what covers it; then all the way. A plainer caption.
    - misplaced: halfway to where it was seen, twice at most; then, or where that is far away, more steps with
    grounding. - wrong attribute: the caption says it again ("entirely red"), and more steps with the Multi-Instance
    Sampler. - what is seen and not planned joins the negative caption. - an instance whose moves are spent asks for
    another seed.

    A move of a box is made only if it breaks no relation of the scene and keeps the side of every other instance. Every
    move is a note. ``plan.seed``, ``mis`` and ``alpha`` are those of the picture that the report is about.
    """
    moves = _Moves(plan)
    for verdict in report.verdicts:
        match verdict.kind.value:
            case "missing":
                moves.missing(verdict)
            case "misplaced":
                moves.misplaced(verdict)
            case "wrong attribute":
                moves.wrong_attribute(verdict)
    moves.deny([extra.category for extra in report.extras])
    return moves.made(seed)


class _Moves:
    """The moves of one revision, made one after the other on a copy of the plan."""

    def __init__(self, plan: Plan):
        self.plan = plan
        self.notes = list(plan.notes)
        self.instances = list(plan.layout.instances)
        self.negative = plan.layout.negative_caption
        self.mis = plan.mis
        self.alpha = plan.alpha
        self.spent: list[str] = []  # who asks for another seed
        self.followed: dict[
            int, tuple[Instance, str]
        ] = {}  # who went to where it was seen: the instance before, and the note

    def missing(self, verdict: Verdict) -> None:
        index = verdict.instance
        box = self.instances[verdict.instance].box
        if self._first(index, "plainer, and larger or nearer to a compact shape" if box else "plainer"):
            ways = self._first_ways(index, box) if box else []
        elif box and self._first(index, "of compact shape"):
            ways = _compact(box)
        else:
            return self._give_up(index)
        for way in ways:
            if self._move(index, way):
                break
        self.instances[index] = _plainer(self.instances[index])

    def _first_ways(self, index: int, box: Box) -> list[Box]:
        """Where a missing thing is tried first: in a more usual shape; what is covered, rather away from what covers
        it.
        """
        others = [other.box for i, other in enumerate(self.instances) if i != index and other.box]
        covering = max(others, key=box.intersection, default=None)
        usual = _nearer_to_compact(box)
        larger = _enlarged(box, covering)
        return [larger, *usual] if covering and box.intersection(covering) > COVERED * box.area else [*usual, larger]

    def misplaced(self, verdict: Verdict) -> None:
        index = verdict.instance
        box = self.instances[verdict.instance].box
        if box and (nearer := _halfway(verdict, box)):
            before = self.instances[index]
            for move in ("moved towards where it was seen", "moved once more towards where it was seen"):
                if f"{self._tag(index)}: {move}." not in self.notes and self._move(index, nearer):
                    self._first(index, move)
                    self.followed[index] = (before, self.notes[-1])
                    return
        alpha = round(min((USUAL_ALPHA if self.plan.alpha is None else self.plan.alpha) + ALPHA_STEP, 1.0), 2)
        if alpha == self.plan.alpha or not self._first(index, "more steps with grounding"):
            return self._give_up(index)
        self.alpha = alpha

    def wrong_attribute(self, verdict: Verdict) -> None:
        index = verdict.instance
        if not self._first(index, "its attribute is said again"):
            return self._give_up(index)
        self.instances[index] = _said_again(self.instances[index])
        self.mis = round(min(max(self.plan.mis or 0.0, MIS_STEP) + MIS_STEP, MOST_MIS), 2)

    def deny(self, categories: list[str]) -> None:
        """What is seen and not planned joins the negative caption."""
        planned = {text.lower() for instance in self.instances for text in (instance.category, instance.caption)}
        denied = [part for part in self.negative.split(", ") if part]
        new = [name for name in dict.fromkeys(categories) if name not in planned and name not in denied]
        self.negative = ", ".join([*denied, *new])
        self.notes += [f"{name}: seen and not planned, so it joins the negative caption." for name in new]

    def made(self, seed: int) -> Plan:
        """The revised plan. Where an instance is given up, or nothing else is left to change, the noise is another."""
        for index, (before, note) in self.followed.items() if self.spent else ():
            self.instances[index] = before  # other noise puts it elsewhere, so there is nothing to follow
            self.notes.remove(note)
        changes = {"instances": tuple(self.instances), "negative_caption": self.negative}
        layout = self.plan.layout.model_copy(update=changes)
        same = layout == self.plan.layout and (self.mis, self.alpha) == (self.plan.mis, self.plan.alpha)
        noise = self.plan.seed
        if self.spent or same:
            noise = Random(f"{seed} {len(self.plan.notes)} {self.plan.seed}").randrange(2**31)
            self.notes.append(f"{', '.join(self.spent) or 'Nothing else'}: painted from another seed, {noise}.")
        update = {"layout": layout, "notes": tuple(self.notes), "seed": noise, "mis": self.mis, "alpha": self.alpha}
        return self.plan.model_copy(update=update)

    def _tag(self, index: int) -> str:
        return f"{self.instances[index].category or self.instances[index].name} {index + 1}"

    def _first(self, index: int, move: str) -> bool:
        """Note a move; False if the instance had it before."""
        note = f"{self._tag(index)}: {move}."
        if note in self.notes:
            return False
        self.notes.append(note)
        return True

    def _give_up(self, index: int) -> None:
        self.spent.append(self._tag(index))

    def _move(self, index: int, box: Box) -> bool:
        """Put an instance into another box, if what the words ask for still holds; True if it moved."""
        moved = _moved(self.instances, index, box)
        if moved == self.instances[index] or self._breaks(
            [*self.instances[:index], moved, *self.instances[index + 1 :]]
        ):
            return False
        self.instances[index] = moved
        return True

    def _breaks(self, instances: list[Instance]) -> bool:
        """True if a relation of the scene holds now, and would not with these instances."""
        scene = self.plan.scene
        ids = self.plan.ids
        if scene is None or len(ids) != len(instances):
            return False
        found = [broken(scene, self.plan.layout.with_instances(each), ids) for each in (self.instances, instances)]
        return any(relation not in found[0] for relation in found[1])


def _enlarged(box: Box, crowding: Box | None) -> Box:
    """A fifth larger on the same foot, moved away from what covers most of it."""
    width = min(box.width * ENLARGE, 0.98)
    height = min(box.height * ENLARGE, 0.98)
    middle = box.centre.x
    if crowding and 0 < box.intersection(crowding) < 0.9 * box.area:
        middle += 0.1 * width if middle >= crowding.centre.x else -0.1 * width
    x0 = min(max(middle - width / 2, 0.01), 0.99 - width)
    y0 = max(box.y1 - height, 0.01)
    return Box(x0=x0, y0=y0, x1=x0 + width, y1=max(box.y1, min(y0 + height, 0.99)))


def _compact(box: Box) -> list[Box]:
    """As wide as high and of middling size, on the same foot, or else about the same middle."""
    side = min(max(box.area, COMPACT[0]), COMPACT[1]) ** 0.5
    return _standing_as(box, side, side)


def _nearer_to_compact(box: Box) -> list[Box]:
    """Halfway (geometrically) to the largest compact shape, on the same foot, or else about the same middle."""
    side = COMPACT[1] ** 0.5
    return _standing_as(box, (side * box.width) ** 0.5, (side * box.height) ** 0.5)


def _standing_as(box: Box, width: float, height: float) -> list[Box]:
    """Boxes of this size on the foot of another one, and about its middle."""
    return [_around(box.centre.x, y, width, height) for y in (box.y1 - height / 2, box.centre.y)]


def _around(x: float, y: float, width: float, height: float) -> Box:
    """A box of this size about (x, y), or as near to it as the picture allows."""
    x0 = min(max(x - width / 2, 0.01), 0.99 - width)
    y0 = min(max(y - height / 2, 0.01), 0.99 - height)
    return Box(x0=x0, y0=y0, x1=x0 + width, y1=y0 + height)


def _halfway(verdict: Verdict, box: Box) -> Box | None:
    """The mean of the planned and the detected box, if they agree at least a little."""
    if verdict.detection is None or verdict.detection.box.iou(box) < TRUSTED_IOU:
        return None
    seen = verdict.detection.box
    return Box(**{side: (getattr(box, side) + getattr(seen, side)) / 2 for side in ("x0", "y0", "x1", "y1")})


def _moved(instances: list[Instance], index: int, box: Box) -> Instance:
    """The instance in its new box, or as it was if that would change how it lies to another, or to the middle."""
    old = instances[index]
    for i, other in enumerate(instances):
        if i == index or other.box is None:
            continue
        for axis in ("x", "y"):
            at = getattr(other.box.centre, axis)
            before = getattr(old.box.centre, axis) - at
            after = getattr(box.centre, axis) - at
            if abs(before) > 0.02 and before * after <= 0:
                return old
        if old.box.intersection(other.box) and not box.intersection(other.box):
            return old
        if box.iou(other.box) > max(0.3, old.box.iou(other.box) + 0.05):
            return old
    if any(
        (getattr(old.box.centre, axis) - 0.5) * (getattr(box.centre, axis) - 0.5)
        < 0
        < abs(getattr(old.box.centre, axis) - 0.5) - 0.05
        for axis in ("x", "y")
    ):
        return old
    return Instance.model_validate({**dict(old), "box": box})


def _plainer(instance: Instance) -> Instance:
    """The caption cut down to article, first word of description and category: "a red cup"."""
    if not instance.category or not instance.caption.endswith(instance.category):
        return instance
    words = instance.caption.removesuffix(instance.category).split()
    return instance.model_copy(update={"caption": " ".join([*words[:2], instance.category])})


def _said_again(instance: Instance) -> Instance:
    """The colours of the caption, or else its other adjectives, once more at its end: "a red car, entirely red"."""
    words = [word.strip(",.;") for word in instance.caption.lower().split()]
    known = [word for word in words if word in COLOURS] or [word for word in words if word in ADJECTIVES]
    if not known or ", entirely" in instance.caption:
        return instance
    return instance.model_copy(update={"caption": f"{instance.caption}, entirely {' and '.join(dict.fromkeys(known))}"})
