"""Captions of the training scenes, in as many wordings as the planners use."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from instdiff.train.backgrounds import Background

NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
IRREGULAR = {"sheep": "sheep", "fish": "fish", "person": "people", "bookshelf": "bookshelves", "butterfly": "butterflies"}


def article(words: str) -> str:
    """ "an orange cat", "a red car"."""
    return f"{'an' if words[0] in 'aeio' or words.startswith('umb') else 'a'} {words}"


def plural(category: str) -> str:
    """The plural of a category of the catalogue."""
    if category in IRREGULAR:
        return IRREGULAR[category]
    return category + ("es" if category.endswith(("s", "ch", "x")) else "s")


def instance_caption(category: str, colour: str | None, height: float, rng: np.random.Generator) -> str:
    """One thing in words; its colour is always said where it has been chosen. ``height``: share of the picture."""
    name = f"{colour} {category}" if colour else category
    size_word = "large" if height > 0.6 else "small" if height < 0.2 else ""
    if size_word and rng.random() < 0.25:
        name = f"{size_word} {name}"
    form = rng.random()
    if form < 0.5:
        return article(name)
    if form < 0.75:
        return name
    return f"the {name}" if form < 0.85 else f"a photo of {article(name)}" if form < 0.92 else f"one {name}"


def scene_caption(things: Sequence[tuple[str, str | None]], background: Background | None, rng: np.random.Generator) -> str:
    """The whole picture in words. ``things``: (category, colour) of each instance; no background means a plain one."""
    place = background.words[rng.integers(len(background.words))] if background else ""
    form = rng.random()
    if place and (form < 0.15 or not things):
        return str(rng.choice([place, _with_article(place), f"a photo of {_with_article(place)}", f"{_with_article(place)} scene"]))
    if not things or form < 0.05:
        return str(rng.choice(["a plain background", "a simple picture", "a few things", "a picture"]))
    listed = _listed(things, rng)
    if not place:
        lead = str(rng.choice(["", "", "a photo of ", "a picture of ", "an image of "]))
        return lead + listed + str(rng.choice(["", "", " on a plain background"]))
    if form < 0.45:
        return f"{_with_article(place)} with {listed}"
    lead = str(rng.choice(["", "", "", "a photo of ", "a picture of "]))
    return f"{lead}{listed} {background.preposition} {_with_article(place)}"


def _with_article(place: str) -> str:
    """Night, snow, water and woods go without; the sea and the desert are known."""
    if place in ("night", "snow", "water", "sand dunes", "woods"):
        return place
    return f"the {place}" if place in ("sea", "ocean", "desert", "countryside", "city") else article(place)


def _listed(things: Sequence[tuple[str, str | None]], rng: np.random.Generator) -> str:
    """ "two red cars, a dog and a house": all things, or (1 in 4) some of them; sometimes without colours."""
    counts = Counter(things if rng.random() < 0.8 else [(category, None) for category, _ in things])
    groups = [(colour, category, count) for (category, colour), count in counts.items()]
    groups = [groups[i] for i in rng.permutation(len(groups))]
    if rng.random() < 0.25:
        groups = groups[: rng.integers(1, len(groups) + 1)]
    parts = []
    for colour, category, count in groups:
        words = (f"{colour} " if colour else "") + (category if count == 1 else plural(category))
        parts.append(article(words) if count == 1 else f"{NUMBERS[min(count, 10)]} {words}")
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
