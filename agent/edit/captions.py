"""Captions before and after an edit: "a grey sofa" -> "a red sofa", "a cat on the sofa" -> "a cat"."""

from __future__ import annotations

import re
from collections.abc import Iterator

from agent.planners.grammar.vocabulary import ADJECTIVES, COLOURS, RELATIONS
from instdiff.world import nouns
from instdiff.world.nouns import ARTICLES, NUMBERS, with_article
from instdiff.world.scene import Predicate

OPPOSED = ({"large", "big", "huge", "giant", "tall"}, {"small", "little", "tiny", "short"})
_DETERMINER = "|".join(sorted((*ARTICLES, *NUMBERS), key=len, reverse=True))
_ADJECTIVE = "|".join(sorted(ADJECTIVES))
_PLACE = re.compile(
    r"\s+(?:on|at|in|to) the (?:far |very )?(?:(?:upper|lower|top|bottom)["
    r" -])?(?:left|right|top|bottom|middle|cent(?:er|re))\b"
    r"(?! of the (?!picture|image|scene|photo))(?: side| half| corner)?(?: of the (?:picture|image|scene|photo))?"
)
_RELATION = "|".join(sorted(RELATIONS, key=len, reverse=True))


def described(caption: str, words: list[str]) -> str:
    """A caption with other adjectives: a new colour takes the place of the old one, a size that of its opposite."""
    head = nouns.resolve(caption)
    gone = set(COLOURS) | {"and"} if COLOURS & set(words) else set()
    gone |= next((other | {word} for word in words for one, other in (OPPOSED, OPPOSED[::-1]) if word in one), set())
    tokens = caption.split()
    if tokens[:1] and tokens[0].lower() in ARTICLES:
        tokens = tokens[1:]
    noun = len(tokens)
    if head and (found := re.search(rf"\b{re.escape(head.singular)}\b", " ".join(tokens).lower())):
        noun = len(" ".join(tokens)[: found.start()].split())
    kept = [word for word in tokens[:noun] if word.lower().strip(",") not in gone and word.lower() not in words]
    sizes = [word for word in (*words, *kept) if word in OPPOSED[0] | OPPOSED[1]]  # they come first: "a large red car"
    return with_article(" ".join([*sizes, *(word for word in (*words, *kept) if word not in sizes), *tokens[noun:]]))


def without(caption: str, thing: str, category: str, left: int) -> str:
    """The scene's caption without one thing; ``left`` of its kind stay. As it was if the thing is not named."""
    found = _phrase(caption, thing, category)
    if not found:
        return caption
    start, end = found.span()
    number = NUMBERS.get((found["determiner"] or "").lower(), 1)
    if number > 1:
        fewer = next((word for word, n in NUMBERS.items() if n == left), str(left))
        one = found["adjectives"] + nouns.singular_of(found["noun"])
        words = f"{fewer} {found['adjectives']}{found['noun']}" if left > 1 else with_article(one)
        return _tidy(caption[:start] + (words if left else "") + caption[end:])
    before = re.search(rf"(?:,|\band\b|\bwith\b|\b(?:{_RELATION})\b)\s*$", caption[:start], re.IGNORECASE)
    after = re.match(rf"\s*(?:,|\band\b|\b(?:{_RELATION})\b)\s*", caption[end:], re.IGNORECASE)
    if before:
        start = before.start()
    elif after:
        end += after.end()
    return _tidy(caption[:start] + caption[end:]) or caption


def instead(caption: str, thing: str, category: str, new: str) -> str:
    """The scene's caption with one thing called otherwise; as it was if it is not named."""
    found = _phrase(caption, thing, category)
    if not found or NUMBERS.get((found["determiner"] or "").lower(), 1) > 1:
        return caption
    if found["determiner"] and found["determiner"].lower() not in (
        "a",
        "an",
        "one",
    ):  # "the grey sofa" -> "the red sofa"
        new = f"{found['determiner']} {new.split(' ', 1)[-1]}"
    return _tidy(caption[: found.start()] + new + caption[found.end() :])


def unsaid(caption: str, predicate: Predicate, subject: tuple[str, str], target: tuple[str, str] | None) -> str:
    """The scene's caption without a relation that holds no more: "a cat on the sofa" -> "a cat and the sofa".

    ``subject`` and ``target`` are (caption, category); without a target it is a part of the picture, "on the left".
    """
    if target is None:
        for found in _phrases(caption, *subject):
            if place := _PLACE.match(caption[found.end() :]):
                return _tidy(caption[: found.end()] + caption[found.end() + place.end() :])
        return caption
    hows = "|".join(
        sorted((re.escape(how) for how, meant in RELATIONS.items() if meant is predicate), key=len, reverse=True)
    )
    for found in _phrases(caption, *target):
        if how := re.search(rf"\b(?:{hows})\s+$", caption[: found.start()], re.IGNORECASE):
            return _tidy(f"{caption[: how.start()]}and {caption[found.start() :]}")
    return caption


def plus(caption: str, words: str) -> str:
    """The scene's caption with something added."""
    return f"{caption.rstrip(' .,;')}, {words}" if caption.strip() else words


def _phrase(caption: str, thing: str, category: str) -> re.Match | None:
    """Where the caption names a thing: the phrase whose adjectives fit best, the first of equals."""
    said = set(re.findall(r"[\w-]+", thing.lower()))
    found = list(_phrases(caption, thing, category))
    fits = [match for match in found if set(re.findall(r"[\w-]+", match["adjectives"].lower())) - {"and"} <= said]
    return max(fits, key=lambda match: len(match["adjectives"]), default=None)


def _phrases(caption: str, thing: str, category: str) -> Iterator[re.Match]:
    head = nouns.resolve(thing)
    for noun in dict.fromkeys([*([head.singular] if head else []), category]):
        forms = "|".join(sorted({re.escape(noun), re.escape(nouns.plural_of(noun))}, key=len, reverse=True))
        pattern = rf"(?:\b(?P<determiner>{_DETERMINER})\s+)?(?P<adjectives>(?:\b(?:{_ADJECTIVE})\b(?:\s+and\b|,)?\s+)*)\b(?P<noun>{forms})\b"
        yield from re.finditer(pattern, caption, re.IGNORECASE)


def _tidy(text: str) -> str:
    text = re.sub(r"\s+([,.;])", r"\1", " ".join(text.split()))
    return re.sub(r"^(?:and|with|,)\s+|(?:\s+(?:and|with)|,)$", "", re.sub(r",(?=[,.;])", "", text)).strip(" ,")
