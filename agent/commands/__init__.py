"""``instdiff-agent``: one command, whose parts are imported when they are named.

Each part is a module with ``build_parser()`` and ``main(argv)``, which returns the exit code.
"""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from typing import NamedTuple

from instdiff import __version__
from instdiff.cli import DONE, PROGRAM, Parser, exit_code
from instdiff.errors import BadInput

DESCRIPTION = "A scene in words becomes a layout, a picture, a verdict on the picture, and a better layout."
EXAMPLES = """\
examples:
  instdiff-agent make "a cozy living room"
  instdiff-agent plan "a kitchen" --out kitchen.json
  instdiff-agent edit latest "make the sofa red"
  instdiff-agent models

instdiff-agent COMMAND --help says more of each, with examples. Without the installed command: python -m agent
"""


class Command(NamedTuple):
    """A part of the command: the module that it stands in, and what it does in a line."""

    module: str
    summary: str


COMMANDS = {
    "make": Command("agent.commands.make", "paint a sentence or a layout, look at the picture, mend it"),
    "plan": Command("agent.commands.plan", "a layout for a sentence, or for every line of a file; nothing is painted"),
    "edit": Command("agent.commands.edit", "change a picture or a layout in words, and nothing else on it"),
    "repair": Command("agent.commands.repair", "paint anew what failed on a picture, and keep the rest"),
    "review": Command("agent.commands.review", "look at a plan that waits; have it painted, made again or dropped"),
    "dataset": Command("agent.dataset.__main__", "datasets of verified pictures: make, export, check, prove"),
    "evaluate": Command("agent.commands.evaluate", "measure pictures, plans and the agent, by name"),
    "train": Command("instdiff.train", "train on your own pictures, or the bundled models"),
    "convert": Command("instdiff.checkpoint.__main__", "published checkpoints to a model folder, and back"),
    "label": Command("evaluators.label.__main__", "bare pictures become annotations to train on"),
    "speed": Command("evaluators.speed.__main__", "how fast the engine paints, beside the published schedule"),
    "dashboard": Command("agent.commands.dashboard", "make, look at and edit pictures in the browser"),
    "models": Command("agent.commands.models", "which models this machine can use, and how to get the others"),
    "completion": Command("agent.commands.completion", "completion of commands and options for bash, zsh and fish"),
}


def build_parser() -> argparse.ArgumentParser:
    """The names of all parts, none of which is imported."""
    parser = Parser(
        prog=PROGRAM,
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    parts = parser.add_subparsers(dest="command", metavar="COMMAND", required=True, title="commands")
    for name, command in COMMANDS.items():
        parts.add_parser(name, help=command.summary)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Hand over to the part that is named; the exit code is returned."""
    words = sys.argv[1:] if argv is None else argv
    if words and words[0] in COMMANDS:
        return import_module(COMMANDS[words[0]].module).main(words[1:])
    return exit_code(lambda: _without_part(words))


def _without_part(words: list[str]) -> int:
    """Help, the version, or an error that names the nearest command."""
    if not words:
        build_parser().print_help()
        return DONE
    if " " in words[0].strip():
        raise BadInput("command", f'is missing; to paint these words: {PROGRAM} make "{words[0][:100]}"')
    build_parser().parse_args(words)
    return DONE
