"""What stands where in a layout, and how large a metre is painted there.

A scale is picture heights per metre: a thing of 2 m that is painted half as high as the picture has the scale 0.25.
Boxes are fractions of the picture.
"""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from instdiff.layout import Box
from instdiff.world import knowledge, nouns
from instdiff.world.predicates import Predicate
from instdiff.world.relations import slack
from instdiff.world.scene import HANGING, PlacedScene, Relation, SceneObject

# sides of boxes, fractions of the picture: what is smaller cannot be painted, what is larger leaves no room
SHORTEST_SIDE = 0.068  # of a long thing's short side
SHORTEST_LONG_SIDE = 0.11
LONGEST_SIDE = 0.8
FLAT_HEIGHT = 0.35  # of what lies flat, times its width: seen from a low angle
USUAL_SURFACE = 0.92  # share of its height at which things rest on what is not known to carry any
HORIZON = 0.42  # where the ground ends in the layouts of `instdiff.world.camera`, give or take
LEAST_DROP = 0.06  # how far below the horizon a foot counts at least: nearer to it distances have no bound
FEET = (0.5, 0.96)  # the farthest and the nearest foot that things are put at
USUAL_CAMERA_M = 1.6  # height of the eye where nothing tells it
TOUCH = 0.03  # a foot this far past a surface still rests on it
SUNK = 0.4 * TOUCH  # how far past the edge of a surface a foot is put, so that it is seen to rest there
OVERHANG = 1.3  # how much wider than its carrier a load may be
MARGIN = 0.01  # what is moved into the frame keeps so far from its edge


def box_of(plan: PlacedScene, index: int) -> Box:
    """The box of an instance; raises ValueError for a bare point, which has none."""
    box = plan.layout.instances[index].extent
    if box is None:
        raise ValueError(f"instance {index} has no extent")
    return box


def indexed_boxes(plan: PlacedScene) -> Iterator[tuple[int, Box]]:
    """(index, box) of each instance that has an extent."""
    for index, instance in enumerate(plan.layout.instances):
        if instance.extent:
            yield index, instance.extent


def known_thing(plan: PlacedScene, index: int) -> knowledge.Thing | None:
    """What is known of what an instance shows."""
    return nouns.thing_of(plan.layout.instances[index].name)


def object_of(plan: PlacedScene, index: int) -> SceneObject | None:
    """The scene's object behind an instance."""
    if plan.scene is None or index >= len(plan.ids):
        return None
    return next((item for item in plan.scene.objects if item.id == plan.ids[index]), None)


def metres(plan: PlacedScene, index: int) -> tuple[float, float]:
    """Real (width, height) of an instance: from the scene, or by its category and the noun of its caption."""
    if item := object_of(plan, index):
        return item.width_m, item.height_m
    instance = plan.layout.instances[index]
    noun = nouns.resolve(instance.caption)
    return knowledge.size_of(nouns.category_of(instance.name), noun.singular if noun else "")


def scale(plan: PlacedScene, index: int) -> float | None:
    """Picture heights per metre of an instance; None if it has no extent."""
    box = plan.layout.instances[index].extent
    return None if box is None else scale_in(plan, index, box)


def scale_in(plan: PlacedScene, index: int, box: Box) -> float:
    """Picture heights per metre of an instance if it fills this box."""
    known = known_thing(plan, index)
    width_m, height_m = metres(plan, index)
    across = box.width * plan.layout.width / plan.layout.height / width_m
    return across if known and known.depth_m else (across * box.height / height_m) ** 0.5


def hangs(plan: PlacedScene, index: int) -> bool:
    """True if the instance may be up in the air, on a wall or under a ceiling, or if nobody knows."""
    item = object_of(plan, index)
    if item and (item.hangs or _is_asked_up(plan, item)):
        return True
    known = known_thing(plan, index)
    return known is None or any(place in HANGING for place in known.on)


def _is_asked_up(plan: PlacedScene, item: SceneObject) -> bool:
    """True if the words put the object above another, or at the top."""
    up = (Predicate.ABOVE, Predicate.TOP)
    return plan.scene is not None and any(
        relation.subject == item.id and relation.predicate in up for relation in plan.scene.relations
    )


def carrier(plan: PlacedScene, index: int) -> int | None:
    """The instance that this one rests on: that of the scene, or the smallest that can carry it where its foot is."""
    box = plan.layout.instances[index].extent
    if box is None:
        return None
    asked = asked_carrier(plan, index)
    if asked is not None and _is_borne(plan, index, asked):
        return asked
    areas = {
        below: below_box.area
        for below, below_box in indexed_boxes(plan)
        if below != index and _could_carry(plan, below, index) and rests(box, below_box)
    }
    return min(areas, key=areas.__getitem__, default=None)


def asked_carrier(plan: PlacedScene, index: int) -> int | None:
    """The instance that the scene says this one is on or in, or held or worn by."""
    relation = _bearing(plan, index)
    return plan.ids.index(relation.object) if relation else None


def _bearing(plan: PlacedScene, index: int) -> Relation | None:
    """The relation of the scene that says what bears an instance of the layout."""
    if plan.scene is None or index >= len(plan.ids):
        return None
    relations = (
        relation
        for relation in plan.scene.relations
        if relation.subject == plan.ids[index] and (relation.predicate is Predicate.ON or relation.predicate.is_borne)
    )
    return next((relation for relation in relations if relation.object in plan.ids), None)


def _is_borne(plan: PlacedScene, index: int, bearer: int) -> bool:
    """True if the instance is where the scene says that the bearer has it."""
    relation = _bearing(plan, index)
    box = plan.layout.instances[index].extent
    at = plan.layout.instances[bearer].extent
    if relation is None or box is None or at is None:
        return False
    return rests(box, at) if relation.predicate is Predicate.ON else slack(relation.predicate, box, at) > 0


def base(plan: PlacedScene, index: int) -> float:
    """Where the instance, or what it rests on in the end, has its foot: what is nearer has it lower."""
    pile: list[int] = []
    below: int | None = index
    while below is not None and below not in pile:
        pile.append(below)
        below = carrier(plan, below)
    return box_of(plan, pile[-1]).y1


def loads(plan: PlacedScene, index: int) -> list[int]:
    """The instances that rest on this one, and what rests on them."""
    resting: list[int] = []
    frontier = [index]
    while frontier:
        below = frontier.pop()
        others = (i for i in range(len(plan.layout.instances)) if i not in (index, *resting))
        on_it = [i for i in others if carrier(plan, i) == below]
        resting += on_it
        frontier += on_it
    return resting


def rests(box: Box, carrier_box: Box | None) -> bool:
    """True if the foot of a box is on the carrier's, its middle over it, and its centre higher."""
    if carrier_box is None:
        return False
    over = carrier_box.x0 - TOUCH <= box.centre.x <= carrier_box.x1 + TOUCH
    return over and carrier_box.y0 - TOUCH <= box.y1 <= carrier_box.y1 + TOUCH and box.centre.y < carrier_box.centre.y


def surface_share(known: knowledge.Thing | None) -> float:
    """The share of its height at which things rest on a carrier; 1, its very top, where nothing is known of it."""
    return (known.surface or USUAL_SURFACE) if known else 1.0


def surface_in(known: knowledge.Thing | None, box: Box) -> float:
    """Where the feet of things are that rest on a carrier in this box, 0 = top and 1 = bottom of the picture."""
    if known and known.depth_m:
        return (box.y0 + 2 * box.y1) / 3
    return box.y1 - surface_share(known) * box.height + SUNK


def surface(plan: PlacedScene, index: int) -> float:
    """Where the feet of things are that rest on an instance, 0 = top and 1 = bottom of the picture."""
    return surface_in(known_thing(plan, index), box_of(plan, index))


def _could_carry(plan: PlacedScene, index: int, load: int) -> bool:
    """True if the one is known to carry things, and is not much smaller than the other."""
    known = known_thing(plan, index)
    if known is None or known.surface is None and known.depth_m is None:
        return False
    return metres(plan, load)[0] < OVERHANG * metres(plan, index)[0]


def stands(plan: PlacedScene, index: int) -> bool:
    """True for a known thing that stands on the ground itself, so that its foot tells how far away it is."""
    has_extent = plan.layout.instances[index].extent is not None
    return has_extent and not hangs(plan, index) and carrier(plan, index) is None and asked_carrier(plan, index) is None


def foot_at(plan: PlacedScene, scale_there: float) -> float:
    """Where the foot of a thing of this scale is on the ground, as the things that stand there say, within `FEET`."""
    farthest, nearest = FEET
    return min(max(HORIZON + _camera_height_m(plan) * scale_there, farthest), nearest)


def scale_at(plan: PlacedScene, foot: float) -> float:
    """The scale of what stands with its foot here, as the things that stand there say."""
    return max(foot - HORIZON, LEAST_DROP) / _camera_height_m(plan)


def _camera_height_m(plan: PlacedScene) -> float:
    """How far below the horizon, in picture heights, the ground is where the scale is 1: the eye's height in metres."""
    below = [(index, box) for index, box in indexed_boxes(plan) if stands(plan, index) and box.y1 > HORIZON + 0.05]
    heights = [(box.y1 - HORIZON) / scale_in(plan, index, box) for index, box in below]
    return median(heights) if heights else USUAL_CAMERA_M


def frame(centre_x: float, foot: float, width: float, height: float) -> Box:
    """The box of this size with its foot here, made to fit and moved into the frame where it would leave it."""
    far_edge = 1 - MARGIN
    width = min(width, 1 - 2 * MARGIN)
    height = min(height, 1 - 2 * MARGIN)
    x0 = min(max(centre_x - width / 2, MARGIN), far_edge - width)
    y1 = min(max(foot, height + MARGIN), far_edge)
    return Box(x0=x0, y0=max(y1 - height, 0.0), x1=x0 + width, y1=y1)
