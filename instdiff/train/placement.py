"""Where the things of a training scene go: freely, or standing on the ground with sizes that fit each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from instdiff.train.backgrounds import Background
from instdiff.train.catalogue import THINGS

SMALLEST, LARGEST = 0.08, 0.95


@dataclass(frozen=True)
class Placed:
    """A thing before it is painted; all lengths are fractions of the picture's side.

    ``depth`` orders the painting: the smallest first. ``standing`` things get a contact shadow.
    """

    category: str
    left: float
    top: float
    width: float
    height: float
    depth: float
    standing: bool


def number_of_instances(rng: np.random.Generator) -> int:
    """1 to 10, about 4 on average."""
    return int(np.clip(rng.poisson(3.9) + 1 - (rng.random() < 0.3), 1, 10))


def choose_categories(count: int, scene: str | None, names: Sequence[str], rng: np.random.Generator) -> list[str]:
    """Names of things at home in ``scene`` (any for None); a third of them again what is there already."""
    if scene == "table":
        fitting = [name for name in names if THINGS[name].place == "small"]
    else:
        fitting = [name for name in names if scene is None or scene in THINGS[name].scenes]
    fitting = fitting or list(names)
    chosen = [fitting[rng.integers(len(fitting))]]
    while len(chosen) < count:
        pool = chosen if rng.random() < 0.3 else fitting
        chosen.append(pool[rng.integers(len(pool))])
    return chosen


def place_freely(names: Sequence[str], ratios: Sequence[float], rng: np.random.Generator) -> list[Placed]:
    """Anything anywhere, at any size. ``ratios``: natural width / height of each."""
    placed = []
    largest = LARGEST if len(names) < 4 else 0.7
    for name, ratio in zip(names, ratios, strict=True):
        side = float(np.exp(rng.uniform(np.log(0.13), np.log(largest))))
        width, height = _sides(side, ratio, rng)
        left, top = (_start(length, rng) for length in (width, height))
        placed.append(Placed(name, left, top, width, height, depth=rng.random() - width * height, standing=False))
    return placed


def place_on_ground(
    names: Sequence[str], ratios: Sequence[float], background: Background, horizon: float, rng: np.random.Generator
) -> list[Placed]:
    """Things stand below the horizon, nearer ones lower and larger; others fly above it or hang on the wall."""
    heights = np.array([THINGS[name].height_m for name in names])
    # real sizes differ by a factor of 75: the square root keeps the order and lets both be seen
    relative = np.sqrt(heights / np.exp(np.log(heights).mean()))
    unit = float(np.exp(rng.uniform(np.log(0.2), np.log(0.7 if len(names) < 5 else 0.45))))
    placed: list[Placed] = []
    for name, ratio, scale in zip(names, ratios, relative, strict=True):
        place = THINGS[name].place
        tables = [other for other in placed if other.category == "table"]
        flies = place in ("sky", "wall") and not (name == "bird" and rng.random() < 0.4)
        if flies:
            width, height = _sides(float(np.clip(unit * scale * rng.uniform(0.7, 1.2), SMALLEST, 0.5)), ratio, rng)
            top = rng.uniform(0.02, max(horizon - 0.8 * height, 0.06))
            placed.append(Placed(name, _start(width, rng), top, width, height, depth=top - 1, standing=False))
        elif place == "small" and tables and rng.random() < 0.7:
            table = tables[0]
            width, height = _sides(float(np.clip(unit * scale * 0.7, SMALLEST, 0.8 * table.width)), ratio, rng)
            left = table.left + rng.uniform(0.05, 0.95) * (table.width - width)
            top = table.top + rng.uniform(0.06, 0.2) * table.height - height
            placed.append(Placed(name, left, top, width, height, depth=table.depth + 0.001, standing=False))
        else:
            bottom = rng.uniform(horizon + 0.06, 1.0 if rng.random() < 0.85 else 1.12)
            nearness = 0.65 + 0.8 * (bottom - horizon) / (1.05 - horizon)
            width, height = _sides(float(np.clip(unit * scale * nearness, SMALLEST, LARGEST)), ratio, rng)
            # a rug lies under what stands on it; water carries boats without a shadow
            depth = bottom - height if name == "rug" else bottom
            standing = background.scene != "water"
            placed.append(Placed(name, _start(width, rng), bottom - height, width, height, depth, standing))
    return placed


def _sides(side: float, ratio: float, rng: np.random.Generator) -> tuple[float, float]:
    """(width, height) of a thing whose mean side is ``side``, in about its natural shape."""
    ratio = ratio * float(np.exp(rng.normal(0, 0.2)))
    width, height = side * ratio**0.5, side / ratio**0.5
    shrink = min(1.0, LARGEST / max(width, height))
    return width * shrink, height * shrink


def _start(length: float, rng: np.random.Generator) -> float:
    """Left or top of a thing: inside the picture, or (1 in 6) cut by its border with at least 3/4 left."""
    if rng.random() < 1 / 6:
        return float(rng.choice([-rng.uniform(0, 0.25) * length, 1 - rng.uniform(0.75, 1) * length]))
    return float(rng.uniform(0, 1 - length))
