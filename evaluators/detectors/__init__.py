"""Detectors: one small class each, all with the same method. Loading one may import torch; this module does not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple, Protocol, cast

import numpy as np

from evaluators.questions import Question, Sighting, overlaps
from evaluators.report import FOUND_IOU, Detection
from instdiff.errors import BadInput

if TYPE_CHECKING:
    from PIL.Image import Image

IN_LOOP = ("draft", "yolo", "owlv2", "grounding-dino", "cogvlm", "vlm")
DETECTORS = (*IN_LOOP, "judge")  # what scores benchmarks must not be what steers
BUNDLED = ("draft", "judge")
NAMES = (
    "draft, yolo or yolo:FILE.pt, owlv2 or owlv2:MODEL, grounding-dino or grounding-dino:MODEL, "
    "cogvlm:MODEL@COMMIT (with --trust-remote-code), vlm:MODEL (with --verifier-url)"
)
OPEN_VOCABULARY = ("owlv2", "grounding-dino")  # for pictures of anything, in the order of preference


class Detector(Protocol):
    """What looks at pictures. An own one inherits all but `canonical` and `detect`.

    The detector that `agent.loop.Agent` is given as ``verifier=`` is put to the plan of each picture (see
    `evaluators.verifying.verify`).

    Examples:
        This one finds one thing, whatever is black:

        >>> from PIL import Image, ImageOps
        >>> from evaluators.detectors import Detector
        >>> from evaluators.report import Detection
        >>> from instdiff import Box
        >>> class BlackThings(Detector):
        ...     name = "black-things"
        ...     threshold = 0.5
        ...     found_score = 0.5
        ...
        ...     def canonical(self, category):
        ...         return "ball" if category in ("ball", "black ball") else None
        ...
        ...     def detect(self, images, asked, min_score=None):
        ...         return [self._find(image) if any(map(self.knows, asked)) else [] for image in images]
        ...
        ...     def _find(self, image):
        ...         corners = ImageOps.invert(image.convert("L")).getbbox()
        ...         boxes = [Box.from_corners(corners, image.size)] if corners else []
        ...         return [Detection(category="ball", score=1.0, box=box) for box in boxes]
        >>> picture = Image.new("RGB", (64, 64), "white")
        >>> picture.paste("black", (16, 16, 48, 48))
        >>> BlackThings().detect([picture], ["ball"])[0][0].box.xyxy
        (0.25, 0.25, 0.75, 0.75)
    """

    name: str
    threshold: float  # what is seen with a lower score is not reported, unless it is asked for
    # from this score on an answer is a yes: what 1 % of other categories, asked for in the same place, would reach
    found_score: float

    def canonical(self, category: str) -> str | None:
        """The detector's own word for a category ("couch" for "sofa"), or None if it does not know it."""

    def knows(self, category: str) -> bool:
        """True if the detector can find this category, under this name or another."""
        return self.canonical(category) is not None

    def detect(self, images: list[Image], asked: list[str], min_score: float | None = None) -> list[list[Detection]]:
        """What is on each picture, best first; boxes are fractions of it.

        Args:
            asked: the categories that are looked for.
            min_score: what scores less is not reported; None takes the detector's own threshold.
        """

    def ask(
        self, images: list[Image], questions: list[list[Question]], iou_threshold: float = FOUND_IOU
    ) -> list[Sighting]:
        """The answers to the questions about each picture, and what else is seen of what is asked for.

        Args:
            questions: a list for each picture; the answers to them do not depend on each other.
            iou_threshold: from this IoU on something is in a place.
        """
        lowest = min(self.found_score, self.threshold) / 2  # what is no yes is told too
        sightings: dict[int, Sighting] = {}
        for names, indices in pictures_by_names(questions).items():
            everything = self.detect([images[index] for index in indices], list(names), lowest)
            for index, seen in zip(indices, everything, strict=True):
                answers = [surest(question, seen, self.canonical, iou_threshold) for question in questions[index]]
                sure = tuple(detection for detection in seen if detection.score >= self.threshold)
                sightings[index] = Sighting(tuple(answers), sure)
        return [sightings[index] for index in range(len(images))]


class DetectorOptions(NamedTuple):
    """What a detector is loaded by; an empty model is the usual one of its kind."""

    kind: str
    model: str = ""
    url: str | None = None
    dialect: str | None = None
    trust_remote_code: bool = False


class DetectorModule(Protocol):
    """What each module of this package has."""

    def check(self, options: DetectorOptions) -> None:
        """Refuse what cannot be loaded, before anything heavy is imported; raises BadInput or ServiceError."""

    def load(self, options: DetectorOptions) -> Detector:
        """The detector."""


def surest(
    question: Question, seen: Sequence[Detection], canonical: Callable[[str], str | None], iou_threshold: float
) -> Detection | None:
    """The surest sight of what a question asks for in its place, if there is any."""
    word = canonical(question.category)
    fits = overlaps(question, np.array([detection.box.xyxy for detection in seen]))
    in_place = [detection for detection, fit in zip(seen, fits, strict=True) if fit >= iou_threshold]
    own = [detection for detection in in_place if word is not None and canonical(detection.category) == word]
    return max(own, key=lambda detection: detection.score, default=None)


def pictures_by_names(questions: Sequence[Sequence[Question]]) -> dict[tuple[str, ...], list[int]]:
    """The indices of the pictures that are asked for the same names, by those names: they are looked at together."""
    groups: dict[tuple[str, ...], list[int]] = {}
    for index, asked in enumerate(questions):
        groups.setdefault(tuple(sorted({question.category for question in asked})), []).append(index)
    return groups


def _module_of(kind: str) -> DetectorModule:
    module = "draft" if kind in BUNDLED else kind.replace("-", "_")
    return cast(DetectorModule, import_module(f"evaluators.detectors.{module}"))


def default_verifier(engine: str) -> tuple[str, str]:
    """The verifier of an engine's pictures where none is named, and a note on the choice."""
    if engine == "draft":
        return "draft", ""
    cures = []
    for kind in OPEN_VOCABULARY:
        try:
            _module_of(kind).check(DetectorOptions(kind))
        except BadInput as error:
            cures.append(error.reason)
        else:
            return kind, f"the verifier is {kind}, whose weights are on this machine"
    reason = f"the bundled detector knows drawings alone, and there is no other: {cures[0]}"
    return "none", f"pictures are not verified: {reason}; or name another with --verifier"


def check_detector(
    name: str, url: str | None = None, dialect: str | None = None, trust_remote_code: bool = False
) -> None:
    """Refuse what cannot steer the loop, before anything heavy is loaded.

    Args:
        name: as in `load_detector`, or none; url, dialect and trust_remote_code too.

    Raises:
        BadInput: the name is not known, its weights are not on this machine, or an option does not fit it.
        ServiceError: a package or a key that it needs is missing.
    """
    kind, _, model = name.partition(":")
    if kind == "judge":
        cure = f"choose {', '.join(IN_LOOP)} or none"
        raise BadInput("verifier", f"judge scores benchmarks, and what scores must not steer; {cure}")
    if name != "none" and (kind not in IN_LOOP or (kind in BUNDLED and name != kind)):
        raise BadInput("verifier", f'"{name[:100]}" is not known; choose from {NAMES}, none')
    for field, value in (("verifier_url", url), ("verifier_dialect", dialect)):
        if value and kind != "vlm":
            raise BadInput(field, f"is about vlm:MODEL, and the verifier is {name[:100]}")
    if name != "none":
        _module_of(kind).check(DetectorOptions(kind, model, url, dialect, trust_remote_code))


def load_detector(
    name: str,
    url: str | None = None,
    dialect: str | None = None,
    trust_remote_code: bool = False,
    found_score: float | None = None,
) -> Detector:
    """Load a detector by name.

    Args:
        name: ``draft`` or ``judge`` (bundled); ``yolo:FILE.pt``; ``cogvlm:MODEL@COMMIT``; ``vlm:MODEL``; ``owlv2`` and
            ``grounding-dino``, also with ``:MODEL``, a folder or the name of a model in the hub's cache.
        url: where the service of ``vlm`` is.
        dialect: how that model writes boxes, if its name does not tell.
        trust_remote_code: let the code run that comes with ``cogvlm``.
        found_score: from this score on an answer is a yes; by default the detector's own.

    Raises:
        BadInput: the name is not known, or its weights are not on this machine.
        ServiceError: a package or a key is missing, or the weights cannot be loaded.
    """
    kind, _, model = name.partition(":")
    if kind not in DETECTORS or (kind in BUNDLED and name != kind):
        raise BadInput("detector", f'"{name[:100]}" is not known; choose from {NAMES}, judge')
    detector = _module_of(kind).load(DetectorOptions(kind, model, url, dialect, trust_remote_code))
    if found_score is not None:
        detector.found_score = found_score
    return detector
