"""Questions that a layout answers rightly or wrongly, and the table of how many it answers rightly."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from agent.benchmarks import planned_layouts
from agent.benchmarks.plan import share_cell
from agent.benchmarks.plan_checks import instances_named
from evaluators.reporting import EvaluationResult, Failure, Table, percent
from instdiff.errors import BadInput
from instdiff.layout import Instance, Layout

NO_PLAN = "no plan"
MEAN = "mean of the rows"  # where published figures have one


class Fault(NamedTuple):
    """What is wrong with a layout: its kind in a word or two ("count"), and a sentence on it ("2 cat, not 3")."""

    kind: str
    text: str


@dataclass(frozen=True)
class Question:
    """What a benchmark asks of the layout of a prompt: ``faults`` is empty where it does all of it.

    Args:
        prompt: without space around it.
        row: the row of the table that it counts in.
        faults: what is wrong with a layout.
    """

    prompt: str
    row: str
    faults: Callable[[Layout], list[Fault]]


@dataclass(frozen=True)
class Scores:
    """How many questions hold.

    Args:
        planner: who planned.
        rows: ``{"passed", "of", "share"}`` by row.
        prompts: the same of all prompts; a prompt passes where all of its questions do.
        kinds: how many prompts have a fault of each kind.
        failures: the prompts that fail, with their faults.
    """

    planner: str
    rows: dict[str, dict]
    prompts: dict
    kinds: dict[str, int]
    failures: list[Failure]


def add_arguments(parser: argparse.ArgumentParser, name: str, files: str) -> None:
    """The options that all these benchmarks have.

    Args:
        parser: of the command.
        name: of the command, which is that of its result, too.
        files: what the help says of the files.
    """
    parser.add_argument("files", metavar="FILE", nargs="+", type=Path, help=files)
    parser.add_argument("--wrong", action="store_true", help="print what is wrong with each prompt that fails")
    planned_layouts.add_arguments(parser, planned_layouts.result_file(name))


def score(questions: Sequence[Question], layouts: Mapping[str, Layout], planner: str = "") -> Scores:
    """Ask every question of the layout of its prompt; where there is none, every question of it fails.

    Args:
        questions: of the benchmark, in the order of the table's rows.
        layouts: by prompt, with or without space around it.
        planner: who made them.
    """
    by_prompt = {prompt.strip(): layout for prompt, layout in layouts.items()}
    rows: dict[str, list[bool]] = {}
    faults: dict[str, list[Fault]] = {}
    for question in questions:
        layout = by_prompt.get(question.prompt)
        wrong = [Fault(NO_PLAN, NO_PLAN)] if layout is None else question.faults(layout)
        rows.setdefault(question.row, []).append(not wrong)
        faults.setdefault(question.prompt, []).extend(wrong)
    kinds = Counter(kind for wrong in faults.values() for kind in {fault.kind for fault in wrong})
    failures: list[Failure] = [
        {"prompt": prompt, "failed": list(dict.fromkeys(map(text_of, wrong))), "planned": prompt in by_prompt}
        for prompt, wrong in faults.items()
        if wrong
    ]
    shares = {row: share(passes) for row, passes in rows.items()}
    return Scores(planner, shares, share([not wrong for wrong in faults.values()]), dict(kinds.most_common()), failures)


def text_of(fault: Fault) -> str:
    """A fault in a line."""
    return fault.text if fault.kind == fault.text else f"{fault.kind}: {fault.text}"


def share(passes: Sequence[bool]) -> dict:
    """How many pass, as it stands in the JSON."""
    return {"passed": sum(passes), "of": len(passes), "share": round(sum(passes) / len(passes), 4)}


def score_planned(args: argparse.Namespace, questions: Sequence[Question]) -> Scores:
    """Score the layouts of ``--layouts``, or those that ``--planner`` makes now.

    Raises:
        BadInput: there are no questions, a file is wrong, or the planner has no such name.
        ServiceError: the planner cannot be reached.
    """
    if not questions:
        raise BadInput(file_names(args.files), "no prompt to ask of; see --help for what the file holds")
    planner, layouts = planned_layouts.layouts_for(args, [question.prompt for question in questions])
    return score(questions, layouts, planner)


def to_result(
    args: argparse.Namespace,
    evaluation: str,
    name: str,
    scores: Scores,
    published: Mapping[str, Mapping[str, float]],
    notes: Iterable[str] = (),
) -> EvaluationResult:
    """The table of the rows beside published figures, and what is wrong with the prompts that fail.

    Args:
        args: the command line.
        evaluation: the name of the command.
        name: of the benchmark.
        scores: what was measured.
        published: percent by row, by column.
        notes: sentences on the figures.
    """
    cells = {row: share_cell(counts) for row, counts in scores.rows.items()}
    if MEAN in {row for column in published.values() for row in column}:
        cells[MEAN] = percent(sum(counts["share"] for counts in scores.rows.values()) / len(scores.rows))
    cells["all prompts"] = share_cell(scores.prompts)
    others = [[f"{column[row]:.1f}" if row in column else "-" for column in published.values()] for row in cells]
    rows = [[row, cell, *other] for (row, cell), other in zip(cells.items(), others, strict=True)]
    table = Table(f"{name}, {file_names(args.files)}", ["plans", scores.planner, *published], rows)
    faults = ", ".join(f"{kind} {count}" for kind, count in scores.kinds.items()) or "none"
    figures: dict[str, object] = {
        "planner": scores.planner,
        "rows": scores.rows,
        "prompts": scores.prompts,
        "faults": scores.kinds,
    }
    figures |= {"published": {name: dict(column) for name, column in published.items()}}
    if not args.wrong:  # in the JSON all the same
        figures |= {"failures": scores.failures}
    shown = scores.failures if args.wrong else None
    return EvaluationResult(evaluation, figures, (table,), [*notes, f"prompts with faults: {faults}"], failures=shown)


def file_names(files: Sequence[Path]) -> str:
    """The names of files without their folders."""
    return ", ".join(file.name for file in files)


def instances_by_name(names: Iterable[str], layout: Layout) -> dict[str, list[Instance]]:
    """The instances that each name means; of "people" and "boys", the boys are counted as boys alone."""
    named = {name: instances_named(name, layout.instances) for name in names}
    keys = {name: {id(instance) for instance in instances} for name, instances in named.items()}
    special = {name: set().union(*(subset for subset in keys.values() if subset < keys[name])) for name in keys}
    return {
        name: [instance for instance in instances if id(instance) not in special[name]]
        for name, instances in named.items()
    }


def count_faults(numbers: Mapping[str, int], layout: Layout) -> list[Fault]:
    """A fault for every name whose number is another one in the layout."""
    counts = {name: len(instances) for name, instances in instances_by_name(numbers, layout).items()}
    wrong = {name: count for name, count in counts.items() if count != numbers[name]}
    return [Fault("count", f"{count} {name}, not {numbers[name]}") for name, count in wrong.items()]


def find_both(names: tuple[str, str], layout: Layout) -> tuple[list[Instance], list[Instance], list[Fault]]:
    """The instances of two names, and a fault for each that is not there; no instance stands for both."""
    instances = instances_by_name(names, layout)
    first, second = (instances[name] for name in names)
    missing = [name for name in names if not instances[name]]
    if not missing and len(first) == len(second) == 1 and first[0] is second[0]:
        missing = [names[1]]
    return first, second, [Fault("missing", name) for name in missing]
