"""What a plan asks of a detector: is this thing in this place?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from evaluators.matching import points_of
from evaluators.report import Detection
from instdiff.layout import Box, Layout, Point
from instdiff.world.nouns import special_name

MIN_VISIBLE = 0.15  # a thing of which the plan leaves a smaller share is not known by that share


class Question(NamedTuple):
    """Is a thing of this category in this place?"""

    category: str
    boxes: tuple[Box, ...]  # the planned box, and what nearer things leave of it; either will do
    points: tuple[Point, ...] = ()  # of a place without extent


class Sighting(NamedTuple):
    """What a detector says of one picture.

    Attributes:
        answers: for each question the surest sight of its category in its place, however unsure; None where there is
            nothing, or the category is not known. Answers do not depend on each other.
        detections: all that is seen of the asked categories from the detector's own threshold on, best first.
    """

    answers: tuple[Detection | None, ...]
    detections: tuple[Detection, ...]


def questions_of(layout: Layout) -> list[Question]:
    """A question for each planned instance, in their order; one with neither boxes nor points has no place.

    Of two planned boxes the one whose bottom edge is lower is nearer, and hides the other.
    """
    extents = [instance.extent for instance in layout.instances]
    questions = []
    for instance, place, name in zip(layout.instances, extents, names_to_ask_for(layout), strict=True):
        if place is None:
            questions.append(Question(name, (), points_of(instance)))
            continue
        visible = visible_part(place, [box for box in extents if box and box.y1 > place.y1])
        questions.append(Question(name, (place,) if visible in (None, place) else (place, visible)))
    return questions


def names_to_ask_for(layout: Layout) -> list[str]:
    """What a detector is asked for, for each instance: "kitten" where the caption says so, though the category is cat.

    Where a cat is planned beside the kitten both are asked for as cats: whoever sees the one may call it the other.
    """
    words = [special_name(instance.category, instance.caption) for instance in layout.instances]
    general = {i.category for i, word in zip(layout.instances, words, strict=True) if word is None}
    return [
        instance.name if word is None or instance.category in general else word
        for instance, word in zip(layout.instances, words, strict=True)
    ]


def visible_part(box: Box, nearer: Sequence[Box]) -> Box | None:
    """The tight box around what nearer boxes leave of a box, or None if that is less than `MIN_VISIBLE` of it."""
    hidden = [np.clip(np.reshape(other.xyxy, (2, 2)), box.xyxy[:2], box.xyxy[2:]) for other in nearer]
    xs, ys = map(np.unique, np.concatenate([np.reshape(box.xyxy, (2, 2)), *hidden]).T)
    seen = np.ones((len(ys) - 1, len(xs) - 1), dtype=bool)  # the cells between all edges
    for (x0, y0), (x1, y1) in hidden:
        seen[np.searchsorted(ys, y0) : np.searchsorted(ys, y1), np.searchsorted(xs, x0) : np.searchsorted(xs, x1)] = 0
    if (seen * np.outer(np.diff(ys), np.diff(xs))).sum() < MIN_VISIBLE * box.area:
        return None
    rows, columns = (np.unique(cells) for cells in seen.nonzero())
    return Box(x0=xs[columns[0]], y0=ys[rows[0]], x1=xs[columns[-1] + 1], y1=ys[rows[-1] + 1])


def overlaps(question: Question, corners: np.ndarray) -> np.ndarray:
    """How well boxes fit the place of a question, (N,) 0..1: the higher IoU, or the share of its points inside.

    Args:
        corners: (N, 4) float, xyxy as fractions of the picture.
    """
    corners = np.asarray(corners, dtype=float).reshape(-1, 4)
    if not question.boxes:
        points = np.array([(point.x, point.y) for point in question.points]).reshape(-1, 1, 2)
        inside = ((corners[:, :2] <= points) & (points <= corners[:, 2:])).all(axis=-1)  # (points, N)
        return inside.mean(axis=0) if len(points) else np.zeros(len(corners))
    places = np.array([box.xyxy for box in question.boxes])[:, None]  # (boxes, 1, 4)
    sides = np.minimum(places[..., 2:], corners[:, 2:]) - np.maximum(places[..., :2], corners[:, :2])
    shared, own, other = (
        lengths.clip(min=0).prod(axis=-1)
        for lengths in (sides, places[..., 2:] - places[..., :2], corners[:, 2:] - corners[:, :2])
    )
    return (shared / (own + other - shared)).max(axis=0)
