"""``python -m agent.commands.timing``: how long help and errors take, each in a process of its own."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import NamedTuple

from agent.commands import COMMANDS
from instdiff.cli import DONE, NOT_VERIFIED, Parser, exit_code

LIMIT_S = 0.5
ERRORS = ("mkae", "make dog --rounds 99", "make dog --engine none", "make dog --verifier none-such", "edit nowhere x")
DESCRIPTION = f"""The median seconds of help of every part and of some errors, each in a process of its own, one after
the other; beside it the median processor seconds, which a busy machine does not stretch as far. The exit code is 3 if
one takes more than {LIMIT_S} s."""


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = Parser(prog="python -m agent.commands.timing", description=DESCRIPTION)
    parser.add_argument("--repeat", type=int, default=10, metavar="N", help="processes for each (10)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Measure and print; the exit code is returned."""
    return exit_code(lambda: run(build_parser().parse_args(argv)))


def run(args: argparse.Namespace) -> int:
    """The command."""
    rows = []
    for row in measure(max(args.repeat, 1)):
        rows.append(row)
        if not args.json:
            print(f"{row.seconds:6.3f} s {row.cpu_seconds:6.3f} cpu s  {row.line}", flush=True)
    if args.json:
        print(json.dumps([row._asdict() for row in rows], indent=1))
    return DONE if max(row.seconds for row in rows) <= LIMIT_S else NOT_VERIFIED


class Timing(NamedTuple):
    """Medians of a command line."""

    line: str
    seconds: float
    cpu_seconds: float


def measure(repeat: int) -> Iterator[Timing]:
    """Run each line so often, one after the other."""
    for line in ("--help", "--version", *(f"{name} --help" for name in COMMANDS), *ERRORS):
        runs = []
        for _ in range(repeat):
            started = time.perf_counter()
            before = os.times()
            subprocess.run([sys.executable, "-m", "agent", *line.split()], capture_output=True, check=False)
            after = os.times()
            cpu = after.children_user + after.children_system - before.children_user - before.children_system
            runs.append((time.perf_counter() - started, cpu))
        yield Timing(line, *(round(statistics.median(column), 3) for column in zip(*runs, strict=True)))


if __name__ == "__main__":
    sys.exit(main())
