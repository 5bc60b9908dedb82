"""Planned things at random places: what a dataset teaches without the world that planners know."""

from __future__ import annotations

from math import exp, log
from random import Random

from agent.planners.plan import Plan
from instdiff.layout import Box, Instance

SIDES = (0.1, 0.9)  # root of the share of the picture that a thing covers; evenly in its logarithm
LONGEST = 0.95  # side of a box
MOST_OVERLAP = 0.1  # IoU with the things before
TRIES = 20


def scatter(plan: Plan, rng: Random) -> Plan:
    """The plan with each of its things anywhere, at any size, in its own shape; the scene is known no more."""
    boxes: list[Box] = []
    for instance in plan.layout.instances:
        shape = instance.extent.width / instance.extent.height if instance.extent else 1.0
        tries = [_anywhere(shape, rng) for _ in range(TRIES)]
        boxes.append(min(tries, key=lambda box: max(_overlap(box, boxes), MOST_OVERLAP)))  # the first that is apart
    instances = [
        Instance(caption=instance.caption, category=instance.category, box=box)
        for instance, box in zip(plan.layout.instances, boxes, strict=True)
    ]
    layout = plan.layout.with_instances(instances)
    return plan.model_copy(update={"layout": layout, "scene": None, "ids": ()})


def _anywhere(shape: float, rng: Random) -> Box:
    """A box of about this width to height, in fractions."""
    side = exp(rng.uniform(*map(log, SIDES)))
    width = min(side * shape**0.5, LONGEST)
    height = min(side / shape**0.5, LONGEST)
    x0, y0 = (rng.uniform(0, 1 - length) for length in (width, height))
    return Box(x0=x0, y0=y0, x1=x0 + width, y1=y0 + height)


def _overlap(box: Box, others: list[Box]) -> float:
    return max((box.iou(other) for other in others), default=0.0)
