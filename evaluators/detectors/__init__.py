"""Detectors: one small class each, all with the same method. Loading one may import torch; this module does not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from evaluators.report import Detection
from instdiff.errors import BadInput

if TYPE_CHECKING:
    from PIL.Image import Image

IN_LOOP = ("draft", "yolo", "owlv2", "grounding-dino", "cogvlm", "vlm")
DETECTORS = (*IN_LOOP, "judge")  # the judge scores benchmarks: what scores must not be what steers
NAMES = (
    "draft, yolo or yolo:FILE.pt, owlv2 or owlv2:MODEL, grounding-dino or grounding-dino:MODEL, "
    "cogvlm:MODEL@COMMIT (with --trust-remote-code), vlm:MODEL (with --verifier-url)"
)
OPEN_VOCABULARY = ("owlv2", "grounding-dino")  # for pictures of anything, in the order of preference


class Detector(Protocol):
    """What looks at pictures."""

    name: str

    @property
    def threshold(self) -> float:
        """What is seen with a lower score is not reported, unless it is asked for."""

    def canonical(self, category: str) -> str | None:
        """The detector's own word for a category ("couch" for "sofa"), or None if it does not know it."""

    def knows(self, category: str) -> bool:
        """True if the detector can find this category, under this name or another."""

    def detect(
        self, images: list[Image], vocabulary: list[str], min_score: float | None = None
    ) -> list[list[Detection]]:
        """What is on each picture, best first; boxes are fractions of it.

        Args:
            vocabulary: the categories that are asked for.
            min_score: what scores less is not reported; None takes the detector's own threshold.
        """


def default_verifier(engine: str) -> tuple[str, str]:
    """The verifier of an engine's pictures where none is named, and what is to be said about the choice."""
    if engine == "draft":
        return "draft", ""
    for kind in OPEN_VOCABULARY:
        try:
            _check_open(kind, "")
        except BadInput:
            continue
        return kind, f"the verifier is {kind}, whose weights are on this machine"
    model = _default_model(OPEN_VOCABULARY[0])
    fetch = f"for {OPEN_VOCABULARY[0]} run `hf download {model}`, or name another with --verifier"
    return (
        "none",
        f"pictures are not verified: the bundled detector knows drawings alone, and there is no other; {fetch}",
    )


def check_detector(
    name: str, url: str | None = None, dialect: str | None = None, trust_remote_code: bool = False
) -> None:
    """Refuse what cannot steer the loop, before anything heavy is loaded.

    Args:
        name: as in `load_detector`; url, dialect and trust_remote_code too.

    Raises:
        BadInput: the name is not known, its weights are not on this machine, or an option does not fit it.
        ServiceError: a package or a key that it needs is missing.
    """
    kind, _, what = name.partition(":")
    if kind == "judge":
        raise BadInput(
            "verifier", f"judge scores benchmarks, and what scores must not steer; choose {', '.join(IN_LOOP)} or none"
        )
    if kind not in IN_LOOP or (kind == "draft" and name != kind):
        raise BadInput("verifier", f'"{name[:100]}" is not known; choose from {NAMES}, none')
    given = {"verifier_url": url, "verifier_dialect": dialect}
    for field in (field for field, value in given.items() if value and kind != "vlm"):
        raise BadInput(field, f"is about vlm:MODEL, and the verifier is {name[:100]}")
    _check(kind, what, url, dialect, trust_remote_code)


def _check(kind: str, what: str, url: str | None, dialect: str | None, trust_remote_code: bool) -> None:
    """What each detector can tell without loading anything."""
    if kind == "yolo":
        from evaluators.detectors import weights, yolo

        weights.weights_file(what or yolo.WEIGHTS)
        yolo.check_package()
    elif kind in OPEN_VOCABULARY:
        _check_open(kind, what)
    elif kind == "cogvlm":
        from evaluators.detectors.cogvlm import checked_folder

        checked_folder(what, trust_remote_code)
    elif kind == "vlm":
        from evaluators.detectors import dialects, vlm

        if not what:
            raise BadInput("verifier", "vlm needs the name of a model, such as vlm:gpt-4o")
        dialects.dialect_of(what, dialect)
        vlm.check_service(url)


def _check_open(kind: str, what: str) -> None:
    from evaluators.detectors.weights import model_folder

    model_folder(what or _default_model(kind))


def _default_model(kind: str) -> str:
    from evaluators.detectors import grounding_dino, owlv2

    return {"owlv2": owlv2, "grounding-dino": grounding_dino}[kind].MODEL


def load_detector(
    name: str, url: str | None = None, dialect: str | None = None, trust_remote_code: bool = False
) -> Detector:
    """Load a detector by name.

    Args:
        name: ``draft`` or ``judge`` (bundled); ``yolo:FILE.pt``; ``owlv2:MODEL`` and ``grounding-dino:MODEL`` with a
            folder or the name of a model in the hub's cache, each also without one; ``cogvlm:MODEL@COMMIT``;
            ``vlm:MODEL``.
        url: where the service of ``vlm`` is.
        dialect: how that model writes boxes, if its name does not tell.
        trust_remote_code: let the code run that comes with ``cogvlm``.

    Raises:
        BadInput: the name is not known, or its weights are not on this machine.
        ServiceError: a package or a key is missing, or the weights cannot be loaded.
    """
    kind, _, what = name.partition(":")
    if kind not in DETECTORS or (kind in ("draft", "judge") and name != kind):
        raise BadInput("detector", f'"{name[:100]}" is not known; choose from {NAMES}, judge')
    chosen = [what] if what else []
    match kind:
        case "yolo":
            from evaluators.detectors.yolo import YoloDetector

            return YoloDetector(*chosen)
        case "owlv2":
            from evaluators.detectors.owlv2 import Owlv2Detector

            return Owlv2Detector(*chosen)
        case "grounding-dino":
            from evaluators.detectors.grounding_dino import GroundingDinoDetector

            return GroundingDinoDetector(*chosen)
        case "cogvlm":
            from evaluators.detectors.cogvlm import CogVlmDetector

            return CogVlmDetector(what, trust_remote_code)
        case "vlm":
            from evaluators.detectors.vlm import VlmDetector

            return VlmDetector(what, url, dialect)
    from evaluators.detectors.draft import DraftDetector

    return DraftDetector(name)
