"""Sizes in metres that a model gives, held against what is known of things."""

from __future__ import annotations

import math
import re

from instdiff import knowledge

MOST = 4.0  # a known thing is believed to be up to so many times larger or smaller than usual
RANGE_M = (0.01, 200.0)  # what is believed of a thing that is not known, or whose size the words set
LARGEST_M = 1000.0  # what a scene has room for
NEAR = 4  # words between a thing and a word about its size
UNUSUAL = set(
    "giant gigantic huge enormous colossal massive monumental towering oversized immense mammoth jumbo "
    "tiny miniature mini toy microscopic minuscule dwarf thumb-sized palm-sized pocket-sized larger bigger smaller taller size".split()
)
UNIT = re.compile(r"(mm|cm|km|m|ft|feet|foot|inch|inches|met(er|re)s?|(centi|milli|kilo)met(er|re)s?|stor(y|ey|eys|ies))")


def named(category: str) -> tuple[str, tuple[float, float] | None]:
    """The name that `instdiff.knowledge` has for a category, and its (width, height) in metres; unknown ones keep their name."""
    noun = knowledge.nouns().get(category.lower())
    if noun is None or not isinstance(noun.meaning, knowledge.Thing):
        return category, None
    return noun.meaning.name, knowledge.size_of(noun.meaning.name, noun.singular)


def believed(
    category: str, width_m: float | None, height_m: float | None, usual: tuple[float, float] | None, prompt: str
) -> tuple[tuple[float, float], str]:
    """The (width, height) in metres to plan with, and a note, empty if the model's own or the usual size is taken.

    Args:
        category: in the model's words, which may be those of the prompt.
        width_m, height_m: as the model gives them; None where it does not. One alone is completed in proportion.
        usual: the known size, None for what is not known.
        prompt: if it speaks of an unusual size near the thing, the model is believed within `RANGE_M`.
    """
    default = usual or knowledge.size_of(category)
    given = [value for value in (width_m, height_m) if value is not None]
    if not given:
        return default, "" if usual else f"The size of {category!r} is not known; {_metres(default)} is taken."
    wide, high = default
    scale = given[0] / (high if width_m is None else wide)
    size = (wide * scale if width_m is None else width_m, high * scale if height_m is None else height_m)
    near = usual is not None and _within(size, (0, LARGEST_M)) and all(1 / MOST <= a / b <= MOST for a, b in zip(size, usual, strict=True))
    if near or ((usual is None or asks_for_size(prompt, category)) and _within(size, RANGE_M)):
        return (round(size[0], 3), round(size[1], 3)), ""
    return default, f"The model makes {category!r} {_metres(size)}, which is not believed; {_metres(default)} is taken."


def asks_for_size(prompt: str, category: str) -> bool:
    """True if a word or a measure near the thing says that it is no thing of the usual size."""
    words = re.findall(r"\d+(?:[.,]\d+)?|[^\W\d_]+(?:-[^\W\d_]+)*", prompt.lower())
    noun = knowledge.nouns().get(category.lower())
    names = {category.lower(), *((noun.meaning.name, *noun.meaning.synonyms) if noun else ())}
    last = {form.split()[-1] for name in names if name for form in (name, knowledge.plural_of(name))}
    for place in (i for i, word in enumerate(words) if word in last):
        around = words[max(place - NEAR, 0) : place + NEAR + 1]
        measured = any(a[0].isdigit() and UNIT.fullmatch(b) for a, b in zip(around, around[1:], strict=False))
        if measured or UNUSUAL.intersection(around):
            return True
    return False


def _within(size: tuple[float, float], bounds: tuple[float, float]) -> bool:
    return all(math.isfinite(value) and bounds[0] <= value <= bounds[1] for value in size)


def _metres(size: tuple[float, float]) -> str:
    return f"{size[0]:.3g} x {size[1]:.3g} m"
