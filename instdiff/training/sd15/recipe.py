"""How a model is trained: the settings of one training, validated once. Importing this module costs no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from instdiff.values import Fraction, Value

# What must be the same when a training goes on, for its steps to be those of one that was never stopped.
FIXED = ("size", "rate", "warmup", "ema", "drop_caption", "drop_grounding", "category_share", "seed")


class Recipe(Value):
    """One training; the defaults are those of the published one, which ran 64 processes of 8 pictures each."""

    model: Path = Field(
        description="the model to train on from: a folder that python -m instdiff.checkpoint wrote, or any of ours"
    )
    annotations: Path = Field(description="annotations in COCO's format; captions of instances under `caption`")
    images: Path = Field(description="the folder that their file names count from")
    out: Path = Field(description="working folder: log.jsonl, state.pt, and at the end the model")
    convnext: Path | None = Field(
        default=None, description="a ConvNeXt to begin reading masks with, as the published training did"
    )
    steps: int = Field(default=100_000, ge=1, description="steps in all, those before a --resume too")
    batch: int = Field(default=8, ge=1, description="pictures that each process takes at once")
    accumulate: int = Field(default=1, ge=1, description="batches that make one step")
    rate: float = Field(default=5e-5, gt=0, description="learning rate, constant after the warm-up")
    warmup: int = Field(default=5000, ge=0, description="steps in which it rises")
    ema: float = Field(
        default=0.9999, ge=0, lt=1, description="decay of the averaged weights, which the model is made of; 0 is off"
    )
    size: int | None = Field(
        default=None, ge=64, le=4096, description="side of the training pictures in pixels; the model's own"
    )
    drop_caption: Fraction = Field(default=0.5, description="share of pictures without their caption")
    drop_grounding: Fraction = Field(default=0.1, description="share of pictures without their instances")
    category_share: Fraction = Field(
        default=0.5, description="share of instances that are called by their category alone"
    )
    seed: int = Field(default=0, ge=0, lt=2**32, description="of the order of the pictures, and of all that is drawn")
    precision: Literal["no", "bf16", "fp16"] = Field(default="no", description="mixed precision: no, bf16 or fp16")
    gradient_checkpointing: bool = Field(
        default=False, description="compute blocks twice instead of keeping what they computed"
    )
    checkpoint_every: int = Field(default=2000, ge=1, description="steps between two writings of state.pt")
    log_every: int = Field(default=10, ge=1, description="steps between two lines of log.jsonl")
    workers: int = Field(
        default=4, ge=0, le=256, description="processes that read pictures, beside each that trains; 0 reads in there"
    )
    resume: bool = Field(default=False, description="go on from state.pt, if there is one")
