"""``dataset judge``: its options, and what it does."""

from __future__ import annotations

import argparse

from agent.dataset.folder import Folder
from instdiff.cli import DONE, add_options, given_values, input_folder, parse_values

HELP = """Hold the labels of a dataset against what another detector sees, the bundled judge, which knows
drawings alone: the share of the things it sees that are labelled, ignored or neither, and of labels it does not see."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `judge`."""
    from agent.dataset.export.labels import LabelOptions  # the exports are loaded where they are asked for

    parser.description = HELP
    parser.add_argument("folder", metavar="FOLDER", type=input_folder, help="what make made")
    add_options(parser, LabelOptions)


def run(args: argparse.Namespace) -> tuple[dict, int]:
    """Measure the labels that an export would have."""
    from agent.dataset.export.labels import LabelOptions
    from agent.dataset.export.records import ExportOptions, read_records
    from agent.dataset.judging import judge_labels
    from evaluators.detectors import load_detector
    from evaluators.detectors.draft import DraftDetector

    options = parse_values(LabelOptions, given_values(LabelOptions, vars(args)))
    records = read_records(Folder(args.folder), ExportOptions(**dict(options), val=0.0), {})
    detector = load_detector("judge")
    assert isinstance(detector, DraftDetector)
    found = judge_labels(((record.path, record.every) for record in records), detector, detector.categories)
    return {"folder": str(args.folder), **found}, DONE
