"""Where to: "to the left", "onto the table", "slightly towards the dog", "40 pixels up"."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from agent.edit.amounts import LITTLE, MUCH
from agent.planners.english.words import RELATIONS
from instdiff.world import lexicon, nouns
from instdiff.world.scene import Predicate

LONGEST_RELATION = 6  # words
_SIDE = re.compile(
    r"(?:(?:over|further|more|back|down|up)\s+)*(?:(?:to|towards?|on|onto|in|into|at)\s+)?(?:the\s+)?"
    r"(?:(?P<level>upper|lower|top|bottom)[\s-]*)?(?:(?P<side>left|right|middle|cent(?:er|re))(?:wards?)?)?"
    r"(?:\s+(?:hand\s+)?(?:side|half|edge|corner|part))?(?:\s+of (?:the|this)"
    r" (?:picture|image|scene|photo|frame|canvas))?"
)
_UP = {"up": -1, "upward": -1, "upwards": -1, "higher": -1, "higher up": -1}
_UP |= {"down": 1, "downward": 1, "downwards": 1, "lower": 1, "lower down": 1}
_NEARER = re.compile(
    r"(?:(?:to|into|in|towards?) the )?(?:closer|nearer|forwards?|front|foreground|to the (?:viewer|camera)"
    r"|towards? the (?:viewer|camera)|(?:closer|nearer) to the (?:viewer|camera))"
)
_FARTHER = re.compile(
    r"(?:(?:to|into|in|towards?) the )?(?:backwards?|back|away|farther(?: away)?|further(?: away)?|background|behind)"
)
_TOWARDS = re.compile(r"(?:towards?|in the direction of|(?:closer|nearer) to|nearer) (?P<other>.+)")
_AWAY = re.compile(r"(?:(?:farther|further) )?away from (?P<other>.+)|(?:farther|further) from (?P<far>.+)")
_OTHER_SIDE = re.compile(r"(?:on|to|at) the (?:other|opposite|far) side of (?P<other>.+)")
_BETWEEN = re.compile(r"(?:in )?between (?P<first>.+) and (?P<second>.+)")
_AMOUNT = re.compile(
    r"(?:\bby )?(?P<number>\d+(?:\.\d+)?) ?(?P<unit>px|pixels?|%|percent)"
    r"(?: of (?:the|its) (?:picture|image|canvas|frame)(?:'s (?:width|height))?)?(?!\w)"
)
_TO_THING = re.compile(
    r"(?<!next )(?<!near )(?<!close )(?<!closer )(?<!nearer )(?<!adjacent )\bto (?=(?P<thing>(?:the|a|an) "
    r"(?!(?:far |very |other )?(?:left|right|top|bottom|middle|cent|upper|lower|front|back|fore|side|viewer)).+))"
)


class Direction(NamedTuple):
    """Where a thing is moved.

    ``sort`` is "side", "up" (``step`` is then -1, or 1 for down), "nearer", "farther", "towards", "away", "between",
    "other side" or "relation"; ``others`` are the other things, in words. ``amount`` is in ``unit``, "px" or "%", and 0
    where the words say none.
    """

    sort: str
    others: tuple[str, ...] = ()
    predicate: Predicate | None = None
    side: str = ""
    level: str = ""
    step: int = 0
    little: bool = False
    much: bool = False
    amount: float = 0.0
    unit: str = ""


def direction_of(where: str) -> Direction | None:
    """What words say of where to, None if they say nothing of it."""
    amount = _AMOUNT.search(where)
    rest = _AMOUNT.sub(" ", where) if amount else where
    plain = " ".join(MUCH.sub(" ", LITTLE.sub(" ", rest)).split())
    direction = _plain_direction(re.sub(r"\bon to\b", "onto", plain))
    if direction is None:
        return None
    if not amount:
        return direction._replace(little=bool(LITTLE.search(rest)), much=bool(MUCH.search(rest)))
    is_middle = direction.level or direction.side[:3] in ("mid", "cen")
    if direction.sort not in ("side", "up", "towards", "away") or is_middle:
        return None
    unit = "px" if amount["unit"].startswith("p") and amount["unit"] != "percent" else "%"
    return direction._replace(amount=float(amount["number"]), unit=unit)


def is_place(where: str, is_there: Callable[[str], bool]) -> bool:
    """True if words say where to, and the things that they name are there."""
    direction = direction_of(where)
    if direction is None:
        return all(map(direction_of, steps)) if len(steps := steps_of(where)) > 1 else False
    return all(is_there(re.sub(r"^(?:a|an) ", "the ", other)) for other in direction.others)


def steps_of(where: str) -> list[str]:
    """ "up and to the left" in two."""
    return [part for part in re.split(r"\s*(?:,|\band\b)+\s*", where) if part]


def _plain_direction(where: str) -> Direction | None:
    if between := _BETWEEN.fullmatch(where):
        return Direction("between", between.groups())
    if where in _UP:
        return Direction("up", step=_UP[where])
    for sort, pattern in (("nearer", _NEARER), ("farther", _FARTHER)):
        if pattern.fullmatch(where):
            return Direction(sort)
    side = _SIDE.fullmatch(where)
    if side and (side["side"] or side["level"]):
        return Direction("side", side=side["side"] or "", level=side["level"] or "")
    for sort, pattern in (("towards", _TOWARDS), ("away", _AWAY), ("other side", _OTHER_SIDE)):
        if named := pattern.fullmatch(where):
            return Direction(sort, (next(filter(None, named.groups())),))
    words = where.split()
    for end in range(min(LONGEST_RELATION, len(words) - 1), 0, -1):
        predicate = RELATIONS.get(" ".join(words[:end]))
        if predicate and words[end] not in ("and", ","):  # "up and to the left"
            return Direction("relation", (" ".join(words[end:]),), predicate)
    return None


def on_thing(where: str) -> str:
    """ "to the table" is onto it, "to the dog" is next to it."""
    thing = _TO_THING.search(where)
    if not thing:
        return where
    noun = nouns.resolve(thing["thing"])
    return _TO_THING.sub("next to " if noun and lexicon.is_living(noun.singular) else "on ", where)
