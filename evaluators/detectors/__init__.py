"""Detectors: one small class each, all with the same method. Loading one may import torch; this module does not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from evaluators.report import Detection
from instdiff.errors import BadInput

if TYPE_CHECKING:
    from PIL.Image import Image

DETECTORS = ("draft",)


class Detector(Protocol):
    """What the loop asks of a detector."""

    name: str

    def canonical(self, category: str) -> str | None:
        """The detector's own word for a category ("couch" for "sofa"), or None if it does not know it."""

    def knows(self, category: str) -> bool:
        """True if the detector can find this category, under this name or another."""

    def detect(self, images: list[Image], vocabulary: list[str]) -> list[list[Detection]]:
        """What is on each picture; ``vocabulary`` names the categories that are asked for."""


def check_detector(name: str) -> None:
    """Raise BadInput for a name that `load_detector` does not know."""
    if name not in DETECTORS:
        raise BadInput("verifier", f'"{name}" is not known; choose from {", ".join(DETECTORS)}, none')


def load_detector(name: str) -> Detector:
    """Load a detector by name.

    Raises:
        BadInput: the name is not known.
    """
    check_detector(name)
    from evaluators.detectors.draft import DraftDetector

    return DraftDetector()
