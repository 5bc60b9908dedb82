"""The clause that is being read: what it speaks of, what is pending, and how relations find their ends."""

from __future__ import annotations

from typing import NamedTuple

from agent.planners.grammar import references
from agent.planners.grammar.chunker import Chunker
from agent.planners.grammar.chunks import Chunk, Link, Sort
from agent.planners.grammar.phrase import Kind, NounPhrase
from agent.planners.grammar.reading import Group, Reading
from agent.planners.grammar.words import Text
from instdiff.scene import Predicate as P

UNSAID = 3  # how many things a bare plural stands for
ENDS = (None, Sort.STOP, Sort.COMMA, Sort.AND)


class Pending(NamedTuple):
    """A relation whose object is still to come; without subjects, these come later too ("on the table is a cup")."""

    how: Link | Sort  # Sort.BETWEEN and Sort.FLANK are relations of their own
    subjects: tuple[int, ...]
    word: str = ""  # as the prompt says it; "verb ..." where a verb stands for the relation


class Clauses:
    """What is known while a prompt is read from left to right.

    ``subject`` is what the clause speaks of, ``last`` what was named last, ``host`` what the words after "with" belong to,
    ``before`` the subject of the sentence before; all are indices of groups.
    """

    def __init__(self, prompt: str):
        self.text = Text(prompt)
        self.chunks: list[Chunk] = Chunker(self.text).cut()
        self.reading = Reading()
        self.subject: tuple[int, ...] = ()
        self.last: tuple[int, ...] = ()
        self.host: tuple[int, ...] = ()
        self.before: tuple[int, ...] = ()
        self.each: tuple[int, ...] = ()
        self.also: list[Link] = []  # further relations with the same subjects and object as the pending one
        self.sentence = 0  # the first group of this sentence
        self.pending: Pending | None = None
        self.waiting: list[tuple[object, tuple[int, ...]]] = []
        self.carried: list[tuple[object, tuple[int, ...]]] = []  # what came before its subject and goes for a whole list
        self.fresh: Sort | None = Sort.STOP  # the break that this clause follows, None once something is named
        self.is_verbal = self.at_setting = self.in_with = self.setting_is_host = False
        self.first_setting: NounPhrase | None = None
        self.listed: tuple[Link, tuple[int, ...]] | None = None  # "filled with apples" goes on with "and pears"
        self.row: tuple[P, int] | None = None  # "from left to right": the relation of each to the next, from this group on
        self.depths: list[tuple[int, P]] = []
        self.objects: set[int] = set()  # what was named as the object of a relation
        self.topics: list[int] = []  # what the clauses so far spoke of

    def _sort(self, index: int) -> Sort | None:
        return self.chunks[index].sort if 0 <= index < len(self.chunks) else None

    def _chain(self, predicate: P | None) -> tuple[int, ...]:
        """What was named last, with the list that it ends: "a cat, a dog and a bird". What hangs is not listed with what stands."""
        if len(self.last) != 1:
            return self.last
        groups, chosen = self.reading.groups, [self.last[-1]]
        link = "and"
        while groups[chosen[-1]].joined and (link := groups[chosen[-1]].joined if link == "and" else link) and chosen[-1] > 0:
            previous = chosen[-1] - 1
            if groups[chosen[-1]].joined == "," and len(chosen) == 1 or groups[previous].placed or groups[previous].parts:
                break
            if predicate in (P.ABOVE, P.BELOW) and references.hangs(groups[previous]) != references.hangs(groups[chosen[0]]):
                break
            chosen.append(previous)
        return tuple(reversed(chosen))

    def _locate(self, group: int, places: tuple[P, ...]) -> None:
        self.reading.places += [(group, place) for place in places]
        self.reading.groups[group].placed = True

    def _multiply(self, subjects: tuple[int, ...], times: int) -> None:
        for group in subjects:
            if self.reading.groups[group].count == 1:
                self.reading.groups[group].count = times

    def _name(self, made: tuple[int, ...], index: int) -> None:
        """Go on with groups that were just named: they complete what is pending or waiting, or begin a clause."""
        goes_on = self.fresh in (Sort.AND, Sort.COMMA) and self._sort(index + 1) in (None, Sort.STOP, Sort.COMMA, Sort.AND, Sort.NOT)
        if self.pending is None and self.listed and goes_on:
            self.pending = Pending(*self.listed)
        self.listed = None
        if self.pending:
            self._complete(made, keep=self._between_goes_on(index))
        else:
            if not self.in_with or not self.host:
                self.subject = made
                self.topics += [i for i in made if i not in self.topics]
            if self.carried and goes_on:
                self.waiting = self.waiting or self.carried
            self._settle_waiting(made)
            if self.in_with:
                self.reading.hosts += [(host, group) for host in self.host[-1:] for group in made if host != group]
            self.is_verbal = False
            self.last = made
        self.fresh, self.at_setting = None, False
        if not self.in_with or not self.host:
            self.subject = self._chain(None) if self.subject == made else self.subject

    def _between_goes_on(self, index: int) -> bool:
        return self._sort(index + 1) in (Sort.AND, Sort.COMMA) and self._sort(index + 2) in (Sort.NOUN, Sort.ONE, Sort.AND)

    def _complete(self, objects: tuple[int, ...], keep: bool = False) -> None:
        """The object of the pending relation is there."""
        how, subjects, word = self.pending
        is_object_of_verb = word.startswith("verb ")  # "a man reading a newspaper on a bench": the man is on the bench
        if subjects:
            self._relate(how, tuple(i for i in subjects if i not in objects), objects)
        elif how is Sort.BETWEEN and self.waiting and self.waiting[-1][0] is Sort.BETWEEN:
            self.waiting[-1] = (how, (*self.waiting[-1][1], *objects))
        else:
            self.waiting.append((how, objects))
        self.listed = (how, subjects) if isinstance(how, Link) and how.reverse else None
        for also in self.also:
            self._relate(also, tuple(i for i in subjects if i not in objects), objects)
        self.also = []
        self.pending = self.pending if keep and how is Sort.BETWEEN else None
        is_reverse = isinstance(how, Link) and how.reverse  # "a bowl filled with apples on a table": the bowl is on it
        self.fresh, self.last = None, subjects if is_reverse and subjects else objects
        self.objects.update(objects)
        self.is_verbal = is_object_of_verb

    def _settle_waiting(self, made: tuple[int, ...]) -> None:
        """Places and relations that came before their subject."""
        waiting, self.waiting = self.waiting, []
        self.carried = waiting
        for how, objects in waiting:
            if isinstance(how, tuple) and not isinstance(how, Link):
                for group in made:
                    self._locate(group, how)
            elif isinstance(how, P):
                self.depths += [(group, how) for group in made]
            else:
                self._relate(how, tuple(i for i in made if i not in objects), objects)
                self.topics += objects  # "behind the barn is a tree, in front of it a pond"

    def _flank(self, subjects: tuple[int, ...], objects: tuple[int, ...]) -> None:
        for group in subjects:
            self._multiply((group,), 2)
            self.reading.flanks += [(group, target) for target in objects[-1:]]
            self.reading.groups[group].placed = True

    def _relate(self, how: Link | Sort, subjects: tuple[int, ...], objects: tuple[int, ...]) -> None:
        for group in (*subjects, *objects):
            self.reading.groups[group].placed = True
        if how is Sort.FLANK:
            self._flank(subjects, objects)
        elif how is Sort.BETWEEN:
            known = dict(self.reading.between)
            self.reading.between = list((known | {group: (*known.get(group, ()), *objects) for group in subjects}).items())
        else:
            pairs = [(b, a) if how.reverse else (a, b) for a in subjects for b in objects]
            self.reading.relations += [(a, how.predicate, b) for a, b in pairs if (a, how.predicate, b) not in self.reading.relations]

    def _refer(self, meant: tuple[int, ...], is_object: bool) -> None:
        """Go on with what a pronoun means."""
        if not meant:
            self.pending = None
        elif is_object:
            self._complete(meant)
            self.topics += meant
        else:
            self.last = self.subject = meant
            self._settle_waiting(meant)
            self.fresh = None

    def _groups(self, noun: NounPhrase, index: int) -> tuple[int, ...]:
        """The groups that a noun phrase names: one that is there already, or new ones."""
        groups = self.reading.groups
        if noun.determiner in ("the", "each", "own") and (same := references.same(self, noun)) is not None:
            if noun.determiner == "each" and self.pending:
                self._multiply(self.pending.subjects, references.total(groups, same))
            return (same,)
        count = noun.count or (UNSAID if noun.plural else 1)
        is_part_of_each = self.each and (self.pending or self.in_with)
        if is_part_of_each:
            count *= sum(references.total(groups, i) for i in self.each)
        joined = ""
        if groups and self.pending is None and not self.waiting and self.fresh in (Sort.AND, Sort.COMMA):
            joined = "and" if self.fresh is Sort.AND else ","
        start = len(groups)
        category = noun.noun if noun.kind is Kind.SETTING else noun.category  # a place that is an object here: "a school"
        for k, (adjectives, share) in enumerate(references.by_colour(noun, count)):
            groups.append(Group(noun.noun, category, share, adjectives, noun.extra, noun.is_known, not noun.count, "and" if k else joined))
        made = tuple(range(start, len(groups)))
        if noun.contents:
            inside = noun.contents
            groups.append(
                Group(
                    inside.noun, inside.category, inside.count or UNSAID, inside.adjectives, inside.extra, inside.is_known, not inside.count
                )
            )
            self._relate(Link(P.ON), (len(groups) - 1,), made)
        return made
