"""Points in mask (PiM): do things lie where points and scribbles put them?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from evaluators.report import Detection
from instdiff.errors import BadInput
from instdiff.formats.coco import fitted_mask
from instdiff.layout import Instance, Layout
from instdiff.mask_points import points_inside

SCRIBBLE_POINTS = 20
KINDS, PROTOCOLS = ("point", "scribble"), ("conditioned", "paper")


def pim(
    layouts: Sequence[Layout],
    detections: Sequence[Sequence[Detection]],
    kind: str,
    protocol: str = "conditioned",
    seed: int = 0,
) -> float | None:
    """Points in mask, 0..1; None where there is nothing to score.

    ``conditioned``: the share of all points of all instances that lie in the mask of what was found for their instance.
    The points are those that the layout itself gives, the ones that were painted from. A picture's detections are
    assigned to instances of the same category, one to one, so that most points are inside; the points of an instance
    that gets none count as outside.

    ``paper``: as the published evaluation counts (see `image_pim`), which is not fit for comparing layouts: masks of any
    category match, what is not matched does not count, and the points are drawn anew from the ground-truth masks.

    Args:
        layouts: for ``conditioned`` with points or scribbles, for ``paper`` with masks.
        detections: for each picture what was seen, with masks.
        kind: ``point`` or ``scribble``.
        seed: ``paper`` draws the scribbles of every picture from this seed.

    Raises:
        BadInput: unknown kind or protocol, or a mask is missing.
    """
    if kind not in KINDS or protocol not in PROTOCOLS:
        raise BadInput("pim", f"{kind}, {protocol}: choose from {', '.join(KINDS)}; {', '.join(PROTOCOLS)}")
    pairs = list(zip(layouts, detections, strict=True))
    if protocol == "paper":
        masks = (([_mask(i, layout) for i in layout.instances], [_mask(d, layout) for d in seen]) for layout, seen in pairs)
        return mean_pim(masks, kind, seed)
    counts = np.array([_points_inside(layout, seen, kind) for layout, seen in pairs]).reshape(-1, 2)
    inside, of = counts.sum(axis=0)
    return float(inside / of) if of else None


def _points_inside(layout: Layout, detections: Sequence[Detection], kind: str) -> tuple[float, int]:
    """How many of a layout's points lie in the masks of what was found for them, and how many points there are."""
    from scipy.optimize import linear_sum_assignment  # half a second to import

    planned = [(instance.name, _points(instance, kind)) for instance in layout.instances]
    planned = [(name, points) for name, points in planned if len(points)]
    seen = [(detection.category, _mask(detection, layout)) for detection in detections]
    inside = np.array([[_hits(mask, points) if name == category else 0 for category, mask in seen] for name, points in planned])
    inside = inside.reshape(len(planned), len(seen))
    rows, columns = linear_sum_assignment(inside, maximize=True)
    return float(inside[rows, columns].sum()), sum(len(points) for _, points in planned)


def _points(instance: Instance, kind: str) -> np.ndarray:
    """(n, 2) x, y as fractions of the picture."""
    points = instance.scribble.points if instance.scribble else ()
    if kind == "point":
        points = (instance.point,) if instance.point else ()
    return np.array([(point.x, point.y) for point in points]).reshape(-1, 2)


def _hits(mask: np.ndarray, points: np.ndarray) -> int:
    """How many of the points (n, 2), fractions, fall on pixels of a mask (H, W)."""
    size = np.array(mask.shape)
    rows, columns = np.minimum((points[:, ::-1] * size).astype(int), size - 1).T
    return int(mask[rows, columns].sum())


def _mask(of: Instance | Detection, layout: Layout) -> np.ndarray:
    """(height, width) bool at the layout's size."""
    if of.mask is None:
        raise BadInput("mask", f'points in mask need masks, but a "{of.category}" has none')
    return fitted_mask(of.mask, layout.size).array


def mean_pim(pictures: Iterable[tuple[Sequence[np.ndarray], Sequence[np.ndarray]]], kind: str, seed: int = 0) -> float | None:
    """The mean of `image_pim` over the pictures that count, each given as its true and its found masks; None if there are none."""
    values = [image_pim(truths, found, kind, np.random.RandomState(seed)) for truths, found in pictures]
    values = [value for value in values if value is not None]
    return float(np.mean(values)) if values else None


def image_pim(truths: Sequence[np.ndarray], found: Sequence[np.ndarray], kind: str, rng: np.random.RandomState) -> float | None:
    """One picture's value by the published protocol, None where the picture does not count.

    Every true mask in turn takes the free found mask of highest IoU, even one that it does not touch. A pair scores the
    share of the true mask's points that the found mask covers: the middle of its bounding box, which may lie outside of
    it, or 20 pixels drawn from it. Pairs whose true mask is empty, and true masks that get no partner, do not count.

    Args:
        truths, found: (H, W) bool each.
        kind: ``point`` or ``scribble``.
        rng: what the scribbles are drawn from, one after the other.
    """
    values, free = [], list(range(len(found)))
    for truth in truths:
        if not free:
            break
        partner = max(free, key=lambda index: _iou(truth, found[index]))  # noqa: B023 (called at once)
        free.remove(partner)
        points = _middle(truth) if kind == "point" else points_inside(truth, SCRIBBLE_POINTS, rng).astype(int)
        if points.sum():  # an empty mask gives zeros; so does, in the published program, the pixel in the corner alone
            values.append(float(found[partner][points[:, 1], points[:, 0]].mean()))
    return float(np.mean(values)) if values else None


def _middle(mask: np.ndarray) -> np.ndarray:
    """(1, 2) x, y of the middle pixel of a mask's bounding box; zeros for an empty mask."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return np.array([[(line[0] + line[-1]) // 2 if len(line) else 0 for line in (columns, rows)]])


def _iou(a: np.ndarray, b: np.ndarray) -> float:
    union = int((a | b).sum())
    return int((a & b).sum()) / union if union else 0.0
