"""`DenseDetector`: finds the things of the draft world, their shapes and colours, in one pass over a grid of cells."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import nn

STRIDES = (8, 16, 32)
MAX_FOUND = 100
SURE_OF_COLOUR = 0.4  # a probability
SAME_THING_IOU = 0.5
SAME_PLACE_IOU = 0.75  # above these, two boxes are one thing: of one category, of any two


class Predictions(NamedTuple):
    """What the N cells of all levels say of B pictures of side S."""

    logits: torch.Tensor  # (B, N, categories)
    boxes: torch.Tensor  # (B, N, 4) xyxy as fractions, not cut at 0 and 1
    colours: torch.Tensor  # (B, N, colours) logits
    textures: torch.Tensor  # (B, N, textures) logits
    shapes: torch.Tensor  # (B, N, P) weights of the prototypes
    prototypes: torch.Tensor  # (B, P, S / 4, S / 4): a weighted sum of them is a mask's logit


class DetectionTensors(NamedTuple):
    """What is on one picture, best first."""

    boxes: torch.Tensor  # (n, 4) xyxy as fractions
    scores: torch.Tensor  # (n,) 0..1
    labels: torch.Tensor  # (n,) category indices
    colours: torch.Tensor  # (n,) colour indices, -1 where it is not sure
    textures: torch.Tensor  # (n,) texture indices
    masks: torch.Tensor  # (n, S / 4, S / 4) bool


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

    Every cell of every level says for each category if a thing of it is centred there, how far the sides of its box
    are away, what it looks like, and how to mix its mask from prototypes of the whole picture (as YOLACT does).

    Args:
        categories: names of what it finds; a label is an index into them.
        colours, textures: what it tells apart in things.
        channels: widths at 1/2, 1/4, 1/8, 1/16 and 1/32 of the picture's size.
        head_channels: width of the pyramid.
        num_prototypes: how many prototypes masks are mixed from.
        image_size: side of the square pictures it is trained on, a multiple of 32.
        score_threshold: what scores less is not reported, unless the caller asks for it.
    """

    @register_to_config
    def __init__(
        self,
        categories: tuple[str, ...] = ("thing",),
        colours: tuple[str, ...] = ("any",),
        textures: tuple[str, ...] = ("plain",),
        channels: tuple[int, int, int, int, int] = (24, 48, 64, 128, 160),
        head_channels: int = 64,
        num_prototypes: int = 12,
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
        self.parts = [4, num_prototypes, len(colours), len(textures), len(categories)]
        outputs = sum(self.parts)
        self.heads = nn.ModuleList(
            nn.Sequential(ConvBlock(head_channels, head_channels), nn.Conv2d(head_channels, outputs, 1)) for _ in levels
        )
        for head in self.heads:
            nn.init.normal_(head[-1].weight, std=0.01)
            nn.init.zeros_(head[-1].bias)
            nn.init.constant_(head[-1].bias[-len(categories) :], -4.6)  # scores start at 1%: nearly all cells are empty
        self.fine = nn.Sequential(ConvBlock(head_channels + quarter, 32), nn.Conv2d(32, num_prototypes, 1))

    def forward(self, images: torch.Tensor) -> Predictions:
        """Pictures (B, 3, S, S) in -1..1 -> what all cells say, those of the finest level first."""
        x = quarter = self.stem(images)
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        merged = None
        outputs = []
        for feature, lateral, head in reversed(list(zip(features, self.lateral, self.heads, strict=True))):
            side = lateral(feature)
            merged = side if merged is None else side + F.interpolate(merged, scale_factor=2.0)
            outputs.append(head(merged).flatten(2).transpose(1, 2))  # (B, cells, sum of parts)
        output = torch.cat(outputs[::-1], dim=1)  # (B, N, sum of parts), finest level first
        away, shapes, colours, textures, logits = output.split(self.parts, dim=-1)
        centres, strides = cells(images.shape[-1], images.device)
        away = away.clamp(max=5).exp() * 2 * strides[:, None] / images.shape[-1]
        boxes = torch.cat([centres - away[..., :2], centres + away[..., 2:]], dim=-1)
        prototypes = self.fine(torch.cat([quarter, F.interpolate(merged, scale_factor=2.0)], dim=1))
        return Predictions(logits, boxes, colours, textures, shapes, prototypes)

    @torch.no_grad()
    def detect(self, images: torch.Tensor, score_threshold: float | None = None) -> list[DetectionTensors]:
        """What is on each picture (B, 3, S, S) in -1..1, at most 100 things; the threshold defaults to the config's."""
        threshold = self.config.score_threshold if score_threshold is None else score_threshold
        detections = []
        for logits, boxes, colours, textures, shapes, prototypes in zip(*self(images), strict=True):
            boxes = boxes.clamp(0, 1)
            scores, labels = logits.sigmoid().max(dim=-1)
            best = suppress(boxes, scores, labels, threshold)
            masks = mix_masks(shapes[best], prototypes, boxes[best]) > 0
            certainty, colour = colours[best].softmax(dim=-1).max(dim=-1)
            colour = colour.masked_fill(certainty < SURE_OF_COLOUR, -1)
            texture = textures[best].argmax(dim=-1)
            detections.append(DetectionTensors(boxes[best], scores[best], labels[best], colour, texture, masks))
        return detections


def mix_masks(shapes: torch.Tensor, prototypes: torch.Tensor, boxes: torch.Tensor) -> torch.Tensor:
    """Logits (n, h, w) of the masks with prototype weights (n, P); minus infinity outside their boxes (n, 4)."""
    height, width = prototypes.shape[-2:]
    masks = (shapes @ prototypes.flatten(1)).view(-1, height, width)
    return masks.masked_fill(~inside(boxes, height, width), -torch.inf)


def inside(boxes: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """(n, height, width) bool: the pixels whose centre lies in each box (n, 4), xyxy as fractions."""
    x = (torch.arange(width, device=boxes.device) + 0.5) / width
    y = (torch.arange(height, device=boxes.device) + 0.5) / height
    x0, y0, x1, y1 = boxes[:, :, None].unbind(dim=1)  # (n, 1) each
    return ((x0 <= x) & (x < x1))[:, None, :] & ((y0 <= y) & (y < y1))[:, :, None]


def cells(size: int, device: torch.device | None = None) -> tuple[torch.Tensor, torch.Tensor]:
    """Centres (N, 2) of all cells, x y as fractions of the picture, and strides (N,) in pixels; finest level first."""
    centres = []
    strides = []
    for stride in STRIDES:
        line = (torch.arange(size // stride, device=device) + 0.5) * stride / size
        y, x = torch.meshgrid(line, line, indexing="ij")
        centres.append(torch.stack([x, y], dim=-1).flatten(0, 1))
        strides.append(torch.full((len(line) ** 2,), float(stride), device=device))
    return torch.cat(centres), torch.cat(strides)


def box_overlaps(boxes: torch.Tensor, other_boxes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """IoU and generalised IoU (...) of xyxy boxes (..., 4), pair by pair; shapes are broadcast.

    By hand, as torchvision's would need torchvision.
    """
    shared = torch.minimum(boxes[..., 2:], other_boxes[..., 2:]) - torch.maximum(boxes[..., :2], other_boxes[..., :2])
    hull = torch.maximum(boxes[..., 2:], other_boxes[..., 2:]) - torch.minimum(boxes[..., :2], other_boxes[..., :2])
    shared_area, hull_area, *areas = (
        sides.clamp(min=0).prod(dim=-1)
        for sides in (shared, hull, boxes[..., 2:] - boxes[..., :2], other_boxes[..., 2:] - other_boxes[..., :2])
    )
    union = (areas[0] + areas[1] - shared_area).clamp(min=1e-9)
    iou = shared_area / union
    return iou, iou - (hull_area - union) / hull_area.clamp(min=1e-9)


def pairwise_iou(boxes: torch.Tensor, other_boxes: torch.Tensor) -> torch.Tensor:
    """IoU (..., n, m) of every one of n xyxy boxes (..., n, 4) with every one of m (..., m, 4)."""
    return box_overlaps(boxes.unsqueeze(-2), other_boxes.unsqueeze(-3))[0]


def suppress(boxes: torch.Tensor, scores: torch.Tensor, labels: torch.Tensor, score_threshold: float) -> torch.Tensor:
    """Indices (n,) of the best among boxes that show the same thing (greedy non-maximum suppression), best first.

    Args:
        boxes: (N, 4) xyxy; scores, labels: (N,).
    """
    sides = boxes[:, 2:] - boxes[:, :2]
    sure = ((scores >= score_threshold) & (sides > 1e-3).all(dim=-1)).nonzero()[:, 0]
    best = sure[scores[sure].argsort(descending=True)[: 4 * MAX_FOUND]]
    limit = torch.where(labels[best][:, None] == labels[best][None], SAME_THING_IOU, SAME_PLACE_IOU)
    return best[each_once(pairwise_iou(boxes[best], boxes[best]) > limit)][:MAX_FOUND]


def each_once(same: torch.Tensor) -> torch.Tensor:
    """(n,) bool: what is the same (n, n) as none before it that is kept."""
    kept = torch.ones(len(same), dtype=torch.bool, device=same.device)
    for index in range(len(same)):
        if kept[index]:
            kept[index + 1 :] &= ~same[index, index + 1 :]
    return kept
