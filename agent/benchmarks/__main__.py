"""``instdiff-agent evaluate``: measure what the agent plans and paints.

What a dataset is worth is measured by ``instdiff-agent dataset prove``.
"""

from __future__ import annotations

import argparse
import sys

from evaluators import commands
from evaluators.commands import Evaluation
from instdiff.cli import exit_code

BENCHMARKS = {
    "lmd": Evaluation("agent.benchmarks.lmd", "the 400 prompts of the LMD benchmark"),
    "plan": Evaluation("agent.benchmarks.plan", "your own prompts with checks"),
    "nsr": Evaluation("agent.benchmarks.plans.nsr", "NSR-1K (LayoutGPT): numbers and places, of plans"),
    "geneval": Evaluation("agent.benchmarks.plans.geneval", "GenEval: classes, numbers, colours, positions, of plans"),
    "compbench": Evaluation(
        "agent.benchmarks.plans.compbench", "T2I-CompBench: relations, numbers, adjectives, of plans"
    ),
    "readings": Evaluation(
        "agent.benchmarks.plans.readings", "free English beside a careful reader's readings, of plans"
    ),
    "gain": Evaluation("agent.benchmarks.gain", "what the rounds of the loop gain"),
    "repair": Evaluation("agent.benchmarks.repair", "mending what failed, beside painting everything anew"),
    "early": Evaluation("agent.benchmarks.early", "what an early look at a picture tells of it"),
    "edits": Evaluation("agent.benchmarks.edits", "edits in words: are they done, is the rest as it was"),
    "showcase": Evaluation("agent.benchmarks.showcase", "some prompts through the whole agent, as a contact sheet"),
}
EXAMPLES = """examples:
  instdiff-agent evaluate lmd --stage layout
  instdiff-agent evaluate lmd --stage layout --planner ollama:llama3.1 --json
  instdiff-agent evaluate plan prompts.jsonl --compare layouts/
  instdiff-agent evaluate nsr counting.val.json spatial.val.json
  instdiff-agent evaluate compbench spatial_val.txt numeracy_val.txt --wrong"""


def build_parser() -> argparse.ArgumentParser:
    """The command line: one sub-command for each benchmark."""
    return commands.build_parser("instdiff-agent evaluate", str(__doc__), EXAMPLES, BENCHMARKS)


def main(argv: list[str] | None = None) -> int:
    """Run, score and print; returns the exit code."""
    return exit_code(lambda: commands.run_evaluation(build_parser(), argv))


if __name__ == "__main__":
    sys.exit(main())
