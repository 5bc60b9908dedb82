"""The bundled detectors: they know the things of the draft world, on pictures of the draft painter."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import instdiff
from evaluators.detectors import Detector, DetectorOptions
from evaluators.report import Detection
from instdiff.layout import Box, Mask
from instdiff.world.nouns import class_of

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

    from instdiff.model.detector import DetectionTensors

WEIGHTS = Path(instdiff.__file__).parent / "draft"
FOLDERS = {"draft": "detector", "judge": "judge"}
MIRRORED = {"draft"}  # who looks at the mirror image too: twice the time, and surer
BATCH_SIZE = 16


class DraftDetector(Detector):
    """Reports the things that it is asked for, each with the score that the network gives it, its mask and its looks.

    Args:
        name: ``draft``, the one for the loop, or ``judge``, which scores benchmarks: other widths, trained from another
            seed on other scenes.
        folder: a trained `DenseDetector`; by default the bundled one of that name.
    """

    def __init__(self, name: str = "draft", folder: Path | None = None):
        from instdiff.model.detector import DenseDetector

        self.name = name
        self.model = DenseDetector.from_pretrained(folder or WEIGHTS / FOLDERS[name]).eval()
        self.threshold = self.model.config.score_threshold
        self.found_score = self.threshold
        self.categories = tuple(self.model.config.categories)

    def canonical(self, category: str) -> str | None:
        """The detector's own word for a name, synonym, plural or phrase ("two red sofas": "couch"), or None."""
        return class_of(category, self.categories)

    def detect(self, images: list[Image], asked: list[str], min_score: float | None = None) -> list[list[Detection]]:
        """The asked things on each picture, best first. Pictures of any size; boxes are fractions of it.

        All categories compete for a place, asked for or not: a thing that looks most like a bowl is no cup. What scores
        less than the threshold (by default the model's own) is not reported.
        """
        wanted = {self.canonical(word) for word in asked}
        outputs: list[DetectionTensors] = []
        for first in range(0, len(images), BATCH_SIZE):
            batch = self.tensor(images[first : first + BATCH_SIZE])
            outputs += self.model.detect(batch, min_score, self.name in MIRRORED)
        return [
            [self._detection(output, i) for i, label in enumerate(output.labels) if self.categories[label] in wanted]
            for output in outputs
        ]

    def features(self, images: list[Image]) -> torch.Tensor:
        """What the network makes of each picture, before it looks for things: the means of its three levels, (B, F)."""
        import torch

        with torch.inference_mode():
            x = self.model.stem(self.tensor(images))
            levels = []
            for stage in self.model.stages:
                x = stage(x)
                levels.append(x.mean(dim=(2, 3)))
        return torch.cat(levels, dim=1)

    def _detection(self, output: DetectionTensors, index: int) -> Detection:
        """One of the objects seen on a picture."""
        x0, y0, x1, y1 = output.boxes[index].tolist()
        config = self.model.config
        return Detection(
            category=self.categories[output.labels[index]],
            score=float(output.scores[index]),
            box=Box(x0=x0, y0=y0, x1=x1, y1=y1),
            mask=Mask.from_array(output.masks[index].numpy()),
            colour=config.colours[output.colours[index]] if output.colours[index] >= 0 else "",
            texture=config.textures[output.textures[index]],
        )

    def tensor(self, images: list[Image]) -> torch.Tensor:
        """Pictures -> (B, 3, S, S) in -1..1, stretched to the size that the model is trained on."""
        import numpy as np
        import torch
        from PIL import Image

        size = (self.model.config.image_size,) * 2
        pixels = [np.asarray(image.convert("RGB").resize(size, Image.Resampling.BILINEAR)) for image in images]
        tensor = torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).to(self.model.device, self.model.dtype)
        return tensor / 127.5 - 1


def check(options: DetectorOptions) -> None:
    """The bundled detectors are always there."""


def load(options: DetectorOptions) -> DraftDetector:
    """The bundled detector of this kind."""
    return DraftDetector(options.kind)
