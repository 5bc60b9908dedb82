"""How far a bare point or a scribble is taken to reach: the box of a thing whose size nobody has said."""

from __future__ import annotations

from instdiff import knowledge
from instdiff.grounding import POINT_REACH
from instdiff.layout import Box, Instance, Layout, Point

AROUND_SCRIBBLE = 0.03  # a fraction of the picture's side
MOST_OBLONG = 2.5  # a snake or a ladder around a point is drawn this slim at most


def with_reach(layout: Layout) -> Layout:
    """The layout with a box for every instance that has only a point or a scribble.

    The published model chooses the size of such a thing from millions of pictures. A small model that has to choose
    paints the mean of all sizes, so it is told one: around a point that of a middling thing of its known shape, moved
    into the picture; around a scribble the box of its points, and a little more.
    """
    return layout.with_instances([_reaching(instance) for instance in layout.instances])


def _reaching(instance: Instance) -> Instance:
    if instance.box or instance.mask:
        return instance
    if instance.scribble:
        xs, ys = [p.x for p in instance.scribble.points], [p.y for p in instance.scribble.points]
        x0, y0 = (max(min(values) - AROUND_SCRIBBLE, 0.0) for values in (xs, ys))
        x1, y1 = (min(max(values) + AROUND_SCRIBBLE, 1.0) for values in (xs, ys))
        box = Box(x0=x0, y0=y0, x1=x1, y1=y1)
    else:
        box = _around(instance.point, _shape(instance.category))
    return instance.model_copy(update={"box": box})


def _shape(category: str) -> float:
    """Width / height of a known thing, 1 of any other."""
    thing = knowledge.things().get(category)
    return min(max(thing.width_m / thing.height_m, 1 / MOST_OBLONG), MOST_OBLONG) if thing else 1.0


def _around(point: Point, shape: float) -> Box:
    """A box of about the area of the point's reach, as near to the point as the borders allow."""
    width, height = 2 * POINT_REACH * shape**0.5, 2 * POINT_REACH / shape**0.5
    x0, y0 = (min(max(middle - side / 2, 0.0), 1.0 - side) for middle, side in ((point.x, width), (point.y, height)))
    return Box(x0=x0, y0=y0, x1=min(x0 + width, 1.0), y1=min(y0 + height, 1.0))
