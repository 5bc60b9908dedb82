"""An edit in words is cut into commands: "remove the lamp, then make the sofa red" -> two of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from instdiff.errors import BadInput

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
_COLOUR_OF = re.compile(r"(?:the )?colou?r of (?P<what>.+?) (?:in)?to (?P<to>.+)")
_WHERE = "in|on|at|to|under|below|beneath|above|over|behind|next|near|beside|left|right|between|by|atop|inside|around|closer|onto|into"
_PUT_BACK = re.compile(rf"(?P<what>(?:the|it|them|both|all)\b.*?) (?P<to>(?:{_WHERE})\b.*)")
_TO_THING = re.compile(
    r"(?<!next )(?<!near )(?<!close )(?<!closer )(?<!nearer )(?<!adjacent )\bto "
    r"(?=(?:the|a|an) (?!(?:far |very |other"
    r" )?(?:left|right|top|bottom|middle|cent|upper|lower|front|back|fore|side|viewer)))"
)
_PICTURE = re.compile(r" (?:to|in|into|from|on) (?:the|this) (?:picture|image|scene|photo|layout|canvas|frame)\b")


class Command(NamedTuple):
    """One thing to do: add, remove, replace, swap, move or make; ``to`` is what with, where, or how."""

    verb: str
    what: str
    to: str = ""


def commands(words: str, is_there: Callable[[str], bool]) -> list[Command]:
    """Read an edit.

    Args:
        words: the edit in words.
        is_there: tells if words end in the name of something in the layout; it shows where a name ends and
            "larger" or "to the left" begins.

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
    found: list[Command] = []
    for clause in _CUT.split(text.lower()):
        clause = _POLITE.sub("", clause.strip(" .,;!?"))
        if clause:
            found += _read(clause, is_there)
    return found


def _read(clause: str, is_there: Callable[[str], bool]) -> list[Command]:
    start = re.match(rf"({_ANY})\s+(.+)", clause)
    if not start:
        raise BadInput("edit", f'"{clause}" begins with no edit that is known; say it like {EXAMPLES}')
    verb = VERB_OF[start[1]]
    rest = _PICTURE.sub("", f" {start[2]}").strip()
    match verb:
        case "add":
            back = _PUT_BACK.fullmatch(rest)
            if back and start[1] in ("put", "place", "set", "hang") and is_there(back["what"]):
                return [Command("move", back["what"], _TO_THING.sub("on ", back["to"]))]
            return [Command("add", _TO_THING.sub("on ", rest))]
        case "remove":
            rest = re.sub(r"\b(?:away )?from (?=the |a )", "on ", rest)
            return [Command("remove", part) for part in _listed(rest, is_there)]
        case "replace" | "swap":
            return [_pair(verb, rest, clause)]
        case "move":
            what, to = _cut(rest, is_there)
            if not to:
                raise BadInput(
                    "edit",
                    f'"{clause}" does not say where; say it like "{clause} to the left" or "{clause} onto the table"',
                )
            return [Command("move", part, _TO_THING.sub("on ", to)) for part in _listed(what, is_there)]
        case "enlarge" | "shrink":
            how = "larger" if verb == "enlarge" else "smaller"
            by = re.search(r" (?:by|to) ((?:half|\d+ ?%|a lot|a little|a bit).*)$", rest)
            what = rest[: by.start()] if by else rest
            return [Command("make", part, f"{by[1]} {how}" if by else how) for part in _listed(what, is_there)]
    return _make(start[1], rest, clause, is_there)


def _make(word: str, rest: str, clause: str, is_there: Callable[[str], bool]) -> list[Command]:
    """ "make the tree larger and the car red", "change the colour of the car to red", "turn the dog into a cat"."""
    if colour := _COLOUR_OF.fullmatch(rest):
        return [Command("make", colour["what"], colour["to"])]
    if into := re.fullmatch(r"(?P<what>.+?) (?:into|to|in|with) (?P<to>.+)", rest):
        if is_there(into["what"]):
            noun = re.match(r"(?:a|an|the|one|two|three|some) ", into["to"]) and word in ("make", "turn", "change")
            return [Command("replace" if noun else "make", into["what"], into["to"])]
    found: list[Command] = []
    for part in re.split(r"(?:,|\band\b)+\s*(?=(?:the|a|an|all|both)\s)", rest):
        what, to = _cut(part.strip(" ,"), is_there)
        found.append(Command("make", what, to))
    for index in range(len(found) - 2, -1, -1):  # "the cat and the dog larger"
        found[index] = found[index]._replace(to=found[index].to or found[index + 1].to)
    if not found[-1].to:
        raise BadInput(
            "edit", f'"{clause}" does not say how; say it like "make the tree larger" or "make the sofa red"'
        )
    return found


def _pair(verb: str, rest: str, clause: str) -> Command:
    between = {"replace": "with|by|for|and", "swap": "and|with|for"}[verb]
    parts = re.split(
        rf"\s+(?:{between})\s+", rest.removeprefix("the places of ").removeprefix("places of "), maxsplit=1
    )
    if len(parts) < 2:
        raise BadInput(
            "edit",
            f'"{clause}" names one thing and needs two; say it like "replace the dog with a cat" or "swap the cat and'
            ' the dog"',
        )
    return Command(verb, *parts)


def _cut(rest: str, is_there: Callable[[str], bool]) -> tuple[str, str]:
    """The name of something that is there, and what follows it: after the shortest name that is one."""
    words = rest.split()
    ends = [end for end in range(1, min(len(words), MAX_NAME_WORDS) + 1) if is_there(" ".join(words[:end]).strip(","))]
    if not ends:  # whoever looks for it says what is there
        known = re.match(rf"(.+?) ((?:{_WHERE}|up|down|back|forward)\b.*)", rest)
        return (known[1], known[2]) if known else (" ".join(words[:-1]) or rest, words[-1] if len(words) > 1 else "")
    end = ends[0]
    while end < len(words) and is_there(" ".join(words[: end + 1])):  # "palm", "palm tree", "palm tree 2"
        end += 1
    return " ".join(words[:end]).strip(","), " ".join(words[end:])


def _listed(what: str, is_there: Callable[[str], bool]) -> list[str]:
    """ "the lamp and the cat" -> both; one name that holds an "and" stays whole."""
    parts = [part.strip() for part in re.split(r"\s*(?:,|\band\b)+\s*", what) if part.strip()]
    return parts if len(parts) > 1 and all(is_there(part) for part in parts) else [what]
