"""What an evaluator saw, and what that says about the plan."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from instdiff.layout import Box, Mask
from instdiff.values import Fraction, Value

FOUND_IOU = 0.5  # from here on an instance counts as found in its place


class Detection(Value):
    """One object as a detector saw it; colour and texture are empty where it does not tell them apart."""

    category: str
    score: Fraction
    box: Box
    mask: Mask | None = None
    colour: str = ""
    texture: str = ""


class VerdictKind(StrEnum):
    """What became of a planned instance."""

    FOUND = "found"
    MISPLACED = "misplaced"
    MISSING = "missing"
    WRONG_ATTRIBUTE = "wrong attribute"
    UNCHECKED = "unchecked"  # the detector does not know this category


class Verdict(Value):
    """The verdict on one planned instance.

    ``iou`` is measured against the planned place, 0 where nothing was matched; ``detection`` is what it was matched to;
    ``mask_iou`` compares the shapes, where both the plan and the detection have one; ``sure`` is the score of the
    detector's answer, if it was asked for this thing in this place.
    """

    instance: int = Field(ge=0, description="index into the layout's instances")
    name: str
    kind: VerdictKind
    iou: Fraction = 0.0
    detection: Detection | None = None
    mask_iou: Fraction | None = None
    sure: Fraction | None = None


class Report(Value):
    """One verdict per planned instance, what else was seen, and the scores of the picture.

    ``found_score`` is how sure the detector had to be, None where it was not asked for the planned things.
    """

    detector: str
    iou_threshold: Fraction
    found_score: Fraction | None = None
    verdicts: tuple[Verdict, ...] = ()
    extras: tuple[Detection, ...] = ()

    @property
    def found(self) -> int:
        return sum(verdict.kind is VerdictKind.FOUND for verdict in self.verdicts)

    @property
    def checked(self) -> int:
        """How many instances the detector could judge at all."""
        return sum(verdict.kind is not VerdictKind.UNCHECKED for verdict in self.verdicts)

    @property
    def mean_iou(self) -> float:
        """Mean IoU over all checked instances; what was not matched counts 0."""
        return sum(verdict.iou for verdict in self.verdicts) / self.checked if self.checked else 0.0

    @property
    def verified(self) -> bool:
        """True if something was planned, and every instance was checked and found in its place."""
        return 0 < self.found == len(self.verdicts)

    @property
    def score(self) -> tuple[float, float, int]:
        """What rounds are ranked by: share found, then mean IoU, then few extras."""
        return (self.found / self.checked if self.checked else 0.0, self.mean_iou, -len(self.extras))
