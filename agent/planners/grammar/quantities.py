"""Numbers in words and digits, and the words that hedge them: "no fewer than three", "two or three", "half a dozen"."""

from __future__ import annotations

import re

from agent.planners.grammar import vocabulary as v
from agent.planners.grammar.words import Text

MAX_COUNT = 1000
DIGITS = re.compile(r"([0-9]{1,6})x?(?:[-–]([0-9]{1,6}))?")


def hedge_at(text: Text, at: int) -> tuple[int, int]:
    """Skip "at least", "no more than"; gives what they add to the number."""
    end = text.phrase(at, v.HEDGES, 3)
    if end and (end - at > 1 or text.word(at) in ("exactly", "only", "just", "precisely") or number_at(text, end, "")[1] is not None):
        return end, v.HEDGES[text.said(at, end)]
    return at, 0


def number_at(text: Text, at: int, determiner: str) -> tuple[int, int | None]:
    """The end of the number that starts here and its value, None where there is none. "Two or three" is three."""
    if end := text.phrase(at, v.NUMBERS, 4):
        count = v.NUMBERS[text.said(at, end)]
    elif match := DIGITS.fullmatch(text.word(at)):
        end, count = at + 1, int(match[2] or match[1])
        end += text.word(end) in ("x", "×")
    else:
        return at, None
    if determiner == "a" and text.said(at, end) in ("few", "lone", "single"):
        count = 3 if text.word(at) == "few" else 1
    if text.word(end) in ("or", "to", "-", "–") and (second := number_at(text, end + 1, ""))[1] is not None:
        return second
    if text.word(end) == "of" and text.word(end + 1) not in ("them", "which", "whom", *v.DEFINITE, *v.OWN):
        end += 1
    return end, min(count, MAX_COUNT)
