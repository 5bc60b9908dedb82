"""`CropClassifier`: looks at one place of a picture from close by, and says what is there and where it ends.

The second stage of a two-stage detector (R-CNN, Girshick et al., CVPR 2014): every place is seen at the same size,
so that a thing that fills the picture and one of twenty pixels are told apart by the same few layers.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from diffusers import ConfigMixin
from diffusers.configuration_utils import register_to_config
from torch import nn

from instdiff.model.detector import ConvBlock, DenseDetector, ResidualBlock
from instdiff.model.int8_weights import Int8Model

PLACE_STRIDE = 16  # of the features that places are read from
PLACE_CHANNELS = 32
SMALLEST_LEVEL = 2  # a crop is taken from the picture, its half or its quarter, whichever is nearest in size


class CropPredictions(NamedTuple):
    """What is in N places."""

    logits: torch.Tensor  # (N, categories + 1); the last one stands for nothing, or for less than half of a thing
    colours: torch.Tensor  # (N, colours) logits
    textures: torch.Tensor  # (N, textures) logits
    offsets: torch.Tensor  # (N, 4): how far each side of the thing (xyxy) is from the place's, in the place's own sides


class CropClassifier(Int8Model, ConfigMixin):
    """A small residual network over a place with some of what is around it, stretched to a square.

    Args:
        categories: names of what it tells apart; a label is an index into them, and one more label is nothing.
        colours, textures: what it tells of a thing.
        channels: widths at 1/2, 1/4, 1/8, 1/16 and 1/32 of the crop's size; those of a `DenseDetector` can begin with
            its weights.
        crop_size: side of the square that it is given, a multiple of 32.
        context: side of what is cut out, in sides of the place.
        score_threshold, found_score: of a `TwoStageDetector` with this one: what scores less is not reported; where a
            thing is asked for in its place, it is there from this score on, which 1 % of other categories reach.
    """

    @register_to_config
    def __init__(
        self,
        categories: tuple[str, ...] = ("thing",),
        colours: tuple[str, ...] = ("any",),
        textures: tuple[str, ...] = ("plain",),
        channels: tuple[int, int, int, int, int] = (24, 48, 64, 128, 160),
        crop_size: int = 96,
        context: float = 1.3,
        score_threshold: float = 0.5,
        found_score: float = 0.2,
    ):
        super().__init__()
        half, quarter, eighth, sixteenth, last = channels
        self.body = nn.Sequential(
            ConvBlock(3, half, 2),
            ConvBlock(half, quarter, 2),
            ConvBlock(quarter, quarter),
            ConvBlock(quarter, eighth, 2),
            ResidualBlock(eighth),
            ResidualBlock(eighth),
            ConvBlock(eighth, sixteenth, 2),
            ResidualBlock(sixteenth),
            ResidualBlock(sixteenth),
        )
        self.tail = nn.Sequential(ConvBlock(sixteenth, last, 2), ResidualBlock(last))
        self.parts = [len(categories) + 1, len(colours), len(textures)]
        self.look = nn.Linear(2 * (sixteenth + last), sum(self.parts))
        self.squeeze = nn.Sequential(nn.Conv2d(sixteenth, PLACE_CHANNELS, 1), nn.ReLU())
        self.place = nn.Linear(PLACE_CHANNELS * (crop_size // PLACE_STRIDE) ** 2, 4)
        nn.init.zeros_(self.place.weight)
        nn.init.zeros_(self.place.bias)

    def forward(self, crops: torch.Tensor) -> CropPredictions:
        """Crops (N, 3, crop_size, crop_size) in -1..1, as `cut` makes them."""
        features = self.body(crops)
        levels = (features, self.tail(features))
        pooled = torch.cat([pool for x in levels for pool in (x.mean(dim=(2, 3)), x.amax(dim=(2, 3)))], dim=1)
        logits, colours, textures = self.look(pooled).split(self.parts, dim=1)
        return CropPredictions(logits, colours, textures, self.place(self.squeeze(features).flatten(1)))

    def begin_with(self, detector: DenseDetector) -> None:
        """Take over the layers of a detector with the same channels."""
        stages = [layer for stage in detector.stages for layer in stage]
        layers = [*detector.stem, *stages[: len(self.body) - len(detector.stem) + len(self.tail)]]
        for own, theirs in zip([*self.body, *self.tail], layers, strict=True):
            own.load_state_dict(theirs.state_dict())

    def cut(self, images: torch.Tensor, boxes: torch.Tensor, pictures: torch.Tensor) -> torch.Tensor:
        """What `forward` is given of these places: (N, 3, crop_size, crop_size).

        Args:
            images: (B, 3, H, W) in -1..1, of any size.
            boxes: (N, 4) xyxy as fractions of the picture.
            pictures: (N,) which picture each box is on.
        """
        return cut_crops(images, boxes, pictures, self.config.crop_size, self.config.context)


def cut_crops(
    images: torch.Tensor, boxes: torch.Tensor, pictures: torch.Tensor, size: int, context: float
) -> torch.Tensor:
    """Places with ``context`` times their sides, stretched to squares: (N, 3, size, size).

    What lies outside of the picture shows its edge. Large places are taken from a smaller picture, so that fine detail
    does not alias. Arguments as for `CropClassifier.cut`.
    """
    centres = boxes[:, :2] + boxes[:, 2:] - 1  # in -1..1
    sides = (boxes[:, 2:] - boxes[:, :2]) * context
    line = (torch.arange(size, device=images.device) + 0.5) * 2 / size - 1
    x = centres[:, 0, None] + line * sides[:, 0, None]
    y = centres[:, 1, None] + line * sides[:, 1, None]
    grids = torch.stack([x[:, None].expand(-1, size, -1), y[:, :, None].expand(-1, -1, size)], dim=-1)
    shrinkage = sides.prod(dim=1).sqrt() * (images.shape[-1] * images.shape[-2]) ** 0.5 / size
    levels = shrinkage.clamp(min=1e-3).log2().round().clamp(0, SMALLEST_LEVEL).long()
    crops = images.new_empty(len(boxes), 3, size, size)
    for level in levels.unique().tolist():
        smaller = F.avg_pool2d(images, 2**level) if level else images
        for picture in pictures[levels == level].unique().tolist():
            own = ((levels == level) & (pictures == picture)).nonzero()[:, 0]
            rows = grids[own].reshape(1, -1, size, 2).to(images.dtype)  # one below the other: one call for a picture
            cut = F.grid_sample(smaller[picture : picture + 1], rows, padding_mode="border", align_corners=False)
            crops[own] = cut[0].reshape(3, len(own), size, size).transpose(0, 1)
    return crops


def shift_boxes(boxes: torch.Tensor, offsets: torch.Tensor) -> torch.Tensor:
    """Boxes (N, 4) with their sides where the `CropPredictions.offsets` (N, 4) say, cut at 0 and 1."""
    sides = (boxes[:, 2:] - boxes[:, :2]).repeat(1, 2)
    return (boxes + offsets * sides).clamp(0, 1)


def offsets_between(boxes: torch.Tensor, things: torch.Tensor) -> torch.Tensor:
    """The offsets (N, 4) that shift each of the boxes (N, 4) onto its thing (N, 4)."""
    return (things - boxes) / (boxes[:, 2:] - boxes[:, :2]).repeat(1, 2)
