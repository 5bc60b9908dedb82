"""From what a detector saw to a verdict on every planned instance."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from evaluators.report import FOUND_IOU, Detection, Report, Verdict, VerdictKind
from instdiff.layout import Box, Instance, Layout, Mask, Point
from instdiff.world.nouns import asked_colour

EXTRA_SCORE = 0.5  # what is seen with less certainty is not called an extra object


def match(
    layout: Layout,
    detections: Sequence[Detection],
    canonical: Callable[[str], str | None],
    iou_threshold: float = FOUND_IOU,
    detector: str = "",
) -> Report:
    """Assign detections to planned instances, one to one, and say what became of each instance.

    Only pairs of the same category are matched. Among all assignments the one with the most instances in their place
    wins, then the one with the highest sum of IoU. The place of an instance is its box, or else the box around its mask
    or scribble; without one, IoU is the share of the instance's points that lie in the detected box.

    Args:
        layout: the plan.
        detections: what was seen on the picture, boxes as fractions of it.
        canonical: maps a category to the detector's own word for it, or None if it does not know it.
        iou_threshold: from this IoU on an instance counts as found.
        detector: the name that the report carries.

    Returns:
        A report with one verdict per instance, in the order of the layout: found, misplaced (the category is there,
        but elsewhere), missing, wrong attribute (in its place, but of another colour than the caption says, where the
        detector tells colours), or unchecked (the detector does not know the category, or the place is empty).
        Extras are the unmatched detections of known categories with a score of at least 0.5.

    Examples:
        >>> plan = Layout.from_boxes([[0, 0, 128, 256], [128, 0, 256, 256]], ["dog", "car"], (256, 256))
        >>> seen = [Detection(category="dog", score=0.9, box=Box(x0=0.0, y0=0.1, x1=0.5, y1=1.0))]
        >>> [str(verdict.kind) for verdict in match(plan, seen, canonical=lambda name: name).verdicts]
        ['found', 'missing']
    """
    # nothing can be in an empty mask
    planned = [canonical(item.name) if item.extent or points_of(item) else None for item in layout.instances]
    detected = [canonical(detection.category) for detection in detections]
    shape = (len(planned), len(detected))
    ious = np.array([[place_iou(i, d.box) for d in detections] for i in layout.instances]).reshape(shape)
    same = np.array([[p is not None and p == d for d in detected] for p in planned], dtype=bool).reshape(shape)
    pairs = assign(ious, same, np.array([d.score for d in detections]), iou_threshold)
    verdicts = []
    for index, instance in enumerate(layout.instances):
        if index in pairs:
            iou = float(ious[index, pairs[index]])
            verdicts.append(verdict_on(index, instance, detections[pairs[index]], iou, iou_threshold))
        else:
            kind = VerdictKind.UNCHECKED if planned[index] is None else VerdictKind.MISSING
            verdicts.append(Verdict(instance=index, name=instance.name, kind=kind))
    free = [i for i, word in enumerate(detected) if word is not None and i not in pairs.values()]
    extras = tuple(detections[i] for i in free if detections[i].score >= EXTRA_SCORE)
    return Report(detector=detector, iou_threshold=iou_threshold, verdicts=tuple(verdicts), extras=extras)


def unchecked_report(layout: Layout, iou_threshold: float = FOUND_IOU) -> Report:
    """The report of a picture that nobody looked at: every instance is unchecked."""
    return match(layout, [], lambda _: None, iou_threshold, detector="none")


def place_iou(instance: Instance, box: Box) -> float:
    """IoU of an instance's place and a box, or the share of its points in the box where it has no extent, 0..1.

    Examples:
        >>> place_iou(Instance(caption="a ball", point=Point(x=0.5, y=0.5)), Box(x0=0.4, y0=0.4, x1=0.6, y1=0.6))
        1.0
    """
    if instance.extent:
        return instance.extent.iou(box)
    points = points_of(instance)
    inside = sum(box.x0 <= p.x <= box.x1 and box.y0 <= p.y <= box.y1 for p in points)
    return inside / len(points) if points else 0.0


def mask_iou(planned: Mask | None, detected: Mask | None) -> float | None:
    """IoU of two shapes on one picture, 0..1, in the pixels of the first; None if one is missing or both are empty.

    Examples:
        >>> half, all_of_it = np.zeros((8, 8)), np.ones((4, 4))
        >>> half[:4] = 1
        >>> mask_iou(Mask.from_array(half), Mask.from_array(all_of_it))
        0.5
    """
    if planned is None or detected is None:
        return None
    first = planned.array
    sides = zip(first.shape, detected.size, strict=True)
    rows, columns = (((np.arange(side) + 0.5) * own / side).astype(int) for side, own in sides)
    second = detected.array[rows][:, columns]  # the pixel under the centre of each
    union = np.count_nonzero(first | second)
    return float(np.count_nonzero(first & second) / union) if union else None


def points_of(instance: Instance) -> tuple[Point, ...]:
    """Its point, or those of its scribble."""
    if instance.point:
        return (instance.point,)
    return instance.scribble.points if instance.scribble else ()


def assign(ious: np.ndarray, same: np.ndarray, scores: np.ndarray, iou_threshold: float) -> dict[int, int]:
    """The best one-to-one assignment, as {instance: detection}.

    ious, same: (instances, detections); scores: (detections,).
    """
    if not same.any():
        return {}
    from scipy.optimize import linear_sum_assignment  # half a second to import

    # One more instance in its place outweighs all IoUs together; the score only breaks ties.
    found_bonus = 3.0 * len(ious)
    gain = np.where(same, 1.0 + ious + 1e-3 * scores + found_bonus * (ious >= iou_threshold), 0.0)
    rows, columns = linear_sum_assignment(gain, maximize=True)
    return {int(row): int(column) for row, column in zip(rows, columns, strict=True) if same[row, column]}


def verdict_on(index: int, instance: Instance, detection: Detection, iou: float, iou_threshold: float) -> Verdict:
    """What became of an instance that was seen."""
    colour = asked_colour(instance.caption, instance.category)
    kind = VerdictKind.FOUND if iou >= iou_threshold else VerdictKind.MISPLACED
    if kind is VerdictKind.FOUND and colour and detection.colour not in ("", colour):
        kind = VerdictKind.WRONG_ATTRIBUTE
    name = instance.name
    shapes = mask_iou(instance.mask, detection.mask)
    return Verdict(instance=index, name=name, kind=kind, iou=min(iou, 1.0), detection=detection, mask_iou=shapes)
