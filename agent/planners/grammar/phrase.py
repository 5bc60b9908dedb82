"""What a noun phrase says."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


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
