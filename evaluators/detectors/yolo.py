"""YOLO models of the package ultralytics (AGPL-3.0, so it is an extra that nothing else needs)."""

from __future__ import annotations

import os
from collections.abc import Iterable
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from evaluators.detectors import Detector, DetectorOptions
from evaluators.detectors.open_vocabulary import MAX_DETECTIONS, box_within, distinct
from evaluators.detectors.tiles import View, views_of
from evaluators.detectors.weights import weights_file
from evaluators.report import Detection
from instdiff.errors import ServiceError
from instdiff.layout import Mask
from instdiff.world.nouns import class_of

if TYPE_CHECKING:
    from PIL.Image import Image

WEIGHTS = "yolo11m-seg.pt"
BATCH_SIZE = 8
INPUT_SIDE = 640  # where a file of weights does not say what it was trained on
THRESHOLD = 0.25  # the `conf` of ultralytics' own predictions


class YoloDetector(Detector):
    """Finds the classes that its weights were trained for; models for segmentation give masks too.

    Args:
        weights: a ``.pt`` file of a detection or segmentation model, read as data: code in its pickle is not run.
        threshold: what is seen with less certainty is not reported.

    Raises:
        BadInput: there is no such file.
        ServiceError: the package is missing, or the file cannot be loaded.
    """

    def __init__(self, weights: str = WEIGHTS, threshold: float = THRESHOLD):
        self.name = "yolo"
        self.threshold = threshold
        self.found_score = THRESHOLD
        self.model = _load(weights_file(weights))
        self.categories = tuple(self.model.names.values())

    def canonical(self, category: str) -> str | None:
        """The model's own class for what a name, a synonym, a plural or a phrase means, or None."""
        return class_of(category, self.categories)

    def detect(self, images: list[Image], asked: list[str], min_score: float | None = None) -> list[list[Detection]]:
        """The asked things on each picture, best first. All classes compete for a place, asked for or not."""
        wanted = {self.canonical(word) for word in asked}
        threshold = self.threshold if min_score is None else min_score
        looks: list[list[list[Detection]]] = [[] for _ in images]  # of each picture, one for each view
        views = views_of(images, self.input_side)
        for first in range(0, len(views), BATCH_SIZE):
            batch = views[first : first + BATCH_SIZE]
            # retina masks have the view's own size
            results = self.model.predict(
                [view.crop(images) for view in batch],
                conf=threshold,
                max_det=MAX_DETECTIONS,
                retina_masks=True,
                verbose=False,
                save=False,
            )
            for view, result in zip(batch, results, strict=True):
                looks[view.picture].append(_detections(result, view))
        detections = [look[0] if len(look) == 1 else distinct(_best_first(chain(*look))) for look in looks]
        return [[detection for detection in picture if detection.category in wanted] for picture in detections]

    @property
    def input_side(self) -> int:
        """The longer side that the model sees, in pixels."""
        size = self.model.overrides.get("imgsz") or INPUT_SIDE
        return size if isinstance(size, int) else max(size)


def check(options: DetectorOptions) -> None:
    """Raise BadInput if there is no file of weights, ServiceError if ultralytics is not installed."""
    weights_file(options.model or WEIGHTS)
    check_package()


def load(options: DetectorOptions) -> YoloDetector:
    """The detector with these weights."""
    return YoloDetector(options.model or WEIGHTS)


def check_package() -> None:
    """Raise ServiceError if ultralytics is not installed."""
    if find_spec("ultralytics") is None:
        raise ServiceError('verifier yolo needs the package ultralytics (AGPL-3.0): pip install -e ".[yolo]"')


def _load(path: Path):
    """The ultralytics model of a file."""
    check_package()
    # The package reads these when it is imported: no look for a network, no pip, no pickles that run code.
    os.environ.update({"YOLO_OFFLINE": "true", "YOLO_AUTOINSTALL": "false", "ULTRALYTICS_SAFE_LOAD": "true"})
    try:
        from ultralytics import YOLO
        from ultralytics.nn import tasks

        if not hasattr(tasks, "SAFE_LOAD"):
            raise ImportError("this version of ultralytics runs what a file says; install ultralytics>=8.4.190")
        tasks.SAFE_LOAD = True  # should the package have been imported before
        model = YOLO(str(path))
    except Exception as error:  # of many kinds, where a file is damaged or a package does not fit another
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ServiceError(f"verifier yolo: {path} cannot be loaded: {reason[:200]}") from error
    if model.task not in ("detect", "segment"):
        raise ServiceError(f"verifier yolo: {path} is a model for {model.task}; name one for detection or segmentation")
    return model


def _detections(result, view: View) -> list[Detection]:
    """The boxes of one view, best first, as boxes of its picture, with their masks where there are any."""
    boxes = result.boxes
    detections = []
    masks = result.masks.data.cpu().numpy() if result.masks is not None else [None] * len(boxes)
    places = view.on_picture(boxes.xyxyn.cpu().numpy())
    for corners, whole, score, label, mask in zip(*places, boxes.conf.tolist(), boxes.cls.tolist(), masks, strict=True):
        if whole and (box := box_within(*corners)):
            shape = _mask_on_picture(mask, view) if mask is not None and mask.any() else None
            category = result.names[int(label)]
            detections.append(Detection(category=category, score=min(score, 1.0), box=box, mask=shape))
    return _best_first(detections)


def _mask_on_picture(mask: np.ndarray, view: View) -> Mask:
    """The mask of a view, (its height, its width), as a mask of the picture."""
    x0, y0, x1, y1 = view.corners
    width, height = view.size
    return Mask.from_array(np.pad(mask, ((y0, height - y1), (x0, width - x1))))


def _best_first(detections: Iterable[Detection]) -> list[Detection]:
    return sorted(detections, key=lambda detection: -detection.score)
