"""Prompts with checks of one's own: do plans do what their prompts ask for?"""

from __future__ import annotations

import argparse
from pathlib import Path

from agent.benchmarks import plan_checks, planned_layouts
from evaluators.layout_statistics import Statistics, statistics
from instdiff.errors import BadInput
from instdiff.layout import Layout

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
    parser.add_argument(
        "--compare", type=Path, metavar="PATH", help="print statistics beside those of these layouts: a folder or file"
    )
    planned_layouts.add_arguments(parser)


def run(args: argparse.Namespace) -> dict:
    """The command.

    Raises:
        BadInput: a file is wrong, or the planner has no such name.
        ServiceError: the planner cannot be reached.
    """
    cases = plan_checks.read_cases(planned_layouts.read_lines(args.file), str(args.file))
    if not cases:
        raise BadInput(str(args.file), "holds no prompts")
    name, layouts = planned_layouts.layouts_for(args, [case.prompt for case in cases])
    result = plan_checks.score(cases, layouts)
    rows = [[kind, share(counts)] for kind, counts in result["kinds"].items()]
    rows += [["all checks", share(result["checks"])], ["whole prompts", share(result["prompts"])]]
    table = {"title": f"Checks of {args.file.name}", "columns": ["check", name], "rows": rows}
    result = {"evaluation": "plan", "planner": name, **result, "table": table}
    wanted = {case.prompt for case in cases}
    return result | _compared(args, name, [layout for prompt, layout in layouts.items() if prompt in wanted])


def _compared(args: argparse.Namespace, name: str, layouts: list[Layout]) -> dict:
    """The statistics of the plans beside those of other layouts, if that was asked for."""
    if not args.compare:
        return {}
    ours = statistics(layouts)
    theirs = statistics(planned_layouts.layouts_from(args.compare))
    rows = [
        [field.description or key, f"{getattr(ours, key):.3g}", f"{getattr(theirs, key):.3g}"]
        for key, field in Statistics.model_fields.items()
    ]
    table = {"title": "Statistics of the layouts", "columns": ["figure", name, args.compare.name], "rows": rows}
    return {"statistics": ours.model_dump(), "compared": theirs.model_dump(), "statistics_table": table}


def share(counts: dict) -> str:
    """The share that passed, with its counts: "50.0%  (1/2)"; a dash where nothing was asked."""
    passed = f"{counts['passed'] / counts['of']:6.1%}" if counts["of"] else "-"
    return f"{passed}  ({counts['passed']}/{counts['of']})"
