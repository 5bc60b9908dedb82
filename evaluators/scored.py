"""Painted pictures in front of a detector that scores them: read through a manifest, and never by what steered the painting."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from evaluators.manifest import Manifest, read_manifest, read_pictures
from instdiff.errors import BadInput, ServiceError
from instdiff.formats.png import read_png
from instdiff.layout import Layout

if TYPE_CHECKING:
    from PIL.Image import Image

    from evaluators.detectors import Detector


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
    parser.add_argument("--detector", default=default, metavar="NAME", help="what looks at the pictures (default: %(default)s)")
    parser.add_argument("--detector-url", metavar="URL", help="the service of the detector vlm:MODEL")
    parser.add_argument("--detector-dialect", metavar="NAME", help="how that model writes boxes, if its name does not tell")


def check_scorer(detector: str, manifest: Manifest) -> None:
    """What scores must not be what steered.

    Raises:
        BadInput: the pictures were chosen by this very detector.
    """
    check_apart(detector, str(manifest.painted_with.get("verifier", "none")))


def check_apart(detector: str, verifier: str) -> None:
    """Raise BadInput if the detector that scores is the one in the loop. A kind without a model might be any model of it."""
    (kind, _, model), (steering, _, its_model) = detector.partition(":"), verifier.partition(":")
    if kind == steering and (not model or not its_model or model == its_model):
        raise BadInput("detector", f"{detector} must not score: {verifier} is the verifier of the loop, and what steers must not score")


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
