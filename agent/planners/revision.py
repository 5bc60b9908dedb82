"""A plan is mended by what became of each of its instances on the picture.

Each instance that failed gets the next move that it has not had yet; the noise stays as it is, so that the move is what
changes. Only where the moves of an instance are spent is the picture painted from other noise.
"""

from __future__ import annotations

from random import Random

from agent.planners.english.words import ADJECTIVES, COLOURS
from agent.planners.plan import Plan
from evaluators.report import Report, Verdict, VerdictKind
from instdiff.layout import Box, Instance, Point
from instdiff.world.relations import broken_relations

ENLARGE = 1.2
COMPACT = (0.06, 0.10)  # share of the picture that a thing of compact shape covers, at least and at most
COVERED = 0.25  # share of a box behind another one, from which on it moves away
TRUSTED_IOU = 0.25  # what overlaps its place less is not followed
LEVEL = 0.02  # centres this close are on neither side of one another
MOST_OVERLAP = 0.3  # IoU with another box that a move may bring about
EDGE = 0.01  # what is moved keeps so far from the frame
MIS_STEP = 0.1
MOST_MIS = 0.5
USUAL_ALPHA = 0.8
ALPHA_STEP = 0.2  # share of the steps with grounding


def revise(plan: Plan, report: Report, seed: int) -> Plan:
    """The plan after one move for each instance that failed.

    - missing: a box halfway to one that is as wide as high and of middling size, since painters are weak at unusual
      shapes and sizes, or else a larger one, away from what covers it; then all the way. A plainer caption.
    - misplaced: halfway to where it was seen, twice at most; then, or where that is far away, more steps with
      grounding.
    - wrong attribute: the caption says it again ("entirely red"), and more steps with the Multi-Instance Sampler.
    - what is seen and not planned joins the negative caption.
    - an instance whose moves are spent asks for another seed.

    A move of a box is made only if it breaks no relation of the scene and keeps the side of every other instance. Every
    move is a note. ``plan.seed``, ``mis`` and ``alpha`` are those of the picture that the report is about.
    """
    moves = _Moves(plan)
    for verdict in report.verdicts:
        match verdict.kind:
            case VerdictKind.MISSING:
                moves.retry_missing(verdict)
            case VerdictKind.MISPLACED:
                moves.follow_misplaced(verdict)
            case VerdictKind.WRONG_ATTRIBUTE:
                moves.stress_attribute(verdict)
    moves.deny([extra.category for extra in report.extras])
    return moves.plan_after(seed)


class _Moves:
    """The moves of one revision, made one after the other on a copy of the plan."""

    def __init__(self, plan: Plan):
        self.plan = plan
        self.notes = list(plan.notes)
        self.instances = list(plan.layout.instances)
        self.negative = plan.layout.negative_caption
        self.mis = plan.mis
        self.alpha = plan.alpha
        self.spent: list[str] = []  # the tags of those that ask for another seed
        # those that went to where they were seen: the instance before, and the note
        self.followed: dict[int, tuple[Instance, str]] = {}

    def retry_missing(self, verdict: Verdict) -> None:
        index = verdict.instance
        box = self.instances[verdict.instance].box
        if self._note(index, "plainer, and larger or nearer to a compact shape" if box else "plainer"):
            boxes = self._first_boxes(index, box) if box else []
        elif box and self._note(index, "of compact shape"):
            boxes = _compact_boxes(box)
        else:
            return self._give_up(index)
        for candidate in boxes:
            if self._move(index, candidate):
                break
        self.instances[index] = _simplify(self.instances[index])

    def _first_boxes(self, index: int, box: Box) -> list[Box]:
        """Where a missing thing is tried first: in a more usual shape, and away from what covers it."""
        others = [at.box for i, at in enumerate(self.instances) if i != index and at.box]
        covering = max(others, key=box.intersection, default=None)
        usual = _nearly_compact_boxes(box)
        larger = _enlarge(box, covering)
        return [larger, *usual] if covering and box.intersection(covering) > COVERED * box.area else [*usual, larger]

    def follow_misplaced(self, verdict: Verdict) -> None:
        index = verdict.instance
        box = self.instances[verdict.instance].box
        if box and (nearer := _box_halfway(verdict, box)):
            before = self.instances[index]
            for move in ("moved towards where it was seen", "moved once more towards where it was seen"):
                if f"{self._tag(index)}: {move}." not in self.notes and self._move(index, nearer):
                    self._note(index, move)
                    self.followed[index] = (before, self.notes[-1])
                    return
        alpha = round(min((USUAL_ALPHA if self.plan.alpha is None else self.plan.alpha) + ALPHA_STEP, 1.0), 2)
        if alpha == self.plan.alpha or not self._note(index, "more steps with grounding"):
            return self._give_up(index)
        self.alpha = alpha

    def stress_attribute(self, verdict: Verdict) -> None:
        index = verdict.instance
        if not self._note(index, "its attribute is said again"):
            return self._give_up(index)
        self.instances[index] = _emphasise(self.instances[index])
        self.mis = round(min(max(self.plan.mis or 0.0, MIS_STEP) + MIS_STEP, MOST_MIS), 2)

    def deny(self, categories: list[str]) -> None:
        """What is seen and not planned joins the negative caption."""
        planned = {text.lower() for instance in self.instances for text in (instance.category, instance.caption)}
        denied = [part for part in self.negative.split(", ") if part]
        new = [name for name in dict.fromkeys(categories) if name not in planned and name not in denied]
        self.negative = ", ".join([*denied, *new])
        self.notes += [f"{name}: seen and not planned, so it joins the negative caption." for name in new]

    def plan_after(self, seed: int) -> Plan:
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

    def _note(self, index: int, move: str) -> bool:
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
        moved = _move(self.instances, index, box)
        instances = [*self.instances[:index], moved, *self.instances[index + 1 :]]
        if moved == self.instances[index] or self._breaks(instances):
            return False
        self.instances[index] = moved
        return True

    def _breaks(self, instances: list[Instance]) -> bool:
        """True if a relation of the scene holds now, and would not with these instances."""
        scene = self.plan.scene
        ids = self.plan.ids
        if scene is None or len(ids) != len(instances):
            return False
        before = broken_relations(scene, self.plan.layout.with_instances(self.instances), ids)
        after = broken_relations(scene, self.plan.layout.with_instances(instances), ids)
        return any(relation not in before for relation in after)


def _enlarge(box: Box, crowding: Box | None) -> Box:
    """A fifth larger on the same foot, moved away from what covers most of it."""
    width = min(box.width * ENLARGE, 1 - 2 * EDGE)
    height = min(box.height * ENLARGE, 1 - 2 * EDGE)
    middle = box.centre.x
    if crowding and 0 < box.intersection(crowding) < 0.9 * box.area:
        middle += 0.1 * width if middle >= crowding.centre.x else -0.1 * width
    x0 = min(max(middle - width / 2, EDGE), 1 - EDGE - width)
    y0 = max(box.y1 - height, EDGE)
    return Box(x0=x0, y0=y0, x1=x0 + width, y1=max(box.y1, min(y0 + height, 1 - EDGE)))


def _compact_boxes(box: Box) -> list[Box]:
    """As wide as high and of middling size, on the same foot, or else about the same middle."""
    side = min(max(box.area, COMPACT[0]), COMPACT[1]) ** 0.5
    return _boxes_of_size(box, side, side)


def _nearly_compact_boxes(box: Box) -> list[Box]:
    """Halfway (geometrically) to the largest compact shape, on the same foot, or else about the same middle."""
    side = COMPACT[1] ** 0.5
    return _boxes_of_size(box, (side * box.width) ** 0.5, (side * box.height) ** 0.5)


def _boxes_of_size(box: Box, width: float, height: float) -> list[Box]:
    """Boxes of this size on the foot of another one, and about its middle."""
    return [_box_about(box.centre.x, y, width, height) for y in (box.y1 - height / 2, box.centre.y)]


def _box_about(x: float, y: float, width: float, height: float) -> Box:
    """A box of this size about (x, y), or as near to it as the picture allows."""
    x0 = min(max(x - width / 2, EDGE), 1 - EDGE - width)
    y0 = min(max(y - height / 2, EDGE), 1 - EDGE - height)
    return Box(x0=x0, y0=y0, x1=x0 + width, y1=y0 + height)


def _box_halfway(verdict: Verdict, box: Box) -> Box | None:
    """The mean of the planned and the detected box, if they agree at least a little."""
    if verdict.detection is None or verdict.detection.box.iou(box) < TRUSTED_IOU:
        return None
    x0, y0, x1, y1 = (
        (planned + detected) / 2 for planned, detected in zip(box.xyxy, verdict.detection.box.xyxy, strict=True)
    )
    return Box(x0=x0, y0=y0, x1=x1, y1=y1)


def _move(instances: list[Instance], index: int, box: Box) -> Instance:
    """The instance in its new box, or as it was if that would change how it lies to another, or to the middle."""
    instance = instances[index]
    old = instance.box
    if old is None:
        return instance
    for i, neighbour in enumerate(instances):
        at = neighbour.box
        if i == index or at is None:
            continue
        for before, after in _offsets(old, box, at.centre):
            if abs(before) > LEVEL and before * after <= 0:
                return instance
        if old.intersection(at) and not box.intersection(at):
            return instance
        if box.iou(at) > max(MOST_OVERLAP, old.iou(at) + 0.05):
            return instance
    if any(before * after < 0 < abs(before) - 0.05 for before, after in _offsets(old, box, Point(x=0.5, y=0.5))):
        return instance
    return Instance.model_validate({**dict(instance), "box": box})


def _offsets(old: Box, new: Box, point: Point) -> tuple[tuple[float, float], tuple[float, float]]:
    """(before, after) from left to right and from top to bottom: how far the centre is from a point."""
    before = old.centre
    after = new.centre
    return (before.x - point.x, after.x - point.x), (before.y - point.y, after.y - point.y)


def _simplify(instance: Instance) -> Instance:
    """The caption cut down to article, first word of description and category: "a red cup"."""
    if not instance.category or not instance.caption.endswith(instance.category):
        return instance
    words = instance.caption.removesuffix(instance.category).split()
    return instance.model_copy(update={"caption": " ".join([*words[:2], instance.category])})


def _emphasise(instance: Instance) -> Instance:
    """The colours of the caption, or else its other adjectives, once more at its end: "a red car, entirely red"."""
    words = [word.strip(",.;") for word in instance.caption.lower().split()]
    adjectives = [word for word in words if word in COLOURS] or [word for word in words if word in ADJECTIVES]
    if not adjectives or ", entirely" in instance.caption:
        return instance
    emphasis = f"entirely {' and '.join(dict.fromkeys(adjectives))}"
    return instance.model_copy(update={"caption": f"{instance.caption}, {emphasis}"})
