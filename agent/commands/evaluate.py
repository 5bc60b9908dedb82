"""``instdiff-agent evaluate NAME``: the evaluations of pictures and the benchmarks that run the agent, by name."""

from __future__ import annotations

import argparse

from agent.benchmarks.__main__ import BENCHMARKS
from evaluators import commands
from evaluators.__main__ import EVALUATIONS
from instdiff.cli import exit_code

DESCRIPTION = (
    """Measure pictures against the layouts that they were painted from, and what the agent plans and paints."""
)
EXAMPLES = """examples:
  instdiff-agent evaluate readings --help
  instdiff-agent evaluate lmd --stage layout
  instdiff-agent evaluate draft --places box,mask --count 50 --ablations
  instdiff-agent evaluate report"""


def build_parser() -> argparse.ArgumentParser:
    """The command line: one sub-command for each evaluation, none of which is imported before it is named."""
    return commands.build_parser("instdiff-agent evaluate", DESCRIPTION, EXAMPLES, EVALUATIONS | BENCHMARKS)


def main(argv: list[str] | None = None) -> int:
    """Measure and print; the exit code is returned."""
    return exit_code(lambda: commands.run_evaluation(build_parser(), argv))
