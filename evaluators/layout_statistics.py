"""What a set of layouts looks like as numbers: sizes, overlaps, borders, and the habits of who made it.

Nothing is painted and nothing is detected: only boxes are read, so that two planners can be set side by side.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from statistics import fmean, pstdev

from pydantic import Field

from instdiff.errors import BadInput
from instdiff.layout import Layout
from instdiff.values import Value
from instdiff.world import knowledge, nouns

SIZE_RATIO = 3.0
STRONG_IOU = 0.5
CANVAS_PX = 512
STAMP_PX = 10
BORDER_PX = 1.0  # boxes that were rounded outwards are not out of frame

PixelBox = Sequence[float]  # x0, y0, x1, y1


class Statistics(Value):
    """The figures of a set of layouts; shares are 0..1, and 0 where there was nothing to count."""

    layouts: int
    instances_mean: float = Field(description="boxes a layout, mean")
    instances_spread: float = Field(description="boxes a layout, standard deviation")
    out_of_frame: float = Field(description="share of boxes that leave the picture by more than a pixel")
    strong_overlap: float = Field(description=f"share of pairs on one picture with an IoU of {STRONG_IOU} or more")
    size_pairs: int = Field(description=f"pairs of known things whose real sizes differ by {SIZE_RATIO:g}x or more")
    size_inversions: float = Field(description="share of these pairs in which the larger thing has the smaller box")
    stamping: float = Field(description=f"share of coordinates that are multiples of {STAMP_PX} px on {CANVAS_PX} px")


def statistics(layouts: list[Layout], raw_boxes: list[list[PixelBox]] | None = None) -> Statistics:
    """Measure a set of layouts.

    The real size of a thing is the square root of its width times its height, in metres, from
    `instdiff.world.knowledge`. What is too far away for its real size to show (sun, cloud, mountain, airplane: whatever
    has an apparent size there) and what lies flat (rug) is left out of the size pairs. Depth is not known from boxes: a
    large thing far away counts as inverted where it is drawn smaller than a small one near by, for every planner.

    Args:
        layouts: what to measure; instances without any extent are passed over.
        raw_boxes: for each layout its boxes before they were cut at the border, corners in pixels of that layout.
            Layouts that were read from files are cut already: without this nothing of them is out of frame.

    Raises:
        BadInput: there are no layouts, or another number of lists of raw boxes.
    """
    if not layouts:
        raise BadInput("layouts", "there are none to measure")
    if raw_boxes is not None and len(raw_boxes) != len(layouts):
        raise BadInput("raw_boxes", f"{len(raw_boxes)} lists for {len(layouts)} layouts; give one for each")
    measured = [[(_size_m(item.name), item.extent) for item in layout.instances if item.extent] for layout in layouts]
    counts = [len(boxes) for boxes in measured]
    pairs = [pair for boxes in measured for pair in combinations(boxes, 2)]
    known_pairs = [((m, a), (n, b)) if m < n else ((n, b), (m, a)) for (m, a), (n, b) in pairs if m and n]
    sized = [(small, large) for (m, small), (n, large) in known_pairs if n >= SIZE_RATIO * m]
    pictures = zip(layouts, measured, strict=True)
    raw = raw_boxes or [[box.to_corners(layout.size) for _, box in boxes] for layout, boxes in pictures]
    outside = [_leaves(box, layout.size) for layout, boxes in zip(layouts, raw, strict=True) for box in boxes]
    coordinates = [value * CANVAS_PX for boxes in measured for _, box in boxes for value in box.xyxy]
    return Statistics(
        layouts=len(layouts),
        instances_mean=fmean(counts),
        instances_spread=pstdev(counts),
        out_of_frame=_share(outside),
        strong_overlap=_share([a.iou(b) >= STRONG_IOU for (_, a), (_, b) in pairs]),
        size_pairs=len(sized),
        size_inversions=_share([large.area < small.area for small, large in sized]),
        stamping=_share([abs(value - STAMP_PX * round(value / STAMP_PX)) < 1e-6 for value in coordinates]),
    )


def _size_m(name: str) -> float | None:
    """The real size of what a name means, or None for what is unknown, too far away or flat."""
    noun = nouns.resolve(name)
    if noun is None or noun.thing is None or noun.thing.apparent or noun.thing.depth_m:
        return None
    width, height = knowledge.size_of(noun.thing.name, noun.singular)
    return (width * height) ** 0.5


def _leaves(box: PixelBox, size: tuple[int, int]) -> bool:
    return min(box[0], box[1]) < -BORDER_PX or box[2] > size[0] + BORDER_PX or box[3] > size[1] + BORDER_PX


def _share(flags: list[bool]) -> float:
    return sum(flags) / len(flags) if flags else 0.0
