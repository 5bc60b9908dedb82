"""The pieces that a prompt is cut into: noun phrases, relations, places, negations, and the small words between them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from instdiff.scene import Predicate as P


class Sort(Enum):
    """What a chunk is to the sentence."""

    NOUN = "noun"  # value: NounPhrase
    PRONOUN = "pronoun"  # value: the word
    ONE = "one"  # value: One, "one black", "the other"
    EACH = "each"
    RELATION = "relation"  # value: Link
    PLACE = "place"  # value: tuple of place predicates
    BETWEEN = "between"
    FLANK = "flank"  # "on either side (of)"
    WITH = "with"
    AND = "and"
    COMMA = ","
    STOP = "."
    BE = "is"
    VERB = "verb"
    ADJECTIVES = "adjectives"  # value: tuple of words
    ROW = "from left to right"  # value: the relation of each to the next
    MUTUAL = "each other"
    NOT = "not"  # value: tuple of what is absent
    OTHER = "other"


class Link(NamedTuple):
    """A relation. ``reverse``: it holds from the object to the subject; ``place``: what it says of the picture as a whole."""

    predicate: P
    reverse: bool = False
    place: tuple[P, ...] = ()


class One(NamedTuple):
    """Some of a group that is named before: how many (0: the rest), and how they are."""

    count: int
    adjectives: tuple[str, ...]
    is_new: bool = False  # "a red one" may be one more


@dataclass(frozen=True)
class Chunk:
    """One chunk and its words, ``start`` up to ``end``."""

    sort: Sort
    start: int
    end: int
    value: object = None
