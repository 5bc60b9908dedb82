"""What the critic says of a plan."""

from __future__ import annotations

from enum import StrEnum

from instdiff.values import Value, Words


class FindingKind(StrEnum):
    """What can be wrong with a layout."""

    OUT_OF_FRAME = "out of frame"
    SLIVER = "sliver"
    DUPLICATE = "duplicate"
    HIDDEN = "hidden"
    FLOATING = "floating"
    SIZE = "wrong size"
    RELATION = "broken relation"
    COUNT = "wrong count"
    FORBIDDEN = "forbidden"


class Finding(Value):
    """One thing that is wrong: ``instance`` counts from 0 in the plan that was looked at, None for the whole plan."""

    kind: FindingKind
    instance: int | None = None
    repaired: bool = False
    sentence: Words
