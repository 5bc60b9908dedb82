"""Labels as a person put them right."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from agent.dataset.export.labels import SAME_THING_IOU, Label
from instdiff.formats.coco import fitted_mask
from instdiff.layout import Box, Instance, Mask
from instdiff.world.nouns import label_of, with_article

BY_A_PERSON = "corrected"  # the source and the verdict of a label


def corrected_labels(
    labels: Sequence[Label], instances: Sequence[Instance], size: tuple[int, int]
) -> tuple[Label, ...]:
    """What a person says is on a picture, as labels; those that are as they were stay what they were.

    Regions to ignore stay, where no label is now.

    Args:
        labels: as they were made, with regions to ignore.
        instances: all that is on the picture; those with a bare point are no labels.
        size: (width, height) in pixels.
    """
    known = [label for label in labels if not label.ignore]
    after = [
        next((label for label in known if label.instance == instance), None) or _label(instance, known, size)
        for instance in instances
        if instance.extent
    ]
    regions = [label for label in labels if label.ignore]
    return tuple(after + [one for one in regions if all(one.box.iou(label.box) < SAME_THING_IOU for label in after)])


def _label(instance: Instance, known: Sequence[Label], size: tuple[int, int]) -> Label:
    """The label of what a person changed or added."""
    assert instance.extent
    name = (instance.category or label_of(instance.caption))[:200]
    says_another = any(label.caption == instance.caption and label.name != name for label in known)
    return Label(
        name=name,
        caption=with_article(name) if says_another or not instance.caption else instance.caption,
        box=instance.extent,
        mask=_within(instance.mask, instance.extent, size),
        source=BY_A_PERSON,
        verdict=BY_A_PERSON,
    )


def _within(mask: Mask | None, box: Box, size: tuple[int, int]) -> Mask | None:
    """A mask at the picture's pixels, as far as it lies in the box; None if nothing does."""
    if mask is None:
        return None
    x0, y0, x1, y1 = box.to_corners(size)
    rows = np.arange(size[1])[:, None] + 0.5
    columns = np.arange(size[0])[None, :] + 0.5
    inside = (rows > y0) & (rows < y1) & (columns > x0) & (columns < x1)
    array = fitted_mask(mask, size).array & inside
    return Mask.from_array(array) if array.any() else None
