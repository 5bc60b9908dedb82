"""Pictures with COCO annotations as training examples: everything that is drawn depends on the seed and the position alone.

Position p of a training is the p-th picture that it sees: it stands in epoch p // n of n pictures, each of which has an order
of its own. So the same steps see the same examples whether they were stopped in between or not, and however many processes,
and batches to a step, share them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image, ImageOps
from torch.utils.data import Dataset

from instdiff.errors import BadInput
from instdiff.formats.coco import annotations_from_coco, image_size, instances_from_coco, largest
from instdiff.formats.values import text
from instdiff.grounding import Grounding, Modes, place_grounding
from instdiff.layout import MAX_INSTANCES, Instance, Layout
from instdiff.train.scale.crop import Crop
from instdiff.train.scale.kinds import draw_modes, told
from instdiff.train.scale.recipe import Recipe

ORDER, DRAWS = 0, 1  # streams of random numbers, which never meet


@dataclass(frozen=True)
class Shapes:
    """What the model asks of an example."""

    side: int  # of the picture, in pixels
    latents: tuple[int, int, int]  # (C, h, w)
    seg_size: int
    timesteps: int


@dataclass
class Batch:
    """B examples. ``phrases`` are what the instances are called; their features are not yet in the grounding."""

    pixels: torch.Tensor  # (B, 3, S, S) -1..1
    noise: torch.Tensor  # (B, C, h, w) that the model has to find
    spread: torch.Tensor  # (B, C, h, w) where in the distribution that the autoencoder gives
    timesteps: torch.Tensor  # (B,)
    captions: list[str]
    phrases: list[list[str]]
    grounding: Grounding

    def to(self, device) -> Batch:
        moved = {name: value.to(device) for name, value in vars(self).items() if name not in ("captions", "phrases")}
        return Batch(**moved, captions=self.captions, phrases=self.phrases)


class Refused(NamedTuple):
    """A picture or its annotations cannot be used: what a `BadInput` says."""

    field: str
    reason: str


class Examples(Dataset):
    """Examples by position.

    Raises:
        BadInput: the annotations cannot be read, or pictures that they name are not there.
    """

    def __init__(self, recipe: Recipe, shapes: Shapes):
        self.recipe, self.shapes, self.folder = recipe, shapes, recipe.images
        self.records = annotations_from_coco(recipe.annotations)
        if not self.records:
            raise BadInput(str(recipe.annotations), "holds no images")
        missing = [path for record, _ in self.records if not (path := self._path(record)).is_file()]
        if missing:
            raise BadInput("images", f"{len(missing)} of {len(self.records)} pictures are not there, such as {missing[0]}")
        self._epoch, self._order = -1, np.zeros(0, int)

    def __getitem__(self, position: int) -> Batch | Refused:
        """The example at a position, a batch of one; or why there is none."""
        try:
            return self._example(position)
        except BadInput as error:  # which cannot be carried from one process to another
            return Refused(error.field, error.reason)

    def _example(self, position: int) -> Batch:
        rng = np.random.default_rng([self.recipe.seed, DRAWS, position])
        record, annos = self.records[self._index(position)]
        caption, flip = text(record, "caption", f"image {record['id']}"), bool(rng.random() < 0.5)
        flip = flip and not {"left", "right"} & set(caption.lower().split())  # what the words say would be wrong
        crop = Crop(image_size(record), flip)
        pixels = np.asarray(crop.image(self._opened(record), self.shapes.side), np.float32)
        instances = crop.instances(instances_from_coco(record, largest([anno for anno in annos if not anno.get("iscrowd")])))
        phrases, grounding = self._places(instances, rng)
        return Batch(
            pixels=torch.from_numpy(pixels / 127.5 - 1).permute(2, 0, 1)[None],
            noise=torch.from_numpy(rng.standard_normal((1, *self.shapes.latents), np.float32)),
            spread=torch.from_numpy(rng.standard_normal((1, *self.shapes.latents), np.float32)),
            timesteps=torch.tensor([int(rng.integers(self.shapes.timesteps))]),
            captions=["" if rng.random() < self.recipe.drop_caption else caption or names(instances)],
            phrases=[phrases],
            grounding=grounding,
        )

    def _places(self, instances: list[Instance], rng: np.random.Generator) -> tuple[list[str], Grounding]:
        """What the instances are called, and their places, some of which are not told."""
        if rng.random() < self.recipe.drop_grounding:
            instances = []
        modes = draw_modes(instances, rng) if instances else Modes(False, False, False, False)
        instances = [told(instance, modes, rng) for instance in instances]
        by_category = rng.random(len(instances)) < self.recipe.category_share
        phrases = [i.category if i.category and short else i.caption or i.category for i, short in zip(instances, by_category, strict=True)]
        seed = int(rng.integers(2**31))
        grounding = place_grounding(Layout(caption="", instances=instances), seed, self.shapes.seg_size, MAX_INSTANCES, modes)
        grounding.segs = grounding.segs.bool()  # a quarter of the room on the way from the process that reads
        return phrases, grounding

    def _opened(self, record: dict) -> Image.Image:
        """The picture of a record, as it is meant to be seen."""
        path, size = self._path(record), image_size(record)
        try:
            with Image.open(path) as file:
                image = ImageOps.exif_transpose(file).convert("RGB")
        except (OSError, ValueError, SyntaxError) as error:  # what Pillow raises on damaged files
            raise BadInput(str(path), f"cannot be read: {error}") from error
        if image.size != size:
            raise BadInput(str(path), f"is {image.size[0]} x {image.size[1]}, but the annotations say {size[0]} x {size[1]}")
        return image

    def _index(self, position: int) -> int:
        epoch, place = divmod(position, len(self.records))
        if epoch != self._epoch:
            self._epoch = epoch
            self._order = np.random.default_rng([self.recipe.seed, ORDER, epoch]).permutation(len(self.records))
        return int(self._order[place])

    def _path(self, record: dict) -> Path:
        name = PurePosixPath(text(record, "file_name", f"image {record['id']}"))
        if not name.name or name.is_absolute() or ".." in name.parts:
            raise BadInput(f"image {record['id']}.file_name", f'"{name}" is no path inside the folder of images')
        return self.folder / name


def names(instances: list[Instance]) -> str:
    """What is on a picture that has no caption: "2 cat, 1 car", as the published training says it."""
    return ", ".join(f"{count} {name}" for name, count in Counter(instance.name for instance in instances).items())


def collate(examples: list[Batch | Refused]) -> Batch | Refused:
    """Batches of one -> one batch, if all can be used."""
    for example in examples:
        if isinstance(example, Refused):
            return example
    stacked = {name: torch.cat([getattr(e, name) for e in examples]) for name in ("pixels", "noise", "spread", "timesteps")}
    words = {name: [one for e in examples for one in getattr(e, name)] for name in ("captions", "phrases")}
    return Batch(**stacked, **words, grounding=Grounding.cat([e.grounding for e in examples]))


def positions(first_step: int, recipe: Recipe, processes: int, rank: int) -> Iterator[list[int]]:
    """The positions of each batch of one process, from a step on; those of all processes and batches make up the step."""
    for step in range(first_step, recipe.steps):
        for part in range(recipe.accumulate):
            start = ((step * recipe.accumulate + part) * processes + rank) * recipe.batch
            yield list(range(start, start + recipe.batch))
