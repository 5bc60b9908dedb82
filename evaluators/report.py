"""What an evaluator saw, and what that says about the plan."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import TYPE_CHECKING

from pydantic import Field

from instdiff.layout import Box, Layout, Mask
from instdiff.values import Fraction, Value

if TYPE_CHECKING:
    from PIL.Image import Image

ROW = ("", "name", "verdict", "IoU")  # of `Report.rows`
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

    if TYPE_CHECKING:  # lists are as good

        def __init__(
            self,
            *,
            detector: str,
            iou_threshold: float,
            found_score: float | None = None,
            verdicts: Iterable[Verdict] = (),
            extras: Iterable[Detection] = (),
        ) -> None: ...

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

    def draw(self, image: Image, layout: Layout) -> Image:
        """The picture with its plan and what was found, see `evaluators.drawing.draw_report`.

        Args:
            image: the picture that was looked at; it stays as it is.
            layout: what was planned on it.

        Returns:
            RGB, at least 768 pixels on its longer side.
        """
        from evaluators.drawing import draw_report  # which imports this module

        return draw_report(image, layout, self)

    def rows(self) -> list[list[str]]:
        """A verdict in each row, then the extras: number, name, verdict, IoU."""
        verdicts = [
            [
                str(verdict.instance + 1),
                verdict.name,
                verdict.kind.value,
                f"{verdict.iou:.2f}" if verdict.detection else "",
            ]
            for verdict in self.verdicts
        ]
        return [*verdicts, *(["", extra.category, "extra", ""] for extra in self.extras)]

    def _repr_html_(self) -> str:
        """The verdicts in a notebook."""
        from instdiff.notebook import html

        title = f"{self.found} of {len(self.verdicts)} found by {self.detector}"
        return html(title, ROW, self.rows())
