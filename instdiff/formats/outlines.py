"""The ``segmentation`` of COCO annotations: polygons or run lengths, checked first, drawn when they are needed."""

from __future__ import annotations

import math
from math import isfinite
from typing import Any, NamedTuple

import numpy as np
from pycocotools import mask as coco_mask

from instdiff import rle
from instdiff.errors import BadInput
from instdiff.layout import Mask

MAX_CORNERS = 50_000  # of one annotation
MAX_OUTLINE_PX = 250_000  # length of its polygons, as they are drawn: what is longer fills the picture with noise
FARTHEST_PX = 1e9  # from the corner of the picture
MAX_RUNS = rle.MAX_TEXT // rle.MAX_CHUNKS
MAX_SIDE = 1_000_000  # of a mask, in pixels
SAME_SHAPE = 0.01  # share by which a mask's proportions may differ from its picture's: sides were rounded

NO_POLYGON = "polygons left out, as they are not x, y, x, y, ... of three points or more"
LONG_POLYGON = f"outlines left out, as they have more than {MAX_CORNERS} corners or cross the picture again and again"
NO_RUNS = "run lengths left out, as they do not fill the size that they state"
OTHER_SHAPE = "masks left out, as they have other proportions than their picture"
NO_OUTLINE = "segmentations left out, as they are neither polygons nor run lengths"

Corners = tuple[float, float, float, float]  # x0, y0, x1, y1 in pixels


class Outline(NamedTuple):
    """What an annotation says of a thing's shape.

    Args:
        rings: polygons ``[x, y, x, y, ...]`` in pixels of the picture, which they may leave.
        runs: run lengths as COCO writes them, ``{"size": [height, width], "counts": text or list}``, of any size.
        around: x0, y0, x1, y1 around the polygons in pixels of the picture.
        lost: what had to be left out, in words for a `Tally`; empty if nothing had.
    """

    rings: list[list[float]]
    runs: dict[str, Any] | None
    around: Corners | None = None
    lost: str = ""

    def __bool__(self) -> bool:
        return bool(self.rings or self.runs)

    def bounds(self, size: tuple[int, int]) -> Corners | None:
        """x0, y0, x1, y1 around it in pixels of a (width, height) picture; None if nothing is drawn."""
        return _run_bounds(self.runs, size) if self.runs else self.around

    def draw(self, size: tuple[int, int], canvas: tuple[int, int]) -> Mask | None:
        """The mask of a picture of ``size`` (width, height) pixels; None if not a single pixel is in it.

        Polygons are filled by pycocotools, as whoever scores COCO fills them. A mask of more than `rle.MAX_PIXELS` is
        taken at fewer.

        Args:
            canvas: (width, height) of the mask of polygons.
        """
        if self.rings:
            return _fill(self.rings, size, canvas)
        return _shrink(self.runs, canvas) if self.runs else None


NOTHING = Outline([], None)


def read_outline(value: object, size: tuple[int, int], canvas: tuple[int, int]) -> Outline:
    """A segmentation as it stands in a file, of a (width, height) picture, checked but not drawn; never fails.

    Args:
        canvas: (width, height) on which it will be drawn.
    """
    if not value:
        return NOTHING
    if isinstance(value, dict):
        return _read_runs(value, size)
    if not isinstance(value, list):
        return NOTHING._replace(lost=NO_OUTLINE)
    written = _rings(value)
    bounds = [_ring_bounds(ring) for ring in written]
    rings = [ring for ring, around in zip(written, bounds, strict=True) if around]
    lost = NO_POLYGON if len(rings) < len(written) else ""
    around = _union([around for around in bounds if around])
    if around and _is_too_long(rings, around, size, canvas):
        return NOTHING._replace(lost=LONG_POLYGON)
    return Outline(rings, None, around, lost)


def _rings(value: list) -> list:
    """The polygons of a list: some writers leave out the outer brackets, or write corners as pairs."""
    if not isinstance(value[0], list):
        return [value]
    if len(value) > 2 and all(isinstance(ring, list) and len(ring) == 2 for ring in value):
        value = [value]
    return [_flat(ring) if isinstance(ring, list) and ring and isinstance(ring[0], list) else ring for ring in value]


def _flat(pairs: list) -> list:
    return [number for pair in pairs for number in (pair if isinstance(pair, list) else [None])]


def _ring_bounds(ring: object) -> Corners | None:
    """x0, y0, x1, y1 of a polygon; None if it is none."""
    if not isinstance(ring, list) or len(ring) < 6 or len(ring) % 2:
        return None
    try:
        if not isfinite(sum(ring)):
            return None
        xs = ring[::2]
        ys = ring[1::2]
        bounds = min(xs), min(ys), max(xs), max(ys)
    except (TypeError, OverflowError):  # something in it is no number, or one of hundreds of digits
        return None
    return bounds if min(bounds) > -FARTHEST_PX and max(bounds) < FARTHEST_PX else None


def _union(bounds: list[Corners]) -> Corners | None:
    if len(bounds) < 2:
        return bounds[0] if bounds else None
    x0, y0, x1, y1 = zip(*bounds, strict=True)
    return min(x0), min(y0), max(x1), max(y1)


def _is_too_long(rings: list[list[float]], around: Corners, size: tuple[int, int], canvas: tuple[int, int]) -> bool:
    corners = sum(map(len, rings)) // 2
    if corners > MAX_CORNERS:
        return True
    if corners * sum(canvas) <= MAX_OUTLINE_PX and _is_near(around, size):
        return False
    scale = np.divide(canvas, size)
    paths = [np.array(ring, float).reshape(-1, 2) * scale for ring in rings]
    if any(np.abs(path).max() > MAX_OUTLINE_PX for path in paths):  # whoever fills them counts in whole numbers
        return True
    return sum(np.abs(path - np.roll(path, 1, axis=0)).max(axis=1).sum() for path in paths) > MAX_OUTLINE_PX


def _is_near(around: Corners, size: tuple[int, int]) -> bool:
    """Whether what lies in these bounds is on the picture, but for a few pixels."""
    x0, y0, x1, y1 = around
    return x0 > -9 and y0 > -9 and x1 < size[0] + 9 and y1 < size[1] + 9


def _fill(rings: list[list[float]], size: tuple[int, int], canvas: tuple[int, int]) -> Mask | None:
    width, height = canvas
    if canvas != size:
        scale = np.divide(canvas, size)
        rings = [(np.array(ring, float).reshape(-1, 2) * scale).ravel().tolist() for ring in rings]
    drawn = coco_mask.merge(coco_mask.frPyObjects(rings, height, width))
    if not coco_mask.area(drawn):
        return None
    return Mask(size=(height, width), counts=drawn["counts"].decode())


def _read_runs(value: dict, size: tuple[int, int]) -> Outline:
    shape = value.get("size")
    counts = value.get("counts")
    try:
        height, width = map(int, shape)  # type: ignore[arg-type]  # what is no list is a TypeError
        runs = rle.string_to_counts(counts) if isinstance(counts, str) else counts
        if not isinstance(runs, list) or len(runs) > MAX_RUNS or not (0 < height < MAX_SIDE and 0 < width < MAX_SIDE):
            return NOTHING._replace(lost=NO_RUNS)
        if sum(runs) != height * width or min(runs) < 0 or sum(map(int, runs)) != height * width:
            return NOTHING._replace(lost=NO_RUNS)
    except (TypeError, ValueError, OverflowError, BadInput):
        return NOTHING._replace(lost=NO_RUNS)
    is_turned = (width, height) == size[::-1] and width != height
    if is_turned or abs(height * size[0] - width * size[1]) > SAME_SHAPE * height * size[0] + max(size):
        return NOTHING._replace(lost=OTHER_SHAPE)
    return Outline([], {"size": [height, width], "counts": counts})


def _counts(runs: dict[str, Any]) -> np.ndarray:
    counts = runs["counts"]
    return np.array(rle.string_to_counts(counts) if isinstance(counts, str) else counts, np.int64)


def _run_bounds(runs: dict[str, Any], size: tuple[int, int]) -> Corners | None:
    """The pixels of run lengths lie column after column; what begins in one and ends in another touches both ends."""
    height, width = runs["size"]
    ends = np.cumsum(_counts(runs))
    first = ends[: len(ends) // 2 * 2 : 2]
    last = ends[1::2] - 1
    first, last = first[last >= first], last[last >= first]
    if not len(first):
        return None
    crosses = bool((first // height != last // height).any())
    top, bottom = (0, height) if crosses else (int((first % height).min()), int((last % height).max()) + 1)
    across = size[0] / width
    down = size[1] / height
    left, right = int(first[0] // height), int(last[-1] // height) + 1
    return left * across, top * down, right * across, bottom * down


def _shrink(runs: dict[str, Any], canvas: tuple[int, int]) -> Mask | None:
    height, width = runs["size"]
    counts = _counts(runs)
    if not counts[1::2].any():
        return None
    if height * width <= rle.MAX_PIXELS:
        text = runs["counts"] if isinstance(runs["counts"], str) else rle.counts_to_string(counts.tolist())
        return Mask(size=(height, width), counts=text)
    ends = np.cumsum(counts)
    rows = ((np.arange(canvas[1]) + 0.5) * height / canvas[1]).astype(np.int64)
    columns = ((np.arange(canvas[0]) + 0.5) * width / canvas[0]).astype(np.int64)
    array = np.empty((canvas[1], canvas[0]), bool)
    for index, column in enumerate(columns):  # one by one: the places of all pixels would take 8 times the mask
        array[:, index] = np.searchsorted(ends, column * height + rows, side="right") % 2
    return Mask.from_array(array) if array.any() else None


def turn(points: list[list[float]], centre: tuple[float, float], degrees: float) -> list[list[float]]:
    """Points turned clockwise on the picture, whose y grows downwards."""
    sine, cosine = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))
    x, y = centre
    return [[x + (px - x) * cosine - (py - y) * sine, y + (px - x) * sine + (py - y) * cosine] for px, py in points]


def turned_box(corners: Corners, degrees: float) -> list[float]:
    """A box turned clockwise about its centre as ``[x, y, x, y, ...]``."""
    x0, y0, x1, y1 = corners
    points = turn([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], ((x0 + x1) / 2, (y0 + y1) / 2), degrees)
    return [value for point in points for value in point]
