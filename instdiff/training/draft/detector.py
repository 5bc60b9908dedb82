"""Trains the draft detector on composed scenes, spoiled so that it also reads what a small painter paints."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from instdiff.model.detector import STRIDES, DenseDetector, Predictions, box_overlaps, cells, inside
from instdiff.training.draft.catalogue import COLOUR_NAMES, NAMES, TEXTURE_NAMES
from instdiff.training.draft.held_out import ScoredPictures
from instdiff.training.draft.labelled_pictures import IGNORED, LabelledPictures, PictureSource
from instdiff.training.draft.sheets import detector_sheet
from instdiff.training.draft.spoil import moved, spoiled
from instdiff.training.draft.start import take_over
from instdiff.training.loop import Task, seeded_weights
from instdiff.training.state import save_model

CLEAN = 0.2  # share of pictures without flaws
LONGEST_SIDES = (48, 112, float("inf"))  # pixels: up to there a thing belongs to the level of the same index
MASKED_CELLS = 4  # of how many cells a picture the masks are looked at
MAX_MASKED_CELLS = 512
REACH = 1.25  # strides around a thing's centre in which cells answer for it
WEIGHT_DECAY = 0.02
CLIP_NORM = 5.0
JUDGE_SEED = 500
JUDGE_CHANNELS = (16, 48, 96, 128, 128)
JUDGE_HEAD_CHANNELS = 80

Indices = tuple[torch.Tensor, torch.Tensor, torch.Tensor]  # (N,) of picture, cell, and the thing that it answers for


def assign(boxes: torch.Tensor, there: torch.Tensor, image_size: int) -> torch.Tensor:
    """Which of the things with ``boxes`` (B, n, 4) each cell answers for: (B, N) indices, -1 for none.

    A thing belongs to the level that fits its longer side. There, the cells near its centre answer for it, but at
    least the one nearest to it. Where two things claim a cell, the smaller has it.

    Args:
        there: (B, n) bool; the others are no things.
    """
    centres, strides = cells(image_size, boxes.device)
    sides = (boxes[..., 2:] - boxes[..., :2]) * image_size  # (B, n, 2) pixels
    level = torch.bucketize(sides.amax(dim=-1), torch.tensor(LONGEST_SIDES[:-1], device=boxes.device))
    stride_of_things = torch.tensor(STRIDES, device=boxes.device)[level]  # (B, n)
    at_level = (strides[:, None] == stride_of_things[:, None]) & there[:, None]  # (B, N, n)
    middles = (boxes[..., :2] + boxes[..., 2:]) / 2
    away = (centres[:, None] - middles[:, None]).abs() * image_size  # (B, N, n, 2)
    near = (away < torch.minimum(REACH * strides[:, None, None], sides[:, None] / 2)).all(dim=-1)
    distance = away.sum(dim=-1).masked_fill(~at_level, torch.inf)
    near |= distance == distance.amin(dim=1, keepdim=True)
    areas = sides.prod(dim=-1)[:, None].expand_as(near).masked_fill(~(near & at_level), torch.inf)
    smallest, owner = areas.min(dim=-1)
    return owner.masked_fill(smallest == torch.inf, -1)


def detection_loss(
    predicted: Predictions, pictures: LabelledPictures, generator: torch.Generator
) -> dict[str, torch.Tensor]:
    """Quality focal loss of scores (their target: how well the box fits), GIoU loss, cross-entropies of the rest.

    In a region to ignore, scores of its class have no loss but where it is the right one: a thing of it may be there.
    """
    predicted = Predictions(*(values.float() for values in predicted))
    owners = assign(pictures.boxes, pictures.labels >= 0, pictures.images.shape[-1])  # (B, N)
    picture, cell = (owners >= 0).nonzero(as_tuple=True)
    thing = owners[picture, cell]
    iou, giou = box_overlaps(predicted.boxes[picture, cell], pictures.boxes[picture, thing])
    target = torch.zeros_like(predicted.logits)
    target[picture, cell, pictures.labels[picture, thing]] = 0.5 + 0.5 * iou.detach()
    error = F.binary_cross_entropy_with_logits(predicted.logits, target, reduction="none")
    focal = error * (predicted.logits.sigmoid() - target).abs().square()
    if (pictures.labels <= IGNORED).any():
        focal = focal.masked_fill(in_ignored(pictures, target.shape[-1]) & (target == 0), 0)
    answering = max(len(thing), 1)
    colours = pictures.colours[picture, thing]
    coloured = F.cross_entropy(predicted.colours[picture, cell], colours, ignore_index=-1, reduction="sum")
    textures = pictures.textures[picture, thing]
    textured = F.cross_entropy(predicted.textures[picture, cell], textures, reduction="sum")
    return {
        "score": focal.sum() / answering,
        "box": (1 - giou).sum() / answering,
        "look": 0.5 * (coloured + textured) / answering,
        "mask": mask_loss(predicted, pictures, (picture, cell, thing), generator),
    }


def in_ignored(pictures: LabelledPictures, classes: int) -> torch.Tensor:
    """Which cells have their centre in a region to ignore of which class: (B, N, classes) bool."""
    centres, _ = cells(pictures.images.shape[-1], pictures.boxes.device)
    boxes = pictures.boxes[:, None]  # (B, 1, n, 4)
    within = ((centres[:, None] >= boxes[..., :2]) & (centres[:, None] < boxes[..., 2:])).all(dim=-1)  # (B, N, n)
    ignored = F.one_hot((IGNORED - pictures.labels).clamp(min=0), classes) * (pictures.labels <= IGNORED)[..., None]
    return within.float() @ ignored.float() > 0


def mask_loss(
    predicted: Predictions, pictures: LabelledPictures, answering: Indices, generator: torch.Generator
) -> torch.Tensor:
    """Mean cross-entropy of the masks inside the true boxes, at some of the cells that answer for things."""
    most = min(MASKED_CELLS * len(pictures.images), MAX_MASKED_CELLS)
    chosen = torch.randperm(len(answering[0]), generator=generator)[:most]
    picture, cell, thing = (indices[chosen.to(indices.device)] for indices in answering)
    masks = pictures.masks[picture, thing].float()
    logits = torch.einsum("np,nphw->nhw", predicted.shapes[picture, cell], predicted.prototypes[picture])
    area = inside(pictures.boxes[picture, thing], *masks.shape[-2:])
    error = F.binary_cross_entropy_with_logits(logits, masks, reduction="none") * area
    means = error.sum(dim=(1, 2)) / area.sum(dim=(1, 2)).clamp(min=1)
    return means.sum() / max(len(chosen), 1)


def make_detector(seed: int, judge: bool = False, categories: Sequence[str] = NAMES) -> DenseDetector:
    """A detector of these things that has learned nothing yet; the judge has other widths."""
    names = tuple(categories), tuple(COLOUR_NAMES), tuple(TEXTURE_NAMES)
    with seeded_weights(seed):
        if judge:
            model = DenseDetector(*names, channels=JUDGE_CHANNELS, head_channels=JUDGE_HEAD_CHANNELS)
        else:
            model = DenseDetector(*names)
    return model.to(memory_format=torch.channels_last)


class DetectorTask(Task[LabelledPictures]):
    """A detector learns from the pictures of a source, moved and spoiled; the end chooses its score threshold.

    Args:
        start: folder of a detector to begin with, where there is no state, perhaps of other categories: weights are
            taken over where their shapes fit.
    """

    def __init__(
        self,
        model: DenseDetector,
        source: PictureSource,
        held_out: ScoredPictures,
        batch_size: int,
        start: Path | None = None,
    ):
        self.model: DenseDetector = model
        self.source = source
        self.held_out = held_out
        self.batch_size = batch_size
        self.start = start

    def begin(self) -> None:
        if self.start:
            take_over(self.model, self.start)

    def optimizer(self, rate: float) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.model.parameters(), lr=rate, weight_decay=WEIGHT_DECAY)

    @torch.no_grad()
    def batch(self, step: int, rng: np.random.Generator) -> LabelledPictures:
        generator = torch.Generator(self.model.device).manual_seed(int(rng.integers(2**63)))
        pictures = moved(self.source.batch(self.batch_size, step, generator), generator)
        clean = round(CLEAN * self.batch_size)
        images = torch.cat([pictures.images[:clean], spoiled(pictures.images[clean:], generator)])
        return pictures._replace(images=images.contiguous(memory_format=torch.channels_last))

    def losses(self, model: nn.Module, batch: LabelledPictures, generator: torch.Generator) -> dict[str, torch.Tensor]:
        return detection_loss(model(batch.images), batch, generator)

    def figures(self) -> dict[str, float]:
        return self.source.figures()

    def check(self) -> dict[str, float]:
        return self.held_out.check(self.model)

    def finish(self) -> dict[str, float]:
        threshold = self.held_out.choose_threshold(self.model)
        self.model.register_to_config(score_threshold=threshold)
        return {"score_threshold": threshold, **self.check()}

    def save(self, folder: Path) -> None:
        save_model(copy.deepcopy(self.model).half(), folder / "detector")

    def sheet(self, path: Path) -> None:
        detector_sheet(self.model, self.held_out.pictures["clean"], path)
