"""What detectors share that can be asked for anything: their words, and each thing once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from evaluators.report import Detection
from instdiff.errors import ServiceError
from instdiff.layout import Box
from instdiff.world.nouns import open_name, phrase_words, singular_of

MAX_DETECTIONS = 100
SAME_IOU = 0.5  # boxes of one category that share more are one thing
RIVAL_IOU = 0.85  # boxes that share more are one thing, whatever it is called


def chosen(scores: np.ndarray, boxes: np.ndarray, names: Sequence[str], threshold: float) -> list[Detection]:
    """The best category of each box from the threshold on, best first; of boxes on the same thing the best stays.

    Args:
        scores: (N, len(names)) float, 0..1.
        boxes: (N, 4) float, xyxy as fractions of the picture; what lies outside is cut off.
        names: the categories.
    """
    kept: list[Detection] = []
    best = scores.max(axis=1)
    label = scores.argmax(axis=1)
    for index in np.argsort(-best, kind="stable"):
        if not best[index] >= threshold or len(kept) == MAX_DETECTIONS:  # written so that NaN is below it
            break
        box = box_within(*boxes[index])
        if box is None:
            continue
        one = Detection(category=names[label[index]], score=min(float(best[index]), 1.0), box=box)
        if not any(_same(one, other) for other in kept):
            kept.append(one)
    return kept


def box_within(x0: float, y0: float, x1: float, y1: float) -> Box | None:
    """The part of a box that lies on the picture, corners as fractions of it; None if nothing of it does."""
    corners = [min(max(float(value), 0.0), 1.0) for value in (x0, y0, x1, y1)]
    if not np.isfinite([x0, y0, x1, y1]).all() or corners[0] >= corners[2] or corners[1] >= corners[3]:
        return None
    return Box(x0=corners[0], y0=corners[1], x1=corners[2], y1=corners[3])


def _same(one: Detection, other: Detection) -> bool:
    return one.box.iou(other.box) > (SAME_IOU if one.category == other.category else RIVAL_IOU)


class OpenWords:
    """Knows every category that has a name; synonyms and plurals mean the same."""

    def canonical(self, category: str) -> str | None:
        """The name that is asked for ("couch" for "two red sofas"), or None for no name."""
        return open_name(category)

    def knows(self, category: str) -> bool:
        """True for everything that has a name."""
        return self.canonical(category) is not None


def asked(vocabulary: list[str]) -> list[str]:
    """The names that are asked for, each once."""
    return sorted({name for word in vocabulary if (name := open_name(word))})


def asked_name(label: str, names: Sequence[str]) -> str | None:
    """Which of the names that a model was asked for its label means, or else the label as a name; None for no name.

    Models shorten and lengthen: asked for "potted fern" they may say "fern", and "big dog" for "dog". That is taken
    if only one of the names is meant.
    """
    name = open_name(label)
    if name is None or name in names:
        return name
    own = {f" {name}", " " + singular_of(" ".join(phrase_words(label)))}
    near = [other for other in names if any(f" {other}".endswith(form) or form.endswith(f" {other}") for form in own)]
    return near[0] if len(near) == 1 else name


def loaded(name: str, folder: Path, load: Callable[[], object]):
    """What ``load`` gives, quietly; whatever goes wrong with a folder of weights is one line.

    Raises:
        ServiceError: the folder cannot be loaded.
    """
    from transformers.utils import logging

    logging.disable_progress_bar()
    try:
        return load()
    except Exception as error:  # of many kinds, where a folder is damaged or holds another model
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ServiceError(f"verifier {name}: {folder} cannot be loaded: {reason[:200]}") from error


def device() -> str:
    """Where detectors run."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
