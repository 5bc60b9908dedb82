"""The held-out layouts that the draft stack is measured on, and the composed pictures that they were taken from.

Each layout is a scene of the composer that the draft models learn from, under a seed that no training uses. What is held
out are the scenes, not the things in them: drawings are those of training, and half of the scenes arrange their things as
one of the composer's whole worlds, which training sees with other drawings, sizes and backgrounds.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from instdiff.errors import BadInput
from instdiff.formats.files import parse_json, read_bytes, write_bytes
from instdiff.layout import Box, Instance, Layout, Mask

if TYPE_CHECKING:
    from instdiff.train.compose import Composer, Composite
    from instdiff.train.scenes import StoredInstance, StoredScene

FILE = Path(__file__).parents[1] / "data" / "draft_layouts.jsonl"
FIRST_SEED, COUNT = 7_000_000, 500
PLACES = ("box", "mask", "point", "scribble")
NO_CAPTION = " "  # what the text encoder reads as nothing, and what is no empty name


@dataclass(frozen=True)
class HeldOut:
    """A scene and the seed that it was composed with."""

    seed: int
    scene: StoredScene

    def truth(self, size: tuple[int, int]) -> Layout:
        """The layout with the boxes and masks of what is seen, on a (width, height) picture."""
        return self._layout(size, [_instance(one, {"box": one.box, "mask": Mask.from_array(one.mask)}) for one in self.scene.instances])

    def conditioned(self, place: str, size: tuple[int, int], captions: bool = True) -> Layout:
        """What the painter is told: the instances by one kind of place alone.

        A point is the middle of the box, as in the published evaluation; a scribble always falls on the same pixels.

        Args:
            place: one of `PLACES`.
            captions: False leaves the instances without words; the caption of the whole stays.
        """
        rng = np.random.default_rng(self.seed)
        told = ({"point": one.box.centre} if place == "point" else one.places(place[0], rng) for one in self.scene.instances)
        instances = [_instance(one, places) for one, places in zip(self.scene.instances, told, strict=True)]
        if not captions:
            instances = [one.model_copy(update={"caption": NO_CAPTION, "category": ""}) for one in instances]
        return self._layout(size, instances)

    def _layout(self, size: tuple[int, int], instances: list[Instance]) -> Layout:
        return Layout(width=size[0], height=size[1], caption=self.scene.caption, instances=tuple(instances))


def _instance(one: StoredInstance, places: dict) -> Instance:
    return Instance(caption=one.caption, category=one.category, **places)


def read_layouts(path: Path = FILE) -> list[HeldOut]:
    """The layouts in a file of `write_layouts`."""
    from instdiff.train.scenes import StoredInstance, StoredScene

    layouts = []
    for line in read_bytes(path).decode().splitlines():
        record = parse_json(line, str(path))
        instances = []
        for category, caption, xyxy, counts, colour, texture in record["instances"]:
            box, mask = Box(**dict(zip(("x0", "y0", "x1", "y1"), xyxy, strict=True))), Mask(size=(64, 64), counts=counts)
            instances.append(StoredInstance(category, caption, box, mask.array, colour, texture))
        layouts.append(HeldOut(record["seed"], StoredScene(record["caption"], instances)))
    return layouts


def write_layouts(sprites: Path, path: Path = FILE, count: int = COUNT, first_seed: int = FIRST_SEED) -> int:
    """Compose ``count`` scenes that are not empty and write their layouts; returns the number of bytes.

    A line is ``{"seed", "caption", "instances": [[category, caption, box xyxy, run lengths at 64 x 64, colour, texture]]}``.
    """
    from instdiff.train.scenes import _small_mask

    composer, lines, seed = make_composer(sprites), [], first_seed
    while len(lines) < count:
        composite = _compose(composer, seed)
        if composite.instances:
            masks = [Mask.from_array(_small_mask(one.mask)).counts for one in composite.instances]
            things = [
                [one.category, one.caption, one.box.xyxy, mask, one.colour, one.texture]
                for one, mask in zip(composite.instances, masks, strict=True)
            ]
            record = {"seed": seed, "caption": composite.caption, "instances": things}
            lines.append(json.dumps(record, ensure_ascii=False, separators=(",", ":")))
        seed += 1
    content = "".join(f"{line}\n" for line in lines).encode()
    write_bytes(path, content)
    return len(content)


def make_composer(sprites: Path) -> Composer:
    """The composer of the training scenes, with the drawings in a folder."""
    from instdiff.train.compose import Composer
    from instdiff.train.sprites import load_sprites

    return Composer(load_sprites(sprites))


def recompose(layouts: Sequence[HeldOut], composer: Composer) -> Iterator[np.ndarray]:
    """The composed picture (256, 256, 3) uint8 of each layout; raises as `recomposed`."""
    return (composite.image for composite in recomposed(layouts, composer))


def recomposed(layouts: Sequence[HeldOut], composer: Composer) -> Iterator[Composite]:
    """The composed scene of each layout.

    Raises:
        BadInput: a scene comes out differently than it is stored, because the drawings or the composer are others.
    """
    for number, held_out in enumerate(layouts):
        composite = _compose(composer, held_out.seed)
        stored, now = ([(one.category, one.box) for one in scene.instances] for scene in (held_out.scene, composite))
        if stored != now:
            raise BadInput(
                "sprites",
                f"layout {number} (seed {held_out.seed}) is composed with other boxes than are stored ({_words(now)}; stored: "
                f"{_words(stored)}): the drawings or the composer have changed; write the layouts anew with --write-layouts",
            )
        yield composite


def _compose(composer: Composer, seed: int) -> Composite:
    return composer.compose(np.random.default_rng(seed))


def _words(things: list[tuple[str, Box]]) -> str:
    """The first two things and how many there are."""
    first = [f"{name} at {', '.join(f'{side:.3f}' for side in box.xyxy)}" for name, box in things[:2]]
    return f"{len(things)}: {'; '.join(first)}"
