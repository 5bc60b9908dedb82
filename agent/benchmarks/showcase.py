"""A fixed list of prompts through the whole agent, as a contact sheet and a table."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import prompts
from agent.runs import Run
from evaluators.contact_sheet import Tile, contact_sheet
from instdiff.errors import BadInput, printable
from instdiff.formats.files import read_bytes

PROMPTS = "showcase.txt"
HELP = """Prompts through the whole agent: a contact sheet of the best pictures, and how much was verified in round 0 and in the best
round."""


def shares(runs: list[Run]) -> dict:
    """How much was verified in round 0 and in the best round: pictures, and instances that the verifier can judge."""
    first = [run.rounds[0] for run in runs]
    best = [run.best for run in runs]
    return {
        name: {
            "pictures_verified": sum(r.verified for r in rounds) / len(rounds),
            "instances_found": round(sum(r.score[0] for r in rounds) / len(rounds), 3),
            "mean_iou": round(sum(r.score[1] for r in rounds) / len(rounds), 3),
        }
        for name, rounds in (("round_0", first), ("best_round", best))
    }


def tile(run: Run) -> Tile:
    """The best picture with its prompt and what was found."""
    from PIL import Image

    found = f"{run.best.score[0]:.0%} found, round {run.best_round}" + (", verified" if run.verified else "")
    with Image.open(run.image) as image:
        return Tile(image.convert("RGB"), (run.request.prompt, found), "darkgreen" if run.verified else "dimgray")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``python -m agent.benchmarks showcase``."""
    parser.add_argument("--prompts", type=Path, help="a text file with one prompt a line (default: 24 of our own)")
    parser.add_argument("--sheet", type=Path, default=Path("outputs/showcase.png"), help="where the contact sheet goes")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--seed", type=int, default=0, help="of the first prompt; each next one takes the next seed (0)"
    )
    parser.add_argument("--planner", default="offline")
    parser.add_argument("--out", type=Path, dest="runs", default=Path("outputs"), help="where the runs go")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")


def run(args: argparse.Namespace) -> dict:
    """Run all prompts.

    Raises:
        BadInput: the file of prompts cannot be read, or a prompt cannot be planned.
        ServiceError: a service that is needed failed.
    """
    from agent.loop import Agent

    text = read_bytes(args.prompts).decode("utf-8-sig", errors="replace") if args.prompts else prompts.read(PROMPTS)
    agent = Agent(planner=args.planner, rounds=args.rounds, out=args.runs)
    runs = []
    for number, prompt in enumerate(filter(None, map(str.strip, text.splitlines()))):
        runs.append(agent.run(prompt, seed=args.seed + number))
        best = runs[-1].best
        line = f"{best.score[0]:4.0%} found, round {runs[-1].best_round}: {prompt}"
        print(printable(line), file=sys.stderr, flush=True)
    if not runs:
        raise BadInput("prompts", f"{args.prompts} holds none")
    contact_sheet([tile(run) for run in runs], args.sheet)
    measured = shares(runs)
    rows = [[name, *(f"{value:.3f}" for value in figures.values())] for name, figures in measured.items()]
    table = {"title": f"{len(runs)} prompts", "columns": ["of the", *measured["round_0"]], "rows": rows}
    return {"evaluation": "showcase", "sheet": str(args.sheet), "prompts": len(runs), **measured, "table": table}
