"""What a phrase or a verb speaks of: the cat of "a cat that lies under a tree"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.planners.english import words as w
from agent.planners.english.links import Phrase, anchor_of, clause_verb, conjuncts, subject_of
from agent.planners.english.mentions import Kind
from agent.planners.english.parser import is_noun, lemma_of
from agent.planners.english.parts import is_living, last_word
from instdiff.world import knowledge
from instdiff.world.predicates import Predicate

if TYPE_CHECKING:
    from spacy.tokens import Token

    from agent.planners.english.groups import Naming

Groups = tuple[int, ...]


def groups_on_side(naming: Naming, phrase: Phrase, end: int) -> Groups:
    """The groups that are on the left: before a phrase that ends at ``end``, or after it ("on the left, a dog")."""
    names = naming.parsed.names
    anchor = anchor_of(naming.parsed, phrase)
    begins = phrase.start == naming.parsed.doc[phrase.start].sent.start or names[phrase.start - 1] in w.JOINTS
    following = [i for i in naming.of if i >= end and naming.of[i]]
    if begins and following and names[end] in w.LEADING:
        return naming.of[min(following)]
    beside = _just_before(naming, phrase)
    if beside is not None and (anchor is None or is_noun(anchor)):
        anchor = beside
    return groups_of_anchor(naming, anchor, phrase)


def groups_before(naming: Naming, phrase: Phrase, objects: list[Token]) -> Groups:
    """The groups that stand in a relation to the objects of a phrase."""
    if (inverted := _after(naming, phrase, objects)) is not None:
        return naming.groups(inverted)
    named = set(naming.groups(*objects))
    anchor = anchor_of(naming.parsed, phrase)
    beside = _just_before(naming, phrase)
    if beside is not None and (anchor is None or is_noun(anchor) or beside.dep_ == "conj"):
        anchor = beside
    own = groups_of_anchor(naming, anchor, phrase)
    if set(own) <= named:
        own = _nearest(naming, phrase, named)
    if anchor is not None and _may_be_list(naming, anchor, objects):
        own = (*_listed_before(naming, anchor, phrase), *own)
    if w.RELATIONS.get(phrase.words) in (Predicate.UNDER, Predicate.BELOW):
        own = (*_resting_on(naming, anchor), *own)
    return tuple(dict.fromkeys(own))


def _resting_on(naming: Naming, anchor: Token | None) -> Groups:
    """The cat of "a cat lying on a table under an umbrella"."""
    is_under = anchor is not None and anchor.dep_ == "pobj" and anchor.head.lower_ in ("on", "in")
    return doers_of(naming, anchor.head.head) if anchor and is_under and anchor.head.head.pos_ == "VERB" else ()


def doers_of(naming: Naming, verb: Token) -> Groups:
    """The groups whose doing a verb is."""
    subject = _wearer(naming, subject_of(verb))
    if subject is None:
        return ()
    return naming.groups(subject, *(t for t in conjuncts(subject) if t.i < verb.i or subject.i > verb.i))


def groups_of_anchor(naming: Naming, anchor: Token | None, phrase: Phrase) -> Groups:
    """The groups of the noun that a phrase hangs from, of what its verb is said of, or of the next above."""
    anchor = _wearer(naming, anchor)
    for token in (anchor, *anchor.ancestors) if anchor is not None else ():
        is_verb = token.pos_ in ("VERB", "AUX")
        if found := _groups_of_verb(naming, token, phrase) if is_verb else naming.groups(token):
            return found
    return ()


def _groups_of_verb(naming: Naming, verb: Token, phrase: Phrase) -> Groups:
    """What a verb's preposition speaks of: its object where it is moved or put, its subject otherwise."""
    before = [child for child in verb.children if child.i < phrase.start and naming.groups(child)]
    objects = [child for child in before if child.dep_ in ("dobj", "attr", "oprd")]
    doers = doers_of(naming, verb)
    if objects and (not doers or lemma_of(verb) in w.PUT or phrase.words in w.DIRECTED):
        return naming.groups(*(t for first in objects for t in (first, *conjuncts(first)) if t.i < phrase.start))
    subject = _wearer(naming, subject_of(verb))
    if doers and subject is not None and verb.dep_ in ("acl", "relcl") and subject.dep_ == "conj":
        return (*_listed_before(naming, subject, phrase), *doers)
    return doers


def _wearer(naming: Naming, token: Token | None) -> Token | None:
    """The man of "a man in a suit", where the words go on with what he does."""
    mention = naming.mentions.get(token.i) if token is not None else None
    if token is None or mention is None or last_word(mention.noun) not in w.CLOTHES:
        return token
    if token.dep_ == "dobj" and lemma_of(token.head) in w.WEAR:
        return subject_of(token.head)
    is_worn = token.dep_ == "pobj" and token.head.lower_ in ("in", "with") and is_living_at(naming, token.head.head.i)
    return token.head.head if is_worn else token


def is_living_at(naming: Naming, at: int) -> bool:
    """True for a person or an animal at a token."""
    return any(is_living(naming.reading.groups[group].category) for group in naming.of.get(at, ()))


def _after(naming: Naming, phrase: Phrase, objects: list[Token]) -> Token | None:
    """The book of "and to the right of it a book"."""
    doc = naming.parsed.doc
    if not objects or phrase.start and doc[phrase.start - 1].lower_ not in w.JOINTS:
        return None
    at = objects[0].i + 1
    at += doc[at : at + 1].text == "," and phrase.start == doc[phrase.start].sent.start
    while at < len(doc) and doc[at].pos_ in ("VERB", "AUX"):
        at += 1
    mention = next((m for m in naming.mentions.values() if m.start == at), None)
    is_new = mention is not None and mention.determiner in ("a", "number") and naming.of.get(mention.at)
    return doc[mention.at] if mention and is_new else None


def _just_before(naming: Naming, phrase: Phrase) -> Token | None:
    """The thing that ends right before a phrase, unless it is worn or a part: that goes with another."""
    at = phrase.start - 1
    mention = naming.mentions.get(at)
    if mention is None or mention.kind is not Kind.THING or not naming.of.get(at):
        return None
    token = naming.parsed.doc[at]
    is_worn = mention.noun in w.CLOTHES and (token.head.lower_ == "in" or lemma_of(token.head) in w.WEAR)
    return None if is_worn or token.dep_ == "pobj" and token.head.lower_ == "between" else token


def _nearest(naming: Naming, phrase: Phrase, excluded: set[int]) -> Groups:
    """The groups named last before a phrase, or else first after it."""
    named = [i for i in sorted(naming.of) if set(naming.of[i]) - excluded]
    nearest = [i for i in named if i < phrase.start][-1:] or [i for i in named if i >= phrase.end][:1]
    return tuple(group for i in nearest for group in naming.of[i] if group not in excluded)


def _may_be_list(naming: Naming, anchor: Token, objects: list[Token]) -> bool:
    """False for "a house and a dog next to it": only the dog is; true for "with a clock and a glass on it"."""
    if not any(token.pos_ == "PRON" for token in objects):
        return True
    while anchor.dep_ == "conj":
        if "with" in naming.parsed.names[anchor.head.i : anchor.i]:
            return True
        anchor = anchor.head
    return anchor.dep_ == "pobj" and anchor.head.lower_ == "with"


def _listed_before(naming: Naming, anchor: Token, phrase: Phrase) -> Groups:
    """The earlier things of a list that ends in the anchor: "a cup and a plate on a table"."""
    names = naming.parsed.names
    reading = naming.reading
    if anchor.dep_ == "conj" and "with" in names[anchor.head.i : anchor.i]:  # "X with a clock and a glass on it"
        start = naming.mentions[anchor.i].start if anchor.i in naming.mentions else 0
        return naming.of.get(start - 2, ()) if start - 2 in naming.mentions and names[start - 1] == "and" else ()
    listed: Groups = ()
    token = anchor
    has_verb = clause_verb(anchor) is not None
    is_vertical = w.RELATIONS.get(phrase.words) in (Predicate.ABOVE, Predicate.BELOW)
    placed = {subject for subject, *_ in (*reading.relations, *reading.places)}
    while token.dep_ == "conj" and is_noun(token.head) and token.head.i < token.i:
        token = token.head
        groups = naming.groups(token)
        is_placed = any(c.dep_ == "prep" and c.i < anchor.i and c.lower_ != "of" for c in token.children)
        if not groups or placed & set(groups) or token.dep_ == "dobj" and has_verb or is_placed:
            break
        if is_vertical and _hangs(naming, groups) != _hangs(naming, naming.groups(anchor)):
            break
        listed = (*groups, *listed)
    return listed


def _hangs(naming: Naming, groups: Groups) -> bool:
    """True for what is usually in the air, on a wall or under a ceiling."""
    known = knowledge.thing(naming.reading.groups[groups[-1]].category) if groups else None
    return known is not None and known.on[0] in ("sky", "wall", "ceiling")
