"""Planned and found boxes drawn over a picture, for people to look at."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import ImageDraw
from PIL.Image import Image

from evaluators.matching import points_of
from evaluators.report import Report, Verdict, VerdictKind
from instdiff.drawing import Colour, Label, draw_box, draw_labels, draw_points, enlarged, label_place, short_name
from instdiff.layout import Box, Layout

COLOURS = {
    VerdictKind.FOUND: (46, 160, 67),
    VerdictKind.MISPLACED: (230, 126, 0),
    VerdictKind.MISSING: (215, 40, 40),
    VerdictKind.WRONG_ATTRIBUTE: (160, 60, 200),
    VerdictKind.UNCHECKED: (90, 100, 115),
}
EXTRA_COLOUR = (0, 130, 200)
REGION_COLOUR = (255, 205, 0)


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
    canvas = enlarged(image)
    draw = ImageDraw.Draw(canvas)
    for region in regions:
        corners = region.to_corners(canvas.size)
        draw.rectangle(corners, outline=(0, 0, 0), width=6)
        draw.rectangle(corners, outline=REGION_COLOUR, width=4)
    labels = []
    for verdict in report.verdicts:
        instance, colour = layout.instances[verdict.instance], COLOURS[verdict.kind]
        if planned:
            if instance.extent:
                draw_box(draw, instance.extent, colour)
            draw_points(draw, points_of(instance), colour)
        if detected and verdict.detection:
            _draw_dashed(draw, verdict.detection.box.to_corners(canvas.size), colour)
        if planned or (detected and verdict.detection):
            labels.append(Label(label_place(instance), label(verdict), colour))
    for extra in report.extras if detected else ():
        _draw_dashed(draw, extra.box.to_corners(canvas.size), EXTRA_COLOUR)
        labels.append(Label(extra.box, f"extra {extra.category} {extra.score:.2f}", EXTRA_COLOUR))
    draw_labels(draw, labels)
    return canvas


def label(verdict: Verdict) -> str:
    """What is written at an instance: "2 dog: found 0.83"."""
    iou = f" {verdict.iou:.2f}" if verdict.detection else ""
    return f"{verdict.instance + 1} {short_name(verdict.name)}: {verdict.kind.value}{iou}"


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
