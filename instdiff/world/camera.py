"""A scene becomes a layout: a pinhole camera over a ground plane decides size and height on the picture.

Boxes here are ``(x0, y0, x1, y1)`` as fractions of the picture. Distances are chosen such that small things are nearer:
what looks larger is larger, but a cup beside a house can still be painted. What would be a speck is enlarged.
"""

from __future__ import annotations

import math
from random import Random
from typing import NamedTuple

from instdiff.layout import Box, Instance, Layout
from instdiff.world.constraints import ORDERED_FROM, Links, links_of
from instdiff.world.placement import HANGING, SHORTEST_LONG_SIDE, USUAL_SURFACE
from instdiff.world.proposals import Camera, Corners, Draft, candidate, carried, finest
from instdiff.world.relations import WHOLE, area, broken, middle, shared, slack
from instdiff.world.scene import PICTURE, Predicate, Relation, Scene, SceneObject

MAX_IOU = 0.2
MAX_HIDDEN = 0.4
# of two things, one r times as large as the other is drawn r ** GAMMA times as large where nothing says how far they
# are
GAMMA = 0.4
# How far a relation must be from breaking for the camera to be content, as in `instdiff.world.relations.slack`.
CARE = {
    Predicate.LEFT_OF: 0.04,
    Predicate.RIGHT_OF: 0.04,
    Predicate.NEXT_TO: 0.03,
    Predicate.LARGER_THAN: 0.1,
    Predicate.SMALLER_THAN: 0.1,
}
LEAST_CARE = 0.01


class Projection(NamedTuple):
    """A scene on a picture.

    ``ids`` names the scene's object behind each instance of the layout; ``gave_way`` says in sentences what of the
    world, or of the words, could not be kept.
    """

    layout: Layout
    ids: tuple[str, ...]
    gave_way: tuple[str, ...] = ()


def project(scene: Scene, size: tuple[int, int] = (512, 512), rng: Random | None = None) -> Layout:
    """The layout of `projected` alone."""
    return projected(scene, size, rng).layout


def projected(scene: Scene, size: tuple[int, int] = (512, 512), rng: Random | None = None) -> Projection:
    """Put a scene on a picture of (width, height) pixels.

    Several arrangements are tried, each a little farther away than the last; the first without a fault is taken, or
    the one with the least: relations first, then sizes, then overlap. Instances come from far to near (painter's
    order).
    """
    rng = rng or Random(0)
    links = links_of(scene)
    attempts = max(min(14, 130 // max(len(links.objects), 1)), 4)
    best = Draft(faults=math.inf) if links.objects else Draft()
    for attempt in range(attempts):
        if best.faults == 0:
            break
        best = min(best, _arrange(links, size[0] / size[1], 0.93**attempt, rng), key=lambda draft: draft.faults)
    order = sorted(best.boxes, key=lambda name: (-best.distance[name], best.boxes[name][3]))
    instances = [_instance(links.objects[name], best.boxes[name]) for name in order]
    layout = Layout(
        width=size[0],
        height=size[1],
        caption=scene.caption,
        negative_caption=", ".join(scene.absent),
        instances=tuple(instances),
    )
    return Projection(layout, tuple(order), _gave_way(links, scene, layout, tuple(order)))


def _instance(item: SceneObject, corners: Corners) -> Instance:
    x0, y0, x1, y1 = corners
    return Instance(caption=item.caption, category=item.category, box=Box(x0=x0, y0=y0, x1=x1, y1=y1))


def _gave_way(links: Links, scene: Scene, layout: Layout, ids: tuple[str, ...]) -> tuple[str, ...]:
    """What the words bent in the world, which words contradict others, and what found no room; each said once."""
    unmet = [relation for relation in broken(scene, layout, ids) if relation not in links.refused]
    said = [f"{links.the(relation.subject)} could not be put {links.phrase(relation)}" for relation in unmet]
    return tuple(dict.fromkeys((*links.gave_way, *said)))


def _arrange(links: Links, aspect: float, shrink: float, rng: Random) -> Draft:
    distances = _distances(links, aspect, shrink, rng)
    camera = _aim(links, distances, aspect, rng)
    asked = {
        name: [relation for relation in links.demands if name in (relation.subject, relation.object)]
        for name in links.objects
    }
    draft = Draft()
    for name in sorted(links.objects, key=lambda name: (links.rank(name), -links.objects[name].size_m, name)):
        best: tuple[float, float, Corners, float] | None = None
        flawless = 0
        for _ in range(24):
            box, distance = candidate(links, name, camera, distances, draft, rng)
            fault, overlap = _judge(links, asked[name], name, box, distance, draft)
            if best is None or (fault, overlap) < best[:2]:
                best = (fault, overlap, box, distance)
            flawless += fault == 0
            if flawless == 4:
                break
        _put(draft, name, best[2], best[3], best[0])
    return draft


def _distances(links: Links, aspect: float, shrink: float, rng: Random) -> dict[str, float]:
    """A distance for everything, in metres: large things far, small ones near, the largest filling its share."""
    sizes = {name: item.size_m for name, item in links.objects.items() if not item.is_far} or {
        n: 1.0 for n in links.objects
    }
    roots = [name for name in sizes if links.anchor.get(name, ("", ""))[1] not in ("on", "under")] or list(sizes)
    crowd = [name for name in roots if links.objects[name].support not in ("sky", "wall", "ceiling")] or roots
    share = max(
        0.85 * rng.uniform(0.92, 1.08) / min(len(crowd), 8) ** 0.33 * min(1.0, 8 / len(crowd)) ** 0.5 * shrink, 0.12
    )
    span = max(sizes.values()) / min(sizes.values())
    smallest = SHORTEST_LONG_SIDE * finest(len(links.objects))
    gamma = min(GAMMA, math.log(max(share / smallest, 1.5)) / math.log(max(span, 1.1)))
    ratios = [big / small for big in sizes.values() for small in sizes.values() if big >= ORDERED_FROM * small]
    # no farther apart in depth than leaves the larger of two things larger
    spread = min(0.06 + 0.025 * len(crowd), 0.8, 0.42 * gamma * math.log(min(ratios, default=1e3)))
    distances = {}
    for name in sorted(links.objects, key=links.rank):
        item = links.objects[name]
        (target, how) = links.anchor.get(name, ("", ""))
        distance = item.distance_m or item.size_m ** (1 - gamma) * math.exp(rng.uniform(-spread, spread))
        if how and target in distances and not links.objects[target].is_far:
            reach = {"front": min(distance, 0.7 * distances[target]), "behind": max(distance, 1.4 * distances[target])}
            distance = reach.get(how, (distance * distances[target]) ** 0.5 if how == "beside" else distance)
        distances[name] = distance
    largest = max(_share(links, name, distances, aspect, share) for name in roots)
    return {name: distance * largest for name, distance in distances.items()}


def _share(links: Links, name: str, distances: dict[str, float], aspect: float, share: float) -> float:
    """How much farther away an object must be to fill its share of the picture, and to leave room for what it carries."""
    item = links.objects[name]
    distance = distances[name]
    bound = {"sky": min(share, 0.35), "wall": min(share, 0.4), "ceiling": min(share, 0.4)}.get(item.support, share)
    width, height = _stack(links, name, distances)
    return max(item.width_m / aspect / bound, item.height_m / bound, width / aspect / 0.9, height / 0.88) / distance


def _stack(links: Links, name: str, distances: dict[str, float]) -> tuple[float, float]:
    """(width, height) in metres of an object with all that rests on it or floats above it."""
    item = links.objects[name]
    width = item.width_m
    height = item.height_m
    for other, (target, how) in links.anchor.items():
        if target != name or how not in ("on", "above") or links.objects[other].support in ("sky", "ceiling"):
            continue
        grow = carried(links.objects[other], item) if how == "on" else distances[name] / distances[other]
        above = _stack(links, other, distances)
        surface = ((item.thing.surface if item.thing else 1.0) or USUAL_SURFACE) if how == "on" else 1.0
        width = max(width, above[0] * grow)
        height = max(height, item.height_m * surface + above[1] * grow)
    return width, height


def _aim(links: Links, distances: dict[str, float], aspect: float, rng: Random) -> Camera:
    """Height and tilt such that the nearest thing stands near the lower edge; a crowd is seen from higher up."""
    ground = [name for name, item in links.objects.items() if item.support not in HANGING and not item.is_backdrop]
    standing = [
        distances[name]
        for name in ground
        if links.anchor.get(name, ("", ""))[1] not in ("on", "under", "beside", "behind")
    ]
    horizon = rng.uniform(0.4, 0.5) if len(standing) <= 8 else rng.uniform(0.2, 0.28)
    lowest = rng.uniform(0.92, 0.96) if len(standing) > 2 else rng.uniform(0.82, 0.93)
    return Camera(horizon, (lowest - horizon) * min(standing, default=1.0), aspect, finest(len(links.objects)))


def _belong(links: Links, a: str, b: str) -> bool:
    """True if one is on or under the other, so that their boxes may lie over each other."""
    return any(links.anchor.get(s, ("", "")) in ((t, "on"), (t, "under")) for s, t in ((a, b), (b, a)))


def _judge(
    links: Links, asked: list[Relation], name: str, box: Corners, distance: float, draft: Draft
) -> tuple[float, float]:
    """(faults, overlap): broken relations count 10 each, wrong sizes 2, overlap past the bounds 1 and by how much."""
    fault = 10.0 * _unmet(links, asked, name, box, draft)
    overlap = 0.0
    hidden = 0.0
    larger = links.much_larger.get(name, ())
    for other, at in draft.boxes.items():
        inverted = (other in larger and area(at) < area(box)) or (
            name in links.much_larger.get(other, ()) and area(box) < area(at)
        )
        fault += 2 * inverted
        common = shared(box, at)
        if not common:
            continue
        if _belong(links, name, other):
            fault += 1 if common / area(box if distance > draft.distance[other] else at) > 0.55 else 0
            continue
        overlap += common
        if links.objects[name].is_backdrop != links.objects[other].is_backdrop:
            continue  # what stands on the horizon may be half hidden
        iou = common / (area(box) + area(at) - common)
        fault += 1 + iou if iou > MAX_IOU else 0
        if distance > draft.distance[other]:
            hidden += common / area(box)
        elif (covered := draft.hidden[other] + common / area(at)) > MAX_HIDDEN:
            fault += 1 + covered
    return fault + (1 + hidden if hidden > MAX_HIDDEN else 0), overlap


def _unmet(links: Links, asked: list[Relation], name: str, box: Corners, draft: Draft) -> int:
    """How many relations do not hold, with some care, between this box and what is placed."""
    x0, x1, y0, y1 = links.window[name]
    unmet = (x1 - x0 < 0.5 and not x0 - 0.08 <= middle(box, 0) <= x1 + 0.08) + (
        y1 - y0 < 0.5 and not y0 - 0.08 <= middle(box, 1) <= y1 + 0.08
    )
    boxes = {**draft.boxes, PICTURE: WHOLE, name: box}
    for relation in asked:
        subject = boxes.get(relation.subject)
        target = boxes.get(relation.object)
        if subject and target:
            unmet += slack(relation.predicate, subject, target, relation.object in links.aloft) < CARE.get(
                relation.predicate, LEAST_CARE
            )
    return unmet


def _put(draft: Draft, name: str, box: Corners, distance: float, fault: float) -> None:
    hidden = 0.0
    for other, at in draft.boxes.items():
        common = shared(box, at)
        if distance > draft.distance[other]:
            hidden += common / area(box)
        else:
            draft.hidden[other] += common / area(at)
    draft.boxes[name], draft.distance[name], draft.hidden[name] = box, distance, hidden
    draft.faults += fault
