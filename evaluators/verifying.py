"""A plan put to a detector: each planned thing is asked for in its place, and what else is seen explains the rest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from evaluators.detectors import Detector
from evaluators.matching import EXTRA_SCORE, assign, verdict_on
from evaluators.questions import Question, Sighting, overlaps, questions_of
from evaluators.report import FOUND_IOU, Detection, Report, Verdict, VerdictKind
from instdiff.layout import Layout

if TYPE_CHECKING:
    from PIL.Image import Image

SAME_SIGHT_IOU = 0.7  # sights of one category that share more are sights of one thing
SAME_THING_IOU = 0.5  # what is seen apart from a found thing, and shares as much with it, is no second one


def verify(
    detector: Detector, images: Sequence[Image], layouts: Sequence[Layout], iou_threshold: float = FOUND_IOU
) -> list[Report]:
    """What a detector says of the plan of each picture: a report for each, as `judge` gives it."""
    questions = [questions_of(layout) for layout in layouts]
    sightings = detector.ask(list(images), questions, iou_threshold)
    return [
        judge(layout, sighting, detector.canonical, detector.found_score, iou_threshold, detector.name)
        for layout, sighting in zip(layouts, sightings, strict=True)
    ]


def judge(
    layout: Layout,
    sighting: Sighting,
    canonical: Callable[[str], str | None],
    found_score: float,
    iou_threshold: float = FOUND_IOU,
    detector: str = "",
) -> Report:
    """From the answers about a picture to a verdict on every planned instance.

    An instance whose answer is sure enough is in its place. No thing answers for two instances, but where the plan puts
    both of them in one place, so that they cannot be told apart. The IoU of a verdict is measured against the planned
    place or its visible part, whichever fits better.

    Args:
        layout: the plan.
        sighting: what the detector says to `questions_of` the layout.
        canonical: maps a category to the detector's own word for it, or None if it does not know it.
        found_score: from this score on an answer is a yes.
        iou_threshold: from this IoU on something is in a place.
        detector: the name that the report carries.

    Returns:
        A report with one verdict per instance, in the order of the layout: found, wrong attribute (in its place, but of
        another colour than the caption says, where the detector tells colours), misplaced (not in its place, but its
        category is seen elsewhere), missing, or unchecked (the detector does not know the category, or the place is
        empty). Extras are what is seen with a score of at least 0.5 and is none of these things.
    """
    questions = questions_of(layout)
    planned = [canonical(question.category) if question.boxes or question.points else None for question in questions]
    found = _in_place(questions, planned, sighting, canonical, found_score, iou_threshold)
    others = _others(planned, found, sighting.detections, canonical)
    elsewhere = _elsewhere(questions, planned, found, others, canonical, iou_threshold)
    verdicts = []
    for index, (instance, question, answer) in enumerate(
        zip(layout.instances, questions, sighting.answers, strict=True)
    ):
        sure = None if planned[index] is None else answer.score if answer else 0.0
        if seen := found.get(index) or elsewhere.get(index):
            iou = float(_fits([question], [seen])[0, 0])
            verdict = verdict_on(index, instance, seen, iou, iou_threshold)
        else:
            kind = VerdictKind.UNCHECKED if planned[index] is None else VerdictKind.MISSING
            verdict = Verdict(instance=index, name=instance.name, kind=kind)
        verdicts.append(verdict.model_copy(update={"sure": sure}))
    taken = list(map(id, elsewhere.values()))
    extras = [other for other in others if other.score >= EXTRA_SCORE and id(other) not in taken]
    return Report(
        detector=detector,
        iou_threshold=iou_threshold,
        found_score=found_score,
        verdicts=tuple(verdicts),
        extras=tuple(extras),
    )


def _in_place(
    questions: Sequence[Question],
    planned: Sequence[str | None],
    sighting: Sighting,
    canonical: Callable[[str], str | None],
    found_score: float,
    iou_threshold: float,
) -> dict[int, Detection]:
    """What is seen of each instance that is in its place."""
    yes = {i: answer for i, answer in enumerate(sighting.answers) if answer and answer.score >= found_score}
    words, things = _things([*yes.values(), *(d for d in sighting.detections if d.score >= found_score)], canonical)
    asked = list(yes)
    table = [[_fits([questions[index]], thing).max() for thing in things] for index in asked]
    fits = np.array(table).reshape(len(asked), len(things))
    same = _same([planned[index] for index in asked], words) & (fits >= iou_threshold)
    pairs = assign(fits, same, np.array([thing[0].score for thing in things]), iou_threshold)
    found = {}
    for row, column in pairs.items():
        index, sights = asked[row], things[column]
        best = sights[int(_fits([questions[index]], sights).argmax())]
        found[index] = yes[index] if any(sight is yes[index] for sight in sights) else best
    shared = {
        index: answer
        for index, answer in yes.items()
        if any(answer.box.iou(found[i].box) > SAME_SIGHT_IOU and _coincide(questions, index, i) for i in found)
    }
    return shared | found


def _things(
    sights: Sequence[Detection], canonical: Callable[[str], str | None]
) -> tuple[list[str | None], list[list[Detection]]]:
    """What the things are that are seen, and the sights of each, the surest first."""
    words: list[str | None] = []
    things: list[list[Detection]] = []
    for sight in sorted(sights, key=lambda sight: -sight.score):
        word = canonical(sight.category)
        for other, thing in zip(words, things, strict=True):
            if word == other and thing[0].box.iou(sight.box) > SAME_SIGHT_IOU:
                thing.append(sight)
                break
        else:
            words.append(word)
            things.append([sight])
    return words, things


def _coincide(questions: Sequence[Question], first: int, second: int) -> bool:
    """True if the plan puts two things of a category in one place."""
    one, other = questions[first], questions[second]
    if not one.boxes or not other.boxes:
        return one == other
    return one.category == other.category and one.boxes[0].iou(other.boxes[0]) > SAME_SIGHT_IOU


def _others(
    planned: Sequence[str | None],
    found: dict[int, Detection],
    detections: Sequence[Detection],
    canonical: Callable[[str], str | None],
) -> list[Detection]:
    """What is seen of known categories beside the found things."""
    others = []
    for detection in detections:
        word = canonical(detection.category)
        same = (thing for index, thing in found.items() if planned[index] == word)
        if word is not None and all(detection.box.iou(thing.box) < SAME_THING_IOU for thing in same):
            others.append(detection)
    return others


def _elsewhere(
    questions: Sequence[Question],
    planned: Sequence[str | None],
    found: dict[int, Detection],
    others: Sequence[Detection],
    canonical: Callable[[str], str | None],
    iou_threshold: float,
) -> dict[int, Detection]:
    """What is seen of each instance that is not in its place, but somewhere else."""
    rest = [index for index, word in enumerate(planned) if word is not None and index not in found]
    fits = _fits([questions[index] for index in rest], others)
    same = _same([planned[index] for index in rest], [canonical(other.category) for other in others])
    # what lies in the place itself is there, and was not sure enough
    pairs = assign(fits, same & (fits < iou_threshold), np.array([other.score for other in others]), iou_threshold)
    return {rest[row]: others[column] for row, column in pairs.items()}


def _fits(questions: Sequence[Question], detections: Sequence[Detection]) -> np.ndarray:
    """How well each detection fits the place of each question, (questions, detections) 0..1."""
    corners = np.array([detection.box.xyxy for detection in detections]).reshape(-1, 4)
    return np.array([overlaps(question, corners) for question in questions]).reshape(len(questions), len(detections))


def _same(planned: Sequence[str | None], seen: Sequence[str | None]) -> np.ndarray:
    """(planned, seen) bool: both are the same known word."""
    table = [[word is not None and word == other for other in seen] for word in planned]
    return np.array(table, dtype=bool).reshape(len(planned), len(seen))
