"""What everyday things measure, stand on and are called, and what is found where: plain data with a few look-ups.

``objects.json`` holds one thing a line, ``scenes.json`` one kind of scene with what is usually there.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import Field

from instdiff.values import Value

FOLDER = Path(__file__).parent

IRREGULAR = dict(
    pair.split(":")
    for pair in (
        "human:humans woman:women man:men child:children person:people mouse:mice goose:geese ox:oxen calf:calves"
        " shelf:shelves wolf:wolves leaf:leaves loaf:loaves elf:elves thief:thieves scarf:scarves knife:knives"
        " wife:wives tooth:teeth foot:feet cactus:cacti dwarf:dwarves tomato:tomatoes potato:potatoes hero:heroes"
        " superhero:superheroes mango:mangoes volcano:volcanoes mosquito:mosquitoes buffalo:buffaloes sheep:sheep"
        " fish:fish deer:deer moose:moose bison:bison salmon:salmon trout:trout squid:squid shrimp:shrimp"
        " reindeer:reindeer jellyfish:jellyfish starfish:starfish goldfish:goldfish aircraft:aircraft"
    ).split()
)
COMPOUNDING = ("man", "shelf", "person")  # also at the end of longer words: policeman, bookshelf

# What small things are put on where nothing else is said, the likeliest first.
TABLES = ("table", "dining table", "desk", "kitchen counter", "coffee table", "workbench", "sideboard", "bookshelf")

Support = Literal["floor", "ground", "water", "table", "wall", "ceiling", "sky"]


class Thing(Value):
    """One kind of object as seen from its usual side.

    ``on`` lists what it may stand on or hang from, the usual place first. ``surface`` is the share of its height at
    which other things rest on it (1 = on its very top), None if it carries nothing. ``depth_m`` marks a flat thing
    that lies on the ground. ``apparent`` is the usual share of the picture's width for what is too far away for its
    real size to matter (sun, cloud, mountain). ``kinds`` are special names with a (width, height) in metres of their
    own.
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


class Noun(NamedTuple):
    """What a noun means: the thing or setting, the noun in the singular, and if the noun was a plural."""

    meaning: Thing | Setting
    singular: str
    plural: bool


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


def plural_of(noun: str) -> str:
    """The plural, with the common irregular ones: ``child`` -> ``children``, ``baby`` -> ``babies``."""
    head, space, last = noun.rpartition(" ")
    for ending, plural in IRREGULAR.items():
        if last == ending or (ending in COMPOUNDING and last.endswith(ending)):
            return head + space + last[: -len(ending)] + plural
    return regular_plural(noun)


def regular_plural(noun: str) -> str:
    """The plural by rule alone: what some write for irregular nouns too, such as "cactuses"."""
    if noun.endswith("y") and noun[-2:-1] not in tuple("aeiou"):
        return noun[:-1] + "ies"
    return noun + ("es" if noun.endswith(("s", "x", "ch", "sh", "z")) else "s")


def singular_of(noun: str) -> str:
    """The singular of an unknown plural noun, by its ending; what is no plural comes back as it is."""
    head, space, last = noun.rpartition(" ")
    for singular, plural in IRREGULAR.items():
        if last == plural or (singular in COMPOUNDING and last.endswith(plural)):
            return head + space + last[: -len(plural)] + singular
    if noun.endswith("ies") and len(noun) > 4:
        return noun[:-3] + "y"
    if noun.endswith(("sses", "xes", "ches", "shes", "zes")):
        return noun[:-2]
    return noun[:-1] if noun.endswith("s") and not noun.endswith(("ss", "us", "is")) else noun


@cache
def nouns() -> dict[str, Noun]:
    """Every word or phrase that names a thing or a setting, singular and plural, in lower case."""
    table: dict[str, Noun] = {}
    for thing in things().values():
        for name in (thing.name, *thing.synonyms, *thing.kinds):
            plural = thing.plural if name == thing.name and thing.plural else plural_of(name)
            table.setdefault(name, Noun(thing, name, False))
            for form in {plural, regular_plural(name)} - {name}:
                table.setdefault(form, Noun(thing, name, True))
    for setting in settings().values():
        for name in (setting.name, *setting.synonyms):
            table.setdefault(name, Noun(setting, name, False))
    table |= {word: Noun(things()["person"], "person", True) for word in ("people", "persons", "folk", "humans")}
    table |= {"cattle": Noun(things()["cow"], "cow", True), "bunnies": Noun(things()["rabbit"], "bunny", True)}
    return table


def size_of(category: str, name: str = "") -> tuple[float, float]:
    """(width, height) in metres of a category, or of a special kind of it; a chair-sized guess for the unknown."""
    thing = things().get(category)
    if thing is None:
        return (0.7, 0.8)
    return thing.kinds.get(name, (thing.width_m, thing.height_m))
