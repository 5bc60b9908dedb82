"""What the words of a prompt say is absent, and which of them say so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.planners.english import words as w
from agent.planners.english.mentions import Mention
from agent.planners.english.parser import lemma_of
from instdiff.world import nouns

if TYPE_CHECKING:
    from spacy.tokens import Token

    from agent.planners.english.groups import Naming


def negation_start(naming: Naming, token: Token, mention: Mention) -> int | None:
    """The token that the words begin with which say that a thing is absent; None where it is there."""
    names = naming.parsed.names
    if mention.determiner == "no":
        return _with_joints(names, mention.start)
    counted = naming.mentions.get(token.head.head.i) if token.head.lower_ == "of" else None
    if counted and nouns.singular_of(names[counted.at]) in nouns.COLLECTIVES:  # "without any pairs of shoes"
        return negation_start(naming, token.head.head, counted)
    first = _first_listed(naming, token, mention)
    if first != token and negation_start(naming, first, naming.mentions[first.i]) is not None:
        return _with_joints(names, mention.start)
    if names[mention.start - 1] in ("except", "but") and w.NOTHING & set(names[: mention.start]):
        return None  # "nothing but a lamp"
    verb = token.head
    if token.dep_ in ("dobj", "attr", "nsubj", "nsubjpass") and lemma_of(verb) in w.NEGATED:
        if lemma_of(verb) in w.LACK or any(child.dep_ == "neg" for child in verb.children):
            return min(t.i for t in (verb, *verb.children) if t.dep_ in ("neg", "aux") or t == verb)
    for length in (1, 2):
        start = max(mention.start - length, 0)
        if " ".join(names[start : mention.start]) in w.WITHOUT:
            return start
    return None


def _first_listed(naming: Naming, token: Token, mention: Mention) -> Token:
    """The head of the list that goes on with a thing: what is absent there is absent here."""
    joints = {"or", "nor"} if mention.determiner in ("a", "number", "the") else {"or", "nor", "and", ","}
    while token.dep_ in ("conj", "appos") and token.head.i in naming.mentions:
        start = naming.mentions[token.i].start
        end = max((m.at for m in naming.mentions.values() if m.at < start), default=-1)
        if not joints & set(naming.parsed.names[end + 1 : start]):
            break
        token = token.head
    return token


def _with_joints(names: list[str], start: int) -> int:
    """The start of "and with no" before a thing."""
    while start > 0 and names[start - 1] in w.NEGATION_JOINTS:
        start -= 1
    return start
