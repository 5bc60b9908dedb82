"""The words for how things lie to each other and on the picture."""

from __future__ import annotations

from enum import StrEnum


class Predicate(StrEnum):
    """How one object lies to another, or, for those of `Predicate.is_place`, where it lies on the picture."""

    LEFT_OF = "left of"
    RIGHT_OF = "right of"
    ABOVE = "above"
    BELOW = "below"
    ON = "on"
    UNDER = "under"
    NEXT_TO = "next to"
    IN_FRONT_OF = "in front of"
    BEHIND = "behind"
    LARGER_THAN = "larger than"
    SMALLER_THAN = "smaller than"
    IN = "in"
    HELD_BY = "held by"
    WORN_BY = "worn by"
    LEFT = "on the left"
    RIGHT = "on the right"
    TOP = "at the top"
    BOTTOM = "at the bottom"
    CENTRE = "in the centre"

    @property
    def is_place(self) -> bool:
        """True if it names a part of the picture and not another object."""
        return self in (Predicate.LEFT, Predicate.RIGHT, Predicate.TOP, Predicate.BOTTOM, Predicate.CENTRE)

    @property
    def is_borne(self) -> bool:
        """True if the subject is inside, in the hand or on the body of the object, and goes where that goes."""
        return self in (Predicate.IN, Predicate.HELD_BY, Predicate.WORN_BY)
