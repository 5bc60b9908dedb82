"""What a run remembers of a repair: plain data, which runs keep in their folders."""

from __future__ import annotations

from pydantic import Field

from instdiff.layout import Box
from instdiff.values import Fraction, Value


class Step(Value):
    """What is done about one thing: "lamp 2" was "missing" and is "described plainly"."""

    thing: str
    failure: str
    move: str

    @property
    def sentence(self) -> str:
        return f"{self.thing}, {self.failure}: {self.move}"


class RepairRecord(Value):
    """What a round tried, on how much of the picture, and whether its picture took the place of the one before."""

    steps: tuple[Step, ...] = Field(description="of the best of the pictures")
    others: tuple[Step, ...] = Field(default=(), description="of those that were tried beside it")
    regions: tuple[Box, ...] = Field(default=(), description="what the best of the pictures has painted anew")
    share: Fraction = Field(default=0.0, description="how much of the picture that is")
    anew: bool = Field(default=False, description="the whole picture was painted anew")
    accepted: bool = False

    @property
    def tried(self) -> tuple[Step, ...]:
        """All steps of the round."""
        return (*self.steps, *self.others)
