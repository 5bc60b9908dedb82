"""How a model is trained: the settings of one training, validated once. Importing this module costs no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from instdiff.cli import Flag, input_file, input_folder, output_folder
from instdiff.values import Fraction, Value

# What must be the same when a training goes on, for its steps to be those of one that was never stopped.
FIXED = ("size", "rate", "warmup", "ema", "drop_caption", "drop_grounding", "category_share", "seed")


Folder = Annotated[Path, Flag("PATH", read=input_folder)]
Count = Annotated[int, Flag("N")]
Number = Annotated[float, Flag("N")]
Share = Annotated[Fraction, Flag("N")]


class TrainingRecipe(Value):
    """One training; the defaults are those of the published one, which ran 64 processes of 8 pictures each."""

    model: Folder = Field(description="what to train on from: a folder that instdiff.checkpoint wrote, or any of ours")
    annotations: Annotated[Path, Flag("PATH", read=input_file)] = Field(
        description="annotations in COCO's format; captions of instances under `caption`"
    )
    crowd: Annotated[Literal["auto", "instances", "regions"], Flag()] = Field(
        default="auto",
        description="what annotations with iscrowd are: instances, regions that are left out, or auto: regions, unless "
        "every mask of the file is marked so and none is a polygon, as CVAT writes brushes (auto)",
    )
    images: Folder = Field(description="the folder that their file names count from")
    out: Annotated[Path, Flag("PATH", read=output_folder)] = Field(
        description="working folder: log.jsonl, the state, and at the end the model"
    )
    convnext: Annotated[Path | None, Flag("PATH", read=input_folder)] = Field(
        default=None, description="a ConvNeXt to begin reading masks with, as the published training did"
    )
    steps: Count = Field(default=100_000, ge=1, description="steps in all, those before a --resume too (100000)")
    batch: Count = Field(default=8, ge=1, description="pictures that each process takes at once (8)")
    accumulate: Count = Field(default=1, ge=1, description="batches that make one step (1)")
    rate: Number = Field(default=5e-5, gt=0, description="learning rate, constant after the warm-up (5e-5)")
    warmup: Count = Field(default=5000, ge=0, description="steps in which it rises (5000)")
    ema: Number = Field(
        default=0.9999, ge=0, lt=1, description="decay of the averaged weights that make the model; 0 is off (0.9999)"
    )
    size: Annotated[int | None, Flag("N")] = Field(
        default=None, ge=64, le=4096, description="side of the training pictures in pixels; the model's own"
    )
    drop_caption: Share = Field(default=0.5, description="share of pictures without their caption (0.5)")
    drop_grounding: Share = Field(default=0.1, description="share of pictures without their instances (0.1)")
    category_share: Share = Field(default=0.5, description="share of instances called by their category alone (0.5)")
    seed: Count = Field(default=0, ge=0, lt=2**32, description="of the order of pictures, and of all that is drawn (0)")
    precision: Annotated[Literal["no", "bf16", "fp16"], Flag()] = Field(
        default="no", description="mixed precision (no)"
    )
    device: Annotated[Literal["auto", "cpu"], Flag()] = Field(default="auto", description="where to compute (auto)")
    gradient_checkpointing: Annotated[bool, Flag()] = Field(
        default=False, description="compute blocks twice instead of keeping what they computed"
    )
    checkpoint_every: Count = Field(default=2000, ge=1, description="steps between two writings of the state (2000)")
    log_every: Count = Field(default=10, ge=1, description="steps between two lines of log.jsonl (10)")
    workers: Count = Field(
        default=4, ge=0, le=256, description="processes that read pictures for each that trains; 0 reads in there (4)"
    )
    resume: Annotated[bool, Flag()] = Field(default=False, description="go on from the last state, if there is one")
