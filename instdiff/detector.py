"""`DenseDetector`: finds the things of the draft world on a picture, in one pass over a grid of cells."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import nn

STRIDES = (8, 16, 32)
MAX_FOUND = 100
SAME_THING_IOU, SAME_PLACE_IOU = 0.5, 0.75  # above these, two boxes are one thing: of one category, of any two


class Found(NamedTuple):
    """What is on one picture, best first: boxes (n, 4) xyxy as fractions, scores (n,) 0..1, labels (n,) category indices."""

    boxes: torch.Tensor
    scores: torch.Tensor
    labels: torch.Tensor


class ConvBlock(nn.Sequential):
    """Convolution 3 x 3, batch norm, ReLU."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1):
        super().__init__(nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU())


class ResidualBlock(nn.Module):
    """Two convolutions, added to the input."""

    def __init__(self, channels: int):
        super().__init__()
        self.first = ConvBlock(channels, channels)
        self.second = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(x + self.norm(self.second(self.first(x))))


class DenseDetector(ModelMixin, ConfigMixin):
    """A small residual network, a feature pyramid at 1/8, 1/16 and 1/32 of the picture, and a head for each level.

    Every cell of every level says for each category if a thing of it is centred there, and how far the sides of its
    box are away.

    Args:
        categories: names of what it finds; a label is an index into them.
        channels: widths at 1/2, 1/4, 1/8, 1/16 and 1/32 of the picture's size.
        head_channels: width of the pyramid.
        image_size: side of the square pictures it is trained on, a multiple of 32.
        score_threshold: what scores less is not reported, unless the caller asks for it.
    """

    @register_to_config
    def __init__(
        self,
        categories: tuple[str, ...] = ("thing",),
        channels: tuple[int, int, int, int, int] = (24, 48, 64, 128, 160),
        head_channels: int = 64,
        image_size: int = 256,
        score_threshold: float = 0.4,
    ):
        super().__init__()
        half, quarter, *levels = channels
        self.stem = nn.Sequential(ConvBlock(3, half, 2), ConvBlock(half, quarter, 2), ConvBlock(quarter, quarter))
        widths = [quarter, *levels]
        self.stages = nn.ModuleList(
            nn.Sequential(ConvBlock(before, after, 2), ResidualBlock(after), ResidualBlock(after))
            for before, after in zip(widths, levels, strict=False)
        )
        self.lateral = nn.ModuleList(nn.Conv2d(width, head_channels, 1) for width in levels)
        outputs = len(categories) + 4
        self.heads = nn.ModuleList(
            nn.Sequential(ConvBlock(head_channels, head_channels), nn.Conv2d(head_channels, outputs, 1)) for _ in levels
        )
        for head in self.heads:
            nn.init.normal_(head[-1].weight, std=0.01)
            nn.init.zeros_(head[-1].bias)
            nn.init.constant_(head[-1].bias[4:], -4.6)  # scores start at 1%: nearly all cells are empty

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Pictures (B, 3, S, S) in -1..1 -> logits (B, N, categories), boxes (B, N, 4) xyxy as fractions, not cut at 0 and 1."""
        x = self.stem(images)
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        merged, outputs = None, []
        for feature, lateral, head in reversed(list(zip(features, self.lateral, self.heads, strict=True))):
            side = lateral(feature)
            merged = side if merged is None else side + F.interpolate(merged, scale_factor=2.0)
            outputs.append(head(merged).flatten(2).transpose(1, 2))  # (B, cells, 4 + categories)
        output = torch.cat(outputs[::-1], dim=1)  # (B, N, 4 + categories), finest level first
        centres, strides = cells(images.shape[-1], images.device)
        away = output[..., :4].clamp(max=5).exp() * 2 * strides[:, None] / images.shape[-1]
        boxes = torch.cat([centres - away[..., :2], centres + away[..., 2:]], dim=-1)
        return output[..., 4:], boxes

    @torch.no_grad()
    def detect(self, images: torch.Tensor, score_threshold: float | None = None) -> list[Found]:
        """What is on each picture (B, 3, S, S) in -1..1, at most 100 things; the threshold defaults to the config's."""
        threshold = self.config.score_threshold if score_threshold is None else score_threshold
        logits, boxes = self(images)
        return [suppress(Found(b.clamp(0, 1), *s.max(dim=-1)), threshold) for s, b in zip(logits.sigmoid(), boxes, strict=True)]


def cells(size: int, device: torch.device | None = None) -> tuple[torch.Tensor, torch.Tensor]:
    """Centres (N, 2) of all cells, x y as fractions of the picture, and their strides (N,) in pixels; finest level first."""
    centres, strides = [], []
    for stride in STRIDES:
        line = (torch.arange(size // stride, device=device) + 0.5) * stride / size
        y, x = torch.meshgrid(line, line, indexing="ij")
        centres.append(torch.stack([x, y], dim=-1).flatten(0, 1))
        strides.append(torch.full((len(line) ** 2,), float(stride), device=device))
    return torch.cat(centres), torch.cat(strides)


def pairwise_iou(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """IoU of every box of ``a`` (..., n, 4) with every box of ``b`` (..., m, 4), xyxy -> (..., n, m)."""
    a, b = a.unsqueeze(-2), b.unsqueeze(-3)
    shared = (torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2])).clamp(min=0).prod(dim=-1)
    areas = [(box[..., 2:] - box[..., :2]).clamp(min=0).prod(dim=-1) for box in (a, b)]
    return shared / (areas[0] + areas[1] - shared).clamp(min=1e-9)


def suppress(found: Found, score_threshold: float) -> Found:
    """Keep the best of boxes that show the same thing (greedy non-maximum suppression), best first."""
    sides = found.boxes[:, 2:] - found.boxes[:, :2]
    kept = ((found.scores >= score_threshold) & (sides > 1e-3).all(dim=-1)).nonzero()[:, 0]
    kept = kept[found.scores[kept].argsort(descending=True)[: 4 * MAX_FOUND]]
    boxes, scores, labels = (values[kept] for values in found)
    limit = torch.where(labels[:, None] == labels[None], SAME_THING_IOU, SAME_PLACE_IOU)
    same = pairwise_iou(boxes, boxes) > limit
    alive = torch.ones(len(kept), dtype=torch.bool, device=boxes.device)
    for index in range(len(kept)):
        if alive[index]:
            alive[index + 1 :] &= ~same[index, index + 1 :]
    return Found(*(values[alive][:MAX_FOUND] for values in (boxes, scores, labels)))
