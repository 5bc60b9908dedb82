"""Prompts with checks of one's own: do plans do what their prompts ask for?"""

from __future__ import annotations

import argparse
from pathlib import Path

from agent.benchmarks import plan_checks, planned_layouts
from evaluators.layout_statistics import Statistics, statistics
from evaluators.reporting import EvaluationResult, Table
from instdiff.cli import input_path
from instdiff.errors import BadInput
from instdiff.formats.layout_sets import load_layouts, read_lines

HELP = f"""Your own prompts with checks. FILE holds one JSON object a line:

  {{"prompt": "two cats on a red couch, no dogs", "checks": [{{"count": ["cat", 2]}}, {{"absent": ["dog"]}},
   {{"attr": ["red", "couch"]}}, {{"rel": ["cat", "on", "couch"]}}]}}

  {{"count": ["cat", 2]}}            exactly 2       {{"type": "count", "object": "cat", "n": 2}} says the same
  {{"min": ["tree", 2]}}             at least 2
  {{"absent": ["dog"]}}              none
  {{"attr": ["red", "car"]}}         a car whose caption says red
  {{"objects": ["cat", "dog"]}}      all of these
  {{"rel": ["cat", "on", "chair"]}}  every cat is on a chair
  {{"rel": ["sun", "at the top"]}}   a place on the picture
  {{"rel": ["ball", "between", ["cat", "dog"]]}}

Names are whole words, singular or plural; "couch" means a sofa too, "black cat" only the black ones. Relations:

  {", ".join(("between", *plan_checks.RELATION_WORDS))}"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``python -m agent.benchmarks plan``."""
    parser.add_argument("file", metavar="FILE", type=Path, help="prompts with checks, one JSON object a line")
    parser.add_argument("--compare", type=input_path, metavar="PATH", help="statistics beside those of these layouts")
    planned_layouts.add_arguments(parser, planned_layouts.result_file("plan"))


def run(args: argparse.Namespace) -> EvaluationResult:
    """The command.

    Raises:
        BadInput: a file is wrong, or the planner has no such name.
        ServiceError: the planner cannot be reached.
    """
    cases = plan_checks.read_cases(read_lines(args.file), str(args.file))
    if not cases:
        raise BadInput(str(args.file), "holds no prompts")
    name, layouts = planned_layouts.layouts_for(args, [case.prompt for case in cases])
    scores = plan_checks.score(cases, layouts)
    failures = scores.pop("failures")
    rows = [[kind, share_cell(counts)] for kind, counts in scores["kinds"].items()]
    rows += [["all checks", share_cell(scores["checks"])], ["whole prompts", share_cell(scores["prompts"])]]
    tables = [Table(f"Checks of {args.file.name}", ["check", name], rows)]
    figures = {"planner": name, **scores}
    if args.compare:
        ours = statistics([layouts[prompt] for prompt in {case.prompt for case in cases} & layouts.keys()])
        theirs = statistics(list(load_layouts(args.compare)))
        figures |= {"statistics": ours.model_dump(), "compared": theirs.model_dump()}
        columns = ["figure", name, args.compare.name]
        rows = [
            [field.description or key, f"{getattr(ours, key):.3g}", f"{getattr(theirs, key):.3g}"]
            for key, field in Statistics.model_fields.items()
        ]
        tables.append(Table("Statistics of the layouts", columns, rows, key="statistics_table"))
    return EvaluationResult("plan", figures, tuple(tables), failures=failures)


def share_cell(counts: dict) -> str:
    """The share that passed, with its counts: "50.0%  (1/2)"; a dash where nothing was asked."""
    passed = f"{counts['passed'] / counts['of']:6.1%}" if counts["of"] else "-"
    return f"{passed}  ({counts['passed']}/{counts['of']})"
