"""How much: "twice as large", "1.5 times", "by 20 %", "slightly". Factors are of lengths."""

from __future__ import annotations

import re
from typing import NamedTuple

from instdiff.errors import BadInput
from instdiff.world.nouns import NUMBERS

LITTLE = re.compile(
    r"\b(?:(?:just )?(?:a|one|a very|a wee|a tiny) (?:little bit|bit|little|tad|touch|hair|fraction)"
    r"|(?:very |just |ever so )?(?:slightly|marginally|gently|somewhat))\b"
)
MUCH = re.compile(
    r"\b(?:far|much|a (?:whole )?lot|all the way|way|considerably|significantly|substantially|greatly"
    r"|a (?:great|good) deal|drastically|dramatically|very|really)\b"
)
STEP = 1.3  # "larger", where no more is said
LITTLE_STEP = 1.15
LARGE_STEP = 1.7
FACTORS = (0.05, 20.0)  # what is asked for at least and at most

_LARGER = "larger bigger huger greater large big huge giant enormous massive gigantic size"
_SMALLER = "smaller tinier littler small tiny little miniature mini"
_TALLER = "taller tall high"
_SHORTER = "shorter short"
_WIDER = "wider wide broader broad longer long fatter thicker"
_NARROWER = "narrower narrow thinner thin slimmer slim"
_SHRINKING = frozenset(f"{_SMALLER} {_SHORTER} {_NARROWER}".split())
_UPWARD = frozenset(f"{_TALLER} {_SHORTER}".split())
_ACROSS = frozenset(f"{_WIDER} {_NARROWER}".split())
_EXTREME = frozenset("huge giant enormous massive gigantic tiny miniature mini".split())
_SIZE = "|".join(f"{_LARGER} {_SMALLER} {_TALLER} {_SHORTER} {_WIDER} {_NARROWER}".split())
_SIDED = "|".join(f"{_TALLER} {_SHORTER} {_WIDER} {_NARROWER}".split())
_WORDED = {"one and a half": 1.5, "two and a half": 2.5, "1 1/2": 1.5}
_WORDED |= {word: float(number) for word, number in NUMBERS.items() if 0 < number <= 10 and " " not in word}
_NUMBER = rf"(?:\d+(?:[.,]\d+)?|{'|'.join(sorted(_WORDED, key=len, reverse=True))})"
_TIMES = {"twice": 2.0, "double": 2.0, "triple": 3.0, "thrice": 3.0, "quadruple": 4.0, "half": 0.5}
_PARTS = {"half": 1 / 2, "third": 1 / 3, "quarter": 1 / 4, "fifth": 1 / 5, "tenth": 1 / 10}
_PARTS_OF = {f"{article} {part}": share for part, share in _PARTS.items() for article in ("a", "one")}
_PARTS_OF |= {"two thirds": 2 / 3, "three quarters": 3 / 4, "three fourths": 3 / 4}
_MULTIPLE = rf"(?:(?P<times>{_NUMBER}) ?(?:x|times)|(?P<word>{'|'.join((*_TIMES, *_PARTS_OF))})(?: of)?)"
_OWN_SIZE = (
    r"(?:(?:its|their|his|her|the) (?:(?:current|original|present|usual|normal|previous|old) )?(?P<side>size|width|"
    r"height|length)(?: of (?P<other>the .+))?)"
)
_MULTIPLE_SIZE = re.compile(rf"{_MULTIPLE} (?:as |the )*(?P<size>{_SIZE})(?: as (?P<other>.+))?")
_MULTIPLE_OWN = re.compile(rf"(?:to )?(?:{_MULTIPLE}|(?P<percent>{_NUMBER}) ?(?:%|percent)(?: of)?)(?: {_OWN_SIZE})?")
_SHARE = re.compile(
    rf"(?:by )?(?:(?P<percent>{_NUMBER}) ?(?:%|percent)|(?:a |one )?(?P<part>{'|'.join(_PARTS)}))"
    rf" (?P<size>(?:{_SIZE})(?<=er))"
)
_LIKE = re.compile(
    rf"(?:to )?(?:(?:just |about |exactly )?as (?P<size>{_SIZE}) as"
    r"|(?:to |of )?the (?:same )?(?P<side>size|height|width) (?:as|of)) (?P<other>.+)"
)
_THAN = re.compile(rf"(?P<size>{_SIZE}) than (?P<other>.+)")
_PLAIN = re.compile(rf"(?P<size>{_SIZE})")
_AS_BEFORE = re.compile(
    r" (?:than|as) (?:(?:it|they) (?:is|are|was|were)(?: right)?(?: now| before)?|now|before|currently|at present"
    r"|(?:the|its) original(?: size)?)$"
)
_SIZE_BY = re.compile(rf"(?P<size>{_SIZE}) (?P<by>by .+)")
_BY = re.compile(rf"by (?:a factor of )?(?P<times>{_NUMBER})(?: ?(?:x|times))?|(?P<plain>{_NUMBER}) ?(?:x|times)")
_PIXELS = r"(?P<pixels>\d+(?:\.\d+)?) ?(?:px|pixels?)"
_BY_PIXELS = re.compile(rf"by {_PIXELS}")
_MORE_PIXELS = re.compile(rf"(?:by )?{_PIXELS} (?P<size>(?:{_SIDED})(?<=er))")
_TO_PIXELS = re.compile(rf"(?:to )?{_PIXELS} (?P<size>tall|high|wide|broad|long)")
_TO_SIDES = re.compile(r"(?:to )?(?P<width>\d+)(?: ?px)? ?(?:x|×|by) ?(?P<height>\d+) ?(?:px|pixels)?")
_BY_SHARE = re.compile(rf"(?:by )?(?P<share>{_NUMBER} ?(?:%|percent)|(?:a |one )?(?:{'|'.join(_PARTS)}))")


class Growth(NamedTuple):
    """How a thing changes its size: ``factor`` of both sides of its box, or of the width or the height alone.

    With ``other`` it is a factor of the size of that thing: 1 is as large. With ``at_least`` the thing is to be larger
    (smaller, where the factor is below 1) than the other one, and changes by the factor at least. With ``pixels`` these
    are the width and height that it gets, or ``is_more`` than it has; 0 is a side that stays.
    """

    factor: float
    side: str = ""  # "width", "height" or both
    other: str = ""
    at_least: bool = False
    pixels: tuple[float, float] = (0.0, 0.0)
    is_more: bool = False


def growth_of(words: str) -> Growth | None:
    """What words such as "1.5 times larger", "half its size", "slightly smaller" or "as large as the dog" ask for.

    Returns:
        None where the words speak of no size.

    Raises:
        BadInput: the factor is out of bounds.
    """
    words = _AS_BEFORE.sub("", " ".join(words.split()))
    plain = _without_degrees(words)
    if by := _SIZE_BY.fullmatch(plain):
        plain = changed_by(by["by"], grows=True).replace("larger", by["size"])
    if in_pixels := _in_pixels(plain):
        return in_pixels
    if like := _LIKE.fullmatch(plain):
        return _sided(like["size"] or {"height": "tall", "width": "wide"}.get(like["side"], "size"), 1.0, like["other"])
    if share := _SHARE.fullmatch(plain):
        part = _number(share["percent"]) / 100 if share["percent"] else _PARTS[share["part"]]
        return _sided(share["size"], max(1 - part, FACTORS[0]) if share["size"] in _SHRINKING else 1 + part)
    if of_other := _MULTIPLE_SIZE.fullmatch(plain):
        factor = _factor(of_other)
        is_smaller = of_other["size"] in _SHRINKING
        factor = 1 / factor if is_smaller and factor > 1 else factor
        return _sided(of_other["size"], factor, of_other["other"] or "")
    if own := _MULTIPLE_OWN.fullmatch(plain):
        size = {"height": "tall", "width": "wide", "length": "wide"}.get(own["side"] or "", "size")
        return _sided(size, _factor(own), own["other"] or "")
    if compared := _THAN.fullmatch(plain) or _PLAIN.fullmatch(plain):
        size = compared["size"]
        if size == "size":
            return None
        factor = LITTLE_STEP if LITTLE.search(words) else STEP
        factor = LARGE_STEP if MUCH.search(words) or size in _EXTREME else factor
        is_smaller = size in _SHRINKING
        growth = _sided(size, 1 / factor if is_smaller else factor, compared.groupdict().get("other") or "")
        return growth._replace(at_least=bool(growth.other))
    return None


def _in_pixels(words: str) -> Growth | None:
    """ "50 pixels taller", "300 px wide", "to 150 x 200 pixels"."""
    if sides := _TO_SIDES.fullmatch(words):
        return Growth(1.0, pixels=(float(sides["width"]), float(sides["height"])))
    said = _TO_PIXELS.fullmatch(words)
    more = _MORE_PIXELS.fullmatch(words)
    if not (match := said or more):
        return None
    is_less = match["size"] in _SHRINKING
    length = float(match["pixels"]) * (-1 if is_less else 1)
    is_upward = match["size"] in _UPWARD
    return Growth(1.0, pixels=(0.0, length) if is_upward else (length, 0.0), is_more=more is not None)


def changed_by(words: str, grows: bool) -> str:
    """What follows "enlarge it" or "shrink it" in the words of `growth_of`: "by a factor of 2" -> "2 times larger"."""
    size = "larger" if grows else "smaller"
    words = re.sub(r"^in size\s*|\s*in size$", "", words).strip()
    plain = re.sub(r"^by ", "", words)
    if not plain or not _without_degrees(re.sub(r"^a lot$", "much", plain)):
        return f"{plain} {size}".strip()
    if share := _BY_SHARE.fullmatch(words):
        return f"{share['share']} {size}"
    if pixels := _BY_PIXELS.fullmatch(words):
        return f"{pixels['pixels']} px {size}"
    if times := _BY.fullmatch(words):
        return f"{times['times'] or times['plain']} times {size}"
    return words


def _without_degrees(words: str) -> str:
    return " ".join(MUCH.sub(" ", LITTLE.sub(" ", words)).split())


def _factor(match: re.Match[str]) -> float:
    groups = match.groupdict()
    if groups.get("percent"):
        return _number(groups["percent"]) / 100
    if groups["times"]:
        return _number(groups["times"])
    word = groups["word"]
    return _TIMES.get(word) or _PARTS_OF[word]


def _number(text: str) -> float:
    return _WORDED.get(text) or float(text.replace(",", "."))


def _sided(size: str, factor: float, other: str = "") -> Growth:
    """A factor of the sides that a word is about."""
    least, most = FACTORS
    if not least <= factor <= most:
        raise BadInput("edit", f"a size changes by {least:g} to {most:g} times; {factor:g} is asked for")
    return Growth(factor, "height" if size in _UPWARD else "width" if size in _ACROSS else "", other)
