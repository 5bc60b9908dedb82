"""The JSON of labelme, and of X-AnyLabeling after it: one file for each picture."""

from __future__ import annotations

import math
from base64 import b64decode
from io import BytesIO
from pathlib import Path

import numpy as np

from instdiff.errors import BadInput
from instdiff.formats.fields import sequence
from instdiff.formats.parts import caption_beside, crop_to_mask, label_of, parts_of
from instdiff.formats.pictures import Findings, Picture, Size, base_name, named, read_size, size_beside
from instdiff.formats.places import (
    box_place,
    decode_png,
    ellipse_place,
    encode_png,
    line_place,
    mask_place,
    pairs_in,
    ring_place,
)
from instdiff.layout import Instance, Layout

VERSION = "5.5.0"  # of labelme, whose files are written


def read(data: dict, path: Path, findings: Findings) -> Picture:
    """The picture of a file.

    ``description`` is a caption; shapes of one label and ``group_id`` are one thing.

    Raises:
        BadInput: nothing says how large the picture is, or there is no list of shapes.
    """
    written = data.get("imagePath")
    name = written if isinstance(written, str) and written else path.stem
    size = _size(data) or _embedded_size(data.get("imageData")) or size_beside(path.parent, name)
    if size is None:
        raise BadInput(f"{path}.imageWidth", "is missing, and the picture is not there either")
    captions = {key: data[key] for key in ("caption", "negative_caption") if isinstance(data.get(key), str)}
    picture = Picture(base_name(name), size, **captions)
    for index, shape in enumerate(sequence(data.get("shapes"), f"{path}.shapes")):
        _read_shape(shape, f"shapes[{index}]", picture, findings)
    return picture


def _size(data: dict) -> Size | None:
    return read_size(data.get("imageWidth"), data.get("imageHeight"))


def _embedded_size(text: object) -> Size | None:
    """The size of the picture that old files hold themselves."""
    from PIL import Image

    if not isinstance(text, str) or not text:
        return None
    try:
        with Image.open(BytesIO(b64decode(text))) as image:
            return image.size
    except Exception:  # of any kind, where bytes are not what they should be
        return None


def _read_shape(shape: object, where: str, picture: Picture, findings: Findings) -> None:
    shape = shape if isinstance(shape, dict) else {}
    kind = shape.get("shape_type") or "polygon"  # before labelme 3.3 there were no others
    words = kind, shape.get("description"), shape.get("group_id")
    picture.add(findings, where, named(shape.get("label")), lambda: _place(kind, shape, picture.size), *words)


def _place(kind: object, shape: dict, size: Size | None) -> dict | None:
    """Where a shape is; None if its kind is not known."""
    points = pairs_in(shape.get("points"))
    if kind in ("rectangle", "mask") and len(points) < 2:
        raise ValueError("no box")
    if kind == "rectangle":
        xs, ys = zip(*points, strict=True)  # two corners, of which some writers give four
        return box_place(min(xs), min(ys), max(xs), max(ys))
    if kind in ("polygon", "rotation", "oriented_rectangle"):
        return ring_place(points)
    if kind == "circle":
        radius = math.dist(*points[:2]) if len(points) > 1 else 0.0  # the centre, and a point on it
        x, y = points[0]
        return ellipse_place(x, y, radius, radius)
    if kind in ("point", "points", "line", "linestrip"):
        return line_place(points)
    if kind == "mask" and size:
        text = shape.get("mask")
        (left, top), *_ = points
        return mask_place(decode_png(text if isinstance(text, str) else ""), int(left), int(top), size)
    return None


def write(name: str, layout: Layout) -> dict:
    """The file of a picture.

    The caption of the picture stands beside what labelme knows, and is kept by it; that of a thing is its description.
    """
    shapes = []
    for number, instance in enumerate(layout.instances, start=1):
        shapes += _shapes(instance, layout.size, number)
    captions = {"caption": layout.caption, "negative_caption": layout.negative_caption}
    return {
        "version": VERSION,
        "flags": {},
        "shapes": shapes,
        "imagePath": name,
        "imageData": None,
        "imageHeight": layout.height,
        "imageWidth": layout.width,
        **{key: value for key, value in captions.items() if value},
    }


def _shapes(instance: Instance, size: Size, number: int) -> list[dict]:
    box, mask, line, point = parts = parts_of(instance, size)
    drawn = [{"shape_type": "rectangle", "points": [box[:2], box[2:]]}] if box else []
    if mask is not None:
        drawn.append({"shape_type": "mask", **_mask(mask)})
    if line:
        drawn.append({"shape_type": "linestrip", "points": line})
    if point:
        drawn.append({"shape_type": "point", "points": [point]})
    group = number if parts.are_several else None
    words = {"label": label_of(instance), "description": caption_beside(instance), "group_id": group}
    return [{**words, "flags": {}, "mask": None, **shape} for shape in drawn]


def _mask(mask: np.ndarray) -> dict:
    """The corner points of a mask are pixels that belong to it."""
    crop, left, top = crop_to_mask(mask)
    last = [left + crop.shape[1] - 1, top + crop.shape[0] - 1]
    return {"points": [[left, top], last], "mask": encode_png(crop)}
