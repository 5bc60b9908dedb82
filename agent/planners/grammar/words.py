"""A prompt as words, numbers in it, and what a word is as far as its neighbours tell."""

from __future__ import annotations

import re
from collections.abc import Container

from agent.planners.grammar import vocabulary as v
from instdiff.world import nouns

CONTRACTIONS = {
    f"{word}'s": (word, "is")
    for word in ("there", "it", "that", "he", "she", "what", "here", "who", "where", "everyone")
}
CONTRACTIONS |= {
    f"{word}n't": (word, "not") for word in ("is", "are", "do", "does", "was", "were", "has", "have", "should", "must")
}
CONTRACTIONS |= {
    "i'd": ("i", "would"),
    "i'm": ("i", "am"),
    "can't": ("can", "not"),
    "won't": ("will", "not"),
    "let's": ("let", "us"),
}
CONTRACTIONS |= {"they're": ("they", "are"), "we're": ("we", "are"), "cannot": ("can", "not"), "i'll": ("i", "will")}
TOKEN = re.compile(r"[^\W_]+(?:['’‑-][^\W_]+)*|[^\s\w]|_")
SPLIT_HYPHEN = ("upper", "lower", "top", "bottom", "left", "right", "middle", "center", "far", "mid", "hand")


class Text:
    """The words of one prompt. ``spans`` are the places of the words in ``text``; past the end every word is empty."""

    def __init__(self, prompt: str):
        self.text = " ".join(prompt.split())
        self.words: list[str] = []
        self.spans: list[tuple[int, int]] = []
        for match in TOKEN.finditer(self.text):
            for word in _parts(match[0].lower().replace("’", "'").replace("‑", "-")):
                self.words.append(word)
                self.spans.append(match.span())

    def __len__(self) -> int:
        return len(self.words)

    def word(self, at: int) -> str:
        return self.words[at] if 0 <= at < len(self.words) else ""

    def phrase(self, at: int, phrases: Container[str], longest: int = 6) -> int:
        """The end of the longest of these phrases that starts here, or 0."""
        for length in range(min(longest, len(self.words) - at), 0, -1):
            if " ".join(self.words[at : at + length]) in phrases:
                return at + length
        return 0

    def with_words(self, at: int, words: list[str]) -> Text:
        """A copy of the text that goes on with these words from ``at`` on, for reading only."""
        copy = Text("")
        copy.text = self.text
        copy.spans = self.spans
        copy.words = [*self.words[:at], *words]
        return copy

    def slice(self, start: int, end: int) -> str:
        """The words from start to end."""
        return " ".join(self.words[start:end])


def _parts(word: str) -> tuple[str, ...]:
    """One token as the words that it stands for."""
    if word in CONTRACTIONS:
        return CONTRACTIONS[word]
    pieces = word.split("-")
    if len(pieces) > 1 and all(piece in SPLIT_HYPHEN for piece in pieces):
        return tuple(pieces)
    return (word,)


def is_plural(word: str) -> bool:
    """True if an unknown noun looks like a plural."""
    return nouns.singular_of(word) != word


MAX_COUNT = 1000
DIGITS = re.compile(r"([0-9]{1,6})x?(?:[-–]([0-9]{1,6}))?")


def hedge_at(text: Text, at: int) -> tuple[int, int]:
    """Skip "at least", "no more than"; gives what they add to the number."""
    end = text.phrase(at, v.HEDGES, 3)
    if end and (
        end - at > 1
        or text.word(at) in ("exactly", "only", "just", "precisely")
        or number_at(text, end, "")[1] is not None
    ):
        return end, v.HEDGES[text.slice(at, end)]
    return at, 0


def number_at(text: Text, at: int, determiner: str) -> tuple[int, int | None]:
    """The end of the number that starts here and its value, None where there is none. "Two or three" is three."""
    if end := text.phrase(at, nouns.NUMBERS, 4):
        count = nouns.NUMBERS[text.slice(at, end)]
    elif match := DIGITS.fullmatch(text.word(at)):
        end = at + 1
        count = int(match[2] or match[1])
        end += text.word(end) in ("x", "×")
    else:
        return at, None
    if determiner == "a" and text.slice(at, end) in ("few", "lone", "single"):
        count = 3 if text.word(at) == "few" else 1
    if text.word(end) in ("or", "to", "-", "–") and (second := number_at(text, end + 1, ""))[1] is not None:
        return second
    if text.word(end) == "of" and text.word(end + 1) not in ("them", "which", "whom", *nouns.DEFINITE, *nouns.OWN):
        end += 1
    return end, min(count, MAX_COUNT)


def begins_other(text: Text, at: int) -> bool:
    """True if a number, a relation or a comparison begins here."""
    return begins_number(text, at) or any(
        text.phrase(at, table) for table in (v.RELATIONS, v.REVERSED, v.COMPARED, v.WITH, v.NEGATIONS)
    )


def is_finite(text: Text, at: int, determiner: str) -> bool:
    """True for a verb after its subject: "their parents watch"; not for "a pocket watch", which would say "watches"."""
    word = text.word(at)
    base = not word.endswith(("s", "ing", "ed"))
    return is_verb(word) and text.word(at - 1) not in v.ADJECTIVES and not (base and determiner == "a")


def begins_number(text: Text, at: int) -> bool:
    return (
        bool(text.phrase(at, nouns.NUMBERS, 4))
        and text.word(at) not in ("single", "lone", "solitary", "different", "twin")
        or (text.word(at).isdigit())
    )


def ends_in_noun(text: Text, at: int) -> bool:
    """True if a list of adjectives from here on leads to a word that may be its noun."""
    while text.word(at) in v.ADJECTIVES or text.word(at) in ("and", ","):
        at += 1
    word = text.word(at)
    return (
        bool(word)
        and word[0].isalnum()
        and word not in v.FUNCTION | nouns.ARTICLES | v.BE
        and not begins_number(text, at)
    )


def is_noun(text: Text, at: int, length: int) -> bool:
    words = text.words[at : at + length]
    if length == 1 and words[0] in v.ADJECTIVES and (following := text.word(at + 1)):  # "orange cat", "light blue"
        if (
            following not in v.FUNCTION | v.BE
            and following[0].isalnum()
            and not is_verb(following)
            and not following.endswith("ing")
        ):
            return False
    return nouns.known(" ".join(words)) is not None


def is_verb(word: str) -> bool:
    return word in v.VERBS or word in v.BE


def is_participle(text: Text, at: int) -> bool:
    """True for "casting a spell", "covered with": what follows shows that the word is no adjective before a noun."""
    word = text.word(at)
    following = text.word(at + 1)
    ends = (
        not following
        or not following[0].isalnum()
        or following in v.FUNCTION | nouns.ARTICLES
        or begins_number(text, at + 1)
    )
    return word.endswith(("ing", "ed")) and ends


def may_end_phrase(text: Text, at: int) -> bool:
    """True where a noun phrase may end: before punctuation, a small word or a verb."""
    word = text.word(at)
    ends = (
        not word
        or not word[0].isalnum()
        or word in v.FUNCTION | v.BE | v.VERBS | nouns.ARTICLES
        or begins_other(text, at)
    )
    return ends or word.endswith(("ing", "ed", "'s", "ly")) or nouns.known(word) is not None


def adjectives_at(text: Text, at: int) -> tuple[tuple[str, ...], int]:
    """The adjectives from here on, over "and" and "very", and where they end."""
    i = at
    words: list[str] = []
    while True:
        while text.word(i) in v.DEGREES:
            i += 1
        if text.word(i) not in v.ADJECTIVES or (i > at and _is_head(text, i)):
            return tuple(words), i if words else at
        words.append(text.word(i))
        i += 1
        if (
            text.word(i) in ("and", ",")
            and text.word(i + 1) in v.ADJECTIVES | v.DEGREES
            and not _begins_noun(text, i + 1)
        ):
            i += 1


def _is_head(text: Text, at: int) -> bool:
    """True for an adjective that is a noun here: "an orange"."""
    return text.word(at) in ("orange", "glass") and text.word(at - 1) in nouns.ARTICLES


def _begins_noun(text: Text, at: int) -> bool:
    """True if the adjectives from here on lead to a noun: "one is red, blue cars are ..."."""
    while text.word(at) in v.ADJECTIVES | v.DEGREES:
        at += 1
    word = text.word(at)
    return word not in v.FUNCTION | v.BE | v.VERBS and word[:1].isalnum()
