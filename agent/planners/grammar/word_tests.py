"""What a word is, as far as its neighbours tell: verb or noun, the end of a phrase, the start of a number."""

from __future__ import annotations

from agent.planners.grammar import vocabulary as v
from agent.planners.grammar.words import Text, known


def begins_other(text: Text, at: int) -> bool:
    """True if a number, a relation or a comparison begins here."""
    return begins_number(text, at) or any(text.phrase(at, table) for table in (v.RELATIONS, v.REVERSED, v.COMPARED, v.WITH, v.NEGATIONS))


def is_finite(text: Text, at: int, determiner: str) -> bool:
    """True for a verb after its subject: "their parents watch"; not for "a pocket watch", which would say "watches"."""
    word = text.word(at)
    base = not word.endswith(("s", "ing", "ed"))
    return is_verb(word) and text.word(at - 1) not in v.ADJECTIVES and not (base and determiner == "a")


def begins_number(text: Text, at: int) -> bool:
    return (
        bool(text.phrase(at, v.NUMBERS, 4))
        and text.word(at) not in ("single", "lone", "solitary", "different", "twin")
        or (text.word(at).isdigit())
    )


def ends_in_noun(text: Text, at: int) -> bool:
    """True if a list of adjectives from here on leads to a word that may be its noun."""
    while text.word(at) in v.ADJECTIVES or text.word(at) in ("and", ","):
        at += 1
    word = text.word(at)
    return bool(word) and word[0].isalnum() and word not in v.FUNCTION | v.ARTICLES | v.BE and not begins_number(text, at)


def is_noun(text: Text, at: int, length: int) -> bool:
    words = text.words[at : at + length]
    if length == 1 and words[0] in v.ADJECTIVES and (following := text.word(at + 1)):  # "orange cat", "light blue"
        if following not in v.FUNCTION | v.BE and following[0].isalnum() and not is_verb(following) and not following.endswith("ing"):
            return False
    return known(" ".join(words)) is not None


def is_verb(word: str) -> bool:
    return word in v.VERBS or word in v.BE


def is_participle(text: Text, at: int) -> bool:
    """True for "casting a spell", "covered with": what follows shows that the word is no adjective before a noun."""
    word, following = text.word(at), text.word(at + 1)
    ends = not following or not following[0].isalnum() or following in v.FUNCTION | v.ARTICLES or begins_number(text, at + 1)
    return word.endswith(("ing", "ed")) and ends


def may_end_phrase(text: Text, at: int) -> bool:
    """True where a noun phrase may end: before punctuation, a small word or a verb."""
    word = text.word(at)
    ends = not word or not word[0].isalnum() or word in v.FUNCTION | v.BE | v.VERBS | v.ARTICLES or begins_other(text, at)
    return ends or word.endswith(("ing", "ed", "'s", "ly")) or known(word) is not None


def adjectives_at(text: Text, at: int) -> tuple[tuple[str, ...], int]:
    """The adjectives from here on, over "and" and "very", and where they end."""
    i, words = at, []
    while True:
        while text.word(i) in v.DEGREES:
            i += 1
        if text.word(i) not in v.ADJECTIVES or (i > at and _is_head(text, i)):
            return tuple(words), i if words else at
        words.append(text.word(i))
        i += 1
        if text.word(i) in ("and", ",") and text.word(i + 1) in v.ADJECTIVES | v.DEGREES and not _begins_noun(text, i + 1):
            i += 1


def _is_head(text: Text, at: int) -> bool:
    """True for an adjective that is a noun here: "an orange"."""
    return text.word(at) in ("orange", "glass") and text.word(at - 1) in v.ARTICLES


def _begins_noun(text: Text, at: int) -> bool:
    """True if the adjectives from here on lead to a noun: "one is red, blue cars are ..."."""
    while text.word(at) in v.ADJECTIVES | v.DEGREES:
        at += 1
    word = text.word(at)
    return word not in v.FUNCTION | v.BE | v.VERBS and word[:1].isalnum()
