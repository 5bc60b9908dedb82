"""Which relations of a scene hold on its picture, by what can be measured on boxes.

Boxes are ``(x0, y0, x1, y1)`` as fractions of the picture. Each relation is one inequality:

- left of, right of, above, below: the centres are compared, as benchmarks of spatial relations do.
- on: the foot (lower edge) of the subject lies on the other's box, up to `TOUCH` outside of it, the subject's centre is
  higher, and it is over the other from left to right, up to `TOUCH`.
- under: the subject's centre is lower, the boxes share a column, and at most `UNDER_GAP` is between them; what is in
  the sky or hangs from a ceiling or wall may be any height above.
- next to: at most `NEXT_GAP` between the boxes, and less than half of the smaller box covered by the other.
- in front of, behind: the foot lines are compared; what is nearer stands lower on the picture.
- larger than, smaller than: the areas are compared.
- on the left, on the right, at the top, at the bottom: the centre lies in that half of the picture.
- in the centre: the centre lies within `CENTRE_X` and `CENTRE_Y` of the picture's.
"""

from __future__ import annotations

from instdiff.layout import Layout
from instdiff.world.scene import PICTURE, Predicate, Relation, Scene

TOUCH = 0.03
UNDER_GAP = 0.1
NEXT_GAP = 0.15
CENTRE_X = 0.2
CENTRE_Y = 0.25
WHOLE = (0.0, 0.0, 1.0, 1.0)

Corners = tuple[float, float, float, float]


def broken(scene: Scene, layout: Layout, ids: tuple[str, ...]) -> list[Relation]:
    """The relations of a scene that do not hold on its picture, in the order of the scene.

    Args:
        scene: what was projected.
        layout: where things are now; it may have been changed since.
        ids: the scene's object behind each instance of the layout. Relations of objects that are not there, or have
            no extent, are not judged.
    """
    found = zip(ids, layout.instances, strict=True)
    boxes = {name: instance.extent.xyxy for name, instance in found if instance.extent} | {PICTURE: WHOLE}
    aloft = {item.id for item in scene.objects if item.support in ("sky", "wall", "ceiling")}
    return [
        relation
        for relation in scene.relations
        if relation.subject in boxes and relation.object in boxes
        if slack(relation.predicate, boxes[relation.subject], boxes[relation.object], relation.object in aloft) <= 0
    ]


def slack(predicate: Predicate, a: Corners, b: Corners = WHOLE, aloft: bool = False) -> float:
    """How far "a predicate b" is from breaking: it holds where this is above 0.

    A fraction of the picture, of the other's area for larger and smaller. ``aloft``: b hangs or flies, and a may be
    under it from afar.
    """
    match predicate:
        case Predicate.LEFT_OF | Predicate.LEFT:
            return middle(b, 0) - middle(a, 0)
        case Predicate.RIGHT_OF | Predicate.RIGHT:
            return middle(a, 0) - middle(b, 0)
        case Predicate.ABOVE | Predicate.TOP:
            return middle(b, 1) - middle(a, 1)
        case Predicate.BELOW | Predicate.BOTTOM:
            return middle(a, 1) - middle(b, 1)
        case Predicate.IN_FRONT_OF:
            return a[3] - b[3]
        case Predicate.BEHIND:
            return b[3] - a[3]
        case Predicate.LARGER_THAN:
            return area(a) / area(b) - 1
        case Predicate.SMALLER_THAN:
            return area(b) / area(a) - 1
        case Predicate.CENTRE:
            return min(CENTRE_X - abs(middle(a, 0) - 0.5), CENTRE_Y - abs(middle(a, 1) - 0.5))
        case Predicate.ON:
            across = min(middle(a, 0) - b[0], b[2] - middle(a, 0))
            return min(middle(b, 1) - middle(a, 1), TOUCH + min(a[3] - b[1], b[3] - a[3], across))
        case Predicate.UNDER:
            lower = middle(a, 1) - middle(b, 1)
            column = min(a[2], b[2]) - max(a[0], b[0])
            return min(lower, column) if aloft else min(lower, column, UNDER_GAP + b[3] - a[1])
        case Predicate.NEXT_TO:
            gap = max(a[0] - b[2], b[0] - a[2], a[1] - b[3], b[1] - a[3], 0.0)
            return min(NEXT_GAP - gap, 0.5 - shared(a, b) / min(area(a), area(b)))


def middle(box: Corners, axis: int) -> float:
    """The centre of a box along x (0) or y (1)."""
    return (box[axis] + box[axis + 2]) / 2


def area(box: Corners) -> float:
    """Share of the picture, 0..1."""
    return (box[2] - box[0]) * (box[3] - box[1])


def shared(a: Corners, b: Corners) -> float:
    """The area that two boxes share, as a share of the picture."""
    return max(min(a[2], b[2]) - max(a[0], b[0]), 0.0) * max(min(a[3], b[3]) - max(a[1], b[1]), 0.0)
