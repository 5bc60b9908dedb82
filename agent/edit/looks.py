"""What words say of how a thing looks: "dark blue", "slightly darker", "made of wood"; other words are refused."""

from __future__ import annotations

import re

from agent.planners.english.parser import is_adjective, small_words
from agent.planners.english.words import ADJECTIVES, COLOURS, PHYSICAL, SHADES
from instdiff.errors import BadInput
from instdiff.world import nouns
from instdiff.world.knowledge import BASIC_COLOURS, COLOUR_SYNONYMS

_KNOWN = ADJECTIVES | PHYSICAL | SHADES | {*BASIC_COLOURS, *COLOUR_SYNONYMS}
_UNSAID = frozenset(
    "in entirely completely fully totally all a an the colour color coloured colored of made out look looks looking "
    "more shade hue tone tint pattern like be become becomes appear to into as it being".split()
)
_NO_LOOKS = frozenset("sideways left right upright top bottom middle north south east west next".split())
_DEGREES = {"slightly": "slightly", "somewhat": "slightly", "much": "very", "considerably": "very", "way": "very"}
_DEGREES |= {"significantly": "very", "far": "very"}
_DEGREE_PHRASES = re.compile(r"\ba (?:little bit|bit|little|tad|touch)\b"), re.compile(r"\ba (?:whole )?lot\b")
_INTENSE = frozenset("very really quite rather extremely fairly".split())

_PATTERNS = {"stripes": "striped", "polka dots": "polka-dotted", "dots": "dotted", "spots": "spotted"}
_PATTERNS |= {"checks": "checkered", "squares": "checkered", "flecks": "flecked", "speckles": "speckled"}
_COLOUR = rf"(?:{'|'.join(sorted({*BASIC_COLOURS, *COLOUR_SYNONYMS, *SHADES}))})"
_PATTERN = re.compile(
    rf"\b(?:with |in )?(?:an? )?(?:(?P<colours>{_COLOUR}(?:(?: and|,) {_COLOUR})*) )?"
    rf"(?P<pattern>{'|'.join(_PATTERNS)}|stripe|spot)$"
)


def patterned(words: str) -> str:
    """Words with a pattern as an adjective: "with red and white stripes" -> "red-and-white-striped"."""
    said = _PATTERN.search(words)
    if not said:
        return words
    colours = re.split(r"(?: and|,) ", said["colours"]) if said["colours"] else []
    look = "-".join([*("-and-".join(colours).split()), _PATTERNS[f"{said['pattern'].removesuffix('s')}s"]])
    return f"{words[: said.start()]}{look}"


def is_pattern(noun: str) -> bool:
    """Whether a noun is a pattern that a thing has, and no thing: "stripe"."""
    return nouns.plural_of(noun) in _PATTERNS


def looks_of(words: str) -> list[str]:
    """The adjectives that words say, in their order: "a bit darker" -> ["slightly", "dark"].

    Raises:
        BadInput: a word is no adjective that is known, or none is there.
    """
    looks: list[str] = []
    unknown: list[str] = []
    little, much = _DEGREE_PHRASES
    for word in re.sub(r"[,;]", " ", much.sub("much", little.sub("slightly", patterned(words)))).split():
        if word in _DEGREES or word in _INTENSE:
            looks.append(_DEGREES.get(word, word))
        elif word in _UNSAID:
            continue
        elif (look := look_of(word)) is not None:
            looks.append(look)
        else:
            unknown.append(word)
    if unknown:
        names = " ".join(unknown)
        raise BadInput("edit", f'"{names}" of "{words}" was not understood; say a size or a look, "larger" or "red"')
    if not looks or looks[-1] in (*_DEGREES.values(), *_INTENSE):
        raise BadInput("edit", f'"{words}" says no size or look; say it like "larger" or "red"')
    return looks


def are_looks(words: str) -> bool:
    """True if words say nothing but how a thing looks."""
    try:
        return bool(looks_of(words))
    except BadInput:
        return False


def is_paint(words: str) -> bool:
    """True if words say colours or a pattern, with which a thing can be painted: "red stripes"."""
    plain = patterned(words)
    said = {*re.split(r"[\s,]+", plain)} - _UNSAID - {"and"}
    return plain != words or bool(said) and said <= COLOURS | SHADES


def look_of(word: str) -> str | None:
    """The adjective that a word is a form of: "darker" -> "dark", "shinier" -> "shiny"; None for other words."""
    if word in _KNOWN:
        return _as_adjective(word)
    if word in _NO_LOOKS or word in small_words() or not re.fullmatch(r"[a-z]+(?:-[a-z]+)*", word):
        return None
    if word.endswith("er") and len(word) > 4:  # "redder", "shinier", "paler", "darker"
        stem = word.removesuffix("er")
        for base in (re.sub(r"i$", "y", stem), re.sub(r"([bdgmnpt])\1$", r"\1", stem), f"{stem}e", stem):
            if base in _KNOWN or is_adjective(base):
                return base
    parts = word.split("-")
    if is_adjective(word) or len(parts) > 1 and (parts[-1] in ("coloured", "colored") or look_of(parts[-1])):
        return word
    return None


def _as_adjective(word: str) -> str:
    return {"wood": "wooden", "wool": "woolen"}.get(word, word)


def colours_of(caption: str) -> list[str]:
    """The words of a caption that give its thing a colour."""
    words = nouns.phrase_words(caption)[:-1]
    return [word for word in words if word in COLOURS or word in SHADES]
