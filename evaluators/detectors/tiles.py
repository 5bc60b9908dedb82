"""Large pictures in parts: small things are lost where a picture is made much smaller for a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image

LARGE = 1.5  # pictures from this multiple of what a model sees on are looked at in 2 x 2 tiles too
VERY_LARGE = 3.0  # and from this one on in 3 x 3
OVERLAP = 0.25  # of neighbouring tiles, of their sides
EDGE = 0.01  # of a tile's sides: what comes nearer to an inner edge is cut by it


class View(NamedTuple):
    """A part of a picture, or all of it.

    Attributes:
        picture: which one.
        corners: x0, y0, x1, y1 of the part in pixels.
        size: (width, height) of the picture in pixels.
    """

    picture: int
    corners: tuple[int, int, int, int]
    size: tuple[int, int]

    def crop(self, images: Sequence[Image]) -> Image:
        """The part, as RGB."""
        return images[self.picture].crop(self.corners).convert("RGB")

    def on_picture(self, boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Boxes of the part as boxes of the picture, and which of them are whole: no inner edge of a tile cuts them.

        Args:
            boxes: (N, 4) float, xyxy as fractions of the part.

        Returns:
            (N, 4) float, xyxy as fractions of the picture, and (N,) bool.
        """
        start, end, size = np.array(self.corners[:2]), np.array(self.corners[2:]), np.array(self.size)
        scaled = (np.reshape(boxes, (-1, 2, 2)) * (end - start) + start) / size
        first, last = np.reshape(boxes, (-1, 2, 2)).transpose(1, 0, 2)  # (N, 2) each
        whole = ((start == 0) | (first >= EDGE)) & ((end == size) | (last <= 1 - EDGE))
        return scaled.reshape(-1, 4), whole.all(axis=1)


def views_of(images: Sequence[Image], input_side: int) -> list[View]:
    """Each picture as a whole, and in overlapping tiles if it is much larger than what the model sees, in pixels."""
    views = []
    for index, image in enumerate(images):
        views.append(View(index, (0, 0, *image.size), image.size))
        ratio = max(image.size) / input_side
        if ratio >= LARGE:
            columns, rows = (_spans(side, 2 if ratio < VERY_LARGE else 3) for side in image.size)
            views += [View(index, (x0, y0, x1, y1), image.size) for y0, y1 in rows for x0, x1 in columns]
    return views


def _spans(side: int, count: int) -> list[tuple[int, int]]:
    """Where so many overlapping tiles begin and end along a side."""
    length = side / (count - OVERLAP * (count - 1))
    starts = [index * length * (1 - OVERLAP) for index in range(count)]
    return [(round(start), min(round(start + length), side)) for start in starts]
