"""Which thing a phrase means: its head, singular, plural, number, class, article and colour.

"two red sofas by the window" names a couch, "a woman in a red dress" a woman, "a flock of geese" geese.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import NamedTuple

from instdiff.world.knowledge import (
    BASIC_COLOURS,
    COLOUR_SYNONYMS,
    Setting,
    Thing,
    lookalikes,
    settings,
    thing,
    things,
)


def _words(*lines: str) -> frozenset[str]:
    return frozenset(" ".join(lines).split())


# singular:plural, and a second plural that is read but not written
_FORMS = """
    human:humans woman:women man:men child:children person:people:persons mouse:mice goose:geese ox:oxen
    calf:calves shelf:shelves wolf:wolves leaf:leaves loaf:loaves elf:elves thief:thieves scarf:scarves
    knife:knives half:halves wife:wives tooth:teeth foot:feet cactus:cacti fungus:fungi dwarf:dwarves
    tomato:tomatoes potato:potatoes hero:heroes superhero:superheroes mango:mangoes volcano:volcanoes
    mosquito:mosquitoes buffalo:buffaloes octopus:octopuses:octopi hippopotamus:hippopotamuses:hippopotami
    bus:buses gas:gases lens:lenses axe:axes quiz:quizzes canvas:canvases christmas:christmases cookie:cookies
    zombie:zombies movie:movies brownie:brownies smoothie:smoothies selfie:selfies hoodie:hoodies genie:genies
    ottoman:ottomans shaman:shamans specimen:specimens ramen:ramen sheep:sheep fish:fish deer:deer moose:moose
    bison:bison salmon:salmon trout:trout squid:squid shrimp:shrimp reindeer:reindeer jellyfish:jellyfish
    starfish:starfish goldfish:goldfish aircraft:aircraft
"""
IRREGULAR = {forms[0]: tuple(forms[1:]) for forms in (entry.split(":") for entry in _FORMS.split())}
SINGULARS = {plural: singular for singular, plurals in IRREGULAR.items() for plural in plurals}
COMPOUNDING = ("man", "shelf", "person")  # also at the end of longer words: policeman, bookshelf
# people that the knowledge does not list
PEOPLE = _words(
    "parent uncle aunt programmer sculptor painter skater officer biker husband wife bishop judge maid butler",
    "guard sheriff thief robber spy poet politician president mayor secretary explorer villager hostess skydiver",
    "jockey lumberjack blacksmith potter weaver",
)

INDEFINITE = _words("a an another")
DEFINITE = _words("the this these those")
OWN = _words("his her its their my our your")
ARTICLES = INDEFINITE | DEFINITE | OWN | {"each", "every"}
_ALL = ARTICLES | {"any", "all", "both"}

UNITS = {word: n for n, word in enumerate("one two three four five six seven eight nine".split(), 1)}
_TEENS = "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()
_TENS = {word: 10 * n for n, word in enumerate("twenty thirty forty fifty sixty seventy eighty ninety".split(), 2)}
NUMBERS = {"zero": 0} | UNITS | {word: n for n, word in enumerate(_TEENS, 10)} | _TENS
NUMBERS |= {f"{ten}{gap}{unit}": n + m for gap in " -" for ten, n in _TENS.items() for unit, m in UNITS.items()}
NUMBERS |= {"half a dozen": 6, "half dozen": 6, "a half dozen": 6, "a dozen": 12, "dozen": 12, "two dozen": 24}
NUMBERS |= {"a single": 1, "single": 1, "a lone": 1, "a solitary": 1, "lone": 1, "solitary": 1, "twin": 2}
NUMBERS |= {"a hundred": 100, "hundred": 100, "thousand": 1000, "hundreds of": 100, "thousands of": 1000}
NUMBERS |= {"dozens of": 24, "tens of": 20, "scores of": 20, "countless": 20, "some": 3, "a few": 3, "few": 3}
NUMBERS |= {"several": 4, "multiple": 4, "various": 4, "a number of": 4, "a handful of": 4, "a variety of": 4}
NUMBERS |= {"an assortment of": 4, "assorted": 4, "different": 3, "many": 6, "lots of": 6, "a lot of": 6}
NUMBERS |= {"plenty of": 6, "numerous": 6, "loads of": 6}
VAGUE = {word for word in NUMBERS if word.split()[0] in _words("some several many lots various multiple few numerous")}
_NO_COUNT = _words("single lone solitary different twin assorted")  # "a single bed": these may belong to the name

# "a flock of geese" is geese: what these words of a number are made of is the thing
COLLECTIVES = {
    "pair": 2, "couple": 2, "duo": 2, "trio": 3, "quartet": 4, "quintet": 5, "group": 4, "bunch": 3, "herd": 5,
    "flock": 5, "crowd": 8, "row": 4, "line": 4, "handful": 4, "pack": 4, "school": 5, "stack": 3, "pile": 4, "set": 3,
    "family": 4, "collection": 4, "dozen": 12, "team": 5, "swarm": 6, "cluster": 4, "circle": 5, "number": 4,
    "variety": 4, "heap": 4, "array": 4, "assortment": 4, "selection": 4, "litter": 5, "fleet": 4, "band": 4,
    "series": 4, "string": 5, "pride": 4,
}  # fmt: skip
PEOPLE_COLLECTIVES = {
    "couple": 2, "family": 4, "crowd": 8, "audience": 8, "team": 5, "choir": 6, "orchestra": 8, "trio": 3, "duo": 2,
    "quartet": 4, "band": 4, "group": 4, "crowds": 8, "families": 8, "everyone": 3, "everybody": 3,
}  # fmt: skip
KINDS = _words("kind type sort breed")
PORTIONS = _words("wedge block lump slice piece bouquet chunk loaf strip scoop branch head blade bite pieces")
_OF_WHAT = COLLECTIVES.keys() | KINDS | PORTIONS

# after these a phrase speaks of something else: "a cup of tea", "a dog under a table"
LINKS = _words(
    "of with without on in at under behind beside besides by near next over above below beneath underneath from",
    "to toward towards into onto inside between against among amid around along across through atop upon within",
    "beyond opposite for as like while where that which who whose it is are was were has have sits lies runs",
    "walks plays wears holds rides looks eats sleeps jumps carries watches",
)
_BEFORE_LINKS = _words(  # such as "full of"
    "full close adjacent left right made seen worn held shown hung built driven ridden drawn tied lit"
)
_POSTURES = _words("sitting standing lying holding wearing riding carrying")
_AFTER_NOUNS = _words("asleep awake alone together outside outdoors indoors nearby upright overhead here there")
_MATERIALS = _words("glass metal stone brick paper wood leather plastic steel chocolate")  # "a glass and metal table"
_STOPS = (";", ":", "(")
_JOINTS = (",", "and", "or", "&", "plus")
_TOKEN = re.compile(r"[^\W_]+(?:['-][^\W_]+)*'?|[,;:(&]")
_PARTICIPLE = re.compile(r"[a-z]*[aeiouy][a-z]*ing|[a-z]{3,}ly")  # "running", "happily"; not "king", "fly"
_ED = re.compile(r"[a-z]{2,}[^e\W]ed")  # "covered"; not "seed", "bed"
LONGEST_NAME = 4  # words of a known noun
MAX_ASKED_WORDS = 6  # of a name that a detector is asked for; text encoders read little more


class Noun(NamedTuple):
    """What a phrase names: what is known of it, its noun in the singular, if that was a plural, the words before it."""

    meaning: Thing | Setting | None
    singular: str
    plural: bool
    adjectives: tuple[str, ...] = ()

    @property
    def thing(self) -> Thing | None:
        """The known thing, None for a setting and for the unknown."""
        return self.meaning if isinstance(self.meaning, Thing) else None

    @property
    def name(self) -> str:
        """The name that the knowledge has for it, or the noun itself for the unknown."""
        return self.meaning.name if self.meaning else self.singular


def number_word(number: int) -> str:
    """2 -> "two"; digits where there is no word."""
    return next((word for word, value in NUMBERS.items() if value == number), str(number))


def with_article(words: str) -> str:
    """ "red car" -> "a red car", "orange cat" -> "an orange cat"."""
    vowel = words[:1] in tuple("aeiou") and not words.startswith(("uni", "one", "eu", "use", "ukulele"))
    return f"{'an' if vowel or words.startswith(('hour', 'heir')) else 'a'} {words}"


def plural_of(noun: str) -> str:
    """The plural: ``child`` -> ``children``, ``baby`` -> ``babies``, ``chest of drawers`` -> ``chests of drawers``."""
    known_thing = thing(noun)
    if known_thing and known_thing.plural:
        return known_thing.plural
    counted, of, material = noun.partition(" of ")
    if of:
        return plural_of(counted) + of + material
    before, space, last = noun.rpartition(" ")
    if last in IRREGULAR:
        return before + space + IRREGULAR[last][0]
    for ending in COMPOUNDING:
        if last.endswith(ending):
            return noun[: -len(ending)] + IRREGULAR[ending][0]
    return _regular_plural(noun)


def _regular_plural(noun: str) -> str:
    """The plural by rule alone: what some write for irregular nouns too, such as "cactuses"."""
    if noun.endswith("y") and noun[-2:-1] not in tuple("aeiou"):
        return noun[:-1] + "ies"
    return noun + ("es" if noun.endswith(("s", "x", "ch", "sh", "z")) else "s")


def singular_of(noun: str) -> str:
    """The singular of a noun that may be unknown, by its ending; what is no plural comes back as it is."""
    before, space, last = noun.rpartition(" ")
    if last in SINGULARS:
        return before + space + SINGULARS[last]
    if last in IRREGULAR:
        return noun
    for singular in COMPOUNDING:
        if last.endswith(IRREGULAR[singular][0]):
            return noun[: -len(IRREGULAR[singular][0])] + singular
    if last.endswith("ies") and len(last) > 4:
        return noun[:-3] + "y"
    if last.endswith(("sses", "xes", "ches", "shes", "tzes")):
        return noun[:-2]
    return noun[:-1] if last.endswith("s") and not last.endswith(("ss", "us", "is")) else noun


@cache
def _table() -> dict[str, Noun]:
    """Every known word or phrase that names a thing or a setting, singular and plural, in lower case."""
    table: dict[str, Noun] = {}
    for known_thing in (*things().values(), *lookalikes().values()):
        for name in (known_thing.name, *known_thing.synonyms, *known_thing.kinds):
            table.setdefault(name, Noun(known_thing, name, False))
            for form in {plural_of(name), _regular_plural(name), f"{name}s"} - {name}:
                table.setdefault(form, Noun(known_thing, name, True))
    for setting in settings().values():
        for name in (setting.name, *setting.synonyms):
            table.setdefault(name, Noun(setting, name, False))
    table |= {word: Noun(things()["person"], "person", True) for word in ("people", "persons", "folk", "humans")}
    return table | {"cattle": Noun(things()["cow"], "cow", True), "bunnies": Noun(things()["rabbit"], "bunny", True)}


@lru_cache(maxsize=8192)
def known(noun: str) -> Noun | None:
    """What is known of a noun in lower case, singular or plural, with nothing before or after it: "sofas" -> couch."""
    if entry := _table().get(noun):
        return entry
    singular = singular_of(noun)
    if singular != noun and (entry := _table().get(singular)):
        return entry._replace(plural=True)
    if singular in PEOPLE:
        return Noun(things()["person"], singular, singular != noun)
    return None


@cache
def first_words() -> frozenset[str]:
    """The words that known names of several words begin with."""
    return frozenset(name.split()[0] for name in _table() if " " in name)


def phrase_words(text: str) -> list[str]:
    """The words of the thing that a phrase names, in lower case: "Two dogs, on a red mat" -> ["dogs"]."""
    words = _TOKEN.findall(text.lower().replace("’", "'").replace("_", " "))
    named: list[str] = []
    index = _after_determiners(words, 0)
    while index < len(words):
        word = words[index]
        if named and word == "of" and index + 1 < len(words) and singular_of(named[-1]) in _OF_WHAT:
            if named[-1] == "pair" and words[index + 1] == "glasses":
                return ["eyeglasses"]
            named = []
            index = _after_determiners(words, index + 1)
            continue
        if named and _ends_phrase(words, index, named):
            break
        if word not in _STOPS and (word not in _JOINTS or _is_inside_name(words, index)):
            named.append(word)
        index += 1
    return named


def _after_determiners(words: list[str], at: int) -> int:
    """Where the description begins: after articles, numbers and "some of the"."""
    start = at
    while at < len(words):
        length = next((n for n in range(min(4, len(words) - at), 0, -1) if " ".join(words[at : at + n]) in NUMBERS), 0)
        if length and words[at + length - 1] not in _NO_COUNT:
            at += length
        elif words[at] in _ALL or words[at].isdigit() or (words[at] == "of" and at > start):
            at += 1
        else:
            break
    return at


def _ends_phrase(words: list[str], index: int, named: list[str]) -> bool:
    """True if the word at the index no longer belongs to the thing that the words before it name."""
    word = words[index]
    following = words[index + 1] if index + 1 < len(words) else ""
    if word in _STOPS:
        return True
    if word in LINKS:
        return not _is_inside_name(words, index)
    if word in _JOINTS:
        begins = not following or following in ARTICLES or following in NUMBERS or following.isdigit()
        return begins or (_names_thing(named) and not _is_inside_name(words, index))
    if word in _BEFORE_LINKS and following in LINKS:
        return True
    if word in _POSTURES and (not following or following in LINKS | ARTICLES):
        return True
    after = _PARTICIPLE.fullmatch(word) or word in _AFTER_NOUNS or (_ED.fullmatch(word) and following in LINKS)
    if not after or not _names_thing(named):
        return False
    return not any(known(" ".join(words[index : index + n])) for n in range(1, LONGEST_NAME))


def _is_inside_name(words: list[str], index: int) -> bool:
    """True for the "and" of a "bow and arrow": the word stands within a name that is known."""
    starts = range(max(index - LONGEST_NAME + 1, 0), index)
    spans = [(start, end) for start in starts for end in range(index + 2, min(start + LONGEST_NAME, len(words)) + 1)]
    return any(known(" ".join(words[start:end])) for start, end in spans)


def _names_thing(words: list[str]) -> bool:
    """True if the words end in a known thing that is not the colour or material of something else."""
    if words[-1] in COLOUR_SYNONYMS or words[-1] in BASIC_COLOURS or words[-1] in _MATERIALS:
        return False
    return _known_end(words) is not None


def _known_end(words: list[str]) -> Noun | None:
    """The longest known thing at the end of the words, with the words before it."""
    for start in range(max(len(words) - LONGEST_NAME, 0), len(words)):
        noun = known(" ".join(words[start:]))
        if noun and noun.thing:
            return noun._replace(adjectives=tuple(words[:start]))
    return None


@lru_cache(maxsize=4096)
def resolve(phrase: str) -> Noun | None:
    """What a caption, category or other phrase means; None if it has no words.

    The longest known thing at the end of its noun phrase counts: a "toy car" that is known is no car. The unknown has
    its last word for a name, and a known thing right before it: "tree stump".
    """
    words = phrase_words(phrase)
    if not words:
        return None
    if noun := _known_end(words):
        return noun
    *before, last = words
    if not before and last in PEOPLE_COLLECTIVES:
        return Noun(things()["person"], "person", True)
    singular = singular_of(last)
    name = singular
    if before and _names_thing(before):
        name = f"{before.pop()} {singular}"
    return Noun(None, name, singular != last, tuple(before))


def thing_of(phrase: str) -> Thing | None:
    """The known thing that a phrase names."""
    noun = resolve(phrase)
    return noun.thing if noun else None


def category_of(phrase: str) -> str:
    """The known thing's name; for the unknown its noun with all that describes it, in the singular and lower case."""
    noun = resolve(phrase)
    if noun is None:
        return phrase.lower()
    return noun.thing.name if noun.thing else " ".join((*noun.adjectives, noun.singular))


def things_in(text: str) -> list[str]:
    """All known things that a text speaks of, the longest names first: "a hot dog on a table" -> hot dog, table."""
    words = [word for word in _TOKEN.findall(text.lower()) if word[0].isalnum()]
    names = []
    at = 0
    while at < len(words):
        length = 1
        for end in range(min(at + LONGEST_NAME, len(words)), at, -1):
            noun = known(" ".join(words[at:end]))
            if noun and noun.thing:
                names.append(noun.singular)
                length = end - at
                break
        at += length
    return list(dict.fromkeys(names))


def class_of(phrase: str, classes: Sequence[str]) -> str | None:
    """The one of these classes that a name, a synonym, a plural, a special kind or a phrase means, or None.

    "two red sofas" means the class "couch", "woman" the class "person" where there is no class "woman".
    """
    table = _by_meaning(tuple(classes))
    words = phrase_words(phrase)
    for start in range(len(words)):
        ending = " ".join(words[start:])
        noun = known(ending)
        known_thing = noun.thing if noun else None
        names = (ending, noun.singular, known_thing.name) if noun and known_thing else (ending, singular_of(ending))
        if name := next((table[name] for name in names if name in table), None):
            return name
        if known_thing:
            return None
    return None


@lru_cache(maxsize=64)
def _by_meaning(classes: tuple[str, ...]) -> dict[str, str]:
    """Each class by its own name, and by the thing that it is another word for ("television" for the class "tv")."""
    table = {" ".join(name.lower().replace("_", " ").split()): name for name in classes}
    for spaced, name in list(table.items()):
        noun = known(spaced)
        if noun and noun.thing and noun.singular not in noun.thing.kinds:  # a class of kittens does not find every cat
            table.setdefault(noun.thing.name, name)
    return table


def open_name(phrase: str) -> str | None:
    """What an open-vocabulary detector is asked for: one word for all synonyms, or the phrase; None if none is named.

    Numbers say nothing here, colours are left to the check of attributes, and a special kind ("kitten") keeps its name.
    """
    words = phrase_words(phrase)
    while len(words) > 1 and (words[0] in BASIC_COLOURS or words[0] in COLOUR_SYNONYMS):
        words = words[1:]
    asked = " ".join(words[-MAX_ASKED_WORDS:])
    if not asked:
        return None
    noun = known(asked)
    if noun is None or noun.thing is None:
        return singular_of(asked)
    return noun.singular if noun.singular in noun.thing.kinds else noun.thing.name


def special_name(category: str, caption: str) -> str | None:
    """The word of a caption that is a special kind of its category ("kitten" of a cat), None where there is none."""
    own = thing_of(category) if category else None
    noun = resolve(caption) if own else None
    return noun.singular if own and noun and noun.thing is own and noun.singular in own.kinds else None


def label_of(caption: str) -> str:
    """The class name of what a caption shows: one word for all synonyms, a special kind's own name, or its noun."""
    noun = resolve(caption)
    if noun is None:
        return caption
    return noun.singular if noun.thing and noun.singular in noun.thing.kinds else noun.name


def asked_colour(caption: str, name: str = "") -> str | None:
    """The one basic colour that a caption gives its thing ("a dark red car": "red"), or None: no colour, or several.

    Args:
        caption: "a red car with white doors".
        name: the thing's name; a colour word that is the name itself ("an orange") is no colour.
    """
    words = " ".join(phrase_words(caption)).replace("-", " ").split()
    words = [word for word in words if word not in name.lower().split()]
    colours = {
        word if word in BASIC_COLOURS else COLOUR_SYNONYMS[word]
        for word in words
        if word in BASIC_COLOURS or word in COLOUR_SYNONYMS
    }
    return colours.pop() if len(colours) == 1 else None
