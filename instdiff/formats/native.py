"""The JSON of InstanceDiffusion <-> `Layout`: coordinates in pixels of the picture, masks in any form of COCO."""

from __future__ import annotations

import warnings

import numpy as np

from instdiff import rle
from instdiff.errors import BadInput
from instdiff.formats.boxes import BoxFormatWarning, resolve_boxes
from instdiff.formats.fields import mapping, number, pair, sequence, text, whole
from instdiff.formats.fractions import to_pixels
from instdiff.layout import MAX_INSTANCES, Box, Instance, Layout, Mask, Point, Scribble, rounded

PIXELS = "pixels"  # the value of ``units`` in a file whose places are so small that they look like fractions
MAX_POLYGONS = 256
MAX_CORNERS = 50_000  # of one mask
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

    By hand: `skimage.draw.polygon` counts centres on an edge as inside, so that two polygons with a common edge
    overlap, and tests every pixel against every corner: minutes for a mask of 50,000 corners.

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


DECIMALS = (0, 3, 6, 9, 11)  # of pixels, as few as say the same
SNAP_PX = 5e-9  # what differs less from a number with three decimals is that number, read as a fraction and written


def layout_from_json(data: object, boxes: str = "auto") -> Layout:
    """Parsed JSON -> layout. Keys that the format does not know are ignored.

    Coordinates are pixels; where all of a kind lie within 0..1, they are read as fractions, with a `BoxFormatWarning`,
    unless ``units`` says ``pixels``.

    Args:
        data: what `json.load` gave; nothing about it is taken for granted.
        boxes: what ``bbox`` holds: ``xywh``, ``corners``, or ``auto`` (see `instdiff.formats.box_format`).

    Raises:
        BadInput: a value is missing, of the wrong type, or off the canvas.

    Examples:
        >>> dog = {"bbox": [64, 64, 128, 64], "category_name": "dog", "caption": "a brown dog"}
        >>> layout = layout_from_json({"caption": "a dog", "width": 256, "height": 256, "annos": [dog]})
        >>> layout.instances[0].box.xyxy
        (0.25, 0.25, 0.75, 0.5)
    """
    data = mapping(data, "layout")
    if "annos" not in data and isinstance(data.get("images"), list):
        raise BadInput("layout", "holds the annotations of COCO; read them with instdiff.layouts_from_coco")
    width, height = (whole(data.get(key), key) for key in ("width", "height"))
    captions = {key: text(data, key) for key in ("caption", "negative_caption")}
    frame = {"width": width, "height": height, **captions}
    layout = Layout.parse(frame)  # the canvas is checked before anything is measured on it
    annos = [mapping(anno, f"annos[{index}]") for index, anno in enumerate(sequence(data.get("annos"), "annos"))]
    if len(annos) > MAX_INSTANCES:
        raise BadInput("annos", f"{len(annos)} annotations; the model has room for {MAX_INSTANCES}")
    if data.get("units") != PIXELS:
        annos, kinds = to_pixels(annos, layout.size)
        if kinds:
            reason = f"all {' and '.join(kinds)} lie within 0..1 and are read as fractions of the canvas"
            warnings.warn(f'{reason}; if they are pixels, add "units": "{PIXELS}"', BoxFormatWarning, stacklevel=2)
    places = resolve_boxes(annos, layout.size, boxes)
    instances = [read_instance(anno, places.get(i), layout.size, f"annos[{i}]") for i, anno in enumerate(annos)]
    return layout.with_instances(instances)


def read_instance(anno: dict, place: Box | Point | None, size: tuple[int, int], field: str) -> Instance:
    """One annotation, whose box has been read already, as an instance."""
    point = place if isinstance(place, Point) else None
    if anno.get("point") not in (None, []):
        point = _point(pair(anno["point"], f"{field}.point"), size, f"{field}.point")
    parts = {
        "caption": text(anno, "caption", field),
        "category": text(anno, "category_name", field),
        "box": place if isinstance(place, Box) else None,
        "point": point,
        "scribble": _scribble(anno.get("scribble"), size, f"{field}.scribble"),
        "mask": read_mask(anno.get("mask"), size, f"{field}.mask"),
    }
    if not any(parts[kind] for kind in ("box", "point", "scribble", "mask")):
        raise BadInput(field, "has no place; give a bbox, point, scribble or mask")
    return Instance.parse(parts, field)


def layout_to_json(layout: Layout) -> dict:
    """Layout -> the JSON of InstanceDiffusion, boxes as ``[x, y, width, height]`` in pixels.

    `layout_from_json` reads the same layout from it, to the last digit.
    """
    data = {"caption": layout.caption, "width": layout.width, "height": layout.height}
    if layout.negative_caption:
        data["negative_caption"] = layout.negative_caption
    annos = [_anno(instance, layout.size) for instance in layout.instances]
    if to_pixels(annos, layout.size)[1]:  # smaller than a pixel, all of them
        data["units"] = PIXELS
    return {**data, "annos": annos}


def _anno(instance: Instance, size: tuple[int, int]) -> dict:
    mask = {"size": list(instance.mask.size), "counts": instance.mask.counts} if instance.mask else []
    named = {"category_name": instance.category, "caption": instance.caption}
    box = {"bbox": _bbox(instance.box, size)} if instance.box else {}
    return {**box, "mask": mask, **named, **drawn_places(instance, size)}


def drawn_places(instance: Instance, size: tuple[int, int]) -> dict:
    """``point`` and ``scribble`` in pixels, each where the instance has one."""
    places: dict[str, list] = {}
    if instance.point:
        places["point"] = _xy(instance.point, size)
    if instance.scribble:
        places["scribble"] = [_xy(point, size) for point in instance.scribble.points]
    return places


def _xy(point: Point, size: tuple[int, int]) -> list[float]:
    return [_pixel(point.x, size[0]), _pixel(point.y, size[1])]


def _bbox(box: Box, size: tuple[int, int]) -> list[float]:
    """``[x, y, width, height]``: widths are counted from what is written of x, not from what it stands for."""
    x, y = _pixel(box.x0, size[0]), _pixel(box.y0, size[1])
    return [x, y, _pixel(box.x1, size[0], x), _pixel(box.y1, size[1], y)]


def _pixel(fraction: float, side: int, start: float = 0.0) -> float:
    """The shortest number of pixels after ``start`` that is read as this fraction of a side."""
    value = fraction * side - start
    for decimals in DECIMALS:
        short = round(value, decimals)
        if rounded((start + short) / side) == fraction:
            return int(short) if short == int(short) else short
    return value


def pixels(values: list[float]) -> list[float]:
    """Pixel coordinates as a person would write them: 51 instead of 50.99999999999999, all digits where they matter."""
    short = [round(value, 3) if abs(value - round(value, 3)) < SNAP_PX else value for value in values]
    return [int(value) if value == int(value) else value for value in short]


def _point(xy: tuple[float, float], size: tuple[int, int], field: str) -> Point:
    """A point in pixels -> fractions; up to one pixel outside counts as on the border."""
    for name, value, limit in (("x", xy[0], size[0]), ("y", xy[1], size[1])):
        if not -1 <= value <= limit + 1:
            raise BadInput(field, f"{name} = {value:g} is outside the canvas, 0..{limit}; points are [x, y] in pixels")
    return Point(x=min(max(xy[0] / size[0], 0.0), 1.0), y=min(max(xy[1] / size[1], 0.0), 1.0))


def _scribble(value: object, size: tuple[int, int], field: str) -> Scribble | None:
    """``[[x, y], ...]`` or ``[x, y, x, y, ...]`` in pixels; empty or None is no scribble."""
    items = sequence(value, field) if value is not None else []
    if not items:
        return None
    if isinstance(items[0], list | tuple):
        pairs = [pair(item, f"{field}[{index}]") for index, item in enumerate(items)]
    else:
        flat = [number(item, f"{field}[{index}]") for index, item in enumerate(items)]
        if len(flat) % 2:
            raise BadInput(field, f"holds {len(flat)} numbers; x and y come in pairs")
        pairs = list(zip(flat[::2], flat[1::2], strict=True))
    points = [_point(xy, size, f"{field}[{index}]") for index, xy in enumerate(pairs)]
    return Scribble.parse({"points": points}, field)
