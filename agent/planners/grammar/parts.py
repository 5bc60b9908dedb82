"""The pieces that a prompt is read into: noun phrases, chunks, groups of things, and the whole reading."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple, TypeVar

from instdiff.world.predicates import Predicate

T = TypeVar("T")


class Kind(Enum):
    """What a noun phrase names: a thing, a kind of scene, something that is no object of its own, or the picture."""

    THING = "thing"
    SETTING = "setting"
    SCENERY = "scenery"
    META = "meta"


@dataclass(frozen=True)
class NounPhrase:
    """One noun phrase. ``end`` is the index of the word after it.

    ``count`` is 0 where the words give no number; ``determiner`` is "a", "the", "own" (his, its), "each", "number" or
    empty; ``extra`` follows the noun in the caption; ``contents`` is what a container holds ("a bowl of apples");
    ``owner`` is the pronoun of a part that stands for its owner ("its back": "its").
    """

    end: int
    kind: Kind = Kind.THING
    noun: str = ""
    category: str = ""
    determiner: str = ""
    count: int = 0
    plural: bool = False
    adjectives: tuple[str, ...] = ()
    extra: str = ""
    contents: NounPhrase | None = None
    owner: str = ""
    is_known: bool = True


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
    """A relation. ``reverse``: it holds from object to subject; ``place``: what it says of the picture as a whole."""

    predicate: Predicate
    reverse: bool = False
    place: tuple[Predicate, ...] = ()


@dataclass(frozen=True)
class One:
    """Some of a group that is named before: how many (0: the rest), and how they are."""

    count: int
    adjectives: tuple[str, ...]
    is_new: bool = False  # "a red one" may be one more


@dataclass(frozen=True)
class Chunk:
    """One chunk and its words, ``start`` up to ``end``; ``value`` is of the type that its sort says."""

    sort: Sort
    start: int
    end: int
    value: object = None

    def value_as(self, kind: type[T]) -> T:
        """The value; raises TypeError if it is of another type."""
        if not isinstance(self.value, kind):
            raise TypeError(f"the value of {self} is no {kind.__name__}")
        return self.value


@dataclass
class Group:
    """Things of one kind that are named together: "two small white dogs". ``extra`` follows the noun in the caption.

    ``parts`` are the groups that later words split off: "two cats, one black and one white". What is said of the group
    is said of its parts too, and ``count`` is how many are left.
    """

    noun: str
    category: str
    count: int
    adjectives: tuple[str, ...] = ()
    extra: str = ""
    is_known: bool = True
    is_vague: bool = False  # the words give no number: "birds", "some birds"
    joined: str = ""  # "and" or "," where it follows the group before it in a list
    placed: bool = False
    parts: list[int] = field(default_factory=list)


@dataclass
class Reading:
    """What a prompt says. Relations hold indices into ``groups``; ``caption`` is the prompt without its negations.

    ``hosts`` are pairs (thing, what it has) that the words leave without a relation: "a plate with two eggs".
    ``flanks`` are pairs of groups, the first on both sides of the second.
    """

    groups: list[Group] = field(default_factory=list)
    relations: list[tuple[int, Predicate, int]] = field(default_factory=list)
    places: list[tuple[int, Predicate]] = field(default_factory=list)
    between: list[tuple[int, tuple[int, ...]]] = field(default_factory=list)
    hosts: list[tuple[int, int]] = field(default_factory=list)
    flanks: list[tuple[int, int]] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    setting: str = ""
    setting_adjectives: tuple[str, ...] = ()
    setting_is_subject: bool = False
    asks_for_picture: bool = False  # "a photo of a scene": the words speak of the picture
    is_complete: bool = False  # "only", "nothing else": nothing may be added
    caption: str = ""
