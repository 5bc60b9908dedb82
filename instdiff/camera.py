"""A scene becomes a layout: a pinhole camera over a ground plane decides size and height on the picture.

Boxes here are ``(x0, y0, x1, y1)`` as fractions of the picture. Small things are brought nearer, and what would still
be a speck is enlarged, so that everything planned can be painted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from random import Random

from instdiff.layout import Box, Instance, Layout
from instdiff.links import HANGING, Links, links_of
from instdiff.scene import Scene, SceneObject

MIN_LONG, MIN_SIDE, MARGIN = 0.11, 0.068, 0.012
MAX_IOU, MAX_HIDDEN = 0.2, 0.4
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
class _Draft:
    """One attempt: the boxes placed so far, how far each is, how much of each is hidden, and what is wrong."""

    boxes: dict[str, Corners] = field(default_factory=dict)
    distance: dict[str, float] = field(default_factory=dict)
    hidden: dict[str, float] = field(default_factory=dict)
    faults: float = 0.0


def project(scene: Scene, size: tuple[int, int] = (512, 512), rng: Random | None = None) -> Layout:
    """Put a scene on a picture of (width, height) pixels.

    Several arrangements are tried, each a little farther away than the last; the first without a fault is taken, or
    the one with the least: relations first, then overlap. Instances come from far to near (painter's order).
    """
    rng = rng or Random(0)
    links = links_of(scene)
    attempts = 14 if len(links.objects) <= 10 else 5
    best = _Draft(faults=math.inf)
    for attempt in range(attempts):
        draft = _arrange(links, size[0] / size[1], 0.93**attempt, rng)
        best = min(best, draft, key=lambda draft: draft.faults)
        if best.faults == 0:
            break
    order = sorted(best.boxes, key=lambda name: (-best.distance[name], best.boxes[name][3]))
    instances = [
        Instance(
            caption=item.caption, category=item.category, box=Box(**dict(zip(("x0", "y0", "x1", "y1"), best.boxes[name], strict=True)))
        )
        for name in order
        for item in (links.objects[name],)
    ]
    return Layout(
        width=size[0], height=size[1], caption=scene.caption, negative_caption=", ".join(scene.absent), instances=tuple(instances)
    )


def _arrange(links: Links, aspect: float, shrink: float, rng: Random) -> _Draft:
    distances = _distances(links, aspect, shrink, rng)
    camera = _aim(links, distances, aspect, rng)
    draft = _Draft()
    for name in sorted(links.objects, key=lambda name: (links.rank(name), -_bulk(links.objects[name]), name)):
        best: tuple[float, float, Corners, float] | None = None
        flawless = 0
        for _ in range(24):
            box, distance = _candidate(links, name, camera, distances, draft, rng)
            fault, overlap = _judge(links, name, box, distance, draft)
            if best is None or (fault, overlap) < best[:2]:
                best = (fault, overlap, box, distance)
            flawless += fault == 0
            if flawless == 4:
                break
        _put(draft, name, best[2], best[3], best[0])
    return draft


def _bulk(item: SceneObject) -> float:
    return item.width_m * item.height_m


def _distances(links: Links, aspect: float, shrink: float, rng: Random) -> dict[str, float]:
    """A distance for everything, in metres: large things far, small ones near, the largest filling its share."""
    roots = [name for name in links.objects if links.anchor.get(name, ("", ""))[1] not in ("on", "under")]
    crowd = [name for name in roots if links.objects[name].support not in ("sky", "wall", "ceiling")] or roots or list(links.objects)
    spread = min(0.12 + 0.035 * len(crowd), 0.55)
    distances = {}
    for name, item in links.objects.items():
        distances[name] = item.distance_m or item.longest_m**0.6 * math.exp(rng.uniform(-spread, spread))
    floor = max(distances[name] for name in crowd) / 6
    for name in crowd:
        distances[name] = max(distances[name], floor)
    largest = max(max(links.objects[n].width_m / aspect, links.objects[n].height_m) / distances[n] for n in crowd)
    share = max(0.64 * rng.uniform(0.92, 1.08) / len(crowd) ** 0.33 * shrink, 0.14)
    return {name: distance * largest / share for name, distance in distances.items()}


def _aim(links: Links, distances: dict[str, float], aspect: float, rng: Random) -> Camera:
    """Height and tilt such that the nearest thing stands near the lower edge; a crowd is seen from higher up."""
    standing = [distances[name] for name, item in links.objects.items() if item.support not in HANGING and name not in links.anchor]
    horizon = rng.uniform(0.4, 0.5) if len(standing) <= 8 else rng.uniform(0.2, 0.28)
    lowest = rng.uniform(0.92, 0.96) if len(standing) > 2 else rng.uniform(0.82, 0.93)
    return Camera(horizon, (lowest - horizon) * min(standing, default=1.0), aspect)


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


def _candidate(links: Links, name: str, camera: Camera, distances: dict[str, float], draft: _Draft, rng: Random) -> tuple[Corners, float]:
    """One possible box of an object, and its distance, given what is placed."""
    item, (target, how) = links.objects[name], links.anchor.get(name, ("", ""))
    at = draft.boxes.get(target, (0.0, 0.0, 1.0, 1.0))
    x0, x1, y0, y1 = links.window[name]
    centre, distance = rng.uniform(x0, x1), distances[name] * rng.uniform(0.85, 1.2)
    if how in ("on", "under"):
        return _attached(links, name, camera, draft, rng)
    if item.support in HANGING:
        if item.support == "sky":
            alone = len(links.objects) <= 3 and all(other.support == "sky" for other in links.objects.values())
            width, height = _sky_extent(item, alone, camera.aspect, rng)
        else:
            width, height = _extent(item, camera, max(distances.values()) if item.support == "wall" else distance)
        if how == "above":
            centre = (at[0] + at[2]) / 2 + rng.uniform(-0.3, 0.3) * max(at[2] - at[0], width)
            y1 = min(y1, max(at[1] - height / 2, height / 2 + MARGIN)) if rng.random() < 0.8 else y1
        elif how and target in draft.boxes:
            centre = _beside(at, width, rng) if how == "beside" else centre
        deepest = 1.0 if name in {a for a, _ in links.up_down} or y0 > 0.3 else camera.horizon - height / 3
        middle = rng.uniform(max(y0, height / 2), max(min(y1, deepest), height / 2))
        if item.support == "ceiling" and how != "above":
            middle = height / 2
        away = FAR if item.support in ("sky", "wall") else distance
        return _framed(centre, middle + height / 2, width, height), away
    if how == "front":
        distance = draft.distance[target] * rng.uniform(0.55, 0.85)
    elif how == "behind":
        distance = draft.distance[target] * rng.uniform(1.2, 1.7)
    elif how == "beside" and draft.distance[target] < FAR:
        distance = draft.distance[target] * rng.uniform(0.94, 1.04)
    width, height = _extent(item, camera, distance)
    if how in ("front", "behind"):
        centre = (at[0] + at[2]) / 2 + rng.uniform(-0.75, 0.75) * max(at[2] - at[0], width)
    elif how == "beside":
        centre = _beside(at, width, rng)
    bottom = camera.ground(distance)
    if how == "behind":
        bottom = min(bottom, at[3] - 0.03)
    thing = item.thing
    if thing and thing.depth_m:
        bottom, distance = bottom + height / 3, distance * 1.3
    if y0 > 0.3:
        bottom = max(bottom, y0 + height / 2 + 0.02)
    return _framed(centre, bottom, width, height), distance


def _attached(links: Links, name: str, camera: Camera, draft: _Draft, rng: Random) -> tuple[Corners, float]:
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
        fit = min(1.0, (bottom - MARGIN) / height) if bottom > 0.1 else 1.0
    width, height = max(width * fit, MIN_SIDE), max(height * fit, MIN_SIDE)
    slack = max(at[2] - at[0] - width, 0.3 * (at[2] - at[0]))
    centre = (at[0] + at[2]) / 2 + rng.uniform(-0.5, 0.5) * slack
    return _framed(centre, bottom, width, height), away * (0.999 if item.thing is None or not item.thing.depth_m else 1.01)


def _beside(at: Corners, width: float, rng: Random) -> float:
    """The centre of a box that stands left or right of another with a small gap."""
    gap = rng.uniform(-0.01, 0.06)
    return rng.choice((at[0] - gap - width / 2, at[2] + gap + width / 2))


def _framed(centre: float, bottom: float, width: float, height: float) -> Corners:
    """The box of this size, moved into the frame where it would leave it."""
    width, height = min(width, 1 - 2 * MARGIN), min(height, 1 - 2 * MARGIN)
    centre = min(max(centre, width / 2 + MARGIN), 1 - width / 2 - MARGIN)
    bottom = min(max(bottom, height + MARGIN), 1 - MARGIN)
    return (centre - width / 2, bottom - height, centre + width / 2, bottom)


def _shared(a: Corners, b: Corners) -> float:
    return max(min(a[2], b[2]) - max(a[0], b[0]), 0.0) * max(min(a[3], b[3]) - max(a[1], b[1]), 0.0)


def _area(box: Corners) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _belong(links: Links, a: str, b: str) -> bool:
    """True if one is on or under the other, so that their boxes may lie over each other."""
    return any(links.anchor.get(s, ("", "")) in ((t, "on"), (t, "under")) for s, t in ((a, b), (b, a)))


def _judge(links: Links, name: str, box: Corners, distance: float, draft: _Draft) -> tuple[float, float]:
    """(faults, overlap): broken relations count 10 each, overlap past the bounds 1 each and by how much."""
    fault, overlap, hidden = 10.0 * _broken(links, name, box, draft), 0.0, 0.0
    for other, at in draft.boxes.items():
        shared = _shared(box, at)
        if not shared:
            continue
        if _belong(links, name, other):
            fault += 1 if shared / _area(box if distance > draft.distance[other] else at) > 0.55 else 0
            continue
        overlap += shared
        iou = shared / (_area(box) + _area(at) - shared)
        fault += 1 + iou if iou > MAX_IOU else 0
        if distance > draft.distance[other]:
            hidden += shared / _area(box)
        elif (covered := draft.hidden[other] + shared / _area(at)) > MAX_HIDDEN:
            fault += 1 + covered
    return fault + (1 + hidden if hidden > MAX_HIDDEN else 0), overlap


def _broken(links: Links, name: str, box: Corners, draft: _Draft) -> int:
    """How many relations do not hold between this box and what is placed."""
    boxes = {**draft.boxes, name: box}
    mid = lambda corners, axis: (corners[axis] + corners[axis + 2]) / 2  # noqa: E731
    pairs = lambda found: [(boxes[a], boxes[b]) for a, b in found if name in (a, b) and a in boxes and b in boxes]  # noqa: E731
    x0, x1, y0, y1 = links.window[name]
    broken = (x1 - x0 < 0.5 and not x0 - 0.08 <= mid(box, 0) <= x1 + 0.08) + (y1 - y0 < 0.5 and not y0 - 0.08 <= mid(box, 1) <= y1 + 0.08)
    broken += sum(mid(a, 0) + 0.04 > mid(b, 0) for a, b in pairs(links.left_right))
    broken += sum(mid(a, 1) + 0.02 > mid(b, 1) for a, b in pairs(links.up_down))
    broken += sum(a[3] < b[3] + 0.01 for a, b in pairs(links.near_far))
    return broken + sum(max(a[0] - b[2], b[0] - a[2]) > 0.12 for a, b in pairs(links.beside))


def _put(draft: _Draft, name: str, box: Corners, distance: float, fault: float) -> None:
    hidden = 0.0
    for other, at in draft.boxes.items():
        shared = _shared(box, at)
        if distance > draft.distance[other]:
            hidden += shared / _area(box)
        else:
            draft.hidden[other] += shared / _area(at)
    draft.boxes[name], draft.distance[name], draft.hidden[name] = box, distance, hidden
    draft.faults += fault
