"""The options of the commands that change a picture."""

from __future__ import annotations

import argparse

from agent.request import CHAT, OUTCOME, WORKERS, Request
from instdiff.cli import add_options, options, output_folder

# A change keeps the plan and the size of the picture, and waits for nobody.
NOT_ASKED = {"planner", "planner_url", "size", "review"}
FLAGS = tuple(o.key for o in options(Request) if o.flag.group != CHAT and o.key not in NOT_ASKED)


def add_change_options(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """What is not given stays as it was for the picture; returns the group about what comes out."""
    groups = add_options(parser, Request, FLAGS)
    trust = "let the code run that comes with cogvlm"
    groups[WORKERS].add_argument("--trust-remote-code", action="store_true", help=trust)
    outcome = parser.add_argument_group(OUTCOME)
    folder = "gets a new folder for the run; latest is looked for there too (default: outputs)"
    outcome.add_argument("--out", metavar="FOLDER", type=output_folder, help=folder)
    outcome.add_argument("--json", action="store_true", help="print one JSON object on stdout, progress on stderr")
    outcome.add_argument("--quiet", action="store_true", help="print the path of the picture, and nothing else")
    outcome.add_argument("--strict", action="store_true", help="exit with 3 if the picture is not verified")
    return outcome
