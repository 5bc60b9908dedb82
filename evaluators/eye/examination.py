"""A detector looks at known pictures of several kinds; what it says of them becomes figures at each of its bars."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from evaluators.detectors import Detector
from evaluators.eye.answers import BATCH_SIZE, Answers, Judged, KnownPicture, Outcome, judge_pictures
from evaluators.eye.calibration import found_score_at, most_similar
from evaluators.eye.figures import Alone, alone_figures, answer_figures, plan_figures, spoiled_figures
from evaluators.eye.sheets import Sheets
from evaluators.gallery import batches
from evaluators.questions import questions_of
from evaluators.report import VerdictKind
from evaluators.reporting import Table
from instdiff.world.nouns import asked_colour

OWN = "own"
CALIBRATED = "calibrated"
WARM_UP = 2
TIMED = 30  # pictures


class Examination:
    """A detector with its own bar and the one that it should have.

    Args:
        names: the categories that are asked for.
        pictures: those that the bar is taken from; no figures come from them.
        false_yes: the share of answers about other categories that may reach the bar.
    """

    def __init__(self, detector: Detector, names: Sequence[str], pictures: Iterable[KnownPicture], false_yes: float):
        self.detector = detector
        self.names = names
        self.sheets = Sheets()
        answers = Answers.to(detector, names)
        for batch in batches(pictures, BATCH_SIZE):
            answers.ask(detector, batch)
        self.similar = most_similar(answers)
        self.bars = {OWN: detector.found_score}
        if (bar := found_score_at(answers, false_yes)) is not None:
            self.bars[CALIBRATED] = bar

    def as_planned(self, title: str, pictures: Iterable[KnownPicture]) -> dict[str, dict]:
        """By bar, the figures of pictures on which everything is as their plans say, asked for every category."""
        answers = Answers.to(self.detector, self.names)
        judged: list[dict[str, Outcome]] = []
        for batch in batches(pictures, BATCH_SIZE):
            answers.ask(self.detector, batch)
            judged += self._outcomes(title, batch)
        return {
            name: {
                **answer_figures(answers, bar, self.similar),
                **plan_figures([outcomes[name] for outcomes in judged]),
                "unknown_things": answers.unknown,
            }
            for name, bar in self.bars.items()
        }

    def of_plans(self, title: str, pictures: Iterable[KnownPicture], kinds: Sequence[str]) -> dict[str, dict]:
        """By bar, the figures of pictures as planned (``perfect``), if any, and of each kind of spoiled ones."""
        judged = self._outcomes(title, pictures)
        return {name: _by_kind([outcomes[name] for outcomes in judged], kinds) for name in self.bars}

    def of_things(self, pictures: Iterable[KnownPicture]) -> dict[str, dict]:
        """By bar, the figures of pictures with one thing each."""
        said: dict[str, list[Alone]] = {name: [] for name in self.bars}
        for judged in self._judge(pictures):
            self.sheets.show("drawn alone", judged, OWN)
            instance = judged.picture.layout.instances[0]
            colour = asked_colour(instance.caption, instance.name)
            for name, report in judged.reports.items():
                verdict = report.verdicts[0]
                found = verdict.kind in (VerdictKind.FOUND, VerdictKind.WRONG_ATTRIBUTE)
                right = verdict.detection is not None and verdict.detection.colour == colour
                said[name].append(Alone(instance.name, colour is not None, found, right))
        return {name: alone_figures(things) for name, things in said.items()}

    def milliseconds(self, pictures: Sequence[KnownPicture]) -> float | None:
        """What a look takes, one picture at a time: the median, once warm."""
        taken = []
        for picture in [*pictures[:WARM_UP], *pictures[:TIMED]]:
            start = time.perf_counter()
            self.detector.ask([picture.image], [questions_of(picture.layout)])
            taken.append(1000 * (time.perf_counter() - start))
        return statistics.median(taken[len(pictures[:WARM_UP]) :]) if taken else None

    def _judge(self, pictures: Iterable[KnownPicture]) -> Iterable[Judged]:
        return judge_pictures(self.detector, pictures, self.bars)

    def _outcomes(self, title: str, pictures: Iterable[KnownPicture]) -> list[dict[str, Outcome]]:
        """What became of each picture's plan, by bar."""
        outcomes = []
        for judged in self._judge(pictures):
            self.sheets.show(title, judged, OWN)
            outcomes.append({name: Outcome.of(judged.picture, report) for name, report in judged.reports.items()})
        return outcomes


class Examined(NamedTuple):
    """What has come out of an examination."""

    examination: Examination
    figures: dict  # by part, and ``milliseconds``
    tables: list[Table]
    notes: list[str]


def _by_kind(outcomes: Sequence[Outcome], kinds: Sequence[str]) -> dict[str, dict]:
    """Figures of perfect pictures, if there are any, and of each kind of spoiled ones."""
    perfect = [outcome for outcome in outcomes if not outcome.spoiled]
    figures = {"perfect": plan_figures(perfect)} if perfect else {}
    for kind in kinds:
        figures[kind] = spoiled_figures([outcome for outcome in outcomes if outcome.spoiled == kind])
    return figures
