"""Places as other people's files write them -> the keys of COCO's records: boxes, outlines, masks, points, lines.

All are in pixels of the picture. What cannot be read is a ValueError, for readers that leave out the shape and go on.
"""

from __future__ import annotations

import io
import math
import warnings
from base64 import b64decode, b64encode

import numpy as np

from instdiff.formats.coco_records import MAX_RECORD_SIDE
from instdiff.formats.fields import numbers_in
from instdiff.formats.outlines import turn, turned_box

MAX_MASK_PIXELS = 2**26  # that are unfolded for one mask
ELLIPSE_CORNERS = 64
MAX_LINE = 1000  # points of a scribble; of longer lines as many are kept, evenly


def pairs_in(value: object) -> list[list[float]]:
    """Points: ``[[x, y], ...]``, ``[x, y, x, y, ...]``, or ``"x,y;x,y"``.

    Raises:
        ValueError: they are none.
    """
    if isinstance(value, list) and value and isinstance(value[0], list | tuple):
        points = [numbers_in(one) for one in value]
    else:
        flat = numbers_in(value)
        points = [list(pair) for pair in zip(flat[::2], flat[1::2], strict=True)]
    if not points or any(len(point) != 2 for point in points):
        raise ValueError("no points")
    return points


def box_place(x0: float, y0: float, x1: float, y1: float, degrees: float = 0.0) -> dict:
    """A box from two corners in pixels, in any order; turned clockwise about its centre, it is an outline."""
    x0, x1 = sorted((x0, x1))
    y0, y1 = sorted((y0, y1))
    if degrees % 360 == 0:
        return {"bbox": [x0, y0, x1 - x0, y1 - y0]}
    flat = turned_box((x0, y0, x1, y1), degrees)
    return ring_place([[x, y] for x, y in zip(flat[::2], flat[1::2], strict=True)])


def ring_place(points: list[list[float]]) -> dict:
    """An outline through points in pixels, and the box around it.

    Raises:
        ValueError: there are less than three points.
    """
    if len(points) < 3:
        raise ValueError("no outline")
    xs, ys = zip(*points, strict=True)
    box = box_place(min(xs), min(ys), max(xs), max(ys))
    return {"around": box["bbox"], "segmentation": [[value for point in points for value in point]]}


def ellipse_place(cx: float, cy: float, rx: float, ry: float, degrees: float = 0.0) -> dict:
    """An ellipse as an outline."""
    angles = [2 * math.pi * step / ELLIPSE_CORNERS for step in range(ELLIPSE_CORNERS)]
    return ring_place(turn([[cx + rx * math.cos(a), cy + ry * math.sin(a)] for a in angles], (cx, cy), degrees))


def line_place(points: list[list[float]]) -> dict:
    """One point is a point, several are a scribble."""
    if len(points) == 1:
        return {"point": points[0]}
    if len(points) > MAX_LINE:
        points = [points[index] for index in np.linspace(0, len(points) - 1, MAX_LINE).astype(int)]
    return {"scribble": points}


def mask_place(crop: np.ndarray, left: int, top: int, size: tuple[int, int]) -> dict:
    """A mask that covers a part of a picture.

    By hand, run by run: hundreds of small masks on a large picture would each be unfolded to all of it otherwise.

    Args:
        crop: (height, width) bool; what of it lies outside the picture is cut off.
        left, top: where it begins, in pixels.
        size: (width, height) of the picture.

    Raises:
        ValueError: nothing is in it, or the picture is larger than any.
    """
    width, height = size
    if max(size) > MAX_RECORD_SIDE:
        raise ValueError("no such picture")
    crop = crop[max(-top, 0) : max(height - top, 0), max(-left, 0) : max(width - left, 0)]
    left, top = max(left, 0), max(top, 0)
    if not crop.any():
        raise ValueError("an empty mask")
    rows, columns = crop.shape
    padded = np.zeros((columns, rows + 1), np.int8)  # no run of a column reaches into the next one
    padded[:, :rows] = crop.T
    changes = np.flatnonzero(np.diff(padded.ravel(), prepend=np.int8(0)))
    column, row = np.divmod(changes, rows + 1)
    places = (left + column) * height + top + row
    first, last = places[::2], places[1::2]
    begins = np.append(True, first[1:] != last[:-1])  # runs that go on in the next column are one
    ends = np.append(begins[1:], True)
    edges = np.stack([first[begins], last[ends]], axis=1).ravel()
    counts = np.diff(edges, prepend=0, append=width * height).tolist()
    x, y = left + column[::2], top + row[::2]
    bottom = int((top + row[1::2]).max())
    box = [int(x.min()), int(y.min()), int(x.max() + 1 - x.min()), int(bottom - y.min())]
    return {"around": box, "segmentation": {"size": [height, width], "counts": counts if counts[-1] else counts[:-1]}}


def decode_png(text: str, most: int = MAX_MASK_PIXELS) -> np.ndarray:
    """A mask that is kept as a PNG in base64 -> (height, width) bool.

    Raises:
        ValueError: it cannot be read, or has too many pixels.
    """
    from PIL import Image  # costs time that other files do not need

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of many pixels, which are counted here
            with Image.open(io.BytesIO(b64decode(text)), formats=["PNG"]) as image:
                if image.width * image.height > most:
                    raise ValueError("too large")
                return np.asarray(image if image.mode in ("1", "L", "P", "I", "I;16") else image.convert("L")) > 0
    except Exception as error:  # of any kind, where bytes are not what they should be
        raise ValueError("no PNG") from error


def encode_png(mask: np.ndarray) -> str:
    """(height, width) bool -> a PNG of zeros and ones in base64."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(np.asarray(mask, np.uint8)).save(buffer, format="PNG")
    return b64encode(buffer.getvalue()).decode()
