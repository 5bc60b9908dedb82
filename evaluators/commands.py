"""The door of evaluations that are found by name: the command line, what is printed, and the exit code."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from importlib import import_module
from typing import NamedTuple

from evaluators.reporting import EvaluationResult
from instdiff.cli import DONE, LazyParser, Parser
from instdiff.errors import printable
from instdiff.formats.files import write_bytes

EXIT_CODES = "exit codes: 0 done, 2 bad input, 4 a service that is needed failed"


class Evaluation(NamedTuple):
    """Its module has ``HELP``, ``add_arguments(parser)``, ``run(args) -> EvaluationResult``."""

    module: str
    summary: str


def build_parser(prog: str, description: str, examples: str, evaluations: Mapping[str, Evaluation]) -> Parser:
    """The command line: one sub-command for each evaluation, none of which is imported before it is named."""
    raw = argparse.RawDescriptionHelpFormatter
    epilog = f"{examples}\n\n{EXIT_CODES}"
    parser = Parser(prog=prog, description=description, epilog=epilog, formatter_class=raw)
    group = parser.add_subparsers(dest="evaluation", required=True, metavar="EVALUATION", parser_class=LazyParser)
    for name, evaluation in evaluations.items():
        part: LazyParser = group.add_parser(name, help=evaluation.summary, formatter_class=raw)
        part.add = partial(add_evaluation, evaluation.module)
    return parser


def add_evaluation(module: str, parser: LazyParser) -> None:
    """Add the options of an evaluation, and what runs it."""
    evaluation = import_module(module)
    parser.description = evaluation.HELP
    parser.set_defaults(run=evaluation.run, out=None)
    evaluation.add_arguments(parser)


def run_evaluation(parser: argparse.ArgumentParser, argv: list[str] | None) -> int:
    """Run the evaluation that is named, and print its tables, or JSON with ``--json``; returns the exit code."""
    args = parser.parse_args(argv)
    result: EvaluationResult = args.run(args)
    text = json.dumps(result.to_json(), indent=1, ensure_ascii=False)
    if args.out:
        with suppress(OSError):  # which writing then tells of
            args.out.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(args.out, (text + "\n").encode())
    if args.json:
        print(text)
    else:
        show(result)
    return DONE


def show(result: EvaluationResult) -> None:
    """The tables, then the notes, then what failed."""
    from rich.console import Console
    from rich.table import Table as Grid

    console = Console(soft_wrap=True, markup=False)
    for table in result.tables:
        grid = Grid(title=table.title, title_justify="left")
        for index, column in enumerate(table.columns):
            grid.add_column(column, justify="right" if index else "left", no_wrap=index > 0)
        for row in table.rows:
            grid.add_row(*row)
        needed_width = console.measure(grid, options=console.options.update(max_width=1000)).maximum
        console.width = max(console.width, needed_width)
        console.print(grid)  # a table that is cut says nothing: rather let a narrow terminal wrap it
    for note in result.notes:
        console.print(note)
    for failure in result.failures or ():
        reasons = failure["failed"] if isinstance(failure["failed"], str) else ", ".join(failure["failed"])
        plan = "" if failure["planned"] else " (no plan)"
        console.print(printable(f"failed: {reasons}{plan}: {failure['prompt']}"))
