"""A prompt as words: lower case, with contractions resolved and the place of each word in the text kept."""

from __future__ import annotations

import re
from collections.abc import Container

from agent.planners.grammar.vocabulary import IRREGULAR, PEOPLE
from instdiff import knowledge

CONTRACTIONS = {f"{word}'s": (word, "is") for word in ("there", "it", "that", "he", "she", "what", "here", "who", "where", "everyone")}
CONTRACTIONS |= {f"{word}n't": (word, "not") for word in ("is", "are", "do", "does", "was", "were", "has", "have", "should", "must")}
CONTRACTIONS |= {"i'd": ("i", "would"), "i'm": ("i", "am"), "can't": ("can", "not"), "won't": ("will", "not"), "let's": ("let", "us")}
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

    def replaced(self, at: int, words: list[str]) -> Text:
        """A copy of the text that goes on with these words from ``at`` on, for reading only."""
        copy = Text("")
        copy.text, copy.spans, copy.words = self.text, self.spans, [*self.words[:at], *words]
        return copy

    def said(self, start: int, end: int) -> str:
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


def known(phrase: str) -> knowledge.Noun | None:
    """What `instdiff.knowledge` says of a noun, which may be an irregular plural, alone or after other words."""
    table = knowledge.nouns()
    if phrase in table:
        return table[phrase]
    *before, last = phrase.split(" ")
    singular = IRREGULAR.get(last) or (knowledge.singular_of(last) if last.endswith("s") else "")
    entry = table.get(" ".join([*before, singular])) if singular else None
    if entry:
        return knowledge.Noun(entry.meaning, entry.singular, True)
    if not before and (last in PEOPLE or singular in PEOPLE):
        return knowledge.Noun(knowledge.things()["person"], last if last in PEOPLE else singular, last not in PEOPLE)
    return None


def singular_of(word: str) -> str:
    """The singular of a noun that may be unknown; the word itself if it is no plural."""
    if word in IRREGULAR:
        return IRREGULAR[word]
    if word.endswith("men") and len(word) > 4:
        return word[:-3] + "man"
    return knowledge.singular_of(word)


def is_plural(word: str) -> bool:
    """True if an unknown noun looks like a plural."""
    return singular_of(word) != word
