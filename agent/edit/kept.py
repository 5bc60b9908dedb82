"""What an edit says is to stay: "but keep the bowl as it is", "without changing anything else"."""

from __future__ import annotations

import re
from collections.abc import Callable

from agent.edit.looks import are_looks
from instdiff.errors import BadInput

KEEPING = "keep|keeping|leave|leaving|preserve|preserving|maintain|maintaining|retain|retaining"
_CHANGING = {"chang": "", "touch": "", "alter": "", "affect": "", "modify": "", "mov": "place", "shift": "place"}
_CHANGING |= {"resiz": "size", "scal": "size", "recolour": "look", "recolor": "look", "paint": "look"}
_DOING = rf"(?P<doing>{'|'.join(_CHANGING)})(?:e|ing)?"
_START = re.compile(
    rf"(?:(?:while|by) )?(?:(?:{KEEPING})|(?:do not|don't|without|not|never) {_DOING}|not(?= the\b)) (?P<what>.+)"
)
_STAYS = re.compile(
    r"(?P<what>.+?) (?:(?:should|must|shall|has to|have to|needs? to) )?(?:stays?|remains?|be kept|be left)"
    r"(?: (?P<state>.+))?"
)
_APART = re.compile(rf"(?<![,;.])\s+(?=while (?:{KEEPING})\b|without (?:{'|'.join(_CHANGING)})ing\b)")
_STATE = re.compile(
    r" (?:exactly |just |completely )?(?:(?:the|of the|at the|in the|in its|in their|at its|at their) (?:very )?"
    r"(?:same|original|current)(?: (?:size|place|position|spot|location|colou?r|look|way))?(?: as (?:before|now))?"
    r"|(?:in|at) (?:its|their) (?:place|position|spot)|as (?:it|they|that) (?:is|are|was|were)(?: now| before)?|as is"
    r"|as before|the way (?:it|they) (?:is|are)|where (?:it|they) (?:is|are|was|were|stands?|sits?)|unchanged|untouched"
    r"|unaltered|unmodified|intact|alone|in place|fixed|still)$"
)
_REST = re.compile(
    r"(?:everything|anything|nothing|all|the rest|others|the others?|(?:(?:all |any of )?the|any|all) other"
    r" (?:things?|objects?|items?|ones?))(?: else)?(?: (?:in|of|on) (?:the|this) (?:picture|image|scene|layout|photo))?"
    r"|(?:the )?(?:background|scene|setting|composition|lighting|camera|caption|layout)"
)
_SIDES = {"size": "size", "proportion": "size", "scale": "size", "aspect ratio": "size", "where": "place"}
_SIDES |= {"position": "place", "place": "place", "location": "place", "spot": "place"}
_SIDES |= dict.fromkeys("colour color look appearance style shape pose material texture orientation".split(), "look")
_NAMES = "|".join(sorted(_SIDES, key=len, reverse=True))
_SIDE = re.compile(rf"(?:(?:the|its|their|his|her) )?(?:same |original |current )?(?P<side>{_NAMES})s?")
_SIDE_OF = re.compile(rf"(?:the )?(?P<side>{_NAMES})s? of (?P<target>.+)|(?P<owner>.+?)(?:'s|s') (?P<owned>{_NAMES})s?")
_LISTED = re.compile(r"\s*(?:,\s*(?:and|or|nor)\s|,|\band\b|\bor\b|\bnor\b)\s*")


def set_apart(text: str) -> str:
    """The text with a comma before "without changing" and "while keeping"."""
    return _APART.sub(", ", text)


def kept_things(clause: str, is_there: Callable[[str], bool]) -> list[tuple[str, str]] | None:
    """What a clause says is to stay, as (thing, side): the side is "size", "place", "look", or empty for all of it.

    The thing "it" is what the edit spoke of last. What nobody speaks of stays anyway, and is not among them.

    Returns:
        None where the clause speaks of nothing that stays.

    Raises:
        BadInput: it does, and of something that is not there.
    """
    if stays := _STAYS.fullmatch(clause):
        clause = f"keep {stays['what']} {stays['state'] or 'unchanged'}"
    said = _START.fullmatch(clause)
    if not said or re.match(r"(?:only|just|out) ", said["what"]):
        return None
    what = said["what"]
    side = _CHANGING.get(said["doing"] or "", "")
    while state := _STATE.search(what):
        named = re.search(_NAMES, state[0])
        side = _SIDES[named[0]] if named else side
        what = what[: state.start()]
    things = []
    for part in _LISTED.split(what):
        if part and not _REST.fullmatch(part) and (thing := _kept(part, side, clause, is_there)):
            things.append(thing)
    return things


def _kept(part: str, side: str, clause: str, is_there: Callable[[str], bool]) -> tuple[str, str] | None:
    """The thing and the side of it that a part of a list speaks of."""
    if own := _SIDE.fullmatch(part):
        return ("it", _SIDES[own["side"]])
    if owned := _SIDE_OF.fullmatch(part):
        part = owned["target"] or owned["owner"]
        side = _SIDES[owned["side"] or owned["owned"]]
        if _REST.fullmatch(part):
            return None
    if not is_there(part):
        words = part.split()
        for end in range(1, len(words)):
            if is_there(" ".join(words[:end])) and are_looks(" ".join(words[end:])):
                return (" ".join(words[:end]), "look")  # "keep the sofa grey"
        raise BadInput("edit", f'"{part}" of "{clause}" is not there, and cannot be kept')
    return (part, side)
