"""Planned and found boxes drawn over a picture, for people to look at."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import ImageDraw, ImageFont
from PIL.Image import Image, Resampling

from evaluators.matching import points_of
from evaluators.report import Report, Verdict, VerdictKind
from instdiff.layout import Box, Instance, Layout

MIN_SIDE = 768  # smaller pictures are enlarged, so that labels are legible and hide little
COLOURS = {
    VerdictKind.FOUND: (46, 160, 67),
    VerdictKind.MISPLACED: (230, 126, 0),
    VerdictKind.MISSING: (215, 40, 40),
    VerdictKind.WRONG_ATTRIBUTE: (160, 60, 200),
    VerdictKind.UNCHECKED: (90, 100, 115),
}
EXTRA_COLOUR = (0, 130, 200)
REGION_COLOUR = (255, 205, 0)

Rect = tuple[float, float, float, float]
Colour = tuple[int, int, int]


def draw_report(
    image: Image,
    layout: Layout,
    report: Report,
    planned: bool = True,
    detected: bool = True,
    regions: Sequence[Box] = (),
) -> Image:
    """The picture with its plan and what was found.

    Planned places are solid, found boxes dashed, both in the colour of the verdict: green found, orange misplaced,
    red missing, grey unchecked; blue dashes are extras. ``planned`` and ``detected`` say which of them are drawn.
    ``regions``, such as those that were painted anew, are outlined in yellow. The result is at least 768 pixels on its
    longer side.
    """
    scale = max(MIN_SIDE / max(image.size), 1.0)
    size = (round(image.width * scale), round(image.height * scale))
    canvas = image.convert("RGB").resize(size, Resampling.LANCZOS)
    draw = ImageDraw.Draw(canvas)
    for region in regions:
        corners = region.to_corners(canvas.size)
        draw.rectangle(corners, outline=(0, 0, 0), width=6)
        draw.rectangle(corners, outline=REGION_COLOUR, width=4)
    for verdict in report.verdicts:
        if planned:
            _draw_place(draw, layout.instances[verdict.instance], COLOURS[verdict.kind], canvas.size)
        if detected and verdict.detection:
            _draw_dashed(draw, verdict.detection.box.to_corners(canvas.size), COLOURS[verdict.kind])
    extras = report.extras if detected else ()
    for extra in extras:
        _draw_dashed(draw, extra.box.to_corners(canvas.size), EXTRA_COLOUR)
    verdicts = [verdict for verdict in report.verdicts if planned or (detected and verdict.detection)]
    _draw_labels(draw, layout, report.model_copy(update={"verdicts": tuple(verdicts), "extras": extras}), canvas.size)
    return canvas


def label(verdict: Verdict) -> str:
    """What is written at an instance: "2 dog: found 0.83"."""
    iou = f" {verdict.iou:.2f}" if verdict.detection else ""
    name = verdict.name if len(verdict.name) <= 28 else verdict.name[:27] + "…"
    return f"{verdict.instance + 1} {name}: {verdict.kind.value}{iou}"


def _draw_place(draw: ImageDraw.ImageDraw, instance: Instance, colour: Colour, size: tuple[int, int]) -> None:
    width, height = size
    if instance.extent:
        corners = instance.extent.to_corners(size)
        draw.rectangle(corners, outline=(255, 255, 255), width=5)
        draw.rectangle(corners, outline=colour, width=3)
    marks = [(point.x * width, point.y * height) for point in points_of(instance)]
    if len(marks) > 1:
        draw.line(marks, fill=colour, width=3)
    for mark in marks:
        draw.circle(mark, 5, fill=colour, outline=(255, 255, 255))


def _draw_dashed(draw: ImageDraw.ImageDraw, corners: list[float], colour: Colour, dash: int = 10) -> None:
    """A dashed rectangle: colour over white, so that it is seen on any ground."""
    x0, y0, x1, y1 = corners
    for start, stop in (((x0, y0), (x1, y0)), ((x1, y0), (x1, y1)), ((x1, y1), (x0, y1)), ((x0, y1), (x0, y0))):
        draw.line([start, stop], fill=(255, 255, 255), width=3)
        length = abs(stop[0] - start[0]) + abs(stop[1] - start[1])
        for k in range(0, int(length), 2 * dash):
            ends = [min(at / length, 1.0) for at in (k, k + dash)]
            line = [tuple(a + (b - a) * end for a, b in zip(start, stop, strict=True)) for end in ends]
            draw.line(line, fill=colour, width=3)


def _draw_labels(draw: ImageDraw.ImageDraw, layout: Layout, report: Report, size: tuple[int, int]) -> None:
    font = ImageFont.load_default(size=max(15, round(max(size) / 48)))
    wanted = [(_anchor(layout.instances[v.instance]), label(v), COLOURS[v.kind]) for v in report.verdicts]
    wanted += [(extra.box, f"extra {extra.category} {extra.score:.2f}", EXTRA_COLOUR) for extra in report.extras]
    taken: list[Rect] = []
    for box, text, colour in wanted:
        left, top, right, bottom = font.getbbox(text)
        spot = _free_spot(box, (right - left + 8, bottom - top + 6), size, taken)
        taken.append(spot)
        draw.rectangle(spot, fill=colour)
        draw.text((spot[0] + 4 - left, spot[1] + 3 - top), text, font=font, fill=(255, 255, 255))


def _anchor(instance: Instance) -> Box | None:
    """Where the label belongs: the extent, or a small box around the first point."""
    if instance.extent:
        return instance.extent
    points = points_of(instance)
    if not points:
        return None
    x = min(max(points[0].x, 0.01), 0.99)
    y = min(max(points[0].y, 0.01), 0.99)
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
