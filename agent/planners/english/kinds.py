"""What a noun phrase is to the picture: a thing in it, where it all is, a part, a name, or nothing to draw."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from agent.planners.english import words as w
from agent.planners.english.parser import is_noun, lemma_of
from instdiff.world import knowledge, lexicon

if TYPE_CHECKING:
    from spacy.tokens import Token

LOOSE = ("appos", "conj", "npadvmod", "ROOT", "dep", "attr", "nmod")  # hangs from no verb and no preposition
RARELY_SEEN = 0.2  # share of a noun's uses up to which a place or a time is nothing to draw wherever it is named


class Kind(Enum):
    """What a noun phrase is to the picture."""

    THING = "a thing"
    SETTING = "where it all is"
    UNSEEN = "nothing that can be drawn by itself"
    META = "the picture itself"
    PART = "a part of something"
    NAME = "the name of a place, a time or an artist"


class Named(NamedTuple):
    """A noun phrase: its head, name and meaning, what determines it, how it looks, what preposition leads to it."""

    head: Token
    noun: str
    meaning: knowledge.Thing | knowledge.Setting | None
    determiner: str
    looks: frozenset[str]
    prep: str

    @property
    def last(self) -> str:
        """The last word of the name."""
        return self.noun.rpartition(" ")[2]

    @property
    def is_inside(self) -> bool:
        """True for "in the park", "across the park"."""
        return self.prep in w.INSIDE

    @property
    def is_solid(self) -> bool:
        """True for what has a colour, a size or a shape."""
        return not self.looks.isdisjoint(w.PHYSICAL)

    @property
    def verb(self) -> str:
        """The base form of the verb whose subject this is, or empty."""
        is_subject = self.head.dep_ in ("nsubj", "nsubjpass") and self.head.head.pos_ in ("VERB", "AUX")
        return lemma_of(self.head.head) if is_subject else ""


def governor(token: Token) -> str:
    """The preposition that a noun phrase hangs from, in lower case; empty where there is none."""
    while token.dep_ in ("conj", "appos") and token.head != token:
        token = token.head
    head = token.head
    if token.dep_ == "dobj" and head.dep_ == "pcomp":  # "with alternating red stripes"
        return head.head.lower_
    if head.lower_ == "to" and head.head.lower_ in ("next", "close", "adjacent", "near", "left", "right"):
        return "next"
    return head.lower_ if token.dep_ == "pobj" and head.dep_ != "agent" else ""


def kind_of(named: Named) -> Kind:
    """What a noun phrase is to the picture: the first of these rules that applies says it."""
    head, noun, meaning, determiner, looks, prep = named
    last = named.last
    entry = lexicon.lexeme(last)
    is_capital = head.pos_ == "PROPN" and head.text[:1].isupper()
    rules = (
        (last in w.META and _is_frame(named), Kind.META),
        (isinstance(meaning, knowledge.Setting) and _is_object(named), Kind.THING),
        (isinstance(meaning, knowledge.Setting), Kind.SETTING),
        (last in w.PLANETS and prep == "on", Kind.NAME),
        (noun in w.COLOURS and _is_shade(named), Kind.UNSEEN),
        (is_capital and " " in noun and last in w.LOCATIONS and named.is_inside, Kind.NAME),  # "at Times Square"
        (last in w.PARTS and _is_part(named), Kind.PART),
        (last in w.INNER_PARTS and looks & w.LEVELS, Kind.PART),  # "the top shelf"
        (
            last in w.ROOMS and determiner == "the" and not looks and (named.is_inside or head.dep_ == "dobj"),
            Kind.SETTING,
        ),
        (isinstance(meaning, knowledge.Thing), Kind.THING),
        (entry and entry.kind == "body" and last not in lexicon.VISIBLE and " " not in noun, Kind.PART),
        (last == "wall" and lemma_of(head.head.head) in w.ON_WALLS, Kind.THING),
        (last in w.SCENERY and not (named.is_solid and _stands_alone(named)), Kind.UNSEEN),
        (is_capital and not looks and _names_no_thing(named), Kind.NAME),
        (last in w.LOCATIONS and (named.is_inside or last in w.ROOMS and head.dep_ == "ROOT"), Kind.SETTING),
        (
            entry
            and entry.kind in ("location", "time")
            and not named.is_solid
            and (named.is_inside or entry.seen < RARELY_SEEN and last not in lexicon.VISIBLE),
            Kind.UNSEEN,
        ),
        (lexicon.can_be_seen(noun), Kind.THING),
        (named.is_solid and (last in w.PARTS or last not in lexicon.INVISIBLE), Kind.THING),
    )
    return next((kind for applies, kind in rules if applies), Kind.UNSEEN)


def _is_frame(named: Named) -> bool:
    """True where the word for a picture means the picture that is asked for, not one that hangs in it."""
    head = named.head
    doc = head.doc
    before = doc[: head.left_edge.i]
    is_first = not any(map(is_noun, before))
    shows = any(child.lower_ == "of" or child.lower_ in w.SHOWING for child in head.children)
    if named.prep in ("in", "into") and (not shows or named.determiner == "the"):
        return named.last not in w.FRAMED or named.determiner in ("", "the")
    if is_first and (shows or head.dep_ in ("ROOT", "dobj") and any(map(_leads_on, doc[head.i + 1 :]))):
        return True
    if is_first and named.verb:
        return named.verb in w.SHOW and named.last not in ("poster", "canvas")
    is_style = not named.determiner or not (w.STYLE | w.META).isdisjoint(
        doc[i].lower_ for i in range(head.left_edge.i, head.i)
    )
    if is_style and head.dep_ in LOOSE and not any(map(is_noun, doc[head.i + 1 :])):  # "..., digital art"
        return True
    return is_first and head.dep_ == "ROOT" and named.last not in w.FRAMED


def _leads_on(token: Token) -> bool:
    """True for a word after that of a picture that says what it shows: "a photo taken at night of a dog"."""
    if token.lower_ == "of":
        return token.doc[token.i - 1].lower_ not in w.SIDE_WORDS
    return token.lower_ == "with" or token.lower_ in w.SHOWING


def _is_object(named: Named) -> bool:
    """True for a kind of place that is a thing to stand next to, a square that is a shape, a river that flows."""
    head, noun, meaning, determiner, _, prep = named
    if noun in w.SHAPES and not (determiner == "the" and prep in ("in", "on", "at", "across")):
        return True
    is_listed = head.dep_ == "conj" or any(child.dep_ == "conj" for child in head.children)
    if is_listed and named.is_solid and determiner == "a" and not prep:  # "a yellow duck and a blue pond"
        return True
    if named.verb in w.COVER or named.verb and noun in w.NATURE and head.head.pos_ == "VERB":
        return True
    is_whose = prep == "of" and head.head.head.dep_ == "nsubj"  # "the surface of the lake reflected the sky"
    if is_whose and noun in w.NATURE:
        return True
    if meaning and meaning.name in w.TIMES or prep == "of" and head.head.head.lower_ not in w.SIDE_WORDS:
        return False
    if noun == "bar" and has_of(head):
        return True
    return not named.is_inside if prep else noun in w.SEEN_PLACES


def _is_shade(named: Named) -> bool:
    """True for the colours of "from red to green", "in deep red"."""
    is_bare = named.prep in ("to", "from", "in", "into") and not named.determiner
    return is_bare or not named.looks.isdisjoint(w.SHADES)


def _is_part(named: Named) -> bool:
    """True where the word for a part means one: "with white doors", "its doors", "the doors of the car"."""
    children = named.head.children
    belongs = any(child.lower_ == "of" or child.dep_ == "poss" or child.tag_ == "POS" for child in children)
    is_place = named.last in w.PLACED_PARTS and named.determiner == "the" and named.is_inside
    return belongs or is_place or named.prep == "with" or named.determiner == "own"


def _stands_alone(named: Named) -> bool:
    """True where the words make a thing of a floor or a wall: "a metallic watch and a wooden floor"."""
    is_named = not named.prep and named.determiner in ("a", "number")
    return is_named or named.last == "wall" or named.verb in w.COVER


def _names_no_thing(named: Named) -> bool:
    """True for "in Berlin", "by Monet", "the skyline of Paris"; not for "a photo of the Kremlin"."""
    if named.prep == "of":
        return named.head.head.head.lower_ not in w.META | w.SIDE_WORDS
    return named.prep in w.BEFORE_NAMES


def has_of(token: Token) -> bool:
    """True for a noun that "of" follows."""
    return any(child.lower_ == "of" for child in token.children)
