"""Regions of a picture that are painted anew: boxes around places, as fractions of the picture."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from instdiff.layout import Box, Instance

POINT_SIDE = 0.3  # side of the region about a bare point
LEAST_MARGIN = 0.02


def region_of(instance: Instance) -> Box:
    """The box around the place of an instance, whatever it is given by."""
    if instance.extent:
        return instance.extent
    points = [*([instance.point] if instance.point else []), *(instance.scribble.points if instance.scribble else ())]
    xs = [point.x for point in points] or [0.5]
    ys = [point.y for point in points] or [0.5]
    half = POINT_SIDE / 2
    return _inside(min(xs) - half, min(ys) - half, max(xs) + half, max(ys) + half)


def grown(box: Box, growth: float) -> Box:
    """A box that reaches further on each side, by a share of its own side, inside of the picture."""
    across = max(growth * box.width, LEAST_MARGIN)
    down = max(growth * box.height, LEAST_MARGIN)
    return _inside(box.x0 - across, box.y0 - down, box.x1 + across, box.y1 + down)


def _inside(x0: float, y0: float, x1: float, y1: float) -> Box:
    return Box(x0=max(x0, 0.0), y0=max(y0, 0.0), x1=min(x1, 1.0), y1=min(y1, 1.0))


def covered_share(regions: Sequence[Box]) -> float:
    """How much of the picture boxes cover together, 0..1."""
    xs = sorted({side for box in regions for side in (box.x0, box.x1)})
    ys = sorted({side for box in regions for side in (box.y0, box.y1)})
    return sum(
        (right - left) * (bottom - top)
        for left, right in itertools.pairwise(xs)
        for top, bottom in itertools.pairwise(ys)
        if any(box.x0 <= left and right <= box.x1 and box.y0 <= top and bottom <= box.y1 for box in regions)
    )
