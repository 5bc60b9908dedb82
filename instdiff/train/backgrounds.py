"""Smooth backgrounds for the training scenes: a wall or sky over a floor or ground, and what lies between."""

from __future__ import annotations

import numpy as np

from instdiff.train.catalogue import COLOURS
from instdiff.train.places import LIGHT, NIGHT, Background, Rgb


def paint_background(
    kind: Background, rng: np.random.Generator, size: int, lowest: float = 1.0, by_day: bool = False
) -> tuple[np.ndarray, str]:
    """(S, S, 3) float32 0..255, and words for its light ("at night") or "". The horizon lies above ``lowest``."""
    horizon = rng.uniform(*kind.horizon)
    horizon = horizon if horizon >= 1 else max(min(horizon, lowest), 0.1)
    rows = max(int(horizon * size), 1)
    uppers = [colours for colours in kind.upper if colours != NIGHT or not by_day] or kind.upper
    upper, lower = (colours[rng.integers(len(colours))] for colours in (uppers, kind.lower))
    light = LIGHT.get(upper, "")
    ground = _gradient(*lower, size - rows, size)
    if light == "at night":
        ground *= np.float32((0.45, 0.5, 0.7))
    picture = np.concatenate([_gradient(*upper, rows, size), ground])
    if kind.between:
        BETWEEN[kind.between](picture, rows, rng)
    if light == "at night":
        _stars(picture, max(int(rows * 0.6), 1), rng)
    return _uneven(picture, rng, 5.0), light


def paint_plain(rng: np.random.Generator, size: int) -> tuple[np.ndarray, str]:
    """(S, S, 3) float32 0..255, one colour running into a near one in any direction, and the colour's name or ""."""
    name = ""
    if rng.random() < 0.5:
        name = list(COLOURS)[rng.integers(len(COLOURS))] if rng.random() < 0.7 else "white"
        first = np.float32(COLOURS[name])
        second = np.clip(first + rng.normal(0, 8, 3), 0, 255)
    else:
        first = rng.uniform(30, 250, 3)
        second = np.clip(first + rng.normal(0, 30, 3), 0, 255)
    across, down = rng.normal(size=2)
    ramp = across * np.linspace(-1, 1, size)[None, :] + down * np.linspace(-1, 1, size)[:, None]
    ramp = ((ramp - ramp.min()) / (np.ptp(ramp) + 1e-6))[..., None]
    return _uneven((first * (1 - ramp) + second * ramp).astype(np.float32), rng, 4.0), name


def _gradient(top: Rgb, bottom: Rgb, rows: int, size: int) -> np.ndarray:
    ramp = np.linspace(0, 1, rows, dtype=np.float32)[:, None, None]
    column = np.float32(top) * (1 - ramp) + np.float32(bottom) * ramp
    return np.repeat(column, size, axis=1)


def _uneven(picture: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    """A soft, low-frequency change of brightness and tint, so that no two backgrounds are the same."""
    import cv2

    size = picture.shape[0]
    noise = cv2.resize(rng.normal(0, strength, (5, 5)).astype(np.float32), (size, size), interpolation=cv2.INTER_CUBIC)
    return np.clip(picture + noise[..., None] + rng.normal(0, 5, 3).astype(np.float32), 0, 255)


def _skyline(rows: int, size: int, rng: np.random.Generator, height: float) -> np.ndarray:
    """(S,) row of a rolling line that rises up to ``height`` picture sides above row ``rows``."""
    x = np.linspace(0, 2 * np.pi, size)
    waves = sum(np.sin(k * rng.uniform(0.5, 1.2) * x + rng.uniform(0, 6.3)) / k for k in (1, 2, 3))
    return rows - size * height * (waves - waves.min()) / np.ptp(waves)


def _hills(picture: np.ndarray, rows: int, rng: np.random.Generator) -> None:
    size = picture.shape[0]
    tint = 0.6 * picture[min(rows + 2, size - 1), 0] + 0.4 * picture[rows - 1, 0]
    line = _skyline(rows, size, rng, rng.uniform(0.04, 0.16))
    cover = np.clip(np.arange(rows)[:, None] - line[None, :], 0, 1)[..., None]
    picture[:rows] += cover * (tint - picture[:rows])


def _bushes(picture: np.ndarray, rows: int, rng: np.random.Generator) -> None:
    size = picture.shape[0]
    y, x = np.mgrid[:rows, :size].astype(np.float32)
    green = np.float32((70, 130, 66)) + rng.normal(0, 10, 3).astype(np.float32)
    for centre in np.arange(rng.uniform(-0.1, 0.1), 1.1, 0.16) * size:
        radius = size * rng.uniform(0.07, 0.14)
        cover = np.clip(radius - np.hypot(x - centre, (y - rows) * 1.3), 0, 1)[..., None]
        shade = green * (0.85 + 0.3 * (rows - y) / (2 * radius))[..., None]
        picture[:rows] += cover * (shade - picture[:rows])


def _sea(picture: np.ndarray, rows: int, rng: np.random.Generator) -> None:
    size = picture.shape[0]
    depth = max(int(size * rng.uniform(0.06, 0.14)), 2)
    picture[rows - depth : rows] = _gradient((40, 122, 190), (112, 196, 214), depth, size)
    picture[rows : rows + max(size // 100, 1)] = (248, 248, 244)


def _waves(picture: np.ndarray, rows: int, rng: np.random.Generator) -> None:
    size = picture.shape[0]
    for _ in range(14):
        row, left = int(rng.uniform(rows + 2, size - 2)), int(rng.uniform(0, size * 0.9))
        picture[row : row + max(size // 128, 1), left : left + int(size * rng.uniform(0.05, 0.16))] += 24


def _buildings(picture: np.ndarray, rows: int, rng: np.random.Generator) -> None:
    size = picture.shape[0]
    left = 0
    while left < size:
        width, height = int(size * rng.uniform(0.1, 0.2)), int(min(size * rng.uniform(0.12, 0.34), rows))
        colour = np.float32(rng.uniform(120, 205, 3)) * 0.5 + np.float32((170, 165, 170)) * 0.5
        block = picture[rows - height : rows, left : left + width]
        block[:] = colour
        step = max(size // 22, 4)
        for top in range(step // 2, height - step // 2, step):
            for side in range(step // 2, width - step // 2, step):
                block[top : top + step // 2, side : side + step // 2] = colour * 0.72
        left += width + int(size * rng.uniform(0, 0.03))
    kerb = max(size // 40, 2)
    picture[rows : rows + kerb] = (196, 194, 190)
    line = int(rows + (size - rows) * 0.55)
    for start in range(int(rng.uniform(0, size / 8)), size, size // 4):
        picture[line : line + kerb, start : start + size // 8] = (232, 228, 214)


def _stars(picture: np.ndarray, rows: int, rng: np.random.Generator) -> None:
    size = picture.shape[0]
    for _ in range(40):
        y, x = int(rng.uniform(0, rows * 0.95)), int(rng.uniform(0, size - 1))
        picture[y : y + 1 + size // 256, x : x + 1 + size // 256] = rng.uniform(150, 255)


def _skirting(picture: np.ndarray, rows: int, rng: np.random.Generator) -> None:
    height = max(int(picture.shape[0] * rng.uniform(0.015, 0.035)), 1)
    picture[rows - height : rows] = np.minimum(picture[rows - height : rows] * 0.6 + 105, 255)


def _tiles(picture: np.ndarray, rows: int, rng: np.random.Generator) -> None:
    size = picture.shape[0]
    step = int(size * rng.uniform(0.07, 0.11))
    line = max(size // 170, 1)
    for offset in range(line):
        picture[rows % step + offset : rows : step] *= 0.93
        picture[:rows, offset::step] *= 0.93


BETWEEN = {
    "hills": _hills,
    "bushes": _bushes,
    "sea": _sea,
    "waves": _waves,
    "buildings": _buildings,
    "skirting": _skirting,
    "tiles": _tiles,
}
