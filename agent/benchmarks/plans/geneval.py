"""GenEval (Ghosh et al., 2023): prompts with classes, numbers, colours and positions."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

from pydantic import ConfigDict, Field

from agent.benchmarks.plan_checks import attributes_hold, instances_named
from agent.benchmarks.plans import places, scoring
from agent.benchmarks.plans.scoring import Fault, Question
from evaluators.reporting import EvaluationResult
from instdiff.errors import BadInput
from instdiff.formats.layout_sets import read_lines
from instdiff.layout import Layout
from instdiff.values import Value, Words

SIDES = {"left of": "left", "right of": "right", "above": "above", "below": "below"}
# percent, of pictures that Mask2Former and CLIP look at: SD 1.5 by Ghosh et al., 2023, main results; of open systems
# that look at what they painted and paint again, 94 to 95 are reported
PUBLISHED = {
    "SD 1.5, pictures": {
        "single_object": 97.0,
        "two_object": 38.0,
        "counting": 35.0,
        "colors": 76.0,
        "position": 4.0,
        "color_attr": 6.0,
        scoring.MEAN: 43.0,
    },
    "best open loops, pictures": {scoring.MEAN: 95.0},
}
HELP = """GenEval (djghosh13/geneval, prompts/evaluation_metadata.jsonl), by tag and in all.

Each class is there at least so often, with its colour in the caption, and fewer than the excluded number. A position
holds where the centres of some pair differ more sideways than up and down for left and right, and the other way round
for above and below. The published figures are of pictures; these are of plans."""


class Item(Value):
    """A class, how often, in which colour, and where from which of the items before it."""

    name: Words = Field(alias="class", min_length=1)
    count: int = Field(ge=0)
    color: Words = ""
    position: tuple[str, int] | None = None


class Metadata(Value):
    """A line of the file; more keys are allowed."""

    model_config = ConfigDict(extra="ignore")

    prompt: Words = Field(min_length=1)
    tag: Words
    include: tuple[Item, ...] = Field(min_length=1)
    exclude: tuple[Item, ...] = ()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``python -m agent.benchmarks geneval``."""
    scoring.add_arguments(parser, "geneval", "evaluation_metadata.jsonl")


def run(args: argparse.Namespace) -> EvaluationResult:
    """The command.

    Raises:
        BadInput: a file is wrong, or the planner has no such name.
        ServiceError: the planner cannot be reached.
    """
    questions = [question for file in args.files for question in read_questions(file)]
    return scoring.to_result(args, "geneval", "GenEval", scoring.score_planned(args, questions), PUBLISHED)


def read_questions(path: Path) -> list[Question]:
    """The questions of a file; the rows are its tags."""
    questions = []
    for number, line in enumerate(read_lines(path), 1):
        field = f"{path} line {number}"
        data = Metadata.parse(line, field)
        for item in data.include:
            _check_position(item, len(data.include), field)
        questions.append(Question(data.prompt.strip(), data.tag, partial(faults_of, data)))
    return questions


def _check_position(item: Item, length: int, field: str) -> None:
    """Refuse a position that is none, or from an item that is not there."""
    if item.position is None:
        return
    relation, index = item.position
    if relation not in SIDES or not 0 <= index < length:
        raise BadInput(f"{field}.position", f"{[relation, index]} is none of {', '.join(SIDES)} and an item before")


def faults_of(data: Metadata, layout: Layout) -> list[Fault]:
    """What of a prompt its layout does not do."""
    faults = []
    for item in data.include:
        instances = instances_named(item.name, layout.instances)
        if len(instances) < item.count:
            faults.append(Fault("count", f"{len(instances)} {item.name}, not {item.count}"))
        elif sum(attributes_hold(item.color, instance) for instance in instances) < item.count:
            captions = ", ".join(instance.caption for instance in instances)
            faults.append(Fault("colour", f"{item.name} not {item.color}: {captions}"))
    for item in data.exclude:
        count = len(instances_named(item.name, layout.instances))
        if count >= item.count:
            faults.append(Fault("count", f"{count} {item.name}, not fewer than {item.count}"))
    return faults + [fault for item in data.include for fault in position_faults(item, data.include, layout)]


def position_faults(item: Item, items: tuple[Item, ...], layout: Layout) -> list[Fault]:
    """A fault if the item has a position, and no pair lies so; what is missing is a fault of counting."""
    if item.position is None:
        return []
    relation, index = item.position
    first, second = (instances_named(name, layout.instances) for name in (item.name, items[index].name))
    if not first or not second:
        return []
    if places.any_pair(first, second, lambda box, target: places.side_of(box, target) == SIDES[relation]):
        return []
    return [Fault("position", f"{item.name} {relation} {items[index].name}")]
