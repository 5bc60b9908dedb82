"""A plan is mended by what became of each of its instances on the picture."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from agent.planners.plan import Plan
from instdiff.layout import Box, Instance

if TYPE_CHECKING:
    from evaluators.report import Report, Verdict

ENLARGE = 1.2
TRUSTED_IOU = 0.25


def revised(plan: Plan, report: Report, seed: int) -> Plan:
    """The plan after one move per instance that failed.

    Missing: a larger box and a plainer caption, later another seed. Misplaced: halfway to where it was seen, or
    another seed. Wrong attribute: more steps with the Multi-Instance Sampler. Extras join the negative caption. A
    move is made only if every instance keeps its side of every other one, so that what the words ask for still holds.
    """
    instances, notes = list(plan.layout.instances), list(plan.notes)
    reseed, mis = False, plan.mis
    for verdict in report.verdicts:
        index, before = verdict.instance, instances[verdict.instance]
        tag = f"{before.category or before.name} {index + 1}"
        match verdict.kind.value:
            case "missing" if f"{tag}: larger and plainer." not in notes and before.box:
                instances[index] = _plainer(_moved(instances, index, _enlarged(before.box, instances, index)))
                notes.append(f"{tag}: larger and plainer.")
            case "misplaced" if before.box and (box := _halfway(verdict, before.box)):
                instances[index] = _moved(instances, index, box)
                reseed |= instances[index] == before
                notes += [] if instances[index] == before else [f"{tag}: moved towards where it was seen."]
            case "wrong attribute":
                mis = round(min(max(mis or 0.0, 0.2) + 0.1, 0.5), 2)
                reseed = True
            case "missing" | "misplaced":
                reseed = True
    layout = plan.layout.with_instances(instances)
    names = {instance.category.lower() for instance in instances} | {instance.caption.lower() for instance in instances}
    denied = [part for part in plan.layout.negative_caption.split(", ") if part]
    denied += [name for name in dict.fromkeys(extra.category for extra in report.extras) if name not in names and name not in denied]
    layout = layout.model_copy(update={"negative_caption": ", ".join(denied)})
    new_seed = Random(f"{seed} {len(plan.notes)} {plan.seed}").randrange(2**31) if reseed or layout == plan.layout else plan.seed
    return plan.model_copy(update={"layout": layout, "notes": tuple(notes), "seed": new_seed, "mis": mis})


def _enlarged(box: Box, instances: list[Instance], index: int) -> Box:
    """A fifth larger on the same foot, moved away from the instance that covers most of it."""
    width, height = min(box.width * ENLARGE, 0.98), min(box.height * ENLARGE, 0.98)
    middle = box.centre.x
    others = [other.box for i, other in enumerate(instances) if i != index and other.box]
    crowding = max(others, key=box.intersection, default=None)
    if crowding and 0 < box.intersection(crowding) < 0.9 * box.area:
        middle += 0.1 * width if middle >= crowding.centre.x else -0.1 * width
    x0 = min(max(middle - width / 2, 0.01), 0.99 - width)
    y0 = max(box.y1 - height, 0.01)
    return Box(x0=x0, y0=y0, x1=x0 + width, y1=max(box.y1, min(y0 + height, 0.99)))


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
            before, after = getattr(old.box.centre, axis) - at, getattr(box.centre, axis) - at
            if abs(before) > 0.02 and before * after <= 0:
                return old
        if old.box.intersection(other.box) and not box.intersection(other.box):
            return old
        if box.iou(other.box) > max(0.3, old.box.iou(other.box) + 0.05):
            return old
    if any(
        (getattr(old.box.centre, axis) - 0.5) * (getattr(box.centre, axis) - 0.5) < 0 < abs(getattr(old.box.centre, axis) - 0.5) - 0.05
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
