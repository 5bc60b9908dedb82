"""Where an object may be seen: one possible box at a time, for the camera to choose from.

Boxes are ``(x0, y0, x1, y1)`` as fractions of the picture.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from instdiff.links import HANGING, Links
from instdiff.scene import SceneObject

MIN_LONG, MIN_SIDE, MARGIN = 0.11, 0.068, 0.012
FAR = 1e6  # the distance of what hangs behind everything on the ground

Corners = tuple[float, float, float, float]


@dataclass(frozen=True)
class Camera:
    """Looks straight ahead; focal length 1 in picture heights. ``aspect`` is picture width / height."""

    horizon: float
    height_m: float
    aspect: float

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


def candidate(links: Links, name: str, camera: Camera, distances: dict[str, float], draft: Draft, rng: Random) -> tuple[Corners, float]:
    """One possible box of an object, and its distance in metres, given what is placed."""
    if links.anchor.get(name, ("", ""))[1] in ("on", "under"):
        return _attached(links, name, camera, draft, rng)
    place = _hanging if links.objects[name].support in HANGING else _standing
    return place(links, name, camera, distances, draft, rng)


def _hanging(links: Links, name: str, camera: Camera, distances: dict[str, float], draft: Draft, rng: Random) -> tuple[Corners, float]:
    """A box on the wall, under the ceiling, in the sky, or floating above what it belongs to."""
    item, (target, how) = links.objects[name], links.anchor.get(name, ("", ""))
    x0, x1, y0, y1 = links.window[name]
    distance = max(distances.values()) if item.support == "wall" else distances[name] * rng.uniform(0.9, 1.15)
    if item.support == "sky":
        alone = len(links.objects) <= 3 and all(other.support == "sky" for other in links.objects.values())
        width, height = _sky_extent(item, alone, camera.aspect, rng)
    else:
        width, height = _extent(item, camera, distance)
    centre = _within(x0, x1, width, rng)
    if how == "above":
        at = draft.boxes[target]
        centre = (at[0] + at[2]) / 2 + rng.uniform(-0.3, 0.3) * max(at[2] - at[0], width)
        y1 = min(y1, max(at[1] - height / 2, height / 2 + MARGIN)) if rng.random() < 0.8 else y1
    elif how == "beside":
        centre = _beside(draft.boxes[target], width, rng)
    deepest = 1.0 if name in {upper for upper, _ in links.up_down} or y0 > 0.3 else camera.horizon - height / 3
    middle = rng.uniform(max(y0, height / 2 + 0.04), max(min(y1, deepest), height / 2 + 0.04))
    if item.support == "ceiling" and how != "above":
        middle = height / 2
    return _framed(centre, middle + height / 2, width, height), FAR if item.support in ("sky", "wall") else distance


def _standing(links: Links, name: str, camera: Camera, distances: dict[str, float], draft: Draft, rng: Random) -> tuple[Corners, float]:
    """A box that stands on the ground, or on water, at its distance."""
    item, (target, how) = links.objects[name], links.anchor.get(name, ("", ""))
    x0, x1, y0, _ = links.window[name]
    distance, at = distances[name] * rng.uniform(0.9, 1.15), draft.boxes.get(target)
    if how and draft.distance[target] < FAR:
        nearest, farthest = {"front": (0.55, 0.85), "behind": (1.2, 1.7), "beside": (0.94, 1.04)}[how]
        distance = draft.distance[target] * rng.uniform(nearest, farthest)
    width, height = _extent(item, camera, distance)
    load = 0.085 * sum(anchor == (name, "on") for anchor in links.anchor.values())
    if load > width:  # a carrier is at least as wide as what it carries needs
        grow = min(load / width, 0.6 / max(width, height))
        width, height = width * grow, height * grow
    bottom = camera.ground(distance)
    if how == "beside":
        centre = _beside(at, width, rng)
    elif how:
        centre = (at[0] + at[2]) / 2 + rng.uniform(-0.75, 0.75) * max(at[2] - at[0], width)
        bottom = min(bottom, at[3] - 0.03) if how == "behind" else bottom
    else:
        centre = _within(x0, x1, width, rng)
    if item.thing and item.thing.depth_m:
        bottom, distance = bottom + height / 3, distance * 1.3
    if y0 > 0.3:
        bottom = max(bottom, y0 + height / 2 + 0.02)
    return _framed(centre, bottom, width, height), distance


def _attached(links: Links, name: str, camera: Camera, draft: Draft, rng: Random) -> tuple[Corners, float]:
    """A box on, or under, the object it belongs to."""
    item, (target, how) = links.objects[name], links.anchor[name]
    at, away = draft.boxes[target], draft.distance[target]
    carrier = links.objects[target]
    # enlarged carriers enlarge what they carry; what hangs has no distance of its own
    metres = (at[2] - at[0]) * camera.aspect / carrier.width_m
    width, height = _extent(item, camera, 1 / metres)
    if how == "under":
        fit = min(1.0, 0.62 * (at[3] - at[1]) / height, 1.1 * (at[2] - at[0]) / width)
        bottom = at[3] + rng.uniform(-0.02, 0.02)
    else:
        surface = (carrier.thing.surface if carrier.thing else 1.0) or 0.92
        flat = carrier.thing is not None and carrier.thing.depth_m is not None
        bottom = rng.uniform(at[1] + 0.2 * (at[3] - at[1]), at[3]) if flat else at[3] - surface * (at[3] - at[1]) + 0.012
        if flat:
            bottom = min(bottom, (at[1] + at[3]) / 2 + height / 2 - 0.05)
        load = sum(anchor == (target, "on") for anchor in links.anchor.values())
        if load * width > at[2] - at[0]:  # too many for one row: they are heaped
            bottom -= rng.uniform(0, 0.9) * height * min(load * width / (at[2] - at[0]) - 1, 1.5)
        fit = min(1.0, (bottom - MARGIN) / height) if bottom > 0.1 else 1.0
    width, height = max(width * fit, MIN_SIDE), max(height * fit, MIN_SIDE)
    slack = max(at[2] - at[0] - width, 0.3 * (at[2] - at[0]))
    centre = (at[0] + at[2]) / 2 + rng.uniform(-0.5, 0.5) * slack
    return _framed(centre, bottom, width, height), away * (0.999 if item.thing is None or not item.thing.depth_m else 1.01)


def _extent(item: SceneObject, camera: Camera, distance: float) -> tuple[float, float]:
    """(width, height) on the picture, kept between a speck and the frame."""
    thing = item.thing
    if thing and thing.depth_m and item.support not in HANGING:
        width = camera.extent(item.width_m, item.height_m, distance)[0]
        near = max(distance - thing.depth_m / 2, distance * 0.6)
        height = max(camera.ground(near) - camera.ground(distance + thing.depth_m / 2), 0.35 * width * camera.aspect)
    else:
        width, height = camera.extent(item.width_m, item.height_m, distance)
    grow = max(1.0, MIN_LONG / max(width, height), MIN_SIDE / min(width, height))
    fit = min(1.0, 0.8 / max(width * grow, height * grow))
    return max(width * grow * fit, MIN_SIDE), max(height * grow * fit, MIN_SIDE)


def _sky_extent(item: SceneObject, alone: bool, aspect: float, rng: Random) -> tuple[float, float]:
    """(width, height) of what is in the sky: its real distance is free, so a pleasant size is taken."""
    usual = item.thing and item.thing.apparent
    long = rng.uniform(*usual) if usual else 0.3 * (item.longest_m / 10) ** 0.2 * rng.uniform(0.9, 1.15)
    long *= 1.7 if alone else 1.0
    scale = long / item.longest_m
    width, height = item.width_m * scale / max(aspect, 1.0), item.height_m * scale * min(aspect, 1.0)
    grow = max(1.0, MIN_SIDE / min(width, height))
    return width * grow, height * grow


def _beside(at: Corners, width: float, rng: Random) -> float:
    """The centre of a box that stands left or right of another with a small gap."""
    gap = rng.uniform(-0.01, 0.06)
    return rng.choice((at[0] - gap - width / 2, at[2] + gap + width / 2))


def _within(x0: float, x1: float, width: float, rng: Random) -> float:
    """A centre in the window such that the box keeps clear of the frame where it can."""
    low, high = max(x0, width / 2 + 0.03), min(x1, 0.97 - width / 2)
    return rng.uniform(low, high) if low < high else min(max((x0 + x1) / 2, width / 2), 1 - width / 2)


def _framed(centre: float, bottom: float, width: float, height: float) -> Corners:
    """The box of this size, moved into the frame where it would leave it."""
    width, height = min(width, 1 - 2 * MARGIN), min(height, 1 - 2 * MARGIN)
    centre = min(max(centre, width / 2 + MARGIN), 1 - width / 2 - MARGIN)
    bottom = min(max(bottom, height + MARGIN), 1 - MARGIN)
    return (centre - width / 2, bottom - height, centre + width / 2, bottom)
