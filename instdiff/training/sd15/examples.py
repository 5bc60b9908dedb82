"""Pictures with COCO annotations as training examples; all that is drawn depends on seed and position alone."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from PIL.Image import Resampling, Transpose
from torch.utils.data import Dataset

from instdiff.errors import BadInput
from instdiff.formats import LayoutWarning
from instdiff.formats.coco import image_size, instances_from_coco, largest
from instdiff.formats.photographs import has_proportions, open_photograph
from instdiff.layout import MAX_INSTANCES, SCRIBBLE_POINTS, Box, Instance, Layout, Mask, Point, Scribble
from instdiff.model.grounding import Grounding, Modes, place_grounding
from instdiff.model.mask_points import points_inside
from instdiff.training.sd15.annotated import SMALLEST, AnnotatedPicture, AnnotatedPictures
from instdiff.training.sd15.recipe import TrainingRecipe

# Shares of the published training: each kind is dropped on its own, some pictures keep points alone, some masks without
# scribbles.
DROPPED = 0.1
POINTS_ALONE = 0.1
MASKS_ALONE = 0.1


def draw_modes(instances: list[Instance], rng: np.random.Generator) -> Modes:
    """Draw the kinds of place of one picture: masks come with boxes and points, boxes with points; never nothing."""
    box, point, scribble, mask = rng.random(4) >= DROPPED
    points_alone, masks_alone = rng.random(2) < (POINTS_ALONE, MASKS_ALONE)
    point = point or box or mask
    box = box or mask
    if points_alone:
        return Modes(box=False, point=True, scribble=False, mask=False)
    if masks_alone and mask:
        scribble = False
    has_mask = any(instance.mask for instance in instances)
    box = box and any(instance.box or instance.mask for instance in instances)
    scribble = scribble and (has_mask or any(instance.scribble for instance in instances))
    mask = mask and has_mask
    point = point or not (box or scribble or mask)
    return Modes(box=bool(box), point=bool(point), scribble=bool(scribble), mask=bool(mask))


def keep_places(instance: Instance, modes: Modes, rng: np.random.Generator) -> Instance:
    """The instance with places of these kinds alone: others must not show in the regions of attention either."""
    box = (instance.box or (instance.mask and instance.mask.box)) if modes.box else None
    scribble = _scribble(instance, rng) if modes.scribble else None
    mask = instance.mask if modes.mask else None
    needs_point = modes.point or not (box or scribble or mask)
    point = _middle(instance) if needs_point else None
    return instance.model_copy(update={"box": box, "point": point, "scribble": scribble, "mask": mask})


def _middle(instance: Instance) -> Point:
    """The instance's own point, or the middle of its place."""
    if instance.point:
        return instance.point
    if instance.extent:
        return instance.extent.centre
    points = instance.scribble.points if instance.scribble else ()
    return points[len(points) // 2]


def _scribble(instance: Instance, rng: np.random.Generator) -> Scribble | None:
    """The instance's own scribble, or random points of its mask."""
    if instance.scribble or not instance.mask:
        return instance.scribble
    height, width = instance.mask.size
    points = points_inside(instance.mask.array, SCRIBBLE_POINTS, np.random.RandomState(rng.integers(2**32)))
    return Scribble(points=tuple(Point(x=x / width, y=y / height) for x, y in points.tolist()))


LARGEST_MASK = 2048  # side in pixels of the mask of a square


@dataclass(frozen=True)
class Crop:
    """The square in the middle of a picture of ``size`` (width, height) pixels; mirrored if ``flip``."""

    size: tuple[int, int]
    flip: bool

    @property
    def corners(self) -> tuple[int, int, int, int]:
        """x0, y0, x1, y1 of the square in whole pixels."""
        width, height = self.size
        side = min(self.size)
        left = (width - side) // 2
        top = (height - side) // 2
        return left, top, left + side, top + side

    def image(self, image: Image.Image, side: int) -> Image.Image:
        """The square of a picture, ``side`` pixels wide."""
        square = image.resize((side, side), Resampling.LANCZOS, box=self.corners)
        return square.transpose(Transpose.FLIP_LEFT_RIGHT) if self.flip else square

    def instances(self, instances: list[Instance]) -> list[Instance]:
        """The instances that are still there, their places as fractions of the square."""
        return [moved for instance in instances if (moved := self._instance(instance))]

    def _instance(self, instance: Instance) -> Instance | None:
        box = instance.box and self._box(instance.box)
        point = instance.point and self._point(instance.point)
        scribble = instance.scribble and self._scribble(instance.scribble)
        mask = instance.mask and self._mask(instance.mask)
        is_cut_off = (instance.box and not box) or (instance.mask and not mask)
        if is_cut_off or not (box or point or scribble or mask):
            return None
        return instance.model_copy(update={"box": box, "point": point, "scribble": scribble, "mask": mask})

    def _move(self, x: float, y: float) -> tuple[float, float]:
        """A place as fractions of the picture -> as fractions of the square, which it may leave."""
        x0, y0, x1, y1 = self.corners
        x = (x * self.size[0] - x0) / (x1 - x0)
        y = (y * self.size[1] - y0) / (y1 - y0)
        return (1 - x if self.flip else x), y

    def _box(self, box: Box) -> Box | None:
        xa, ya = self._move(box.x0, box.y0)
        xb, yb = self._move(box.x1, box.y1)
        x0, x1 = (min(max(x, 0.0), 1.0) for x in sorted((xa, xb)))
        y0, y1 = (min(max(y, 0.0), 1.0) for y in (ya, yb))
        return Box(x0=x0, y0=y0, x1=x1, y1=y1) if (x1 - x0) * (y1 - y0) >= SMALLEST else None

    def _point(self, point: Point) -> Point | None:
        x, y = self._move(point.x, point.y)
        return Point(x=x, y=y) if 0 <= x <= 1 and 0 <= y <= 1 else None

    def _scribble(self, scribble: Scribble) -> Scribble | None:
        points = tuple(moved for point in scribble.points if (moved := self._point(point)))
        return Scribble(points=points) if points else None

    def _mask(self, mask: Mask) -> Mask | None:
        x0, y0, x1, y1 = self.corners
        steps = (np.arange(min(x1 - x0, LARGEST_MASK)) + 0.5) / min(x1 - x0, LARGEST_MASK)  # centres of its pixels
        rows = (y0 + steps * (y1 - y0)) * mask.size[0] / self.size[1]
        columns = (x0 + steps * (x1 - x0)) * mask.size[1] / self.size[0]
        square = mask.array[np.ix_(rows.astype(int), columns.astype(int))]
        return Mask.from_array(square[:, ::-1] if self.flip else square) if square.any() else None


ORDER = 0
DRAWS = 1  # streams of random numbers, which never meet
MAX_DAMAGED = 10  # pictures in a row


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
        numbers = (self.pixels, self.noise, self.spread, self.timesteps)
        pixels, noise, spread, timesteps = (tensor.to(device) for tensor in numbers)
        return Batch(pixels, noise, spread, timesteps, self.captions, self.phrases, self.grounding.to(device))


class UnusablePicture(NamedTuple):
    """A picture or its annotations cannot be used: what a `BadInput` says."""

    field: str
    reason: str


class Examples(Dataset):
    """Examples by position. Where a picture turns out to be damaged, the next one in its order takes its place."""

    def __init__(self, recipe: TrainingRecipe, shapes: Shapes, pictures: AnnotatedPictures):
        self.recipe = recipe
        self.shapes = shapes
        self.pictures = pictures
        self._epoch = -1
        self._order = np.zeros(0, int)

    def __getitem__(self, position: int) -> Batch | UnusablePicture:
        """The example at a position, a batch of one; or why there is none."""
        problem = None
        for shift in range(MAX_DAMAGED):
            try:
                return self._example(position, self.pictures[self._index(position, shift)])
            except BadInput as error:
                warnings.warn(f"{error}; another picture takes its place", LayoutWarning, stacklevel=2)
                problem = error
        assert problem
        return UnusablePicture(problem.field, problem.reason)  # an error cannot be carried from one process to another

    def _example(self, position: int, picture: AnnotatedPicture) -> Batch:
        rng = np.random.default_rng([self.recipe.seed, DRAWS, position])
        image = _open(picture)
        caption = picture.record["caption"]
        flip = bool(rng.random() < 0.5)
        flip = flip and not {"left", "right"} & set(caption.lower().split())  # what the words say would be wrong
        crop = Crop(image.size, flip)
        pixels = np.asarray(crop.image(image, self.shapes.side), np.float32)
        instances = crop.instances(instances_from_coco(picture.record, largest(picture.annos)))
        phrases, grounding = self._places(instances, rng)
        return Batch(
            pixels=torch.from_numpy(pixels / 127.5 - 1).permute(2, 0, 1)[None],
            noise=torch.from_numpy(rng.standard_normal((1, *self.shapes.latents), np.float32)),
            spread=torch.from_numpy(rng.standard_normal((1, *self.shapes.latents), np.float32)),
            timesteps=torch.tensor([int(rng.integers(self.shapes.timesteps))]),
            captions=["" if rng.random() < self.recipe.drop_caption else caption or count_names(instances)],
            phrases=[phrases],
            grounding=grounding,
        )

    def _places(self, instances: list[Instance], rng: np.random.Generator) -> tuple[list[str], Grounding]:
        """What the instances are called, and their places, some of which are not told."""
        if rng.random() < self.recipe.drop_grounding:
            instances = []
        modes = draw_modes(instances, rng) if instances else Modes(False, False, False, False)
        instances = [keep_places(instance, modes, rng) for instance in instances]
        by_category = rng.random(len(instances)) < self.recipe.category_share
        phrases = [
            instance.category if instance.category and short else instance.caption or instance.category
            for instance, short in zip(instances, by_category, strict=True)
        ]
        seed = int(rng.integers(2**31))
        layout = Layout(caption="", instances=tuple(instances))
        grounding = place_grounding(layout, seed, self.shapes.seg_size, MAX_INSTANCES, modes)
        grounding.segs = grounding.segs.bool()  # a quarter of the room on the way from the process that reads
        return phrases, grounding

    def _index(self, position: int, shift: int = 0) -> int:
        """Which picture is at a position; with a shift, that so many places further in the order of this epoch."""
        epoch, place = divmod(position, len(self.pictures))
        if epoch != self._epoch:
            self._epoch = epoch
            self._order = np.random.default_rng([self.recipe.seed, ORDER, epoch]).permutation(len(self.pictures))
        return int(self._order[(place + shift) % len(self.pictures)])


def _open(picture: AnnotatedPicture) -> Image.Image:
    image = open_photograph(picture.path)
    stated = image_size(picture.record)
    if not has_proportions(image.size, stated):  # it has changed since it was checked
        sizes = f"is {image.size[0]} x {image.size[1]}, but the annotations say {stated[0]} x {stated[1]}"
        raise BadInput(str(picture.path), sizes)
    return image


def count_names(instances: list[Instance]) -> str:
    """What is on a picture that has no caption: "2 cat, 1 car", as the published training says it."""
    counts = Counter(instance.name for instance in instances)
    return ", ".join(f"{count} {name}" for name, count in counts.items())


def collate(examples: list[Batch | UnusablePicture]) -> Batch | UnusablePicture:
    """Batches of one -> one batch, if all can be used."""
    batches = []
    for example in examples:
        if isinstance(example, UnusablePicture):
            return example
        batches.append(example)
    return Batch(
        pixels=torch.cat([batch.pixels for batch in batches]),
        noise=torch.cat([batch.noise for batch in batches]),
        spread=torch.cat([batch.spread for batch in batches]),
        timesteps=torch.cat([batch.timesteps for batch in batches]),
        captions=[caption for batch in batches for caption in batch.captions],
        phrases=[phrases for batch in batches for phrases in batch.phrases],
        grounding=Grounding.cat([batch.grounding for batch in batches]),
    )


def positions(first_step: int, recipe: TrainingRecipe, processes: int, rank: int) -> Iterator[list[int]]:
    """The positions of each batch of one process, from a step on; all processes and batches together make the step."""
    for step in range(first_step, recipe.steps):
        for part in range(recipe.accumulate):
            start = ((step * recipe.accumulate + part) * processes + rank) * recipe.batch
            yield list(range(start, start + recipe.batch))
