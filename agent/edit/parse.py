"""An edit in words: cut into commands, "remove the lamp, then make the sofa red" -> two of them; and which things of a
layout their words mean: "the dog", "the left cup", "both cats", "it".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from agent.edit.editable_plan import Sheet
from agent.planners.english.parts import Group, Reading
from agent.planners.english.reader import read_prompt
from agent.planners.english.words import FEMALE, MALE
from instdiff.errors import BadInput
from instdiff.world import nouns
from instdiff.world.relations import slack
from instdiff.world.scene import Predicate

EXAMPLES = (
    '"add a cat on the sofa", "remove the lamp", "replace the dog with a cat", "move the car to the left", '
    '"make the tree larger", "make the sofa red", "swap the cat and the dog"'
)
MAX_WORDS = 2000
MAX_NAME_WORDS = 24  # "the small lamp on the table next to the window"
VERBS = {
    "add": "add|insert|draw|include|put in|put|place|set|hang",
    "remove": "remove|delete|erase|drop|take away|take out|take off|get rid of|without the|without|no",
    "replace": "replace|substitute|exchange",
    "swap": "swap|switch",
    "move": "move|shift|bring|push|pull|slide|drag",
    "make": "make|turn|change|paint|recolour|recolor|colour|color|dye|render",
    "enlarge": "enlarge|grow|scale up|expand",
    "shrink": "shrink|scale down|reduce",
}
VERB_OF = {word: verb for verb, words in VERBS.items() for word in words.split("|")}
_ANY = "|".join(sorted(VERB_OF, key=len, reverse=True))
_CUT = re.compile(rf"(?:\s*(?:[,;.]|\band\b|\bthen\b|\balso\b|\bafter that\b))+\s*(?=(?:{_ANY})\s)")
_POLITE = re.compile(r"^(?:please|now|also|then|and|could you|can you|i want you to|let us|let's)\s+")
_COLOUR_OF = re.compile(r"(?:the )?colou?r of (?P<target>.+?) (?:in)?to (?P<to>.+)")
_WHERE = "in|on|at|to|under|below|beneath|above|over|behind|next|near|beside|left|right|between|by|atop|inside|around"
_WHERE += "|closer|onto|into"
_PUT_BACK = re.compile(rf"(?P<target>(?:the|it|them|both|all)\b.*?) (?P<to>(?:{_WHERE})\b.*)")
_TO_THING = re.compile(
    r"(?<!next )(?<!near )(?<!close )(?<!closer )(?<!nearer )(?<!adjacent )\bto (?=(?:the|a|an) "
    r"(?!(?:far |very |other )?(?:left|right|top|bottom|middle|cent|upper|lower|front|back|fore|side|viewer)))"
)
_PICTURE = re.compile(r" (?:to|in|into|from|on) (?:the|this) (?:picture|image|scene|photo|layout|canvas|frame)\b")


class Command(NamedTuple):
    """One thing to do: add, remove, replace, swap, move or make.

    ``target`` names the thing; ``to`` says with which other thing, where to, or of which size or look.
    """

    verb: str
    target: str
    to: str = ""


def commands(words: str, is_there: Callable[[str], bool]) -> list[Command]:
    """Read an edit.

    Args:
        is_there: tells if words end in the name of something in the layout: where it ends, "to the left" may begin.

    Raises:
        BadInput: the words are empty, too long, or no edit.
    """
    text = " ".join(words.split()).strip(" .!;,")
    if not text:
        raise BadInput("edit", f"say what to change, such as {EXAMPLES}")
    if len(text) > MAX_WORDS:
        raise BadInput("edit", f"{len(text)} characters; up to {MAX_WORDS} are read")
    if any(0xD800 <= ord(letter) <= 0xDFFF for letter in text):
        raise BadInput("edit", "is not valid Unicode text")
    parsed: list[Command] = []
    for clause in _CUT.split(text.lower()):
        clause = _POLITE.sub("", clause.strip(" .,;!?"))
        if clause:
            parsed += _read_clause(clause, is_there)
    return parsed


def _read_clause(clause: str, is_there: Callable[[str], bool]) -> list[Command]:
    start = re.match(rf"({_ANY})\s+(.+)", clause)
    if not start:
        raise BadInput("edit", f'"{clause}" begins with no edit that is known; say it like {EXAMPLES}')
    verb = VERB_OF[start[1]]
    words = _PICTURE.sub("", f" {start[2]}").strip()
    match verb:
        case "add":
            back = _PUT_BACK.fullmatch(words)
            if back and start[1] in ("put", "place", "set", "hang") and is_there(back["target"]):
                return [Command("move", back["target"], _TO_THING.sub("on ", back["to"]))]
            return [Command("add", _TO_THING.sub("on ", words))]
        case "remove":
            words = re.sub(r"\b(?:away )?from (?=the |a )", "on ", words)
            return [Command("remove", part) for part in _split_list(words, is_there)]
        case "replace" | "swap":
            return [_pair(verb, words, clause)]
        case "move":
            target, to = _cut(words, is_there)
            if not to:
                cure = f'say it like "{clause} to the left" or "{clause} onto the table"'
                raise BadInput("edit", f'"{clause}" does not say where; {cure}')
            return [Command("move", part, _TO_THING.sub("on ", to)) for part in _split_list(target, is_there)]
        case "enlarge" | "shrink":
            size = "larger" if verb == "enlarge" else "smaller"
            by = re.search(r" (?:by|to) ((?:half|\d+ ?%|a lot|a little|a bit).*)$", words)
            target = words[: by.start()] if by else words
            return [Command("make", part, f"{by[1]} {size}" if by else size) for part in _split_list(target, is_there)]
    return _make(start[1], words, clause, is_there)


def _make(word: str, words: str, clause: str, is_there: Callable[[str], bool]) -> list[Command]:
    """ "make the tree larger and the car red", "change the colour of the car to red", "turn the dog into a cat"."""
    if colour := _COLOUR_OF.fullmatch(words):
        return [Command("make", colour["target"], colour["to"])]
    if into := re.fullmatch(r"(?P<target>.+?) (?:into|to|in|with) (?P<to>.+)", words):
        if is_there(into["target"]):
            noun = re.match(r"(?:a|an|the|one|two|three|some) ", into["to"]) and word in ("make", "turn", "change")
            return [Command("replace" if noun else "make", into["target"], into["to"])]
    parsed: list[Command] = []
    for part in re.split(r"(?:,|\band\b)+\s*(?=(?:the|a|an|all|both)\s)", words):
        target, to = _cut(part.strip(" ,"), is_there)
        parsed.append(Command("make", target, to))
    for index in range(len(parsed) - 2, -1, -1):  # "the cat and the dog larger"
        parsed[index] = parsed[index]._replace(to=parsed[index].to or parsed[index + 1].to)
    if not parsed[-1].to:
        cure = 'say it like "make the tree larger" or "make the sofa red"'
        raise BadInput("edit", f'"{clause}" does not say how; {cure}')
    return parsed


def _pair(verb: str, words: str, clause: str) -> Command:
    between = {"replace": "with|by|for|and", "swap": "and|with|for"}[verb]
    words = words.removeprefix("the places of ").removeprefix("places of ")
    parts = re.split(rf"\s+(?:{between})\s+", words, maxsplit=1)
    if len(parts) < 2:
        cure = 'say it like "replace the dog with a cat" or "swap the cat and the dog"'
        raise BadInput("edit", f'"{clause}" names one thing and needs two; {cure}')
    return Command(verb, *parts)


def _cut(text: str, is_there: Callable[[str], bool]) -> tuple[str, str]:
    """The name of something that is there, and what follows it: after the shortest name that is one."""
    words = text.split()
    ends = [end for end in range(1, min(len(words), MAX_NAME_WORDS) + 1) if is_there(" ".join(words[:end]).strip(","))]
    if not ends:  # whoever looks for it says what is there
        known = re.match(rf"(.+?) ((?:{_WHERE}|up|down|back|forward)\b.*)", text)
        return (known[1], known[2]) if known else (" ".join(words[:-1]) or text, words[-1] if len(words) > 1 else "")
    end = ends[0]
    while end < len(words) and is_there(" ".join(words[: end + 1])):  # "palm", "palm tree", "palm tree 2"
        end += 1
    return " ".join(words[:end]).strip(","), " ".join(words[end:])


def _split_list(words: str, is_there: Callable[[str], bool]) -> list[str]:
    """ "the lamp and the cat" -> both; one name that holds an "and" stays whole."""
    parts = [part.strip() for part in re.split(r"\s*(?:,|\band\b)+\s*", words) if part.strip()]
    return parts if len(parts) > 1 and all(is_there(part) for part in parts) else [words]


_COUNTED = "|".join(nouns.number_word(number) for number in range(2, 11))
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
_SIDE_WORDS = {"left": "left leftmost", "right": "right rightmost", "top": "upper top", "bottom": "lower bottom"}
_SIDE_WORDS |= {"large": "largest biggest larger bigger", "small": "smallest smaller"}
_SIDE_WORDS |= {"near": "nearest closest front", "far": "farthest furthest"}
SELECTORS = {word: side for side, words in _SIDE_WORDS.items() for word in words.split()}
ORDINALS = {"first": 0, "second": 1, "third": 2, "fourth": 3, "fifth": 4, "last": -1}
CHOICE = re.compile(rf"^(?:the |that |this |my |your )?({'|'.join((*SELECTORS, *ORDINALS))}) (?=\w)")
SIDES = {Predicate.LEFT: "left", Predicate.RIGHT: "right", Predicate.TOP: "top", Predicate.BOTTOM: "bottom"}


def find(sheet: Sheet, phrase: str) -> list[str]:
    """The ids that a phrase means; several for a plural.

    Raises:
        BadInput: nothing like it is there, or more than one thing is and the words do not tell them apart.
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
    every = ALL.match(phrase)
    words = "the " + phrase[every.end() :] if every else phrase
    choice = CHOICE.match(words)
    words = "the " + words[choice.end() :] if choice else words
    reading = _reading(words)
    matching = _narrow(sheet, reading, phrase)
    if choice:
        return [_choose(sheet, matching, choice[1], phrase)]
    group = reading.groups[0]
    if every or group.count > 1:
        counted = re.match(rf"(?:the )?(?:{_COUNTED}|\d+) ", words)
        if counted and len(matching) < group.count:
            text = f'"{phrase}" asks for {group.count}, and there are {len(matching)}; {contents(sheet)}'
            raise BadInput("edit", text)
        return matching[-group.count :] if counted else matching
    if len(matching) > 1 and not re.match(r"(?:a|an|one|any|some) ", words):
        choices = ", ".join(f'{sheet.index(name) + 1} "{sheet.instances[name].caption}"' for name in matching)
        cure = f'say which, such as "the left {group.noun}" or "all {nouns.plural_of(group.noun)}"'
        raise BadInput("edit", f'"{phrase}" could be any of {choices}; {cure}')
    return matching[-1:]


def exists(sheet: Sheet, group: Group) -> bool:
    """True if a thing like this is in the layout."""
    return bool(_of_kind(sheet, [group]))


def contents(sheet: Sheet) -> str:
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
    """What the grammar reads in a phrase, which is taken as a definite one.

    Raises:
        BadInput: the phrase names nothing, and ``strict`` asks for something.
    """
    begins = re.match(rf"(?:the|a|an|all|both|one|any|some|{_COUNTED}|my|your|\d+) ", phrase)
    reading = read_prompt(phrase if begins else f"the {phrase}", any_language=True)
    if strict and not reading.groups:
        name = phrase.removeprefix("the ")
        raise BadInput("edit", f'"{name}" names no thing; say it like "the lamp" or "the left dog"')
    return reading


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
        if subject == 0 and len(matching) > 1 and place in SIDES:
            matching = [min(matching, key=lambda name: ORDER[SIDES[place]](sheet.box(name)))]
    if not matching:
        raise BadInput("edit", f'"{phrase}" is not there; {contents(sheet)}')
    return matching


def _choose(sheet: Sheet, names: list[str], word: str, phrase: str) -> str:
    """One of several: the largest, the left one, or the n-th from the left."""
    if word in SELECTORS:
        return min(names, key=lambda name: ORDER[SELECTORS[word]](sheet.box(name)))
    if ORDINALS[word] >= len(names):
        raise BadInput("edit", f'"{phrase}" is not there: there are {len(names)}, counted from the left')
    return sorted(names, key=lambda name: sheet.box(name).centre.x)[ORDINALS[word]]
