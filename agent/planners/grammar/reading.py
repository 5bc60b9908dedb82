"""What the grammar makes of a prompt."""

from __future__ import annotations

from dataclasses import dataclass, field

from instdiff.scene import Predicate as P


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
    relations: list[tuple[int, P, int]] = field(default_factory=list)
    places: list[tuple[int, P]] = field(default_factory=list)
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
