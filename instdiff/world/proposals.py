"""Where an object may be seen: one possible box at a time, for the camera to choose from.

Boxes are ``(x0, y0, x1, y1)`` as fractions of the picture.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from instdiff.world.constraints import Links
from instdiff.world.placement import HANGING, SHORTEST_LONG_SIDE, SHORTEST_SIDE, USUAL_SURFACE
from instdiff.world.relations import Corners, area, middle
from instdiff.world.scene import Predicate, SceneObject

MARGIN = 0.012
ROOMY = 12  # so many things leave room for all to be large enough; of more, the smallest are smaller
FAR = 1e6  # the distance of what hangs behind everything on the ground
LOOKS_LARGER = 1.3  # what is to look larger has at least so much more area
HANDY = 0.7  # how fully real sizes count between a thing and its carrier: 1 would draw a cup on a table as a speck


@dataclass(frozen=True)
class Camera:
    """Looks straight ahead; focal length 1 in picture heights. ``aspect`` is picture width / height, ``finest`` see
    below.
    """

    horizon: float
    height_m: float
    aspect: float
    finest: float = 1.0

    def ground(self, distance_m: float) -> float:
        """Where the ground at this distance is seen, 0 = top and 1 = bottom of the picture."""
        return self.horizon + self.height_m / distance_m

    def extent(self, width_m: float, height_m: float, distance_m: float) -> tuple[float, float]:
        """(width, height) as fractions of the picture."""
        return width_m / distance_m / self.aspect, height_m / distance_m


@dataclass
class Draft:
    """One attempt: the boxes placed so far, how far each is, how much of each is hidden, and what is wrong."""

    boxes: dict[str, Corners] = field(default_factory=dict)
    distance: dict[str, float] = field(default_factory=dict)
    hidden: dict[str, float] = field(default_factory=dict)
    faults: float = 0.0


def finest(count: int) -> float:
    """How much smaller than usual the smallest thing may be on a picture with so many."""
    return min(1.0, (ROOMY / max(count, 1)) ** 0.5)


def candidate(
    links: Links, name: str, camera: Camera, distances: dict[str, float], draft: Draft, rng: Random
) -> tuple[Corners, float]:
    """One possible box of an object, and its distance in metres, given what is placed."""
    item = links.objects[name]
    how = links.anchor.get(name, ("", ""))[1]
    if how in ("on", "under"):
        box, distance = _attached(links, name, camera, draft, rng)
    elif item.support in HANGING:
        box, distance = _hanging(links, name, camera, distances, draft, rng)
    elif item.is_backdrop and not how and not any(name == near for near, _ in links.rows["away"]):
        box, distance = _at_the_back(links, name, camera, rng)
    else:
        box, distance = _standing(links, name, camera, distances, draft, rng)
    return _resized(links, name, box, draft), distance


def _hanging(
    links: Links, name: str, camera: Camera, distances: dict[str, float], draft: Draft, rng: Random
) -> tuple[Corners, float]:
    """A box on the wall, under the ceiling, in the sky, or floating above what it belongs to."""
    item = links.objects[name]
    (target, how) = links.anchor.get(name, ("", ""))
    x0, x1, y0, y1 = links.window[name]
    distance = distances[name] * rng.uniform(0.95, 1.1)
    width, height = _apparent(links, item, camera.aspect, rng) if item.is_far else _extent(item, camera, distance)
    at = draft.boxes.get(target, (0.0, 0.0, 1.0, 1.0))
    centre = _within(x0, x1, width, rng)
    low = 0.96 - height / 2 if links.nothing_stands else camera.horizon - height / 3
    if how == "above":
        centre = middle(at, 0) + rng.uniform(-0.3, 0.3) * max(at[2] - at[0], width)
        near = at[1] - height / 2 - (0.06 if item.support == "air" else 1.0)
        highest = y1 if any(ask.subject == name and ask.predicate is Predicate.TOP for ask in links.demands) else 1.0
        y1 = min(max(at[1] - height / 2 + 0.02, height / 2 + MARGIN), highest)
        y0 = max(y0, min(near, y1))
    elif how == "beside":
        centre = _beside(at, width, rng)
        y0 = max(y0, at[1] - height / 2)
        y1 = min(y1, at[3])
    elif how:
        centre = middle(at, 0) + rng.uniform(-0.75, 0.75) * max(at[2] - at[0], width)
    if (
        how
        or y0 > 0.3
        or name in {lower for _, lower in links.rows["down"]}
        or name in {near for near, _ in links.rows["away"]}
    ):
        low = 1.0
    top = max(y0, height / 2 + 0.04)
    bottom = rng.uniform(top, max(min(y1, low), top)) + height / 2
    if item.support == "ceiling" and how != "above" and y0 < 0.3:
        rows = 1 + 0.2 * max(sum(other.support == "ceiling" for other in links.objects.values()) - 4, 0)
        bottom = height * rng.uniform(1, rows)
    return _framed(centre, bottom, width, height), FAR if item.support in ("sky", "wall") else distance


def _at_the_back(links: Links, name: str, camera: Camera, rng: Random) -> tuple[Corners, float]:
    """A box of what stands on the horizon."""
    x0, x1, y0, _ = links.window[name]
    several = sum(item.is_backdrop for item in links.objects.values())
    width, height = _apparent(links, links.objects[name], camera.aspect, rng)
    foot = camera.horizon + (0.3 if len(links.objects) == 1 else rng.uniform(0.0, min(0.05 * several, 0.4)))
    bottom = max(foot, y0 + height / 2 + 0.02) if y0 > 0.3 else foot
    return _framed(_within(x0, x1, width, rng), bottom, width, min(height, bottom - MARGIN)), FAR / 2


def _standing(
    links: Links, name: str, camera: Camera, distances: dict[str, float], draft: Draft, rng: Random
) -> tuple[Corners, float]:
    """A box that stands on the ground, or on water, at its distance."""
    item = links.objects[name]
    (target, how) = links.anchor.get(name, ("", ""))
    x0, x1, y0, y1 = links.window[name]
    distance = distances[name] * rng.uniform(0.92, 1.1)
    at = draft.boxes.get(target)
    if how and draft.distance[target] < FAR / 4:
        nearest, farthest = {"front": (0.0, 0.85), "behind": (1.2, FAR), "beside": (0.2, 2.0)}[how]
        distance = draft.distance[target] * min(max(distance / draft.distance[target], nearest), farthest)
    width, height = _extent(item, camera, distance)
    load = 0.085 * links.load(name)
    if load > width:  # a carrier is at least as wide as what it carries needs
        grow = min(load / width, 0.6 / max(width, height))
        width = width * max(grow, 1.0)
        height = height * max(grow, 1.0)
    bottom = camera.ground(distance)
    if how == "beside":
        centre = _beside(at, width, rng)
        bottom = min(max(bottom, at[1]), at[3] + height)
    elif how:
        centre = middle(at, 0) + rng.uniform(-0.75, 0.75) * max(at[2] - at[0], width)
        bottom = min(bottom, at[3] - 0.03) if how == "behind" else max(bottom, at[3] + 0.03)
    else:
        centre = _within(x0, x1, width, rng)
    if item.is_flat:
        bottom = bottom + height / 3
        distance = distance * 1.3
    if y0 > 0.3:
        bottom = max(bottom, y0 + height / 2 + 0.02)
    return _framed(centre, min(bottom, y1 + height / 2) if y1 < 1 else bottom, width, height), distance


def _attached(links: Links, name: str, camera: Camera, draft: Draft, rng: Random) -> tuple[Corners, float]:
    """A box on, or under, the object it belongs to."""
    item = links.objects[name]
    (target, how) = links.anchor[name]
    at = draft.boxes[target]
    away = draft.distance[target]
    carrier = links.objects[target]
    room = at[2] - at[0]
    scale = (
        (at[3] - at[1]) / carrier.height_m
        if carrier.height_m > carrier.width_m
        else room * camera.aspect / carrier.width_m
    )
    width, height = _extent(item, camera, 1 / (scale * carried(item, carrier)))
    if how == "under":
        fit = min(1.0, 0.62 * (at[3] - at[1]) / height, 1.1 * room / width)
        bottom = at[3] + rng.uniform(-0.02, 0.02)
    else:
        fit = min(1.0, max(1.15 * room / (width * links.load(target)), 0.6)) if links.load(target) > 1 else 1.0
        bottom = _foot(carrier, at, height * fit, links.load(target) * width * fit / room, rng)
        fit = min(fit, (bottom - MARGIN) / height) if bottom > 0.1 else fit
    width, height = (max(side * fit, SHORTEST_SIDE * camera.finest) for side in (width, height))
    centre = middle(at, 0) + rng.uniform(-0.5, 0.5) * max(room - width, 0.3 * room)
    return _framed(centre, bottom, width, height), away * (1.01 if item.is_flat else 0.999)


def _foot(carrier: SceneObject, at: Corners, height: float, crowding: float, rng: Random) -> float:
    """Where the foot of what rests on a carrier is seen; a crowd stands in rows, the nearer ones lower."""
    surface = (carrier.thing.surface if carrier.thing else 1.0) or USUAL_SURFACE
    lowest = middle(at, 1) + height / 2 - 0.02  # lower down it would no longer be on top
    if carrier.is_flat:
        return min(rng.uniform(at[1] + 0.2 * (at[3] - at[1]), at[3]), max(lowest - 0.03, at[1]))
    top = at[3] - surface * (at[3] - at[1]) + 0.012
    return rng.uniform(top, max(lowest, top)) if crowding > 0.9 and lowest < at[3] else min(top, max(lowest, at[1]))


def carried(item: SceneObject, carrier: SceneObject) -> float:
    """How much larger than real, beside its carrier, a thing is drawn; below 1 for what is larger than its carrier."""
    return (carrier.size_m / item.size_m) ** (1 - HANDY)


def _resized(links: Links, name: str, box: Corners, draft: Draft) -> Corners:
    """The box, grown or shrunk until it looks larger or smaller than other things as it must: by the words, or really."""
    low = 0.0
    high = 1.0
    for other, at in draft.boxes.items():
        if other in links.much_larger.get(name, ()):
            high = min(high, max(0.98 * area(at), 0.6 * area(box)))
        elif name in links.much_larger.get(other, ()):
            low = max(low, min(1.02 * area(at), 1.7 * area(box)))
    for large, small in links.rows["size"]:
        if name == large and small in draft.boxes:
            low = max(low, LOOKS_LARGER * area(draft.boxes[small]))
        elif name == small and large in draft.boxes:
            high = min(high, area(draft.boxes[large]) / LOOKS_LARGER)
    scale = (min(max(area(box), low), max(high, low)) / area(box)) ** 0.5
    if scale == 1:
        return box
    width = (box[2] - box[0]) * scale
    height = (box[3] - box[1]) * scale
    if max(width, height) > 1 - 2 * MARGIN:  # a long box has no room to grow: it grows wider
        width, height = min(max(width, low), 0.95), min(max(height, low / min(width, 0.95)), 0.95)
    return _framed(middle(box, 0), box[3], width, height)


def _extent(item: SceneObject, camera: Camera, distance: float) -> tuple[float, float]:
    """(width, height) on the picture, kept between a speck and the frame."""
    width, height = camera.extent(item.width_m, item.height_m, distance)
    if item.is_flat and item.support not in HANGING:
        half = item.thing.depth_m / 2
        height = max(
            camera.ground(max(distance - half, distance * 0.6)) - camera.ground(distance + half),
            0.35 * width * camera.aspect,
        )
    grow = max(1.0, SHORTEST_LONG_SIDE * camera.finest / max(width, height))
    fit = min(1.0, 0.8 / max(width * grow, height * grow))
    shortest = SHORTEST_SIDE * camera.finest
    return max(width * grow * fit, shortest), max(height * grow * fit, shortest)


def _apparent(links: Links, item: SceneObject, aspect: float, rng: Random) -> tuple[float, float]:
    """(width, height) of what is so far away that its real size does not show: its usual share, less in a crowd."""
    several = sum(other.is_far and other.is_backdrop == item.is_backdrop for other in links.objects.values())
    roomy = 1 if item.is_backdrop else 6
    grow = 1.7 if links.nothing_stands and len(links.objects) <= 3 else min(1.0, roomy / several) ** 0.5
    scale = rng.uniform(*item.thing.apparent) * grow / item.longest_m
    width = item.width_m * scale / max(aspect, 1.0)
    height = item.height_m * scale * min(aspect, 1.0)
    grow = max(1.0, SHORTEST_SIDE / min(width, height))
    return width * grow, height * grow


def _beside(at: Corners, width: float, rng: Random) -> float:
    """The centre of a box that stands left or right of another with a small gap."""
    gap = rng.uniform(-0.01, 0.06)
    return rng.choice((at[0] - gap - width / 2, at[2] + gap + width / 2))


def _within(x0: float, x1: float, width: float, rng: Random) -> float:
    """A centre in the window such that the box keeps clear of the frame where it can."""
    low = max(x0, width / 2 + 0.03)
    high = min(x1, 0.97 - width / 2)
    return rng.uniform(low, high) if low < high else min(max((x0 + x1) / 2, width / 2), 1 - width / 2)


def _framed(centre: float, bottom: float, width: float, height: float) -> Corners:
    """The box of this size, moved into the frame where it would leave it."""
    width = min(width, 1 - 2 * MARGIN)
    height = min(height, 1 - 2 * MARGIN)
    centre = min(max(centre, width / 2 + MARGIN), 1 - width / 2 - MARGIN)
    bottom = min(max(bottom, height + MARGIN), 1 - MARGIN)
    return (centre - width / 2, bottom - height, centre + width / 2, bottom)
