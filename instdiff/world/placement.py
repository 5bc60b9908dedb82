"""What stands where in a layout, and how large a metre is painted there.

A scale is picture heights per metre: a thing of 2 m that is painted half as high as the picture has the scale 0.25.
Boxes are fractions of the picture.
"""

from __future__ import annotations

from statistics import median
from typing import Protocol

from instdiff.layout import Box, Layout
from instdiff.world import knowledge, nouns
from instdiff.world.relations import broken
from instdiff.world.scene import Predicate, Relation, Scene, SceneObject

HANGING = ("sky", "wall", "ceiling", "air")
# Sides of boxes, as fractions of the picture: what is smaller is not painted well, what is larger leaves no room.
SHORTEST_SIDE = 0.068  # the shorter side
SHORTEST_LONG_SIDE = 0.11  # the longer side
LONGEST_SIDE = 0.8  # the longer side
USUAL_SURFACE = 0.92  # share of its height at which things rest on what usually carries none
HORIZON = 0.42  # where the ground ends in the layouts of `instdiff.world.camera`, give or take
TOUCH = 0.03  # a foot this far past a surface still rests on it


class PlacedScene(Protocol):
    """A layout and, where it was projected from one, its scene: ``ids`` names the object behind each instance."""

    @property
    def layout(self) -> Layout: ...
    @property
    def scene(self) -> Scene | None: ...
    @property
    def ids(self) -> tuple[str, ...]: ...


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
    thing = nouns.thing_of(plan.layout.instances[index].name)
    if box is None:
        return None
    width_m, height_m = metres(plan, index)
    across = box.width * plan.layout.width / plan.layout.height / width_m
    return across if thing and thing.depth_m else (across * box.height / height_m) ** 0.5


def hangs(plan: PlacedScene, index: int) -> bool:
    """True if the instance may be up in the air, on a wall or under a ceiling, or if nobody knows."""
    item = object_of(plan, index)
    thing = nouns.thing_of(plan.layout.instances[index].name)
    if item and item.support in HANGING:
        return True
    up = (Predicate.ABOVE, Predicate.TOP)
    if (
        plan.scene
        and index < len(plan.ids)
        and any(r.subject == plan.ids[index] and r.predicate in up for r in plan.scene.relations)
    ):
        return True
    return thing is None or any(place in HANGING for place in thing.on)


def carrier(plan: PlacedScene, index: int) -> int | None:
    """The instance that this one rests on: the one the scene says, or the smallest that can carry it where its foot is."""
    asked = asked_carrier(plan, index)
    box = plan.layout.instances[index].extent
    if box is None:
        return None
    if asked is not None and rests(box, plan.layout.instances[asked].extent):
        return asked
    found = [
        other for other in range(len(plan.layout.instances)) if other != index and _could_carry(plan, other, index)
    ]
    found = [other for other in found if rests(box, plan.layout.instances[other].extent)]
    return min(found, key=lambda other: plan.layout.instances[other].extent.area, default=None)


def asked_carrier(plan: PlacedScene, index: int) -> int | None:
    """The instance that the scene says this one is on."""
    if plan.scene is None or index >= len(plan.ids):
        return None
    name = plan.ids[index]
    wanted = [r.object for r in plan.scene.relations if r.subject == name and r.predicate is Predicate.ON]
    return next((plan.ids.index(target) for target in wanted if target in plan.ids), None)


def base(plan: PlacedScene, index: int) -> float:
    """Where the instance, or what it rests on in the end, has its foot: what is nearer has it lower."""
    below = index
    seen = set()
    while below is not None and below not in seen:
        seen.add(below)
        foot = plan.layout.instances[below].extent.y1
        below = carrier(plan, below)
    return foot


def carried(plan: PlacedScene, index: int) -> list[int]:
    """The instances that rest on this one, and what rests on them."""
    found: list[int] = []
    frontier = [index]
    while frontier:
        below = frontier.pop()
        on_it = [i for i in range(len(plan.layout.instances)) if i not in (index, *found) and carrier(plan, i) == below]
        found += on_it
        frontier += on_it
    return found


def rests(box: Box, other: Box | None) -> bool:
    """True if the foot of a box is on the other box, its middle over it, and its centre higher."""
    if other is None:
        return False
    over = other.x0 - TOUCH <= box.centre.x <= other.x1 + TOUCH
    return over and other.y0 - TOUCH <= box.y1 <= other.y1 + TOUCH and box.centre.y < other.centre.y


def surface(plan: PlacedScene, index: int) -> float:
    """Where things rest on an instance, 0 = top and 1 = bottom of the picture."""
    box = plan.layout.instances[index].extent
    thing = nouns.thing_of(plan.layout.instances[index].name)
    if thing and thing.depth_m:
        return (box.y0 + 2 * box.y1) / 3
    share = (thing.surface if thing else 1.0) or USUAL_SURFACE
    return box.y1 - share * box.height + 0.4 * TOUCH


def _could_carry(plan: PlacedScene, index: int, load: int) -> bool:
    """True if the one is known to carry things, and is not much smaller than the other."""
    thing = nouns.thing_of(plan.layout.instances[index].name)
    if thing is None or plan.layout.instances[index].extent is None or thing.surface is None and thing.depth_m is None:
        return False
    return metres(plan, load)[0] < 1.3 * metres(plan, index)[0]


def stands(plan: PlacedScene, index: int) -> bool:
    """True for a known thing that stands on the ground itself, so that its foot tells how far away it is."""
    instance = plan.layout.instances[index]
    return (
        instance.extent is not None
        and not hangs(plan, index)
        and carrier(plan, index) is None
        and asked_carrier(plan, index) is None
    )


def foot_at(plan: PlacedScene, scale_there: float) -> float:
    """Where the foot of a thing of this scale is on the ground, as the things that stand there say: 0.5..0.96."""
    rise = _rise(plan)
    return min(max(HORIZON + rise * scale_there, 0.5), 0.96)


def scale_at(plan: PlacedScene, foot: float) -> float:
    """The scale of what stands with its foot here, as the things that stand there say."""
    return max(foot - HORIZON, 0.06) / _rise(plan)


def _rise(plan: PlacedScene) -> float:
    """How far below the horizon the ground is where the scale is 1: the camera's height in metres."""
    found = [
        i
        for i in range(len(plan.layout.instances))
        if stands(plan, i) and plan.layout.instances[i].extent.y1 > HORIZON + 0.05
    ]
    rises = [(plan.layout.instances[i].extent.y1 - HORIZON) / scale(plan, i) for i in found]
    return median(rises) if rises else 1.6


def broken_in(plan: PlacedScene) -> list[Relation]:
    """The relations of the plan's scene that do not hold on its layout; none without a scene."""
    return (
        broken(plan.scene, plan.layout, plan.ids) if plan.scene and len(plan.ids) == len(plan.layout.instances) else []
    )


def framed(centre_x: float, foot: float, width: float, height: float) -> Box:
    """The box of this size with its foot here, made to fit and moved into the frame where it would leave it."""
    width = min(width, 0.98)
    height = min(height, 0.98)
    x0 = min(max(centre_x - width / 2, 0.01), 0.99 - width)
    y1 = min(max(foot, height + 0.01), 0.99)
    return Box(x0=x0, y0=max(y1 - height, 0.0), x1=x0 + width, y1=y1)
