"""Which relations of a scene hold on its picture, by what can be measured on boxes.

Each relation is one inequality between boxes, which are fractions of the picture:

- left of, right of, above, below: the centres differ more in that direction than across it, as benchmarks of spatial
  relations ask, or the boxes share less than `MOST_SHARED` of the smaller one's extent in it.
- on: the foot (lower edge) of the subject lies on the other's box, up to `TOUCH` outside of it, the subject's centre is
  higher, and it is over the other from left to right, up to `TOUCH`.
- under: the subject's centre is lower, the boxes share a column, and at most `UNDER_GAP` is between them; what is in
  the sky or hangs from a ceiling or wall may be any height above.
- next to: at most `NEXT_GAP` between the boxes, and less than half of the smaller box covered by the other.
- in front of, behind: the foot lines are compared; what is nearer stands lower on the picture.
- larger than, smaller than: the areas are compared.
- in: at least `LEAST_INSIDE` of the subject's box lies in the other's.
- held by: the boxes overlap, up to `TOUCH`, and the subject's reaches the height of the other's hands, `HANDS`.
- worn by: the subject's centre lies in the other's box, up to `TOUCH`.
- on the left, on the right, at the top, at the bottom: the centre lies in that half of the picture.
- in the centre: the centre lies within `CENTRE_X` and `CENTRE_Y` of the picture's.
"""

from __future__ import annotations

from instdiff.layout import Box, Layout
from instdiff.world.predicates import Predicate
from instdiff.world.scene import PICTURE, PlacedScene, Relation, Scene

# fractions of the picture's width or height
TOUCH = 0.03
UNDER_GAP = 0.1
NEXT_GAP = 0.15
CENTRE_X = 0.2
CENTRE_Y = 0.25
LEAST_INSIDE = 0.6  # share of the subject
HANDS = (0.3, 0.75)  # where the hands of a holder are, as shares of its height from the top
MOST_SHARED = 0.5  # share of the smaller extent that things on two sides have in common
MOST_COVERED = 0.5  # share of the smaller of two boxes that are next to each other
REVERSED = {
    Predicate.RIGHT_OF: Predicate.LEFT_OF,
    Predicate.BELOW: Predicate.ABOVE,
    Predicate.RIGHT: Predicate.LEFT,
    Predicate.BOTTOM: Predicate.TOP,
    Predicate.BEHIND: Predicate.IN_FRONT_OF,
    Predicate.SMALLER_THAN: Predicate.LARGER_THAN,
}
LOOSE = {Predicate.LEFT_OF: Predicate.LEFT, Predicate.RIGHT_OF: Predicate.RIGHT}  # what compares the centres alone
WHOLE = Box(x0=0.0, y0=0.0, x1=1.0, y1=1.0)


def broken_relations(scene: Scene, layout: Layout, ids: tuple[str, ...]) -> list[Relation]:
    """The relations of a scene that do not hold on its picture, in the order of the scene.

    Args:
        scene: what was projected.
        layout: where things are now; it may have been changed since.
        ids: the scene's object behind each instance of the layout. Relations of objects that are not there, or have
            no extent, are not judged.
    """
    placed = zip(ids, layout.instances, strict=True)
    boxes = {name: instance.extent for name, instance in placed if instance.extent} | {PICTURE: WHOLE}
    aloft = {item.id for item in scene.objects if item.is_aloft}
    sides = {(relation.subject, relation.predicate) for relation in scene.relations}
    middles = {name for name, side in sides if side is Predicate.LEFT_OF and (name, Predicate.RIGHT_OF) in sides}
    broken = []
    for relation in scene.relations:
        a = boxes.get(relation.subject)
        b = boxes.get(relation.object)
        # what is between two things is higher or lower than they are as it pleases
        predicate = (
            LOOSE.get(relation.predicate, relation.predicate) if relation.subject in middles else relation.predicate
        )
        if a and b and slack(predicate, a, b, relation.object in aloft) <= 0:
            broken.append(relation)
    return broken


def broken_relations_in(plan: PlacedScene) -> list[Relation]:
    """The relations of a plan's scene that do not hold on its layout; none if it has no scene."""
    if plan.scene is None or len(plan.ids) != len(plan.layout.instances):
        return []
    return broken_relations(plan.scene, plan.layout, plan.ids)


def slack(predicate: Predicate, a: Box, b: Box = WHOLE, aloft: bool = False) -> float:
    """How far "a predicate b" is from breaking: it holds where this is above 0.

    A fraction of the picture, of the other's area for larger and smaller. ``aloft``: b hangs or flies, and a may be
    under it from afar.
    """
    if predicate in REVERSED:
        return slack(REVERSED[predicate], b, a)
    match predicate:
        case Predicate.LEFT_OF:
            across = middle_x(b) - middle_x(a)
            apart = b.x0 - a.x1 + MOST_SHARED * min(a.width, b.width)
            return min(across, max(across - abs(middle_y(b) - middle_y(a)), apart))
        case Predicate.ABOVE:
            down = middle_y(b) - middle_y(a)
            apart = b.y0 - a.y1 + MOST_SHARED * min(a.height, b.height)
            return min(down, max(down - abs(middle_x(b) - middle_x(a)), apart))
        case Predicate.LEFT:
            return middle_x(b) - middle_x(a)
        case Predicate.TOP:
            return middle_y(b) - middle_y(a)
        case Predicate.IN_FRONT_OF:
            return a.y1 - b.y1
        case Predicate.LARGER_THAN:
            return a.area / b.area - 1
        case Predicate.CENTRE:
            return min(CENTRE_X - abs(middle_x(a) - 0.5), CENTRE_Y - abs(middle_y(a) - 0.5))
        case Predicate.ON:
            return min(middle_y(b) - middle_y(a), TOUCH + min(a.y1 - b.y0, b.y1 - a.y1, _over(a, b)))
        case Predicate.UNDER:
            lower = middle_y(a) - middle_y(b)
            column = min(a.x1, b.x1) - max(a.x0, b.x0)
            return min(lower, column) if aloft else min(lower, column, UNDER_GAP + b.y1 - a.y0)
        case Predicate.NEXT_TO:
            gap = max(a.x0 - b.x1, b.x0 - a.x1, a.y0 - b.y1, b.y0 - a.y1, 0.0)
            return min(NEXT_GAP - gap, MOST_COVERED - a.intersection(b) / min(a.area, b.area))
        case _:
            return _slack_of_borne(predicate, a, b)


def _slack_of_borne(predicate: Predicate, a: Box, b: Box) -> float:
    """`slack` of what is in, held by or worn by another thing."""
    if predicate is Predicate.IN:
        return a.intersection(b) / a.area - LEAST_INSIDE
    if predicate is Predicate.WORN_BY:
        return TOUCH + min(_over(a, b), middle_y(a) - b.y0, b.y1 - middle_y(a))
    highest, lowest = (b.y0 + share * b.height for share in HANDS)
    across = min(a.x1, b.x1) - max(a.x0, b.x0)
    return TOUCH + min(across, min(a.y1, lowest) - max(a.y0, highest))


def _over(a: Box, b: Box) -> float:
    """How far the centre of a is from either side of b, from left to right; below 0 outside of it."""
    return min(middle_x(a) - b.x0, b.x1 - middle_x(a))


# the camera asks for these by the ten thousand, where `Box.centre` would make and check a point each time
def middle_x(box: Box) -> float:
    """The centre of a box from left to right."""
    return (box.x0 + box.x1) / 2


def middle_y(box: Box) -> float:
    """The centre of a box from top to bottom."""
    return (box.y0 + box.y1) / 2
