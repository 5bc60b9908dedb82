"""Which kinds of place the model is told in training: some are dropped, so that it learns to do with any mix of them."""

from __future__ import annotations

import numpy as np

from instdiff.grounding import Modes
from instdiff.layout import Instance, Point, Scribble
from instdiff.mask_points import points_inside

# Shares of the published training: each kind is dropped on its own, some pictures keep points alone, some masks without scribbles.
DROPPED, POINTS_ALONE, MASKS_ALONE = 0.1, 0.1, 0.1
SCRIBBLE_POINTS = 20


def draw_modes(instances: list[Instance], rng: np.random.Generator) -> Modes:
    """Draw what is told of one picture: masks come with boxes and points, boxes with points; something is always told."""
    box, point, scribble, mask = rng.random(4) >= DROPPED
    points_alone, masks_alone = rng.random(2) < (POINTS_ALONE, MASKS_ALONE)
    box, point = box or mask, point or box or mask
    if points_alone:
        box, point, scribble, mask = False, True, False, False
    elif masks_alone and mask:
        scribble = False
    has_mask = any(instance.mask for instance in instances)
    box = box and any(instance.box or instance.mask for instance in instances)
    scribble = scribble and (has_mask or any(instance.scribble for instance in instances))
    mask = mask and has_mask
    return Modes(box=bool(box), point=bool(point or not (box or scribble or mask)), scribble=bool(scribble), mask=bool(mask))


def told(instance: Instance, modes: Modes, rng: np.random.Generator) -> Instance:
    """The instance with the places that are told: what is not told must not be seen in the regions that attention looks at either."""
    places = {
        "box": instance.box or (instance.mask and instance.mask.box) if modes.box else None,
        "point": _middle(instance) if modes.point else None,
        "scribble": _scribble(instance, rng) if modes.scribble else None,
        "mask": instance.mask if modes.mask else None,
    }
    if not any(places.values()):
        places["point"] = _middle(instance)
    return Instance(caption=instance.caption, category=instance.category, **places)


def _middle(instance: Instance) -> Point:
    """The instance's own point, or the middle of its place."""
    if instance.point:
        return instance.point
    return instance.extent.centre if instance.extent else instance.scribble.points[len(instance.scribble.points) // 2]


def _scribble(instance: Instance, rng: np.random.Generator) -> Scribble | None:
    """The instance's own scribble, or random points of its mask."""
    if instance.scribble or not instance.mask:
        return instance.scribble
    height, width = instance.mask.size
    points = points_inside(instance.mask.array, SCRIBBLE_POINTS, np.random.RandomState(rng.integers(2**32)))
    return Scribble(points=tuple(Point(x=x / width, y=y / height) for x, y in points.tolist()))
