"""Painted pictures in front of a detector that scores them: read through a manifest, never by what steered the
painting.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from evaluators.detectors import check_detector
from evaluators.manifest import Manifest, read_manifest, read_pictures
from evaluators.report import Detection
from instdiff.errors import BadInput, ServiceError
from instdiff.formats.png import read_png
from instdiff.layout import Layout

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
    """The detector that scores an engine's pictures where none is named: the judge for draft pictures, else what is
    here.

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
    cure = (
        "run `hf download google/owlv2-base-patch16-ensemble`, or install the extra yolo and put yolo11m-seg.pt under"
        " INSTDIFF_MODELS"
    )
    raise BadInput(
        "detector", f"no detector for the pictures of {engine} is on this machine; {cure}, or name one with --detector"
    )


def look(detector: Detector, images: Iterable[Image], vocabulary: list[str], looked: Callable[[int], None]) -> Seen:
    """What a detector sees on each picture, once down to the lowest score and once from its own threshold on.

    Args:
        looked: called with the number of pictures after every few.
    """
    detect, sure_from = _reaching_low(detector)
    everything = []
    waiting = []

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
        own = detector.threshold
        detector.threshold = min(lowest, detector.threshold)
        try:
            return detector.detect(images, vocabulary)
        finally:
            detector.threshold = own

    return detect, detector.threshold


@dataclass(frozen=True)
class Painted:
    """One picture of a manifest with the layout that it was painted from."""

    key: str
    image: Image
    layout: Layout


@dataclass(frozen=True)
class Gallery:
    """A folder of painted pictures and its manifest."""

    folder: Path
    manifest: Manifest

    @classmethod
    def open(cls, folder: Path) -> Gallery:
        """The pictures of a folder.

        Raises:
            BadInput: it has no manifest, or the manifest names none.
        """
        manifest = read_manifest(folder)
        if not manifest.pictures:
            raise BadInput(str(folder), "its manifest names no pictures")
        return cls(folder, manifest)

    @property
    def keys(self) -> list[str]:
        """In the order of the manifest, each once."""
        return [picture.key for picture in self.manifest.pictures]

    def pictures(self, keys: Sequence[str] | None = None) -> Iterator[Painted]:
        """The pictures of these keys, or all, each held against its hash; one is in memory at a time."""
        keys = self.keys if keys is None else keys
        for key, image in zip(keys, read_pictures(self.manifest, self.folder, keys), strict=True):
            yield Painted(key, image, read_png(self.folder / f"{key}.png")[0])


def add_detector_arguments(parser: argparse.ArgumentParser, default: str | None = "judge") -> None:
    """The options that name the detector which scores."""
    parser.add_argument(
        "--detector", default=default, metavar="NAME", help="what looks at the pictures (default: %(default)s)"
    )
    parser.add_argument("--detector-url", metavar="URL", help="the service of the detector vlm:MODEL")
    parser.add_argument(
        "--detector-dialect", metavar="NAME", help="how that model writes boxes, if its name does not tell"
    )


def check_scorer(detector: str, manifest: Manifest) -> None:
    """What scores must not be what steered.

    Raises:
        BadInput: the pictures were chosen by this very detector.
    """
    check_apart(detector, str(manifest.painted_with.get("verifier", "none")))


def check_apart(detector: str, verifier: str) -> None:
    """Raise BadInput if the detector that scores is the one in the loop. A kind without a model might be any model of
    it.
    """
    kind, _, model = detector.partition(":")
    steering, _, its_model = verifier.partition(":")
    if kind == steering and (not model or not its_model or model == its_model):
        raise BadInput(
            "detector",
            f"{detector} must not score: {verifier} is the verifier of the loop, and what steers must not score",
        )


def load_scorer(args: argparse.Namespace) -> Detector:
    """The detector that the options of `add_detector_arguments` name.

    Raises:
        BadInput: it has no such name, or its weights are not on this machine.
        ServiceError: it cannot be loaded.
    """
    from evaluators.detectors import check_detector, load_detector

    if args.detector != "judge":
        check_detector(args.detector, args.detector_url, args.detector_dialect)
    try:
        return load_detector(args.detector, args.detector_url, args.detector_dialect)
    except OSError as error:
        raise ServiceError(f"the detector {args.detector} cannot be loaded: {' '.join(str(error).split())}") from error
