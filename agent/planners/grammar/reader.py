"""A small grammar of picture descriptions: chunks become groups of things, relations, a setting, and what is absent."""

from __future__ import annotations

import re

from agent.planners.grammar import clauses
from agent.planners.grammar import vocabulary as v
from agent.planners.grammar.chunker import Chunker
from agent.planners.grammar.clauses import ENDS, Clauses, Pending
from agent.planners.grammar.noun_phrases import NounParser
from agent.planners.grammar.parts import Chunk, Kind, Link, NounPhrase, One, Reading, Sort
from agent.planners.grammar.words import Text
from instdiff.world.predicates import Predicate

# to these, a place is a building
OBJECT_LIKE = (
    Predicate.LEFT_OF,
    Predicate.RIGHT_OF,
    Predicate.IN_FRONT_OF,
    Predicate.BEHIND,
    Predicate.LARGER_THAN,
    Predicate.SMALLER_THAN,
)
DEPTHS = {
    "background": Predicate.BEHIND,
    "distance": Predicate.BEHIND,
    "horizon": Predicate.BEHIND,
    "foreground": Predicate.IN_FRONT_OF,
}
CLOTHES = v.CLOTHES | {word.removesuffix("s") for word in v.CLOTHES}


def read_prompt(prompt: str) -> Reading:
    """What a prompt says."""
    text = Text(prompt)
    return Reader(text, Chunker(text, NounParser(text)).cut()).read()


class Reader(Clauses):
    """Reads the chunks of one prompt from left to right, one handler for each sort of chunk."""

    def read(self) -> Reading:
        """What the whole prompt says."""
        handlers = {
            Sort.NOUN: self._noun,
            Sort.PRONOUN: self._pronoun,
            Sort.ONE: self._one,
            Sort.EACH: self._each,
            Sort.RELATION: self._relation,
            Sort.BETWEEN: self._relation,
            Sort.FLANK: self._relation,
            Sort.PLACE: self._place,
            Sort.WITH: self._with,
            Sort.AND: self._and,
            Sort.COMMA: self._comma,
            Sort.STOP: self._stop,
            Sort.BE: self._verb,
            Sort.VERB: self._verb,
            Sort.ADJECTIVES: self._adjectives,
            Sort.NOT: self._not,
            Sort.MUTUAL: self._mutual,
            Sort.ROW: self._in_row,
        }
        for index, chunk in enumerate(self.chunks):
            handlers[chunk.sort](index, chunk)
        self._finish()
        return self.reading

    def _stop(self, index: int, chunk: Chunk) -> None:
        if chunk.value == ":":
            self.fresh = Sort.STOP
            self.pending = None
            self.is_verbal = False
            return
        self.before = self.subject or self.last or self.before
        self.subject = self.host = self.each = ()
        self.waiting = (
            [entry for entry in self.waiting if isinstance(entry[0], tuple)] if not self.reading.groups else []
        )
        self.pending = None
        self.fresh = Sort.STOP
        self.sentence = len(self.reading.groups)
        self.is_verbal = self.at_setting = self.in_with = self.setting_is_host = False

    def _comma(self, index: int, chunk: Chunk) -> None:
        if not (self.pending and self.pending.link is Sort.BETWEEN):
            self.pending = None
        self.fresh = Sort.COMMA
        self.each = ()

    def _and(self, index: int, chunk: Chunk) -> None:
        if self.pending and self._sort(index - 1) is Sort.RELATION and self._sort(index + 1) is Sort.RELATION:
            return
        if not (self.pending and self.pending.link is Sort.BETWEEN):
            self.pending = None
        self.fresh = Sort.AND

    def _with(self, index: int, chunk: Chunk) -> None:
        if self.each:
            self.host = self.each
        elif self.at_setting:
            self.host = ()
            self.setting_is_host = True
        elif self.fresh or self.is_verbal or (self.text.word(chunk.start) != "with" and self.subject):
            self.host = self.subject or self._chain(None)
        else:
            self.host = self._chain(None)
        self.pending = None
        self.fresh = Sort.WITH
        self.in_with = True
        self.is_verbal = False

    def _verb(self, index: int, chunk: Chunk) -> None:
        """A verb takes what was named last as its subject, unless that is the object of a relation."""
        placed = self.last and self.objects.issuperset(self.last)
        finite = chunk.sort is Sort.BE or not str(chunk.value).endswith("ing")
        of_host = self.in_with and self.host and finite
        if self.last and not placed and not self.is_verbal and not of_host and self.fresh in (None, Sort.WITH):
            self.subject = self._chain(None)
        if chunk.sort is Sort.VERB and self._is_transitive(index) and not self.waiting:
            subjects = self.subject or self.last
            action = Pending(self._action(str(chunk.value), subjects), subjects, f"verb {chunk.value}")
            self.pending = action if subjects else None
        self.is_verbal = True
        self.fresh = None

    def _action(self, verb: str, subjects: tuple[int, ...]) -> Link:
        """People and animals are beside what they hold; a shelf has it on it."""
        living = v.HYPERNYMS["animal"] | {"person"}
        holds = verb in ("holding", "holds", "hold", "carrying", "carries", "supports")
        alive = bool(living & {self.reading.groups[i].category for i in subjects})
        is_carrier = holds and not alive and clauses.carries(self.reading.groups, subjects)
        return Link(Predicate.ON, reverse=True) if is_carrier else Link(Predicate.NEXT_TO)

    def _is_transitive(self, index: int) -> bool:
        """True if the verb's object follows at once."""
        return self._sort(index + 1) is Sort.NOUN and self.chunks[index + 1].start <= self.chunks[index].end + 1

    def _each(self, index: int, chunk: Chunk) -> None:
        self.each = self._chain(None) if self.last else self.subject

    def _adjectives(self, index: int, chunk: Chunk) -> None:
        words = chunk.value_as(tuple)
        if self.at_setting and not self.last:
            self.reading.setting_adjectives += words
            return
        described = self.subject if self.is_verbal and self.subject else self.last
        lone = self._sort(index - 1) in (Sort.COMMA, Sort.AND, Sort.STOP)
        if lone and not set(words) <= v.COLOURS | v.MATERIALS | frozenset(v.SIZES):
            return
        if self._sort(index - 1) is Sort.STOP:
            return
        for group in described:
            for part in (group, *self.reading.groups[group].parts):
                known_words = self.reading.groups[part].adjectives
                self.reading.groups[part].adjectives += tuple(word for word in words if word not in known_words)

    def _in_row(self, index: int, chunk: Chunk) -> None:
        predicate = chunk.value_as(Predicate)
        self.row = (predicate, len(self.reading.groups))
        following = self.chunks[index + 1 : index + 2]
        ends = not following or (following[0].sort is Sort.STOP and following[0].value != ":")
        if self.reading.groups and ends:
            self.row = (predicate, self._chain(None)[0])  # "a cat, a dog and a bird from left to right"

    def _mutual(self, index: int, chunk: Chunk) -> None:
        """ "Next to each other": the things of the subject are beside one another."""
        group = self.subject if self.is_verbal and self.subject else self._chain(None)
        for a, b in zip(group, group[1:], strict=False):
            self._relate(Link(Predicate.NEXT_TO), (a,), (b,))
        self.pending = None

    def _not(self, index: int, chunk: Chunk) -> None:
        self.reading.absent += [name for name in chunk.value_as(tuple) if name not in self.reading.absent]

    def _relation(self, index: int, chunk: Chunk) -> None:
        link = chunk.value_as(Link) if chunk.sort is Sort.RELATION else chunk.sort
        if isinstance(link, Link) and link.reverse and self.at_setting:
            return  # "a classroom full of students"
        word = self.text.slice(chunk.start, chunk.end)
        if self.pending and isinstance(self.pending.link, Link) and self._sort(index - 1) is Sort.AND:
            self.also.append(self.pending.link)  # "to the right of and above a car"
            self.pending = self.pending._replace(link=link)
            return
        if chunk.sort is Sort.FLANK and self._sort(index + 1) not in (Sort.NOUN, Sort.PRONOUN):
            self._flank(self.last, tuple(i for i in self.host or self.before if i not in self.last))
        elif self.fresh and (not self.reading.groups or self._is_inverted(index)) or self._is_relative(index):
            self.pending = Pending(link, (), word)
        elif self._sort(index + 1) in ENDS and self.last and link is not Sort.BETWEEN:
            self.pending = Pending(link, self._chain(None), word)  # "with stars above"
            self._refer(clauses.groups_meant(self, "it"), is_object=True)
        else:
            self.pending = Pending(link, self._subjects(index, link), word)
        self.fresh = None

    def _is_relative(self, index: int) -> bool:
        """True for "on which two people stand"."""
        return self._sort(index + 1) is Sort.PRONOUN and self.chunks[index + 1].value in ("which", "whom")

    def _subjects(self, index: int, link: Link | Sort) -> tuple[int, ...]:
        if (self.is_verbal or self.fresh in (Sort.COMMA, Sort.AND, Sort.STOP)) and (self.subject or self.before):
            return self.subject or self.before
        verbal = self.text.word(self.chunks[index].start) in v.VERBS and self.objects.issuperset(self.last)
        if verbal and self.subject:
            return self.subject  # "a raccoon wearing a hat rides a bicycle"
        chain = self._chain(link.predicate if isinstance(link, Link) else Predicate.ABOVE)
        if self._sort(index + 1) is Sort.PRONOUN and not self.host and chain[:1] == (self.sentence,):
            return self.last[-1:]  # "a house and a dog next to it"
        return chain

    def _is_inverted(self, index: int) -> bool:
        """True if the subject comes after: "on the table is a cup", "behind it a tree", "on the left, a dog"."""
        at = index + 1
        if self.chunks[index].sort is not Sort.PLACE:
            if self._sort(at) not in (Sort.NOUN, Sort.PRONOUN, Sort.ONE):
                return False
            at += 1
            if self.chunks[index].sort is Sort.BETWEEN and self._sort(at) is Sort.AND:
                at += 2
        if self._sort(at) in (Sort.COMMA, Sort.STOP) and (self.fresh is not Sort.COMMA):
            if self._sort(at) is Sort.STOP and self.chunks[at].value != ":":
                return False
            return self._sort(at + 1) in (Sort.NOUN, Sort.ONE) and self._has_article(at + 1)
        while self._sort(at) in (Sort.BE, Sort.VERB, Sort.WITH):
            at += 1
        return self._sort(at) in (Sort.NOUN, Sort.ONE)

    def _has_article(self, index: int) -> bool:
        """True for a noun phrase that may begin a clause; a bare plural may too."""
        chunk = self.chunks[index]
        if isinstance(chunk.value, One):
            return True
        noun = chunk.value_as(NounPhrase)
        return bool(noun.determiner) or noun.plural or self.fresh is Sort.STOP

    def _place(self, index: int, chunk: Chunk) -> None:
        if self.fresh and (not self.reading.groups or self._is_inverted(index)):
            self.waiting.append((chunk.value_as(tuple), ()))
        elif not self.at_setting:
            for group in self.subject if self.is_verbal and self.subject else self._chain(None):
                self._locate(group, chunk.value_as(tuple))
        self.fresh = self.fresh if self.waiting else None

    def _pronoun(self, index: int, chunk: Chunk) -> None:
        self._refer(clauses.groups_meant(self, str(chunk.value)), is_object=self.pending is not None)

    def _one(self, index: int, chunk: Chunk) -> None:
        part = clauses.split_off(self, chunk.value_as(One), after_and=self._sort(index - 1) is Sort.AND)
        if part is not None:
            self._name((part,), index)

    def _noun(self, index: int, chunk: Chunk) -> None:
        noun = chunk.value_as(NounPhrase)
        if self.text.word(chunk.start) in ("only", "just"):
            self.reading.is_complete = True
        if noun.kind is Kind.META:
            self.reading.asks_for_picture = True
        elif noun.kind is Kind.SCENERY:
            self._scenery(noun)
        elif noun.kind is Kind.SETTING and self._is_setting(noun):
            self._setting(noun)
        elif noun.count == 0 and noun.determiner == "number":  # "0 cats"
            self.reading.absent.append(noun.category)
        elif not self._is_worn(noun, chunk):
            self._name(self._groups(noun, index), index)

    def _scenery(self, noun: NounPhrase) -> None:
        """No object: the relation to it is dropped, but for depth, and for parts of what is there ("on its back")."""
        pending = self.pending
        self.pending = None
        if noun.owner and pending and not pending.word.startswith("verb "):
            if pending.subjects == self.subject != self.last:  # "an elephant carrying a child on its back"
                pending = pending._replace(subjects=self.last)
            self.pending = pending
            self._refer(
                clauses.groups_meant(self, {"its": "it", "his": "him", "their": "them"}.get(noun.owner, "her")),
                is_object=True,
            )
        elif pending and noun.noun in DEPTHS:
            if pending.subjects:
                self.depths += [(group, DEPTHS[noun.noun]) for group in pending.subjects]
                for group in pending.subjects:
                    self.reading.groups[group].placed = True
            else:
                self.waiting.append((DEPTHS[noun.noun], ()))

    def _is_setting(self, noun: NounPhrase) -> bool:
        """True if the name of a place is where all is, and not an object of its own ("a car in front of a school")."""
        link = self.pending.link if self.pending else None
        if isinstance(link, Link) and link.place or noun.category in v.TIMES:
            return True
        if link is None and noun.determiner in ("a", "number") and self.reading.setting not in ("", *v.TIMES):
            return False  # "a park with a pond"
        near = self.pending and self.pending.word in ("next to", "beside", "close to", "adjacent to", "larger than")
        is_aside = isinstance(link, Link) and link.predicate in OBJECT_LIKE
        return not (is_aside or near or link is Sort.BETWEEN or noun.count > 1)

    def _setting(self, noun: NounPhrase) -> None:
        reading = self.reading
        pending = self.pending
        self.pending = None
        self.at_setting = True
        self.fresh = None
        if pending and isinstance(pending.link, Link) and pending.link.place:
            if pending.subjects:
                for group in pending.subjects:
                    self._locate(group, pending.link.place)
            else:
                self.waiting.append((pending.link.place, ()))
        is_place_in_place = reading.setting_is_subject and pending and not reading.groups
        if self.first_setting and is_place_in_place and noun.category not in (reading.setting, *v.TIMES):
            reading.setting = ""
            reading.setting_is_subject = False  # "a church in a village": the church is an object
            self._name(self._groups(self.first_setting, 0), 0)
            self.at_setting = True
        if not reading.setting or (reading.setting in v.TIMES and noun.category not in v.TIMES):
            reading.setting_is_subject |= not reading.groups and pending is None
            reading.setting = noun.category
            self.first_setting = noun
        if noun.category == reading.setting:
            reading.setting_adjectives += noun.adjectives

    def _is_worn(self, noun: NounPhrase, chunk: Chunk) -> bool:
        """ "A woman in a red dress": unknown clothes stay in the caption of who wears them; the rest is put on them."""
        pending = self.pending
        if not pending or not pending.subjects or noun.noun not in CLOTHES:
            return False
        is_person = all(self.reading.groups[i].category == "person" for i in pending.subjects)
        if pending.word not in ("wearing", "wears", "wear", "dressed in") and not (pending.word == "in" and is_person):
            return False
        if noun.is_known:
            self.pending = pending._replace(link=Link(Predicate.ON, reverse=True))
            return False
        for group in pending.subjects:
            clothes = f"{pending.word} {self.text.slice(chunk.start, chunk.end)}"
            self.reading.groups[group].extra = f"{self.reading.groups[group].extra} {clothes}".strip()
        return True

    def _finish(self) -> None:
        reading = self.reading
        reading.is_complete |= "nothing else" in self.text.text.lower()
        if self.row:
            predicate, first = self.row
            row = [i for i in range(first, len(reading.groups)) if i == first or reading.groups[i].joined]
            reading.relations += [(a, predicate, b) for a, b in zip(row, row[1:], strict=False)]
        deep = {group for group, _ in self.depths}
        main = next((i for i in range(len(reading.groups)) if i not in deep), None)
        reading.relations += [(group, predicate, main) for group, predicate in self.depths if main is not None]
        caption = self.text.text
        for chunk in reversed([chunk for chunk in self.chunks if chunk.sort is Sort.NOT]):
            caption = caption[: self.text.spans[chunk.start][0]] + caption[self.text.spans[chunk.end - 1][1] :]
        caption = re.sub(r"\s+([,.;!?])", r"\1", " ".join(caption.split()))
        caption = re.sub(r"([,;])(?=\s*[,.;])", "", caption)
        reading.caption = re.sub(r"[\s,;]+(and|but|with|or)?[\s,;]*$", "", caption.strip(" ,;")) or self.text.text
        if v.EMPTY & set(reading.setting_adjectives):
            reading.absent += ["person", "car"] if reading.setting in ("street", "city", "parking lot") else ["person"]
        wanted = {group.category for group in reading.groups}
        reading.absent = [name for name in dict.fromkeys(reading.absent) if name not in wanted]
