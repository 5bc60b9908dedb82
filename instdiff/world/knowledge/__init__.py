"""What everyday things measure, stand on and are called, and what is found where: plain data with a few look-ups.

``objects.json`` holds one thing a line, ``scenes.json`` one kind of scene with what is usually there.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from instdiff.values import Value

FOLDER = Path(__file__).parent
LENT = ("width_m", "height_m", "on", "surface", "depth_m", "apparent")  # what a thing has of the one it is like

# What small things are put on where nothing else is said, the likeliest first.
TABLES = ("table", "dining table", "desk", "kitchen counter", "coffee table", "workbench", "sideboard", "bookshelf")

# The eleven basic colour terms, and the words that mean one of them.
BASIC_COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white", "gray")
_SHADES = {
    "gray": "grey silver charcoal",
    "purple": "violet lilac lavender",
    "pink": "magenta rose",
    "red": "crimson scarlet maroon",
    "blue": "navy azure turquoise",
    "green": "teal lime olive",
    "yellow": "golden gold",
    "brown": "tan beige",
    "white": "ivory cream",
}
COLOUR_SYNONYMS = {word: colour for colour, words in _SHADES.items() for word in words.split()}

Support = Literal["floor", "ground", "water", "table", "wall", "ceiling", "sky"]


class Thing(Value):
    """One kind of object as seen from its usual side.

    ``on`` lists what it may stand on or hang from, the usual place first. ``surface`` is the share of its height at
    which other things rest on it (1 = on its very top), None if it carries nothing. ``depth_m`` marks a flat thing that
    lies on the ground. ``apparent`` is the usual share of the picture's width for what is too far away for its real
    size to matter (sun, cloud, mountain). ``synonyms`` are other words for the same thing, ``kinds`` special names with
    their (width, height) in metres: a kitten is a cat. What is ``like`` another thing is none, and only has its places,
    and its size unless its own is known: a cherry is no strawberry.
    """

    name: str
    width_m: float = Field(gt=0)
    height_m: float = Field(gt=0)
    on: tuple[Support, ...] = Field(min_length=1)
    synonyms: tuple[str, ...] = ()
    kinds: dict[str, tuple[float, float]] = {}
    like: str = ""
    plural: str | None = None
    surface: float | None = Field(default=None, gt=0, le=1)
    depth_m: float | None = Field(default=None, gt=0)
    apparent: tuple[float, float] | None = None
    colours: tuple[str, ...] = ()


class Occurrence(Value):
    """How often, and how many of, a category are found in a scene."""

    category: str
    chance: float = Field(gt=0, le=1)
    count: tuple[int, int]


class Setting(Value):
    """A kind of scene: its words, and what is usually there. ``phrase`` continues a caption: "in a kitchen"."""

    name: str
    place: Literal["indoor", "outdoor"]
    phrase: str
    synonyms: tuple[str, ...] = ()
    objects: tuple[Occurrence, ...]


@cache
def _records() -> dict[str, dict[str, Any]]:
    records = json.loads((FOLDER / "objects.json").read_text(encoding="utf-8"))
    return {record["name"]: record for record in records}


@cache
def things() -> dict[str, Thing]:
    """Every thing that is known by itself, by its category name."""
    return {name: _thing(record) for name, record in _records().items() if "like" not in record}


@cache
def lookalikes() -> dict[str, Thing]:
    """Every thing of which only is known what other thing it is like, by its category name."""
    return {name: _thing(record) for name, record in _records().items() if "like" in record}


def thing(category: str) -> Thing | None:
    """What is known of a category, by itself or by what it is like; None for the unknown."""
    return things().get(category) or lookalikes().get(category)


def _thing(record: dict[str, Any]) -> Thing:
    """A thing with what it has of the one that it is like; a kind without a size of its own has the thing's."""
    other = _records()[record["like"]] if "like" in record else {}
    values = {**{field: other[field] for field in LENT if field in other}, **record}
    size = (values["width_m"], values["height_m"])
    kinds = {name: own or size for name, own in record.get("kinds", {}).items()}
    return Thing(**{**values, "kinds": kinds})


def with_alike(names: Iterable[str]) -> frozenset[str]:
    """Names of things, and those of the things that are like them."""
    chosen = frozenset(names)
    return chosen | {name for name, lookalike in lookalikes().items() if lookalike.like in chosen}


@cache
def settings() -> dict[str, Setting]:
    """Every known kind of scene by its name."""
    records = json.loads((FOLDER / "scenes.json").read_text(encoding="utf-8"))
    return {record["name"]: Setting(**record) for record in records}


def size_of(category: str, name: str = "") -> tuple[float, float]:
    """(width, height) in metres of a category, or of a special kind of it; a chair-sized guess for the unknown."""
    known_thing = thing(category)
    if known_thing is None:
        return (0.7, 0.8)
    return known_thing.kinds.get(name, (known_thing.width_m, known_thing.height_m))
