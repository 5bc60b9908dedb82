"""The clause that is being read: what it speaks of, what is pending, and what its pronouns refer back to."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from agent.planners.grammar import vocabulary as v
from agent.planners.grammar.chunker import Chunker
from agent.planners.grammar.parts import Chunk, Group, Kind, Link, NounPhrase, One, Reading, Sort
from agent.planners.grammar.words import Text
from instdiff.world import knowledge
from instdiff.world.scene import Predicate as P

if TYPE_CHECKING:
    from agent.planners.grammar.reader import Reader

FEMALE = frozenset(
    "woman lady girl grandmother grandma mother sister aunt queen princess bride waitress nun witch ballerina mom nurse".split()
)
MALE = frozenset(
    "man gentleman boy grandfather grandpa father brother uncle king prince groom waiter monk dad guy".split()
)


def hangs(group: Group) -> bool:
    """True for what is usually in the sky, on the wall or under the ceiling."""
    thing = knowledge.things().get(group.category)
    return bool(thing) and thing.on[0] in ("sky", "wall", "ceiling")


def carries(groups: list[Group], indices: tuple[int, ...]) -> bool:
    """True if things can rest on all of these."""
    things = [knowledge.things().get(groups[i].category) for i in indices]
    return all(thing is not None and thing.surface is not None for thing in things)


def total(groups: list[Group], index: int) -> int:
    """How many things a group and its parts have."""
    return groups[index].count + sum(groups[part].count for part in groups[index].parts)


def meant(reader: Reader, word: str) -> tuple[int, ...]:
    """The groups that a pronoun means, empty where there is nothing it could mean."""
    groups = reader.reading.groups
    pending = reader.pending
    excluded = set(pending.subjects if pending else ())
    if word in ("which", "whom") and reader.last:
        return reader.last
    if word in ("they", "them", "both", "themselves"):
        return _several(reader, excluded)
    here = [i for i in range(reader.sentence, len(groups)) if i not in excluded]
    earlier = [i for i in (*reader.before, *range(len(groups))) if i not in excluded and i < reader.sentence]
    topics = [i for i in reversed(reader.topics) if i not in excluded]
    order = [*(i for i in reversed(reader.host) if i not in excluded), *topics, *here, *earlier]
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
    things = [i for i in order if groups[i].category != "person" and total(groups, i) == 1]
    if pending and not reader.host:  # "in front of it": hardly of what hangs
        things = [i for i in things if not hangs(groups[i])] or things
    return tuple((things or [i for i in order if groups[i].category != "person"] or order)[:1])


def _several(reader: Reader, excluded: set[int]) -> tuple[int, ...]:
    groups = reader.reading.groups
    for options in (
        reader.host,
        _whole(reader, range(reader.sentence, len(groups))),
        reader.before,
        range(reader.sentence),
    ):
        found = tuple(i for i in options if i not in excluded)
        acting = tuple(i for i in found if i not in reader.objects)
        found = acting if sum(total(groups, i) for i in acting) > 1 else found
        if sum(total(groups, i) for i in found) > 1:
            many = tuple(i for i in found if total(groups, i) > 1)
            return many[:1] if len(many) == 1 and len(found) > 2 else found
    return reader.before or reader.last


def _whole(reader: Reader, indices: range) -> list[int]:
    """Groups that are no parts of others."""
    parts = {part for group in reader.reading.groups for part in group.parts}
    return [i for i in indices if i not in parts]


def group_named(reader: Reader, noun: NounPhrase) -> int | None:
    """The group that "the cat" refers back to: of its category, with all of its adjectives, nearest first."""
    groups = reader.reading.groups
    found = [
        i for i in reversed(range(len(groups))) if groups[i].category == noun.category and _may_be(groups[i], noun)
    ]
    if noun.plural:
        found = [i for i in found if total(groups, i) > 1]
    if noun.determiner == "own":
        found = [i for i in found if groups[i].noun == noun.noun]
    exact = [i for i in found if set(noun.adjectives) <= set(groups[i].adjectives)]
    return exact[0] if exact else None


def _may_be(group: Group, noun: NounPhrase) -> bool:
    """False for a man and a woman, which are both people, but not the same."""
    generic = ("person", "people", noun.category)
    return group.category != "person" or group.noun == noun.noun or noun.noun in generic or group.noun in generic


def split_off(reader: Reader, one: One, after_and: bool) -> int | None:
    """Split "one black" off the group that it is one of, or make one more of what was named last; its index, or None."""
    groups = reader.reading.groups
    if not groups:
        return None
    many = [i for i in _whole(reader, range(len(groups))) if total(groups, i) > 1 and groups[i].count]
    source = many[-1] if many else None
    if source is not None and one.is_new and after_and and not groups[source].parts:
        source = None
    if source is None:
        if not one.adjectives and not one.is_new:
            return None
        like = groups[-1]
        groups.append(
            Group(
                like.noun,
                like.category,
                max(one.count, 1),
                one.adjectives,
                is_known=like.is_known,
                joined="and" if after_and else "",
            )
        )
        return len(groups) - 1
    whole = groups[source]
    if (
        whole.is_vague and not whole.parts and not one.adjectives and one.count > whole.count
    ):  # "pumpkins, a dozen of them"
        whole.count = one.count
        whole.is_vague = False
        return source
    count = min(one.count or whole.count, whole.count)
    whole.count -= count
    groups.append(
        replace(whole, count=count, adjectives=(*whole.adjectives, *one.adjectives), joined="", placed=False, parts=[])
    )
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

    how: Link | Sort  # Sort.BETWEEN and Sort.FLANK are relations of their own
    subjects: tuple[int, ...]
    word: str = ""  # as the prompt says it; "verb ..." where a verb stands for the relation


class Clauses:
    """What is known while a prompt is read from left to right.

    ``subject`` is what the clause speaks of, ``last`` what was named last, ``host`` what the words after "with" belong
    to, ``before`` the subject of the sentence before; all are indices of groups.
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
        self.carried: list[
            tuple[object, tuple[int, ...]]
        ] = []  # what came before its subject and goes for a whole list
        self.fresh: Sort | None = Sort.STOP  # the break that this clause follows, None once something is named
        self.is_verbal = self.at_setting = self.in_with = self.setting_is_host = False
        self.first_setting: NounPhrase | None = None
        self.listed: tuple[Link, tuple[int, ...]] | None = None  # "filled with apples" goes on with "and pears"
        self.row: tuple[P, int] | None = (
            None  # "from left to right": the relation of each to the next, from this group on
        )
        self.depths: list[tuple[int, P]] = []
        self.objects: set[int] = set()  # what was named as the object of a relation
        self.topics: list[int] = []  # what the clauses so far spoke of

    def _sort(self, index: int) -> Sort | None:
        return self.chunks[index].sort if 0 <= index < len(self.chunks) else None

    def _chain(self, predicate: P | None) -> tuple[int, ...]:
        """What was named last, with the list that it ends: "a cat, a dog and a bird". What hangs is not listed with
        what stands.
        """
        if len(self.last) != 1:
            return self.last
        groups = self.reading.groups
        chosen = [self.last[-1]]
        link = "and"
        while (
            groups[chosen[-1]].joined
            and (link := groups[chosen[-1]].joined if link == "and" else link)
            and chosen[-1] > 0
        ):
            previous = chosen[-1] - 1
            if (
                groups[chosen[-1]].joined == ","
                and len(chosen) == 1
                or groups[previous].placed
                or groups[previous].parts
            ):
                break
            if predicate in (P.ABOVE, P.BELOW) and hangs(groups[previous]) != hangs(groups[chosen[0]]):
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
        goes_on = self.fresh in (Sort.AND, Sort.COMMA) and self._sort(index + 1) in (
            None,
            Sort.STOP,
            Sort.COMMA,
            Sort.AND,
            Sort.NOT,
        )
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
        self.fresh = None
        self.at_setting = False
        if not self.in_with or not self.host:
            self.subject = self._chain(None) if self.subject == made else self.subject

    def _between_goes_on(self, index: int) -> bool:
        return self._sort(index + 1) in (Sort.AND, Sort.COMMA) and self._sort(index + 2) in (
            Sort.NOUN,
            Sort.ONE,
            Sort.AND,
        )

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
        self.fresh = None
        self.last = subjects if is_reverse and subjects else objects
        self.objects.update(objects)
        self.is_verbal = is_object_of_verb

    def _settle_waiting(self, made: tuple[int, ...]) -> None:
        """Places and relations that came before their subject."""
        waiting = self.waiting
        self.waiting = []
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
            self.reading.between = list(
                (known | {group: (*known.get(group, ()), *objects) for group in subjects}).items()
            )
        else:
            pairs = [(b, a) if how.reverse else (a, b) for a in subjects for b in objects]
            self.reading.relations += [
                (a, how.predicate, b) for a, b in pairs if (a, how.predicate, b) not in self.reading.relations
            ]

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
        category = (
            noun.noun if noun.kind is Kind.SETTING else noun.category
        )  # a place that is an object here: "a school"
        for k, (adjectives, share) in enumerate(by_colour(noun, count)):
            groups.append(
                Group(
                    noun.noun,
                    category,
                    share,
                    adjectives,
                    noun.extra,
                    noun.is_known,
                    not noun.count,
                    "and" if k else joined,
                )
            )
        made = tuple(range(start, len(groups)))
        if noun.contents:
            inside = noun.contents
            groups.append(
                Group(
                    inside.noun,
                    inside.category,
                    inside.count or UNSAID,
                    inside.adjectives,
                    inside.extra,
                    inside.is_known,
                    not inside.count,
                )
            )
            self._relate(Link(P.ON), (len(groups) - 1,), made)
        return made
