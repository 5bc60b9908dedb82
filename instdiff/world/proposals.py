"""Where an object may be seen: one possible box at a time, for the camera to choose from.

Boxes are fractions of the picture, distances are metres.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from random import Random
from typing import NamedTuple

from instdiff.layout import Box
from instdiff.world.alignment import STEEP, aligned, in_line, moved
from instdiff.world.arrangement import Arrangement, Camera, enlargement_on
from instdiff.world.bearing import Bearing, borne_box, room_for, seat_foot, sits_on
from instdiff.world.links import ATTACHED, BORNE, Links
from instdiff.world.placement import (
    FLAT_HEIGHT,
    LONGEST_SIDE,
    SHORTEST_LONG_SIDE,
    SHORTEST_SIDE,
    surface_in,
)
from instdiff.world.predicates import Predicate
from instdiff.world.relations import WHOLE, middle_x, middle_y
from instdiff.world.scene import SceneObject

MARGIN = 0.012  # what is moved into the frame keeps so far from its edge
FAR = 1e6  # the distance of what hangs behind everything on the ground
LOOKS_LARGER = 1.3  # what is to look larger has at least so much more area
# how much nearer and farther than what it is anchored to, as factors
DEPTHS = {"front": (0.0, 0.85), "behind": (1.2, FAR), "beside": (0.2, 2.0)}
# fractions of the picture
CLEAR = 0.02  # how surely a centre is above or below what it must be above or below
WIDEST_GAP = 0.11  # between things that stand beside each other
DRESSED = 0.24  # how high who wears or holds something is at least, for it to be seen
LEVEL = 0.02  # how far from another's the foot of what stands beside it is
STEP = 0.03  # how much lower the foot of what is in front is, and how far from the frame centres begin
LOW_WINDOW = 0.3  # a window that begins below this line is one of the lower ones
LOAD_WIDTH = 0.085  # what each thing on a carrier needs of its width
WIDEST_CARRIER = 0.6  # what a carrier is grown to for its load, at most
# shares of the wider of two things
ASIDE = 0.6  # how far to the side a thing may be of what it is in front of or behind
ASIDE_ABOVE = 0.3  # ... of what it floats above


class SizeBounds(NamedTuple):
    """What the areas of the things that are placed ask of another's: it is to be, or to look, larger or smaller.

    ``smaller`` and ``larger`` are the largest area of those that must look smaller, and the smallest of those that
    must look larger, which give way to a box that is far from them; ``least`` and ``most`` do not give way.
    """

    smaller: float = 0.0
    larger: float = math.inf
    least: float = 0.0
    most: float = 1.0


NO_BOUNDS = SizeBounds()


@dataclass
class Proposals:
    """Draws possible boxes of one object of a scene that joins an arrangement; ``usual_m`` is where it belongs."""

    name: str
    links: Links
    camera: Camera
    usual_m: float
    arrangement: Arrangement
    rng: Random

    def __post_init__(self) -> None:
        self.item = self.links.objects[self.name]
        self.target, self.manner = self.links.anchor_of(self.name)
        self.window = self.links.window[self.name]
        self.is_backdrop = self.name in self.links.backdrops
        self.depth_m = self.item.thing.depth_m if self.item.thing else None  # of what lies flat

    def draw(self) -> tuple[Box, float]:
        """One possible box of the object, and its distance, given what is placed."""
        if self.manner in BORNE.values():
            return self._borne()
        if self.manner in ("on", "under"):
            box, distance = self._attached()
        elif self.item.hangs:
            box, distance = self._hanging()
        elif self._is_at_the_back:
            box, distance = self._at_the_back()
        else:
            box, distance = self._standing()
        return self._aligned(self._fit_size(box)), distance

    @cached_property
    def _is_at_the_back(self) -> bool:
        is_near = any(self.name == near for near, _ in self.links.rows["away"])
        return self.is_backdrop and not self.manner and not is_near

    def _aligned(self, box: Box) -> Box:
        """The box, moved until it is seen to lie in the directions that the words say from what is placed."""
        placed = self.arrangement.boxes
        may_rise = self.manner not in ATTACHED
        for other, direction in self.links.directions[self.name].items():
            if other in placed:
                box = aligned(box, direction, placed[other], may_rise)
        a, b = self.links.between.get(self.name, ("", ""))
        if a in placed and b in placed:
            box = in_line(self._between(box, placed[a], placed[b]), placed[a], placed[b])
        return box

    def _between(self, box: Box, a: Box, b: Box) -> Box:
        """The box in the gap between two others, where there is one."""
        gap = b.x0 - a.x1 - box.width
        x = (a.x1 + b.x0) / 2 + self.rng.uniform(-0.4, 0.4) * max(gap, 0.0)
        return moved(box, x, middle_y(box))

    def _hanging(self) -> tuple[Box, float]:
        """A box on the wall, under the ceiling, in the sky, or floating above what it belongs to."""
        links = self.links
        item = self.item
        manner = self.manner
        x0, x1, y0, y1 = self.window
        distance = self.usual_m * self.rng.uniform(0.95, 1.1)
        width, height = self._apparent() if item.is_far else self._extent(distance)
        at = self.arrangement.boxes.get(self.target, WHOLE)
        centre = self._centre_within(x0, x1, width)
        if manner == "above":
            if len(links.borne(self.target, "above")) == 1:
                centre = middle_x(at) + self.rng.uniform(-ASIDE_ABOVE, ASIDE_ABOVE) * max(at.width, width)
            at = self._highest_below(at)
            near = at.y0 - height / 2 - (0.06 if item.support == "air" else 1.0)
            is_at_top = any(ask.subject == self.name and ask.predicate is Predicate.TOP for ask in links.demands)
            y1 = min(max(at.y0 - height / 2 + CLEAR, height / 2 + MARGIN), y1 if is_at_top else 1.0)
            y0 = max(y0, min(near, y1))
        elif manner == "beside":
            centre = self._centre_beside(at, width)
            y0 = max(y0, at.y0)
            y1 = min(y1, at.y1)
        elif manner == "level":
            if any(self.name in ends for ends in links.between.values()):
                y0 = max(y0, at.y0 - height / 2)
                y1 = min(y1, at.y1)
        elif manner:
            centre = middle_x(at) + self.rng.uniform(-ASIDE, ASIDE) * max(at.width, width)
        top = max(y0, height / 2 + 0.04)
        lowest = max(min(y1, self._lowest_hanging(height, y0)), top)
        bottom = self.rng.uniform(top, lowest) + height / 2
        if item.support == "ceiling" and manner != "above" and y0 < LOW_WINDOW:
            lamps = sum(lamp.support == "ceiling" for lamp in links.objects.values())
            bottom = height * self.rng.uniform(1, 1 + 0.2 * max(lamps - 4, 0))  # many hang in rows
        return _frame(centre, bottom, width, height), self._distance_hanging(distance)

    def _distance_hanging(self, distance: float) -> float:
        """The distance of what hangs: behind everything in the sky and on a wall, but before what it is in front of."""
        behind = [far for near, far in self.links.rows["away"] if near == self.name]
        if not behind:
            return FAR if self.item.support in ("sky", "wall") else distance
        placed = self.arrangement.distance
        return min(distance, *(0.8 * placed.get(far, FAR) for far in behind))

    def _highest_below(self, at: Box) -> Box:
        """Of a box and all that a thing is to be above, the highest."""
        placed = self.arrangement.boxes
        below = (placed[lower] for upper, lower in self.links.rows["down"] if upper == self.name and lower in placed)
        return min((at, *below), key=lambda box: box.y0)

    def _lowest_hanging(self, height: float, y0: float) -> float:
        """How low the centre may be of what hangs: above the ground if nothing asks for less."""
        rows = self.links.rows
        is_below = any(self.name == lower for _, lower in rows["down"])
        is_near = any(self.name == near for near, _ in rows["away"])
        is_end = any(self.name in ends for ends in self.links.between.values())
        if self.manner not in ("", "level") or is_end or y0 > LOW_WINDOW or is_below or is_near:
            return 1.0
        return 0.96 - height / 2 if self.links.nothing_stands else self.camera.horizon - height / 3

    def _at_the_back(self) -> tuple[Box, float]:
        """A box of what stands on the horizon."""
        objects = self.links.objects
        x0, x1, y0, _ = self.window
        backdrops = len(self.links.backdrops)
        width, height = self._apparent()
        lone = len(objects) == 1
        bottom = self.camera.horizon + (0.3 if lone else self.rng.uniform(0.0, min(0.05 * backdrops, 0.4)))
        if y0 > LOW_WINDOW:
            bottom = max(bottom, y0 + height / 2 + CLEAR)
        centre = self._centre_within(x0, x1, width)
        return _frame(centre, bottom, width, min(height, bottom - MARGIN)), FAR / 2

    def _standing(self) -> tuple[Box, float]:
        """A box that stands on the ground, or on water, at its distance."""
        x0, x1, y0, y1 = self.window
        distance = self.usual_m * self.rng.uniform(0.92, 1.1)
        if self.manner and (away := self.arrangement.distance[self.target]) < FAR / 4:
            nearest, farthest = DEPTHS[self.manner]
            distance = away * min(max(distance / away, nearest), farthest)
        width, height = self._apparent() if self.is_backdrop else self._extent(distance)
        grow = self._growth_for_load(width, height)
        width *= grow
        height *= grow
        bottom = self.camera.ground(distance)
        if self.manner:
            centre, bottom = self._at_neighbour(self.arrangement.boxes[self.target], bottom, width, height)
        else:
            centre = self._centre_within(x0, x1, width)
        if self.depth_m:
            bottom += height / 3
            distance *= 1.3
        if y0 > LOW_WINDOW:
            bottom = max(bottom, y0 + height / 2 + CLEAR)
        return _frame(centre, min(bottom, y1 + height / 2) if y1 < 1 else bottom, width, height), distance

    @cached_property
    def _bears(self) -> bool:
        return any(self.links.borne(self.name, manner) for manner in ("on", *BORNE.values()))

    def _growth_for_load(self, width: float, height: float) -> float:
        """How much a carrier or container is enlarged to have room for all that is on or in it."""
        if not self._bears:
            return 1.0
        load = LOAD_WIDTH * self.links.load(self.name)
        contents = len(self.links.borne(self.name, "in"))
        columns, rows = room_for(contents, width * self.camera.aspect / height)
        cell = LOAD_WIDTH * self.camera.finest
        needed = max(load / width, contents and columns * cell / width, contents and rows * cell / height)
        if self.links.borne(self.name, "worn") or self.links.borne(self.name, "held"):
            needed = max(needed, DRESSED * self.camera.finest / height)
        return max(min(needed, WIDEST_CARRIER / max(width, height)), 1.0)

    def _borne(self) -> tuple[Box, float]:
        """A box in a container, at a hand or on a body; smaller things are drawn over larger ones."""
        at = self.arrangement.boxes[self.target]
        others = self.links.borne(self.target, self.manner)
        place = (others.index(self.name), len(others))
        shortest = (SHORTEST_SIDE * self.camera.finest, SHORTEST_LONG_SIDE * self.camera.finest)
        bearing = Bearing(self.links.objects[self.target], at, self.camera.aspect, shortest)
        box = borne_box(self.manner, bearing, self.item, place, self.rng)
        return box, self.arrangement.distance[self.target] * (0.996 + 0.002 * min(box.area / at.area, 1.0))

    def _at_neighbour(self, at: Box, bottom: float, width: float, height: float) -> tuple[float, float]:
        """(centre, bottom) of what stands beside, behind or in front of another thing."""
        if self.manner == "beside":
            bottom = at.y1 + self.rng.uniform(-1, 1) * LEVEL
            return self._centre_beside(at, width, abs(bottom - height / 2 - middle_y(at))), bottom
        centre = middle_x(at) + self.rng.uniform(-ASIDE, ASIDE) * max(at.width, width)
        return centre, min(bottom, at.y1 - STEP) if self.manner == "behind" else max(bottom, at.y1 + STEP)

    @cached_property
    def _enlargement(self) -> float:
        return enlargement_on(self.links.objects[self.target], self.item)

    def _attached(self) -> tuple[Box, float]:
        """A box on, or under, the object it belongs to."""
        at = self.arrangement.boxes[self.target]
        carrier = self.links.objects[self.target]
        load = self.links.load(self.target)
        is_high = carrier.height_m > carrier.width_m
        scale = at.height / carrier.height_m if is_high else at.width * self.camera.aspect / carrier.width_m
        width, height = self._extent(1 / (scale * self._enlargement))
        if self.manner == "under":
            fit = min(1.0, 0.62 * at.height / height, 1.1 * at.width / width)
            bottom = at.y1 + self.rng.uniform(-CLEAR, CLEAR)
        elif sits_on(self.item, carrier):
            fit = 1.0
            bottom = seat_foot(carrier, at, height)
        else:
            fit = min(1.0, max(1.15 * at.width / (width * load), 0.6)) if load > 1 else 1.0
            bottom = self._foot_on(carrier, at, height * fit, load * width * fit / at.width)
            fit = min(fit, (bottom - MARGIN) / height) if bottom > 0.1 else fit
        width, height = (max(side * fit, SHORTEST_SIDE * self.camera.finest) for side in (width, height))
        play = max(at.width - width, 0.3 * at.width if load > 1 or width < 0.5 * at.width else 0.0)
        centre = middle_x(at) + self.rng.uniform(-0.5, 0.5) * play
        nearness = 1.01 if self.depth_m and self.manner == "under" else 0.999
        return _frame(centre, bottom, width, height), self.arrangement.distance[self.target] * nearness

    def _foot_on(self, carrier: SceneObject, at: Box, height: float, crowding: float) -> float:
        """Where the foot of what rests on a carrier is seen; a crowd stands in rows, the nearer ones lower."""
        lowest = middle_y(at) + height / 2 - CLEAR  # lower down it would no longer be on top
        if carrier.is_flat:
            return min(self.rng.uniform(at.y0 + 0.2 * at.height, at.y1), max(lowest - STEP, at.y0))
        top = surface_in(carrier.thing, at)
        if crowding > 0.9 and lowest < at.y1:
            return self.rng.uniform(top, max(lowest, top))
        return min(top, max(lowest, at.y0))

    @cached_property
    def _size_bounds(self) -> SizeBounds:
        areas = {name: box.area for name, box in self.arrangement.boxes.items()}
        much_larger = self.links.much_larger
        larger = much_larger.get(self.name, ())
        sizes = self.links.rows["size"]
        return SizeBounds(
            max((area for name, area in areas.items() if self.name in much_larger.get(name, ())), default=0.0),
            min((area for name, area in areas.items() if name in larger), default=math.inf),
            max((areas[b] * LOOKS_LARGER for a, b in sizes if a == self.name and b in areas), default=0.0),
            min((1.0, *(areas[a] / LOOKS_LARGER for a, b in sizes if b == self.name and a in areas))),
        )

    def _fit_size(self, box: Box) -> Box:
        """The box, grown or shrunk until it looks larger or smaller than other things as it must."""
        bounds = self._size_bounds
        if bounds == NO_BOUNDS:
            return box
        area = box.area
        low = max(min(1.02 * bounds.smaller, 1.7 * area), bounds.least)
        high = min(max(0.98 * bounds.larger, 0.6 * area), bounds.most)
        scale = (min(max(area, low), max(high, low)) / area) ** 0.5
        if scale == 1:
            return box
        width = box.width * scale
        height = box.height * scale
        if max(width, height) > 1 - 2 * MARGIN:  # a long box has no room to grow: it grows wider
            width, height = min(max(width, low), 0.95), min(max(height, low / min(width, 0.95)), 0.95)
        return _frame(middle_x(box), box.y1, width, height)

    def _extent(self, distance: float) -> tuple[float, float]:
        """(width, height) on the picture, kept between a speck and the frame."""
        camera = self.camera
        width, height = camera.extent(self.item.width_m, self.item.height_m, distance)
        if self.depth_m and not self.item.hangs:
            half = self.depth_m / 2
            depth = camera.ground(max(distance - half, distance * 0.6)) - camera.ground(distance + half)
            height = max(depth, FLAT_HEIGHT * width * camera.aspect)
        grow = max(1.0, SHORTEST_LONG_SIDE * camera.finest / max(width, height))
        fit = min(1.0, LONGEST_SIDE / max(width * grow, height * grow))
        shortest = SHORTEST_SIDE * camera.finest
        return max(width * grow * fit, shortest), max(height * grow * fit, shortest)

    def _apparent(self) -> tuple[float, float]:
        """(width, height) of what is so far away that its real size does not show: its usual share, less in a crowd.

        Raises ValueError for what has no usual share.
        """
        item = self.item
        if item.thing is None or item.thing.apparent is None:
            raise ValueError(f"{item.category} has no usual share of the picture")
        objects = self.links.objects
        alike = sum(far_item.is_far and far_item.is_backdrop == item.is_backdrop for far_item in objects.values())
        is_alone = self.links.nothing_stands and len(objects) <= 3
        share = 1.7 if is_alone else min(1.0, (1 if item.is_backdrop else 6) / alike) ** 0.5
        scale = self.rng.uniform(*item.thing.apparent) * share / item.longest_m
        width = item.width_m * scale / max(self.camera.aspect, 1.0)
        height = item.height_m * scale * min(self.camera.aspect, 1.0)
        grow = max(1.0, SHORTEST_SIDE / min(width, height))
        return width * grow, height * grow

    def _centre_beside(self, at: Box, width: float, down: float = 0.0) -> float:
        """The centre of a box that stands left or right of another with a small gap; ``down`` parts their centres."""
        gap = self.rng.uniform(-0.01, 0.06)
        gap = max(gap, min(STEEP * down + CLEAR - (at.width + width) / 2, WIDEST_GAP))
        centres = (at.x0 - gap - width / 2, at.x1 + gap + width / 2)
        with_room = [x for x in centres if x - width / 2 >= MARGIN and x + width / 2 <= 1 - MARGIN]
        return self.rng.choice(with_room or centres)

    def _centre_within(self, x0: float, x1: float, width: float) -> float:
        """A centre in the window such that the box keeps clear of the frame where it can."""
        low = max(x0, width / 2 + STEP)
        high = min(x1, 1 - STEP - width / 2)
        return self.rng.uniform(low, high) if low < high else min(max((x0 + x1) / 2, width / 2), 1 - width / 2)


def _frame(centre: float, bottom: float, width: float, height: float) -> Box:
    """The box of this size, moved into the frame where it would leave it."""
    width = min(width, 1 - 2 * MARGIN)
    height = min(height, 1 - 2 * MARGIN)
    centre = min(max(centre, width / 2 + MARGIN), 1 - width / 2 - MARGIN)
    bottom = min(max(bottom, height + MARGIN), 1 - MARGIN)
    return Box(x0=centre - width / 2, y0=bottom - height, x1=centre + width / 2, y1=bottom)
