"""COCO's figures: average precision and recall of detections against planned boxes or masks, by pycocotools."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence

from evaluators.report import Detection
from instdiff.errors import BadInput, ServiceError
from instdiff.formats.coco import fitted_mask, layouts_to_coco
from instdiff.layout import Layout

SHAPES = {"box": "bbox", "mask": "segm"}
# The twelve figures in the order of pycocotools.
PRECISIONS = ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large")
RECALLS = ("ar1", "ar10", "ar100", "ar_small", "ar_medium", "ar_large")
Pictures = Sequence[Sequence[Detection]]  # what was detected on each


def coco_figures(truths: Sequence[Layout], detections: Pictures, shape: str = "box") -> dict[str, float | None]:
    """Score what was detected on pictures against what is to be there.

    Categories are compared as they are written; a category that no truth has is not scored, as in COCO.

    Args:
        truths: one layout for each picture; every instance with a box or mask, and with a mask for ``shape="mask"``.
        detections: for each picture what was seen, in any order, also what is uncertain: a threshold cuts the curve
            off.
        shape: ``box`` or ``mask``, what IoU is taken of.

    Returns:
        As `figures`.

    Raises:
        BadInput: nothing is to be found, or an instance (or a detection) has no such shape.
        ServiceError: pycocotools is not installed.
    """
    return figures(*to_coco(truths, detections, shape), shape)


def figures(truth: dict, results: list[dict], shape: str = "box") -> dict[str, float | None]:
    """The twelve figures of COCO for an annotation file and a list of results, both in COCO's own form.

    Returns:
        ``ap`` (mean over IoU 0.50 to 0.95 and categories), ``ap50``, ``ap75``, ``ap_small``, ``ap_medium``,
        ``ap_large``; ``ar1``, ``ar10``, ``ar100`` (mean recall of at most so many detections a picture), ``ar_small``,
        ``ar_medium``, ``ar_large``; all 0..1. Small is below 32 x 32 pixels, large from 96 x 96 on; None where the
        truth holds none such.

    Raises:
        BadInput: nothing is to be found.
        ServiceError: pycocotools is not installed.
    """
    try:
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
    except ImportError as error:
        raise ServiceError("COCO figures need pycocotools: pip install pycocotools") from error
    if not truth["annotations"]:
        raise BadInput("layouts", "hold no instances, so that there is nothing to score")
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints its progress
        ground = COCO()
        nothing = COCO()
        ground.dataset = truth
        nothing.dataset = {**truth, "annotations": []}
        ground.createIndex()
        nothing.createIndex()
        evaluation = COCOeval(ground, ground.loadRes(results) if results else nothing, SHAPES[shape])
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    values = zip((*PRECISIONS, *RECALLS), evaluation.stats.tolist(), strict=True)
    return {name: None if value < 0 else value for name, value in values}


def to_coco(truths: Sequence[Layout], detections: Pictures, shape: str = "box") -> tuple[dict, list[dict]]:
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
    for image_id, (layout, picture) in enumerate(zip(truths, detections, strict=True), start=1):
        results += to_results(image_id, picture, numbers, layout.size, shape)
    return truth, results


def to_results(
    image_id: int, detections: Sequence[Detection], numbers: dict[str, int], size: tuple[int, int], shape: str
) -> list[dict]:
    """COCO's results for one picture of ``size`` (width, height) pixels; categories without a number are left out.

    Raises:
        BadInput: a detection has no mask, and masks are to be scored.
    """
    results = []
    for detection in detections:
        if detection.category in numbers:
            record = {"image_id": image_id, "category_id": numbers[detection.category], "score": detection.score}
            results.append(record | _shape(detection, size, shape))
    return results


def _shape(detection: Detection, size: tuple[int, int], shape: str) -> dict:
    """The ``bbox`` or the ``segmentation`` of a detection on a (width, height) picture."""
    if shape == "box":
        return {"bbox": detection.box.to_coco(size)}
    if detection.mask is None:
        raise BadInput("detections", f'mask figures need masks, but a "{detection.category}" has none')
    mask = fitted_mask(detection.mask, size)
    return {"segmentation": {"size": list(mask.size), "counts": mask.counts}}
