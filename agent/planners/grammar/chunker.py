"""A prompt as a row of chunks: noun phrases, relations, places, negations, and the small words between them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from agent.planners.grammar import vocabulary as v
from agent.planners.grammar.parts import Chunk, Kind, Link, NounPhrase, One, Sort
from agent.planners.grammar.words import Text, adjectives_at, begins_number, is_plural
from instdiff.world import nouns
from instdiff.world.predicates import Predicate

if TYPE_CHECKING:
    from agent.planners.grammar.noun_phrases import NounParser


class Negations:
    """Reads the negation that starts at a word of a text."""

    def __init__(self, text: Text, parser: NounParser):
        self.text = text
        self.nouns = parser

    def read(self, at: int) -> list[Chunk] | None:
        """ "Without cars, trucks or a dog": what is absent. "Not" before a relation or adjective takes it along."""
        if end := self.text.phrase(at, v.ABSENT_PEOPLE):
            return [Chunk(Sort.NOT, at, self._aftermath(end), ("person",))]
        word = self.text.word(at)
        if end := self.text.phrase(at, ("none of them", "none of which", "none of these", "none")):
            return [Chunk(Sort.OTHER, at, adjectives_at(self.text, end + (self.text.word(end) in v.BE))[1])]
        if word.endswith("-free") and (entry := nouns.known(word.removesuffix("-free"))):
            return [Chunk(Sort.NOT, at, at + 1, (entry.name,))]
        if self.text.phrase(at, v.HEDGES, 3) > at + 1 or not (end := self.text.phrase(at, v.NEGATIONS)):
            return None
        if self.text.word(at) in ("except", "but", "other", "apart") and "nothing" in self.text.words[:at]:
            return [Chunk(Sort.OTHER, at, end)]  # "nothing on the desk except a lamp"
        if self.text.word(end) == "any":
            end += 1
        names, stop = self._absent_names(end)
        if not names and is_plural(self.text.word(end)) and self.text.word(end) not in v.FUNCTION | v.BE:
            names = (nouns.singular_of(self.text.word(end)),)
            stop = end + 1
        if not names:
            if self.text.slice(at, end).endswith("not") and self.text.word(end) in v.ADJECTIVES:
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

    def _absent_names(self, at: int) -> tuple[tuple[str, ...], int]:
        """The names in a list after a negation, and where it ends. A new article ends a list that has none."""
        names: list[str] = []
        noun = self.nouns.parse(at, bare=True)
        stop = at
        first = None
        while noun and noun.kind is not Kind.META and (first is None or self._same_list(first, noun)):
            first = first or noun
            if noun.kind is Kind.THING and not self._is_other(at, noun.end):
                names.append("person" if noun.noun in ("people", "human") else noun.category)
            elif noun.kind is Kind.SETTING and nouns.known(noun.noun):
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
        return (
            joined_by_or
            or noun.determiner == first.determiner
            and (noun.determiner != "" or noun.plural or not first.plural)
        )

    def _is_other(self, start: int, end: int) -> bool:
        """True for "no other animals", which denies nothing that is named."""
        return bool({"other", "more", "additional", "further", "else"} & set(self.text.words[start:end]))


ONES = dict.fromkeys("one another other first second third last former latter".split(), 1)
ONES |= {"two": 2, "three": 3, "four": 4, "others": 0, "rest": 0}
NEED_ARTICLE = ("rest", "other", "first", "second", "third", "last", "former", "latter")  # "they rest" is no "the rest"
NAMING = (Sort.NOUN, Sort.PRONOUN, Sort.ONE, Sort.BE, Sort.EACH, Sort.VERB, Sort.COMMA, Sort.AND)  # before a verb
# a noun needs no article after these
BARE_AFTER = (
    *(Sort.WITH, Sort.AND, Sort.COMMA, Sort.STOP, Sort.RELATION),
    *(Sort.PLACE, Sort.BETWEEN, Sort.VERB, Sort.NOT, Sort.FLANK),
)
OF_OTHERS = ("of them", "of which", "of whom", "of these", "of those")


class Chunker:
    """Cuts a text into chunks, from left to right."""

    def __init__(self, text: Text, parser: NounParser):
        self.text = text
        self.nouns = parser
        self.negations = Negations(text, parser)
        self.chunks: list[Chunk] = []

    def cut(self) -> list[Chunk]:
        """All chunks of the text."""
        at = 0
        while at < len(self.text):
            chunks = self._next(at)
            self.chunks += chunks
            at = chunks[-1].end
        return [chunk for chunk in self.chunks if chunk.sort is not Sort.OTHER]

    def _next(self, at: int) -> list[Chunk]:
        word = self.text.word(at)
        if word in (".", ";", "!", "?", ":", "\n") or word in ("–", "—"):
            return [Chunk(Sort.STOP, at, at + 1, word)]
        if word in (",", "(", ")"):
            return [Chunk(Sort.COMMA, at, at + 1)]
        readers = (
            *(self.negations.read, self._idiom, self._place, self._one),
            *(self._link, self._noun, self._small_word),
        )
        for read in readers:
            if chunks := read(at):
                return chunks
        return [Chunk(Sort.OTHER, at, at + 1)]

    def _before(self) -> Sort | None:
        return next((chunk.sort for chunk in reversed(self.chunks) if chunk.sort is not Sort.OTHER), None)

    def _idiom(self, at: int) -> list[Chunk] | None:
        for phrases, sort in ((v.TO_EACH_OTHER, Sort.MUTUAL), (v.WITH, Sort.WITH), (v.AND, Sort.AND)):
            if end := self.text.phrase(at, phrases):
                if sort is Sort.AND and self.text.word(at) == "plus" and self.text.word(at + 1) == ",":
                    end += 1
                return [Chunk(sort, at, end)]
        if end := self.text.phrase(at, v.ROWS):
            return [Chunk(Sort.ROW, at, end, v.ROWS[self.text.slice(at, end)])]
        if end := self.text.phrase(at, ("between", "in between")):
            return [Chunk(Sort.BETWEEN, at, end)]
        if self.text.word(at) == "for" and (noun := self.nouns.parse(at + 1, bare=True)):
            return [Chunk(Sort.OTHER, at, noun.end)]
        if self.text.word(at) == "nothing" and self.text.word(at + 1) == "else":
            return [Chunk(Sort.OTHER, at, at + 2)]
        return None

    def _place(self, at: int) -> list[Chunk] | None:
        """ "On the left", "in the top right corner of the picture"; "on the left side of the car" is a relation."""
        i = at + (self.text.word(at) in ("in", "on", "at", "to", "near", "toward", "towards", "along"))
        preposed = i > at
        owner = ""
        if self.text.word(i) in ("the", "its", "his", "her", "their", "each", "either", "both", "your", "my"):
            owner = self.text.word(i)
            i = i + 1
        while self.text.word(i) in ("very", "far", "extreme", "immediate"):
            i += 1
        first = i
        while self.text.word(i) in v.SIDES:
            i += 1
        sides = tuple(dict.fromkeys(v.SIDES[word] for word in self.text.words[first:i]))
        first_noun = i
        while self.text.word(i) in v.SIDE_NOUNS:
            i += 1
        if owner in ("each", "either", "both") and preposed and self.text.word(first_noun).startswith("side"):
            return [Chunk(Sort.FLANK, at, i + (self.text.word(i) == "of"))]
        if owner in ("each", "both") or self.text.word(first_noun) == "sides" or not sides:
            return None
        return self._side(at, i, sides, owner, preposed, named=i > first_noun)

    def _side(
        self, at: int, end: int, sides: tuple[Predicate, ...], owner: str, preposed: bool, named: bool
    ) -> list[Chunk] | None:
        word = self.text.word(end)
        if word == "of" and self.text.word(end + 1):
            i = end + 1 + (self.text.word(end + 1) in nouns.ARTICLES)
            if self.text.word(i) in v.PICTURE_WORDS and not nouns.known(self.text.slice(i, i + 2)):
                return [Chunk(Sort.PLACE, at, i + 1, sides)]
            return [Chunk(Sort.RELATION, at, end + 1, Link(v.OF_SIDE[sides[0]], place=sides))] if preposed else None
        if owner in ("its", "his", "her", "their") and preposed:
            pronoun = {"its": "it", "his": "him", "their": "them"}.get(owner, owner)
            return [
                Chunk(Sort.RELATION, at, end, Link(v.OF_SIDE[sides[0]], place=sides)),
                Chunk(Sort.PRONOUN, end, end, pronoun),
            ]
        if named and not preposed and owner in ("the", "") and word in v.BE | v.VERBS | {"has", "have"}:
            return [Chunk(Sort.PLACE, at, end, sides)]  # "the left half shows a cat"
        if self.text.slice(at, end) == "on top":
            return [Chunk(Sort.RELATION, at, end, Link(Predicate.ON))]
        free = (
            not word
            or not word[0].isalnum()
            or word in v.FUNCTION | nouns.ARTICLES | v.BE | v.VERBS
            or begins_number(self.text, end)
        )
        if free and (
            preposed or len(sides) > 1 or (word in (":", ",") and self._before() in (None, Sort.STOP, Sort.COMMA))
        ):
            return [Chunk(Sort.PLACE, at, end, sides)]
        return (
            [Chunk(Sort.PLACE, at, end, sides)]
            if named and preposed and sides[0] in (Predicate.LEFT, Predicate.RIGHT)
            else None
        )

    def _one(self, at: int) -> list[Chunk] | None:
        """ "One black", "the other two", "one of them", "a red one": some of what was named before."""
        i = at + (self.text.word(at) in ("the", "a", "an"))
        start = i
        word = self.text.word(i)
        if (end := self.text.phrase(at, nouns.NUMBERS, 4)) and (
            stop := self.text.phrase(end, ("of them", "of these", "of those"))
        ):
            adjectives, stop = adjectives_at(self.text, stop)
            return [Chunk(Sort.ONE, at, stop, One(nouns.NUMBERS[self.text.slice(at, end)], adjectives))]
        if word in ONES | nouns.UNITS and (start > at or word not in NEED_ARTICLE) or word.isdigit() and len(word) < 3:
            i += 1
            count = ONES[word] if word in ONES else nouns.UNITS.get(word) or int(word)
            if word in ("other", "first", "last", "second") and self.text.word(i) in nouns.UNITS:
                count = nouns.UNITS[self.text.word(i)]
                i = i + 1
            if self.text.phrase(i, OF_OTHERS):
                i += 2
            i += self.text.word(i) in ("one", "ones") and word != "one"
            adjectives, i = adjectives_at(self.text, i)
            i += bool(adjectives) and self.text.word(i) in ("one", "ones")
            many = any(noun.count != 1 for noun in self._noun_phrases())
            if not many and self.text.word(i - 1) not in ("one", "ones") and word not in ("another", "other", "others"):
                return None
            part = One(count, adjectives, is_new=word == "another")
            return [Chunk(Sort.ONE, at, i, part)] if self._ends_one(i, adjectives) else None
        adjectives, i = adjectives_at(self.text, i)
        if adjectives and self.text.word(i) in ("one", "ones") and (start > at or self.text.word(i) == "ones"):
            count = 1 if self.text.word(i) == "one" else 2
            return [Chunk(Sort.ONE, at, i + 1, One(count, adjectives, is_new=self.text.word(at) in ("a", "an")))]
        if start > at and self.text.word(at) == "the" and self.text.word(i) == "one" and self._ends_one(i + 1, ()):
            return [Chunk(Sort.ONE, at, i + 1, One(1, ()))]
        if self.text.word(at) == "the" and self.text.word(i) in v.SIDES and self.text.word(i + 1) == "one":
            return [Chunk(Sort.ONE, at, i + 2, One(1, ()))]
        return None

    def _noun_phrases(self) -> list[NounPhrase]:
        """All noun phrases so far."""
        return [chunk.value_as(NounPhrase) for chunk in self.chunks if chunk.sort is Sort.NOUN]

    def _ends_one(self, at: int, adjectives: tuple[str, ...]) -> bool:
        """True if no noun follows that "one" counts."""
        word = self.text.word(at)
        if not word or not word[0].isalnum():
            return True
        if word == "and" and adjectives:
            return any(noun.count > 1 for noun in self._noun_phrases())
        return word in v.FUNCTION | v.BE | v.VERBS or word.endswith("ing") or bool(self.text.phrase(at, v.RELATIONS))

    def _link(self, at: int) -> list[Chunk] | None:
        if self.text.phrase(at, v.HEDGES, 3) > at + 1:
            return None
        for table in (v.COMPARED, v.REVERSED, v.RELATIONS):
            if end := self.text.phrase(at, table):
                if self.text.word(end) in ("with", "by") and self.text.slice(at, end + 1) in v.REVERSED:
                    continue
                if table is v.RELATIONS and self.text.phrase(end, v.RELATIONS) and self._skips(at):
                    return [Chunk(Sort.OTHER, at, end)]
                link = Link(table[self.text.slice(at, end)], reverse=table is v.REVERSED)
                return [Chunk(Sort.RELATION, at, end, link)]
        return None

    def _skips(self, at: int) -> bool:
        """True for the first of two prepositions: "down on", "from behind"."""
        return self.text.word(at) in "down up from out over across outside inside past after before".split()

    def _noun(self, at: int) -> list[Chunk] | None:
        word = self.text.word(at)
        if self._before() in (Sort.NOUN, Sort.ONE, Sort.PRONOUN) and word.endswith("ing") and len(word) > 5:
            return [Chunk(Sort.VERB, at, at + 1, word)]  # "people holding umbrellas"
        if self._before() is Sort.BE and word.endswith("ing") and self.text.word(at + 1) in nouns.ARTICLES | v.FUNCTION:
            return [Chunk(Sort.VERB, at, at + 1, word)]  # "are building a snowman"
        bare = self._before() in (None, *BARE_AFTER)
        noun = self.nouns.parse(at, bare)
        if noun is None or noun.end <= at:
            return self._shared_noun(at)
        if noun.kind is Kind.META:
            return [Chunk(Sort.NOUN, at, noun.end, noun)]
        if noun.determiner == "" and noun.kind is Kind.SCENERY and not bare:
            return None
        if not noun.is_known and not noun.determiner and self._is_phrase_of_style(noun, at):
            return [Chunk(Sort.OTHER, at, noun.end)]
        if word == "each" and self.chunks and self._before() not in (Sort.RELATION, Sort.BETWEEN, Sort.WITH, Sort.STOP):
            return [Chunk(Sort.EACH, at, at + 1)]
        return [Chunk(Sort.NOUN, at, noun.end, noun)]

    def _is_phrase_of_style(self, noun: NounPhrase, at: int) -> bool:
        """True for unknown words without article that speak of the style ("sharp focus") or are no noun at all."""
        return bool(set(self.text.words[at : noun.end]) & v.STYLE) or any(
            word in v.ASKING for word in self.text.words[at : noun.end]
        )

    def _shared_noun(self, at: int) -> list[Chunk] | None:
        """ "One red" before "and one blue car": the noun is the next one's."""
        i = at + (self.text.word(at) in nouns.INDEFINITE)
        number = nouns.UNITS.get(self.text.word(i), 0) if i == at else 1
        i += i == at and number > 0
        adjectives, i = adjectives_at(self.text, i)
        if not (number and adjectives and self.text.word(i) in ("and", ",", "or")):
            return None
        following = self._next_noun(i + 1)
        if following is None or following.kind is not Kind.THING or not following.adjectives:
            return None
        shared = NounPhrase(i, noun=following.noun, category=following.category, is_known=following.is_known)
        noun = replace(shared, determiner="number", count=number, plural=number > 1, adjectives=adjectives)
        return [Chunk(Sort.NOUN, at, i, noun)]

    def _next_noun(self, at: int) -> NounPhrase | None:
        """The first whole noun phrase of a list that goes on with "one green and one blue car"."""
        for _ in range(4):
            at += self.text.word(at) == "and"
            noun = self.nouns.parse(at, bare=False)
            if noun is not None:
                return noun
            i = at + (self.text.word(at) in nouns.INDEFINITE or self.text.word(at) in nouns.UNITS)
            adjectives, i = adjectives_at(self.text, i)
            if not adjectives or self.text.word(i) not in ("and", ","):
                return None
            at = i + 1
        return None

    def _small_word(self, at: int) -> list[Chunk] | None:
        word = self.text.word(at)
        if word in v.BE:
            return [Chunk(Sort.BE, at, at + 1)]
        if word in v.PRONOUNS and word not in ("one", "another"):
            return [Chunk(Sort.PRONOUN, at, at + 1, word)]
        if word in ("each", "every"):
            return [Chunk(Sort.EACH, at, at + 1)]
        adjectives, end = adjectives_at(self.text, at)
        if adjectives:
            return [Chunk(Sort.ADJECTIVES, at, end, adjectives)]
        if word in v.VERBS or self._looks_like_verb(at):
            return [Chunk(Sort.VERB, at, at + 1, word)]
        return None

    def _looks_like_verb(self, at: int) -> bool:
        """True for an unknown word after a noun that ends as verbs do: "chases", "knitting"."""
        word = self.text.word(at)
        after_noun = self._before() in NAMING
        return (
            after_noun
            and word.isalpha()
            and word not in v.FUNCTION
            and (word.endswith(("ing", "ed")) or nouns.singular_of(word) != word and is_plural(word))
        )
