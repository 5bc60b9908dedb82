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
from instdiff.formats.coco import fitted_mask, image_size, instances_from_coco, largest
from instdiff.formats.coco_file import MAX_COCO_BYTES, Crowd, read_coco
from instdiff.formats.coco_records import MAX_SCENE, canvas_size, caption_of, identity
from instdiff.formats.fields import mapping, sequence
from instdiff.formats.files import parse_json, read_bytes
from instdiff.formats.photographs import find_photograph, open_photograph
from instdiff.formats.tally import Tally
from instdiff.layout import MAX_INSTANCES, SCRIBBLE_POINTS, Box, Instance, Layout, Mask, Point, Scribble
from instdiff.model.mask_points import points_inside

if TYPE_CHECKING:
    from PIL.Image import Image

PLACES = ("box", "mask", "point", "scribble")
LARGEST_NUMBER = 2**48  # of an image, that its picture is called by
NO_BOX = "annotations left out, as they have no box to be scored by"
NO_CAPTION = "captions left out, as they are no text or of no image"
SCORED_AT = (512, 512)  # (width, height) in pixels of the published evaluation, by which things are small or large


@dataclass(frozen=True)
class Sample:
    """One image of the set: its record, its annotations (crowd regions too, see `CocoFile.annotations`), its captions.

    ``id`` is the number that its painted picture is called by: that of the record, or its place in a file whose images
    are not all numbered from 0 on.
    """

    id: int
    record: dict
    annos: list[dict]
    captions: tuple[str, ...] = ()  # of the captions file

    @property
    def key(self) -> str:
        """What its painted picture is called."""
        return f"{self.id:012d}"

    @cached_property
    def things(self) -> list[dict]:
        """The annotations that are things to paint: the 30 largest, without crowd regions."""
        return largest([anno for anno in self.annos if not anno["iscrowd"]])

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
        own = self.record["caption"]
        if own and not self.captions and not reworded:
            return own
        return " ".join(filter(None, [*self.captions[:1], ", ".join(names)]))

    def truth(self, size: tuple[int, int] | None = None) -> Layout:
        """The things with their boxes and masks, on a picture of the image's own size or another one, in pixels."""
        width, height = size or canvas_size(image_size(self.record))
        return Layout(width=width, height=height, caption="", instances=tuple(self.instances))


@dataclass(frozen=True)
class Dataset:
    """Images by their number, a hash of the files that they were read from, and what of these was mended or lost."""

    samples: list[Sample]
    sha256: str
    oddities: tuple[str, ...] = ()

    @property
    def categories(self) -> list[str]:
        return sorted({anno["category_name"] for sample in self.samples for anno in sample.annos})

    @property
    def notes(self) -> list[str]:
        """Sentences on what was left out or mended, and on what the painter is not told."""
        counts = [sum(not anno["iscrowd"] for anno in sample.annos) for sample in self.samples]
        crowds = sum(len(sample.annos) for sample in self.samples) - sum(counts)
        many = [count for count in counts if count > MAX_INSTANCES]
        notes = list(self.oddities)
        if crowds:
            neither = "what is seen there counts neither way, as in COCO; --crowd instances takes them as things"
            notes.append(f"{crowds} crowd regions are not painted; {neither}")
        if many:
            cut = sum(many) - MAX_INSTANCES * len(many)
            full = f"{len(many)} pictures have more than {MAX_INSTANCES} things"
            notes.append(f"{full}; their {cut} smallest are not told, and count as missed")
        if self.has_masks and self._maskless:
            notes.append(f"{self._maskless} annotations have no mask; their box is taken for one")
        return notes

    @property
    def has_masks(self) -> bool:
        """Whether most annotations have a mask, so that the box of the others can stand for one."""
        return self._maskless * 2 < sum(len(sample.annos) for sample in self.samples)

    @cached_property
    def _maskless(self) -> int:
        return sum(not anno["segmentation"] for sample in self.samples for anno in sample.annos)

    def check(self, place: str) -> None:
        """Raise BadInput if nothing is to be painted, or most of it has no such place."""
        count = sum(len(sample.things) for sample in self.samples)
        if not count:
            raise BadInput("annotations", f"hold no things on these {len(self.samples)} images")
        if place == "mask" and not self.has_masks:
            reason = f"most annotations have no mask ({self._maskless}); choose another kind of place with --places"
            raise BadInput("places", reason)


def read_dataset(
    annotations: Path, captions: Path | None = None, count: int | None = None, crowd: Crowd = "auto"
) -> Dataset:
    """The first ``count`` images of an annotation file, by their numbers, with those of a captions file beside.

    Args:
        crowd: what annotations with ``iscrowd`` are, see `CocoFile`.

    Raises:
        BadInput: a file cannot be read, holds no images, or has none of its annotations in a form that can be used.
    """
    contents = [read_bytes(path, MAX_COCO_BYTES) for path in (annotations, captions) if path]
    file = read_coco(contents[0], crowd, str(annotations))
    oddities = Tally()
    words = _captions(parse_json(contents[1], str(captions)), str(captions), oddities) if captions else {}
    if not file.images:
        raise BadInput(str(annotations), "holds no images")
    samples = []
    for number, place in sorted(_numbers(file.images).items())[:count]:
        record = file.images[place]
        annos = file.annotations(place)
        for anno in annos:
            if not anno["bbox"]:
                oddities.add(NO_BOX, f"annotation {anno['id']}")
        annos = [anno for anno in annos if anno["bbox"]]
        samples.append(Sample(number, record, annos, tuple(words.get(record["id"], ()))))
    digests = b"".join(hashlib.sha256(content).digest() for content in contents)
    notes = (*file.notes, *oddities.sentences)
    return Dataset(samples, hashlib.sha256(digests).hexdigest()[:16], notes)


def _numbers(images: Sequence[dict]) -> dict[int, int]:
    """The number of each image -> its place in the file."""
    ids = [record["id"] for record in images]
    if all(isinstance(own, int) and 0 <= own < LARGEST_NUMBER for own in ids):
        return {own: place for place, own in enumerate(ids)}
    return {place + 1: place for place in range(len(ids))}


def _captions(data: object, source: str, oddities: Tally) -> dict[int | str, list[str]]:
    """Image id -> its captions, in the order of the file."""
    captions: dict[int | str, list[str]] = {}
    for index, record in enumerate(sequence(mapping(data, source).get("annotations"), f"{source}: annotations")):
        own = identity(record.get("image_id")) if isinstance(record, dict) else None
        caption = own is not None and caption_of(record, MAX_SCENE)[0]
        if own is not None and caption:
            captions.setdefault(own, []).append(" ".join(caption.split()))
        else:
            oddities.add(NO_CAPTION, f"{source}: annotations[{index}]")
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
    assert extent  # what has no box is left out
    mask = instance.mask or _filled(extent)  # a polygon that is smaller than a pixel draws no mask
    if kind == "scribble":
        rng = np.random.RandomState(anno["id"] % 2**32)
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
    record = {"bbox": [left, top, width, height], "iscrowd": anno["iscrowd"], "area": anno["area"] * across * down}
    if shape and shape.mask:
        mask = fitted_mask(shape.mask, SCORED_AT)
        record["segmentation"] = {"size": list(mask.size), "counts": mask.counts}
    elif shape:
        record["segmentation"] = [[left, top, left + width, top, left + width, top + height, left, top + height]]
    return record


def photograph(sample: Sample, folder: Path, size: tuple[int, int]) -> Image:
    """The image that the annotations were made of, as it is to be seen, stretched to (width, height) pixels, as RGB.

    Raises:
        BadInput: it is not in the folder, or cannot be read.
    """
    from PIL import Image

    return open_photograph(find_photograph(sample.record, folder)).resize(size, Image.Resampling.BICUBIC)
