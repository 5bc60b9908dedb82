"""What a prompt says must not be there: "without cars", "no dogs or cats", "nobody"."""

from __future__ import annotations

from agent.planners.grammar import vocabulary as v
from agent.planners.grammar.chunks import Chunk, Sort
from agent.planners.grammar.noun_phrases import NounParser
from agent.planners.grammar.phrase import Kind, NounPhrase
from agent.planners.grammar.word_tests import adjectives_at
from agent.planners.grammar.words import Text, is_plural, known, singular_of


class Negations:
    """Reads the negation that starts at a word of a text."""

    def __init__(self, text: Text, nouns: NounParser):
        self.text, self.nouns = text, nouns

    def read(self, at: int) -> list[Chunk] | None:
        """ "Without cars, trucks or a dog": what is absent. "Not" before a relation or an adjective takes that with it."""
        if end := self.text.phrase(at, v.ABSENT_PEOPLE):
            return [Chunk(Sort.NOT, at, self._aftermath(end), ("person",))]
        word = self.text.word(at)
        if end := self.text.phrase(at, ("none of them", "none of which", "none of these", "none")):
            return [Chunk(Sort.OTHER, at, adjectives_at(self.text, end + (self.text.word(end) in v.BE))[1])]
        if word.endswith("-free") and (entry := known(word.removesuffix("-free"))):
            return [Chunk(Sort.NOT, at, at + 1, (entry.meaning.name,))]
        if self.text.phrase(at, v.HEDGES, 3) > at + 1 or not (end := self.text.phrase(at, v.NEGATIONS)):
            return None
        if self.text.word(at) in ("except", "but", "other", "apart") and "nothing" in self.text.words[:at]:
            return [Chunk(Sort.OTHER, at, end)]  # "nothing on the desk except a lamp"
        if self.text.word(end) == "any":
            end += 1
        names, stop = self._absent(end)
        if not names and is_plural(self.text.word(end)) and self.text.word(end) not in v.FUNCTION | v.BE:
            names, stop = (singular_of(self.text.word(end)),), end + 1
        if not names:
            if self.text.said(at, end).endswith("not") and self.text.word(end) in v.ADJECTIVES:
                return [Chunk(Sort.OTHER, at, end + 1)]
            if skip := self.text.phrase(end, v.RELATIONS):
                noun = self.nouns.parse(skip, bare=True)
                return [Chunk(Sort.NOT, at, noun.end if noun else skip, ())]
            return [Chunk(Sort.OTHER, at, end)]
        return [Chunk(Sort.NOT, at, self._aftermath(stop), names)]

    def _aftermath(self, at: int) -> int:
        """Past "in sight", "around", "sitting there", which only say once more that something is absent."""
        while end := self.text.phrase(at, v.AFTERMATHS):
            at = end
        return at

    def _absent(self, at: int) -> tuple[tuple[str, ...], int]:
        """The names in a list after a negation, and where it ends. A new article ends a list that has none."""
        names: list[str] = []
        noun, stop, first = self.nouns.parse(at, bare=True), at, None
        while noun and noun.kind is not Kind.META and (first is None or self._same_list(first, noun)):
            first = first or noun
            if noun.kind is Kind.THING and not self._is_other(at, noun.end):
                names.append("person" if noun.noun in ("people", "human") else noun.category)
            elif noun.kind is Kind.SETTING and known(noun.noun):
                names.append(noun.noun)
            elif noun.kind is Kind.SCENERY:
                names.append(noun.noun)
            stop = noun.end
            skip = stop + (self.text.word(stop) == ",")
            skip += self.text.word(skip) in ("or", "and", "nor")
            while skip > stop and self.text.word(skip) in ("any", "no", "without"):
                skip += 1
            at = skip
            noun = self.nouns.parse(skip, bare=True) if skip > stop else None
        return tuple(dict.fromkeys(names)), stop

    def _same_list(self, first: NounPhrase, noun: NounPhrase) -> bool:
        joined_by_or = self.text.word(noun.end - 1) and "or" in self.text.words[first.end : noun.end]
        return joined_by_or or noun.determiner == first.determiner and (noun.determiner != "" or noun.plural or not first.plural)

    def _is_other(self, start: int, end: int) -> bool:
        """True for "no other animals", which denies nothing that is named."""
        return bool({"other", "more", "additional", "further", "else"} & set(self.text.words[start:end]))
