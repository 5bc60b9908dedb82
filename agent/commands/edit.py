"""``instdiff-agent edit``: change a picture or a layout in words."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from agent.commands.changes import add_change_options
from agent.commands.combinations import LAYOUT_FILES
from agent.commands.running import carry_out
from instdiff.cli import part_parser

DESCRIPTION = """The words say what to change: things are added, removed, replaced, moved, swapped, made larger, smaller
or of another colour; several in one sentence. Every pixel elsewhere stays as it is. The change is a new run, and the
old one is kept. A layout file has no picture: its changed layout is printed."""
EXAMPLES = """\
examples:
  instdiff-agent edit latest "add a cat on the sofa"
  instdiff-agent edit latest "remove the lamp, make the sofa red and move the table to the left"
  instdiff-agent edit kitchen.json "swap the cup and the bowl" > swapped.json
  instdiff-agent edit outputs/RUN "make the dog smaller" --plan-only
  instdiff-agent edit photo.jpg "make the car blue"                a picture of your own

exit codes: 0 done, 2 bad input, 3 not verified with --strict, 4 a needed service failed"""


def build_parser() -> argparse.ArgumentParser:
    """The command line. What is not given is absent from the namespace."""
    parser = part_parser("edit", DESCRIPTION, EXAMPLES)
    parser.add_argument(
        "edit", metavar="RUN|latest|FILE", help="a run's folder, the latest run, a picture or a layout file"
    )
    parser.add_argument("prompt", metavar="WORDS", help="what to change")
    outcome = add_change_options(parser)
    outcome.add_argument("--plan-only", action="store_true", help="print the changed layout and paint nothing")
    boxes = "what bbox holds in a layout file (default: auto, which tells both apart or refuses)"
    outcome.add_argument("--box-format", choices=("auto", "xywh", "corners"), help=boxes)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Edit; the exit code is returned."""
    return carry_out(lambda: _flags(vars(build_parser().parse_args(argv))))


def _flags(given: dict[str, Any]) -> dict[str, Any]:
    """The flags of `make`."""
    is_layout = Path(given["edit"]).suffix.lower() in LAYOUT_FILES
    return {**given, "plan_only": True} if is_layout else given
