"""``python -m agent.dataset``: make datasets of verified pictures, export them, and prove what they are worth."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from instdiff.command_line import Parser, exit_code

EXAMPLES = """examples:
  python -m agent.dataset make outputs/kitchens --scenes kitchen,street --count 200 --per-picture 2-4 --colours red,blue
  python -m agent.dataset make outputs/mine --prompts prompts.txt --accept instance --rounds 3
  python -m agent.dataset make outputs/again --layouts annotations.json --ray 2
  python -m agent.dataset export outputs/kitchens --format coco,yolo,webdataset,parquet
  python -m agent.dataset check outputs/kitchens"""
MAKE_HELP = """Make a dataset: plan, paint in batches, look, paint again what failed, keep what passes.

What the pictures are of is one of

  --prompts FILE     one prompt a line, or {"prompt": "..."} a line; over and over, with another seed each time
  --scenes A,B       prompts made of what is usually found in these kinds of scenes
  --template TEXT    a prompt with gaps: {colour}, {thing}, {things}, {number}, {setting}
  --layouts PATH     a folder of layouts, the lines of python -m agent.plans, or COCO annotations; they keep their places

Candidate number i has a prompt and a seed that depend on i alone. The same command goes on with what was stopped or killed,
and leaves the same files as if it had not been; a larger --count adds to it, a smaller one removes nothing.
FOLDER then holds

  items/     one PNG and one JSON for each picture that is kept, and manifest.json
  rejected/  one JSON for each candidate that did not pass
  plans/     what was planned
  failed.jsonl  what could not be made; the next start tries again"""
MAKE_EXAMPLES = """examples:
  python -m agent.dataset make outputs/cups --template "a {colour} cup and a {colour} bowl in a kitchen" --count 100
  python -m agent.dataset make outputs/street --scenes street --count 500 --accept instance --min-iou 0.6 --ray 4
  python -m agent.dataset make outputs/street --scenes street --count 500 --slurm 8 --slurm-option partition=gpu

exit codes: 0 done, 1 done, but something could not be made (failed.jsonl), 2 bad input, 3 done, but fewer than --count passed,
4 a service that is needed failed"""


def build_parser() -> argparse.ArgumentParser:
    """The command line: one sub-command for each thing to do with a dataset."""
    from agent.dataset import commands

    raw = argparse.RawDescriptionHelpFormatter
    parser = Parser(prog="python -m agent.dataset", description=__doc__, epilog=EXAMPLES, formatter_class=raw)
    every = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    make = every.add_parser(
        "make", help="make a dataset, or go on with one", description=MAKE_HELP, epilog=MAKE_EXAMPLES, formatter_class=raw
    )
    commands.add_make(make)
    commands.add_export(every.add_parser("export", help="write it as others read it", formatter_class=raw))
    commands.add_prove(every.add_parser("prove", help="train a detector on it, and one on composites", formatter_class=raw))
    check = every.add_parser("check", help="look for torn or missing files")
    check.add_argument("folder", metavar="FOLDER", type=Path, help="what make made")
    for command in every.choices.values():
        command.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Do what is asked for; returns the exit code."""
    return exit_code(lambda: _run(argv))


def _run(argv: list[str] | None) -> int:
    from agent.dataset import commands

    args = build_parser().parse_args(argv)
    work = {"make": commands.make, "export": commands.export, "prove": commands.prove, "check": commands.check}[args.command]
    result, code = work(args)
    print(json.dumps(result) if args.json else commands.in_words(result))
    return code


if __name__ == "__main__":
    sys.exit(main())
