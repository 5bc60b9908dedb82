"""Trains the draft detector on composed scenes, spoiled so that it also reads what a small painter paints."""

from __future__ import annotations

import copy
from abc import abstractmethod
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import nn

from instdiff.model.autoencoder import PatchAutoencoder
from instdiff.model.detector import STRIDES, DenseDetector, Predictions, box_overlaps, cells, inside
from instdiff.training.draft.composer import FAVOUR, Composer
from instdiff.training.draft.degrade import degrade, repaint
from instdiff.training.draft.held_out import COLOUR_NAMES, NAMES, TEXTURE_NAMES, HeldOutPictures, Truth
from instdiff.training.draft.scenes import to_tensor
from instdiff.training.draft.sheets import detector_sheet
from instdiff.training.draft.sprites import load_sprites
from instdiff.training.loop import Task, seeded_weights
from instdiff.training.state import save_model

POOL = 2048  # pictures in memory
FIRST_PICTURES = 64
RENEWED_SHARE = 0.3  # a step replaces that share of its batch by new pictures
CLEAN = 0.2  # share of pictures without flaws
REPAINTED = 0.5  # share of those that have been through the autoencoder
LONGEST_SIDES = (48, 112, float("inf"))  # pixels: up to there a thing belongs to the level of the same index
MASKED_CELLS = 96  # of how many cells a step the masks are looked at
REACH = 1.25  # strides around a thing's centre in which cells answer for it
WEIGHT_DECAY = 0.02
CLIP_NORM = 5.0
JUDGE_SEED = 500
JUDGE_CHANNELS = (16, 48, 96, 128, 128)
JUDGE_HEAD_CHANNELS = 80

Examples = list[tuple[torch.Tensor, Truth]]  # pictures (3, S, S) uint8
Indices = tuple[torch.Tensor, torch.Tensor, torch.Tensor]  # (n,) of picture, cell, and the thing that it answers for
DetectorBatch = tuple[torch.Tensor, list[Truth]]  # pictures (B, 3, S, S) in -1..1, and what is on them


def spoiled_batch(examples: Examples, size: int, rng: np.random.Generator) -> DetectorBatch:
    """A batch of examples, half of them mirrored, most of them with flaws."""
    images = []
    truths = []
    for index in rng.integers(len(examples), size=size):
        pixels, truth = examples[index]
        image = pixels.float() / 127.5 - 1
        if rng.random() < 0.5:
            image = image.flip(-1)
            truth = truth.mirrored()
        images.append(image if rng.random() < CLEAN else degrade(image, rng))
        truths.append(truth)
    return torch.stack(images), truths


class ScenePool:
    """Composed pictures with their truth, kept in memory and renewed bit by bit: composing costs more than spoiling."""

    def __init__(self, composer: Composer, autoencoder: PatchAutoencoder, size: int = POOL):
        self.composer = composer
        self.autoencoder = autoencoder
        self.entries: Examples = []
        self.size = size
        self.oldest = 0

    def renew(self, count: int, rng: np.random.Generator) -> None:
        """Compose ``count`` pictures, which take the place of the oldest once the pool is full."""
        composites = [self.composer.compose(rng) for _ in range(count)]
        images = to_tensor([composite.image for composite in composites])
        chosen = torch.from_numpy(rng.random(count) < REPAINTED)
        if chosen.any():
            images[chosen] = repaint(images[chosen], self.autoencoder, rng)
        for image, composite in zip(((images + 1) * 127.5).round().byte(), composites, strict=True):
            entry = (image, Truth.of(composite))
            if len(self.entries) < self.size:
                self.entries.append(entry)
            else:
                self.entries[self.oldest] = entry
                self.oldest = (self.oldest + 1) % self.size

    def batch(self, size: int, rng: np.random.Generator) -> DetectorBatch:
        """A batch of the pool's pictures, some of which are new."""
        if not self.entries:
            self.renew(FIRST_PICTURES, rng)
        # The pool grows by whole batches at first, so that no picture is seen too often.
        self.renew(size if len(self.entries) < self.size else max(round(RENEWED_SHARE * size), 1), rng)
        return spoiled_batch(self.entries, size, rng)


def assign(boxes: torch.Tensor, image_size: int) -> torch.Tensor:
    """Which of the things with ``boxes`` (n, 4) each cell answers for: (N,) indices, -1 for none.

    A thing belongs to the level that fits its longer side. There, the cells near its centre answer for it, but at
    least the one nearest to it. Where two things claim a cell, the smaller has it.
    """
    centres, strides = cells(image_size, boxes.device)
    if not len(boxes):
        return torch.full((len(centres),), -1, device=boxes.device)
    sides = (boxes[:, 2:] - boxes[:, :2]) * image_size  # (n, 2) pixels
    level = torch.bucketize(sides.amax(dim=1), torch.tensor(LONGEST_SIDES[:-1], device=boxes.device))
    at_level = strides[:, None] == torch.tensor(STRIDES, device=boxes.device)[level]  # (N, n)
    away = (centres[:, None] - (boxes[:, :2] + boxes[:, 2:]) / 2).abs() * image_size  # (N, n, 2)
    near = (away < torch.minimum(REACH * strides[:, None, None], sides / 2)).all(dim=-1)
    distance = away.sum(dim=-1).masked_fill(~at_level, torch.inf)
    near |= distance == distance.amin(dim=0)
    areas = sides.prod(dim=1).expand(len(centres), -1).masked_fill(~(near & at_level), torch.inf)
    smallest, owner = areas.min(dim=1)
    return owner.masked_fill(smallest == torch.inf, -1)


def detection_loss(predicted: Predictions, truths: list[Truth], size: int, generator: torch.Generator) -> torch.Tensor:
    """Quality focal loss of scores (their target: how well the box fits), GIoU loss, cross-entropies of the rest."""
    owners = torch.stack([assign(truth.boxes, size) for truth in truths])  # (B, N)
    picture, cell = (owners >= 0).nonzero(as_tuple=True)
    counts = [0, *(len(truth.boxes) for truth in truths)]
    firsts = torch.tensor(counts, device=owners.device).cumsum(0)[picture]
    owner = firsts + owners[picture, cell]
    truth = Truth(*(torch.cat(values) for values in zip(*truths, strict=True)))
    iou, giou = box_overlaps(predicted.boxes[picture, cell], truth.boxes[owner])
    target = torch.zeros_like(predicted.logits, dtype=torch.float32)
    target[picture, cell, truth.labels[owner]] = 0.5 + 0.5 * iou.detach()
    error = F.binary_cross_entropy_with_logits(predicted.logits, target, reduction="none")
    focal = (error * (predicted.logits.sigmoid() - target).abs().square()).sum()
    answering = max(len(owner), 1)
    coloured = F.cross_entropy(predicted.colours[picture, cell], truth.colours[owner], ignore_index=-1, reduction="sum")
    textured = F.cross_entropy(predicted.textures[picture, cell], truth.textures[owner], reduction="sum")
    looks = 0.5 * (coloured + textured) / answering
    masks = mask_loss(predicted, truth, (picture, cell, owner), generator)
    return (focal + (1 - giou).sum()) / answering + looks + masks


def mask_loss(predicted: Predictions, truth: Truth, answering: Indices, generator: torch.Generator) -> torch.Tensor:
    """Mean cross-entropy of the masks inside the true boxes, at some of the cells that answer for things."""
    chosen = torch.randperm(len(answering[0]), generator=generator)[:MASKED_CELLS]
    picture, cell, owner = (indices[chosen.to(indices.device)] for indices in answering)
    masks = truth.masks[owner].float()
    boxes = truth.boxes[owner]
    logits = torch.einsum("np,nphw->nhw", predicted.shapes[picture, cell], predicted.prototypes[picture])
    error = F.binary_cross_entropy_with_logits(logits, masks, reduction="none") * inside(boxes, *masks.shape[-2:])
    area = (boxes[:, 2:] - boxes[:, :2]).prod(dim=1) * masks[0].numel() if len(chosen) else boxes.new_ones(0)
    return (error.sum(dim=(1, 2)) / area.clamp(min=1)).sum() / max(len(chosen), 1)


def make_detector(seed: int, judge: bool = False) -> DenseDetector:
    """A detector of the catalogue's things that has learned nothing yet; the judge has other widths."""
    names = tuple(NAMES), tuple(COLOUR_NAMES), tuple(TEXTURE_NAMES)
    with seeded_weights(seed):
        if judge:
            model = DenseDetector(*names, channels=JUDGE_CHANNELS, head_channels=JUDGE_HEAD_CHANNELS)
        else:
            model = DenseDetector(*names)
    return model.to(memory_format=torch.channels_last)


class DetectorTask(Task[DetectorBatch]):
    """A detector learns from whatever pictures ``draw`` gives; the end of the training chooses its score threshold."""

    def __init__(self, model: DenseDetector, held_out: HeldOutPictures, batch_size: int):
        self.model: DenseDetector = model
        self.held_out = held_out
        self.batch_size = batch_size

    @abstractmethod
    def draw(self, rng: np.random.Generator) -> DetectorBatch:
        """The next pictures, on the CPU."""

    def optimizer(self, rate: float) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.model.parameters(), lr=rate, weight_decay=WEIGHT_DECAY)

    def batch(self, step: int, rng: np.random.Generator) -> DetectorBatch:
        images, truths = self.draw(rng)
        device = self.model.device
        moved = [Truth(*(values.to(device) for values in truth)) for truth in truths]
        return images.to(device).contiguous(memory_format=torch.channels_last), moved

    def losses(self, model: nn.Module, batch: DetectorBatch, generator: torch.Generator) -> dict[str, torch.Tensor]:
        images, truths = batch
        return {"loss": detection_loss(model(images), truths, images.shape[-1], generator)}

    def finish(self) -> dict[str, float]:
        threshold = self.held_out.choose_threshold(self.model)
        self.model.register_to_config(score_threshold=threshold)
        return {"score_threshold": threshold, **self.held_out.check(self.model)}


class ComposedDetectorTask(DetectorTask):
    """The bundled detectors, which learn from composed scenes.

    Args:
        start: folder of a detector, perhaps of other categories, such as the bundled one. Where there is no state, it
            is taken over where the shapes of its weights fit.
        judge: train the second detector, of other widths, from other scenes and another seed: the one that scores
            benchmarks and is kept out of the loop.
    """

    def __init__(self, sprites: Path, autoencoder: Path, start: Path | None, batch_size: int, judge: bool = False):
        drawings = load_sprites(sprites)
        trained = PatchAutoencoder.from_pretrained(autoencoder)
        held_out = HeldOutPictures(Composer(drawings), trained, mirrored=not judge)  # as the detector of the loop looks
        super().__init__(make_detector(JUDGE_SEED if judge else 0, judge), held_out, batch_size)
        self.start = start
        self.pool = ScenePool(Composer(drawings, favour=FAVOUR), trained)

    def begin(self) -> None:
        if self.start and (path := self.start / "diffusion_pytorch_model.safetensors").exists():
            take_over(self.model, load_file(path))

    def draw(self, rng: np.random.Generator) -> DetectorBatch:
        return self.pool.batch(self.batch_size, rng)

    def check(self) -> dict[str, float]:
        return self.held_out.check(self.model)

    def save(self, folder: Path) -> None:
        save_model(copy.deepcopy(self.model).half(), folder / "detector")

    def sheet(self, path: Path) -> None:
        detector_sheet(self.model, self.held_out.pictures["clean"], path)


def take_over(model: DenseDetector, weights: dict[str, torch.Tensor]) -> None:
    """Copy those weights that fit."""
    shapes = {name: value.shape for name, value in model.state_dict().items()}
    fitting = {name: value.float() for name, value in weights.items() if shapes.get(name) == value.shape}
    model.load_state_dict(fitting, strict=False)
