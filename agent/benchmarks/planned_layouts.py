"""The layouts that a benchmark of plans looks at: read from a file, or planned for it."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from agent.planners import load_planner
from agent.plans import write_plans
from evaluators.reporting import JSON_FILE
from instdiff.cli import output_file
from instdiff.formats.layout_sets import layouts_by_prompt
from instdiff.layout import Layout

SIZE = (512, 512)  # of plans, in pixels
RESULTS = Path("outputs/evaluations")  # where the dashboard looks


def result_file(name: str) -> Path:
    """Where the result of an evaluation goes, if it is not said."""
    return RESULTS / name / JSON_FILE


def add_arguments(parser: argparse.ArgumentParser, out: Path) -> None:
    """The options of who plans, and where the figures go, by default into the file ``out``."""
    parser.add_argument("--planner", default="offline", metavar="NAME", help="who plans, as for make (offline)")
    parser.add_argument("--planner-url", metavar="URL", help="an OpenAI-compatible endpoint for the planner")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of the plans (default: 0)")
    parser.add_argument("--layouts", type=Path, metavar="FILE", help="score these of agent.plans; plan nothing")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.add_argument(
        "--out", type=output_file, default=out, metavar="FILE", help=f"the JSON goes here (default: {out})"
    )


def layouts_for(args: argparse.Namespace, prompts: list[str]) -> tuple[str, dict[str, Layout]]:
    """Who planned, and the layouts by prompt: from ``--layouts``, or planned now by ``--planner`` from ``--seed``."""
    if args.layouts:
        return str(args.layouts), layouts_by_prompt(args.layouts)
    return args.planner, plan_prompts(list(dict.fromkeys(prompts)), args.planner, args.planner_url, args.seed)


def plan_prompts(prompts: list[str], planner: str, planner_url: str | None, seed: int) -> dict[str, Layout]:
    """Plan every prompt, with the progress on stderr; prompts that cannot be planned have no layout.

    Raises:
        BadInput: the planner has no such name, or cannot be used so.
        ServiceError: the planner cannot be reached.
    """
    with tempfile.TemporaryDirectory() as folder:
        plans = Path(folder, "plans.jsonl")
        write_plans(load_planner(planner, base_url=planner_url), prompts, SIZE, seed, plans)
        return layouts_by_prompt(plans)
