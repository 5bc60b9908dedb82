"""``instdiff-agent review``: a plan that waits for a person."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from agent.commands.combinations import DECISIONS
from agent.commands.running import carry_out
from instdiff.cli import DONE, PROGRAM, exit_code, part_parser, program
from instdiff.errors import BadInput

DESCRIPTION = """Look at the plan of a run that `make --review` left waiting, and say what is to be done with it.
Without a decision the plan is shown, and nothing is changed."""
EXAMPLES = """\
examples:
  instdiff-agent make "a kitchen" --review
  instdiff-agent review                          the latest run: its plan
  instdiff-agent review latest --approve         paint it
  instdiff-agent review latest --replan          have the plan made again, with another seed; it waits again
  instdiff-agent review outputs/RUN --reject     end the run; nothing is painted

exit codes: 0 done, 2 bad input, 3 not verified with --strict, 4 a needed service failed"""


def build_parser() -> argparse.ArgumentParser:
    """The command line. What is not given is absent from the namespace."""
    parser = part_parser("review", DESCRIPTION, EXAMPLES)
    run = "a run's folder (default: latest, the latest run)"
    parser.add_argument("run", metavar="RUN|latest", nargs="?", default="latest", help=run)
    decisions = parser.add_mutually_exclusive_group()
    decisions.add_argument("--approve", action="store_true", help="paint the plan")
    decisions.add_argument("--replan", action="store_true", help="have it made again, with another seed")
    decisions.add_argument("--reject", action="store_true", help="end the run; nothing is painted")
    parser.add_argument(
        "--out", metavar="FOLDER", default="outputs", help="where latest is looked for (default: outputs)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object on stdout, progress on stderr")
    parser.add_argument("--quiet", action="store_true", help="print the path of the picture, and nothing else")
    parser.add_argument("--strict", action="store_true", help="exit with 3 if the picture is not verified")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Show the plan, or decide; the exit code is returned."""
    parser = build_parser()
    given: dict[str, Any] = {}
    code = exit_code(lambda: _read(parser, argv, given))
    if code != DONE:
        return code
    if any(name in given for name in DECISIONS):
        return carry_out(lambda: given)
    return exit_code(lambda: _show(given))


def _read(parser: argparse.ArgumentParser, argv: list[str] | None, given: dict[str, Any]) -> int:
    """Fill in the flags of `make`."""
    flags = vars(parser.parse_args(argv))
    run = flags.pop("run")
    out = flags.pop("out")
    run = str(_latest(Path(out))) if run == "latest" else run
    decision = next((name for name in DECISIONS if flags.pop(name, None)), None)
    given.update(flags, **{decision or "show": run})
    return DONE


def _latest(out: Path) -> Path:
    """The run that was made last of those that wait, or else of all."""
    from agent.runs import Run

    folders = sorted((path.parent for path in out.glob("*/run.json")), key=lambda path: path.stat().st_mtime_ns)
    if not folders:
        raise BadInput("run", f'{out} holds no run; {PROGRAM} make "..." --review makes one that waits')
    waiting = [folder for folder in folders if Run.load(folder).review == "waiting"]
    return (waiting or folders)[-1]


def _show(given: dict[str, Any]) -> int:
    """Print the plan that waits, and what can be said of it."""
    from rich.console import Console

    from agent.console import plan_table
    from agent.planners.plan import Plan
    from agent.runs import Run
    from instdiff.formats import load_layout

    run = Run.load(given["show"])
    if run.review != "waiting":
        raise BadInput("run", f'{run.folder} waits for nobody; {PROGRAM} make "..." --review makes a plan that does')
    if given.get("json"):
        print(json.dumps(run.summary()))
        return DONE
    layout = load_layout(run.folder / "round-0" / "layout.json", boxes="xywh")
    console = Console()
    console.print(plan_table(0, Plan(layout=layout, planner=run.planner or "none")))
    command = f"{program()} review {run.folder}"
    print(f"waiting for you: {command} --approve   (or --replan, --reject)")
    return DONE
