"""Where a parsed text says how things lie to each other: phrases, what they hang from and what they lead to."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from agent.planners.english import words as w
from agent.planners.english.parser import Parsed, is_noun
from instdiff.world.predicates import Predicate

if TYPE_CHECKING:
    from spacy.tokens import Token

VERBS = ("VERB", "AUX")
BEGINNINGS = ("DET", "ADJ", "NUM", "NOUN", "PROPN")  # of a noun phrase
OBJECTS = ("pobj", "pcomp", "dobj", "attr", "npadvmod")


class Phrase(NamedTuple):
    """A phrase of relation, tokens ``start`` up to ``end``. ``sort`` is the table that it is of."""

    start: int
    end: int
    words: str
    sort: str


@cache
def _sorts() -> dict[str, str]:
    tables: dict[str, Collection[str]] = {
        "relation": w.RELATIONS,
        "reversed": w.REVERSED,
        "compared": w.COMPARED,
        "surrounded": w.SURROUNDED,
        "between": w.BETWEEN,
        "around": w.AROUND,
        "made": w.MADE,
        "mutual": w.MUTUAL,
        "row": w.IN_ROW,
        "order": w.ROWS,
    }
    return {phrase: sort for sort, table in tables.items() for phrase in table}


@cache
def _longest() -> dict[str, int]:
    """How many words the longest phrase has that begins with a word."""
    longest: dict[str, int] = {}
    for first, *others in map(str.split, _sorts()):
        longest[first] = max(1 + len(others), longest.get(first, 0))
    return longest


def phrases_of(parsed: Parsed) -> Iterator[Phrase]:
    """The phrases of relation in a text, the longest at each place, none over another."""
    names = parsed.names
    at = 0
    while at < len(names):
        for end in range(min(at + _longest().get(names[at], 0), len(names)), at, -1):
            words = " ".join(names[at:end])
            sort = _sorts().get(words)
            if sort and (end > at + 1 or _is_preposition(parsed.doc[at], sort)):
                yield Phrase(at, end, words, sort)
                at = end - 1
                break
        at += 1


def _is_preposition(token: Token, sort: str) -> bool:
    """True for a lone word that stands for a relation here: no infinitive's "to", no particle, no "by" of an agent."""
    if sort in ("mutual", "around"):
        return sort == "mutual" or token.pos_ == "ADP"
    if token.dep_ in ("aux", "agent") or token.dep_ == "mark" and token.pos_ == "SCONJ":
        return False
    if token.dep_ in ("prt", "compound") and all(child.dep_ != "pobj" for child in token.children):
        leads = any(following.pos_ in BEGINNINGS for following in token.doc[token.i + 1 : token.i + 2])
        return leads and token.lower_ not in w.WEAK
    return token.pos_ in ("ADP", "ADV", "SCONJ", "PART", "ADJ", "VERB")


def objects_of(parsed: Parsed, phrase: Phrase) -> list[Token]:
    """The heads of what a phrase leads to, "the cat and the dog" both."""
    bound = (
        child
        for token in reversed(parsed.doc[phrase.start : phrase.end])
        for child in token.children
        if child.i >= phrase.end and child.dep_ in OBJECTS and child.pos_ not in ("VERB", "ADJ")
    )
    near = (token for token in parsed.doc[phrase.end : phrase.end + 8] if _begins_object(token, phrase.end))
    first = next(bound, None) or next(near, None)
    return [first, *conjuncts(first)] if first is not None else []


def _begins_object(token: Token, start: int) -> bool:
    """True for the first noun after a phrase that the parser did not bind to it, before any verb or comma."""
    if not (is_noun(token) or token.pos_ == "PRON") or token.dep_ == "compound":
        return False
    return all(before.pos_ in (*BEGINNINGS, "ADV", "PRON", "ADP") for before in token.doc[start : token.i])


def conjuncts(token: Token) -> list[Token]:
    """What "and" joins to a token after it, as far as these are nouns or pronouns."""
    joined = [child for child in token.rights if child.dep_ in ("conj", "appos")]
    named = [child for child in joined if is_noun(child) or child.pos_ == "PRON"]
    return [noun for child in named for noun in (child, *conjuncts(child))]


def anchor_of(parsed: Parsed, phrase: Phrase) -> Token | None:
    """The noun, verb or auxiliary that a phrase hangs from; None where nothing is before it."""
    above = (token for token in parsed.doc[phrase.start].ancestors if not phrase.start <= token.i < phrase.end)
    return next((token for token in above if is_noun(token) or token.pos_ in (*VERBS, "PRON")), None)


def subject_of(verb: Token) -> Token | None:
    """The noun that does what a verb says: its subject, the noun it describes, or the subject of the verb above."""
    for token in (verb, *verb.ancestors):
        if token != verb and is_noun(token):
            return token
        subject = next((child for child in token.children if child.dep_ in ("nsubj", "nsubjpass")), None)
        if subject is not None and subject.tag_ not in ("WDT", "WP", "WP$"):
            return subject
        if token.dep_ in ("acl", "relcl"):
            return token.head
        if any(child.dep_ == "expl" for child in token.children):  # "there is a dog"
            return next((child for child in token.children if child.dep_ in ("attr", "dobj")), None)
    return None


def clause_verb(token: Token) -> Token | None:
    """The nearest verb above a token, or the verb that is above all."""
    return next((verb for verb in (*token.ancestors, token) if verb.pos_ in VERBS), None)


def place_on_picture(parsed: Parsed, phrase: Phrase) -> tuple[tuple[Predicate, ...], int] | None:
    """ "On the left", "in the top right corner (of the picture)": the places, and the token that they end before.

    None where the phrase says no place of the picture: "on the left of the dog".
    """
    names = parsed.names
    start = _skip(names, phrase.end, w.BEFORE_SIDES)
    end = _skip(names, start, {*w.SIDES, "-", "and"})
    places = tuple(dict.fromkeys(place for name in names[start:end] for place in w.SIDES.get(name, ())))
    if phrase.words not in w.TO_PLACES or not places:
        return None
    end = _skip(names, end - (names[end - 1] == "and"), w.SIDE_NOUNS | {"-"})
    if names[end : end + 1] == ["of"]:
        end = next((i + 1 for i in range(end + 1, min(end + 4, len(names))) if names[i] in w.PICTURE_WORDS), 0)
        return (places, end) if end else None
    leads = any(is_noun(token) or token.pos_ in ("ADJ", "DET") for token in parsed.doc[end : end + 1])
    return None if leads else (places, end)  # no place: "on the top shelf"


def _skip(names: list[str], at: int, words: Collection[str]) -> int:
    """The first place from one on with none of these words."""
    return next((i for i in range(at, len(names)) if names[i] not in words), len(names))
