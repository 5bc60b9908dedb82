"""What "it", "the cat", "the other one" or a thing that is said once more refers to."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from agent.planners.english import words as w
from agent.planners.english.links import subject_of
from agent.planners.english.mentions import Mention
from agent.planners.english.parser import lemma_of
from agent.planners.english.parts import Group
from instdiff.world import nouns

if TYPE_CHECKING:
    from spacy.tokens import Token

    from agent.planners.english.groups import Naming

GENERIC = ("person", "people")
NEAR = 8  # tokens from "each" to the "it" that speaks of it
NEAR_WITH = 16  # ... from "with" to the "it" of "a table with a lamp on it"
LISTED = 3  # how many groups "they" are at most where no list joins them


def earlier_group(naming: Naming, token: Token, mention: Mention) -> int | None:
    """The group that a noun phrase names once more, one that it tells from several included; None for a new thing."""
    reading = naming.reading
    groups = reading.groups
    # "the flag of Texas" is another flag
    if mention.determiner in ("the", "own", "each") and not any(child.lower_ == "of" for child in token.children):
        for index in reversed(range(len(groups))):
            if (not mention.plural or reading.total(index) > 1) and _is_named(groups[index], mention):
                return index
    if mention.plural or mention.count > 1:
        return None
    sentence = naming.sentences.get(token.i, 0)
    is_told = token.dep_ in ("nsubj", "attr") and token.head.dep_ == "ROOT" and lemma_of(token.head) == "be"
    for index, group in enumerate(groups):  # "A round clock. A yellow clock in the shape of a ball"
        is_same = group.noun == mention.noun and group.count == 1 and not group.parts and group.sentence < sentence
        if is_same and (is_told or token.dep_ == "ROOT") and not _differ(group, mention):
            group.add_looks(mention.adjectives)
            return index
    for index, group in enumerate(groups):
        if _is_one_of(group, token, mention):  # "A couple, the man in a suit"
            return reading.split_off(index, 1, mention.adjectives, mention.noun)
        is_same = group.noun == mention.noun and group.sentence < sentence and reading.total(index) > 1
        if is_same and mention.adjectives and mention.determiner in ("a", "the", "number", ""):
            looks = set(mention.adjectives)  # "A pile of 3 boxes. A red box ..."
            parts = [part for part in group.parts if looks <= set(groups[part].adjectives)]
            if parts or group.count:
                return parts[0] if parts else reading.split_off(index, 1, mention.adjectives)
    return None


def _is_named(group: Group, mention: Mention) -> bool:
    """True for a group of the noun of "the cat", with all of its adjectives."""
    is_person = group.category == "person"
    is_same = group.noun == mention.noun
    is_somebody = mention.noun in GENERIC or group.noun in GENERIC and group.count == 1 and not group.is_plural
    is_alike = is_same and not is_person if mention.determiner == "own" else is_same or not is_person or is_somebody
    return group.category == mention.category and is_alike and set(mention.adjectives) <= set(group.adjectives)


def _differ(group: Group, mention: Mention) -> bool:
    """True where the looks cannot be those of one thing: another colour, another size."""
    looks = [(words & set(group.adjectives), words & set(mention.adjectives)) for words in (w.COLOURS, w.SIZES.keys())]
    return any(a and b and not a & b for a, b in looks)


def _is_one_of(group: Group, token: Token, mention: Mention) -> bool:
    """True for the man of a couple that was named as such."""
    people = group.category == mention.category == "person" and group.noun in GENERIC and mention.noun not in GENERIC
    is_told = mention.determiner == "the" or token.dep_ in ("appos", "conj")
    return people and is_told and group.is_plural and group.count > 0


def groups_meant(naming: Naming, token: Token) -> tuple[int, ...]:
    """The groups that a pronoun stands for."""
    word = token.lower_
    if token.tag_ in ("WP", "WDT"):
        verb = token.head.head if token.dep_ == "pobj" else token.head  # "a bridge on which people stand"
        return naming.groups(verb.head) if verb.dep_ == "relcl" else ()
    before = [i for i in sorted(naming.of) if i < token.i and naming.of[i]]
    if not before or token.dep_ == "expl":
        return ()
    if word == "both":
        named = tuple(dict.fromkeys(group for i in before for group in naming.of[i]))
        if naming.parsed.doc[token.i - 1].pos_ == "ADP":  # "a cat next to both"
            named = tuple(group for group in named if group not in naming.of.get(token.i - 2, ())) or named
        return named[-2:] if naming.reading.total(named[-1]) < 2 else named[-1:]
    if word in w.THEY:
        own = _own(naming, token)
        listed = own | {g for i in before if set(naming.of[i]) & own for g in naming.groups(naming.parsed.doc[i].head)}
        return _several(naming, [i for i in before if not set(naming.of[i]) & listed] or before)
    if word in w.HE | w.SHE:
        return _somebody(naming, before, *((w.MALE, w.FEMALE) if word in w.HE else (w.FEMALE, w.MALE)))
    if word in w.IT:
        meant = _something(naming, token, before)
        if word in ("it", "its"):
            naming.pronouns[token.i] = meant
        return meant
    return ()


def _several(naming: Naming, before: list[int]) -> tuple[int, ...]:
    """ "they": what was named last of several, or the things that a list joins."""
    for i in reversed(before):
        named = naming.of[i]
        if sum(map(naming.reading.total, named)) > 1:
            return named
        token = naming.parsed.doc[i]
        if token.dep_ == "conj" and naming.groups(token.head):
            return naming.groups(token.head, token)
    named = tuple(dict.fromkeys(group for i in before for group in naming.of[i]))
    return named if len(named) <= LISTED else naming.of[before[-1]]


def _somebody(naming: Naming, before: list[int], own: frozenset[str], other: frozenset[str]) -> tuple[int, ...]:
    """ "her": the last person of that gender, else the last person, else the last animal."""

    def rank(i: int) -> tuple[bool, bool, bool, int]:
        group = naming.reading.groups[naming.of[i][-1]]
        return group.noun in own, group.category == "person" and group.noun not in other, group.category in w.LIVING, i

    return naming.of[max(before, key=rank)]


def _something(naming: Naming, token: Token, before: list[int]) -> tuple[int, ...]:
    """ "it": what the phrase that it stands in belongs to, else the last thing, else what was spoken of before."""
    of = naming.of
    sentence = naming.sentences.get(token.i, 0)
    if naming.each and before[-1] >= token.i - NEAR:
        return naming.each
    own = _own(naming, token)
    for i, meant in naming.pronouns.items():  # the same word in one sentence means the same
        if naming.sentences.get(i) == sentence and not set(meant) & own:
            return meant
    if host := _host(naming, token):
        return host
    lone = [i for i in before if naming.reading.total(of[i][-1]) == 1 and not set(of[i]) & own] or before
    above = [i for i in lone if naming.parsed.doc[i].is_ancestor(token)]
    here = [i for i in lone if naming.sentences.get(i) == sentence]
    if above:
        return of[above[-1]]
    if here and token.tag_ == "PRP$":
        return of[here[0]]
    if here and own:
        return of[here[-1]]
    earlier = [i for i in lone if naming.sentences.get(i, 0) < sentence] or lone
    of_last = [i for i in earlier if naming.sentences.get(i) == naming.sentences.get(earlier[-1])]
    things = [i for i in of_last if naming.reading.groups[of[i][-1]].category != "person"]
    return of[(things or of_last)[0]]


def _own(naming: Naming, token: Token) -> set[int]:
    """The groups that a phrase with a pronoun is about: "the dog" of "a dog next to it", which "it" is not."""
    doc = naming.parsed.doc
    at = token.i - 1
    while at >= 0 and (doc[at].pos_ == "ADP" or at not in naming.mentions and doc[at].lower_ in w.OF_PHRASES):
        at -= 1
    if naming.of.get(at) and at in naming.mentions:
        return set(naming.of[at])
    verb = next((ancestor for ancestor in token.ancestors if ancestor.pos_ in ("VERB", "AUX")), None)
    subject = subject_of(verb) if verb is not None and token.tag_ != "PRP$" else None
    return set(naming.groups(subject)) if subject is not None else set()


def _host(naming: Naming, token: Token) -> tuple[int, ...]:
    """The table of "a table with a lamp on it": what stands right before the last "with"."""
    names = naming.parsed.names
    for i in range(token.i - 1, max(token.i - NEAR_WITH, 0), -1):
        before = naming.parsed.doc[i]
        if names[i] in (".", ";") or before.pos_ == "VERB" and before.tag_ != "VBG":
            return ()
        if names[i] == "with":
            at = i - 2 if names[i - 1] == "," else i - 1
            return naming.of.get(at, ()) if at in naming.mentions else ()
    return ()


def split(naming: Naming, token: Token) -> None:
    """ "One black and one white": some of what was named last."""
    reading = naming.reading
    groups = reading.groups
    names = naming.parsed.names
    word = names[token.i]
    number = nouns.NUMBERS.get(word, 0) if token.pos_ in ("NUM", "PRON", "NOUN", "DET", "ADJ") else 0
    is_part = any(mention.start <= token.i <= mention.at for mention in naming.mentions.values())
    if not groups or is_part or not (number or word in w.RESTS):
        return
    looks, is_of_them = looks_after(naming, token.i)
    looks = looks or [names[child.i] for child in token.lefts if names[child.i] in w.ADJECTIVES]
    parts = {part for group in groups for part in group.parts}
    many = [i for i, group in enumerate(groups) if i not in parts and reading.total(i) > 1 and group.count]
    if is_of_them and not looks and number > 1:
        naming.of[token.i] = _recounted(naming, token, number, many)
    elif word == "one" and looks and any(child.lower_ in ("a", "an") for child in token.lefts):  # "a white one"
        groups.append(replace(groups[-1], count=1, adjectives=tuple(looks), parts=[], extra=""))
        naming.of[token.i] = (len(groups) - 1,)
    elif not many or not (looks or word in w.RESTS or word == "one" or is_of_them):
        if word in ("one", "another", "other"):
            naming.of[token.i] = (len(groups) - 1,)
    elif word == "another" or word not in w.RESTS or not _is_number(names[token.i + 1 : token.i + 2]):
        whole = groups[many[-1]]  # of "the other three are brown" the number speaks
        count = min(number or (whole.count if word in ("others", "rest", "ones") else 1), whole.count)
        is_all = not looks and count == whole.count
        naming.of[token.i] = (many[-1] if is_all else reading.split_off(many[-1], count, tuple(looks)),)


def _is_number(names: list[str]) -> bool:
    return bool(names) and (names[0] in nouns.NUMBERS or names[0] in ("one", "ones"))


def looks_after(naming: Naming, start: int) -> tuple[list[str], bool]:
    """The looks that follow a word like "one" or "both of them", and whether "of them" does."""
    names = naming.parsed.names
    looks: list[str] = []
    is_of_them = False
    for at in range(start + 1, len(names)):
        following = names[at + 1] if at + 1 < len(names) else ""
        if names[at] in w.ADJECTIVES:
            looks.append(names[at])
        elif names[at] == "of" and following in w.THEM:
            is_of_them = True
        elif names[at] == "and" and looks and following in w.ADJECTIVES:
            continue
        elif names[at] not in w.BEFORE_LOOKS and not (names[at] in w.THEM and names[at - 1] == "of"):
            break
    return looks, is_of_them


def _recounted(naming: Naming, token: Token, number: int, many: list[int]) -> tuple[int, ...]:
    """ "Pumpkins; there are a dozen of them", or "the two of them": so many of what was named."""
    for index in reversed(many):
        group = naming.reading.groups[index]
        if group.is_vague and not group.parts:
            group.count, group.is_vague = number, False
            return (index,)
    own = _own(naming, token)  # "a pianist behind the two of them" is none of the two
    return tuple(index for index in range(len(naming.reading.groups)) if index not in own)[-number:]
