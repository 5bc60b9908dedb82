"""Composed pictures with one thing that is not as the plan says: what a detector should refuse."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from evaluators.eye.answers import KnownPicture
from evaluators.eye.pictures import SWAPPED, ComposedPicture
from instdiff.layout import Box, Layout
from instdiff.training.draft.captions import Look
from instdiff.training.draft.catalogue import THINGS
from instdiff.training.draft.composer import Composer, Layer
from instdiff.training.draft.planned_scenes import PlacedThing
from instdiff.world.nouns import asked_colour

SAME_PLACE_IOU = 0.3  # another thing of the category that overlaps so much could be taken for the one that is gone
WHOLE_IOU = 0.8  # a thing is seen whole if its place and what is seen of it overlap so much
TWICE = "drawn twice"
TRIES = 40  # to find room for a second one


@dataclass(frozen=True)
class Spoiler:
    """Changes one thing of a composed picture.

    ``confused``: category -> the category that a detector mistakes it for.
    """

    composer: Composer
    confused: Mapping[str, str]

    def spoil(self, kind: str, picture: ComposedPicture) -> KnownPicture | None:
        """The picture with one of its things, at random, spoiled in one of `KINDS` of ways; None if none can be."""
        rng = np.random.default_rng([picture.seed, list(KINDS).index(kind)])
        layout = picture.known.layout
        layers = picture.scene.layers
        for index in map(int, rng.permutation(len(layers))):
            changed = None if _has_double(layout, index) else KINDS[kind](self, picture, index, rng)
            if changed is None:
                continue
            image = Image.fromarray(self.composer.paint(picture.scene.background, changed))
            present = frozenset(layer.placed.category for layer in changed)
            if kind == TWICE:
                return KnownPicture(image, layout, present, kind, extra=_box_of(changed[-1].placed))
            return KnownPicture(image, layout, present, kind, index)
        return None

    def _remove(self, picture: ComposedPicture, index: int, rng: np.random.Generator) -> list[Layer]:
        layers = picture.scene.layers
        return layers[:index] + layers[index + 1 :]

    def _swap(self, picture: ComposedPicture, index: int, rng: np.random.Generator) -> list[Layer] | None:
        """In the same place, a thing of a category that is not on the picture."""
        others = [name for name in self.composer.names if name not in picture.known.present]
        return self._draw_as(str(rng.choice(others)), picture, index, rng) if others else None

    def _confuse(self, picture: ComposedPicture, index: int, rng: np.random.Generator) -> list[Layer] | None:
        """As `_swap`, for the category that is mistaken for this one."""
        other = self.confused.get(picture.scene.layers[index].placed.category)
        if other not in self.composer.names or other in picture.known.present:
            return None
        return self._draw_as(str(other), picture, index, rng)

    def _draw_as(self, name: str, picture: ComposedPicture, index: int, rng: np.random.Generator) -> list[Layer]:
        placed = replace(picture.scene.layers[index].placed, category=name)
        sprite = self.composer.pick(name, rng)
        return _exchanged(picture, index, self.composer.layer(placed, sprite, Look(name, noun=sprite.noun)))

    def _recolour(self, picture: ComposedPicture, index: int, rng: np.random.Generator) -> list[Layer] | None:
        """In another colour that its category comes in; only where the caption says which it should have."""
        layer = picture.scene.layers[index]
        instance = picture.known.layout.instances[index]
        others = [name for name in THINGS[layer.placed.category].colours if name != layer.look.colour]
        if not others or asked_colour(instance.caption, instance.category) is None:
            return None
        look = replace(layer.look, colour=str(rng.choice(others)))
        return _exchanged(picture, index, self.composer.layer(layer.placed, layer.sprite, look, layer.mirrored))

    def _move(self, picture: ComposedPicture, index: int, rng: np.random.Generator) -> list[Layer] | None:
        """By half of its width or height, within the picture; only what is seen whole."""
        layer = picture.scene.layers[index]
        placed = layer.placed
        box = _box_of(placed)
        seen = picture.known.layout.instances[index].box
        if box is None or seen is None or box.iou(seen) < WHOLE_IOU:
            return None
        for across, down in rng.permutation([(0.5, 0), (-0.5, 0), (0, 0.5), (0, -0.5)]):
            left = placed.left + across * placed.width
            top = placed.top + down * placed.height
            if min(left, top) >= 0 and left + placed.width <= 1 and top + placed.height <= 1:
                place = replace(placed, left=left, top=top)
                return _exchanged(picture, index, self._again(layer, place))
        return None

    def _draw_twice(self, picture: ComposedPicture, index: int, rng: np.random.Generator) -> list[Layer] | None:
        """A second one where it touches nothing."""
        layer = picture.scene.layers[index]
        placed = layer.placed
        taken = [box for other in picture.scene.layers if (box := _box_of(other.placed))]
        for _ in range(TRIES):
            left, top = rng.uniform(0, 1, 2) * (1 - placed.width, 1 - placed.height)
            place = replace(placed, left=left, top=top)
            box = _box_of(place)
            if min(left, top) >= 0 and box and not any(box.intersection(other) for other in taken):
                return [*picture.scene.layers, self._again(layer, place)]
        return None

    def _again(self, layer: Layer, place: PlacedThing) -> Layer:
        """The same drawing in another place."""
        return self.composer.layer(place, layer.sprite, layer.look, layer.mirrored)


Change = Callable[[Spoiler, ComposedPicture, int, np.random.Generator], list[Layer] | None]
KINDS: dict[str, Change] = {
    "removed": Spoiler._remove,
    SWAPPED: Spoiler._swap,
    "swapped for the most similar": Spoiler._confuse,
    "recoloured": Spoiler._recolour,
    "moved by half": Spoiler._move,
    TWICE: Spoiler._draw_twice,
}


def _exchanged(picture: ComposedPicture, index: int, layer: Layer) -> list[Layer]:
    layers = picture.scene.layers
    return [*layers[:index], layer, *layers[index + 1 :]]


def _box_of(placed: PlacedThing) -> Box | None:
    """The part of a place that lies on the picture."""
    x0, y0 = max(placed.left, 0.0), max(placed.top, 0.0)
    x1, y1 = min(placed.left + placed.width, 1.0), min(placed.top + placed.height, 1.0)
    return Box(x0=x0, y0=y0, x1=x1, y1=y1) if x0 < x1 and y0 < y1 else None


def _has_double(layout: Layout, index: int) -> bool:
    """Whether another thing of the category is where this one is, so that the plan could still be right without it."""
    own = layout.instances[index]
    return any(
        other is not own
        and other.name == own.name
        and own.box
        and other.box
        and own.box.iou(other.box) > SAME_PLACE_IOU
        for other in layout.instances
    )
