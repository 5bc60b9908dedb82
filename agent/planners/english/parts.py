"""What a prompt is read into: groups of things, how they lie, and what was left to the caption."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from agent.planners.english import words as w
from instdiff.world import lexicon
from instdiff.world.predicates import Predicate


@dataclass
class Group:
    """Things of one kind that are named together: "two small white dogs". ``extra`` follows the noun in the caption.

    ``parts`` are the groups that later words split off: "two cats, one black and one white". What is said of the group
    is said of its parts too, and ``count`` is how many are left. ``pose`` is one of `instdiff.world.poses`.
    """

    noun: str
    category: str
    count: int
    adjectives: tuple[str, ...] = ()
    extra: str = ""
    is_known: bool = True
    is_vague: bool = False  # the words give no number: "birds", "some birds"
    is_plural: bool = False
    pose: str = ""
    sentence: int = 0
    parts: list[int] = field(default_factory=list)

    @property
    def words(self) -> str:
        """The thing in words, without an article: "small white dog"."""
        return " ".join((*self.adjectives, self.noun)).replace(" ,", ",")

    def add_looks(self, looks: Iterable[str]) -> None:
        """Put adjectives before those that it has, each once."""
        self.adjectives = (*(look for look in looks if look not in self.adjectives), *self.adjectives)

    def add_extra(self, words: str) -> None:
        """Let words follow it in the caption."""
        self.extra = f"{self.extra} {words}".strip()


class Dropped(NamedTuple):
    """Words that name nothing of their own in the picture, and why; the caption keeps them."""

    words: str
    reason: str


class Comparison(NamedTuple):
    """There are more (sign 1), fewer (-1) or as many (0) of the first group as of the second."""

    first: int
    sign: int
    second: int


@dataclass
class Reading:
    """What a prompt says. Relations hold indices into ``groups``; ``caption`` is the prompt without its negations.

    ``hosts`` are pairs (thing, what it has) that the words leave without a relation: "a plate with two eggs".
    ``flanks`` are pairs of groups, the first on all sides of the second. ``rows`` are groups whose things stand in a
    chain, each in this relation to the next.
    """

    groups: list[Group] = field(default_factory=list)
    relations: list[tuple[int, Predicate, int]] = field(default_factory=list)
    places: list[tuple[int, Predicate]] = field(default_factory=list)
    between: list[tuple[int, tuple[int, ...]]] = field(default_factory=list)
    hosts: list[tuple[int, int]] = field(default_factory=list)
    flanks: list[tuple[int, int]] = field(default_factory=list)
    rows: list[tuple[tuple[int, ...], Predicate]] = field(default_factory=list)
    compared: list[Comparison] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    dropped: list[Dropped] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    setting: str = ""
    setting_adjectives: tuple[str, ...] = ()
    setting_is_subject: bool = False
    asks_for_picture: bool = False  # "a photo of a scene": the words speak of the picture
    is_complete: bool = False  # "only", "nothing else": nothing may be added
    caption: str = ""

    def relate(self, subject: int, predicate: Predicate, target: int) -> None:
        """Add a relation between two groups, once."""
        if subject != target and (subject, predicate, target) not in self.relations:
            self.relations.append((subject, predicate, target))

    def left_out(self) -> list[str]:
        """A sentence for each thing that is named and left to the caption, and each that was chosen or corrected."""
        named = [f'"{dropped.words}" is left to the caption: {dropped.reason}.' for dropped in self.dropped]
        return [*named, *self.notes]

    def total(self, index: int) -> int:
        """How many things a group has, with the parts that were split off."""
        group = self.groups[index]
        return group.count + sum(self.total(part) for part in group.parts)

    def split_off(self, index: int, count: int, looks: Iterable[str], noun: str = "") -> int:
        """Make some things of a group a group of their own, with looks besides those of all; its index.

        With a noun of its own it leaves the looks of the people that it is of to the others: "the man" of a couple.
        """
        whole = self.groups[index]
        whole.count -= count
        part = replace(whole, noun=noun or whole.noun, count=count, parts=[], extra="", is_plural=count > 1)
        part.adjectives = () if noun else whole.adjectives
        part.add_looks(looks)
        self.groups.append(part)
        whole.parts.append(len(self.groups) - 1)
        return len(self.groups) - 1


def last_word(noun: str) -> str:
    """The word that says what a noun of several words is: "bowl" of "fruit bowl"."""
    return noun.rpartition(" ")[2]


def is_living(category: str) -> bool:
    """True for persons, animals, and what acts like one: a robot."""
    return category in w.LIVING or lexicon.is_living(category)
