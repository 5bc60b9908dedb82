"""``dataset train``: its options, and what it does."""

from __future__ import annotations

import argparse

from agent.dataset.folder import Folder
from instdiff.cli import DONE, add_options, given_values, input_folder, output_folder, parse_values

HELP = """Train a detector of another package on the dataset's export, and score it on the pictures for validation.
The export, the weights and results.json lie in --out. Without --pretrained it learns from nothing, which takes
thousands of pictures and a graphics card; a training too short to say anything is said to be so.

pip install -e ".[trainers]" brings torchvision (BSD-3-Clause), pip install -e ".[yolo]" brings ultralytics: AGPL-3.0,
which its makers say holds for models trained with it, too."""
EXAMPLES = """examples:
  instdiff-agent dataset train outputs/street --val 0.2 --epochs 100
  instdiff-agent dataset train outputs/street --val 0.2 --with ultralytics --model yolo11n-seg --pretrained"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `train`."""
    from agent.dataset.export.records import ExportOptions
    from agent.dataset.trainers.training import TrainerOptions

    parser.description = HELP
    parser.epilog = EXAMPLES
    parser.add_argument("folder", metavar="FOLDER", type=input_folder, help="what make made")
    place = "where it goes (default: FOLDER/trained-torchvision, FOLDER/trained-ultralytics)"
    parser.add_argument("--out", type=output_folder, metavar="FOLDER", help=place)
    add_options(parser, TrainerOptions)
    add_options(parser, ExportOptions, only=set(ExportOptions.model_fields) - {"link"})  # nobody edits these pictures


def run(args: argparse.Namespace) -> tuple[dict, int]:
    """Train on a dataset; what comes out is written beside the weights."""
    from agent.dataset.export.records import ExportOptions
    from agent.dataset.trainers.training import TrainerOptions, train_on

    options = parse_values(TrainerOptions, given_values(TrainerOptions, vars(args)))
    export = parse_values(ExportOptions, given_values(ExportOptions, vars(args)))
    out = args.out or args.folder / f"trained-{options.package}"
    return train_on(Folder(args.folder), out, options, export), DONE
