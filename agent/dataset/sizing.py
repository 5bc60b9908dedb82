"""A planned thing in another size, as if it stood nearer or farther away."""

from __future__ import annotations

from math import exp, log
from random import Random

from agent.dataset.tally import size_of
from agent.planners.plan import Plan
from instdiff.layout import Box, Layout

HORIZON = 0.45  # height in the picture at which far things stand, from its top
SIDES = {"small": (0.08, 0.12), "medium": (0.15, 0.35), "large": (0.4, 0.65)}  # root of the share of the picture
LONGEST = 0.98  # side of a box


def resized(plan: Plan, index: int, size: str, rng: Random) -> Plan:
    """The plan with one of its things small, medium or large, as COCO counts it at 256 pixels.

    A thing that has the size stays as it is. Another keeps its shape; its foot comes down with nearness, as on the
    ground, where things of twice the size stand twice as far below the horizon.
    """
    before = plan.layout.instances[index].extent
    if before is None or size_of(before.area) == size:
        return plan
    factor = exp(rng.uniform(*map(log, SIDES[size]))) / before.area**0.5
    width, height = (min(side * factor, LONGEST) for side in (before.width, before.height))
    foot = HORIZON + factor * (before.y1 - HORIZON) if before.y1 > HORIZON else before.y1
    y1 = min(max(foot, height), 1.0)
    x0 = min(max(before.centre.x - width / 2, 0.0), 1 - width)
    return plan.with_box(index, Box(x0=x0, y0=y1 - height, x1=x0 + width, y1=y1))


def first_named(layout: Layout, name: str) -> int | None:
    """The first instance of a category; None where it was not planned."""
    return next((index for index, instance in enumerate(layout.instances) if instance.category == name), None)
