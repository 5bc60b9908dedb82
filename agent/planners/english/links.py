"""Where a parsed sentence speaks of how things lie to each other: phrases, what they hang from and what they lead to."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from agent.planners.english import words as w
from agent.planners.english.parser import Parsed, is_noun
from instdiff.world.predicates import Predicate

if TYPE_CHECKING:
    from spacy.tokens import Token



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
    for phrase in _sorts():
        words = phrase.split()
        longest[words[0]] = max(len(words), longest.get(words[0], 0))
    return longest


def phrases_of(parsed: Parsed) -> Iterator[Phrase]:
    """The phrases of relation in a text, the longest at each place, none over another."""
    sorts = _sorts()
    longest = _longest()
    names = parsed.names
    at = 0
    while at < len(names):
        for length in range(min(longest.get(names[at], 0), len(names) - at), 0, -1):
            words = " ".join(names[at : at + length])
            sort = sorts.get(words)
            if sort and (length > 1 or _is_preposition(parsed.doc[at], sort)):
                yield Phrase(at, at + length, words, sort)
                at += length - 1
                break
        at += 1


def _is_preposition(token: Token, sort: str) -> bool:
    """True for a lone word that stands for a relation here: no infinitive's "to", no particle, no "by" of an agent."""
    if sort == "mutual":
        return True
    if sort == "around":
        return token.pos_ == "ADP"
    if token.dep_ == "aux" or token.dep_ == "agent" or token.dep_ == "mark" and token.pos_ == "SCONJ":
        return False
    if token.dep_ in ("prt", "compound") and not any(child.dep_ == "pobj" for child in token.children):
        following = token.doc[token.i + 1] if token.i + 1 < len(token.doc) else None
        leads = following is not None and following.pos_ in ("DET", "NUM", "ADJ", "NOUN", "PROPN")
        return leads and token.lower_ not in w.WEAK
    return token.pos_ in ("ADP", "ADV", "SCONJ", "PART", "ADJ", "VERB")


def objects_of(parsed: Parsed, phrase: Phrase) -> list[Token]:
    """The heads of what a phrase leads to, "the cat and the dog" both."""
    doc = parsed.doc
    inside = range(phrase.start, phrase.end)
    found = [
        child
        for i in reversed(inside)
        for child in doc[i].children
        if child.i >= phrase.end
        and child.dep_ in ("pobj", "pcomp", "dobj", "attr", "npadvmod")
        and child.pos_ not in ("VERB", "ADJ")
    ]
    if not found:
        found = [token for token in doc[phrase.end : phrase.end + 8] if _begins_object(token, phrase.end)][:1]
    return [token for first in found[:1] for token in (first, *conjuncts(first))]


def _begins_object(token: Token, start: int) -> bool:
    """True for the first noun after a phrase that the parser did not bind to it, before any verb or comma."""
    if not (is_noun(token) or token.pos_ == "PRON") or token.dep_ == "compound":
        return False
    between = token.doc[start : token.i]
    return all(t.pos_ in ("DET", "ADJ", "NUM", "NOUN", "PROPN", "ADV", "PRON", "ADP") for t in between)


def conjuncts(token: Token) -> list[Token]:
    """What "and" joins to a token after it, as far as these are nouns or pronouns."""
    found = []
    for child in token.rights:
        if child.dep_ in ("conj", "appos") and (is_noun(child) or child.pos_ == "PRON"):
            found += [child, *conjuncts(child)]
    return found


def anchor_of(parsed: Parsed, phrase: Phrase) -> Token | None:
    """The noun, verb or auxiliary that a phrase hangs from; None where nothing is before it."""
    token = parsed.doc[phrase.start]
    seen = set()
    while token.i not in seen:
        seen.add(token.i)
        head = token.head
        if head == token:
            return None if phrase.start <= token.i < phrase.end else token
        token = head
        if phrase.start <= token.i < phrase.end:
            continue
        if is_noun(token) or token.pos_ in ("VERB", "AUX", "PRON"):
            return token
    return None


def subject_of(verb: Token) -> Token | None:
    """The noun whose doing a verb is: its subject, the noun it describes, or the subject of the verb it is joined to."""
    seen = set()
    token = verb
    while token.i not in seen:
        seen.add(token.i)
        for child in token.children:
            if child.dep_ in ("nsubj", "nsubjpass"):
                if child.tag_ in ("WDT", "WP", "WP$") and token.dep_ == "relcl":
                    return token.head
                return child
        if token.dep_ in ("acl", "relcl"):
            return token.head
        if any(child.dep_ == "expl" for child in token.children):
            return next((child for child in token.children if child.dep_ in ("attr", "dobj", "nsubj")), None)
        if token.dep_ in ("conj", "xcomp", "advcl", "ccomp", "dep", "pcomp", "prep", "parataxis", "acomp", "amod"):
            token = token.head
            if is_noun(token):
                return token
            continue
        return None
    return None


def clause_verb(token: Token) -> Token | None:
    """The nearest verb above a token."""
    while token.head != token:
        token = token.head
        if token.pos_ in ("VERB", "AUX"):
            return token
    return token if token.pos_ in ("VERB", "AUX") else None


def place_on_picture(parsed: Parsed, phrase: Phrase) -> tuple[tuple[Predicate, ...], int] | None:
    """ "On the left", "in the top right corner (of the picture)": the places, and the token that they end before.

    None where the phrase says no place of the picture: "on the left of the dog".
    """
    names = parsed.names
    at = (
        phrase.end
        if phrase.words in ("on", "in", "at", "to", "into", "near", "from", "towards", "toward", "along")
        else phrase.start
    )
    if at == phrase.start:
        return None
    while at < len(names) and names[at] in ("the", "far", "very", "its", "a", "right-hand", "-", "'s", "viewer"):
        at += 1
    places: list[Predicate] = []
    while at < len(names) and names[at] in w.SIDES:
        places += w.SIDES[names[at]]
        at += 1 + (
            at + 1 < len(names)
            and names[at + 1] in ("-", "and")
            and names[at + 2 : at + 3] != []
            and names[at + 2] in w.SIDES
        )
    if not places:
        return None
    while at < len(names) and names[at] in w.SIDE_NOUNS | {"-"}:
        at += 1
    if at < len(names) and names[at] == "of":
        rest = names[at + 1 : at + 4]
        if not any(word in w.PICTURE_WORDS for word in rest):
            return None
        at += 1 + next(n for n, word in enumerate(rest) if word in w.PICTURE_WORDS) + 1
    elif at < len(names) and (is_noun(parsed.doc[at]) or parsed.doc[at].pos_ in ("ADJ", "DET")):
        return None  # "on the top shelf"
    return tuple(dict.fromkeys(places)), at
