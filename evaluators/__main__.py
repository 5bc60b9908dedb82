"""``instdiff-agent evaluate``: measure pictures against the layouts that they were painted from."""

from __future__ import annotations

import argparse
import sys

from evaluators import commands
from evaluators.commands import Evaluation
from instdiff.cli import exit_code
from instdiff.errors import BadInput

EVALUATIONS = {
    "draft": Evaluation("evaluators.draft.benchmark", "the bundled painter: 500 held-out layouts"),
    "eye": Evaluation("evaluators.eye.command", "how far a detector's word can be trusted, on pictures that are known"),
    "coco": Evaluation("evaluators.coco.command", "pictures painted from COCO annotations: AP, AR of boxes and masks"),
    "pim": Evaluation("evaluators.pim", "points in mask: do things lie where points and scribbles put them?"),
    "attributes": Evaluation("evaluators.coco.attributes_command", "do things have the colour or texture asked for?"),
    "schedulers": Evaluation("evaluators.schedulers.command", "which schedulers of diffusers paint, and repeat"),
    "fid": Evaluation("evaluators.fid", "how far painted pictures are from real ones, as a whole"),
    "clip": Evaluation("evaluators.clip", "CLIP score of pictures and their captions"),
    "alignment": Evaluation("evaluators.alignment", "boxes that a model reports against the boxes of the plan"),
    "judge": Evaluation("evaluators.ratings", "a vision-language model rates pictures from 1 to 5"),
    "report": Evaluation("evaluators.report_page", "one page of all results"),
}
RUN_THE_AGENT = ("lmd", "plan", "gain")  # evaluations behind a door of the agent's own
EXAMPLES = """examples:
  instdiff-agent evaluate draft --places box,mask --count 50 --ablations
  instdiff-agent evaluate coco --annotations FILE --images FOLDER
  instdiff-agent evaluate report

what runs the agent (lmd, plan, gain) is measured by instdiff-agent evaluate too"""


def build_parser() -> argparse.ArgumentParser:
    """The command line: one sub-command for each evaluation."""
    return commands.build_parser("instdiff-agent evaluate", str(__doc__), EXAMPLES, EVALUATIONS)


def main(argv: list[str] | None = None) -> int:
    """Score and print; returns the exit code."""
    return exit_code(lambda: run(sys.argv[1:] if argv is None else argv))


def run(argv: list[str]) -> int:
    """The command.

    Raises:
        BadInput: an option or a file is wrong, or the evaluation runs the agent and has another door.
        ServiceError: something that is needed cannot be loaded or reached.
    """
    if argv and argv[0] in RUN_THE_AGENT:
        raise BadInput("evaluation", f"{argv[0]} runs the agent: it is now instdiff-agent evaluate {argv[0]}")
    return commands.run_evaluation(build_parser(), argv)


if __name__ == "__main__":
    sys.exit(main())
