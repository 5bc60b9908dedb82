"""What "it", "the cat" or a thing that is said once more refers to."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from agent.planners.english import words as w
from agent.planners.english.links import subject_of
from agent.planners.english.mentions import Mention
from agent.planners.english.parser import lemma_of
from agent.planners.english.parts import Group, Reading

if TYPE_CHECKING:
    from spacy.tokens import Token

    from agent.planners.english.groups import Naming

GENERIC = ("person", "people")


def group_named(reading: Reading, mention: Mention, token: Token) -> int | None:
    """The group that "the cat" refers back to: of its noun, with all of its adjectives, nearest first."""
    if any(child.lower_ == "of" for child in token.children):  # "the flag of Texas" is another flag
        return None
    for index in reversed(range(len(reading.groups))):
        group = reading.groups[index]
        alike = group.category == mention.category and (
            group.category != "person"
            or group.noun == mention.noun
            or mention.noun in GENERIC
            or (group.noun in GENERIC and group.count == 1 and not group.is_plural)
        )
        several = not mention.plural or reading.total(index) > 1
        own = mention.determiner != "own" or group.noun == mention.noun and group.category != "person"
        if alike and several and own and set(mention.adjectives) <= set(group.adjectives):
            return index
    return None


def restated(naming: Naming, token: Token, mention: Mention) -> int | None:
    """The group that another sentence names once more: "A round clock. A yellow clock in the shape of a ball"."""
    sentence = naming.sentences.get(token.i, 0)
    if sentence == 0 or mention.count > 1 or mention.plural:
        return None
    alone = (
        token.dep_ == "ROOT"
        or token.head.dep_ == "ROOT"
        and lemma_of(token.head) == "be"
        and token.dep_ in ("nsubj", "attr")
    )
    for index, group in enumerate(naming.reading.groups):
        same = group.noun == mention.noun and group.count == 1 and not group.parts and group.sentence < sentence
        if same and alone and not _conflict(group, mention):
            group.adjectives = (
                *(word for word in mention.adjectives if word not in group.adjectives),
                *group.adjectives,
            )
            return index
    return None


def _conflict(group: Group, mention: Mention) -> bool:
    """True where the looks cannot be those of one thing: another colour, another size."""
    for words in (w.COLOURS, frozenset(w.SIZES)):
        a, b = (words & set(looks) for looks in (group.adjectives, mention.adjectives))
        if a and b and not a & b:
            return True
    return False


def split_off(naming: Naming, token: Token, mention: Mention) -> int | None:
    """A thing that is told of several that were named before: "A pile of 3 boxes. A red box ...", "A couple, the man ..."."""
    reading = naming.reading
    if mention.plural or mention.count > 1:
        return None
    sentence = naming.sentences.get(token.i, 0)
    for index, whole in enumerate(reading.groups):
        people = (
            whole.category == mention.category == "person" and whole.noun in GENERIC and mention.noun not in GENERIC
        )
        if (
            people
            and (mention.determiner == "the" or token.dep_ in ("appos", "conj"))
            and whole.count
            and whole.is_plural
        ):
            break
        same = whole.noun == mention.noun and whole.sentence < sentence and reading.total(index) > 1
        if same and mention.adjectives and (mention.determiner in ("a", "the", "number") or not mention.determiner):
            known = next((p for p in whole.parts if set(mention.adjectives) <= set(reading.groups[p].adjectives)), None)
            if known is not None:
                return known
            if whole.count:
                break
    else:
        return None
    whole.count -= 1
    looks = (
        mention.adjectives
        if whole.noun in GENERIC
        else (*mention.adjectives, *(x for x in whole.adjectives if x not in mention.adjectives))
    )
    reading.groups.append(
        replace(whole, noun=mention.noun, count=1, adjectives=looks, parts=[], extra="", is_plural=False)
    )
    whole.parts.append(len(reading.groups) - 1)
    return len(reading.groups) - 1


def groups_meant(naming: Naming, token: Token) -> tuple[int, ...]:
    """The groups that a pronoun stands for."""
    reading = naming.reading
    word = token.lower_
    if token.dep_ == "expl" or not reading.groups:
        return ()
    if token.tag_ in ("WP", "WDT") and token.dep_ == "pobj":  # "a bridge on which people stand"
        verb = token.head.head
        return naming.groups(verb.head) if verb.dep_ == "relcl" else ()
    if (
        token.tag_ in ("WP", "WDT")
        or word == "that"
        and token.dep_ in ("nsubj", "nsubjpass", "dobj")
        and token.head.dep_ == "relcl"
    ):
        verb = token.head
        return naming.groups(verb.head) if verb.dep_ == "relcl" else ()
    before = [i for i in sorted(naming.of) if i < token.i and naming.of[i]]
    if not before:
        return ()
    if word == "both":
        found = tuple(dict.fromkeys(group for i in before for group in naming.of[i]))
        is_object = token.i > 1 and naming.parsed.doc[token.i - 1].pos_ == "ADP"
        inside = set(naming.of.get(token.i - 2, ())) if is_object else set()
        found = tuple(group for group in found if group not in inside) or found
        return found[-2:] if naming.reading.total(found[-1]) < 2 else found[-1:]
    if word in ("they", "them", "their", "themselves", "these", "those", "both", "each"):
        own = _own(naming, token)
        listed = own | {g for i in before if set(naming.of[i]) & own for g in naming.groups(naming.parsed.doc[i].head)}
        return _several(naming, [i for i in before if not set(naming.of[i]) & listed] or before)
    if word in ("he", "him", "his", "himself", "she", "her", "hers", "herself"):
        return _somebody(naming, before, w.FEMALE if word.startswith(("she", "her")) else w.MALE)
    if word in ("it", "its", "itself", "this", "that", "one"):
        meant = _something(naming, token, before)
        if word in ("it", "its"):
            naming.pronouns[token.i] = meant
        return meant
    return ()


def _several(naming: Naming, before: list[int]) -> tuple[int, ...]:
    """ "they": what was named last of several, or the things that a list joins."""
    for i in reversed(before):
        named = naming.of[i]
        if sum(naming.reading.total(g) for g in named) > 1:
            return named
        token = naming.parsed.doc[i]
        if token.dep_ == "conj" and naming.of.get(token.head.i):
            return tuple(dict.fromkeys((*naming.of[token.head.i], *named)))
    found = tuple(dict.fromkeys(group for i in before for group in naming.of[i]))
    return found if len(found) <= 3 else naming.of[before[-1]]


def _somebody(naming: Naming, before: list[int], gender: frozenset[str]) -> tuple[int, ...]:
    """ "her": the last person of that gender, else the last person, else the last animal."""
    groups = naming.reading.groups
    other = w.MALE if gender is w.FEMALE else w.FEMALE
    for fits in (
        lambda g: g.noun in gender,
        lambda g: g.category == "person" and g.noun not in other,
        lambda g: g.category in w.LIVING,
        lambda g: True,
    ):
        for i in reversed(before):
            if fits(groups[naming.of[i][-1]]):
                return naming.of[i]
    return ()


def _something(naming: Naming, token: Token, before: list[int]) -> tuple[int, ...]:
    """ "it": what the phrase that it stands in belongs to, else the last thing, else what was spoken of before."""
    groups = naming.reading.groups
    sentence = naming.sentences.get(token.i, 0)
    if naming.each and max(i for i in before) >= token.i - 8:
        return naming.each
    own = _own(naming, token)
    for i, meant in naming.pronouns.items():  # the same word in one sentence means the same
        if naming.sentences.get(i) == sentence and not set(meant) & own:
            return meant
    if host := _host(naming, token):
        return host
    lone = [i for i in before if naming.reading.total(naming.of[i][-1]) == 1 and not set(naming.of[i]) & own] or before
    above = [i for i in lone if naming.parsed.doc[i].is_ancestor(token)]
    if above:
        return naming.of[above[-1]]
    here = [i for i in lone if naming.sentences.get(i) == sentence]
    if here and (own or token.tag_ == "PRP$"):
        first = here[0] if token.tag_ == "PRP$" else here[-1]
        return naming.of[first]
    earlier = [i for i in lone if naming.sentences.get(i, 0) < sentence] or lone
    last = naming.sentences.get(earlier[-1])
    of_last = [i for i in earlier if naming.sentences.get(i) == last]
    single = [i for i in of_last if groups[naming.of[i][-1]].category != "person"]
    return naming.of[(single or of_last)[0]]


def _own(naming: Naming, token: Token) -> set[int]:
    """The groups that a phrase with a pronoun is about: "the dog" of "a dog next to it", which "it" is not."""
    at = token.i - 1
    while at >= 0 and (
        naming.parsed.doc[at].pos_ == "ADP"
        or at not in naming.mentions
        and naming.parsed.doc[at].lower_
        in ("the", "left", "right", "top", "side", "front", "next", "close", "of", "to", "bottom", "middle", "back")
    ):
        at -= 1
    if naming.of.get(at) and at in naming.mentions:
        return set(naming.of[at])
    for ancestor in token.ancestors:
        if ancestor.pos_ in ("VERB", "AUX"):
            subject = subject_of(ancestor)
            return set(naming.groups(subject)) if subject is not None and token.tag_ != "PRP$" else set()
    return set()


def _host(naming: Naming, token: Token) -> tuple[int, ...]:
    """The table of "a table with a lamp on it": what stands right before the last "with"."""
    names = naming.parsed.names
    for i in range(token.i - 1, max(token.i - 16, 0), -1):
        if names[i] in (".", ";") or naming.parsed.doc[i].pos_ == "VERB" and naming.parsed.doc[i].tag_ != "VBG":
            return ()
        if names[i] == "with":
            at = i - 1 if names[i - 1] != "," else i - 2
            return naming.of.get(at, ()) if at in naming.mentions else ()
    return ()
