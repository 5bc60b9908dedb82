"""NSR-1K, the benchmark of LayoutGPT (Feng et al., 2023): numbers and places in templates and COCO captions."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

from agent.benchmarks.plan_checks import instances_named
from agent.benchmarks.plans import places, scoring
from agent.benchmarks.plans.scoring import Fault, Question, count_faults, find_both
from evaluators.reporting import EvaluationResult
from instdiff.errors import BadInput
from instdiff.formats.fields import mapping, sequence, text, whole
from instdiff.formats.files import parse_json, read_bytes
from instdiff.layout import Layout

COMPARISON = "comparison"
SIDES = {"left": "left", "right": "right", "top": "above", "bottom": "below"}
NEXT_TO = "next to"
PUBLISHED = {  # percent; the layouts that GPT-4 wrote for LayoutGPT, five runs, by the rules below
    "GPT-4, recorded": {
        "counting, single-category": 86.0,
        "counting, two-categories": 66.9,
        "counting, comparison": 78.8,
        "counting, real": 81.7,
        "spatial, template": 79.4,
        "spatial, natural": 79.5,
    }
}
HELP = """NSR-1K (LayoutGPT, dataset/NSR-1K). Each FILE is a JSON list of the counting or of the spatial prompts.

  counting   every category has its number; of a comparison, the category that is counted has its number, and the other
             lies on the right side of it (both equal where equality is said)
  spatial    of some pair, the centres differ more sideways than up and down for left and right, and the other way round
             for top and bottom; next to is left or right"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``python -m agent.benchmarks nsr``."""
    scoring.add_arguments(parser, "nsr", "counting.val.json, spatial.val.json")


def run(args: argparse.Namespace) -> EvaluationResult:
    """The command.

    Raises:
        BadInput: a file is wrong, or the planner has no such name.
        ServiceError: the planner cannot be reached.
    """
    questions = [question for file in args.files for question in read_questions(file)]
    return scoring.to_result(args, "nsr", "NSR-1K", scoring.score_planned(args, questions), PUBLISHED)


def read_questions(path: Path) -> list[Question]:
    """The questions of a file; the rows are its sub-types."""
    records = sequence(parse_json(read_bytes(path), str(path)), str(path))
    return [_question(mapping(record, f"{path}[{i}]"), f"{path}[{i}]") for i, record in enumerate(records)]


def _question(record: dict, field: str) -> Question:
    prompt = text(record, "prompt", field).strip()
    if not prompt or not ("num_object" in record or "relation" in record):
        raise BadInput(field, 'has no "prompt" with "num_object" or "relation"; give the JSON files of NSR-1K')
    if "relation" in record:
        names = (_name(record.get("obj1"), f"{field}.obj1"), _name(record.get("obj2"), f"{field}.obj2"))
        relation = text(record, "relation", field)
        if relation not in (*SIDES, NEXT_TO):
            raise BadInput(f"{field}.relation", f"{relation[:40]!r} is none of {', '.join((*SIDES, NEXT_TO))}")
        return Question(prompt, f"spatial, {text(record, 'type', field)}", partial(spatial_faults, names, relation))
    pairs = sequence(record["num_object"], f"{field}.num_object")
    counts = {_name(pair, f"{field}.num_object"): _number(pair, f"{field}.num_object") for pair in pairs}
    if not counts:
        raise BadInput(f"{field}.num_object", 'is empty; give [["cat", 2]]')
    kind = text(record, "sub-type", field)
    if kind != COMPARISON:
        return Question(prompt, f"counting, {kind}", partial(count_faults, counts))
    if len(counts) != 2:
        raise BadInput(f"{field}.num_object", f"holds {len(counts)} categories; a comparison is of 2")
    return Question(prompt, f"counting, {kind}", partial(comparison_faults, counts))


def _name(pair: object, field: str) -> str:
    """The name in ``["clock", ...]``."""
    items = sequence(pair, field)
    if len(items) != 2 or not isinstance(items[0], str) or not items[0].strip():
        raise BadInput(field, f"must begin with a name; got {str(pair)[:40]!r}")
    return items[0].strip()


def _number(pair: object, field: str) -> int:
    """The number in ``["clock", 3]``."""
    return whole(sequence(pair, field)[1], field)


def comparison_faults(counts: dict[str, int], layout: Layout) -> list[Fault]:
    """Faults of two categories, the first of which is counted and the second only compared with it."""
    (name, number), (compared, other) = counts.items()
    faults = count_faults({name: number}, layout)
    count = len(instances_named(compared, layout.instances))
    if (count > number) - (count < number) != (other > number) - (other < number):
        words = "as many" if other == number else "more" if other > number else "fewer"
        faults.append(Fault("comparison", f"{count} {compared}, not {words} than {number} {name}"))
    return faults


def spatial_faults(names: tuple[str, str], relation: str, layout: Layout) -> list[Fault]:
    """A fault if no pair lies as the relation says."""
    first, second, missing = find_both(names, layout)
    if missing:
        return missing
    if relation == NEXT_TO:
        held = places.any_pair(first, second, places.lies_left_or_right)
    else:
        held = places.any_pair(first, second, lambda box, target: places.side_of(box, target) == SIDES[relation])
    return [] if held else [Fault("relation", f"{names[0]} {relation} {names[1]}")]
