"""Composes the pictures that the draft models learn from: known things at known places, with captions.

``python -m instdiff.training.draft.composer --sheet FILE.png --sprites FOLDER`` shows some of them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from instdiff.cli import DONE, Parser, exit_code, output_file, output_folder
from instdiff.layout import Box
from instdiff.training.draft.backgrounds import background_of, paint_background, paint_plain
from instdiff.training.draft.captions import Look, Place, instance_caption, place_of, plain_place, scene_caption
from instdiff.training.draft.catalogue import ALL, COMMON, THINGS
from instdiff.training.draft.planned_scenes import (
    WORLDS,
    PlacedThing,
    choose_categories,
    number_of_instances,
    place_freely,
    place_in_world,
    world,
)
from instdiff.training.draft.sprites import Sprite, fetch_sprites, load_sprites
from instdiff.world import knowledge

IN_FRAME = 0.6
VISIBLE = 0.45
MIN_PIXELS = 30
WORLD_SHARE = 0.5
PLAIN_SHARE = 0.4
EMPTY_SHARE = 0.015
FAVOUR = 20  # with so much, every second thing of a scene without a plan is one of the common ones
MIRRORED = 0.1  # things that always face the same way are learned from far fewer pictures
COLOURED = 0.72
TEXTURED = 0.35
NAMED_NATURAL = 0.35


@dataclass(frozen=True)
class ComposedInstance:
    """One thing on the picture; ``mask`` (S, S) bool is what is seen of it, ``box`` the tight box around that.

    ``colour`` and ``texture`` are those it has been painted in, or the natural colour where the caption says it.
    """

    category: str
    caption: str
    colour: str | None
    texture: str | None
    box: Box
    mask: np.ndarray


@dataclass(frozen=True)
class Composite:
    """A picture (S, S, 3) uint8 and what is on it, nearest last."""

    image: np.ndarray
    caption: str
    instances: list[ComposedInstance]


@dataclass
class Layer:
    """A thing at its final size: ``rgba`` (h, w, 4) float32 premultiplied 0..1, with its corner in pixels."""

    placed: PlacedThing
    sprite: Sprite
    look: Look
    mirrored: bool
    rgba: np.ndarray
    left: int
    top: int
    mask: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), bool))  # what is seen of it, once that is known


@dataclass(frozen=True)
class LayeredScene:
    """What a picture is painted from: a background (S, S, 3) float32 0..255, and things on it, nearest last."""

    background: np.ndarray
    place: Place
    layers: list[Layer]


class Composer:
    """Paints random scenes from sprites; the same generator state gives the same scene.

    ``second_look`` is how often a thing is drawn in another style than its usual one. In scenes without a plan, each of
    the common things comes ``favour`` times more than any other; with 0 it is as rare, and has its usual colours.
    """

    def __init__(self, sprites: dict[str, list[Sprite]], size: int = 256, second_look: float = 0.1, favour: int = 0):
        self.sprites = sprites
        self.size = size
        self.second_look = second_look
        self.names = tuple(sorted(sprites))
        self.common = tuple(name for name in COMMON if favour and name in sprites)
        self.pool = self.names + self.common * favour

    def compose(self, rng: np.random.Generator) -> Composite:
        """One scene of up to 12 things, now and then empty, as a picture with its caption."""
        return self.finish(self.arrange(rng), rng)

    def arrange(self, rng: np.random.Generator) -> LayeredScene:
        """A scene before it is painted; what would be hidden for the greater part is left out."""
        empty = rng.random() < EMPTY_SHARE
        while True:
            image, place, placed, chosen = self._plan(rng)
            layers = []
            if not empty:
                layers = [self._dress(item, sprite, rng) for item, sprite in zip(placed, chosen, strict=True)]
            layers = self._visible(sorted(layers, key=lambda layer: layer.placed.depth))
            if layers or empty:
                return LayeredScene(image, place, layers)

    def finish(self, scene: LayeredScene, rng: np.random.Generator) -> Composite:
        """The picture of a scene, and what is on it in words."""
        layers = scene.layers
        instances = [self._instance(layer, rng) for layer in layers]
        caption = scene_caption([layer.look for layer in layers], _relation(layers, rng), scene.place, rng)
        return Composite(self.paint(scene.background, layers), caption, instances)

    def paint(self, background: np.ndarray, layers: Sequence[Layer]) -> np.ndarray:
        """The picture (S, S, 3) uint8 of things on a background, which stays as it is; nearest last."""
        image = background.copy()
        for layer in layers:
            self._paint(image, layer)
        return (image + 0.5).clip(0, 255).astype(np.uint8)

    def _plan(self, rng: np.random.Generator) -> tuple[np.ndarray, Place, list[PlacedThing], list[Sprite]]:
        """The background, the place in words, and things with their places: half of the scenes are whole worlds."""
        planned = world(int(rng.integers(WORLDS)), self.names) if rng.random() < WORLD_SHARE else None
        if planned:
            setting = knowledge.settings()[planned.setting]
            kind = background_of(setting)
            sprites = []

            def ratio_of(name: str) -> float:
                sprites.append(self.pick(name, rng))
                return _ratio(sprites[-1])

            placed = place_in_world(planned, self.names, ratio_of, kind.wet, rng)
            feet = [item.top + item.height for item in placed if item.standing and item.category != "rug"]
            by_day = any(item.category in ("sun", "rainbow") for item in placed)
            image, light = paint_background(kind, rng, self.size, min(feet, default=1.0) - 0.02, by_day)
            return image, place_of(setting, light, rng), placed, sprites
        names = choose_categories(number_of_instances(rng), self.pool, rng)
        sprites = [self.pick(name, rng) for name in names]
        placed = place_freely(names, [_ratio(sprite) for sprite in sprites], rng)
        if rng.random() < PLAIN_SHARE:
            image, colour = paint_plain(rng, self.size)
            return image, plain_place(colour), placed, sprites
        setting = list(knowledge.settings().values())[rng.integers(len(knowledge.settings()))]
        image, light = paint_background(background_of(setting), rng, self.size)
        return image, place_of(setting, light, rng), placed, sprites

    def pick(self, name: str, rng: np.random.Generator) -> Sprite:
        """A drawing of a category: its usual style mostly; special kinds as often as the plain one."""
        sprites = self.sprites[name]
        kinds = 1 + len(THINGS[name].kinds)
        usual = sprites[:kinds]
        others = sprites[kinds:]
        pool = others if others and rng.random() < self.second_look else usual
        return pool[rng.integers(len(pool))]

    def _dress(self, placed: PlacedThing, sprite: Sprite, rng: np.random.Generator) -> Layer:
        """A sprite in its place, in a colour and a texture of its kind."""
        kind = THINGS[placed.category]
        colour, texture = self.choose_look(placed.category, rng, any_colour=placed.category in self.common)
        mirrored = kind.mirror and rng.random() < MIRRORED
        if not colour and not texture and kind.natural and rng.random() < NAMED_NATURAL:
            colour = kind.natural
        return self.layer(placed, sprite, Look(placed.category, colour, texture, sprite.noun), mirrored)

    def choose_look(self, name: str, rng: np.random.Generator, any_colour: bool) -> tuple[str | None, str | None]:
        """A colour and a texture that a category comes in, each None where it is left as it is."""
        kind = THINGS[name]
        texture = kind.textures[rng.integers(len(kind.textures))] if kind.textures and rng.random() < TEXTURED else None
        share = 0.3 if texture in ("wooden", "metal") else COLOURED
        colours = ALL if any_colour else kind.colours
        colour = colours[rng.integers(len(colours))] if colours and rng.random() < share else None
        return colour, texture

    def layer(self, placed: PlacedThing, sprite: Sprite, look: Look, mirrored: bool = False) -> Layer:
        """A sprite painted anew, mirrored and scaled to its place; what has its colour by nature is left as it is."""
        import cv2

        rgba = sprite.paint(None if look.colour == THINGS[look.category].natural else look.colour, look.texture)
        if mirrored:
            rgba = rgba[:, ::-1]
        width, height = (max(round(side * self.size), 2) for side in (placed.width, placed.height))
        way = cv2.INTER_AREA if width * height < rgba.shape[0] * rgba.shape[1] else cv2.INTER_LINEAR
        rgba = cv2.resize(np.ascontiguousarray(rgba), (width, height), interpolation=way)
        painted = rgba.astype(np.float32) / 255
        painted[..., :3] *= painted[..., 3:]
        corner = (round(placed.left * self.size), round(placed.top * self.size))
        return Layer(placed, sprite, look, mirrored, painted, *corner)

    def _visible(self, layers: Sequence[Layer]) -> list[Layer]:
        """Give every layer (far to near) its visible mask, and drop those of which too little is seen."""
        taken = np.zeros((self.size, self.size), bool)
        visible = []
        for layer in reversed(layers):
            picture, part = self._window(layer)
            solid = layer.rgba[..., 3] >= 0.5
            mask = np.zeros_like(taken)
            mask[picture] = solid[part]
            inside = int(mask.sum())
            whole = max(int(solid.sum()), 1)
            mask &= ~taken
            if inside < IN_FRAME * whole or int(mask.sum()) < max(VISIBLE * whole, MIN_PIXELS):
                continue
            taken |= mask
            layer.mask = mask
            visible.append(layer)
        return visible[::-1]

    def _window(self, layer: Layer) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
        """The part of the picture that a layer covers, and the part of the layer that falls on the picture."""
        height, width = layer.rgba.shape[:2]
        y0 = max(layer.top, 0)
        x0 = max(layer.left, 0)
        y1 = max(min(layer.top + height, self.size), y0)
        x1 = max(min(layer.left + width, self.size), x0)
        part = (slice(y0 - layer.top, y1 - layer.top), slice(x0 - layer.left, x1 - layer.left))
        return (slice(y0, y1), slice(x0, x1)), part

    def _paint(self, image: np.ndarray, layer: Layer) -> None:
        if layer.placed.standing and layer.placed.category != "rug":
            _shade(image, layer)
        picture, part = self._window(layer)
        rgba = layer.rgba[part]
        image[picture] *= 1 - rgba[..., 3:]
        image[picture] += 255 * rgba[..., :3]

    def _instance(self, layer: Layer, rng: np.random.Generator) -> ComposedInstance:
        rows = np.flatnonzero(layer.mask.any(axis=1))
        columns = np.flatnonzero(layer.mask.any(axis=0))
        box = Box.from_corners([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], (self.size, self.size))
        look = layer.look
        caption = instance_caption(look, box.height, rng)
        return ComposedInstance(look.category, caption, look.colour, look.texture, box, layer.mask)


def _ratio(sprite: Sprite) -> float:
    return sprite.rgba.shape[1] / sprite.rgba.shape[0]


def _relation(layers: Sequence[Layer], rng: np.random.Generator) -> tuple[int, str, int] | None:
    """How two of the things lie to one another: (index, words, index); None if nothing clear can be said."""
    if len(layers) < 2:
        return None
    first, second = (int(i) for i in rng.permutation(len(layers))[:2])
    depths = [layer.placed.depth for layer in layers]
    carriers = [layer.placed.carrier for layer in layers]
    carried = [(i, depths.index(carrier)) for i, carrier in enumerate(carriers) if carrier in depths]
    if carried and rng.random() < 0.7:
        first, second = carried[rng.integers(len(carried))]
        return first, "on", second
    place = layers[first].placed
    other_place = layers[second].placed
    across = (place.left - other_place.left) + (place.width - other_place.width) / 2
    down = (place.top - other_place.top) + (place.height - other_place.height) / 2
    gap = abs(across) - (place.width + other_place.width) / 2
    if abs(across) > 0.15 and abs(across) > 1.3 * abs(down):
        if gap < 0.12 and rng.random() < 0.4:
            return first, ("next to", "beside", "near")[rng.integers(3)], second
        side = "left" if across < 0 else "right"
        return first, (f"to the {side} of", f"{side} of", f"on the {side} of")[rng.integers(3)], second
    if abs(down) > 0.2 and abs(down) > 1.3 * abs(across) and not (place.standing and other_place.standing):
        return first, (("above", "over") if down < 0 else ("below", "under"))[rng.integers(2)], second
    if place.standing and other_place.standing and gap < 0:
        feet = place.top + place.height - other_place.top - other_place.height
        return (first, "in front of" if feet > 0 else "behind", second) if abs(feet) > 0.03 else None
    return None


def _shade(image: np.ndarray, layer: Layer) -> None:
    """Darken the ground in a soft ellipse around the foot of a layer, in place."""
    height, width = layer.rgba.shape[:2]
    size = image.shape[0]
    foot = layer.top + height
    half = 0.55 * width
    flat = max(0.1 * width, 2.0)
    y0 = int(max(foot - 2 * flat, 0))
    y1 = int(min(foot + 2 * flat, size))
    x0 = int(max(layer.left - 0.3 * width, 0))
    x1 = int(min(layer.left + 1.3 * width, size))
    y = (np.arange(y0, y1, dtype=np.float32)[:, None] - foot + 0.3 * flat) / flat
    x = (np.arange(x0, x1, dtype=np.float32)[None, :] - layer.left - width / 2) / half
    image[y0:y1, x0:x1] *= 1 - 0.38 * np.exp(-1.6 * (x**2) ** 2 - 1.4 * y**2)[..., None]


def main(argv: list[str] | None = None) -> int:
    """Write a contact sheet; returns the exit code."""
    parser = Parser(prog="python -m instdiff.training.draft.composer", description="Write a contact sheet.")
    parser.add_argument("--sheet", type=output_file, required=True, help="PNG file to write")
    parser.add_argument("--sprites", type=output_folder, required=True, help="folder of the emoji sets")
    parser.add_argument("--fetch", action="store_true", help="download the emoji sets into that folder first")
    parser.add_argument("--count", type=int, default=24)
    parser.add_argument("--seed", type=int, default=0)
    return exit_code(lambda: write_sheet(parser.parse_args(argv)))


def write_sheet(args: argparse.Namespace) -> int:
    """The command."""
    from instdiff.training.draft.sheets import save_sheet

    if args.fetch:
        fetch_sprites(args.sprites)
    composer = Composer(load_sprites(args.sprites))
    rng = np.random.default_rng(args.seed)
    save_sheet([composer.compose(rng) for _ in range(args.count)], args.sheet)
    return DONE


if __name__ == "__main__":
    sys.exit(main())
