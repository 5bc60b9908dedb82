"""What everyday things measure, stand on and are called, and what is found where: plain data with a few look-ups.

``objects.json`` holds one thing a line, ``scenes.json`` one kind of scene with what is usually there.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import Field

from instdiff.values import Value

FOLDER = Path(__file__).parent

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
    size to matter (sun, cloud, mountain). ``kinds`` are special names with their own (width, height) in metres.
    """

    name: str
    width_m: float = Field(gt=0)
    height_m: float = Field(gt=0)
    on: tuple[Support, ...] = Field(min_length=1)
    synonyms: tuple[str, ...] = ()
    kinds: dict[str, tuple[float, float]] = {}
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
def things() -> dict[str, Thing]:
    """Every known thing by its category name."""
    records = json.loads((FOLDER / "objects.json").read_text(encoding="utf-8"))
    return {record["name"]: Thing(**record) for record in records}


@cache
def settings() -> dict[str, Setting]:
    """Every known kind of scene by its name."""
    records = json.loads((FOLDER / "scenes.json").read_text(encoding="utf-8"))
    return {record["name"]: Setting(**record) for record in records}


def size_of(category: str, name: str = "") -> tuple[float, float]:
    """(width, height) in metres of a category, or of a special kind of it; a chair-sized guess for the unknown."""
    known_thing = things().get(category)
    if known_thing is None:
        return (0.7, 0.8)
    return known_thing.kinds.get(name, (known_thing.width_m, known_thing.height_m))
