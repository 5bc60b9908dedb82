"""What detectors share that can be asked for anything: the names, the loading, and each object once."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from evaluators.detectors import Detector
from evaluators.detectors.weights import model_folder
from evaluators.report import Detection
from instdiff.errors import ServiceError
from instdiff.layout import Box
from instdiff.world.nouns import open_name, phrase_words, singular_of

if TYPE_CHECKING:
    from PIL.Image import Image

BATCH_SIZE = 4
MAX_DETECTIONS = 100
SAME_IOU = 0.5  # boxes of one category that share more are one object
RIVAL_IOU = 0.85  # boxes that share more are one object, whatever it is called

Loaded = TypeVar("Loaded")


class OpenVocabulary(Detector):
    """Knows every category that has a name; synonyms and plurals mean the same."""

    # of those that write boxes as text: what they name scores 1, so that any bar is a yes
    threshold = 0.0
    found_score = 1.0

    def canonical(self, category: str) -> str | None:
        """The name that is asked for ("couch" for "two red sofas"), or None for no name."""
        return open_name(category)


class ScoringDetector(OpenVocabulary):
    """A model of transformers that gives boxes a score for every name; finds whatever it is asked for.

    Args:
        model: a folder, or the name of a model in the hub's cache.
        threshold: what is seen with less certainty is not reported.

    Raises:
        BadInput: the model is not on this machine.
        ServiceError: it cannot be loaded.
    """

    name: str
    model_class: str  # of transformers

    def __init__(self, model: str, threshold: float):
        self.threshold = threshold
        folder = model_folder(model)
        self.model, self.processor = load_quietly(f"verifier {self.name}", folder, self._load)

    def detect(self, images: list[Image], asked: list[str], min_score: float | None = None) -> list[list[Detection]]:
        """The asked things on each picture, best first; boxes are fractions of it."""
        names = names_to_ask(asked)
        if not names:
            return [[] for _ in images]
        threshold = self.threshold if min_score is None else min_score
        questions = self._questions(names)
        detections = []
        for first in range(0, len(images), BATCH_SIZE):
            scores, corners = self._scores(images[first : first + BATCH_SIZE], names, questions)
            pairs = zip(scores, corners, strict=True)
            detections += [best_detections(own_scores, boxes, names, threshold) for own_scores, boxes in pairs]
        return detections

    @abstractmethod
    def _questions(self, names: list[str]) -> Any:
        """What the text encoder is given for the names."""

    @abstractmethod
    def _scores(self, images: list[Image], names: list[str], questions: Any) -> tuple[np.ndarray, np.ndarray]:
        """Scores (B, P, len(names)), 0..1, and boxes (B, P, 4), xyxy as fractions of the pictures."""

    def _load(self, folder: Path) -> tuple[Any, Any]:
        """The model and its processor."""
        import transformers

        model_type = getattr(transformers, self.model_class)
        model = model_type.from_pretrained(folder, local_files_only=True, use_safetensors=True)
        return model.eval().to(device()), transformers.AutoProcessor.from_pretrained(folder, local_files_only=True)


def best_detections(scores: np.ndarray, boxes: np.ndarray, names: Sequence[str], threshold: float) -> list[Detection]:
    """The best category of each box from the threshold on, best first; of boxes on the same object the best stays.

    Args:
        scores: (N, len(names)) float, 0..1.
        boxes: (N, 4) float, xyxy as fractions of the picture; what lies outside is cut off.
        names: the categories.
    """
    detections: list[Detection] = []
    best_scores = scores.max(axis=1)
    labels = scores.argmax(axis=1)
    for index in np.argsort(-best_scores, kind="stable"):
        score = float(best_scores[index])
        if not score >= threshold or len(detections) == MAX_DETECTIONS:  # written so that NaN is below it
            break
        box = box_within(*boxes[index])
        if box is None:
            continue
        detection = Detection(category=names[labels[index]], score=min(score, 1.0), box=box)
        if not any(_is_same(detection, better) for better in detections):
            detections.append(detection)
    return detections


def box_within(x0: float, y0: float, x1: float, y1: float) -> Box | None:
    """The part of a box that lies on the picture, corners as fractions of it; None if nothing of it does."""
    corners = [min(max(float(value), 0.0), 1.0) for value in (x0, y0, x1, y1)]
    if not np.isfinite([x0, y0, x1, y1]).all() or corners[0] >= corners[2] or corners[1] >= corners[3]:
        return None
    return Box(x0=corners[0], y0=corners[1], x1=corners[2], y1=corners[3])


def _is_same(detection: Detection, better: Detection) -> bool:
    limit = SAME_IOU if detection.category == better.category else RIVAL_IOU
    return detection.box.iou(better.box) > limit


def names_to_ask(asked: list[str]) -> list[str]:
    """The names that are asked for, each once."""
    return sorted({name for word in asked if (name := open_name(word))})


def asked_name(label: str, names: Sequence[str]) -> str | None:
    """Which of the names that a model was asked for its label means, or else the label as a name; None for no name.

    Models say "fern" when asked for a "potted fern", and "big dog" for "dog"; taken if only one of the names is meant.
    """
    name = open_name(label)
    if name is None or name in names:
        return name
    own = {f" {name}", " " + singular_of(" ".join(phrase_words(label)))}
    near = [other for other in names if any(f" {other}".endswith(form) or form.endswith(f" {other}") for form in own)]
    return near[0] if len(near) == 1 else name


def load_quietly(title: str, folder: Path, load: Callable[[Path], Loaded]) -> Loaded:
    """What ``load`` makes of a folder of weights, without a progress bar.

    Args:
        title: begins the error.

    Raises:
        ServiceError: the folder cannot be loaded.
    """
    from transformers.utils import logging

    logging.disable_progress_bar()
    try:
        return load(folder)
    except Exception as error:  # of many kinds, where a folder is damaged or holds another model
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ServiceError(f"{title}: {folder} cannot be loaded: {reason[:200]}") from error


def device() -> str:
    """Where detectors run."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
