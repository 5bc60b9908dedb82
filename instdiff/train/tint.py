"""Paints a sprite anew: in another colour, or with a texture; shading, highlights and parts of another hue stay."""

from __future__ import annotations

import numpy as np

from instdiff.train.catalogue import COLOURS

# what a pattern of two colours is completed with
_SECOND = {"white": "blue", "gray": "white", "black": "white", "yellow": "blue", "pink": "white"}


def painted(rgba: np.ndarray, colour: str | None, texture: str | None = None) -> np.ndarray:
    """(H, W, 4) uint8 in a colour of `COLOURS` and a texture of `TEXTURES`; None leaves that as it is."""
    if texture in ("wooden", "metal"):
        return _solid(rgba, colour, texture)
    plain = rgba if colour is None else recolour(rgba, colour)
    if texture is None:
        return plain
    other = recolour(rgba, _SECOND.get(colour, "white"))
    cover = _pattern(texture, *rgba.shape[:2])[..., None]
    mixed = plain[..., :3] + cover * (other[..., :3].astype(np.float32) - plain[..., :3])
    return np.dstack([(mixed + 0.5).astype(np.uint8), rgba[..., 3]])


def _pattern(texture: str, height: int, width: int) -> np.ndarray:
    """(H, W) 0..1 float32: where the second colour goes; five to six repeats along the longer side."""
    step = max(height, width) / 5.5
    y, x = np.mgrid[:height, :width].astype(np.float32) / step
    if texture == "striped":
        return _ramp(np.sin(2 * np.pi * x), -0.12, 0.12)
    if texture == "dotted":
        # every second row is shifted by half a step
        row = np.floor(1.4 * y)
        across, down = (1.4 * x + 0.5 * (row % 2)) % 1 - 0.5, (1.4 * y) % 1 - 0.5
        return _ramp(np.hypot(across, down), 0.32, 0.26)
    return _ramp(np.sin(2 * np.pi * x) * np.sin(2 * np.pi * y), -0.1, 0.1)


def _solid(rgba: np.ndarray, colour: str | None, texture: str) -> np.ndarray:
    """The body as wood with its grain, or as metal with bands of light."""
    base = recolour(rgba, colour or ("brown" if texture == "wooden" else "gray")).astype(np.float32)
    body = body_of(rgba)[..., None]
    height, width = rgba.shape[:2]
    y, x = np.mgrid[:height, :width].astype(np.float32) / max(height, width)
    if texture == "wooden":
        grain = np.sin(2 * np.pi * (9 * y + 0.35 * np.sin(5 * x + 2) + 0.12 * np.sin(17 * x)))
        change = np.float32((26, 16, 8)) * (0.3 + grain[..., None])
    else:
        band = np.sin(2 * np.pi * (1.7 * x - 0.9 * y)) ** 3 + 0.25 * np.sin(40 * (x + y))
        change = np.float32((52, 54, 60)) * band[..., None]
    mixed = base[..., :3] + body * change
    return np.dstack([np.clip(mixed + 0.5, 0, 255).astype(np.uint8), rgba[..., 3]])


def recolour(rgba: np.ndarray, colour: str) -> np.ndarray:
    """Tint the body of a sprite and keep its shading, its highlights and the parts of another hue.

    Args:
        rgba: (H, W, 4) uint8.
        colour: a key of `COLOURS`.
    """
    import cv2

    lab = cv2.cvtColor(rgba[..., :3].astype(np.float32) / 255, cv2.COLOR_RGB2Lab)  # (H, W, 3), L 0..100
    target = cv2.cvtColor(np.float32([[COLOURS[colour]]]) / 255, cv2.COLOR_RGB2Lab)[0, 0]
    body = _body(lab, rgba[..., 3])
    middle = np.median(lab[..., 0][body > 0.5]) if (body > 0.5).any() else 50.0
    gain = {"black": 0.4, "white": 0.55}.get(colour, 0.8)
    light = np.clip(target[0] + gain * (lab[..., 0] - middle), 4, 99)
    above = np.clip((light - target[0]) / (100 - target[0]), 0, 1)
    below = np.clip(light / target[0], 0, 1)
    # highlights lose chroma and shadows too, as on a glossy surface
    chroma = ((1 - 0.5 * above) * below)[..., None] * target[1:]
    tinted = np.clip(cv2.cvtColor(np.dstack([light, chroma]).astype(np.float32), cv2.COLOR_Lab2RGB), 0, 1) * 255
    mixed = rgba[..., :3] + body[..., None] * (tinted - rgba[..., :3])
    return np.dstack([np.clip(mixed + 0.5, 0, 255).astype(np.uint8), rgba[..., 3]])


def body_of(rgba: np.ndarray) -> np.ndarray:
    """(H, W) 0..1, how much a pixel of (H, W, 4) uint8 belongs to the part that gives the thing its colour."""
    import cv2

    return _body(cv2.cvtColor(rgba[..., :3].astype(np.float32) / 255, cv2.COLOR_RGB2Lab), rgba[..., 3])


def _body(lab: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """(H, W) 0..1, how much a pixel belongs to the part that gives the thing its colour.

    That part is what lies near the strongest hue. A pale thing without a strong hue is its body as a whole,
    but for what is dark or coloured on it.
    """
    solid = alpha > 127
    chroma, hue = np.hypot(lab[..., 1], lab[..., 2]), np.degrees(np.arctan2(lab[..., 2], lab[..., 1])) % 360
    weight = np.where(solid & (chroma > 12), chroma**2, 0)
    counts = np.bincount((hue // 10).astype(int).ravel(), weight.ravel(), 36)
    counts = counts + np.roll(counts, 1) + np.roll(counts, -1)
    near = _ramp(np.abs((hue - (10 * counts.argmax() + 5) + 180) % 360 - 180), 62, 42)
    pale = ((chroma < 24) & (lab[..., 0] > 62))[solid].mean() > 0.35
    if pale and (near * (chroma > 28))[solid].mean() < 0.12:
        return _ramp(chroma, 46, 34) * _ramp(lab[..., 0], 22, 40)
    # on a pale thing the weakly coloured pixels are shading, not body
    return near * (_ramp(chroma, 18, 32) if pale else _ramp(chroma, 6, 14))


def _ramp(value: np.ndarray, zero: float, one: float) -> np.ndarray:
    """0 up to ``zero``, 1 from ``one`` on (either way round), straight between."""
    return np.clip((value - zero) / (one - zero), 0, 1)
