"""Masks in files: COCO run lengths, compressed or not, and polygons."""

from __future__ import annotations

import numpy as np

from instdiff import rle
from instdiff.errors import BadInput
from instdiff.formats.values import mapping, number, sequence, whole
from instdiff.layout import Mask

MAX_POLYGONS, MAX_CORNERS = 256, 50_000  # of one mask
MAX_DRAWN = 8  # times the canvas that the polygons of one mask may cover, counted by their boxes


def read_mask(value: object, size: tuple[int, int], field: str) -> Mask | None:
    """Run lengths ``{"size": [height, width], "counts"}`` or a list of polygons -> mask.

    None, an empty list and a mask without a single pixel are no mask.

    Args:
        value: the mask as it stands in a file.
        size: (width, height) of the canvas in pixels, on which polygons are drawn.
        field: where the value stands, for errors.
    """
    if value is None or value == []:
        return None
    if isinstance(value, list):
        return _from_polygons(value, size, field)
    value = mapping(value, field)
    shape = [whole(side, f"{field}.size") for side in sequence(value.get("size"), f"{field}.size")]
    if len(shape) != 2:
        raise BadInput(f"{field}.size", f"must be [height, width], not {len(shape)} numbers")
    counts = _counts(value.get("counts"), shape, field)
    if not sum(counts[1::2]):
        return None
    return Mask.parse({"size": tuple(shape), "counts": rle.counts_to_string(counts)}, field)


def _counts(value: object, shape: list[int], field: str) -> list[int]:
    """Run lengths that are known to fill the shape, from compressed text or a list."""
    try:
        if isinstance(value, str):
            counts = rle.string_to_counts(value)
        else:
            counts = [whole(count, f"{field}.counts") for count in sequence(value, f"{field}.counts")]
        rle.check_counts(counts, *shape)
    except BadInput as error:
        raise BadInput(f"{field}.{error.field.split('.')[-1]}", error.reason) from error
    return counts


def _from_polygons(value: list, size: tuple[int, int], field: str) -> Mask | None:
    """The union of the polygons ``[[x, y, x, y, ...], ...]`` in pixels, drawn on the canvas."""
    if len(value) > MAX_POLYGONS:
        raise BadInput(field, f"{len(value)} polygons; at most {MAX_POLYGONS} are read")
    mask = np.zeros((size[1], size[0]), dtype=bool)
    if sum(len(ring) for ring in value if isinstance(ring, list)) > 2 * MAX_CORNERS:
        raise BadInput(field, f"more than {MAX_CORNERS} corners")
    drawn = 0.0
    for index, ring in enumerate(value):
        where = f"{field}[{index}]"
        flat = np.array([number(item, where) for item in sequence(ring, where)])
        if len(flat) < 6 or len(flat) % 2:
            raise BadInput(where, f"a polygon is x, y, x, y, ... of at least three points, not {len(flat)} numbers")
        xy = flat.reshape(-1, 2)
        if xy.min() < -1 or (xy > np.array(size) + 1).any():
            raise BadInput(where, f"leaves the {size[0]} x {size[1]} canvas; polygons are x, y, x, y, ... in pixels")
        drawn += np.ptp(xy[:, 0]) * np.ptp(xy[:, 1])
        if drawn > MAX_DRAWN * mask.size:
            raise BadInput(field, f"its polygons cover more than {MAX_DRAWN} times the canvas")
        fill_polygon(mask, xy)
    return Mask.from_array(mask) if mask.any() else None


def fill_polygon(mask: np.ndarray, xy: np.ndarray) -> None:
    """Set every pixel whose centre lies inside the polygon (even-odd rule).

    Args:
        mask: (height, width) bool, changed in place.
        xy: (N, 2) float, corners in pixels; pixel (row, column) covers column..column + 1, row..row + 1.
    """
    height, width = mask.shape
    top, bottom = (int(np.clip(np.ceil(y - 0.5), 0, height)) for y in (xy[:, 1].min(), xy[:, 1].max()))
    crossings = np.zeros((bottom - top, width + 1), dtype=np.uint8)  # how often an edge passes left of a pixel centre
    for (x0, y0), (x1, y1) in zip(xy, np.roll(xy, -1, axis=0), strict=True):
        first, last = (int(np.clip(np.ceil(y - 0.5), 0, height)) for y in (min(y0, y1), max(y0, y1)))
        rows = np.arange(first, last)
        if len(rows):
            x = x0 + (rows + 0.5 - y0) * (x1 - x0) / (y1 - y0)
            crossings[rows - top, np.clip(np.ceil(x - 0.5), 0, width).astype(int)] ^= 1
    mask[top:bottom] |= np.logical_xor.accumulate(crossings[:, :width].astype(bool), axis=1)
