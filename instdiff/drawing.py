"""Layouts drawn for people to look at, and what every drawing of places is made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont
from PIL.Image import Image, Resampling

from instdiff.layout import Box, Instance, Layout, Mask, Point

MIN_SIDE = 768  # smaller pictures are enlarged, so that labels are legible and hide little
GROUND = (236, 236, 236)  # of a plan that is not painted yet
MASK_OPACITY = 0.45
LONGEST_NAME = 28  # letters that are written of one
# One for each instance, in turn: dark enough for white letters, and told apart by who sees no red or green.
PALETTE = (
    (0, 114, 178),
    (213, 94, 0),
    (0, 135, 100),
    (170, 60, 130),
    (125, 95, 0),
    (90, 60, 190),
    (200, 30, 60),
    (70, 85, 100),
)

Rect = tuple[float, float, float, float]
Colour = tuple[int, int, int]


class Label(NamedTuple):
    """Words to write above a box; in the upper left corner where there is none."""

    box: Box | None
    text: str
    colour: Colour


def draw_layout(layout: Layout, image: Image | None = None) -> Image:
    """The plan alone: masks are tinted, boxes outlined, scribbles are lines and points dots.

    Args:
        layout: each of its instances has a colour, and a label with its number and name.
        image: what it is drawn over, a copy of it; None draws on plain ground of the layout's size.

    Returns:
        RGB, at least 768 pixels on its longer side.
    """
    canvas = enlarged(image or PillowImage.new("RGB", layout.size, GROUND))
    coloured = [(instance, PALETTE[index % len(PALETTE)]) for index, instance in enumerate(layout.instances)]
    for instance, colour in coloured:
        if instance.mask:
            tint(canvas, instance.mask, colour)
    draw = ImageDraw.Draw(canvas)
    labels = []
    for number, (instance, colour) in enumerate(coloured, 1):
        if instance.box:
            draw_box(draw, instance.box, colour)
        draw_points(draw, instance.scribble.points if instance.scribble else (), colour)
        draw_points(draw, [instance.point] if instance.point else (), colour)
        labels.append(Label(label_place(instance), f"{number} {short_name(instance.name)}", colour))
    draw_labels(draw, labels)
    return canvas


def enlarged(image: Image) -> Image:
    """A copy to draw on, RGB, at least 768 pixels on its longer side."""
    scale = max(MIN_SIDE / max(image.size), 1.0)
    size = (round(image.width * scale), round(image.height * scale))
    return image.convert("RGB").resize(size, Resampling.LANCZOS)


def short_name(name: str) -> str:
    """What is written of a name."""
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"


def tint(canvas: Image, mask: Mask, colour: Colour) -> None:
    """Lay a colour over the pixels of a mask, so that what is below shows."""
    opacity = PillowImage.fromarray(mask.array.astype(np.uint8) * round(255 * MASK_OPACITY))
    canvas.paste(colour, (0, 0), opacity.resize(canvas.size, Resampling.NEAREST))


def draw_box(draw: ImageDraw.ImageDraw, box: Box, colour: Colour) -> None:
    """An outline: colour over white, so that it is seen on any ground."""
    corners = box.to_corners(draw.im.size)
    draw.rectangle(corners, outline=(255, 255, 255), width=5)
    draw.rectangle(corners, outline=colour, width=3)


def draw_points(draw: ImageDraw.ImageDraw, points: Sequence[Point], colour: Colour) -> None:
    """Dots, and a line through them in their order."""
    width, height = draw.im.size
    marks = [(point.x * width, point.y * height) for point in points]
    if len(marks) > 1:
        draw.line(marks, fill=colour, width=3)
    for mark in marks:
        draw.circle(mark, 5, fill=colour, outline=(255, 255, 255))


def draw_labels(draw: ImageDraw.ImageDraw, labels: Sequence[Label]) -> None:
    """Words in white on their colour, none over another as far as there is room."""
    size = draw.im.size
    font = ImageFont.load_default(size=max(15, round(max(size) / 48)))
    taken: list[Rect] = []
    for box, text, colour in labels:
        left, top, right, bottom = font.getbbox(text)
        spot = _free_spot(box, (right - left + 8, bottom - top + 6), size, taken)
        taken.append(spot)
        draw.rectangle(spot, fill=colour)
        draw.text((spot[0] + 4 - left, spot[1] + 3 - top), text, font=font, fill=(255, 255, 255))


def label_place(instance: Instance) -> Box | None:
    """Where the label belongs: the extent, or a small box around the first point."""
    if instance.extent:
        return instance.extent
    point = instance.point or (instance.scribble and instance.scribble.points[0])
    if not point:
        return None
    x = min(max(point.x, 0.01), 0.99)
    y = min(max(point.y, 0.01), 0.99)
    return Box(x0=x - 0.01, y0=y - 0.01, x1=x + 0.01, y1=y + 0.01)


def _free_spot(box: Box | None, text_size: tuple[float, float], size: tuple[int, int], taken: list[Rect]) -> Rect:
    """A rectangle in pixels for a label: above its box, else lower, wholly on the picture and free if possible."""
    width, height = text_size
    x0, y0, _, _ = box.to_corners(size) if box else (0.0, 0.0, 0.0, 0.0)
    left = min(max(x0, 0.0), max(size[0] - width, 0.0))
    first = min(max(y0 - height, 0.0), max(size[1] - height, 0.0))
    for k in range(int(size[1] // height)):
        top = (first + k * height) % max(size[1] - height, 1.0)
        spot = (left, top, left + width, top + height)
        if not any(_overlap(spot, label_spot) for label_spot in taken):
            return spot
    return (left, first, left + width, first + height)


def _overlap(a: Rect, b: Rect) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
