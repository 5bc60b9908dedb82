"""Painted pictures before a detector that scores them: read through a manifest, never by what steered them."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from evaluators.detectors import BUNDLED, Detector, check_detector, load_detector
from evaluators.detectors.draft import DraftDetector
from evaluators.manifest import Manifest, read_manifest, read_parts, read_pictures
from evaluators.report import Detection
from instdiff.errors import BadInput, ServiceError
from instdiff.formats.png import read_png
from instdiff.layout import Layout

if TYPE_CHECKING:
    from PIL.Image import Image

Item = TypeVar("Item")
BATCH_SIZE = 16
LOWEST_SCORE = {"yolo": 0.001}  # AP looks at everything from this score on; YOLO's own evaluation goes as low
OTHERS_LOWEST_SCORE = 0.05
FOR_PHOTOGRAPHS = ("yolo", "owlv2", "grounding-dino")


@dataclass(frozen=True)
class Detections:
    """What a detector saw on each picture: everything down to a low score for AP; what it is sure of for all else."""

    everything: list[list[Detection]]
    sure: list[list[Detection]]

    @property
    def have_masks(self) -> bool:
        """True if everything that was seen has a mask, and something was seen."""
        every = [detection for picture in self.everything for detection in picture]
        return bool(every) and all(detection.mask is not None for detection in every)


def default_scorer(engine: str) -> str:
    """The detector that scores an engine's pictures by default: the judge for draft pictures, else what is here.

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
    missing = f"no detector for the pictures of {engine} is on this machine"
    cure = "run `hf download google/owlv2-base-patch16-ensemble`, or install the extra yolo and put yolo11m-seg.pt"
    raise BadInput("detector", f"{missing}; {cure} under INSTDIFF_MODELS, or name one with --detector")


def look(
    detector: Detector, images: Iterable[Image], vocabulary: list[str], progress: Callable[[int], object]
) -> Detections:
    """What a detector sees on each picture, once down to the lowest score and once from its own threshold on.

    Args:
        progress: called with the number of pictures after every few.
    """
    lowest = min(LOWEST_SCORE.get(detector.name, OTHERS_LOWEST_SCORE), detector.threshold)
    everything: list[list[Detection]] = []
    for batch in batches(images, BATCH_SIZE):
        everything += detector.detect(batch, vocabulary, lowest)
        progress(len(batch))
    sure = [[detection for detection in picture if detection.score >= detector.threshold] for picture in everything]
    return Detections(everything, sure)


def batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Pictures, or what else there is, in lists of at most ``size``; no more of them are in memory at a time."""
    batch: list[Item] = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


@dataclass(frozen=True)
class PaintedPicture:
    """One picture of a manifest with the layout that it was painted from."""

    key: str
    image: Image
    layout: Layout


class Part(NamedTuple):
    """A folder with a manifest, and those of its pictures that are meant."""

    folder: Path
    manifest: Manifest
    keys: list[str]


@dataclass(frozen=True)
class Gallery:
    """Painted pictures in the order of their parts: one folder with a manifest, or one for each job that painted."""

    folder: Path
    parts: list[Part]

    @classmethod
    def open(cls, folder: Path, keys: Sequence[str] | None = None) -> Gallery:
        """The pictures of a folder.

        Args:
            keys: the pictures that are meant; None takes all.

        Raises:
            BadInput: there is no manifest, the manifest names no pictures, or some that are meant are missing.
        """
        missing = set(keys or ())
        parts = []
        for place, manifest in read_parts(folder) or [(folder, read_manifest(folder))]:
            own_keys = [picture.key for picture in manifest.pictures if keys is None or picture.key in missing]
            missing -= set(own_keys)
            parts.append(Part(place, manifest, own_keys))
        if missing and keys:
            reason = f"{len(missing)} of {len(keys)} pictures are not painted yet ({min(missing)} is the first)"
            raise BadInput(str(folder), f"{reason}; paint them, then score")
        if not any(part.keys for part in parts):
            raise BadInput(str(folder), "its manifest names no pictures")
        return cls(folder, parts)

    @property
    def keys(self) -> list[str]:
        """The names of the pictures, each once."""
        return [key for part in self.parts for key in part.keys]

    @property
    def hashes(self) -> dict[str, str]:
        """The SHA-256 of each picture's file, by key."""
        return {picture.key: picture.sha256 for part in self.parts for picture in part.manifest.pictures}

    @property
    def painted_with(self) -> dict[str, str | int | float]:
        """All that changes the pictures, by name."""
        return self.parts[0].manifest.painted_with

    @property
    def engine(self) -> str:
        """The name of what painted."""
        return str(self.painted_with.get("engine", ""))

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels of the pictures."""
        return next(self.images()).size

    def layouts(self) -> list[Layout]:
        """The layouts that the pictures were painted from."""
        return [read_png(part.folder / f"{key}.png")[0] for part in self.parts for key in part.keys]

    def images(self) -> Iterator[Image]:
        """The pictures, each held against its hash; one is in memory at a time."""
        for part in self.parts:
            yield from read_pictures(part.manifest, part.folder, part.keys)

    def pictures(self, keys: Sequence[str] | None = None) -> Iterator[PaintedPicture]:
        """The pictures of these keys, or all, each held against its hash; one is in memory at a time."""
        part_of = {key: index for index, part in enumerate(self.parts) for key in part.keys}
        for index, group in groupby(self.keys if keys is None else keys, lambda key: part_of.get(key, 0)):
            folder, manifest, _ = self.parts[index]
            own_keys = list(group)
            for key, image in zip(own_keys, read_pictures(manifest, folder, own_keys), strict=True):
                yield PaintedPicture(key, image, read_png(folder / f"{key}.png")[0])


def add_detector_arguments(parser: argparse._ActionsContainer, default: str = "judge") -> None:
    """The options that name the detector which scores."""
    parser.add_argument("--detector", default=default, metavar="NAME", help="what looks at the pictures (%(default)s)")
    parser.add_argument("--detector-url", metavar="URL", help="the service of the detector vlm:MODEL")
    parser.add_argument("--detector-dialect", metavar="NAME", help="how it writes boxes, if its name does not tell")


def check_scorer(detector: str, gallery: Gallery) -> None:
    """Raise BadInput if the pictures were chosen by this very detector: what scores must not be what steered."""
    check_apart(detector, str(gallery.painted_with.get("verifier", "none")))


def check_apart(detector: str, verifier: str) -> None:
    """Raise BadInput if the detector that scores is the one in the loop; a kind without a model matches any model."""
    kind, _, model = detector.partition(":")
    steering, _, its_model = verifier.partition(":")
    if kind == steering and (not model or not its_model or model == its_model):
        reason = f"{verifier} is the verifier of the loop, and what steers must not score"
        raise BadInput("detector", f"{detector} must not score: {reason}")


def load_scorer(args: argparse.Namespace) -> Detector:
    """The detector that the options of `add_detector_arguments` name.

    Raises:
        BadInput: it has no such name, or its weights are not on this machine.
        ServiceError: it cannot be loaded.
    """
    if args.detector in BUNDLED:
        return load_bundled(args.detector)
    check_detector(args.detector, args.detector_url, args.detector_dialect)
    try:
        return load_detector(args.detector, args.detector_url, args.detector_dialect)
    except OSError as error:
        raise _not_loaded(args.detector, error) from error


def load_bundled(name: str = "judge") -> DraftDetector:
    """The judge, or the detector of the loop.

    Raises:
        ServiceError: its weights cannot be loaded.
    """
    try:
        return DraftDetector(name)
    except OSError as error:
        raise _not_loaded(name, error) from error


def _not_loaded(name: str, error: OSError) -> ServiceError:
    return ServiceError(f"the detector {name} cannot be loaded: {' '.join(str(error).split())}")
