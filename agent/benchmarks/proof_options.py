"""How much a detector learns from what, to show what a dataset is worth."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from agent.dataset.export.labels import LabelOptions
from instdiff.cli import Flag


class ProofOptions(LabelOptions):
    """How much is learned from what. ``count`` None is all that every set has; ``steps`` go before ``minutes``."""

    count: Annotated[int | None, Flag("N")] = Field(None, ge=1, description="pictures of each kind (default: all)")
    minutes: Annotated[float, Flag("X")] = Field(10.0, gt=0, description="of training, each (10)")
    steps: Annotated[int | None, Flag("N")] = Field(None, ge=1, description="of training, each, instead of --minutes")
    held_out: Annotated[int, Flag("N")] = Field(
        240, ge=1, description="real pictures to score all on; of photographs a third at most (240)"
    )
    batch: Annotated[int, Flag("N")] = Field(16, ge=2, description="pictures a step (16)")
    side: Annotated[int, Flag("N")] = Field(
        256,
        ge=64,
        le=256,
        multiple_of=32,
        description="pixels of a picture's side; 128 takes a quarter of the time (256)",
    )
    seed: Annotated[int, Flag("N")] = Field(0, ge=0, lt=2**31, description="the first (0)")
    seeds: Annotated[int, Flag("N")] = Field(3, ge=1, description="trainings of each kind (3)")
    unrefined: Annotated[bool, Flag()] = Field(
        False, description="one more row: the same pictures with their plans as labels, as by --refine none"
    )
