"""Noun phrases that name no new thing: who made the picture, what another thing is or looks like, where it all is."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from agent.planners.english import words as w
from agent.planners.english.links import Phrase, objects_of
from agent.planners.english.mentions import COMPONENTS, Kind, Mention, governor
from agent.planners.english.parser import lemma_of
from agent.planners.english.parts import last_word
from instdiff.world import knowledge, lexicon, nouns

if TYPE_CHECKING:
    from spacy.tokens import Token

    from agent.planners.english.groups import Naming

OBJECTS = ("attr", "dobj", "conj", "nsubj")


def of_what(naming: Naming, token: Token) -> list[Token]:
    """The apples of "a bowl of apples"."""
    preps = [child for child in token.rights if child.lower_ == "of"]
    return [t for prep in preps for t in prep.children if t.dep_ == "pobj" and t.i in naming.mentions]


def likenesses_of(naming: Naming) -> dict[int, Phrase]:
    """The tokens that "made of brick", "in the shape of a star" lead to, with the phrase that says so."""
    likenesses = {}
    names = naming.parsed.names
    for phrase in naming.phrases:
        for token in objects_of(naming.parsed, phrase) if phrase.sort == "made" else ():
            if not {":", ";", ","} & set(names[phrase.end : token.i]):
                likenesses[token.i] = phrase
    for token in naming.parsed.doc:
        prep, head = token.head, token.head.head
        if token.dep_ == "pobj" and prep.lower_ == "of" and names[head.i] in w.LIKENESSES and head.dep_ == "pobj":
            if head.head.lower_ in ("in", "with"):
                likenesses[token.i] = likenesses[head.i] = Phrase(head.head.i, prep.i + 1, "", "made")
    return likenesses


def look_like(naming: Naming, mention: Mention, phrase: Phrase) -> None:
    """Say in the caption of a thing how it looks."""
    head = naming.parsed.doc[phrase.start].head
    while head.pos_ in ("VERB", "AUX", "ADP", "ADJ") and head.head != head:
        head = head.head
    words = naming.parsed.words(phrase.start, mention.at + 1)
    for index in naming.groups(head)[-1:] or range(len(naming.reading.groups))[-1:]:
        group = naming.reading.groups[index]
        if phrase.words == "shaped like" and not group.is_known and mention.is_known:
            group.category = mention.category  # "a vehicle shaped like a train"
        if words.startswith(group.extra):
            group.extra = words
        elif words not in group.extra:
            group.add_extra(words)


def is_other_words(naming: Naming, token: Token, mention: Mention) -> bool:
    """True for "sights" in "the bridge and the tower were the sights", for an aside in other words."""
    lemma = lemma_of(token.head)
    if token.dep_ == "attr":
        return any(c.dep_ == "nsubj" and naming.groups(c) and c.i in naming.mentions for c in token.head.children)
    if mention.noun in w.WORKS and (token.dep_ == "appos" or token.dep_ == "dobj" and lemma in w.MAKE):
        return True
    if token.dep_ == "dobj" and lemma in w.SHOOT and naming.parsed.names[token.i].rstrip("s") in w.META:
        return True
    if not any(naming.mentions[t.i].kind is Kind.UNSEEN for t in of_what(naming, token)):
        return False
    becomes = token.head.lower_ in ("into", "as") and lemma_of(token.head.head) in w.BECOME
    is_said = any(naming.of.values()) or naming.reading.setting
    return becomes or token.dep_ in ("appos", "npadvmod") and bool(is_said)  # "a canvas of variation"


def is_maker(naming: Naming, token: Token, mention: Mention) -> bool:
    """True for who or what made the picture ("painted by an artist"), for the conductor of "a conductor's hat".

    And for the artist of "an artist's studio".
    """
    if token.head.lower_ == "using":
        name = naming.parsed.names[token.i]
        return nouns.known(name) is None and lexicon.lexeme(name) is None
    if token.head.dep_ == "agent":
        return lemma_of(token.head.head) in w.MADE_BY
    head = naming.mentions.get(token.head.i)
    is_manner = token.dep_ == "poss" and mention.determiner == "a"
    if not is_manner or head is None:
        return False
    return head.kind is Kind.SETTING or head.kind is Kind.THING and last_word(head.noun) not in COMPONENTS


def is_where(naming: Naming, token: Token, mention: Mention) -> bool:
    """True if the name of a place is where all is, and no object of its own ("a park with a pond")."""
    if mention.count > 1 or mention.plural and token.dep_ != "pobj" or token.head.lower_ == "with":
        return False
    is_taken = naming.reading.setting not in ("", *w.TIMES)
    return not (is_taken and mention.determiner in ("a", "number") and token.dep_ in OBJECTS)


def set_where(naming: Naming, token: Token, mention: Mention) -> None:
    """The setting; the first that says where goes before one that says when."""
    reading = naming.reading
    if mention.category not in knowledge.settings():
        naming.drop(mention, "is where it all is")
        return
    outer = naming.first_setting
    is_inner = reading.setting_is_subject and not reading.groups and governor(token)
    if outer is not None and is_inner and mention.category not in (reading.setting, *w.TIMES):
        # "a church in a village": the church is an object
        naming.of[outer.at] = (naming.add(replace(outer, category=outer.noun), outer.count or 1, outer.adjectives),)
        reading.setting, reading.setting_is_subject, reading.setting_adjectives = "", False, ()
    if not reading.setting or reading.setting in w.TIMES and mention.category not in w.TIMES:
        acts = token.dep_ in ("nsubj", "dobj", "nsubjpass") and token.head.pos_ == "VERB"
        is_alone = not reading.groups and not governor(token)
        reading.setting_is_subject = is_alone and not (acts and lemma_of(token.head) not in w.ASKING)
        reading.setting_is_subject |= _is_picture_of(naming, token)
        reading.setting = mention.category
        naming.first_setting = mention
    if mention.category == reading.setting:
        reading.setting_adjectives += mention.adjectives
    for word in mention.adjectives:  # "a bear birthday party"
        noun = nouns.known(word)
        if noun and noun.thing and word not in w.ADJECTIVES and naming.parsed.doc[mention.start].tag_ != "JJ":
            guest = replace(mention, noun=noun.singular, category=noun.name, adjectives=())
            naming.of[mention.at] = (naming.add(guest, 1, ()),)


def _is_picture_of(naming: Naming, token: Token) -> bool:
    """True for the kitchen of "a photo of a kitchen"."""
    picture = naming.mentions.get(token.head.head.i)
    return token.head.lower_ in ("of", "from", "inside") and picture is not None and picture.kind is Kind.META
