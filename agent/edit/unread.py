"""The words of a phrase that the grammar of prompts has made nothing of: they must not get into a caption."""

from __future__ import annotations

import re
from collections.abc import Collection

from agent.edit.looks import look_of
from agent.planners.english import words as w
from agent.planners.english.parser import is_verb, is_word
from agent.planners.english.parts import Group, Reading
from instdiff.errors import BadInput
from instdiff.world import lexicon, nouns

_PHRASES = sorted(
    (*w.RELATIONS, *w.REVERSED, *w.MADE, *w.MUTUAL, *w.IN_ROW, *w.BETWEEN, *w.AROUND, *w.ROWS, *w.SURROUNDED),
    key=len,
    reverse=True,
)
_PHRASE = re.compile(rf"(?<![\w-])(?:{'|'.join(map(re.escape, _PHRASES))})(?![\w-])")
_DEGREE = re.compile(
    r"\b(?:slightly|a bit|a little|somewhat|rather|quite|much|far|very|extremely|really) (?=(?P<look>[\w-]+))"
)
_SMALL = (
    nouns.ARTICLES
    | w.SIDE_WORDS
    | w.SIDE_NOUNS
    | w.SCENERY
    | w.LOCATIONS
    | w.PARTS
    | {*nouns.COLLECTIVES, *nouns.KINDS, *nouns.PORTIONS}
    | frozenset("and of with in on at to from that which who is are its both all any one ones other each more".split())
    | frozenset("far very upper lower left right background foreground corner hand side".split())
)
_NEVER = frozenset(
    "colour color colours colors size sizes position positions place places location locations width height "
    "but not except instead keep leave it them unless without than as times if because so no nor".split()
)


def check_read(phrase: str, reading: Reading, names: Collection[str] | None = None) -> None:
    """Refuse a phrase with words that a reading of it does not account for; raises BadInput, which names them.

    Args:
        names: words that may name a new thing although nobody knows them; None where all things are there already.
    """
    words = unread_words(phrase, reading)
    if not words and names is not None:
        words = [word for group in reading.groups for word in _unknown_in(group, names)]
    if words:
        raise BadInput("edit", f'"{" ".join(words)}" of "{phrase}" was not understood; say that part in other words')


def unread_words(phrase: str, reading: Reading) -> list[str]:
    """The words that are no part of a thing's name or looks, of a relation, or of a place on the picture."""
    said = {word for group in reading.groups for word in _words(f"{group.noun} {group.category} {group.extra}")}
    looks = {word for group in reading.groups for word in _words(" ".join(group.adjectives))}
    if reading.setting:
        said |= {*_words(reading.setting), *reading.setting_adjectives}
    phrase = _DEGREE.sub(lambda degree: "" if look_of(degree["look"]) else degree[0], phrase.lower())
    related = reading.relations or reading.places or reading.between or reading.hosts or reading.flanks or reading.rows
    plain = _PHRASE.sub(" ", phrase) if related or reading.setting or reading.dropped else phrase
    unread = [word for word in _words(plain) if word in _NEVER or not _is_read(word, said, looks)]
    numbers = [word for word in _words(phrase) if word.isdigit() or nouns.NUMBERS.get(word, 0) > 1]
    several = sum(group.count > 1 or bool(group.parts) for group in reading.groups)
    return unread or numbers[several:] * all(not group.parts for group in reading.groups)  # "three birds, two on top"


def _unknown_in(group: Group, names: Collection[str]) -> list[str]:
    """The words in the name of a thing that no table knows, and those between its looks that belong elsewhere."""
    unknown = [word for word in _words(group.noun) if not (is_word(word) or word in names or _is_noun(word))]
    return unknown + [word for word in group.adjectives if word in nouns.ARTICLES | _NEVER]


def _is_noun(word: str) -> bool:
    return nouns.known(word) is not None or lexicon.lexeme(nouns.singular_of(word)) is not None


def _is_read(word: str, said: set[str], looks: set[str]) -> bool:
    if word in _SMALL or word in nouns.NUMBERS or word.isdigit():
        return True
    if word in said or nouns.singular_of(word) in said or nouns.plural_of(word) in said:
        return True
    if word in looks:
        return look_of(word) is not None or is_word(word)
    return (
        word.endswith(("ing", "ed", "s")) and len(word) > 4 and is_verb(word)
    )  # "a cat sleeping on the sofa", "that sits"


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+(?:[.'-][^\W_]+)*", text.lower())
