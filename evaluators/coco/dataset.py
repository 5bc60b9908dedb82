"""Annotations in COCO's format: what the painter is told of them, what it is scored against, and the photographs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from instdiff.errors import BadInput
from instdiff.formats.coco import (
    MAX_COCO_BYTES,
    annotations_from_coco,
    area_px,
    fitted_mask,
    image_size,
    instances_from_coco,
    largest,
)
from instdiff.formats.fields import mapping, numbers, sequence, text, whole
from instdiff.formats.files import parse_json, read_bytes
from instdiff.layout import MAX_INSTANCES, SCRIBBLE_POINTS, Box, Instance, Layout, Mask, Point, Scribble
from instdiff.model.mask_points import points_inside

if TYPE_CHECKING:
    from PIL.Image import Image

PLACES = ("box", "mask", "point", "scribble")
SCORED_AT = (512, 512)  # (width, height) in pixels of the published evaluation, by which things are small or large


@dataclass(frozen=True)
class Sample:
    """One image of the set: its record, its annotations as they are written (crowd regions too), and its captions."""

    record: dict
    annos: list[dict]
    captions: tuple[str, ...] = ()  # of the captions file

    @property
    def id(self) -> int:
        return self.record["id"]

    @property
    def key(self) -> str:
        """What its painted picture is called."""
        return f"{self.id:012d}"

    @cached_property
    def things(self) -> list[dict]:
        """The annotations that are things to paint: the 30 largest, without crowd regions and boxes without area."""
        return largest([anno for anno in self.annos if not anno.get("iscrowd") and min(anno["bbox"][2:]) > 0])

    @property
    def instances(self) -> list[Instance]:
        """The things with all places that their annotations give; read anew each time, for their masks take room."""
        return instances_from_coco(self.record, self.things)

    def conditioned(self, place: str, size: tuple[int, int], word: Callable[[dict], str] | None = None) -> Layout:
        """What the painter is told, on a (width, height) picture; the set's aspect is stretched, as for photographs.

        The caption is the image's first one with the names of the things after it, as in the published evaluation; an
        image record that has a caption itself keeps to that. An instance is called by its annotation's caption, else
        its category.

        Args:
            place: the one kind of `PLACES` that is told.
            word: gives an annotation a word to put before its category, instead of its own caption.
        """
        things = self.instances
        captions = [thing.caption for thing in things]
        if word:
            captions = [f"{word(anno)} {anno['category_name']}" for anno in self.things]
        instances = [
            _with_place(thing, place, anno).model_copy(update={"caption": caption})
            for thing, anno, caption in zip(things, self.things, captions, strict=True)
        ]
        caption = self._caption(captions, bool(word))
        return Layout(width=size[0], height=size[1], caption=caption, instances=tuple(instances))

    def _caption(self, names: Sequence[str], reworded: bool) -> str:
        own = text(self.record, "caption", f"image {self.id}")
        if own and not self.captions and not reworded:
            return own
        return " ".join(filter(None, [*self.captions[:1], ", ".join(names)]))

    def truth(self, size: tuple[int, int] | None = None) -> Layout:
        """The things with their boxes and masks, on the image's own size or another one, in pixels."""
        width, height = size or image_size(self.record)
        return Layout(width=width, height=height, caption="", instances=tuple(self.instances))


@dataclass(frozen=True)
class Dataset:
    """All images by their number, and a hash of the files that they were read from."""

    samples: list[Sample]
    sha256: str

    @property
    def categories(self) -> list[str]:
        return sorted({anno["category_name"] for sample in self.samples for anno in sample.annos})

    @property
    def notes(self) -> list[str]:
        """Sentences on what the painter is not told."""
        counts = [sum(not anno.get("iscrowd") for anno in sample.annos) for sample in self.samples]
        crowds = sum(len(sample.annos) for sample in self.samples) - sum(counts)
        many = [count for count in counts if count > MAX_INSTANCES]
        notes = []
        if crowds:
            notes.append(f"{crowds} crowd regions are not painted; what is seen there counts neither way, as in COCO")
        if many:
            cut = sum(many) - MAX_INSTANCES * len(many)
            full = f"{len(many)} pictures have more than {MAX_INSTANCES} things"
            notes.append(f"{full}; their {cut} smallest are not told, and count as missed")
        return notes

    @property
    def has_masks(self) -> bool:
        return all(anno.get("segmentation") for sample in self.samples for anno in sample.annos)


def read_dataset(annotations: Path, captions: Path | None = None, count: int | None = None) -> Dataset:
    """The first ``count`` images of an annotation file, by their numbers, with those of a captions file beside.

    Raises:
        BadInput: a file cannot be read, holds no images, or refers to what it does not hold.
    """
    contents = [read_bytes(path, MAX_COCO_BYTES) for path in (annotations, captions) if path]
    words = _captions(parse_json(contents[1], str(captions)), str(captions)) if captions else {}
    data = mapping(parse_json(contents[0], str(annotations)), str(annotations))
    samples = [Sample(image, annos, tuple(words.get(image["id"], ()))) for image, annos in annotations_from_coco(data)]
    if not samples:
        raise BadInput(str(annotations), "holds no images")
    for sample in samples:
        _check(sample)
    samples = sorted(samples, key=lambda sample: sample.id)[:count]
    digests = b"".join(hashlib.sha256(content).digest() for content in contents)
    return Dataset(samples, hashlib.sha256(digests).hexdigest()[:16])


def _check(sample: Sample) -> None:
    """Raise BadInput where a sample has no usable size, number or boxes."""
    if sample.id < 0 or min(image_size(sample.record)) < 1:
        raise BadInput(f"image {sample.id}", "needs an id that is not negative, and a width and height above 0")
    for anno in sample.annos:
        where = f"annotation {whole(anno.get('id'), f'image {sample.id}, annotation.id')}"
        numbers(anno.get("bbox"), f"{where}.bbox", count=4)


def _captions(data: object, source: str) -> dict[int, list[str]]:
    """Image id -> its captions, in the order of the file."""
    captions: dict[int, list[str]] = {}
    for index, record in enumerate(sequence(mapping(data, source).get("annotations"), f"{source}: annotations")):
        field = f"{source}: annotations[{index}]"
        words = text(mapping(record, field), "caption", field).split()
        captions.setdefault(whole(record.get("image_id"), f"{field}.image_id"), []).append(" ".join(words))
    return captions


def _with_place(instance: Instance, kind: str, anno: dict) -> Instance:
    """The instance with the place of one kind alone: as the annotation gives it, else made from its box or mask.

    A point is the middle of the box, as in the published evaluation; a scribble is drawn from the mask, or from the box
    where there is none, always the same for the same annotation.
    """
    extent = instance.extent
    bare = {"box": None, "mask": None, "point": None, "scribble": None}
    if place := getattr(instance, kind):
        return instance.model_copy(update={**bare, kind: place})
    if extent is None or (kind == "mask" and not anno.get("segmentation")):
        raise BadInput(f"annotation {anno.get('id')}", f"has no {kind}; choose another kind of place with --places")
    mask = instance.mask or _filled(extent)  # a polygon that is smaller than a pixel draws no mask
    if kind == "scribble":
        rng = np.random.RandomState(int(anno["id"]) % 2**32)
        x, y = ((points_inside(mask.array, SCRIBBLE_POINTS, rng) + 0.5) / mask.size[::-1]).T
        points = tuple(Point(x=float(a), y=float(b)) for a, b in zip(x, y, strict=True))
        return instance.model_copy(update={**bare, kind: Scribble(points=points)})
    return instance.model_copy(update={**bare, kind: {"box": extent, "point": extent.centre, "mask": mask}[kind]})


def _filled(box: Box) -> Mask:
    """The box as a mask on a grid of its own; at least one cell."""
    grid = np.zeros((512, 512), bool)
    x0, y0, x1, y1 = (value * 512 for value in box.xyxy)
    grid[int(y0) : int(np.ceil(y1)), int(x0) : int(np.ceil(x1))] = True
    return Mask.from_array(grid)


def coco_truth(dataset: Dataset, name: Callable[[str], str], masks: bool) -> dict:
    """COCO's annotation file of the whole set at `SCORED_AT`, everything in it: also what the painter is not told.

    Args:
        name: what a category is called when compared with detections; categories of one name are one.
        masks: with segmentations; where one draws no pixel, the box is taken.
    """
    names = sorted({name(category) for category in dataset.categories})
    category_ids = {category: index for index, category in enumerate(names, start=1)}
    images = []
    annotations: list[dict] = []
    for sample in dataset.samples:
        images.append({"id": sample.id, "width": SCORED_AT[0], "height": SCORED_AT[1]})
        shapes = instances_from_coco(sample.record, sample.annos) if masks else [None] * len(sample.annos)
        for anno, shape in zip(sample.annos, shapes, strict=True):
            category_id = category_ids[name(anno["category_name"])]
            ids = {"id": len(annotations) + 1, "image_id": sample.id, "category_id": category_id}
            annotations.append({**ids, **_scaled_annotation(anno, shape, image_size(sample.record))})
    categories = [{"id": index, "name": category} for category, index in category_ids.items()]
    return {"images": images, "annotations": annotations, "categories": categories}


def _scaled_annotation(anno: dict, shape: Instance | None, size: tuple[int, int]) -> dict:
    """Box, area and, with a shape, segmentation of an annotation on an image of ``size``, at `SCORED_AT`."""
    across = SCORED_AT[0] / size[0]
    down = SCORED_AT[1] / size[1]
    left, top, width, height = (value * scale for value, scale in zip(anno["bbox"], (across, down) * 2, strict=True))
    record = {"bbox": [left, top, width, height], "iscrowd": int(bool(anno.get("iscrowd")))}
    record["area"] = area_px(anno) * across * down
    if shape and shape.mask:
        mask = fitted_mask(shape.mask, SCORED_AT)
        record["segmentation"] = {"size": list(mask.size), "counts": mask.counts}
    elif shape:
        record["segmentation"] = [[left, top, left + width, top, left + width, top + height, left, top + height]]
    return record


def photograph(sample: Sample, folder: Path, size: tuple[int, int]) -> Image:
    """The image that the annotations were made of, stretched to (width, height) pixels, as RGB.

    Raises:
        BadInput: it is not in the folder, or cannot be read.
    """
    from PIL import Image

    name = text(sample.record, "file_name", f"image {sample.id}")
    path = folder / name
    if not name or not path.resolve().is_relative_to(folder.resolve()):
        raise BadInput(f"image {sample.id}.file_name", f'"{name}" is not in {folder}')
    try:
        with Image.open(path) as image:
            return image.convert("RGB").resize(size, Image.Resampling.BICUBIC)
    except (OSError, Image.DecompressionBombError) as error:
        raise BadInput(str(path), f"cannot be read: {getattr(error, 'strerror', None) or error}") from error
