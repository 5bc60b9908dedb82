"""Which instances bear one of the names that a reader accepts, by the words of their captions and categories."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from agent.benchmarks.plan_checks import words_of
from instdiff.layout import Instance
from instdiff.world import nouns

# after these a caption speaks of something else, or of what its thing does
_AFTER = (
    "in on of with under wearing holding behind near at by beside above below that which who over inside from to for"
    " into next made filled covered sitting standing lying walking running looking painted"
)
_LINKS = f"{'|'.join(_AFTER.split())}|shaped like"
PHRASE_END = re.compile(rf",|\b(?:and|{_LINKS})\b")
JOINED_END = re.compile(rf"\b(?:{_LINKS})\b")  # "a blue, green and white vase" is one phrase
DOING = re.compile(r"(?<=\w) \w+ing (?=(?:a|an|the|his|her|its|their)\b)")
MEASURE = re.compile(
    r"(?:an?|the|one|two|three)?\s*"
    r"(?:pair|couple|bunch|group|head|slice|piece|set|bowlful|herd|flock|crowd|stack|pile|row)s? of "
)
PARTICIPLE = re.compile(r".*(?:ing|ed)")


def singular_words(text: str) -> list[str]:
    """The words of a text in lower case, each in the singular: "Two red taxis" -> two red taxi."""
    return [nouns.singular_of(word) for word in words_of(text)]


def heads_of(caption: str) -> list[list[str]]:
    """The phrases that a caption may name, as words in the singular; each ends in what is named.

    Ended before and after "and" and commas, with and without a measure ("a pair of"), with and without a participle at
    the end ("a dog sleeping"). The first is the shortest reading of the caption.
    """
    text = caption.lower()
    phrases = [DOING.split(phrase)[0] for phrase in (text.strip(), MEASURE.sub("", text.strip(), count=1))]
    heads = [
        singular_words(end.split(phrase)[0]) or singular_words(phrase)
        for phrase in phrases
        for end in (PHRASE_END, JOINED_END)
    ]
    return heads + [head[:-1] for head in heads if len(head) > 2 and PARTICIPLE.fullmatch(head[-1])]


def name_index(instance: Instance, names: Sequence[str]) -> int | None:
    """Which of the names an instance bears first, None for none; names are sorted from the nearest to hypernyms."""
    phrases = [*heads_of(instance.caption), singular_words(instance.category)]
    for index, name in enumerate(names):
        words = singular_words(name)
        if words and any(phrase[-len(words) :] == words for phrase in phrases):
            return index
    return None


def bears(instance: Instance, names: Sequence[str]) -> bool:
    """True if the instance bears one of the names."""
    return name_index(instance, names) is not None


def says(instance: Instance, attributes: Iterable[Sequence[str]]) -> bool:
    """True if the caption has one word of every choice; "wood" is also in "wooden"."""
    caption = " ".join(singular_words(instance.caption))
    return all(any(re.search(rf"\b{re.escape(_joined(word))}", caption) for word in choice) for choice in attributes)


def _joined(text: str) -> str:
    return " ".join(singular_words(text))


def words_before_head(instance: Instance) -> set[str]:
    """What the caption says of its thing before it names it."""
    return set(heads_of(instance.caption)[0][:-1])
