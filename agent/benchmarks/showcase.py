"""A fixed list of prompts through the whole agent, as a contact sheet and a table."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from statistics import fmean

from PIL import Image

import prompts
from agent.benchmarks.planned_layouts import RESULTS
from agent.request import read_prompts
from agent.runs import Run
from evaluators.contact_sheet import Tile, contact_sheet
from evaluators.reporting import EvaluationResult, Table
from instdiff.cli import output_file, output_folder
from instdiff.errors import printable

PROMPTS = "showcase.txt"
HELP = """Prompts through the whole agent: a contact sheet of the best pictures, and how much was verified in round 0
and in the best round."""


def shares(runs: list[Run]) -> dict[str, dict[str, float]]:
    """How much was verified in round 0 and in the best round: pictures, and instances that the verifier can judge."""
    first = [run.rounds[0] for run in runs]
    best = [run.best for run in runs if run.best]
    return {
        name: {
            "pictures_verified": fmean(painted.verified for painted in rounds),
            "instances_found": round(fmean(painted.score[0] for painted in rounds), 3),
            "mean_iou": round(fmean(painted.score[1] for painted in rounds), 3),
        }
        for name, rounds in (("round_0", first), ("best_round", best))
    }


def describe(run: Run) -> str:
    """How much of the best picture was found: "80% found, round 1"."""
    share = run.best.score[0] if run.best else 0.0
    return f"{share:.0%} found, round {run.best_round}"


def tile(run: Run) -> Tile:
    """The best picture with its prompt and what was found."""
    lines = (run.request.prompt or "", describe(run) + (", verified" if run.verified else ""))
    with Image.open(run.image) as image:
        return Tile(image.convert("RGB"), lines, "darkgreen" if run.verified else "dimgray")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``python -m agent.benchmarks showcase``."""
    parser.add_argument("--prompts", type=Path, help="a text file with one prompt a line (default: 24 of our own)")
    parser.add_argument("--sheet", type=output_file, default=Path("outputs/showcase.png"), help="the contact sheet")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0, help="of the first prompt; each next takes the next seed (0)")
    parser.add_argument("--planner", default="offline")
    parser.add_argument("--out", type=output_folder, dest="runs", default=Path("outputs"), help="where the runs go")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")


def run(args: argparse.Namespace) -> EvaluationResult:
    """Run all prompts.

    Raises:
        BadInput: the file of prompts cannot be read, or a prompt cannot be planned.
        ServiceError: a service that is needed failed.
    """
    from agent.loop import Agent

    chosen = read_prompts(args.prompts) if args.prompts else prompts.read(PROMPTS).splitlines()
    agent = Agent(planner=args.planner, rounds=args.rounds, out=args.runs)
    runs = []
    for seed, prompt in enumerate(filter(None, map(str.strip, chosen)), args.seed):
        runs.append(agent.run(prompt, seed=seed))
        print(printable(f"{describe(runs[-1])}: {prompt}"), file=sys.stderr, flush=True)
    contact_sheet([tile(run) for run in runs], args.sheet)
    measured = shares(runs)
    rows = [[name, *(f"{value:.3f}" for value in figures.values())] for name, figures in measured.items()]
    table = Table(f"{len(runs)} prompts", ["of the", *measured["round_0"]], rows)
    result = EvaluationResult("showcase", {"sheet": str(args.sheet), "prompts": len(runs), **measured}, (table,))
    result.write(RESULTS / "showcase")
    return result
