"""Worked examples for chat models, and which of them are nearest to a prompt."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from functools import cache
from typing import NamedTuple

import prompts
from instdiff import knowledge

FILE = "scene_examples.jsonl"
FILLERS = set("a an and are as at by for from has in is it its of on or that the their there to which while with".split())


class Example(NamedTuple):
    """A description and the scene that a good planner makes of it, in the words of the answer schema."""

    prompt: str
    scene: dict


@cache
def load() -> tuple[Example, ...]:
    """All examples, in the order of the file."""
    return tuple(Example(**json.loads(line)) for line in prompts.read(FILE).splitlines())


def nearest(prompt: str, count: int = 3) -> list[Example]:
    """The examples that share the most telling words with the prompt, the nearest last, next to the question.

    Similarity is the cosine of word counts weighted by how rare each word is among the examples; where nothing is
    shared, the first examples of the file are taken.
    """
    wanted = _weighted(_words(prompt))
    ranked = sorted(enumerate(load()), key=lambda pair: (-_cosine(wanted, _weighted(_words(pair[1].prompt))), pair[0]))
    return [example for _, example in ranked[:count]][::-1]


@cache
def _words(text: str) -> Counter[str]:
    """The telling words of a text: in the singular, by the names that `instdiff.knowledge` has for them."""
    words = Counter()
    for word in re.findall(r"[^\W\d_]+", text.lower()):
        noun = knowledge.nouns().get(word)
        if word not in FILLERS:
            words[noun.meaning.name if noun else knowledge.singular_of(word)] += 1
    return words


@cache
def _rarity() -> dict[str, float]:
    seen = Counter(word for example in load() for word in _words(example.prompt))
    return {word: math.log(1 + len(load()) / count) for word, count in seen.items()}


def _weighted(words: Counter[str]) -> dict[str, float]:
    return {word: count * _rarity().get(word, 1.0) for word, count in words.items()}


def _cosine(a: dict[str, float], b: dict[str, float]) -> float:
    length = math.hypot(*a.values()) * math.hypot(*b.values())
    return sum(weight * b.get(word, 0.0) for word, weight in a.items()) / length if length else 0.0
