"""What detectors share that can be asked for anything: the names, the loading, and each object once."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from evaluators.detectors import Detector, pictures_by_names
from evaluators.detectors.tiles import views_of
from evaluators.detectors.weights import model_folder
from evaluators.questions import Question, Sighting, overlaps
from evaluators.report import FOUND_IOU, Detection
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
        threshold = self.threshold if min_score is None else min_score
        return [best_detections(scores, boxes, names, threshold) for scores, boxes in self._look(images, names)]

    def ask(
        self, images: list[Image], questions: list[list[Question]], iou_threshold: float = FOUND_IOU
    ) -> list[Sighting]:
        """As every detector; an answer has the score of its own name, whatever else the model might call the box."""
        sightings: dict[int, Sighting] = {}
        for words, indices in pictures_by_names(questions).items():
            names = names_to_ask(list(words))
            looks = self._look([images[index] for index in indices], names)
            for index, (scores, boxes) in zip(indices, looks, strict=True):
                answers = [surest_box(scores, boxes, names, question, iou_threshold) for question in questions[index]]
                sure = best_detections(scores, boxes, names, self.threshold)
                sightings[index] = Sighting(tuple(answers), tuple(sure))
        return [sightings[index] for index in range(len(images))]

    def _look(self, images: list[Image], names: list[str]) -> list[tuple[np.ndarray, np.ndarray]]:
        """For each picture, seen as a whole and in tiles, scores (N, len(names)), 0..1, and boxes (N, 4) within it."""
        looks = [[(np.zeros((0, len(names))), np.zeros((0, 4)))] for _ in images]
        questions = self._questions(names) if names else None
        views = views_of(images, self.input_side) if names else []
        for first in range(0, len(views), BATCH_SIZE):
            batch = views[first : first + BATCH_SIZE]
            looked = self._scores([view.crop(images) for view in batch], names, questions)
            for view, scores, corners in zip(batch, *looked, strict=True):
                boxes, whole = view.on_picture(corners)
                boxes = boxes.clip(0.0, 1.0)
                whole &= (boxes[:, :2] < boxes[:, 2:]).all(axis=1)  # nor is it if it is no number
                looks[view.picture].append((np.nan_to_num(scores[whole]), boxes[whole]))
        return [
            (np.concatenate(scores), np.concatenate(boxes))
            for scores, boxes in (zip(*look, strict=True) for look in looks)
        ]

    @property
    def input_side(self) -> int:
        """The longer side that the model sees, in pixels."""
        return max(side for side in dict(self.processor.image_processor.size).values() if side)

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
    return distinct(_named_boxes(scores, boxes, names, threshold))


def distinct(detections: Iterable[Detection]) -> list[Detection]:
    """The first of all that are on the same object, at most `MAX_DETECTIONS`."""
    kept: list[Detection] = []
    for detection in detections:
        if not any(_is_same(detection, better) for better in kept):
            kept.append(detection)
        if len(kept) == MAX_DETECTIONS:
            break
    return kept


def surest_box(
    scores: np.ndarray, boxes: np.ndarray, names: Sequence[str], question: Question, iou_threshold: float
) -> Detection | None:
    """The box in the place of a question with the highest score for its category; arrays as `best_detections` has."""
    name = open_name(question.category)
    in_place = (overlaps(question, boxes) >= iou_threshold).nonzero()[0]
    if name is None or not len(in_place):
        return None
    own = scores[in_place, names.index(name)]
    box = box_within(*boxes[in_place[own.argmax()]])
    return Detection(category=name, score=min(float(own.max()), 1.0), box=box) if box else None


def _named_boxes(scores: np.ndarray, boxes: np.ndarray, names: Sequence[str], threshold: float) -> Iterator[Detection]:
    """Every box under its best name, best first."""
    best_scores = scores.max(axis=1, initial=-1.0)
    for index in np.argsort(-best_scores, kind="stable"):
        score = float(best_scores[index])
        if not score >= threshold:  # written so that NaN is below it
            break
        if box := box_within(*boxes[index]):
            yield Detection(category=names[scores[index].argmax()], score=min(score, 1.0), box=box)


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
