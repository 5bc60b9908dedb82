"""Detectors that look at many pictures and score them: which one, and what it sees down to the last doubt."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evaluators.detectors import check_detector
from evaluators.report import Detection
from instdiff.errors import BadInput, ServiceError

if TYPE_CHECKING:
    from PIL.Image import Image

    from evaluators.detectors import Detector

AT_ONCE = 16
LOWEST_SCORE = {"yolo": 0.001}  # AP looks at everything from this score on; YOLO's own evaluation goes as low
OTHERS_LOWEST_SCORE = 0.05
FOR_PHOTOGRAPHS = ("yolo", "owlv2", "grounding-dino")


@dataclass(frozen=True)
class Seen:
    """What a detector saw on each picture: everything down to a low score for AP, and what it is sure of for all else."""

    everything: list[list[Detection]]
    sure: list[list[Detection]]

    @property
    def has_masks(self) -> bool:
        """True if everything that was seen has a mask, and something was seen."""
        found = [one for picture in self.everything for one in picture]
        return bool(found) and all(one.mask is not None for one in found)


def default_scorer(engine: str) -> str:
    """The detector that scores an engine's pictures where none is named: the judge for draft pictures, else what is here.

    Raises:
        BadInput: the pictures are meant to look like photographs, and no detector for those is on this machine.
    """
    if engine == "draft":
        return "judge"
    for name in FOR_PHOTOGRAPHS:
        try:
            check_detector(name)
        except (BadInput, ServiceError):
            continue
        return name
    cure = "run `hf download google/owlv2-base-patch16-ensemble`, or install the extra yolo and put yolo11m-seg.pt under INSTDIFF_MODELS"
    raise BadInput("detector", f"no detector for the pictures of {engine} is on this machine; {cure}, or name one with --detector")


def look(detector: Detector, images: Iterable[Image], vocabulary: list[str], looked: Callable[[int], None]) -> Seen:
    """What a detector sees on each picture, once down to the lowest score and once from its own threshold on.

    Args:
        looked: called with the number of pictures after every few.
    """
    detect, sure_from = _reaching_low(detector)
    everything, waiting = [], []

    def look_at_waiting() -> None:
        everything.extend(detect(waiting, vocabulary))
        looked(len(waiting))
        waiting.clear()

    for image in images:
        waiting.append(image)
        if len(waiting) == AT_ONCE:
            look_at_waiting()
    if waiting:
        look_at_waiting()
    return Seen(everything, [[one for one in seen if one.score >= sure_from] for seen in everything])


def _reaching_low(detector: Detector) -> tuple[Callable, float]:
    """A detector's method to look down to the lowest score, and the threshold from which on it is sure."""
    lowest = LOWEST_SCORE.get(detector.name, OTHERS_LOWEST_SCORE)
    if not hasattr(detector, "threshold"):
        config = getattr(getattr(detector, "model", None), "config", None)
        sure_from = getattr(config, "score_threshold", None)
        if sure_from is None:  # a model that writes its boxes as text knows no scores
            return detector.detect, 0.0
        return lambda images, vocabulary: detector.detect(images, vocabulary, min(lowest, sure_from)), sure_from

    def detect(images: list[Image], vocabulary: list[str]) -> list[list[Detection]]:
        own, detector.threshold = detector.threshold, min(lowest, detector.threshold)
        try:
            return detector.detect(images, vocabulary)
        finally:
            detector.threshold = own

    return detect, detector.threshold
