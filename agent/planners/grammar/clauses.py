"""The clause that is being read: what it speaks of, what is pending, and what its pronouns refer back to."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from agent.planners.grammar import vocabulary as v
from agent.planners.grammar.parts import Chunk, Group, Kind, Link, NounPhrase, One, Reading, Sort
from agent.planners.grammar.words import Text
from instdiff.world import knowledge
from instdiff.world.predicates import Predicate
from instdiff.world.scene import ALOFT

FEMALE = frozenset(
    "woman lady girl grandmother grandma mother sister aunt queen princess bride waitress nun witch ballerina mom"
    " nurse".split()
)
MALE = frozenset(
    "man gentleman boy grandfather grandpa father brother uncle king prince groom waiter monk dad guy".split()
)


def hangs(group: Group) -> bool:
    """True for what is usually in the sky, on the wall or under the ceiling."""
    known = knowledge.things().get(group.category)
    return known is not None and known.on[0] in ALOFT


def carries(groups: list[Group], indices: tuple[int, ...]) -> bool:
    """True if things can rest on all of these."""
    carriers = [knowledge.things().get(groups[i].category) for i in indices]
    return all(carrier is not None and carrier.surface is not None for carrier in carriers)


def total(groups: list[Group], index: int) -> int:
    """How many things a group and its parts have."""
    return groups[index].count + sum(groups[part].count for part in groups[index].parts)


def groups_meant(reader: Clauses, word: str) -> tuple[int, ...]:
    """The groups that a pronoun means, empty where there is nothing it could mean."""
    groups = reader.reading.groups
    pending = reader.pending
    subjects = set(pending.subjects if pending else ())
    if word in ("which", "whom") and reader.last:
        return reader.last
    if word in ("they", "them", "both", "themselves"):
        return _several(reader, subjects)
    current = [i for i in range(reader.sentence, len(groups)) if i not in subjects]
    earlier = [i for i in (*reader.before, *range(len(groups))) if i not in subjects and i < reader.sentence]
    topics = [i for i in reversed(reader.topics) if i not in subjects]
    order = [*(i for i in reversed(reader.host) if i not in subjects), *topics, *current, *earlier]
    if word == "it" and reader.setting_is_host and pending:  # "an island with a palm tree on it"
        return ()
    if word in ("he", "him", "she", "her", "himself", "herself"):
        gender = MALE if word in ("he", "him", "himself") else FEMALE
        people = [i for i in order if groups[i].category == "person"]
        fitting = (
            [i for i in people if groups[i].noun in gender]
            or [i for i in people if groups[i].noun not in MALE | FEMALE]
            or people
        )
        return tuple((fitting or order)[:1])
    single = [i for i in order if groups[i].category != "person" and total(groups, i) == 1]
    if pending and not reader.host:  # "in front of it": hardly of what hangs
        single = [i for i in single if not hangs(groups[i])] or single
    return tuple((single or [i for i in order if groups[i].category != "person"] or order)[:1])


def _several(reader: Clauses, excluded: set[int]) -> tuple[int, ...]:
    """The groups of several things that "they" means, the nearest that has any."""
    groups = reader.reading.groups
    current = _undivided(reader, range(reader.sentence, len(groups)))
    for options in (reader.host, current, reader.before, range(reader.sentence)):
        indices = tuple(i for i in options if i not in excluded)
        acting = tuple(i for i in indices if i not in reader.objects)
        indices = acting if sum(total(groups, i) for i in acting) > 1 else indices
        if sum(total(groups, i) for i in indices) > 1:
            many = tuple(i for i in indices if total(groups, i) > 1)
            return many[:1] if len(many) == 1 and len(indices) > 2 else indices
    return reader.before or reader.last


def _undivided(reader: Clauses, indices: range) -> list[int]:
    """Groups that are no parts of others."""
    parts = {part for group in reader.reading.groups for part in group.parts}
    return [i for i in indices if i not in parts]


def group_named(reader: Clauses, noun: NounPhrase) -> int | None:
    """The group that "the cat" refers back to: of its category, with all of its adjectives, nearest first."""
    groups = reader.reading.groups
    for index in reversed(range(len(groups))):
        group = groups[index]
        is_alike = group.category == noun.category and _may_be(group, noun)
        is_several = not noun.plural or total(groups, index) > 1
        is_own = noun.determiner != "own" or group.noun == noun.noun
        if is_alike and is_several and is_own and set(noun.adjectives) <= set(group.adjectives):
            return index
    return None


def _may_be(group: Group, noun: NounPhrase) -> bool:
    """False for a man and a woman, which are both people, but not the same."""
    generic = ("person", "people", noun.category)
    return group.category != "person" or group.noun == noun.noun or noun.noun in generic or group.noun in generic


def split_off(reader: Clauses, part: One, after_and: bool) -> int | None:
    """Split "one black" off its group, or make one more of what was named last; its index, or None."""
    groups = reader.reading.groups
    if not groups:
        return None
    many = [i for i in _undivided(reader, range(len(groups))) if total(groups, i) > 1 and groups[i].count]
    source = many[-1] if many else None
    if source is not None and part.is_new and after_and and not groups[source].parts:
        source = None
    if source is None:
        if not part.adjectives and not part.is_new:
            return None
        like = groups[-1]
        joined = "and" if after_and else ""
        count = max(part.count, 1)
        groups.append(Group(like.noun, like.category, count, part.adjectives, is_known=like.is_known, joined=joined))
        return len(groups) - 1
    whole = groups[source]
    is_recount = whole.is_vague and not whole.parts and not part.adjectives
    if is_recount and part.count > whole.count:  # "pumpkins, a dozen of them"
        whole.count = part.count
        whole.is_vague = False
        return source
    count = min(part.count or whole.count, whole.count)
    whole.count -= count
    adjectives = (*whole.adjectives, *part.adjectives)
    groups.append(replace(whole, count=count, adjectives=adjectives, joined="", placed=False, parts=[]))
    whole.parts.append(len(groups) - 1)
    return len(groups) - 1


def by_colour(noun: NounPhrase, count: int) -> list[tuple[tuple[str, ...], int]]:
    """ "Red and blue balloons" are some of each colour; "a black and white cat" is one. As (adjectives, count)."""
    colours = [word for word in noun.adjectives if word in v.COLOURS]
    lists = "and" in noun.adjectives or "," in noun.adjectives or "or" in noun.adjectives
    if not noun.plural or not lists or len(colours) < 2 or set(colours) == {"black", "white"} or count < len(colours):
        return [(noun.adjectives, count)]
    others = tuple(word for word in noun.adjectives if word not in (*colours, "and", ",", "or"))
    count = max(count, 2 * len(colours)) if not noun.count else count
    shares = [count // len(colours) + (k < count % len(colours)) for k in range(len(colours))]
    return [((colour, *others), share) for colour, share in zip(colours, shares, strict=True)]


UNSAID = 3  # how many things a bare plural stands for
ENDS = (None, Sort.STOP, Sort.COMMA, Sort.AND)


class Pending(NamedTuple):
    """A relation whose object is still to come; without subjects, these come later too ("on the table is a cup")."""

    link: Link | Sort  # Sort.BETWEEN and Sort.FLANK are relations of their own
    subjects: tuple[int, ...]
    word: str = ""  # as the prompt says it; "verb ..." where a verb stands for the relation


Waiting = tuple[Link | Sort | Predicate | tuple[Predicate, ...], tuple[int, ...]]  # a relation or place, its objects


class Clauses:
    """What is known while a prompt is read from left to right.

    ``subject`` is what the clause speaks of, ``last`` what was named last, ``host`` what the words after "with" belong
    to, ``before`` the subject of the sentence before; all are indices of groups.
    """

    def __init__(self, text: Text, chunks: list[Chunk]):
        self.text = text
        self.chunks = chunks
        self.reading = Reading()
        self.subject: tuple[int, ...] = ()
        self.last: tuple[int, ...] = ()
        self.host: tuple[int, ...] = ()
        self.before: tuple[int, ...] = ()
        self.each: tuple[int, ...] = ()
        self.also: list[Link] = []  # further relations with the same subjects and object as the pending one
        self.sentence = 0  # the first group of this sentence
        self.pending: Pending | None = None
        self.waiting: list[Waiting] = []
        self.carried: list[Waiting] = []  # what came before its subject and goes for a whole list
        self.fresh: Sort | None = Sort.STOP  # the break that this clause follows, None once something is named
        self.is_verbal = self.at_setting = self.in_with = self.setting_is_host = False
        self.first_setting: NounPhrase | None = None
        self.listed: tuple[Link, tuple[int, ...]] | None = None  # "filled with apples" goes on with "and pears"
        # "from left to right": the relation of each to the next, from this group on
        self.row: tuple[Predicate, int] | None = None
        self.depths: list[tuple[int, Predicate]] = []
        self.objects: set[int] = set()  # what was named as the object of a relation
        self.topics: list[int] = []  # what the clauses so far spoke of

    def _sort(self, index: int) -> Sort | None:
        return self.chunks[index].sort if 0 <= index < len(self.chunks) else None

    def _chain(self, predicate: Predicate | None) -> tuple[int, ...]:
        """What was named last, with the list that it ends. What hangs is not listed with what stands."""
        if len(self.last) != 1:
            return self.last
        groups = self.reading.groups
        chosen = [self.last[-1]]
        while (joined := groups[chosen[-1]].joined) and chosen[-1] > 0:
            previous = chosen[-1] - 1
            is_aside = joined == "," and len(chosen) == 1
            if is_aside or groups[previous].placed or groups[previous].parts:
                break
            if predicate in (Predicate.ABOVE, Predicate.BELOW) and hangs(groups[previous]) != hangs(groups[chosen[0]]):
                break
            chosen.append(previous)
        return tuple(reversed(chosen))

    def _locate(self, group: int, places: tuple[Predicate, ...]) -> None:
        self.reading.places += [(group, place) for place in places]
        self.reading.groups[group].placed = True

    def _multiply(self, subjects: tuple[int, ...], times: int) -> None:
        for group in subjects:
            if self.reading.groups[group].count == 1:
                self.reading.groups[group].count = times

    def _name(self, named: tuple[int, ...], index: int) -> None:
        """Go on with groups that were just named: they complete what is pending or waiting, or begin a clause."""
        ends = (*ENDS, Sort.NOT)
        goes_on = self.fresh in (Sort.AND, Sort.COMMA) and self._sort(index + 1) in ends
        if self.pending is None and self.listed and goes_on:
            self.pending = Pending(*self.listed)
        self.listed = None
        if self.pending:
            self._complete(named, keep=self._between_goes_on(index))
        else:
            if not self.in_with or not self.host:
                self.subject = named
                self.topics += [i for i in named if i not in self.topics]
            if self.carried and goes_on:
                self.waiting = self.waiting or self.carried
            self._place_waiting(named)
            if self.in_with:
                self.reading.hosts += [(host, group) for host in self.host[-1:] for group in named if host != group]
            self.is_verbal = False
            self.last = named
        self.fresh = None
        self.at_setting = False
        if not self.in_with or not self.host:
            self.subject = self._chain(None) if self.subject == named else self.subject

    def _between_goes_on(self, index: int) -> bool:
        in_list = self._sort(index + 1) in (Sort.AND, Sort.COMMA)
        return in_list and self._sort(index + 2) in (Sort.NOUN, Sort.ONE, Sort.AND)

    def _complete(self, objects: tuple[int, ...], keep: bool = False) -> None:
        """The object of the pending relation is there."""
        if self.pending is None:
            return
        link, subjects, word = self.pending
        is_object_of_verb = word.startswith("verb ")  # "a man reading a newspaper on a bench": the man is on the bench
        if subjects:
            self._relate(link, tuple(i for i in subjects if i not in objects), objects)
        elif link is Sort.BETWEEN and self.waiting and self.waiting[-1][0] is Sort.BETWEEN:
            self.waiting[-1] = (link, (*self.waiting[-1][1], *objects))
        else:
            self.waiting.append((link, objects))
        self.listed = (link, subjects) if isinstance(link, Link) and link.reverse else None
        for also in self.also:
            self._relate(also, tuple(i for i in subjects if i not in objects), objects)
        self.also = []
        self.pending = self.pending if keep and link is Sort.BETWEEN else None
        is_reverse = (
            isinstance(link, Link) and link.reverse
        )  # "a bowl filled with apples on a table": the bowl is on it
        self.fresh = None
        self.last = subjects if is_reverse and subjects else objects
        self.objects.update(objects)
        self.is_verbal = is_object_of_verb

    def _place_waiting(self, named: tuple[int, ...]) -> None:
        """Give what was just named the places and relations that came before it."""
        self.carried = self.waiting
        self.waiting = []
        for link, objects in self.carried:
            if isinstance(link, Predicate):
                self.depths += [(group, link) for group in named]
            elif isinstance(link, Link | Sort):
                self._relate(link, tuple(i for i in named if i not in objects), objects)
                self.topics += objects  # "behind the barn is a tree, in front of it a pond"
            else:
                for group in named:
                    self._locate(group, link)

    def _flank(self, subjects: tuple[int, ...], objects: tuple[int, ...]) -> None:
        for group in subjects:
            self._multiply((group,), 2)
            self.reading.flanks += [(group, target) for target in objects[-1:]]
            self.reading.groups[group].placed = True

    def _relate(self, link: Link | Sort, subjects: tuple[int, ...], objects: tuple[int, ...]) -> None:
        for group in (*subjects, *objects):
            self.reading.groups[group].placed = True
        if link is Sort.FLANK:
            self._flank(subjects, objects)
        elif link is Sort.BETWEEN:
            around = dict(self.reading.between)
            around |= {group: (*around.get(group, ()), *objects) for group in subjects}
            self.reading.between = list(around.items())
        elif isinstance(link, Link):
            pairs = [(b, a) if link.reverse else (a, b) for a in subjects for b in objects]
            relations = self.reading.relations
            relations += [(a, link.predicate, b) for a, b in pairs if (a, link.predicate, b) not in relations]

    def _refer(self, referents: tuple[int, ...], is_object: bool) -> None:
        """Go on with what a pronoun means."""
        if not referents:
            self.pending = None
        elif is_object:
            self._complete(referents)
            self.topics += referents
        else:
            self.last = self.subject = referents
            self._place_waiting(referents)
            self.fresh = None

    def _groups(self, noun: NounPhrase, index: int) -> tuple[int, ...]:
        """The groups that a noun phrase names: one that is there already, or new ones."""
        groups = self.reading.groups
        if noun.determiner in ("the", "each", "own") and (same := group_named(self, noun)) is not None:
            if noun.determiner == "each" and self.pending:
                self._multiply(self.pending.subjects, total(groups, same))
            return (same,)
        count = noun.count or (UNSAID if noun.plural else 1)
        is_part_of_each = self.each and (self.pending or self.in_with)
        if is_part_of_each:
            count *= sum(total(groups, i) for i in self.each)
        joined = ""
        if groups and self.pending is None and not self.waiting and self.fresh in (Sort.AND, Sort.COMMA):
            joined = "and" if self.fresh is Sort.AND else ","
        start = len(groups)
        # a place that is an object here: "a school"
        category = noun.noun if noun.kind is Kind.SETTING else noun.category
        for k, (adjectives, share) in enumerate(by_colour(noun, count)):
            group = _group_of(noun, share, adjectives)
            groups.append(replace(group, category=category, joined="and" if k else joined))
        named = tuple(range(start, len(groups)))
        if inside := noun.contents:
            groups.append(_group_of(inside, inside.count or UNSAID, inside.adjectives))
            self._relate(Link(Predicate.ON), (len(groups) - 1,), named)
        return named


def _group_of(noun: NounPhrase, count: int, adjectives: tuple[str, ...]) -> Group:
    """A new group of so many things that a noun phrase names."""
    is_vague = not noun.count
    return Group(noun.noun, noun.category, count, adjectives, noun.extra, noun.is_known, is_vague)
