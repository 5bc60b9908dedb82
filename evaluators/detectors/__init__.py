"""Detectors: one small class each, all with the same method. Loading one may import torch; this module does not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from evaluators.report import Detection
from instdiff.errors import BadInput

if TYPE_CHECKING:
    from PIL.Image import Image

IN_LOOP = ("draft",)
DETECTORS = (*IN_LOOP, "judge")  # the judge scores benchmarks: what scores must not be what steers


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
    """Raise BadInput for a name that cannot steer the loop."""
    if name == "judge":
        raise BadInput("verifier", f"judge scores benchmarks, and what scores must not steer; choose {', '.join(IN_LOOP)} or none")
    if name not in IN_LOOP:
        raise BadInput("verifier", f'"{name}" is not known; choose from {", ".join(IN_LOOP)}, none')


def load_detector(name: str) -> Detector:
    """Load a detector by name.

    Raises:
        BadInput: the name is not known.
    """
    if name not in DETECTORS:
        raise BadInput("detector", f'"{name}" is not known; choose from {", ".join(DETECTORS)}')
    from evaluators.detectors.draft import DraftDetector

    return DraftDetector(name)
