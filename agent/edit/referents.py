"""Which things of a layout words mean: "the dog", "the left cup", "both cats", "it"."""

from __future__ import annotations

import re
from functools import lru_cache

from agent.edit.editable_plan import Sheet
from agent.edit.unread import check_read, unread_words
from agent.planners.english.parts import Group, Reading
from agent.planners.english.reader import read_prompt
from agent.planners.english.words import FEMALE, HYPERNYMS, MALE
from instdiff.errors import BadInput
from instdiff.world import lexicon, nouns
from instdiff.world.relations import slack
from instdiff.world.scene import Predicate

COUNTED = "|".join(nouns.number_word(number) for number in range(2, 11))
PRONOUNS = {"it", "them", "him", "her", "that", "this", "these", "those", "itself", "themselves"}
ALL = re.compile(r"^(?:all|both|every|each)(?: of)?(?: the| these| those)? ")
SOME_OF = re.compile(rf"^(?P<number>one|any|{COUNTED}|\d+) of (?:the|these|those|them)\b ?(?:{COUNTED}|\d+)? ?")
ORDER = {
    "left": lambda box: box.centre.x,
    "right": lambda box: -box.centre.x,
    "top": lambda box: box.centre.y,
    "bottom": lambda box: -box.centre.y,
    "large": lambda box: -box.area,
    "small": lambda box: box.area,
    "near": lambda box: -box.y1,
    "far": lambda box: box.y1,
}
_SIDE_WORDS = {"left": "left leftmost", "right": "right rightmost", "top": "upper top", "bottom": "lower bottom"}
_SIDE_WORDS |= {"large": "largest biggest larger bigger", "small": "smallest smaller"}
_SIDE_WORDS |= {"near": "nearest closest front", "far": "farthest furthest"}
SELECTORS = {word: side for side, words in _SIDE_WORDS.items() for word in words.split()}
ORDINALS = {"first": 0, "second": 1, "third": 2, "fourth": 3, "fifth": 4, "last": -1}
MAX_NAME = 250  # letters of what may be a name
MIDDLE = ("middle", "central", "centre", "center")
CHOICE = re.compile(
    rf"^(?:the |that |this |my |your )?({'|'.join((*SELECTORS, *ORDINALS, *MIDDLE))}) (?=\w)(?!and\b|or\b)"
)
_END = "|".join((*SELECTORS, "first", "last"))
CHOICE_OF_SEVERAL = re.compile(
    rf"^the (?:(?P<number>{COUNTED}|\d+) (?P<end>{_END})|(?P<end2>{_END}) (?P<number2>{COUNTED}|\d+)) (?=\w)"
)
COUPLE = re.compile(r"^a (?:couple|pair) of (?:the |these |those )?(?=\w)")
PART_OF = re.compile(r"^(?:the |both |all )?(?:[\w-]+ )*?(?P<part>[\w-]+) of (?:the|a|an|my|this|that) (?=\w)")
NO_NUMBER = re.compile(r"^(?:some|several|a few|many|most|half) ")
SORT = re.compile(
    rf"(?:(?P<all>all|both|every|each)(?: of)? )?(?:the )?(?:(?P<number>{COUNTED}|\d+) )?"
    rf"(?P<sort>{'|'.join(HYPERNYMS)})(?P<plural>s?)"
)
EVERYTHING = ("everything", "all things", "all objects", "all the things", "all the objects", "every thing")
EXCEPT = re.compile(
    r"(?P<all>.+?),? (?:except|but|apart from|other than|besides)(?: for)? (?P<left>(?:the|this|that) .+)"
)
COUNTED_FROM = re.compile(r" (?:counted )?from (?:the )?(left|right)$")
SIDES = {Predicate.LEFT: "left", Predicate.RIGHT: "right", Predicate.TOP: "top", Predicate.BOTTOM: "bottom"}


def find(sheet: Sheet, phrase: str) -> list[str]:
    """The ids that a phrase means; several for a plural.

    Raises:
        BadInput: nothing like it is there, more than one thing is and the words do not tell them apart, or a word of
            the phrase is not understood.
    """
    phrase = phrase.strip(" ,.;!?")
    if phrase in PRONOUNS:
        if not sheet.last:
            raise BadInput("edit", f'"{phrase}" stands for nothing yet; {contents(sheet)}')
        return list(sheet.last)
    if numbered := re.fullmatch(r"(?:the )?(.+?) #?(\d+)", phrase):
        numbered_id = sheet.numbers.get(int(numbered[2]))
        if numbered_id in sheet.instances and numbered_id in _of_kind(sheet, _reading(numbered[1]).groups[:1]):
            return [numbered_id]
    if phrase in EVERYTHING and sheet.order:
        return list(sheet.order)
    if sort := SORT.fullmatch(phrase):
        return _of_sort(sheet, sort, phrase)
    if without := EXCEPT.fullmatch(phrase):
        noun = _reading(without["all"]).groups[0].noun
        left_out = find(sheet, re.sub(r"\bones?\b", noun, without["left"]))
        return [name for name in find(sheet, without["all"]) if name not in left_out]
    counted_from = COUNTED_FROM.search(phrase)
    if couple := COUPLE.match(phrase):
        return find(sheet, f"two {phrase[couple.end() :]}")
    if NO_NUMBER.match(phrase) and _reading(phrase).groups[0].is_plural:
        raise BadInput("edit", f'"{phrase}" does not say how many; say it like "two of them"; {contents(sheet)}')
    if (part := PART_OF.match(phrase)) and not _is_head(part[1], phrase):
        raise BadInput("edit", f'"{part[1]}" of "{phrase}" is no thing of the layout; {contents(sheet)}')
    if several := CHOICE_OF_SEVERAL.match(phrase):
        return _choose_several(sheet, several, phrase)
    every = ALL.match(phrase)
    words = "the " + phrase[every.end() :] if every else phrase
    some = SOME_OF.match(words)
    words = f"{some['number']} {words[some.end() :]}" if some else words
    choice = CHOICE.match(words)
    if choice and choice[1] in ORDINALS and counted_from:
        words = COUNTED_FROM.sub("", words)
    words = "the " + words[choice.end() :] if choice else words
    reading = _reading(words)
    check_read(words, reading)
    if len(reading.groups) > 1 + len(reading.relations) + len(reading.between):
        raise BadInput("edit", f'"{phrase}" names more than one thing, and one is asked for here; {contents(sheet)}')
    matching = _narrow(sheet, reading, phrase)
    if choice:
        return [_choose(sheet, matching, choice[1], phrase, bool(counted_from and counted_from[1] == "right"))]
    return _of_number(sheet, matching, reading.groups[0], words, phrase, bool(every))


def _is_head(word: str, phrase: str) -> bool:
    """Whether a word before "of" is the thing itself, or how many of it: "the picture of the cat", "a pair"."""
    counts = {*nouns.COLLECTIVES, *nouns.KINDS, *nouns.PORTIONS, *nouns.NUMBERS, "all", "both", "one", "each", "any"}
    single = nouns.singular_of(word)
    return bool({word, single} & counts) or word.isdigit() or _reading(phrase).groups[0].noun.split()[-1] == single


def _of_number(sheet: Sheet, matching: list[str], group: Group, words: str, phrase: str, every: bool) -> list[str]:
    """As many of the matching things as the words speak of."""
    if every or group.count > 1:
        counted = re.match(rf"(?:the |any )?(?:{COUNTED}|\d+) ", words)
        if counted and len(matching) < group.count:
            text = f'"{phrase}" asks for {group.count}, and there are {len(matching)}; {contents(sheet)}'
            raise BadInput("edit", text)
        return matching[-group.count :] if counted else matching
    if len(matching) > 1 and not re.match(r"(?:a|an|one|any|some) ", words):
        choices = ", ".join(f'{sheet.index(name) + 1} "{sheet.instances[name].caption}"' for name in matching)
        cure = f'say which, such as "the left {group.noun}" or "all {nouns.plural_of(group.noun)}"'
        raise BadInput("edit", f'"{phrase}" could be any of {choices}; {cure}')
    return matching[-1:]


def _of_sort(sheet: Sheet, sort: re.Match[str], phrase: str) -> list[str]:
    """The things that a hypernym means: "the animal", "both animals", "the two vehicles"."""
    names = [name for name in sheet.order if _is_of_sort(sheet, name, sort["sort"])]
    number = nouns.NUMBERS.get(sort["number"] or "", int(sort["number"]) if (sort["number"] or "").isdigit() else 0)
    is_several = number or sort["all"] or sort["plural"]
    wanted = number or (2 if sort["all"] == "both" else 0)
    if not names or wanted and wanted != len(names) or not is_several and len(names) > 1:
        raise BadInput("edit", f'"{phrase}" does not say which things are meant; {contents(sheet)}')
    return names


def _is_of_sort(sheet: Sheet, name: str, sort: str) -> bool:
    category = sheet.objects[name].category
    return category in HYPERNYMS[sort] or lexicon.is_kind_of(category, frozenset((sort,)))


def exists(sheet: Sheet, group: Group) -> bool:
    """True if a thing like this is in the layout."""
    return bool(_of_kind(sheet, [group]))


def contents(sheet: Sheet) -> str:
    """What is in the layout, for error messages."""
    names = [f"{sheet.instances[name].caption or name} ({sheet.index(name) + 1})" for name in sheet.order]
    return f"there is {', '.join(names)}" if names else "the layout is empty"


def is_noun(sheet: Sheet, words: str) -> bool:
    """True if words are a name of something that is there, or a word that stands for something.

    Such a name ends in a noun, or in a place on the picture: "the dog on the left".
    """
    if len(words) > MAX_NAME:  # whoever takes it for one would have each of its brackets looked at
        return False
    words = re.sub(r"(?<=.)(?: #?\d+)+$", "", words)
    if words in PRONOUNS or words in EVERYTHING:
        return True
    if sort := SORT.fullmatch(words):
        return any(_is_of_sort(sheet, name, sort["sort"]) for name in sheet.order)
    reading = _reading(words, strict=False)
    groups = reading.groups
    if not groups or not _of_kind(sheet, groups[:1]) or len(groups) > 1 + len(reading.relations):
        return False
    if unread_words(words, reading) or not all(_is_spoken_of(sheet, groups[aim]) for _, _, aim in reading.relations):
        return False
    last = words.rsplit(" ", 1)[-1]
    noun = groups[-1].noun.rsplit(" ", 1)[-1]
    if last in (noun, nouns.plural_of(noun)) or nouns.singular_of(last) == noun:
        return True
    return last in (*_SIDE_WORDS, "middle", "centre", "center") and bool(reading.places)


def _reading(phrase: str, strict: bool = True) -> Reading:
    """What the grammar reads in a phrase, which is taken as a definite one.

    Raises:
        BadInput: the phrase names nothing, and ``strict`` asks for something.
    """
    begins = re.match(rf"(?:the|a|an|all|both|one|any|some|{COUNTED}|my|your|\d+) ", phrase)
    reading = _read(phrase if begins else f"the {phrase}")
    if strict and not reading.groups:
        name = phrase.removeprefix("the ")
        raise BadInput("edit", f'"{name}" names no thing; say it like "the lamp" or "the left dog"')
    return reading


@lru_cache(maxsize=256)
def _read(phrase: str) -> Reading:
    """Kept: where a name ends is found by asking for one word after the other. Nothing changes what is read."""
    return read_prompt(phrase, any_language=True)


def _of_kind(sheet: Sheet, groups: list[Group]) -> list[str]:
    """The things of a kind; those that are called by the very noun, if there are any ("armchair" among chairs)."""
    if not groups:
        return []
    noun = groups[0].noun
    kind = groups[0].category
    alike = []
    for name in sheet.order:
        own = nouns.resolve(sheet.instances[name].caption)
        opposite = own and any(noun in a and own.singular in b for a, b in ((MALE, FEMALE), (FEMALE, MALE)))
        if kind in (nouns.category_of(sheet.instances[name].name), sheet.objects[name].category) and not opposite:
            alike.append(name)
    exact = [name for name in alike if _speaks_of(nouns.phrase_words(sheet.instances[name].caption), noun)]
    return exact or alike


def _is_spoken_of(sheet: Sheet, group: Group) -> bool:
    """True if a thing like this is there, or another thing's caption speaks of it."""
    captions = (nouns.singular_of(word) for i in sheet.instances.values() for word in i.caption.lower().split())
    return bool(_of_kind(sheet, [group])) or group.noun.rpartition(" ")[2] in captions


def _speaks_of(words: list[str], noun: str) -> bool:
    """True if the noun stands among the words, in the singular or the plural."""
    return f" {noun} " in f" {' '.join(map(nouns.singular_of, words))} {' '.join(words)} "


def _narrow(sheet: Sheet, reading: Reading, phrase: str) -> list[str]:
    """The things that the first noun phrase means, with its adjectives, relations and places."""
    group = reading.groups[0]
    matching = _of_kind(sheet, [group])
    wanted = {word.replace("gray", "grey") for word in group.adjectives if word not in ("and", ",")}
    captions = {name: re.findall(r"[\w-]+", sheet.instances[name].caption.lower()) for name in matching}
    matching = [name for name in matching if wanted <= {word.replace("gray", "grey") for word in captions[name]}]
    for subject, predicate, target in reading.relations:
        if subject == 0:
            aims = _of_kind(sheet, [reading.groups[target]])
            matching = [
                name
                for name in matching
                if _speaks_of(captions[name], reading.groups[target].noun)  # "a dog under a table", and no table
                or any(name != aim and slack(predicate, sheet.box(name), sheet.box(aim)) > 0 for aim in aims)
            ]
    for subject, place in reading.places:
        if subject == 0 and place in SIDES and group.is_plural:
            half = [name for name in matching if _is_in_half(sheet, name, place)]
            if not half:
                raise BadInput("edit", f'"{phrase}" are not there: none is in that half; {contents(sheet)}')
            matching = half
        elif subject == 0 and len(matching) > 1 and place in SIDES:
            matching = [min(matching, key=lambda name: ORDER[SIDES[place]](sheet.box(name)))]
    if not matching:
        raise BadInput("edit", f'"{phrase}" is not there; {contents(sheet)}')
    return matching


def _is_in_half(sheet: Sheet, name: str, side: Predicate) -> bool:
    """Whether the centre of a thing is in the left, right, upper or lower half of the picture."""
    centre = sheet.box(name).centre
    at = centre.x if side in (Predicate.LEFT, Predicate.RIGHT) else centre.y
    return at < 0.5 if side in (Predicate.LEFT, Predicate.TOP) else at > 0.5


def _choose(sheet: Sheet, names: list[str], word: str, phrase: str, from_right: bool = False) -> str:
    """One of several: the largest, the left one, or the n-th from the left, or from the right."""
    if word in MIDDLE:
        across = sorted(names, key=lambda name: sheet.box(name).centre.x)
        if len(across) % 2 == 0:
            raise BadInput("edit", f'"{phrase}" is not there: there are {len(across)}, and none is in the middle')
        return across[len(across) // 2]
    if word in SELECTORS:
        return min(names, key=lambda name: ORDER[SELECTORS[word]](sheet.box(name)))
    if ORDINALS[word] >= len(names):
        raise BadInput("edit", f'"{phrase}" is not there: there are {len(names)}, counted from the left')
    return sorted(names, key=lambda name: sheet.box(name).centre.x, reverse=from_right)[ORDINALS[word]]


def _choose_several(sheet: Sheet, said: re.Match[str], phrase: str) -> list[str]:
    """The ids of "the two left apples" or "the first three cups"."""
    word = said["number"] or said["number2"]
    number = nouns.NUMBERS.get(word, int(word) if word.isdigit() else 0)
    end = said["end"] or said["end2"]
    names = find(sheet, f"all {nouns.plural_of(nouns.singular_of(phrase[said.end() :]))}")
    if not 0 < number <= len(names):
        raise BadInput("edit", f'"{phrase}" asks for {number}, and there are {len(names)}; {contents(sheet)}')
    order = ORDER[SELECTORS[{"first": "left", "last": "right"}.get(end, end)]]
    return sorted(names, key=lambda name: order(sheet.box(name)))[:number]
