"""What writers of other people's files draw of a layout: labels, captions and places in pixels."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from instdiff.formats.coco import fitted_mask
from instdiff.formats.coco_records import MAX_NAME
from instdiff.formats.native import drawn_places, pixels
from instdiff.formats.pictures import NamedLayout, Size
from instdiff.layout import Instance, Mask


class Parts(NamedTuple):
    """The places of an instance in pixels, as a writer draws them: a box that its mask fills is not drawn beside it.

    Args:
        box: x0, y0, x1, y1.
        mask: (height, width) bool of the picture's size.
        line: of a scribble, ``[[x, y], ...]``.
    """

    box: list[float] | None
    mask: np.ndarray | None
    line: list[list[float]] | None
    point: list[float] | None

    @property
    def are_several(self) -> bool:
        """Whether more than one shape is drawn of the instance."""
        return sum(part is not None for part in self) > 1


def parts_of(instance: Instance, size: Size) -> Parts:
    """What a writer draws of an instance."""
    mask = instance.mask and fitted_mask(instance.mask, size)
    box = instance.box.to_corners(size) if instance.box else None
    if box and mask and _fills(mask, box, size):
        box = None
    drawn = drawn_places(instance, size)
    corners = pixels(box) if box else None
    return Parts(corners, mask.array if mask and mask.box else None, drawn.get("scribble"), drawn.get("point"))


def _fills(mask: Mask, box: list[float], size: Size) -> bool:
    around = mask.box
    return around is not None and all(abs(a - b) <= 1 for a, b in zip(around.to_corners(size), box, strict=True))


def crop_to_mask(mask: np.ndarray) -> tuple[np.ndarray, int, int]:
    """The part of a mask that is not empty, and its left and top in pixels."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    left, top = int(columns[0]), int(rows[0])
    return mask[top : rows[-1] + 1, left : columns[-1] + 1], left, top


def labels_of(layouts: Iterable[NamedLayout]) -> list[str]:
    """The labels of all instances, sorted."""
    return sorted({label_of(instance) for _, layout in layouts for instance in layout.instances})


def label_of(instance: Instance) -> str:
    """What an instance is labelled with: its category, or its caption where there is none."""
    return " ".join(instance.name.split())[:MAX_NAME]


def caption_beside(instance: Instance) -> str:
    """The caption of an instance, where it says more than its label."""
    return instance.caption if instance.caption != label_of(instance) else ""
