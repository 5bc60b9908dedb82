"""The verbs of edits and their synonyms, and the sentences that say an edit without one: "the sofa should be red"."""

from __future__ import annotations

import re

from agent.edit.kept import KEEPING
from instdiff.world.nouns import NUMBERS

VERBS = {
    "add": "add|insert|draw|include|introduce|bring in|put in|put|place|set|hang|stack|create",
    "remove": "remove|delete|erase|drop|discard|eliminate|exclude|cut out|cut|clear away|take away|take out|take off|"
    "leave out|get rid of|throw away|throw out|wipe out|without the|without|no",
    "replace": "replace|substitute|swap out|switch out|change out",
    "swap": "swap|switch|exchange|interchange|trade|transpose|reverse",
    "move": "move|shift|bring|send|push|pull|slide|drag|relocate|reposition|transfer|nudge|carry",
    "raise": "raise|lift",
    "lower": "lower",
    "make": "make|turn|change|paint|repaint|recolour|recolor|colour|color|dye|tint|render|transform|convert|morph|let",
    "darken": "darken",
    "lighten": "lighten",
    "brighten": "brighten",
    "enlarge": "enlarge|grow|scale up|size up|expand|magnify|upscale|blow up|increase|double|triple",
    "shrink": "shrink|scale down|size down|reduce|decrease|downscale|diminish|halve",
    "scale": "scale|resize|rescale",
    "centre": "center|centre",
    "widen": "widen|broaden|lengthen",
    "give": "give",
    "copy": "duplicate|copy|clone",
}
VERB_OF = {word: verb for verb, words in VERBS.items() for word in words.split("|")}
GROWING = {"double": 2, "triple": 3, "halve": 0.5}  # what these verbs say without more words
MAKING = ("make", "turn", "change", "transform", "convert", "morph", "let", "render")
ADDING = "i want|we want|use|have|show|paint|there is|" + VERBS["add"]
# of these, which are other words too, one is a verb only where it is followed by what it is done to
_RISKY = frozenset(
    "cut drop switch trade lower lift raise let double triple scale copy clone change out reduce carry no set colour "
    "color paint create increase grow".split()
)
_OBJECT = r"(?:the|a|an|it|them|both|all|each|every|its|their|this|that|these|those|my|your|one|two|three|four|\d+)\b"


def _either(words: object) -> str:
    return "|".join(sorted(map(re.escape, map(str, words)), key=len, reverse=True))  # type: ignore[call-overload]


_SURE = _either(word for word in VERB_OF if word not in _RISKY)
_SURE_START = rf"(?:(?:{_SURE})\s|(?:{_either(_RISKY)})\s+{_OBJECT})"
_SUBJECT = r"(?:the|both|all|it|they|a|an|there|everything|nothing|others)\b[^,;.]{0,80}?"
_OUGHT = r"(?:should|must|shall|needs? to|has to|have to|ought to)(?: now| also| all| both)*"
_KEPT = rf"(?:{KEEPING}|don't|do not|without \w+ing|not the)\b"
_STATED = rf"(?:{_SUBJECT} (?:{_OUGHT} |becomes? |stays? |remains? ))"
CUT = re.compile(
    rf"(?:\s*(?:[,;]|\.(?=\s)|\band\b|\bthen\b|\balso\b|\bafter that\b|\bbut\b|\bwhile\b|\bplease\b))+\s*"
    rf"(?={_SURE_START}|{_KEPT}|{_STATED}|(?:at|in) (?:its|their) (?:place|stead) )|[.;!?]\s+"
)
START = re.compile(rf"({_either(VERB_OF)})\s+(.+)")
POLITE = re.compile(
    r"^(?:(?:please|only|now|also|then|and|but|just|kindly|simply|ok|okay|next|finally|first|hey|hi)\b[ ,]*"
    r"|(?:could|can|would|will) you\b(?: please)?\s*|i (?:want|would like|need) you to\s|i'd like you to\s"
    r"|let us\s|let's\s|i (?:think|believe|guess)(?: that)?\s"
    r"|(?:how|what) about\s"
    r"|(?:i|we) (?:want|would like|wish|need)(?: to(?= \w))?\s(?=\S)|(?:i|we)'d (?:like|love)(?: to)?\s|try to\s"
    r"|you (?:should|could|can)\s|in (?:this|the) (?:picture|image|scene|layout)\b[ ,]*)"
)
POLITE_END = re.compile(r"(?:[ ,]+(?:please|thanks|thank you|instead|for me|if possible|if you can))+$")
REMOVED = re.compile(rf"(?:{VERBS['remove']}) (?P<what>.+)")
APART = re.compile(r"^(take|throw|clear|cut|wipe) (.+) (away|out)$")  # "take the lamp away"
_THERE = r"(?:(?:at|in|into) (?:its|their|his|her|that|the same) (?:place|stead|spot|position)|there"
_THERE += r"|where (?:it|they) (?:is|are|was|were|stood|sat))"
IN_ITS_PLACE = re.compile(
    rf"(?:{ADDING}) (?P<what>.+?) (?:{_THERE}(?: instead)?|instead)|{_THERE},? (?:{ADDING}) (?P<then>.+)"
    r"|(?:replace|substitute) (?:it|them|him|her) (?:with|by) (?P<other>.+)"
)
TURNED = re.compile(
    r"(?:rotate|flip|mirror|tilt|spin|lean|roll|invert)\b.*"
    r"|(?:turn|face) .+ (?:(?:by )?[\d.]+ ?(?:degrees?|°).*"
    r"|upside[ -]down|around|round|sideways|(?:anti-?|counter-?)?clockwise|on (?:its|their) (?:side|back|head)"
    r"|over|(?:to(?:wards?)? (?:the|its|their) )?(?:left|right)|to face .+|(?:a )?(?:quarter|half)[ -]turn)"
)
PARTICIPLES = {
    "added": "add", "removed": "remove", "deleted": "delete", "erased": "erase", "replaced": "replace",
    "swapped": "swap", "exchanged": "swap", "switched": "swap", "moved": "move", "shifted": "shift", "put": "put",
    "placed": "put", "turned": "turn", "changed": "change", "painted": "paint", "recoloured": "recolour",
    "recolored": "recolor", "coloured": "colour", "colored": "color", "made": "make", "transformed": "transform",
    "converted": "convert", "enlarged": "enlarge", "shrunk": "shrink", "scaled": "scale", "resized": "resize",
    "reduced": "reduce", "increased": "increase", "raised": "raise", "lowered": "lower", "lifted": "lift",
    "darkened": "darken", "lightened": "lighten", "duplicated": "duplicate", "substituted": "replace",
}  # fmt: skip
BE = re.compile(
    rf"(?P<target>(?!there\b).+?) (?:{_OUGHT} (?:be|become|look|appear|turn|get|go)"
    r"|becomes?|to (?:be|become|look)|will be) (?P<to>.+)"
)
_NUMBER = _either([*(word for word in NUMBERS if word.isalpha() and 0 < NUMBERS[word] <= 30), "exactly", "only"])
THERE_ARE = re.compile(
    rf"there (?:should|must|shall|needs? to|has to|ought to) (?:now )?be (?:exactly |only )?"
    rf"(?:(?P<number>an?|{_NUMBER}|\d+) )?(?P<what>.+)"
)
TRADE_PLACES = re.compile(
    rf"(?:let |make |have )?(?P<who>.+?)(?: {_OUGHT})? (?:swap|switch|exchange|trade|change|changing)"
    r"(?: their)? (?:places|positions|seats|spots|locations)(?: with (?:each other|one another))?"
)
OPENING = re.compile(r"(?:instead of|in place of|in lieu of|rather than) [^,]+")
_OLD = r"(?P<old>.+)"
_PLACE_OF = r"(?:instead of|in (?:the )?place of|in lieu of|rather than)"
INSTEAD = (
    re.compile(rf"{_PLACE_OF} (?P<old>[^,]+?),? (?:{_either(ADDING.split('|'))}|there should be) (?P<new>.+)"),
    re.compile(rf"(?P<new>.+?),? {_PLACE_OF} {_OLD}"),
    re.compile(rf"(?:{_either(ADDING.split('|'))}) (?P<new>.+?) (?:in|at|into) {_OLD}'s? (?:place|stead|spot)"),
    re.compile(
        rf"(?:{_either(ADDING.split('|'))}) (?P<new>an? .+?) where (?P<old>.+?) (?:is|was|are|were|stands|sits)"
    ),
)
