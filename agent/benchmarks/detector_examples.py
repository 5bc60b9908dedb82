"""Pictures that detectors learn from and are scored on: of a dataset, composed, or photographs with annotations.

Their images are uint8, (N, 3, side, side).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F

from agent.dataset.export.classes import class_in
from agent.dataset.export.labels import NOT_PLANNED, Label
from agent.dataset.export.records import AnnotatedPicture
from instdiff.errors import BadInput
from instdiff.formats.coco import fitted_mask, instances_from_coco
from instdiff.formats.coco_file import CocoFile, Crowd, read_coco
from instdiff.formats.photographs import check_photographs, open_photograph
from instdiff.training.draft.catalogue import COLOUR_NAMES, NAMES
from instdiff.training.draft.composer import Composer
from instdiff.training.draft.labelled_pictures import IGNORED, LabelledPictures, Things
from instdiff.training.draft.scene_records import MASK_SIZE, SIZE, record_scene
from instdiff.training.draft.stream import stack_scenes
from instdiff.world import nouns

if TYPE_CHECKING:
    from PIL.Image import Image

RARE = 0.1  # of the labels of a usual class: the pond of a scene by a pond is not what was asked for
Naming = Callable[[str], str | None]  # the class that a name belongs to; None where nothing is learned of it


def together(first: LabelledPictures, second: LabelledPictures) -> LabelledPictures:
    """The pictures of both."""
    return LabelledPictures.of(torch.cat([first.images, second.images]), [*first.things(), *second.things()])


def first_of(pictures: LabelledPictures, count: int) -> LabelledPictures:
    """The first so many."""
    return LabelledPictures(*(values[:count] for values in pictures))


def in_catalogue(name: str) -> str | None:
    """The thing of the catalogue that a name means, as composites show them."""
    return nouns.class_of(name, NAMES)


def planned_classes(records: Iterable[AnnotatedPicture]) -> set[str]:
    """The classes of labels that were planned, but for rare ones: a dataset is not of what is there by chance."""
    planned = Counter(label.name for record in records for label in record.labels if label.verdict != NOT_PLANNED)
    least = RARE * median(planned.values()) if planned else 0
    return {name for name, count in planned.items() if count >= least}


def dataset_examples(
    records: Iterable[AnnotatedPicture], naming: Naming, classes: Sequence[str], side: int = SIZE
) -> LabelledPictures:
    """The training pictures that have labels of the classes.

    Args:
        naming: gives the class of a label.
        classes: in the order of their numbers.
    """
    usable = (record for record in records if record.split == "train")
    rows = ((lambda path=record.path: _open(path), record.every) for record in usable)
    return _examples(rows, naming, classes, side)


@dataclass(frozen=True)
class Photographs:
    """Photographs with annotations of COCO, the same order every time.

    Attributes:
        rows: path and position in the file of each that is there and has annotations.
        names: of the categories that are used.
    """

    file: CocoFile
    rows: tuple[tuple[Path, int], ...]
    names: tuple[str, ...]

    @classmethod
    def read(cls, annotations: Path, images: Path | None = None, crowd: Crowd = "auto") -> Photographs:
        """Find the pictures of an annotation file below ``images``, or else below the folder that the file is in.

        Raises:
            BadInput: the file cannot be read, or none of its pictures is there.
        """
        file = read_coco(annotations, crowd)
        folder = images or annotations.parent
        found = check_photographs(file.images, folder)
        positions = [index for index, count in enumerate(file.counts) if count and found[index].is_usable]
        if not positions:
            odd = next((one.detail or one.oddity for one in found if one.oddity), "no picture has annotations")
            raise BadInput("photographs", f"none of {annotations} can be used in {folder}: {odd}; see --images")
        positions.sort(key=lambda index: hashlib.sha256(str(file.images[index]["id"]).encode()).digest())
        names = {anno["category_name"] for index in positions for anno in file.annotations(index)}
        return cls(file, tuple((found[index].path, index) for index in positions), tuple(sorted(names)))

    def __len__(self) -> int:
        return len(self.rows)

    def examples(self, rows: slice, naming: Naming, classes: Sequence[str], side: int = SIZE) -> LabelledPictures:
        """Those of some of the rows that show the classes; crowd regions are regions to ignore."""
        pairs = ((lambda path=path: open_photograph(path), self._labels(index)) for path, index in self.rows[rows])
        return _examples(pairs, naming, classes, side)

    def _labels(self, index: int) -> list[Label]:
        record = self.file.images[index]
        annos = self.file.annotations(index)
        pairs = zip(annos, instances_from_coco(record, annos), strict=True)
        return [
            Label(
                name=anno["category_name"],
                caption=instance.caption,
                box=instance.extent,
                mask=instance.mask,
                source="photograph",
                verdict="annotated",
                ignore=bool(anno["iscrowd"]),
            )
            for anno, instance in pairs
            if instance.extent
        ]


def shared_classes(photographs: Photographs, names: Iterable[str]) -> dict[str, str]:
    """The class of a dataset that each category of photographs belongs to, where there is one: sofa -> couch."""
    known = tuple(sorted(set(names)))
    found = {name: class_in(name, known) for name in photographs.names}
    return {name: own for name, own in found.items() if own}


def composites(composer: Composer, count: int, seed: int, side: int = SIZE) -> LabelledPictures:
    """Composed pictures, whose labels are numbers in the catalogue."""
    rng = np.random.default_rng(seed)
    composed = stack_scenes([record_scene(composer.compose(rng)) for _ in range(count)])
    return shrunk(composed._replace(images=((composed.images + 1) * 127.5).round().byte()), side)


def shrunk(pictures: LabelledPictures, side: int) -> LabelledPictures:
    """Pictures (uint8) and masks at another side; boxes are fractions."""
    if pictures.images.shape[-1] == side:
        return pictures
    images = F.interpolate(pictures.images.float(), (side, side), mode="area").round().byte()
    masks = F.adaptive_avg_pool2d(pictures.masks.float(), side * MASK_SIZE // SIZE) >= 0.5
    return pictures._replace(images=images, masks=masks)


def _examples(
    rows: Iterable[tuple[Callable[[], Image], Sequence[Label]]], naming: Naming, classes: Sequence[str], side: int
) -> LabelledPictures:
    """Pictures that have labels of the classes, in order."""
    from PIL import Image

    numbers = {name: number for number, name in enumerate(classes)}
    images = []
    things = []
    for open_picture, labels in rows:
        named = [(naming(label.name), label) for label in labels]
        if not any(name in numbers and not label.ignore for name, label in named):
            continue
        resized = open_picture().resize((side, side), Image.Resampling.BILINEAR)
        images.append(torch.from_numpy(np.asarray(resized).copy()).permute(2, 0, 1))
        shown = [(numbers[name], label) for name, label in named if name in numbers]
        things.append(_things([(IGNORED - n if label.ignore else n, label) for n, label in shown], side))
    if not images:
        none = torch.zeros(1, 3, side, side, dtype=torch.uint8)
        return first_of(LabelledPictures.of(none, [_things([], side)]), 0)
    return LabelledPictures.of(torch.stack(images), things)


def _things(shown: Sequence[tuple[int, Label]], side: int) -> Things:
    """What a detector learns of labels and their classes' numbers.

    A label without mask fills its box; a colour that is not asked for is left open.
    """
    masks = np.zeros((len(shown), side, side), dtype=np.float32)
    for mask, (_, label) in zip(masks, shown, strict=True):
        if label.mask:
            mask[:] = fitted_mask(label.mask, (side, side)).array
        else:
            x0, y0, x1, y1 = (round(value) for value in label.box.to_corners((side, side)))
            mask[y0:y1, x0:x1] = 1
    colours = [nouns.asked_colour(label.caption, label.name) for _, label in shown]
    return Things(
        torch.tensor([label.box.xyxy for _, label in shown]).reshape(-1, 4),
        torch.tensor([number for number, _ in shown], dtype=torch.long),
        torch.tensor([COLOUR_NAMES.index(name) if name in COLOUR_NAMES else -1 for name in colours], dtype=torch.long),
        torch.zeros(len(shown), dtype=torch.long),
        F.adaptive_avg_pool2d(torch.from_numpy(masks), side * MASK_SIZE // SIZE) >= 0.5,
    )


def _open(path: Path) -> Image:
    from PIL import Image

    with Image.open(path) as image:
        return image.convert("RGB")
