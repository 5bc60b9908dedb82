"""What the grammar makes of a prompt."""

from __future__ import annotations

from dataclasses import dataclass, field

from instdiff.scene import Predicate as P


@dataclass
class Group:
    """Things of one kind that are named together: "two small white dogs". ``extra`` follows the noun in the caption."""

    noun: str
    category: str
    count: int
    adjectives: tuple[str, ...] = ()
    extra: str = ""
    joined: bool = False  # follows the group before it in a plain list: "a cat and a dog"
    placed: bool = False


@dataclass
class Reading:
    """What a prompt says. Relations hold indices into ``groups``; ``caption`` is the prompt without its negations."""

    groups: list[Group] = field(default_factory=list)
    relations: list[tuple[int, P, int]] = field(default_factory=list)
    places: list[tuple[int, P]] = field(default_factory=list)
    between: list[tuple[int, tuple[int, ...]]] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    setting: str = ""
    setting_is_subject: bool = False
    caption: str = ""
