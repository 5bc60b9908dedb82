"""The pictures and annotations of a training, all looked at before it begins: what is used, what is not, and why."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from instdiff.errors import BadInput
from instdiff.formats.coco_file import REGIONS, Crowd, read_coco
from instdiff.formats.photographs import check_photographs
from instdiff.formats.tally import Tally
from instdiff.layout import MAX_INSTANCES

SMALLEST = 0.01  # share of the square; the published training leaves out what is smaller

BEYOND = f"annotations left out, as their picture has {MAX_INSTANCES} that are larger"
TOO_SMALL = f"annotations left out, as they fill less than {SMALLEST:.0%} of the square in the middle of their picture"
WITHOUT_PICTURE = "annotations left out with their picture"


class AnnotatedPicture(NamedTuple):
    """The file of a picture, the record of its image, and its annotations without crowd regions."""

    path: Path
    record: dict
    annos: list[dict]


class AnnotatedPictures:
    """The pictures that can be used; annotations are read when their picture is asked for.

    Args:
        progress: called with how many pictures were looked at since, and how many there are.

    Raises:
        BadInput: the annotations cannot be read, or nothing of them or of the pictures can be used.
    """

    def __init__(self, annotations: Path, images: Path, crowd: Crowd, progress: Callable[[int, int], object]):
        self._file = read_coco(annotations, crowd)
        if not self._file.images:
            raise BadInput(str(annotations), "holds no images")
        found = check_photographs(self._file.images, images, lambda done: progress(done, len(self._file.images)))
        self._usable = [place for place, photograph in enumerate(found) if photograph.is_usable]
        self._paths = [photograph.path for photograph in found]
        self.oddities = Tally()
        for record, photograph in zip(self._file.images, found, strict=True):
            if photograph.oddity:
                self.oddities.add(photograph.oddity, f"image {record['id']}: {photograph.detail}")
        if not self._usable:
            raise BadInput("images", f"0 of {len(found)} pictures can be used; {self.oddities}")
        self.count = self._count_used()
        if not self.count:
            raise BadInput(str(annotations), f"0 of {self._file.written} annotations used; {self.summary}")

    def __len__(self) -> int:
        return len(self._usable)

    def __getitem__(self, index: int) -> AnnotatedPicture:
        place = self._usable[index]
        annos = [anno for anno in self._file.annotations(place) if not anno["iscrowd"]]
        return AnnotatedPicture(self._paths[place], self._file.images[place], annos)

    @property
    def summary(self) -> str:
        """How many of the pictures and annotations are used, and what is left out, cut or mended, and why."""
        file = self._file
        used = f"{self.count} of {file.written} annotations on {len(self)} of {len(file.images)} pictures are used"
        regions = [f"{REGIONS}: {file.regions}"] if file.regions else []
        return "; ".join([used, *file.findings.sentences, *regions, *self.oddities.sentences])

    def _count_used(self) -> int:
        """How many annotations the training sees; what it leaves out of those of the file is counted."""
        image_of = self._file.image_of  # (N,)
        shown = np.zeros(len(self._file.images), bool)
        shown[self._usable] = True
        has_picture = shown[image_of]
        beyond = has_picture & (_ranks(image_of, self._file.areas) >= MAX_INSTANCES)
        sizes = np.array([(record["width"], record["height"]) for record in self._file.images], float)[image_of]
        small = has_picture & ~beyond & (shares_of_square(self._file.boxes, sizes) < SMALLEST)
        for kind, left_out in ((WITHOUT_PICTURE, ~has_picture), (BEYOND, beyond), (TOO_SMALL, small)):
            for index in np.flatnonzero(left_out).tolist():
                own = self._file.images[image_of[index]]["id"]
                self.oddities.add(kind, f"image {own}")
        return int((has_picture & ~beyond & ~small).sum())


def _ranks(image_of: np.ndarray, areas: np.ndarray) -> np.ndarray:
    """(N,) how many annotations of the same image are larger than each, or as large and before it."""
    order = np.lexsort((-areas, image_of))
    first = np.searchsorted(image_of[order], image_of[order])
    ranks = np.empty(len(order), np.int64)
    ranks[order] = np.arange(len(order)) - first
    return ranks


def shares_of_square(boxes: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """(N,) how much of the square in the middle of its picture each box fills, 0..1; NaN where there is no box.

    Args:
        boxes: (N, 4) x0, y0, x1, y1 in pixels.
        sizes: (N, 2) width and height of the pictures in pixels.
    """
    side = sizes.min(axis=1, keepdims=True)  # (N, 1)
    start = (sizes - side) // 2
    inside = np.clip(boxes - np.tile(start, 2), 0, side) / side  # (N, 4) as fractions of the square
    return np.prod(inside[:, 2:] - inside[:, :2], axis=1)
