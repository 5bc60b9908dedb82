"""Which things of a layout some words mean: "the dog", "the left cup", "both cats", "it"."""

from __future__ import annotations

import re

from agent.edit.editable_plan import Sheet
from agent.planners.grammar.parts import Group, Reading
from agent.planners.grammar.reader import Reader
from instdiff.errors import BadInput
from instdiff.world import nouns
from instdiff.world.relations import slack
from instdiff.world.scene import Predicate as P

PRONOUNS = {"it", "them", "him", "her", "that", "this", "these", "those"}
ALL = re.compile(r"^(?:all|both|every|each)(?: of)?(?: the| these| those)? ")
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
SELECTORS = {
    "left": "left",
    "leftmost": "left",
    "right": "right",
    "rightmost": "right",
    "upper": "top",
    "top": "top",
    "lower": "bottom",
}
SELECTORS |= {
    "bottom": "bottom",
    "largest": "large",
    "biggest": "large",
    "larger": "large",
    "bigger": "large",
    "smallest": "small",
}
SELECTORS |= {
    "smaller": "small",
    "nearest": "near",
    "closest": "near",
    "front": "near",
    "farthest": "far",
    "furthest": "far",
}
ORDINALS = {"first": 0, "second": 1, "third": 2, "fourth": 3, "fifth": 4, "last": -1}
CHOICE = re.compile(rf"^(?:the |that |this |my |your )?({'|'.join((*SELECTORS, *ORDINALS))}) (?=\w)")
SIDES = {P.LEFT: "left", P.RIGHT: "right", P.TOP: "top", P.BOTTOM: "bottom"}


def find(sheet: Sheet, phrase: str) -> list[str]:
    """The ids that a phrase means; several for a plural.

    Raises:
        BadInput: nothing like it is there, or more than one thing is and the words do not tell them apart.
    """
    phrase = phrase.strip(" ,.;!?")
    if phrase in PRONOUNS:
        if not sheet.last:
            raise BadInput("edit", f'"{phrase}" stands for nothing yet; {there(sheet)}')
        return list(sheet.last)
    if numbered := re.fullmatch(r"(?:the )?(.+?) #?(\d+)", phrase):
        name = sheet.numbers.get(int(numbered[2]))
        if name in sheet.instances and name in _of_kind(sheet, _reading(numbered[1]).groups[:1]):
            return [name]
    whole = ALL.match(phrase)
    rest = "the " + phrase[whole.end() :] if whole else phrase
    choice = CHOICE.match(rest)
    rest = "the " + rest[choice.end() :] if choice else rest
    reading = _reading(rest)
    found = _narrowed(sheet, reading, phrase)
    if choice:
        return [_chosen(sheet, found, choice[1], phrase)]
    group = reading.groups[0]
    if whole or group.count > 1:
        said = re.match(r"(?:the )?(?:two|three|four|five|six|seven|eight|nine|ten|\d+) ", rest)
        if said and len(found) < group.count:
            raise BadInput("edit", f'"{phrase}" asks for {group.count}, and there are {len(found)}; {there(sheet)}')
        return found[-group.count :] if said else found
    if len(found) > 1 and not re.match(r"(?:a|an|one|any|some) ", rest):
        which = ", ".join(f'{sheet.index(name) + 1} "{sheet.instances[name].caption}"' for name in found)
        raise BadInput(
            "edit",
            f'"{phrase}" could be any of {which}; say which, such as "the left {group.noun}" or "all {group.noun}s"',
        )
    return found[-1:]


def exists(sheet: Sheet, group: Group) -> bool:
    """True if a thing like this is in the layout."""
    return bool(_of_kind(sheet, [group]))


def there(sheet: Sheet) -> str:
    """What is in the layout, for error messages."""
    names = [f"{sheet.instances[name].caption or name} ({sheet.index(name) + 1})" for name in sheet.order]
    return f"there is {', '.join(names)}" if names else "the layout is empty"


def is_noun(sheet: Sheet, words: str) -> bool:
    """True if words end in the name of something that is there, or in a word that stands for something."""
    words = re.sub(r"(?<=.)(?: #?\d+)+$", "", words)
    if words in PRONOUNS:
        return True
    reading = _reading(words, strict=False)
    groups = reading.groups
    if not groups or not _of_kind(sheet, groups[:1]) or len(groups) > 1 + len(reading.relations):
        return False
    last = words.rsplit(" ", 1)[-1]
    noun = groups[-1].noun.rsplit(" ", 1)[-1]
    return last in (noun, nouns.plural_of(noun)) or nouns.singular_of(last) == noun


def _reading(phrase: str, strict: bool = True) -> Reading:
    phrase = (
        phrase
        if re.match(r"(?:the|a|an|all|both|one|any|some|two|three|four|five|six|my|your|\d+) ", phrase)
        else f"the {phrase}"
    )
    reading = Reader(phrase).read()
    if strict and not reading.groups:
        raise BadInput(
            "edit", f'"{phrase.removeprefix("the ")}" names no thing; say it like "the lamp" or "the left dog"'
        )
    return reading


def _of_kind(sheet: Sheet, groups: list[Group]) -> list[str]:
    """The things of a kind; those that are called by the very noun, if there are any ("armchair" among chairs)."""
    if not groups:
        return []
    group = groups[0]
    kind = nouns.category_of(group.category)
    found = [
        name
        for name in sheet.order
        if nouns.category_of(sheet.instances[name].name) == kind or sheet.objects[name].category == kind
    ]
    exact = [name for name in found if group.noun in sheet.instances[name].caption.lower()]
    return exact or found


def _narrowed(sheet: Sheet, reading: Reading, phrase: str) -> list[str]:
    """The things that the first noun phrase means, with its adjectives, relations and places."""
    group = reading.groups[0]
    found = _of_kind(sheet, [group])
    if not found:
        raise BadInput("edit", f'"{phrase}" is not there; {there(sheet)}')
    wanted = {_plain(word) for word in group.adjectives if word not in ("and", ",")}

    def said(name):
        return {_plain(word) for word in re.findall(r"[\w-]+", sheet.instances[name].caption.lower())}

    found = [name for name in found if wanted <= said(name)]
    for subject, predicate, target in reading.relations:
        others = _of_kind(sheet, [reading.groups[target]])
        if subject == 0:
            found = [
                a
                for a in found
                if any(a != b and slack(predicate, sheet.box(a).xyxy, sheet.box(b).xyxy) > 0 for b in others)
            ]
    for subject, place in reading.places:
        if subject == 0 and len(found) > 1:
            found = [min(found, key=lambda name: ORDER[SIDES[place]](sheet.box(name)))] if place in SIDES else found
    if not found:
        raise BadInput("edit", f'"{phrase}" is not there; {there(sheet)}')
    return found


def _plain(word: str) -> str:
    return "grey" if word == "gray" else word


def _chosen(sheet: Sheet, found: list[str], word: str, phrase: str) -> str:
    """One of several: the largest, the left one, or the n-th from the left."""
    if word in SELECTORS:
        return min(found, key=lambda name: ORDER[SELECTORS[word]](sheet.box(name)))
    if ORDINALS[word] >= len(found):
        raise BadInput("edit", f'"{phrase}" is not there: there are {len(found)}, counted from the left')
    return sorted(found, key=lambda name: sheet.box(name).centre.x)[ORDINALS[word]]
