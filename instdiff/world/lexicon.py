"""What English nouns name: something that can be seen or not, and what it is a kind of.

The table comes from WordNet 3.1 (Princeton University; its licence is beside it). A line is a noun, its senses from the
commonest on, each a kind with how often it was met in annotated text, and what its likeliest visible sense is a kind
of, nearest first. It knows 43,000 nouns; `instdiff.world.nouns` knows the things that have a size of their own.
"""

from __future__ import annotations

import gzip
from functools import cache, lru_cache
from typing import NamedTuple

from instdiff.world import knowledge, nouns


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


SEEN = frozenset("animal artifact food person plant body object substance".split())
LEAST_SEEN = 0.3  # share of its uses in which a noun must name what can be seen
# the senses of these that come first are not what a picture shows of them
VISIBLE = _words("""
    campfire bonfire fire flame fireworks firework skyline halfpipe checkers text word letter lettering number
    square circle triangle rectangle diamond star heart hexagon pentagon octagon cone cylinder sphere cube pyramid
    prism spiral zigzag dot oval line stripe wave swirl waterfall lightning rainbow cloud smoke iceberg sign poster
    stage shadow reflection silhouette nest web footprint bubble splash puddle constellation comet meteor galaxy sun
    moon planet garland firefly ghost alien robot monster dragon unicorn zombie vampire witch wizard angel demon elf
    fairy goblin troll mermaid superhero halo tornado volcano crowd audience team band parade skyscraper barbecue
    chess game meal breakfast lunch dinner graffiti food slice ruby emerald gem jewel raindrop snowflake badge
    emblem logo label banner flag card postcard envelope case map bone pearl pendant landmark artwork masterpiece
    saying slogan message phrase quote chart scroll newspaper magazine certificate ticket tattoo mural hand fist paw
    statue pattern
""")
INVISIBLE = _words("""
    look view sight way time side place part piece kind type sort form shape style size color colour texture tone
    hue finish edge surface line feature detail touch hint display contrast symbol sense feel mood presence beauty
    addition testament reminder wonder treat source work piece art collection end start beginning finale arrival
    embrace scent aroma fragrance smell taste flavor sound noise tune melody music rhythm beat trick wish speech
    turn project weight facial shot note notes nap walk swim ride jump dance job task question answer direction
    conversation chat discussion story lesson class defense protection backdrop setting environment atmosphere fun
    comfort warmth heat cold chill breeze gust draft rest peace love joy mind body head soul spirit life death
    company age year day night morning evening afternoon week month season spring summer autumn winter weather air
    light glow shine sheen gleam glint glare sparkle shade beam ray sunbeam moonbeam sunlight moonlight daylight
    mid-air midair inside outside interior exterior center centre middle background foreground distance silence trip
    journey adventure dream thought idea memory moment past future history culture tradition nature gemstone
    perfection elegance luxury sophistication innovation creativity architecture design movement motion action group
    ignition element story drive tour hike original record limit goodbye hello finesse rest party show race match
    event festival ceremony meeting conference competition celebration bit lot number amount variety selection world
    one none something nothing anything everything
""")


class Lexeme(NamedTuple):
    """``seen`` is the share of its uses in which it names what can be seen, 0 to 1; ``kind`` that of its first sense.

    ``first_seen``: one of its two commonest senses can be seen; ``chain`` says what it is a kind of, nearest first.
    """

    kind: str
    seen: float
    first_seen: bool
    chain: tuple[str, ...]


@cache
def _lines() -> dict[str, str]:
    with gzip.open(knowledge.FOLDER / "nouns.tsv.gz", "rt", encoding="utf-8") as table:
        return dict(line.rstrip("\n").split("\t", 1) for line in table)


@lru_cache(maxsize=4096)
def lexeme(noun: str) -> Lexeme | None:
    """What is known of a noun in the singular, None where it is in no table."""
    line = _lines().get(noun)
    if line is None:
        return None
    senses, chain = line.split("\t")
    weighed: list[tuple[str, float]] = []
    for place, sense in enumerate(senses.split(",")):
        kind, _, count = sense.partition(":")
        weighed.append((kind, int(count or 0) + 1 / (1 + place)))
    total = sum(weight for _, weight in weighed)
    seen = sum(weight for kind, weight in weighed if kind in SEEN) / total
    first_seen = any(kind in SEEN for kind, _ in weighed[:2])
    return Lexeme(weighed[0][0], seen, first_seen, tuple(chain.split(">")) if chain else ())


def _thing(name: str) -> knowledge.Thing | None:
    noun = nouns.known(name)
    return noun.thing if noun else None


def can_be_seen(noun: str) -> bool:
    """True for what a picture can show as a thing, and for what no table knows; False for "elegance", "breeze"."""
    last = noun.rpartition(" ")[2]
    for name in dict.fromkeys((noun, last)):
        if _thing(name) or name in VISIBLE:
            return True
        if name in INVISIBLE:
            return False
        if entry := lexeme(name):
            return entry.seen >= LEAST_SEEN or entry.first_seen
    return True


def stand_in(noun: str) -> str | None:
    """The known thing that an unknown one is a kind of, to borrow its size: "stallion" -> "horse"."""
    for name in dict.fromkeys((noun, noun.rpartition(" ")[2])):
        if thing := _thing(name):
            return thing.name
        entry = lexeme(name)
        for kind in entry.chain[:3] if entry and entry.seen >= LEAST_SEEN else ():
            if thing := _thing(kind):
                return thing.name
    return None


def is_person(noun: str) -> bool:
    """True for somebody: a driver, a cricketer."""
    entry = lexeme(noun.rpartition(" ")[2])
    return entry is not None and entry.kind == "person" or is_kind_of(noun, frozenset(("person",)))


def is_living(noun: str) -> bool:
    """True for a person or an animal: a platypus."""
    entry = lexeme(noun.rpartition(" ")[2])
    return is_person(noun) or entry is not None and entry.kind == "animal" or is_kind_of(noun, frozenset(("animal",)))


def known_as(category: str, noun: str) -> str:
    """A category that is a known thing; for another the known thing that its noun is a kind of, if there is one."""
    return category if knowledge.thing(category) else stand_in(noun) or category


def is_kind_of(noun: str, kinds: frozenset[str]) -> bool:
    """True if the noun is one of these, or a kind of one: a plumber is a person."""
    for name in dict.fromkeys((noun, noun.rpartition(" ")[2])):
        thing = _thing(name)
        if name in kinds or (thing and thing.name in kinds):
            return True
        if entry := lexeme(name):
            return bool(kinds.intersection(entry.chain))
    return False
