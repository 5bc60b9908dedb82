"""Which instances of a layout a name means: whole words, singular or plural, synonyms of `instdiff.knowledge`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from instdiff import knowledge
from instdiff.layout import Instance

# After these words a caption speaks of something else: "a table with a lamp".
OTHERS = re.compile(r"\b(with|on|in|at|under|behind|beside|next|near|above|below|wearing|holding|from|made)\b|[,;(]")
IRREGULAR = {"men": "man", "women": "woman", "children": "child", "mice": "mouse", "geese": "goose", "feet": "foot", "teeth": "tooth",
             "knives": "knife", "leaves": "leaf", "wolves": "wolf", "shelves": "shelf", "loaves": "loaf"}  # fmt: skip

# What these are called after they are not.
NO_KINDS = {"teddy bear", "hot dog", "rubber duck", "toy car", "toy train", "rocking horse", "guinea pig", "sea horse", "garden gnome"}


def words_of(text: str) -> list[str]:
    """The words of a text in lower case, for comparison word by word; hyphens separate, and grey is gray."""
    return ["gray" if word == "grey" else word for word in re.findall(r"[a-z0-9']+", text.lower())]


def found(name: str, instances: Sequence[Instance]) -> list[Instance]:
    """The instances that a name means: "cat", "cats", "black cat", "sofa" for a couch.

    A special name ("kitten", "woman") means only instances that carry it; a synonym ("sofa") means every instance of
    its thing, unless some carry the very word.
    """
    attributes, noun = _split(name)
    thing = _thing(noun)
    same = [instance for instance in instances if _means(noun, thing, instance)]
    same = same or [instance for instance in instances if instance.category not in NO_KINDS and _ends_with(instance.category, noun)]
    exact = [instance for instance in same if _carries(noun, instance)]
    if thing is None or noun in thing.kinds or (exact and noun != thing.name):
        same = exact
    return [instance for instance in same if attributes_hold(" ".join(attributes), instance)]


def attributes_hold(attribute: str, instance: Instance) -> bool:
    """True if all words of the attribute stand in the instance's caption or category."""
    return set(words_of(attribute)) <= set(words_of(f"{instance.caption} {instance.category}"))


def _split(name: str) -> tuple[list[str], str]:
    """A name into adjectives and noun; the noun is the longest known phrase at its end, in the singular."""
    words, table = name.lower().split(), knowledge.nouns()
    for start in range(len(words)):
        phrase = " ".join(words[start:])
        if phrase in table:
            return words[:start], table[phrase].singular
    return words[:-1], _singular(words[-1])


def _singular(word: str) -> str:
    return IRREGULAR.get(word) or knowledge.singular_of(word)


def _thing(noun: str) -> knowledge.Thing | None:
    entry = knowledge.nouns().get(noun)
    return entry.meaning if entry and isinstance(entry.meaning, knowledge.Thing) else None


def _means(noun: str, thing: knowledge.Thing | None, instance: Instance) -> bool:
    """True if the instance is this thing; where the knowledge does not know both, if it carries the noun."""
    if not instance.category.strip():
        return _carries(noun, instance)
    own = _thing(_split(instance.category)[1])
    if own and thing:
        return own is thing
    return _carries(noun, instance) if own else _ends_with(instance.category, noun)


def _carries(noun: str, instance: Instance) -> bool:
    """True if the noun stands in the instance's category, or in its caption before that speaks of something else."""
    wanted = _singulars(noun)
    for text in (instance.category, OTHERS.split(instance.caption, maxsplit=1)[0]):
        words = _singulars(text)
        if any(words[i : i + len(wanted)] == wanted for i in range(len(words))):
            return True
    return False


def _ends_with(category: str, noun: str) -> bool:
    """True for "stump" and a "tree stump", which is no tree."""
    wanted = _singulars(noun)
    return _singulars(category)[-len(wanted) :] == wanted


def _singulars(text: str) -> list[str]:
    return [_singular(word) for word in words_of(text)]
