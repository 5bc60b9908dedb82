"""Where the things of a training scene go: freely, or as the planners' camera sees them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from instdiff.train.world import TABLES, Corners, World, alike

MOST = 12
SMALLEST, LARGEST = 0.07, 1.1
STRETCH = 1.35  # how far from its natural shape a thing is drawn to fill its box


@dataclass(frozen=True)
class Placed:
    """A thing before it is painted; all lengths are fractions of the picture's side.

    ``depth`` orders the painting: the smallest first. ``standing`` things get a contact shadow, and belong below the
    horizon. ``carrier`` is the depth of what it is on, or None.
    """

    category: str
    left: float
    top: float
    width: float
    height: float
    depth: float
    standing: bool
    carrier: float | None = None


def number_of_instances(rng: np.random.Generator) -> int:
    """1 to 12, about 4 on average; now and then a crowd."""
    if rng.random() < 0.06:
        return int(rng.integers(8, MOST + 1))
    return int(np.clip(rng.poisson(2.8) + 1, 1, MOST))


def choose_categories(count: int, names: Sequence[str], rng: np.random.Generator) -> list[str]:
    """``count`` out of ``names``; a third of them again what is there already."""
    chosen = [names[rng.integers(len(names))]]
    while len(chosen) < count:
        pool = chosen if rng.random() < 0.3 else names
        chosen.append(pool[rng.integers(len(pool))])
    return chosen


def place_freely(names: Sequence[str], ratios: Sequence[float], rng: np.random.Generator) -> list[Placed]:
    """Anything anywhere, at any size. ``ratios``: natural width / height of each."""
    placed = []
    largest = LARGEST if len(names) < 4 else 0.7 if len(names) < 8 else 0.4
    for name, ratio in zip(names, ratios, strict=True):
        side = float(np.exp(rng.uniform(np.log(SMALLEST if rng.random() < 0.3 else 0.16), np.log(largest))))
        ratio = ratio * float(np.exp(rng.normal(0, 0.15)))
        width, height = side * ratio**0.5, side / ratio**0.5
        shrink = min(1.0, LARGEST / max(width, height))
        width, height = width * shrink, height * shrink
        left, top = (_start(length, rng) for length in (width, height))
        placed.append(Placed(name, left, top, width, height, depth=rng.random() - width * height, standing=False))
    return placed


def _start(length: float, rng: np.random.Generator) -> float:
    """Left or top of a thing: inside the picture, or (1 in 6, or too large) cut by its border with at least 3/4 left."""
    if rng.random() < 1 / 6 or length >= 1:
        return float(rng.choice([-rng.uniform(0, 0.25) * length, 1 - rng.uniform(0.75, 1) * length]))
    return float(rng.uniform(0, 1 - length))


def place_in_world(
    world: World, names: tuple[str, ...], ratio_of: Callable[[str], float], wet: bool, rng: np.random.Generator
) -> list[Placed]:
    """A world's things seen a little differently: mirrored, nearer or farther, some left out, some replaced.

    ``ratio_of`` tells the natural width / height of a category; it is asked once for each thing placed, in order.
    Things keep their boxes' areas, bottoms and centres.
    """
    flip, zoom = rng.random() < 0.5, float(np.exp(rng.uniform(-0.12, 0.2)))
    middle = 0.5 + rng.uniform(-0.06, 0.06)
    carriers = {thing.carrier for thing in world.things}
    placed: dict[int, Placed] = {}
    for index, thing in enumerate(world.things):
        gone = rng.random() < 0.07 or (thing.carrier is not None and thing.carrier not in placed)
        twins = alike(names).get(thing.category, ())
        swapped = rng.random() < 0.2 and index not in carriers and bool(twins)
        if gone:
            continue
        category = twins[rng.integers(len(twins))] if swapped else thing.category
        x0, y0, x1, y1 = thing.box
        x0, x1 = (1 - x1, 1 - x0) if flip else (x0, x1)
        box = ((x0 - middle) * zoom + middle, (y0 - 0.6) * zoom + 0.6, (x1 - middle) * zoom + middle, (y1 - 0.6) * zoom + 0.6)
        hangs = thing.support in ("sky", "wall", "ceiling", "air") and thing.carrier is None
        left, top, width, height = _fitted(box, ratio_of(category), hangs)
        if thing.carrier is not None:
            left, top = _on(placed[thing.carrier], world.things[thing.carrier].box, thing.box, flip, width, height)
        standing = not hangs and thing.carrier is None and not wet
        placed[index] = Placed(category, left, top, width, height, index, standing, thing.carrier)
    return list(placed.values())


def _fitted(box: Corners, ratio: float, hangs: bool) -> tuple[float, float, float, float]:
    """(left, top, width, height) of a thing of this natural shape in about this box; it stands on the box's bottom."""
    width, height = box[2] - box[0], box[3] - box[1]
    area, shape = width * height, float(np.clip(width / height, ratio / STRETCH, ratio * STRETCH))
    fitted = ((area * shape) ** 0.5, (area / shape) ** 0.5)
    top = (box[1] + box[3] - fitted[1]) / 2 if hangs else box[3] - fitted[1]
    return (box[0] + box[2] - fitted[0]) / 2, top, *fitted


def _on(carrier: Placed, at: Corners, box: Corners, flip: bool, width: float, height: float) -> tuple[float, float]:
    """(left, top) of a thing on a carrier that has been moved and reshaped: the same part of it is under its foot.

    A table's top is drawn as seen from above, so what is on it stands a little in front of its far edge.
    """
    across = ((box[0] + box[2]) / 2 - at[0]) / (at[2] - at[0])
    down = (box[3] - at[1]) / (at[3] - at[1])
    if carrier.category in TABLES:
        down = max(down, 0.14)
    foot = carrier.left + (1 - across if flip else across) * carrier.width
    return foot - width / 2, carrier.top + down * carrier.height - height
