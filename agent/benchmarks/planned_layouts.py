"""The layouts that a benchmark of plans looks at: read from a file, or planned for it."""

from __future__ import annotations

import argparse
import sys
import tempfile
import warnings
from pathlib import Path

from agent.planners import load_planner
from agent.plans import write_plans
from instdiff.cli import output_file
from instdiff.errors import BadInput
from instdiff.formats import BoxFormatWarning, layout_from_json, load_layout
from instdiff.formats.files import parse_json, read_bytes
from instdiff.layout import Layout

SIZE = (512, 512)  # of plans, in pixels


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of who plans, and where the figures go."""
    parser.add_argument(
        "--planner", default="offline", metavar="NAME", help="who plans (default: offline); see run_agent.py --help"
    )
    parser.add_argument("--planner-url", metavar="URL", help="an OpenAI-compatible endpoint for the planner")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of the plans (default: 0)")
    parser.add_argument(
        "--layouts", type=Path, metavar="FILE", help="score these, written by python -m agent.plans; plan nothing"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.add_argument("--out", type=output_file, metavar="FILE", help="write the JSON here too")


def read_lines(path: str | Path) -> list[object]:
    """The values of a JSON-lines file; empty lines are skipped."""
    text = read_bytes(path).decode("utf-8-sig", errors="replace")
    return [
        parse_json(line, f"{path} line {number}") for number, line in enumerate(text.split("\n"), 1) if line.strip()
    ]


def layouts_by_prompt(path: str | Path) -> dict[str, Layout]:
    """Layouts from the JSON lines that ``python -m agent.plans`` writes; lines with an error have no layout."""
    layouts = {}
    for number, line in enumerate(read_lines(path), 1):
        if not isinstance(line, dict) or not isinstance(line.get("prompt"), str):
            raise BadInput(f"{path} line {number}", 'must be {"prompt": "...", "layout": {...}}')
        if "layout" in line:
            layouts[line["prompt"]] = layout_from_json(line["layout"], boxes="xywh")
    return layouts


def layouts_from(path: str | Path) -> list[Layout]:
    """All layouts of a folder of ``.json`` files, of one such file, or of JSON lines.

    A folder has one writer: if some of its files can only hold corner boxes, all of them are read as corners.
    """
    path = Path(path)
    if path.is_dir():
        files = sorted(path.glob("*.json"))
        if not files:
            raise BadInput(str(path), "holds no .json files")
        layouts, with_corners = _load_all(files, "auto")
        if with_corners:
            print(
                f"note: {path}: boxes are read as corners; {with_corners} of {len(files)} files fit no other reading",
                file=sys.stderr,
            )
            layouts, _ = _load_all(files, "corners")
        return layouts
    if path.suffix.lower() == ".jsonl":
        return list(layouts_by_prompt(path).values())
    return [load_layout(path)]


def _load_all(files: list[Path], boxes: str) -> tuple[list[Layout], int]:
    """The layouts, and in how many files boxes can only be corners."""
    layouts = []
    with_corners = 0
    for file in files:
        with warnings.catch_warnings(record=True) as raised:
            warnings.simplefilter("always")
            layouts.append(load_layout(file, boxes))
        with_corners += any(
            warning.category is BoxFormatWarning and "read as corners" in str(warning.message) for warning in raised
        )
    return layouts, with_corners


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
