"""A scene becomes a layout: a pinhole camera over a ground plane decides size and height on the picture.

Boxes are fractions of the picture. Distances are chosen such that small things are nearer: what looks larger is larger,
but a cup beside a house can still be painted. What would be a speck is enlarged.
"""

from __future__ import annotations

import math
from random import Random
from typing import NamedTuple

from instdiff.layout import Box, Instance, Layout
from instdiff.world.arrangement import Arrangement, Camera, enlargement_on, finest
from instdiff.world.constraints import ORDERED_FROM, SIDES, links_of
from instdiff.world.faults import judge, surroundings_of
from instdiff.world.links import ATTACHED, Links
from instdiff.world.placement import SHORTEST_LONG_SIDE, surface_share
from instdiff.world.proposals import Proposals
from instdiff.world.relations import broken_relations, middle_y
from instdiff.world.scene import Scene

ATTEMPTS = (4, 14)  # arrangements tried at least and at most
WORK = 130  # about so many things are placed in all attempts together
CANDIDATES = 36  # boxes tried for each thing
FLAWLESS = 4  # so many boxes without a fault are enough to choose from
ROOMY = 4  # ... and, of more things than these, over nothing else
SHRINK = 0.93  # each attempt fills so much of what the last one filled
# of two things, one r times as large as the other is drawn r ** GAMMA times as large where nothing says how far they
# are
GAMMA = 0.4
FILL = 0.85  # side of the largest of a few things that is aimed at, fraction of the picture
LEAST_FILL = 0.12
CROWD = 8  # of more things, each is given less room
MOST_FILLED = {"sky": 0.35, "wall": 0.4, "ceiling": 0.4}
WIDEST_PILE = 0.9  # what a thing and all that it carries may fill together
HIGHEST_PILE = 0.88
WIDEST_ROW = 0.9  # what things that are left and right of each other may fill together
FAR_WIDTH = 0.2  # what something far away takes of it
# how much farther apart in depth than their sizes tell things may be, in logarithms: at least, for each thing, at most
SPREAD = (0.06, 0.025, 0.8)
# share of the logarithm of two sizes' ratio that one spread may take: two take less than all, so the order stays
ORDER = 0.42
EYE_LEVELS = (0.4, 0.5)  # where the horizon is seen, and where over a crowd
HIGH_EYE_LEVELS = (0.2, 0.28)
NEAREST_FEET = (0.92, 0.96)  # the foot of the nearest thing, and where there are one or two
NEAREST_FEET_OF_FEW = (0.82, 0.93)
LOW = 0.45  # where the centre of what is up in the sky is seen at the lowest by nature
HIGH = 0.38  # where the foot of what stands is seen at the highest


class Projection(NamedTuple):
    """A scene on a picture.

    ``ids`` names the scene's object behind each instance of the layout; ``relaxed`` says in sentences what of the
    world, or of the words, could not be kept.
    """

    layout: Layout
    ids: tuple[str, ...]
    relaxed: tuple[str, ...] = ()


def project(scene: Scene, size: tuple[int, int] = (512, 512), rng: Random | None = None) -> Projection:
    """Put a scene on a picture of (width, height) pixels.

    Several arrangements are tried, each a little farther away than the last; the first without a fault is taken, or
    the one with the least: relations first, then sizes, then overlap. Instances come from far to near (painter's
    order).
    """
    rng = rng or Random(0)
    links = links_of(scene)
    fewest, most = ATTEMPTS
    best = Arrangement(faults=math.inf) if links.objects else Arrangement()
    for attempt in range(max(min(most, WORK // max(len(links.objects), 1)), fewest)):
        if best.faults == 0:
            break
        arrangement = _arrange(links, size[0] / size[1], SHRINK**attempt, rng)
        best = min(best, arrangement, key=lambda arrangement: arrangement.faults)
    ids = tuple(sorted(best.boxes, key=lambda name: (-best.distance[name], best.boxes[name].y1)))
    items = [links.objects[name] for name in ids]
    layout = Layout(
        width=size[0],
        height=size[1],
        caption=scene.caption,
        negative_caption=", ".join(scene.absent),
        instances=tuple(
            Instance(caption=item.caption, category=item.category, box=best.boxes[item.id]) for item in items
        ),
    )
    return Projection(layout, ids, _relaxed(links, scene, layout, ids))


def _relaxed(links: Links, scene: Scene, layout: Layout, ids: tuple[str, ...]) -> tuple[str, ...]:
    """What the words bent in the world, which words contradict others, and what found no room; each said once."""
    unmet = [relation for relation in broken_relations(scene, layout, ids) if relation not in links.refused]
    sentences = [f"{links.the(relation.subject)} could not be put {links.phrase(relation)}" for relation in unmet]
    return tuple(dict.fromkeys((*links.relaxed, *_out_of_place(links, layout, ids), *sentences)))


def _out_of_place(links: Links, layout: Layout, ids: tuple[str, ...]) -> list[str]:
    """What is low for what is far up in the sky, or high for what stands, to be left or right of something."""
    boxes = dict(zip(ids, (instance.box for instance in layout.instances), strict=True))
    sentences = []
    for demand in links.demands:
        for name in (demand.subject, demand.object) if demand.predicate in SIDES else ():
            item = links.objects[name]
            box = boxes[name]
            other = demand.object if name == demand.subject else demand.subject
            if box and item.is_far and not item.is_backdrop and middle_y(box) > LOW:
                sentences.append(f"{links.the(name)} is as low as {links.the(other)}, as the words ask")
            if box and not item.hangs and not item.is_backdrop and not links.anchor_of(name).manner and box.y1 < HIGH:
                sentences.append(f"{links.the(name)} floats beside {links.the(other)}, as the words ask")
    return sentences


def _arrange(links: Links, aspect: float, shrink: float, rng: Random) -> Arrangement:
    """One arrangement of all objects, anchors and large things first: the best of a few possible boxes of each."""
    distances = _distances(links, aspect, shrink, rng)
    camera = _aim(links, distances, aspect, rng)
    arrangement = Arrangement()
    is_roomy = len(links.objects) <= ROOMY
    for name in links.order:
        surroundings = surroundings_of(links, name, arrangement)
        proposals = Proposals(name, links, camera, distances[name], arrangement, rng)
        judged: list[tuple[tuple[float, float], Box, float]] = []
        flawless = 0
        while flawless < FLAWLESS and len(judged) < CANDIDATES:
            box, distance = proposals.draw()
            verdict = judge(box, distance, surroundings)
            judged.append((verdict, box, distance))
            flawless += verdict == (0, 0) or (is_roomy and verdict[0] == 0)
        (fault, _), box, distance = min(judged, key=lambda candidate: candidate[0])
        _put(arrangement, name, box, distance)
        arrangement.faults += fault
    return arrangement


def _distances(links: Links, aspect: float, shrink: float, rng: Random) -> dict[str, float]:
    """A distance for everything, in metres: large things far, small ones near, the largest filling its share."""
    objects = links.objects
    sizes = {name: item.size_m for name, item in objects.items() if not item.is_far} or dict.fromkeys(objects, 1.0)
    roots = [name for name in sizes if links.anchor_of(name).manner not in ATTACHED] or list(sizes)
    crowd = len([name for name in roots if not objects[name].is_aloft] or roots)
    crowding = min(crowd, CROWD) ** 0.33
    share = max(FILL * rng.uniform(0.92, 1.08) / crowding * min(1.0, CROWD / crowd) ** 0.5 * shrink, LEAST_FILL)
    span = max(sizes.values()) / min(sizes.values())
    smallest = SHORTEST_LONG_SIDE * finest(len(objects))
    gamma = min(GAMMA, math.log(max(share / smallest, 1.5)) / math.log(max(span, 1.1)))
    ratios = [big / small for big in sizes.values() for small in sizes.values() if big >= ORDERED_FROM * small]
    # no farther apart in depth than leaves the larger of two things larger
    least, step, most = SPREAD
    spread = min(least + step * crowd, most, ORDER * gamma * math.log(min(ratios, default=1e3)))
    distances: dict[str, float] = {}
    for name in sorted(objects, key=links.rank):
        item = objects[name]
        target, manner = links.anchor_of(name)
        distance = item.distance_m or item.size_m ** (1 - gamma) * math.exp(rng.uniform(-spread, spread))
        if target in distances and not objects[target].is_far:
            distance = _distance_from(distances[target], distance, manner)
        distances[name] = distance
    largest = max(_share(links, name, distances, aspect, share) for name in roots)
    side_by_side = [*links.rows["across"], *((n, a.target) for n, a in links.anchors.items() if a.manner == "beside")]
    far = any(objects[name].is_far for pair in side_by_side for name in pair)
    largest = max(largest, _widest_row(links, distances) / aspect / (WIDEST_ROW - FAR_WIDTH * far))
    return {name: distance * largest for name, distance in distances.items()}


def _distance_from(target: float, own: float, manner: str) -> float:
    """How far a thing is that lies at another in this manner, from the target's distance and what would be its own."""
    match manner:
        case "front":
            return min(own, 0.7 * target)
        case "behind":
            return max(own, 1.4 * target)
        case "beside":
            return (own * target) ** 0.5
    return own


def _share(links: Links, name: str, distances: dict[str, float], aspect: float, share: float) -> float:
    """How much farther away an object must be to fill its share of the picture, and to leave room for its load."""
    item = links.objects[name]
    side = min(share, MOST_FILLED.get(item.support, share))
    width_m, height_m = _pile(links, name, distances)
    sides = (item.width_m / aspect / side, item.height_m / side)
    return max(*sides, width_m / aspect / WIDEST_PILE, height_m / HIGHEST_PILE) / distances[name]


def _widest_row(links: Links, distances: dict[str, float]) -> float:
    """Width of the widest row of things that the words put side by side, in metres at a distance of 1."""
    widths = {
        name: 0.0 if item.is_far or links.anchor_of(name).manner in ATTACHED else item.width_m / distances[name]
        for name, item in links.objects.items()
    }
    widest: dict[str, float] = {}

    def row_from(name: str) -> float:
        if name not in widest:
            after = (row_from(b) for a, b in links.rows["across"] if a == name)
            widest[name] = widths[name] + max(after, default=0.0)
        return widest[name]

    beside = [
        widths[name] + widths[anchor.target] for name, anchor in links.anchors.items() if anchor.manner == "beside"
    ]
    return max((*(row_from(name) for name, _ in links.rows["across"]), *beside), default=0.0)


def _pile(links: Links, name: str, distances: dict[str, float]) -> tuple[float, float]:
    """(width, height) in metres of an object with all that rests on it or floats above it."""
    item = links.objects[name]
    width_m = item.width_m
    height_m = item.height_m
    for load_id, (target, manner) in links.anchors.items():
        load = links.objects[load_id]
        if target != name or manner not in ("on", "above") or load.support in ("sky", "ceiling"):
            continue
        rests = manner == "on"
        grow = enlargement_on(item, load) if rests else distances[name] / distances[load_id]
        load_width_m, load_height_m = _pile(links, load_id, distances)
        surface = surface_share(item.thing) if rests else 1.0
        width_m = max(width_m, load_width_m * grow)
        height_m = max(height_m, item.height_m * surface + load_height_m * grow)
    return width_m, height_m


def _aim(links: Links, distances: dict[str, float], aspect: float, rng: Random) -> Camera:
    """Height and tilt such that the nearest thing stands near the lower edge; a crowd is seen from higher up."""
    dependent = (*ATTACHED, "beside", "behind")
    standing = [
        distances[name]
        for name, item in links.objects.items()
        if not (item.hangs or name in links.backdrops or links.anchor_of(name).manner in dependent)
    ]
    horizon = rng.uniform(*(EYE_LEVELS if len(standing) <= CROWD else HIGH_EYE_LEVELS))
    lowest = rng.uniform(*(NEAREST_FEET if len(standing) > 2 else NEAREST_FEET_OF_FEW))
    return Camera(horizon, (lowest - horizon) * min(standing, default=1.0), aspect, finest(len(links.objects)))


def _put(arrangement: Arrangement, name: str, box: Box, distance: float) -> None:
    """Place an object: what is nearer hides what is farther."""
    hidden = 0.0
    for neighbour, at in arrangement.boxes.items():
        common = box.intersection(at)
        if distance > arrangement.distance[neighbour]:
            hidden += common / box.area
        else:
            arrangement.hidden[neighbour] += common / at.area
    arrangement.boxes[name] = box
    arrangement.distance[name] = distance
    arrangement.hidden[name] = hidden
