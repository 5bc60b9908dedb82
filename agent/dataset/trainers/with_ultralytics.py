"""A YOLO of ultralytics (AGPL-3.0) learns from an export in YOLO's form, as the package trains it."""

from __future__ import annotations

import os
import shutil
from importlib.util import find_spec
from pathlib import Path

from agent.dataset.export.records import Records
from agent.dataset.export.writers import write_yolo, write_yolo_outlines
from agent.dataset.trainers.training import Outcome, TrainerOptions
from instdiff.errors import BadInput, ServiceError

MODEL = "yolo11n"
STRIDE = 32  # its sides of pictures are multiples of this


def check(options: TrainerOptions) -> None:
    """Raise ServiceError if ultralytics is not installed, BadInput if it has no such model."""
    if find_spec("ultralytics") is None:
        raise ServiceError('ultralytics (AGPL-3.0) is not installed; run pip install -e ".[yolo]"')
    _source(options)


def _source(options: TrainerOptions) -> str:
    """The model's description, or its weights: a name of the package, or a file."""
    name = options.model or MODEL
    if Path(name).is_file():
        return name
    from ultralytics.nn.tasks import yaml_model_load

    try:
        yaml_model_load(f"{name}.yaml")
    except FileNotFoundError as error:
        reason = f'ultralytics has no model "{name[:60]}"; name one such as {MODEL} or {MODEL}-seg, or a file'
        raise BadInput("model", reason) from error
    return f"{name}.pt" if options.pretrained else f"{name}.yaml"


def train(records: Records, out: Path, options: TrainerOptions) -> Outcome:
    """Export, train and score; models for segmentation learn outlines."""
    # The package reads these when it is imported: no pip, and no look for a network but for weights.
    os.environ.update({"YOLO_AUTOINSTALL": "false", "YOLO_OFFLINE": "false" if options.pretrained else "true"})
    from ultralytics import YOLO

    try:
        model = YOLO(_source(options))
    except (OSError, RuntimeError) as error:
        raise ServiceError(f"ultralytics cannot load or fetch its weights: {error}") from error
    data = out / "yolo"
    shutil.rmtree(data, ignore_errors=True)
    (write_yolo_outlines if model.task == "segment" else write_yolo)(records, data)
    side = max(records[0].size)
    found = model.train(
        data=str((data / "data.yaml").resolve()),
        epochs=options.epochs,
        batch=options.batch,
        imgsz=-(-side // STRIDE) * STRIDE,
        seed=options.seed,
        project=str(out.resolve()),
        name="run",
        exist_ok=True,
        plots=False,
        verbose=False,
    )
    weights = shutil.copyfile(model.trainer.best, out / "weights.pt")
    steps = options.epochs * -(-records.number_in("train") // options.batch)
    return Outcome(figures={"ap": found.box.map, "ap50": found.box.map50}, steps=steps, weights=weights)
