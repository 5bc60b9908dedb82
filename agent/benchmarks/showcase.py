"""``python -m agent.benchmarks.showcase``: a fixed list of prompts through the whole agent, as a contact sheet and a
table.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import prompts
from agent.loop import Agent
from agent.runs import Run
from evaluators.contact_sheet import Tile, contact_sheet
from instdiff.cli import Parser
from instdiff.errors import InstDiffError, ServiceError, printable
from instdiff.render_settings import RenderSettings


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


def main(argv: list[str] | None = None) -> int:
    """Run all prompts; returns the exit code."""
    parser = Parser(prog="python -m agent.benchmarks.showcase", description=__doc__)
    parser.add_argument("--prompts", type=Path, help="a text file with one prompt a line (default: 24 of our own)")
    parser.add_argument("--sheet", type=Path, default=Path("outputs/showcase.png"), help="where the contact sheet goes")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--seed", type=int, default=0, help="of the first prompt; each next one takes the next seed (0)"
    )
    parser.add_argument("--planner", default="offline")
    parser.add_argument("--out", type=Path, default=Path("outputs"), help="where the runs go")
    try:
        args = parser.parse_args(argv)
        lines = (args.prompts.read_text() if args.prompts else prompts.read("showcase.txt")).splitlines()
        agent = Agent(planner=args.planner, rounds=args.rounds, out=args.out)
        runs = []
        for number, prompt in enumerate(filter(None, map(str.strip, lines))):
            agent.request = agent.request.model_copy(update={"settings": RenderSettings(seed=args.seed + number)})
            runs.append(agent.run(prompt))
            best = runs[-1].best
            print(
                printable(f"{best.score[0]:4.0%} found, round {runs[-1].best_round}: {prompt}"),
                file=sys.stderr,
                flush=True,
            )
        contact_sheet([tile(run) for run in runs], args.sheet)
    except OSError as error:
        print(f"error: {error.filename}: {error.strerror}", file=sys.stderr)
        return 2
    except InstDiffError as error:
        print(f"error: {error}", file=sys.stderr)
        return 4 if isinstance(error, ServiceError) else 2
    print(json.dumps({"sheet": str(args.sheet), "prompts": len(runs), **shares(runs)}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
