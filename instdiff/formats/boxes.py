"""What the four numbers of a box mean: ``[x, y, width, height]`` or the corners ``[x0, y0, x1, y1]``.

Files with corners look exactly like files with widths, and reading one as the other moves most boxes. So a format is
either stated by the caller or inferred for a whole file, and then the evidence is said.
"""

from __future__ import annotations

import json
import warnings
from typing import Literal, NamedTuple

from instdiff.errors import BadInput
from instdiff.formats.fields import numbers, text
from instdiff.layout import Box, Point

TOLERANCE_PX = 1.0  # boxes that were rounded outwards reach this far past the border; they are cut in silence

# What to do about a box that does not fit, with the option of the one command that has it.
CURES = {
    "xywh": "boxes are [x, y, width, height] in pixels (if these are corners, say --box-format corners to make)",
    "corners": "boxes are corners [x0, y0, x1, y1] in pixels "
    "(if these are widths and heights, say --box-format xywh to make)",
}

Four = tuple[float, float, float, float]


class LayoutWarning(UserWarning):
    """Something in a file was read in another way than it is written; the text says what and why."""

    is_note = True  # commands show the text alone


class BoxFormatWarning(LayoutWarning):
    """What the boxes of a file mean was inferred, or a box was cut at the border."""


class BoxFormat(NamedTuple):
    """``xywh`` or ``corners``, and why."""

    format: Literal["xywh", "corners"]
    evidence: str


STATED = {"xywh": BoxFormat("xywh", "stated by the caller"), "corners": BoxFormat("corners", "stated by the caller")}


class NamedBox(NamedTuple):
    """The four numbers of one annotation, as written, and how errors call it, e.g. ``annos[3] "dog"``."""

    label: str
    values: Four


def read_boxes(annos: list[dict]) -> dict[int, NamedBox]:
    """The boxes of a file by the index of their annotation; annotations without a box are left out."""
    boxes = {}
    for index, anno in enumerate(annos):
        if anno.get("bbox") not in (None, []):
            x, y, third, fourth = numbers(anno["bbox"], f"annos[{index}].bbox", count=4)
            name = text(anno, "category_name", f"annos[{index}]") or text(anno, "caption", f"annos[{index}]")
            label = f"annos[{index}] {json.dumps(name[:40], ensure_ascii=False)}"
            boxes[index] = NamedBox(label, (x, y, third, fourth))
    return boxes


def box_format(annos: list[dict], size: tuple[int, int]) -> BoxFormat:
    """Infer what the boxes of a whole file mean.

    Args:
        annos: annotations with ``bbox`` (four numbers, pixels), as in the JSON of InstanceDiffusion.
        size: (width, height) of the canvas in pixels.

    Returns:
        ``xywh`` where nothing speaks against it, for that is what the format says. Boxes that leave the canvas as
        ``xywh`` are evidence for ``corners``; a box whose third or fourth number is not above its first or second is
        proof that it is no corner box.

    Raises:
        BadInput: more boxes speak for corners than against, yet some cannot be corners: the file mixes formats.

    Examples:
        >>> box_format([{"bbox": [300, 300, 500, 500], "category_name": "dog"}], size=(512, 512)).format
        'corners'
    """
    boxes = list(read_boxes(annos).values())
    leaving = [box for box in boxes if _overflow(_as_corners(box.values, "xywh"), size)]
    no_corners = [box for box in boxes if _cannot_be_corners(box.values)]
    count = f"{len(leaving)} of {len(boxes)} boxes leave the {size[0]} x {size[1]} canvas as [x, y, width, height]"
    if not leaving:
        return BoxFormat("xywh", "every box fits the canvas as [x, y, width, height], which is what the format says")
    if not no_corners:
        proof = f"the first being {leaving[0].label}; all have corners [x0, y0, x1, y1] in order"
        return BoxFormat("corners", f"{count}, {proof}")
    proof = f"{len(no_corners)} cannot be corners, as {no_corners[0].label} {_in_brackets(no_corners[0].values)} shows"
    if len(leaving) > len(no_corners):
        cure = "say --box-format xywh or corners to make, or mend the boxes"
        raise BadInput("annos", f"{count}, but {proof}; {cure}")
    return BoxFormat("xywh", f"{count}, but {proof}")


def resolve_boxes(annos: list[dict], size: tuple[int, int], boxes: str) -> dict[int, Box | Point]:
    """The boxes of a file as fractions, by the index of their annotation.

    A box without area is the point it lies on. What was inferred or cut is said in a `BoxFormatWarning`.

    Args:
        annos: annotations with ``bbox`` in pixels.
        size: (width, height) of the canvas in pixels.
        boxes: ``xywh``, ``corners`` or ``auto`` (see `box_format`).

    Raises:
        BadInput: a box is no four finite numbers, has corners out of order, or does not lie on the canvas.
    """
    named = read_boxes(annos)
    if boxes == "auto":
        meaning = box_format(annos, size)
        if meaning.format == "corners":
            warnings.warn(f"boxes are read as corners: {meaning.evidence}", BoxFormatWarning, stacklevel=3)
    elif boxes in STATED:
        meaning = STATED[boxes]
    else:
        raise BadInput("box-format", f"{boxes!r} is unknown; say auto, xywh, corners")
    surely_xywh = meaning.format == "xywh" and any(_cannot_be_corners(box.values) for box in named.values())
    return {index: _place(box, meaning, size, surely_xywh) for index, box in named.items()}


def _place(box: NamedBox, meaning: BoxFormat, size: tuple[int, int], surely_xywh: bool) -> Box | Point:
    x0, y0, x1, y1 = corners = _as_corners(box.values, meaning.format)
    if x1 < x0 or y1 < y0 or (meaning.format == "corners" and (x1 == x0 or y1 == y0)):
        raise BadInput(box.label, _describe_disorder(box.values, meaning.format))
    written = f"{box.label} {_in_brackets(box.values)}"
    over = _overflow(corners, size) or _underflow(corners)
    if over and not surely_xywh:
        raise BadInput(box.label, _describe_overhang(box.values, meaning.format, size))
    if x0 > size[0] + TOLERANCE_PX or y0 > size[1] + TOLERANCE_PX or x1 < -TOLERANCE_PX or y1 < -TOLERANCE_PX:
        raise BadInput(box.label, f"{_in_brackets(box.values)} lies outside the {size[0]} x {size[1]} canvas")
    if over:
        cut = f"is cut at the border of the {size[0]} x {size[1]} canvas"
        warnings.warn(f"{written} {cut} ({meaning.evidence})", BoxFormatWarning, stacklevel=5)
    x0, x1 = (min(max(x / size[0], 0.0), 1.0) for x in (x0, x1))
    y0, y1 = (min(max(y / size[1], 0.0), 1.0) for y in (y0, y1))
    if x0 < x1 and y0 < y1:
        return Box(x0=x0, y0=y0, x1=x1, y1=y1)
    warnings.warn(f"{written} has no area and is read as a point", LayoutWarning, stacklevel=5)
    return Point(x=(x0 + x1) / 2, y=(y0 + y1) / 2)


def _as_corners(values: Four, format: str) -> Four:
    x, y, third, fourth = values
    return values if format == "corners" else (x, y, x + third, y + fourth)


def _overflow(corners: Four, size: tuple[int, int]) -> bool:
    return corners[2] > size[0] + TOLERANCE_PX or corners[3] > size[1] + TOLERANCE_PX


def _underflow(corners: Four) -> bool:
    return corners[0] < -TOLERANCE_PX or corners[1] < -TOLERANCE_PX


def _cannot_be_corners(values: Four) -> bool:
    return values[2] <= values[0] or values[3] <= values[1]


def _in_brackets(values: Four) -> str:
    return "[" + ", ".join(f"{value:g}" for value in values) + "]"


def _describe_disorder(values: Four, format: str) -> str:
    x0, y0, x1, y1 = values
    if format == "xywh":
        name, value = ("width", x1) if x1 < 0 else ("height", y1)
        return f"{name} = {value:g} is negative; boxes are [x, y, width, height] in pixels"
    low, high, first, last = ("x0", "x1", x0, x1) if x1 <= x0 else ("y0", "y1", y0, y1)
    return f"{high} = {last:g} is not above {low} = {first:g}; {CURES[format]}"


def _describe_overhang(values: Four, format: str, size: tuple[int, int]) -> str:
    """Which side of the box is off the canvas, in the words of its format, and what to do."""
    x0, y0, x1, y1 = _as_corners(values, format)
    names = ("x + width", "y + height") if format == "xywh" else ("x1", "y1")
    for name, value, limit, side in ((names[0], x1, size[0], "width"), (names[1], y1, size[1], "height")):
        if value > limit + TOLERANCE_PX:
            return f"{name} = {value:g} is past the canvas {side} {limit}; {CURES[format]}"
    name, value = ("x", x0) if x0 < -TOLERANCE_PX else ("y", y0)
    return f"{name} = {value:g} is before the canvas, which starts at 0; {CURES[format]}"
