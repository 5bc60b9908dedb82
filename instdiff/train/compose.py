"""Composes the pictures that the draft models learn from: known things at known places, with captions.

``python -m instdiff.train.compose --sheet FILE.png --sprites FOLDER`` shows some of them.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from instdiff.layout import Box
from instdiff.train.backgrounds import BACKGROUNDS, paint_background, paint_plain
from instdiff.train.catalogue import THINGS
from instdiff.train.placement import Placed, choose_categories, number_of_instances, place_freely, place_on_ground
from instdiff.train.sprites import Sprite, fetch_sprites, load_sprites
from instdiff.train.wording import instance_caption, scene_caption

IN_FRAME, VISIBLE, MIN_PIXELS = 0.6, 0.45, 30


@dataclass(frozen=True)
class ComposedInstance:
    """One thing on the picture; ``mask`` (S, S) bool is what is seen of it, ``box`` the tight box around that."""

    category: str
    caption: str
    colour: str | None
    box: Box
    mask: np.ndarray


@dataclass(frozen=True)
class Composite:
    """A picture (S, S, 3) uint8 and what is on it, nearest last."""

    image: np.ndarray
    caption: str
    instances: list[ComposedInstance]


@dataclass
class _Layer:
    """A thing at its final size: ``rgba`` (h, w, 4) float32 premultiplied 0..1, with its corner in pixels."""

    placed: Placed
    colour: str | None
    rgba: np.ndarray
    left: int
    top: int
    mask: np.ndarray | None = None


class Composer:
    """Paints random scenes from sprites; the same generator state gives the same scene."""

    def __init__(self, sprites: dict[str, list[Sprite]], size: int = 256):
        self.sprites, self.size = sprites, size
        self.names = sorted(sprites)

    def compose(self, rng: np.random.Generator) -> Composite:
        """One scene of 1 to 10 things; things that would be hidden for the greater part are left out."""
        while True:
            image, background, placed, chosen = self._plan(rng)
            layers = [self._layer(place, sprite, rng) for place, sprite in zip(placed, chosen, strict=True)]
            layers = self._visible(sorted(layers, key=lambda layer: layer.placed.depth))
            if layers:
                break
        for layer in layers:
            self._paint(image, layer)
        instances = [self._instance(layer, rng) for layer in layers]
        caption = scene_caption([(one.category, one.colour) for one in instances], background, rng)
        return Composite((image + 0.5).clip(0, 255).astype(np.uint8), caption, instances)

    def _plan(self, rng: np.random.Generator):
        """Background picture and kind (None: plain), and things with their places: half of the scenes have a ground."""
        kind = BACKGROUNDS[rng.integers(len(BACKGROUNDS))]
        grounded, plain = rng.random() < 0.5, rng.random() < 0.35
        image, horizon = paint_background(kind, rng, self.size)
        if plain and not grounded:
            image, kind = paint_plain(rng, self.size), None
        names = choose_categories(number_of_instances(rng), kind.scene if grounded else None, self.names, rng)
        # tables first, so that what belongs on them finds them
        names.sort(key=lambda name: name != "table")
        chosen = [self.sprites[name][rng.integers(len(self.sprites[name]))] for name in names]
        ratios = [sprite.rgba.shape[1] / sprite.rgba.shape[0] for sprite in chosen]
        placed = place_on_ground(names, ratios, kind, horizon, rng) if grounded else place_freely(names, ratios, rng)
        return image, kind, placed, chosen

    def _layer(self, placed: Placed, sprite: Sprite, rng: np.random.Generator) -> _Layer:
        """Tint, mirror and scale a sprite for its place."""
        import cv2

        colours = THINGS[placed.category].colours
        colour = colours[rng.integers(len(colours))] if colours and rng.random() < 0.8 else None
        rgba = sprite.tinted(colour)
        if rng.random() < 0.5:
            rgba = rgba[:, ::-1]
        width, height = (max(round(side * self.size), 2) for side in (placed.width, placed.height))
        shrinks = width * height < rgba.shape[0] * rgba.shape[1]
        rgba = cv2.resize(np.ascontiguousarray(rgba), (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
        layer = rgba.astype(np.float32) / 255
        layer[..., :3] *= layer[..., 3:]
        return _Layer(placed, colour, layer, round(placed.left * self.size), round(placed.top * self.size))

    def _visible(self, layers: Sequence[_Layer]) -> list[_Layer]:
        """Give every layer (far to near) its visible mask, and drop those of which too little is seen."""
        taken = np.zeros((self.size, self.size), bool)
        kept = []
        for layer in reversed(layers):
            picture, part = self._window(layer)
            solid = layer.rgba[..., 3] >= 0.5
            mask = np.zeros_like(taken)
            mask[picture] = solid[part]
            inside, whole = int(mask.sum()), max(int(solid.sum()), 1)
            mask &= ~taken
            seen = int(mask.sum())
            if inside < IN_FRAME * whole or seen < max(VISIBLE * whole, MIN_PIXELS):
                continue
            taken |= mask
            layer.mask = mask
            kept.append(layer)
        return kept[::-1]

    def _window(self, layer: _Layer) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
        """The part of the picture that a layer covers, and the part of the layer that falls on the picture."""
        height, width = layer.rgba.shape[:2]
        y0, x0 = max(layer.top, 0), max(layer.left, 0)
        y1, x1 = max(min(layer.top + height, self.size), y0), max(min(layer.left + width, self.size), x0)
        part = (slice(y0 - layer.top, y1 - layer.top), slice(x0 - layer.left, x1 - layer.left))
        return (slice(y0, y1), slice(x0, x1)), part

    def _paint(self, image: np.ndarray, layer: _Layer) -> None:
        if layer.placed.standing and layer.placed.category != "rug":
            _shade(image, layer)
        picture, part = self._window(layer)
        rgba = layer.rgba[part]
        image[picture] *= 1 - rgba[..., 3:]
        image[picture] += 255 * rgba[..., :3]

    def _instance(self, layer: _Layer, rng: np.random.Generator) -> ComposedInstance:
        rows, columns = np.flatnonzero(layer.mask.any(axis=1)), np.flatnonzero(layer.mask.any(axis=0))
        box = Box.from_corners([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], (self.size, self.size))
        caption = instance_caption(layer.placed.category, layer.colour, box.height, rng)
        return ComposedInstance(layer.placed.category, caption, layer.colour, box, layer.mask)


def _shade(image: np.ndarray, layer: _Layer) -> None:
    """Darken the ground in a soft ellipse around the foot of a layer, in place."""
    height, width = layer.rgba.shape[:2]
    size, foot, half = image.shape[0], layer.top + height, 0.55 * width
    flat = max(0.1 * width, 2.0)
    y0, y1 = int(max(foot - 2 * flat, 0)), int(min(foot + 2 * flat, size))
    x0, x1 = int(max(layer.left - 0.3 * width, 0)), int(min(layer.left + 1.3 * width, size))
    y = (np.arange(y0, y1, dtype=np.float32)[:, None] - foot + 0.3 * flat) / flat
    x = (np.arange(x0, x1, dtype=np.float32)[None, :] - layer.left - width / 2) / half
    image[y0:y1, x0:x1] *= 1 - 0.38 * np.exp(-1.6 * (x**2) ** 2 - 1.4 * y**2)[..., None]


def contact_sheet(composites: Sequence[Composite], columns: int = 4) -> np.ndarray:
    """(H, W, 3) uint8: every picture with its boxes, its caption below it."""
    import cv2

    size, strip, font = composites[0].image.shape[0], 44, cv2.FONT_HERSHEY_SIMPLEX
    rows = -(-len(composites) // columns)
    sheet = np.full((rows * (size + strip), columns * size, 3), 255, np.uint8)
    for number, composite in enumerate(composites):
        cell = np.full((size + strip, size, 3), 255, np.uint8)
        cell[:size] = composite.image
        for one in composite.instances:
            x0, y0, x1, y1 = (round(value) for value in one.box.to_corners((size, size)))
            cv2.rectangle(cell, (x0, y0), (x1 - 1, y1 - 1), (255, 0, 0), 1)
            cv2.putText(cell, one.caption, (x0 + 2, y0 + 9), font, 0.3, (0, 0, 0), 1, cv2.LINE_AA)
        for line in range(3):
            text = composite.caption[line * 48 : (line + 1) * 48]
            cv2.putText(cell, text, (2, size + 12 + 13 * line), font, 0.32, (0, 0, 0), 1, cv2.LINE_AA)
        top, left = number // columns * (size + strip), number % columns * size
        sheet[top : top + size + strip, left : left + size] = cell
    return sheet


def main() -> None:
    """Write a contact sheet."""
    import cv2

    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--sheet", type=Path, required=True, help="PNG file to write")
    parser.add_argument("--sprites", type=Path, required=True, help="folder of the emoji pictures")
    parser.add_argument("--fetch", action="store_true", help="download the emoji pictures into that folder first")
    parser.add_argument("--count", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    if arguments.fetch:
        fetch_sprites(arguments.sprites)
    composer, rng = Composer(load_sprites(arguments.sprites)), np.random.default_rng(arguments.seed)
    sheet = contact_sheet([composer.compose(rng) for _ in range(arguments.count)])
    cv2.imwrite(str(arguments.sheet), sheet[..., ::-1])


if __name__ == "__main__":
    main()
