"""The words that the reader knows besides nouns, from ``words.toml``: relations, looks of things, what is no thing."""

from __future__ import annotations

import tomllib
from pathlib import Path

from instdiff.world.knowledge import with_alike
from instdiff.world.predicates import Predicate

_LISTS = tomllib.loads(Path(__file__).with_name("words.toml").read_text(encoding="utf-8"))


def _words(name: str) -> frozenset[str]:
    return _split(_LISTS[name])


def _split(text: str) -> frozenset[str]:
    return frozenset(" ".join(phrase.split()) for phrase in text.split("|")) if "|" in text else frozenset(text.split())


def _table(name: str) -> dict[str, str]:
    """{phrase: value} of the lists in a table."""
    phrases = _LISTS[name].items()
    return {" ".join(phrase.split()): value for value, text in phrases for phrase in text.split("|")}


def _predicates(name: str) -> dict[str, Predicate]:
    return {phrase: Predicate(value) for phrase, value in _table(name).items()}


COLOURS = _words("colours")
FOREIGN = _words("foreign")
LEAFY = _words("leafy")
MATERIALS = _words("materials")
SIZES = {word: float(factor) for word, factor in _table("sizes").items()}
LOOKS = _words("looks")
SHORT = _words("short")
SLIPS = _table("slips")
META = _words("meta")
FRAMED = _words("framed")
STYLE = _words("style")
ASKING = _words("asking")
SPEAKERS = _words("speakers")
PARTS = _words("parts")
MODELS = _words("models")
NATURE = _words("nature")
FLAT = _words("flat")
COUPLES = _words("couples")
INNER_PARTS = _words("inner_parts")
LEVELS = _words("levels")
ROOMS = _words("rooms")
SIDE_WORDS = _words("side_words")
DETACHED = _words("detached")
PLACED_PARTS = _words("placed_parts")
CLOTHES = _words("clothes")
SCENERY = _words("scenery")
LOCATIONS = _words("locations")
TIMES = _words("times")
EMPTY = _words("empty")
BUSY = _words("busy")
DEPTHS = _predicates("depths")
SIDES = {word: (place,) for word, place in _predicates("sides").items()}
SIDE_NOUNS = _words("side_nouns")
PICTURE_WORDS = _words("picture_words")
RELATIONS = _predicates("relations")
WEAK = _words("weak")
ON_TOP = _words("on_top")
BETWEEN = _words("between")
AROUND = _words("around")
REVERSED = _predicates("reversed")
SURROUNDED = _words("surrounded")
COMPARED = _predicates("compared")
LIKENESSES = _words("likenesses")
MADE = _words("made")
MUTUAL = _words("mutual")
IN_ROW = _words("in_row")
ROWS = _predicates("rows")
HOLD = _words("hold")
WEAR = _words("wear")
RIDE = _words("ride")
CARRY_ON = _words("carry_on")
COVER = _words("cover")
SURROUND = _words("surround")
CONTAIN = _words("contain")
PUT = _words("put")
POSTURES = _table("postures")
STANDING = _words("standing")
MALE = _words("male")
FEMALE = _words("female")
PERSONS = _words("persons")
HYPERNYMS = {name: with_alike(_split(words)) for name, words in _LISTS["hypernyms"].items()}
HYPERNYMS |= {"pet": HYPERNYMS["animal"], "traffic": HYPERNYMS["vehicle"], "wildlife": HYPERNYMS["animal"]}
BAKED = _words("baked")
EATEN = _words("eaten")
# rewriting.py
TAG_LISTS = _words("tag_lists")
NO_TAGS = _words("no_tags")
# parser.py
USUAL_VERBS = _words("usual_verbs")
COLOURED_FRUIT = _words("coloured_fruit")
# links.py
TO_PLACES = _words("to_places")
BEFORE_SIDES = _words("before_sides")
# kinds.py, mentions.py
PHYSICAL = COLOURS | MATERIALS | frozenset(SIZES) | _words("touchable")
SHAPES = _words("shapes")
SHADES = _words("shades")
PLANETS = _words("planets")
INSIDE = _words("inside")
BEFORE_NAMES = _words("before_names")
SEEN_PLACES = _words("seen_places")
ON_WALLS = _words("on_walls")
SHOWING = _words("showing")
SHOW = _words("show")
COMPONENTS = _words("components")
BEFORE_PARTS = _words("before_parts")
NO_HEADS = _words("no_heads")
ALWAYS_PLURAL = _words("always_plural")
BOUND = _words("bound")
BREAKS = _words("breaks")
EXACT_COLLECTIVES = _words("exact_collectives")
INEXACT = _words("inexact")
COUNTING_LOOKS = _words("counting_looks")
AROUND_NUMBERS = _words("around_numbers")

ADJECTIVES = COLOURS | MATERIALS | LOOKS | frozenset(SIZES)
LIVING = HYPERNYMS["animal"] | {"person", "robot", "statue"}
# relations.py, subjects.py, groups.py, referring.py, absent.py, asides.py
JOINTS = _words("joints")
LEADING = _words("leading")
DIRECTED = _words("directed")
WITH = _words("with")
LOOSE = _words("loose")
LAIN_ON = _words("lain_on")
SET_DOWN = _words("set_down")
CLIMB = _words("climb")
STATES = _words("states")
CONTAINERS = _words("containers")
ONE_PAIR = _words("one_pair")
EXACT = _words("exact")
PRONOUN_TAGS = _words("pronoun_tags")
THEY = _words("they")
HE = _words("he")
SHE = _words("she")
IT = _words("it")
THEM = _words("them")
BEFORE_LOOKS = _words("before_looks")
RESTS = _words("rests")
OF_PHRASES = _words("of_phrases")
WITHOUT = _words("without")
NOTHING = _words("nothing")
NEGATED = _words("negated")
LACK = _words("lack")
NEGATION_JOINTS = _words("negation_joints")
WORKS = _words("works")
MAKE = _words("make")
SHOOT = _words("shoot")
BECOME = _words("become")
MADE_BY = _words("made_by")
