"""Noun phrases: number or article, adjectives, noun, and what belongs to it, as in "a man with a beard"."""

from __future__ import annotations

from dataclasses import replace

from agent.planners.grammar import vocabulary as v
from agent.planners.grammar.parts import Kind, NounPhrase
from agent.planners.grammar.words import (
    MAX_COUNT,
    Text,
    begins_other,
    ends_in_noun,
    hedge_at,
    is_finite,
    is_noun,
    is_participle,
    is_plural,
    is_verb,
    may_end_phrase,
    number_at,
)
from instdiff.world import knowledge, nouns

# words of a noun phrase; without a bound, a long text without nouns is read again from each of its words
LONGEST_RUN = 40


class NounParser:
    """Finds the noun phrase that starts at a word of a text."""

    def __init__(self, text: Text):
        self.text = text

    def parse(self, start: int, bare: bool) -> NounPhrase | None:
        """The noun phrase that starts here, or None.

        Args:
            start: index of its first word.
            bare: the place is one where a noun needs no article, such as after "with" or a comma.
        """
        at, more = hedge_at(self.text, start)
        at, determiner = self._determiner(at)
        at, count = number_at(self.text, at, determiner)
        if count is not None:
            determiner = determiner if determiner in ("the", "own") else "number"
        noun = self._collective(at, count, determiner) or self._head(at, count, determiner, bare or count is not None)
        if noun and count is not None and more:
            noun = replace(noun, count=max(noun.count + more, 0))
        return noun

    def _determiner(self, at: int) -> tuple[int, str]:
        word = self.text.word(at)
        following = self.text.word(at + 1)
        if word in ("one", "some", "all", "both", "each", "most", "any", "two") and following == "of":
            if self.text.word(at + 2) in nouns.DEFINITE | nouns.OWN:
                return at + 3, "the"
        if word in ("all", "both", "any") and (
            following in nouns.ARTICLES or self.text.phrase(at + 1, nouns.NUMBERS) or word == "any"
        ):
            return self._determiner(at + 1) if following in nouns.ARTICLES else (at + 1, "the" if word == "all" else "")
        if word in ("all", "both") and nouns.known(following):
            return at + 1, "the"
        if self.text.phrase(at, nouns.NUMBERS, 4) and word not in nouns.DEFINITE:
            return at, ""  # "a few", "a dozen"
        if word in nouns.INDEFINITE:
            return at + 1, "a"
        if word in nouns.DEFINITE:
            return at + 1, "the"
        if word in nouns.OWN:
            return at + 1, "own"
        return (at + 1, "each") if word in ("each", "every") else (at, "")

    def _collective(self, at: int, count: int | None, determiner: str) -> NounPhrase | None:
        """ "A pair of shoes", "three pairs of shoes", "a small group of seven people", "a couple dogs", "a family"."""
        for i in range(at, at + 3):
            word = self.text.word(i)
            name = word if word in nouns.COLLECTIVES or word in nouns.PEOPLE_COLLECTIVES else nouns.singular_of(word)
            if (
                (name in nouns.COLLECTIVES or name in nouns.KINDS)
                and self.text.word(i + 1) == "of"
                and (determiner or word != name)
            ):
                return self._of_collective(i + 2, name, 2 if count is None and word != name else count or 1)
            people = nouns.PEOPLE_COLLECTIVES.get(word)
            if people and (determiner or word.startswith("every")) and not self._goes_on(i + 1):
                adjectives = tuple(self.text.words[at:i])
                return replace(_people(i + 1, people), adjectives=adjectives)
            if i == at and name in ("couple", "pair", "dozen") and determiner == "a" and word == name:
                return self._of_collective(at + 1, name, 1)
            if word not in v.ADJECTIVES:
                return None
        return None

    def _goes_on(self, at: int) -> bool:
        """True if another noun follows, so that the word is none of its own: "a family car", "family of four"."""
        word = self.text.word(at)
        return (
            word == "of"
            or bool(nouns.known(word))
            or (word not in v.FUNCTION | v.VERBS and word[:1].isalpha() and not word.endswith("ing"))
        )

    def _of_collective(self, at: int, name: str, times: int) -> NounPhrase | None:
        inner = self.parse(at, bare=True)
        if inner is None:
            end, count = number_at(self.text, at, "")
            return _people(end, count) if count else None
        if inner.kind is not Kind.THING:
            return inner
        if name in nouns.KINDS:
            return replace(inner, determiner="number", count=inner.count or max(times, 1))
        if (word := self.text.word(inner.end - 1)) in v.ONLY_PLURAL:
            category = "eyeglasses" if word == "glasses" else inner.category
            pair = replace(inner, noun=f"pair of {word}", category=category)
            return replace(pair, determiner="number", count=times, plural=times > 1)
        count = inner.count if inner.determiner == "number" and inner.count else nouns.COLLECTIVES[name]
        return replace(inner, determiner="number", count=min(count * times, MAX_COUNT), plural=True)

    def _head(self, at: int, count: int | None, determiner: str, bare: bool) -> NounPhrase | None:
        run, hit = self._run(at, count, determiner)
        if not run:
            return None
        if hit:
            phrase = self._known_head(at, run, hit, count, determiner)
        else:
            phrase = self._unknown_head(at, run, count, determiner, bare)
        if phrase is None or phrase.kind is not Kind.THING:
            return phrase
        return self._unowned(self._tail(phrase))

    def _run(self, at: int, count: int | None, determiner: str) -> tuple[list[str], tuple[int, int] | None]:
        """The words up to the next that ends a noun phrase, and where in them the last known noun lies."""
        start = at
        hit = None
        plural = False
        while at - start < LONGEST_RUN and (word := self.text.word(at)):
            if self._is_listed(start, at):
                at += 1
                continue
            entry = next((k for k in (3, 2, 1) if at + k <= len(self.text) and is_noun(self.text, at, k)), 0)
            if hit and word in v.POSTPOSED:
                break
            if entry and word not in v.FUNCTION and not (at > start and is_finite(self.text, at, determiner)):
                is_action = word.endswith("ing") and is_participle(self.text, at) and self.text.word(at + entry)
                if hit and (plural or is_action):
                    break  # "a train crossing a bridge"
                hit = (at - start, at - start + entry)
                plural = _is_known_plural(self.text.slice(at, at + entry))
                at += entry
                continue
            if word in nouns.ARTICLES | v.FUNCTION or not word[0].isalnum():
                break
            if at > start and begins_other(self.text, at):
                break
            if hit:
                if not self._continues(at, plural, count, determiner):
                    break
                hit = None
                plural = not word.endswith(("'s", "s'"))  # a compound that is not known: "guitar case"
            elif plural or self._is_verbal(at, at > start, bool(determiner) or count is not None):
                break
            at += 1
        return self.text.words[start:at], hit

    def _is_listed(self, start: int, at: int) -> bool:
        """True for the "and" or comma between adjectives that lead to a noun: "a black and white cat"."""
        joins = ("and", ",")
        return (
            at > start
            and self.text.word(at) in joins
            and all(word in v.ADJECTIVES or word in joins for word in self.text.words[start:at])
            and self.text.word(at + 1) in v.ADJECTIVES
            and ends_in_noun(self.text, at + 1)
        )

    def _is_verbal(self, at: int, follows: bool, is_determined: bool) -> bool:
        """True for a verb or participle that is no part of a noun phrase, which may have begun before it."""
        word = self.text.word(at)
        may_describe = word in v.ADJECTIVES or word.endswith(("ing", "ed")) and is_determined
        if is_verb(word) and not may_describe:
            return True
        return (follows or is_verb(word)) and is_participle(self.text, at)

    def _continues(self, at: int, plural: bool, count: int | None, determiner: str) -> bool:
        """True if an unknown word after a known noun makes a compound with it: "tree stump"; not "dog barks"."""
        word = self.text.word(at)
        if word.endswith(("'s", "s'")):
            return True
        stand = word in ("stand", "set", "show", "rest") and determiner == "a"  # "an umbrella stand"
        if (
            plural
            or is_verb(word)
            and not stand
            or word in v.POSTPOSED | v.ADJECTIVES | v.DEGREES | v.STYLE | v.PRONOUNS
            or word.endswith(("ing", "ed", "ly"))
        ):
            return False
        if (
            word in v.SCENERY | v.PARTS | v.META | v.SETTING_TAILS
            or not word.isalpha()
            or not may_end_phrase(self.text, at + 1)
        ):
            return False
        return not (is_plural(word) and (determiner in ("a", "the", "own", "each") and count is None or count == 1))

    def _known_head(
        self, at: int, run: list[str], hit: tuple[int, int], count: int | None, determiner: str
    ) -> NounPhrase | None:
        noun = " ".join(run[hit[0] : hit[1]])
        end = at + hit[1]
        entry = nouns.known(noun)
        if entry is None:
            return None
        before = tuple(run[: hit[0]])
        if noun in v.META and self._is_meta(at, end):
            return NounPhrase(end, Kind.META)
        if noun in v.DEPTH_WORDS:
            return NounPhrase(end, Kind.SCENERY, noun)
        if isinstance(entry.meaning, knowledge.Setting):
            end += self.text.word(end) in v.SETTING_TAILS
            return NounPhrase(end, Kind.SETTING, noun, entry.name, determiner, count or 0, adjectives=before)
        if noun in v.PARTS and before and before[-1].endswith(("'s", "s'")):
            return self._possessor(at, end, before)
        number = self._count(count, entry.plural)
        adjectives = _adjectives(before)
        return NounPhrase(end, Kind.THING, entry.singular, entry.name, determiner, number, entry.plural, adjectives)

    def _count(self, count: int | None, plural: bool) -> int:
        return count if count is not None else 0 if plural else 1

    def _is_meta(self, start: int, end: int) -> bool:
        """True if a picture word speaks of the picture that is asked for: "a photo of", "the image shows"."""
        before = self.text.words[:start]
        following = self.text.word(end)
        asked = all(
            word in v.ASKING | nouns.ARTICLES | v.STYLE | v.META | v.ADJECTIVES or word in (",", "'s", "in")
            for word in before
        )
        return asked and (
            not following or following in v.META_LINKS or following in v.BE | v.VERBS | {"'s", "has", "with"}
        )

    def _possessor(self, at: int, end: int, before: tuple[str, ...]) -> NounPhrase | None:
        """ "An elephant's back" is the elephant."""
        owner = NounParser(
            self.text.with_words(at, [*before[:-1], before[-1].removesuffix("'").removesuffix("'s")])
        ).parse(at, bare=True)
        return (
            replace(owner, end=end, determiner="a" if owner.determiner == "" else owner.determiner) if owner else None
        )

    def _unknown_head(
        self, at: int, run: list[str], count: int | None, determiner: str, bare: bool
    ) -> NounPhrase | None:
        """A noun that nothing is known of: the last word of the run, or the first plural after a number."""
        words = _trim(run, count, determiner)
        end = at + len(words)
        noun = words[-1]
        before = tuple(words[:-1])
        if noun in v.META | {"s"} and self._is_meta(at, end):
            return NounPhrase(end, Kind.META)
        if noun in v.PARTS or noun in v.PART_OF:
            if before and before[-1].endswith(("'s", "s'")):
                return self._possessor(at, end, before)
            return self._part(at, end, noun, determiner)
        if noun in v.SCENERY | v.LOCATIONS | v.STYLE:
            is_style = noun in ("style", "manner") and self.text.word(end) == "of"
            inner = self.parse(end + 1, bare=True) if is_style else None
            is_named = bool(determiner or bare or before)
            return NounPhrase(inner.end if inner else end, Kind.SCENERY, noun) if is_named else None
        plural = is_plural(noun) and (count != 1 or determiner != "a")
        # "gargoyle on a roof"
        lone = len(noun) > 3 and (self.text.phrase(end, v.RELATIONS) or self.text.word(end) == "with")
        is_named = bool(determiner or count is not None or bare and (plural or before or lone))
        head = nouns.singular_of(noun) if plural else noun
        if not is_named or not _may_name(words, bool(determiner)) or len(head) < 2:
            return None
        if before and _is_known_thing(before[-1]):
            head = f"{before[-1]} {head}"  # "guitar case"
            before = before[:-1]
        total = self._count(count, plural)
        phrase = NounPhrase(end, Kind.THING, head, head, determiner, total, plural, _adjectives(before))
        return replace(phrase, is_known=False)

    def _part(self, at: int, end: int, noun: str, determiner: str) -> NounPhrase | None:
        """ "The back of a truck" is the truck; "its back" is what "its" stands for; other parts are no things."""
        if self.text.word(end) == "of" and (inner := self.parse(end + 1, bare=False)):
            return inner
        if determiner == "own":
            owner = next((word for word in self.text.words[max(at - 2, 0) : end] if word in nouns.OWN), "its")
            return NounPhrase(end, Kind.SCENERY, noun, owner=owner)
        return NounPhrase(end, Kind.SCENERY, noun)

    def _tail(self, phrase: NounPhrase) -> NounPhrase:
        """What follows the noun and stays in its caption: "of coffee", "made of wood"; or what it holds."""
        end = phrase.end
        if self.text.slice(end, end + 2) in ("made of", "made from", "made out") and self.text.word(end + 2):
            stop = end + 3 + (self.text.word(end + 2) == "of")
            return replace(phrase, end=stop, extra=self.text.slice(end, stop))
        if self.text.word(end) == "of" and self.text.word(end + 1) not in nouns.ARTICLES:
            inner = self.parse(end + 1, bare=True)
            if inner and inner.kind is Kind.THING and phrase.noun in nouns.PORTIONS:
                return replace(
                    phrase,
                    end=inner.end,
                    category=inner.category,
                    extra=self.text.slice(end, inner.end),
                    is_known=inner.is_known,
                )
            if inner and inner.kind is Kind.THING and (inner.plural or inner.determiner == "number"):
                return replace(phrase, end=inner.end, contents=inner)
            stop = max(inner.end if inner else 0, end + 2)
            return replace(phrase, end=stop, extra=self.text.slice(end, stop)) if self.text.word(end + 1) else phrase
        if self.text.word(end) == "with" and (stop := self._parts_end(end + 1, phrase.category == "person")):
            return replace(phrase, end=stop, extra=self.text.slice(end, stop))
        return phrase

    def _parts_end(self, at: int, is_person: bool) -> int:
        """The end of "a long white beard", "big ears and a short tail": adjectives and parts only; else 0."""
        stop = 0
        while True:
            i = at + (self.text.word(at) in nouns.ARTICLES)
            i += self.text.word(i) in ("two", "four", "three", "many", "eight")
            while self.text.word(i) in v.ADJECTIVES or (
                self.text.word(i) in ("and", "very") and self.text.word(i + 1) in v.ADJECTIVES
            ):
                i += 1
            i += (
                self.text.word(i + 1) in v.PARTS and not nouns.known(self.text.word(i)) and self.text.word(i).isalpha()
            )  # "floppy ears"
            spectacles = is_person and self.text.word(i) == "glasses"
            if not spectacles and (self.text.word(i) not in v.PARTS or nouns.known(self.text.slice(i, i + 2))):
                return stop
            stop = i + 1
            if self.text.word(stop) not in ("and", ","):
                return stop
            at = stop + 1

    def _unowned(self, phrase: NounPhrase) -> NounPhrase:
        """ "The cat's toy" is a toy, whatever "the" belongs to."""
        owned = any(word.endswith(("'s", "s'")) for word in phrase.adjectives)
        return replace(phrase, determiner="a") if owned and phrase.determiner in ("the", "own") else phrase


def _adjectives(words: tuple[str, ...]) -> tuple[str, ...]:
    """The words before a noun that describe it."""
    return tuple(word for word in words if word not in v.DEGREES | {"other", "more", "additional", "same", "own", "of"})


def _people(end: int, count: int) -> NounPhrase:
    """So many people."""
    return NounPhrase(end, noun="person", category="person", determiner="number", count=count, plural=True)


def _is_known_plural(words: str) -> bool:
    entry = nouns.known(words)
    return entry is not None and entry.plural


def _is_known_thing(word: str) -> bool:
    """True for the name of a thing that is no adjective."""
    entry = nouns.known(word)
    return entry is not None and isinstance(entry.meaning, knowledge.Thing) and word not in v.ADJECTIVES


def _trim(run: list[str], count: int | None, determiner: str) -> list[str]:
    """The words of a run up to its noun, without the adverbs and verbs that follow it."""
    words = list(run)
    if count is not None and count != 1:
        first = next((i for i, word in enumerate(words) if is_plural(word) and word not in v.ADJECTIVES), None)
        words = words[: first + 1] if first is not None else words
    while len(words) > 1 and (words[-1].endswith("ly") or words[-1] in v.POSTPOSED):
        words.pop()
    if determiner in ("a", "each") and count is None:
        while len(words) > 1 and is_plural(words[-1]) and not words[-1].endswith("'s"):
            words.pop()  # "a wizard casts"
    return words


def _may_name(words: list[str], is_determined: bool) -> bool:
    """True if the last of these words can be the name of a thing that nothing is known of."""
    noun = words[-1]
    if noun in v.ADJECTIVES | v.DEGREES | v.ASKING | v.POSTPOSED and noun not in ("orange", "glass"):
        return False
    is_number = noun.isdigit() and not is_determined
    return not (noun.endswith(("'s", "s'", "ly", "ing")) or not noun[0].isalnum() or len(words) > 6 or is_number)
