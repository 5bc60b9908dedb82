"""A scene becomes a layout: a pinhole camera over a ground plane decides size and height on the picture.

Boxes here are ``(x0, y0, x1, y1)`` as fractions of the picture. Small things are brought nearer, and what would still
be a speck is enlarged, so that everything planned can be painted.
"""

from __future__ import annotations

import math
from random import Random

from instdiff.candidates import Camera, Corners, Draft, candidate
from instdiff.layout import Box, Instance, Layout
from instdiff.links import HANGING, Links, links_of
from instdiff.scene import Scene, SceneObject

MAX_IOU, MAX_HIDDEN = 0.2, 0.4


def project(scene: Scene, size: tuple[int, int] = (512, 512), rng: Random | None = None) -> Layout:
    """Put a scene on a picture of (width, height) pixels.

    Several arrangements are tried, each a little farther away than the last; the first without a fault is taken, or
    the one with the least: relations first, then overlap. Instances come from far to near (painter's order).
    """
    rng = rng or Random(0)
    links = links_of(scene)
    attempts = min(14, 130 // max(len(links.objects), 1))
    best = Draft(faults=math.inf) if links.objects else Draft()
    for attempt in range(attempts):
        if best.faults == 0:
            break
        draft = _arrange(links, size[0] / size[1], 0.93**attempt, rng)
        best = min(best, draft, key=lambda draft: draft.faults)
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


def _arrange(links: Links, aspect: float, shrink: float, rng: Random) -> Draft:
    distances = _distances(links, aspect, shrink, rng)
    camera = _aim(links, distances, aspect, rng)
    draft = Draft()
    for name in sorted(links.objects, key=lambda name: (links.rank(name), -_bulk(links.objects[name]), name)):
        best: tuple[float, float, Corners, float] | None = None
        flawless = 0
        for _ in range(24):
            box, distance = candidate(links, name, camera, distances, draft, rng)
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
    spread = min(0.06 + 0.025 * len(crowd), 0.8)
    distances = {}
    for name, item in links.objects.items():
        distances[name] = item.distance_m or item.longest_m**0.6 * math.exp(rng.uniform(-spread, spread))
    floor = max(distances[name] for name in crowd) / 6
    for name in crowd:
        distances[name] = max(distances[name], floor)
    largest = max(max(links.objects[n].width_m / aspect, links.objects[n].height_m) / distances[n] for n in crowd)
    share = max(0.85 * rng.uniform(0.92, 1.08) / len(crowd) ** 0.33 * shrink, 0.14)
    return {name: distance * largest / share for name, distance in distances.items()}


def _aim(links: Links, distances: dict[str, float], aspect: float, rng: Random) -> Camera:
    """Height and tilt such that the nearest thing stands near the lower edge; a crowd is seen from higher up."""
    standing = [distances[name] for name, item in links.objects.items() if item.support not in HANGING and name not in links.anchor]
    horizon = rng.uniform(0.4, 0.5) if len(standing) <= 8 else rng.uniform(0.2, 0.28)
    lowest = rng.uniform(0.92, 0.96) if len(standing) > 2 else rng.uniform(0.82, 0.93)
    return Camera(horizon, (lowest - horizon) * min(standing, default=1.0), aspect)


def _shared(a: Corners, b: Corners) -> float:
    return max(min(a[2], b[2]) - max(a[0], b[0]), 0.0) * max(min(a[3], b[3]) - max(a[1], b[1]), 0.0)


def _area(box: Corners) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _belong(links: Links, a: str, b: str) -> bool:
    """True if one is on or under the other, so that their boxes may lie over each other."""
    return any(links.anchor.get(s, ("", "")) in ((t, "on"), (t, "under")) for s, t in ((a, b), (b, a)))


def _judge(links: Links, name: str, box: Corners, distance: float, draft: Draft) -> tuple[float, float]:
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


def _broken(links: Links, name: str, box: Corners, draft: Draft) -> int:
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


def _put(draft: Draft, name: str, box: Corners, distance: float, fault: float) -> None:
    hidden = 0.0
    for other, at in draft.boxes.items():
        shared = _shared(box, at)
        if distance > draft.distance[other]:
            hidden += shared / _area(box)
        else:
            draft.hidden[other] += shared / _area(at)
    draft.boxes[name], draft.distance[name], draft.hidden[name] = box, distance, hidden
    draft.faults += fault
