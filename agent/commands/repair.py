"""``instdiff-agent repair``: paint anew what failed, and keep the rest."""

from __future__ import annotations

import argparse

from agent.commands.changes import add_change_options
from agent.commands.running import carry_out
from instdiff.cli import part_parser

DESCRIPTION = """Paint anew what failed on the best picture of a run, or what is named; every pixel elsewhere stays as
it is. The change is a new run, and the old one is kept."""
EXAMPLES = """\
examples:
  instdiff-agent repair                               what failed on the latest picture
  instdiff-agent repair latest --thing lamp           the lamp, with which you are not content
  instdiff-agent repair outputs/RUN --thing "dog 2" --thing lamp

exit codes: 0 done, 2 bad input, 3 not verified with --strict, 4 a needed service failed"""


def build_parser() -> argparse.ArgumentParser:
    """The command line. What is not given is absent from the namespace."""
    parser = part_parser("repair", DESCRIPTION, EXAMPLES)
    run = "a run's folder (default: latest, the latest run)"
    parser.add_argument("repair", metavar="RUN|latest", nargs="?", default="latest", help=run)
    wrong = "what is wrong, by its name in the plan (lamp) or with its number (lamp 2); repeatable"
    parser.add_argument("--thing", metavar="NAME", action="append", help=wrong)
    add_change_options(parser)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Repair; the exit code is returned."""
    return carry_out(lambda: vars(build_parser().parse_args(argv)))
