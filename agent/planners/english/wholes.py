"""What belongs together: parts and what they are of, containers and what is in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.planners.english import words as w
from agent.planners.english.asides import of_what
from agent.planners.english.mentions import Kind, Mention, governor
from agent.planners.english.parts import last_word
from instdiff.world import lexicon, nouns
from instdiff.world.predicates import Predicate

if TYPE_CHECKING:
    from spacy.tokens import Token

    from agent.planners.english.groups import Naming

FEW = 4  # how many things a bare plural in a container stands for


def stands_for(naming: Naming, token: Token, mention: Mention) -> int | None:
    """The token that a phrase is said of: the geese of "a flock of geese", the lavender of its "scent"; or None."""
    word = nouns.singular_of(naming.parsed.names[token.i])
    for target in of_what(naming, token)[:1]:
        other = naming.mentions[target.i]
        if word in nouns.COLLECTIVES or word in nouns.KINDS or word in nouns.PORTIONS and other.kind is Kind.THING:
            return target.i
        is_own = mention.kind is Kind.PART and (mention.noun in w.DETACHED or _is_alone(naming, token))
        if is_own or mention.kind not in (Kind.PART, Kind.UNSEEN):
            return None
        if other.kind in (Kind.THING, Kind.PART, Kind.UNSEEN):
            if mention.kind is Kind.UNSEEN:
                naming.drop(mention, mention.kind.value)
                if w.PHYSICAL & set(mention.adjectives) and mention.noun in w.LIKENESSES:
                    naming.extras[target.i] = f"of {_words(naming, mention)}"  # "the smooth shape of the pen"
            elif mention.adjectives:
                naming.extras[target.i] = f"with {_words(naming, mention)}"
            return target.i
    return None


def place_part(naming: Naming, token: Token, mention: Mention) -> None:
    """A part goes with what it belongs to; its looks go into the caption of that."""
    owners = owners_of(naming, token, mention)
    is_own = mention.noun in w.DETACHED or _is_alone(naming, token) and mention.determiner != "own"
    is_seen = not is_body(mention.noun) and lexicon.can_be_seen(mention.noun)
    if not owners and (is_own or is_seen) or is_own and any(child.lower_ == "of" for child in token.children):
        naming.of[token.i] = naming.name_things(token, mention)
        return
    naming.of[token.i] = owners
    words = _words(naming, mention)
    is_told = bool(mention.adjectives) and last_word(mention.noun) not in w.INNER_PARTS
    for group in (naming.reading.groups[index] for index in owners[-1:] if is_told):
        if words not in group.extra:
            group.add_extra(f"{'and' if 'with' in group.extra.split() else 'with'} {words}")
    naming.drop(mention, f"is a part {'and goes with what it belongs to' if owners else 'of nothing that is named'}")


def _words(naming: Naming, mention: Mention) -> str:
    return " ".join((*mention.adjectives, naming.parsed.names[mention.at])).replace(" ,", ",")


def _is_alone(naming: Naming, token: Token) -> bool:
    """True for the eyes of "the eyes of an owl": nothing that they may belong to is named before them."""
    if not is_body(naming.mentions[token.i].noun):
        return False
    return token.dep_ == "ROOT" or governor(token) == "of" and not any(naming.of.values())


def owners_of(naming: Naming, token: Token, mention: Mention) -> tuple[int, ...]:
    """The groups that a part belongs to."""
    if naming.of.get(mention.owner):
        return naming.of[mention.owner]
    before = naming.named_before(token)
    if before and last_word(mention.noun) in w.INNER_PARTS:  # "a fridge has cans on the top shelf"
        return naming.of[before[0]]
    if before and token.dep_ == "appos" and is_body(mention.noun):  # "an old man on the right, grey beard"
        return naming.of[before[-1]]
    first = token
    while first.dep_ in ("conj", "appos") and first.head.i < first.i:
        first = first.head
        part = naming.mentions.get(first.i)
        if part and part.kind is Kind.PART and naming.groups(first):
            return naming.groups(first)
    for head in list(first.ancestors) or [first]:
        if naming.groups(head) and head.i < token.i:
            return naming.groups(head)[-1:]
        subjects = [c for c in head.children if c.dep_ in ("nsubj", "nsubjpass") and naming.groups(c)]
        if head.pos_ == "VERB" and subjects and subjects[0] != token:
            return naming.groups(subjects[0])
    return naming.of[before[-1]] if before and governor(token) == "with" else ()


def fill(naming: Naming, token: Token, mention: Mention, host: int) -> None:
    """What a container holds: things where they can be counted, words in its caption where they cannot."""
    group = naming.reading.groups[host]
    for inside in of_what(naming, token):
        other = naming.mentions[inside.i]
        is_counted = other.plural or other.count > 1 or other.determiner == "a"
        if last_word(mention.noun) in w.CONTAINERS and other.kind is Kind.THING and is_counted:
            is_vague = not other.count and other.determiner != "a"
            count = other.count or (FEW if other.plural and is_vague else 1)
            naming.of[inside.i] = (naming.add(other, count, other.adjectives, is_vague),)
            naming.reading.relate(naming.of[inside.i][0], Predicate.IN, host)
        elif mention.noun in w.DETACHED and other.noun in w.LEAFY:
            continue
        else:
            if other.kind is Kind.THING and (mention.noun in w.MODELS or mention.kind is Kind.PART):
                group.category = other.category
            group.add_extra(naming.parsed.words(inside.head.i, inside.i + 1))
            naming.of[inside.i] = (host,)
        del naming.mentions[inside.i]


def is_body(noun: str) -> bool:
    """True for a part of a body."""
    entry = lexicon.lexeme(last_word(noun))
    return entry is not None and entry.kind == "body"
