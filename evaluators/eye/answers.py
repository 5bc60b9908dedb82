"""What a detector answers about pictures whose contents are known."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from evaluators.detectors import Detector
from evaluators.gallery import batches
from evaluators.questions import questions_of
from evaluators.report import Report, VerdictKind
from evaluators.verifying import judge
from instdiff.layout import Box, Layout
from instdiff.world.nouns import asked_colour

if TYPE_CHECKING:
    from PIL.Image import Image

    from evaluators.questions import Sighting

BATCH_SIZE = 16


@dataclass(frozen=True)
class KnownPicture:
    """A picture and the plan that it is held against.

    ``present`` are the categories on it, whatever the plan says. Where it has been ``spoiled`` (in one of the ways of
    `evaluators.eye.spoiling`), ``changed`` is the instance that is not as the plan says, and ``extra`` is where a thing
    is that the plan does not have.
    """

    image: Image
    layout: Layout
    present: frozenset[str]
    spoiled: str = ""
    changed: int | None = None
    extra: Box | None = None

    @classmethod
    def of(cls, image: Image, layout: Layout) -> KnownPicture:
        """One that is as its plan says."""
        return cls(image, layout, frozenset(instance.name for instance in layout.instances))


class Thing(NamedTuple):
    """A thing on a picture, and what is seen where it is."""

    category: str  # the detector's own word
    share: float  # of the picture, that its box covers
    beside: int  # how many things are on the picture, with it
    colour: str | None  # that its caption says
    colour_seen: str  # empty where its category is not seen there, or the detector tells no colours


@dataclass
class Answers:
    """What a detector answers when the place of every thing is asked with every category, one picture after another.

    Attributes:
        names: (C,) the categories that are asked, no two of them the same to the detector.
        words: (C,) the detector's own words for them.
        things: (T,) those of a category that is asked.
        unknown: how many things there are besides.
    """

    names: list[str]
    words: list[str]
    things: list[Thing] = field(default_factory=list)
    unknown: int = 0
    _scores: list[list[float]] = field(default_factory=list)
    _absent: list[list[bool]] = field(default_factory=list)

    @classmethod
    def to(cls, detector: Detector, names: Sequence[str]) -> Answers:
        """None yet, to questions about those of the categories that the detector knows."""
        by_word: dict[str, str] = {}
        for name in names:
            if (word := detector.canonical(name)) is not None:
                by_word.setdefault(word, name)
        return cls(list(by_word.values()), list(by_word))

    @property
    def scores(self) -> np.ndarray:
        """(T, C) 0..1; 0 where nothing is seen."""
        return np.array(self._scores).reshape(len(self.things), len(self.names))

    @property
    def absent(self) -> np.ndarray:
        """(T, C) bool: the category is nowhere on the picture of the thing."""
        return np.array(self._absent, dtype=bool).reshape(len(self.things), len(self.names))

    @property
    def own(self) -> np.ndarray:
        """(T,) the column of the category that each thing has."""
        return np.array([self.words.index(thing.category) for thing in self.things], dtype=int)

    @property
    def own_scores(self) -> np.ndarray:
        """(T,) what is answered to the truth."""
        return self.scores[np.arange(len(self.things)), self.own]

    def ask(self, detector: Detector, pictures: Sequence[KnownPicture]) -> None:
        """Ask about some more pictures."""
        asked = [[q._replace(category=name) for q in questions_of(p.layout) for name in self.names] for p in pictures]
        sightings = detector.ask([picture.image for picture in pictures], asked)
        for picture, sighting in zip(pictures, sightings, strict=True):
            self._add(detector, picture, sighting)

    def _add(self, detector: Detector, picture: KnownPicture, sighting: Sighting) -> None:
        present = {detector.canonical(name) for name in picture.present}
        absent = [word not in present for word in self.words]
        instances = picture.layout.instances
        for index, instance in enumerate(instances):
            word = detector.canonical(instance.name)
            if word not in self.words or not instance.extent:
                self.unknown += 1
                continue
            answers = sighting.answers[index * len(self.words) : (index + 1) * len(self.words)]
            seen = answers[self.words.index(word)]
            colour = asked_colour(instance.caption, instance.category)
            look = seen.colour if seen else ""
            self.things.append(Thing(word, instance.extent.area, len(instances), colour, look))
            self._scores.append([answer.score if answer else 0.0 for answer in answers])
            self._absent.append(absent)


class Judged(NamedTuple):
    """A known picture with its reports, by the name of the bar that answers were held against."""

    picture: KnownPicture
    reports: dict[str, Report]


class Outcome(NamedTuple):
    """What became of a plan at one bar; None where nothing is so."""

    spoiled: str
    planned: int  # things
    found: int
    verified: bool
    extras: int
    accepted: bool | None  # the thing that is not as planned is found all the same
    extra_told: bool | None  # the thing that is not on the plan is told, as an extra or as misplaced

    @classmethod
    def of(cls, picture: KnownPicture, report: Report) -> Outcome:
        changed, extra = picture.changed, picture.extra
        accepted = None if changed is None else report.verdicts[changed].kind is VerdictKind.FOUND
        misplaced = [v.detection for v in report.verdicts if v.detection and v.kind is VerdictKind.MISPLACED]
        told = [*report.extras, *misplaced]
        extra_told = None if extra is None else any(seen.box.iou(extra) >= report.iou_threshold for seen in told)
        planned = len(report.verdicts)
        return cls(picture.spoiled, planned, report.found, report.verified, len(report.extras), accepted, extra_told)


def judge_pictures(detector: Detector, pictures: Iterable[KnownPicture], bars: Mapping[str, float]) -> Iterator[Judged]:
    """The reports on the plan of each picture, as the loop would get them if these were the detector's bars."""
    for batch in batches(pictures, BATCH_SIZE):
        sightings = detector.ask([picture.image for picture in batch], [questions_of(p.layout) for p in batch])
        for picture, sighting in zip(batch, sightings, strict=True):
            reports = {
                name: judge(picture.layout, sighting, detector.canonical, bar, detector=detector.name)
                for name, bar in bars.items()
            }
            yield Judged(picture, reports)
