"""Single records of COCO files, read as they are meant; what cannot be used is left out, and said."""

from __future__ import annotations

import math
from typing import NamedTuple

from instdiff.errors import BadInput
from instdiff.formats.boxes import TOLERANCE_PX
from instdiff.formats.fields import text, whole
from instdiff.formats.native import read_instance
from instdiff.formats.outlines import NOTHING, Corners, Outline, read_outline, turned_box
from instdiff.layout import MAX_SIDE

MIN_SIDE = 64  # of a layout
MAX_RECORD_SIDE = 1_000_000  # of a picture, in pixels
SAME_PX = 1.5  # by which the sides of a box and of its outline may differ, as they were rounded
THINNEST_PX = 1e-6  # what is thinner has no area once its sides are fractions
LARGEST_TURN = 1e6  # degrees; what is more is none
MAX_NAME = 200  # characters of a category
MAX_CAPTION = 2000  # characters of an instance's caption
MAX_SCENE = 8000  # characters of a picture's caption

BOX_CUT = "boxes cut at the border of their picture"
BOX_MADE = "boxes taken from the outline, as there was none that can be used"
BOX_ELSEWHERE = "boxes taken from the outline, which lies elsewhere or shows that they are written as corners"
BOX_TURNED = "boxes that are turned, of which the outline is taken"
NO_DRAWING = "points and scribbles left out, as they cannot be read"
NO_CAPTION = "captions left out, as they are no text or too long"

Identity = int | str


def identity(value: object) -> Identity | None:
    """What a record is known by: a whole number, also where it is written as text, or text; None if it has none."""
    if type(value) is int:
        return value
    if isinstance(value, str):
        name = value.strip()
        is_number = name.isascii() and name.isdigit() and len(name) < 19 and str(int(name)) == name
        return int(name) if is_number else name or None
    if isinstance(value, bool) or not isinstance(value, int | float) or (value != value or math.isinf(value)):
        return None
    return int(value) if value == int(value) else None


def category_name(record: dict) -> str:
    """The name of a category; empty if it has none that can be used."""
    name = record.get("name")
    if isinstance(name, int) and not isinstance(name, bool):
        name = str(name)
    return _words({"name": name}, "name", MAX_NAME)[0]


def own_name(anno: dict) -> str:
    """What an annotation is called where its category has no name: what it says itself, or its caption."""
    names = (_words(anno, key, MAX_NAME)[0] for key in ("category_name", "category", "caption"))
    return next(filter(None, names), "")


def caption_of(record: dict, most: int) -> tuple[str, bool]:
    """The caption of a picture or an annotation, and whether it has one that cannot be used."""
    return _words(record, "caption", most)


def _words(record: dict, key: str, most: int) -> tuple[str, bool]:
    """The text under a key, and whether there is one that cannot be used."""
    if record.get(key) is None:
        return "", False
    try:
        value = text(record, key)
    except BadInput:
        return "", True
    return ("", True) if len(value) > most else (value.strip() and value, False)


def picture_size(record: dict) -> tuple[int, int] | None:
    """(width, height) in pixels of an image record; None if it does not say so."""
    try:
        width, height = (_side(record.get(key), key) for key in ("width", "height"))
    except BadInput:
        return None
    return (width, height) if 0 < width <= MAX_RECORD_SIDE and 0 < height <= MAX_RECORD_SIDE else None


def _side(value: object, field: str) -> int:
    """A whole number, also where it is written as text; raises BadInput."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 9:
        return int(value)
    return whole(value, field)


def canvas_size(size: tuple[int, int]) -> tuple[int, int]:
    """(width, height) of the layout of a picture: its own, or the nearest of its proportions that a layout can have."""
    scale = min(max(1.0, MIN_SIDE / min(size)), MAX_SIDE / max(size))
    width, height = (min(max(round(side * scale), MIN_SIDE), MAX_SIDE) for side in size)
    return width, height


def is_crowd(anno: dict) -> bool:
    """Whether an annotation says that it is a region of many things, or is a brush's, as CVAT writes them."""
    value = anno.get("iscrowd")
    return isinstance(value, int | float | str) and value in (1, "1", "true", "True")


class Places(NamedTuple):
    """Where an annotation says that its thing is, and what of that cannot be used, in words for a `Tally`.

    ``box`` is x0, y0, x1, y1 in pixels, on the picture; None if there is none.
    """

    box: Corners | None
    outline: Outline
    faults: list[str]
    has_drawing: bool  # a point or a scribble


def read_places(anno: dict, size: tuple[int, int], canvas: tuple[int, int]) -> Places:
    """The places of an annotation on a (width, height) picture; boxes are ``[x, y, width, height]`` in pixels.

    A box that cannot be used gives way to the box around the outline; so does one that touches the outline nowhere, or
    whose third and fourth number are where the outline ends.

    Args:
        canvas: (width, height) on which outlines will be drawn.
    """
    faults = []
    segmentation = anno.get("segmentation")
    outline = read_outline(segmentation, size, canvas) if segmentation else NOTHING
    if outline.lost:
        faults.append(outline.lost)
    written = _read_box(anno.get("bbox"))
    if written and not outline and (degrees := _rotation(anno)):
        outline = read_outline([turned_box(written, degrees)], size, canvas)
        written = outline.around
        faults.append(BOX_TURNED)
    box = written and _clip(written, size)
    around = _clip_bounds(outline, size) if outline and (outline.rings or not box) else None
    if written and box and around and (not _touch(box, around) or _has_corners(written, around)):
        box = around
        faults.append(BOX_ELSEWHERE)
    elif box and written and _leaves(written, size):
        faults.append(BOX_CUT)
    elif not box and around:
        box = around
        faults.append(BOX_MADE)
    has_drawing = bool(anno.get("point") or anno.get("scribble"))
    if has_drawing and not _is_readable(anno, size):
        has_drawing = False
        faults.append(NO_DRAWING)
    return Places(box, outline, faults, has_drawing)


def _rotation(anno: dict) -> float:
    """By how many degrees a box is turned about its centre, as CVAT says it; 0 where nothing does."""
    attributes = anno.get("attributes")
    degrees = attributes.get("rotation") if isinstance(attributes, dict) else None
    if not isinstance(degrees, int | float) or isinstance(degrees, bool) or not abs(degrees) < LARGEST_TURN:
        return 0.0
    return degrees % 360


def area_px(anno: dict, box: Corners | None) -> float:
    """The area as stated, else that of the box, in square pixels."""
    area = anno.get("area")
    if isinstance(area, int | float) and 0 < area < 1e300:
        return float(area)
    return (box[2] - box[0]) * (box[3] - box[1]) if box else 0.0


def _read_box(value: object) -> Corners | None:
    """``[x, y, width, height]`` -> x0, y0, x1, y1 in pixels; None if it is no box with an area."""
    if not isinstance(value, list | tuple) or len(value) != 4:
        return None
    try:
        x, y, width, height = value
        corners = (x + 0.0, y + 0.0, x + width + 0.0, y + height + 0.0)
    except (TypeError, OverflowError):
        return None
    is_box = width > 0 and height > 0 and all(map(math.isfinite, corners))
    return corners if is_box else None


def _clip(corners: Corners, size: tuple[int, int]) -> Corners | None:
    if corners[0] >= 0 and corners[1] >= 0 and corners[2] <= size[0] and corners[3] <= size[1]:
        x0, y0, x1, y1 = corners
        return corners if x1 - x0 > THINNEST_PX and y1 - y0 > THINNEST_PX else None
    x0, y0, x1, y1 = max(corners[0], 0.0), max(corners[1], 0.0), min(corners[2], size[0]), min(corners[3], size[1])
    return (x0, y0, x1, y1) if x1 - x0 > THINNEST_PX and y1 - y0 > THINNEST_PX else None


def _clip_bounds(outline: Outline, size: tuple[int, int]) -> Corners | None:
    bounds = outline.bounds(size)
    return bounds and _clip(bounds, size)


def _touch(a: Corners, b: Corners) -> bool:
    return a[0] <= b[2] and b[0] <= a[2] and a[1] <= b[3] and b[1] <= a[3]


def _has_corners(box: Corners, around: Corners) -> bool:
    """Whether a box was written as the corners of the outline, and not as its width and height."""
    x0, y0, x1, y1 = box
    corners = (x0, y0, x1 - x0, y1 - y0)  # the four numbers, as they are written
    is_corners = all(abs(a - b) <= SAME_PX for a, b in zip(corners, around, strict=True))
    return is_corners and (abs(x1 - around[2]) > SAME_PX or abs(y1 - around[3]) > SAME_PX)


def _leaves(corners: Corners, size: tuple[int, int]) -> bool:
    x0, y0, x1, y1 = corners
    return min(x0, y0) < -TOLERANCE_PX or x1 > size[0] + TOLERANCE_PX or y1 > size[1] + TOLERANCE_PX


def _is_readable(anno: dict, size: tuple[int, int]) -> bool:
    try:
        read_instance({"caption": "thing", **drawing_of(anno)}, None, size, "annotation")
    except BadInput:
        return False
    return True


def drawing_of(anno: dict) -> dict:
    """The point and the scribble of an annotation, as they are written."""
    return {key: anno[key] for key in ("point", "scribble") if anno.get(key)}
