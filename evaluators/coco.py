"""COCO's figures: average precision and recall of detections against planned boxes or masks, by pycocotools."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence

from evaluators.report import Detection
from instdiff.errors import BadInput, ServiceError
from instdiff.formats.coco import _fitted, layouts_to_coco
from instdiff.layout import Layout

SHAPES = {"box": "bbox", "mask": "segm"}
AP, AP50, AR100 = 0, 1, 8  # where pycocotools keeps them among its twelve figures


def coco_figures(truths: Sequence[Layout], detections: Sequence[Sequence[Detection]], shape: str = "box") -> dict[str, float]:
    """Score what was detected on pictures against what is to be there.

    Categories are compared as they are written; a category that no truth has is not scored, as in COCO.

    Args:
        truths: one layout for each picture; every instance with a box or mask, and with a mask for ``shape="mask"``.
        detections: for each picture what was seen, in any order, also what is uncertain: a threshold cuts the curve off.
        shape: ``box`` or ``mask``, what IoU is taken of.

    Returns:
        ``ap`` (mean over IoU 0.50 to 0.95 and categories), ``ap50`` and ``ar100``, 0..1.

    Raises:
        BadInput: nothing is to be found, or an instance (or a detection) has no such shape.
        ServiceError: pycocotools is not installed.
    """
    try:
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
    except ImportError as error:
        raise ServiceError("COCO figures need pycocotools: pip install pycocotools") from error
    truth, results = to_coco(truths, detections, shape)
    if not truth["annotations"]:
        raise BadInput("layouts", "hold no instances, so that there is nothing to score")
    if not results:
        return {"ap": 0.0, "ap50": 0.0, "ar100": 0.0}
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints its progress
        ground = COCO()
        ground.dataset = truth
        ground.createIndex()
        evaluation = COCOeval(ground, ground.loadRes(results), SHAPES[shape])
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return {name: float(evaluation.stats[place]) for name, place in (("ap", AP), ("ap50", AP50), ("ar100", AR100))}


def to_coco(truths: Sequence[Layout], detections: Sequence[Sequence[Detection]], shape: str = "box") -> tuple[dict, list[dict]]:
    """COCO's annotation file and result list; picture ids count from 1, boxes are ``[x, y, width, height]`` in pixels.

    Raises:
        BadInput: an instance or a detection has no such shape, or the two lists differ in length.
    """
    if len(truths) != len(detections):
        raise BadInput("detections", f"are of {len(detections)} pictures, but there are {len(truths)} layouts")
    truth = layouts_to_coco(list(truths))
    numbers = {category["name"]: category["id"] for category in truth["categories"]}
    if shape == "mask" and not all(annotation["segmentation"] for annotation in truth["annotations"]):
        raise BadInput("layouts", "mask figures need a mask for every instance")
    results = []
    for image_id, (layout, seen) in enumerate(zip(truths, detections, strict=True), start=1):
        for detection in seen:
            if detection.category in numbers:
                ids = {"image_id": image_id, "category_id": numbers[detection.category], "score": detection.score}
                results.append({**ids, **_shape(detection, layout.size, shape)})
    return truth, results


def _shape(detection: Detection, size: tuple[int, int], shape: str) -> dict:
    """The ``bbox`` or the ``segmentation`` of a detection on a (width, height) picture."""
    if shape == "box":
        return {"bbox": detection.box.to_coco(size)}
    if detection.mask is None:
        raise BadInput("detections", f'mask figures need masks, but a "{detection.category}" has none')
    mask = _fitted(detection.mask, size)
    return {"segmentation": {"size": list(mask.size), "counts": mask.counts}}
