"""``instdiff-agent plan``: what would be painted, without painting it."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from agent.commands.running import carry_out
from agent.request import CHAT, Request
from instdiff.cli import DONE, add_options, exit_code, input_file, options, output_file, part_parser
from instdiff.errors import BadInput

DESCRIPTION = """A layout for a sentence, as JSON that `make --layout` paints; or one for every prompt of a file.

With --prompts, FILE holds one prompt a line, or one JSON object {"prompt": "..."} a line. Written is one JSON object a
line: {"prompt", "layout", "planner", "notes", "seed", "seconds"}, or {"prompt", "error", ...} where no plan could be
made. With --out, prompts that have a plan in that file are not planned again, so that the same command goes on with
what was stopped."""
EXAMPLES = """\
examples:
  instdiff-agent plan "a kitchen"
  instdiff-agent plan "a kitchen" --out kitchen.json               then edit it, and make --layout kitchen.json
  instdiff-agent plan "two cats in a ray of light" --explain       how the words are read
  instdiff-agent plan --prompts prompts.txt --out plans.jsonl --seed 3
  instdiff-agent plan "a kitchen" --planner ollama:llama3.1        needs a running Ollama

exit codes: 0 done, 2 bad input, 4 a needed service failed"""
CHAT_FLAGS = tuple(option.key for option in options(Request) if option.flag.group == CHAT)
FLAGS = ("planner", "planner_url", "engine", "size", "seed", *CHAT_FLAGS)
OF_FILE = {"prompts", "out", "planner", "planner_url", "size", "seed"}


def build_parser() -> argparse.ArgumentParser:
    """The command line. What is not given is absent from the namespace."""
    parser = part_parser("plan", DESCRIPTION, EXAMPLES)
    parser.add_argument("prompt", nargs="?", metavar="PROMPT", help="the scene in words")
    prompts = "plan every prompt of a file instead (planner: offline, if none is named; size: 512x512)"
    parser.add_argument("--prompts", metavar="FILE", type=input_file, help=prompts)
    parser.add_argument("--out", metavar="FILE", type=output_file, help="where the plan goes (default: stdout)")
    explain = "show how the offline planner reads the words: things, relations, what is left out and why"
    parser.add_argument("--explain", action="store_true", help=explain)
    parser.add_argument("--json", action="store_true", help="with --explain: as one JSON object")
    add_options(parser, Request, FLAGS)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Plan; the exit code is returned."""
    words = sys.argv[1:] if argv is None else argv
    if any(word.partition("=")[0] == "--prompts" for word in words):
        return exit_code(lambda: _plan_file(vars(build_parser().parse_args(words))))
    return carry_out(lambda: _flags(vars(build_parser().parse_args(words))))


def _flags(given: dict[str, Any]) -> dict[str, Any]:
    """The flags of `make` that plan alone."""
    if "json" in given and "explain" not in given:
        raise BadInput("json", "is about --explain; a plan is JSON anyway")
    if "explain" in given:
        if "out" in given:
            raise BadInput("out", "gets a plan, and --explain makes none; drop one of them")
        return given
    if "out" in given:
        given["plan_file"] = given.pop("out")
    return {**given, "plan_only": True}


def _plan_file(given: dict[str, Any]) -> int:
    """Plan every prompt of a file."""
    if "prompt" in given:
        raise BadInput("prompt", "cannot be used together with --prompts; give one of them")
    if wrong := given.keys() - OF_FILE:
        raise BadInput(min(wrong), "cannot be used together with --prompts; drop it")
    from agent.plans import plan_file

    plan_file(given.pop("prompts"), **given)
    return DONE
