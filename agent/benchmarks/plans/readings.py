"""Free English: plans held against what a careful reader would draw."""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from pydantic import Field, field_validator

from agent.benchmarks.plans import places, scoring
from agent.benchmarks.plans.reading_names import bears, name_index, says, singular_words, words_before_head
from agent.benchmarks.plans.scoring import Fault, Question
from evaluators.reporting import EvaluationResult
from instdiff.formats.layout_sets import read_lines
from instdiff.layout import Instance, Layout
from instdiff.values import Value, Words

Name = Words
HELP = f"""Free English beside a careful reader's readings. FILE holds one JSON object a line:

  prompt     the words
  from       where they are from: the rows of the table
  things     what they ask for: {{"names": ["cat", "kitten"], "count": 2, "attributes": [["red", "crimson"]]}}
             names: every word that a reader accepts, hypernyms last; count: a number or [low, high];
             each inner list of attributes is a choice; "optional": true may be left out; "never": words that make it
             another thing
  relations  ["cat", "on", "couch"]: {", ".join(places.READINGS)}, between (third: ["cat", "dog"])
  not        a relation that must hold for no pair
  larger     ["cat", "mouse"]: the first is drawn larger than the second
  skip       true where no layout is a sensible reading

A plan is right where each thing that is not optional is there in its number, with its attributes in its caption and
none of another thing's, nothing is planned that no thing of the line names, and every relation holds for some pair."""


class Thing(Value):
    """What a prompt asks for."""

    names: tuple[Name, ...] = Field(min_length=1)
    count: int | tuple[int, int] = 1
    attributes: tuple[tuple[Words, ...], ...] = ()
    optional: bool = False
    never: tuple[Words, ...] = ()

    @property
    def most(self) -> int:
        """The largest number that is right."""
        return self.count if isinstance(self.count, int) else self.count[1]

    @property
    def fewest(self) -> int:
        """The smallest number that is right."""
        return self.count if isinstance(self.count, int) else self.count[0]


class Relation(NamedTuple):
    """From one name to another, or to two for "between"."""

    subject: Name
    relation: str
    objects: Name | tuple[Name, Name]


class Reading(Value):
    """A line of the file."""

    prompt: Words = Field(min_length=1)
    source: Words = Field(default="", alias="from")
    things: tuple[Thing, ...]
    relations: tuple[Relation, ...] = ()
    never: tuple[Relation, ...] = Field(default=(), alias="not")
    larger: tuple[tuple[Name, Name], ...] = ()
    skip: bool = False

    @field_validator("relations", "never")
    @classmethod
    def _known(cls, relations: tuple[Relation, ...]) -> tuple[Relation, ...]:
        for relation in relations:
            is_between = relation.relation == places.BETWEEN
            if not is_between and relation.relation not in places.READINGS:
                known = ", ".join((*places.READINGS, places.BETWEEN))
                raise ValueError(f"{relation.relation[:40]!r} is no relation; the relations are {known}")
            if is_between == isinstance(relation.objects, str):
                raise ValueError(f"{relation.relation} needs {'two names' if is_between else 'one name'} as its third")
        return relations


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``python -m agent.benchmarks readings``."""
    scoring.add_arguments(parser, "readings", "readings, one JSON object a line")


def run(args: argparse.Namespace) -> EvaluationResult:
    """The command.

    Raises:
        BadInput: a file is wrong, or the planner has no such name.
        ServiceError: the planner cannot be reached.
    """
    questions = [question for file in args.files for question in read_questions(file)]
    return scoring.to_result(args, "readings", "Free English", scoring.score_planned(args, questions), {})


def read_questions(path: Path) -> list[Question]:
    """The questions of a file; the rows are its sources. Lines to skip are left out."""
    readings = [Reading.parse(line, f"{path} line {number}") for number, line in enumerate(read_lines(path), 1)]
    asked = [reading for reading in readings if not reading.skip]
    return [Question(reading.prompt.strip(), reading.source or "all", partial(faults_of, reading)) for reading in asked]


class Claim(NamedTuple):
    """The instances that stand for a thing, and those of all that show its attributes."""

    thing: Thing
    taken: list[Instance]
    showing: list[Instance]


def faults_of(reading: Reading, layout: Layout) -> list[Fault]:
    """What of a reading its layout does not do, and what it does beside it."""
    claims, left = claim(reading.things, layout.instances)
    faults = [fault for claimed in claims for fault in _thing_faults(claimed, reading.things)]
    faults += [Fault("extra", instance.caption or instance.category) for instance in left]
    ends = Ends(reading, claims, layout.instances)
    for relation in reading.relations:
        if ends.of(relation.subject) and not relation_holds(relation, ends):
            faults.append(Fault("relation", f"not {_words(relation)}"))
    for relation in reading.never:
        if relation_holds(relation, ends):
            faults.append(Fault("relation", _words(relation)))
    return faults + _size_faults(reading.larger, ends)


def claim(things: Sequence[Thing], instances: Sequence[Instance]) -> tuple[list[Claim], list[Instance]]:
    """Which instances stand for which thing, and which for none.

    What must be there claims first, and what has attributes before what has none. Where another thing may claim some of
    the same, a thing takes those with its attributes, then those named most nearly, and no more than asked for.
    """
    order = sorted(things, key=lambda thing: (thing.optional, not thing.attributes))
    left = list(instances)
    claims = []
    for index, thing in enumerate(order):
        named = [instance for instance in left if bears(instance, thing.names)]
        showing = [instance for instance in named if says(instance, thing.attributes)]
        rivals = [rival for rival in order[index + 1 :] if any(bears(instance, rival.names) for instance in named)]
        taken = named
        if rivals and not thing.optional:
            showing_first = sorted(showing or named, key=partial(_distance, thing, rivals))
            taken = showing_first[: thing.most]
        elif len(named) > thing.most and len(showing) < len(named):
            taken = showing
        left = [instance for instance in left if not any(instance is other for other in taken)]
        claims.append(Claim(thing, taken, showing))
    return claims, left


def _distance(thing: Thing, rivals: Sequence[Thing], instance: Instance) -> int:
    """How much less nearly an instance is named by a thing than by its rivals; small where no rival names it."""
    own = name_index(instance, thing.names) or 0
    others = [index for rival in rivals if (index := name_index(instance, rival.names)) is not None]
    return own - min(others) if others else -99


def _thing_faults(claimed: Claim, things: Sequence[Thing]) -> list[Fault]:
    """The faults of the instances that stand for a thing."""
    thing, taken, showing = claimed
    name = thing.names[0]
    faults = [Fault("class", f"{name}: {instance.caption}") for instance in taken if _is_another(instance, thing)]
    own = {word for choice in thing.attributes for word in choice}
    others = {word for other in things if other is not thing for choice in other.attributes for word in choice} - own
    single = {words[0]: word for word in sorted(others) if len(words := singular_words(word)) == 1}
    for instance in taken:
        foreign = single.keys() & words_before_head(instance)
        faults += [Fault("bleed", f"{single[word]} in {instance.caption}") for word in sorted(foreign)]
    if thing.optional:
        return faults
    if not taken:
        faults.append(Fault("missing", name))
    elif not thing.fewest <= len(taken) <= thing.most:
        faults.append(Fault("count", f"{len(taken)} {name}, not {thing.count}"))
    elif any(instance not in showing for instance in taken):
        wanted = ", ".join("/".join(choice) for choice in thing.attributes)
        faults.append(Fault("attribute", f"{name} not {wanted}: {', '.join(instance.caption for instance in taken)}"))
    return faults


def _is_another(instance: Instance, thing: Thing) -> bool:
    """True if the category, or a word of the caption that is in no name of the thing, says another thing."""
    allowed = {word for name in thing.names for word in singular_words(name)}
    never = [singular_words(name) for name in thing.never]
    caption = singular_words(instance.caption)
    banned = {words[0] for words in never if len(words) == 1} - allowed
    return singular_words(instance.category) in never or not banned.isdisjoint(caption)


class Ends:
    """The instances at an end of a relation: those that stand for the thing of a name, else whatever bears it."""

    def __init__(self, reading: Reading, claims: Sequence[Claim], instances: Sequence[Instance]):
        self.things = reading.things
        self.instances = instances
        self.claimed: dict[str, list[Instance]] = defaultdict(list)
        for thing, taken, _ in claims:
            self.claimed[thing.names[0]] += taken

    def of(self, name: str) -> list[Instance]:
        """The instances that a name of the reading means."""
        if sum(thing.names[0] == name for thing in self.things) == 1:
            return self.claimed[name]
        names = next((thing.names for thing in self.things if name in thing.names), (name,))
        return [instance for instance in self.instances if bears(instance, names)]


def relation_holds(relation: Relation, ends: Ends) -> bool:
    """True if some instances lie as the relation says."""
    subjects = ends.of(relation.subject)
    if isinstance(relation.objects, str):
        return places.any_pair(subjects, ends.of(relation.objects), places.READINGS[relation.relation])
    first, second = ([places.box_of(instance) for instance in ends.of(name)] for name in relation.objects)
    boxes = [places.box_of(instance) for instance in subjects]
    return any(places.lies_between(box, start, end) for box in boxes for start in first for end in second)


def _size_faults(larger: Sequence[tuple[Name, Name]], ends: Ends) -> list[Fault]:
    """A fault for each pair whose first is nowhere drawn larger than the second."""
    faults = []
    for names in larger:
        first, second = ([places.box_of(instance).area for instance in ends.of(name)] for name in names)
        if first and second and max(first) <= min(second):
            faults.append(Fault("size", f"{names[0]} not larger than {names[1]}"))
    return faults


def _words(relation: Relation) -> str:
    objects = relation.objects if isinstance(relation.objects, str) else " and ".join(relation.objects)
    return f"{relation.subject} {relation.relation} {objects}"
