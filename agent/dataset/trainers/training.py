"""Detectors of other packages learn from a dataset's export, and are scored on its validation split."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from agent.dataset.export.records import ExportOptions, Records, read_records
from agent.dataset.folder import Folder
from agent.runs import write_json
from instdiff.cli import Flag
from instdiff.errors import BadInput
from instdiff.values import Value

RESULTS = "results.json"
OPTIONS = "options.json"
LEAST_EPOCHS = 10
LEAST_AP50 = 0.05  # of the validation split: a training that teaches less says nothing about a dataset
Package = Literal["torchvision", "ultralytics"]


class TrainerOptions(Value):
    """What is trained, and for how long."""

    package: Annotated[Package, Flag(name="with")] = Field(
        default="torchvision",
        description="(default: torchvision)",
    )
    model: Annotated[str, Flag("NAME")] = Field(
        default="",
        description="a detection model of that package (default: fasterrcnn_mobilenet_v3_large_320_fpn, yolo11n)",
    )
    pretrained: Annotated[bool, Flag()] = Field(
        default=False, description="begin with weights that the package fetches; else from nothing"
    )
    epochs: Annotated[int, Flag("N")] = Field(default=50, ge=1, description="times that each picture is seen (50)")
    batch: Annotated[int, Flag("N")] = Field(default=8, ge=1, description="pictures a step (8)")
    seed: Annotated[int, Flag("N")] = Field(default=0, ge=0, description="of first weights and order (0)")


class Outcome(Value):
    """What a training reached.

    Attributes:
        figures: on the validation split, 0..1: ``ap`` and ``ap50`` at least; None where the split holds none such.
        weights: the file of the model.
    """

    figures: dict[str, float | None]
    steps: int
    weights: Path


def train_on(folder: Folder, out: Path, options: TrainerOptions, export: ExportOptions) -> dict[str, object]:
    """Export a dataset into ``out``, train on its train split, score on its val split; both lie there afterwards.

    Returns:
        what was trained on what, for how long, and its figures, as in ``results.json``; ``note`` where the training was
        too short to say anything.

    Raises:
        BadInput: the dataset has no validation split, the package no such model, or ``out`` holds another training.
        ServiceError: the package is missing, or cannot fetch its weights.
    """
    from agent.dataset.trainers import with_torchvision, with_ultralytics

    trainer = with_torchvision if options.package == "torchvision" else with_ultralytics
    with redirect_stdout(sys.stderr):  # on which the packages say what they do
        trainer.check(options)
        records = _split_records(folder, export)
        _begin(out, options)
        outcome = trainer.train(records, out, options)
    about = {"with": options.package, "model": options.model or trainer.MODEL, "pretrained": options.pretrained}
    pictures = {f"{split} pictures": records.number_in(split) for split in ("train", "val")}
    length = {"epochs": options.epochs, "steps": outcome.steps, "seed": options.seed}
    figures = {name: None if value is None else round(value, 4) for name, value in outcome.figures.items()}
    result: dict[str, object] = {**about, **pictures, "classes": len(records.classes), **length, **figures}
    result["weights"] = str(outcome.weights)
    if options.epochs < LEAST_EPOCHS or (figures["ap50"] or 0) < LEAST_AP50:
        reason = f"too short to say anything: {options.epochs} epochs, AP50 {figures['ap50']}"
        result["note"] = f"{reason}; that takes {LEAST_EPOCHS} epochs and an AP50 of {LEAST_AP50} at least"
    write_json(out / RESULTS, result)
    return result


def _begin(out: Path, options: TrainerOptions) -> None:
    """Write down what is trained, in a folder that holds nothing else than an earlier training."""
    if out.is_dir() and any(out.iterdir()) and not (out / OPTIONS).exists():
        raise BadInput("out", f"{out} holds something else than an earlier training; give another --out")
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / OPTIONS, options.model_dump())


def _split_records(folder: Folder, export: ExportOptions) -> Records:
    records = read_records(folder, export.model_copy(update={"link": True}), {})  # nobody edits them
    if not {"train", "val"} <= set(records.splits):
        cure = "give --val 0.2, say, and make more pictures if there are few"
        raise BadInput("val", f"{folder.path} has no pictures for validation to score on; {cure}")
    if not any(record.labels for record in records.of("val")):
        raise BadInput("val", f"no picture for validation in {folder.path} has a label to score on")
    return records
