"""The options of the draft trainings, validated once. Importing this module costs no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import Field

from instdiff.cli import Flag, input_folder, output_folder
from instdiff.errors import BadInput
from instdiff.values import Value

Stage = Literal[
    "sprites", "encoder", "drawings", "painter", "autoencoder", "decoder", "detector", "judge", "crops",
    "judge-crops", "bundle", "unbundle",
]  # fmt: skip
CHOICES: tuple[Stage, ...] = get_args(Stage)
# What a stage reads under --out, and the stage that writes it.
Need = tuple[str, Stage]
DRAWINGS: Need = ("sprites", "sprites")
ENCODER: Need = ("vae", "encoder")
TOKENIZER: Need = ("tokenizer", "encoder")
PAINTER: Need = ("painter/unet", "painter")
NEEDS: dict[Stage, tuple[Need, ...]] = {
    "encoder": (DRAWINGS,),
    "drawings": (DRAWINGS, ENCODER, TOKENIZER),
    "painter": (DRAWINGS, ENCODER, TOKENIZER),
    "autoencoder": (DRAWINGS, ENCODER),
    "decoder": (DRAWINGS, ENCODER, TOKENIZER, PAINTER),
    "detector": (DRAWINGS, ENCODER),
    "judge": (DRAWINGS, ENCODER),
    "crops": (DRAWINGS, ENCODER),
    "judge-crops": (DRAWINGS, ENCODER),
    "bundle": (TOKENIZER, ENCODER, PAINTER),
}
LIKENESS_NEEDS: tuple[Need, ...] = (("detector/detector", "detector"), ("autoencoder/vae", "autoencoder"))
DETECTORS = ("detector", "judge", "crops", "judge-crops")
# The stages that use an option.
USERS: dict[str, tuple[str, ...]] = {
    "likeness": ("painter", "decoder"),
    "start": ("drawings", "painter", *DETECTORS),
    "second_vae": DETECTORS,
    "workers": ("painter", *DETECTORS),
    "buffer": ("painter", *DETECTORS),
}

Number = Annotated[float, Flag("N")]
Switch = Annotated[bool, Flag()]


class DraftOptions(Value):
    """One stage, and one slice of its training."""

    stage: Annotated[Stage, Flag()] = Field(description="what to do; see below")
    out: Annotated[Path, Flag("PATH", read=output_folder)] = Field(description="working folder")
    minutes: Number = Field(default=10.0, ge=0, description="how long this slice trains (10)")
    cooldown: Number = Field(default=0.0, ge=0, description="minutes at the end with a falling learning rate (0)")
    likeness: Switch = Field(default=False, description="painter and decoder: look at pictures with the detector too")
    resume: Switch = Field(default=False, description="go on from the last checkpoint")
    start: Annotated[Path | None, Flag("PATH", read=input_folder)] = Field(
        default=None,
        description="drawings, painter, detectors and crops: begin with the weights of this folder's models, as far as "
        "they fit, and a new optimizer; with --resume only where there is no checkpoint",
    )
    second_vae: Annotated[Path | None, Flag("PATH", read=input_folder)] = Field(
        default=None,
        description="detector, judge and their crops: folder of another autoencoder, whose flaws they learn to look "
        "past too",
    )
    workers: Annotated[int | None, Flag("N")] = Field(
        default=None,
        ge=1,
        description="painter, detectors and crops: processes that compose scenes (all processors but 2, at least 1)",
    )
    buffer: Annotated[int | None, Flag("N")] = Field(
        default=None,
        ge=1,
        description="painter, detectors and crops: scenes to draw from, up to 0.2 MB each (60000 on a GPU, 6000 "
        "without)",
    )
    batch: Annotated[int | None, Flag("N")] = Field(
        default=None,
        ge=1,
        description="pictures a step (drawings 64, painter and crops 32, autoencoder 8, detectors 16)",
    )
    rate: Annotated[float | None, Flag("N")] = Field(
        default=None,
        gt=0,
        description="learning rate (drawings and crops 2e-3, painter 8e-4, autoencoder 6e-4, detectors 1.5e-3)",
    )
    device: Annotated[Literal["auto", "cpu"], Flag()] = Field(default="auto", description="where to compute (auto)")
    precision: Annotated[Literal["auto", "no", "bf16", "fp16"], Flag()] = Field(
        default="auto", description="mixed precision (auto: bf16 where the hardware has it)"
    )
    target: Annotated[Path, Flag("PATH", read=output_folder)] = Field(
        default=Path(__file__).parents[2] / "draft", description="folder of the bundled models"
    )

    def check_folder(self) -> None:
        """Look whether what the stage reads is there.

        Raises:
            BadInput: it is not, or an option is given that the stage does not use.
        """
        for name, stages in USERS.items():
            if getattr(self, name) and self.stage not in stages:
                users = " and ".join(stages) if len(stages) == 2 else ", ".join(stages)
                raise BadInput(name, f"is nothing that the stage {self.stage} uses; only {users} do")
        for part, stage in NEEDS.get(self.stage, ()) + (LIKENESS_NEEDS if self.likeness else ()):
            if not (self.out / part).exists():
                missing = f"{self.out} has no {part} yet, which the stage {self.stage} reads"
                raise BadInput("out", f"{missing}; run the stage {stage} first")
