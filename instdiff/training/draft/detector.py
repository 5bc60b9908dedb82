"""Trains the draft detector on composed scenes, spoiled so that it also reads what a small painter paints."""

from __future__ import annotations

import copy
import json
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import nn

from instdiff.model.autoencoder import PatchAutoencoder
from instdiff.model.detector import STRIDES, DenseDetector, Predictions, cells, inside
from instdiff.training.draft.composer import FAVOUR, Composer
from instdiff.training.draft.degrade import degrade, repaint
from instdiff.training.draft.held_out import COLOUR_NAMES, NAMES, TEXTURE_NAMES, HeldOut, Truth, choose_threshold
from instdiff.training.draft.scenes import to_tensor
from instdiff.training.draft.sheets import detector_sheet
from instdiff.training.draft.sprites import load_sprites
from instdiff.training.state import load_state, save_model, save_state

POOL = 2048
RENEWED_SHARE = 0.3  # pictures in memory; a step replaces that share of its batch by new ones
CLEAN = 0.2
REPAINTED = 0.5  # shares of pictures without flaws, and of those that have been through the autoencoder
LONGEST_SIDES = (48, 112, float("inf"))  # pixels: up to there a thing belongs to the level of the same index
MASKED_CELLS = 96  # of how many cells a step the masks are looked at
REACH = 1.25  # strides around a thing's centre in which cells answer for it


class Scenes:
    """Composed pictures with their truth, kept in memory and renewed bit by bit: composing costs more than spoiling."""

    def __init__(self, composer: Composer, autoencoder: PatchAutoencoder, rng: np.random.Generator, size: int = POOL):
        self.composer = composer
        self.autoencoder = autoencoder
        self.rng = rng
        self.entries: list[tuple[torch.Tensor, Truth]] = []
        self.size = size
        self.oldest = 0
        self.renew(64)

    def renew(self, count: int) -> None:
        """Compose ``count`` pictures, which take the place of the oldest once the pool is full."""
        composites = [self.composer.compose(self.rng) for _ in range(count)]
        images = to_tensor([composite.image for composite in composites])
        chosen = torch.from_numpy(self.rng.random(count) < REPAINTED)
        if chosen.any():
            images[chosen] = repaint(images[chosen], self.autoencoder, self.rng)
        for image, composite in zip(((images + 1) * 127.5).round().byte(), composites, strict=True):
            entry = (image, Truth.of(composite))
            if len(self.entries) < self.size:
                self.entries.append(entry)
            else:
                self.entries[self.oldest] = entry
                self.oldest = (self.oldest + 1) % self.size

    def batch(self, size: int) -> tuple[torch.Tensor, list[Truth]]:
        """Pictures (B, 3, S, S) in -1..1, and what is on each."""
        # The pool grows by whole batches at first, so that no picture is seen too often.
        self.renew(size if len(self.entries) < self.size else max(round(RENEWED_SHARE * size), 1))
        images = []
        truths = []
        for index in self.rng.integers(len(self.entries), size=size):
            image, truth = self.entries[index]
            image = image.float() / 127.5 - 1
            if self.rng.random() < 0.5:
                image = image.flip(-1)
                truth = truth.mirrored()
            images.append(image if self.rng.random() < CLEAN else degrade(image, self.rng))
            truths.append(truth)
        return torch.stack(images), truths


def assign(boxes: torch.Tensor, image_size: int) -> torch.Tensor:
    """Which of the things with ``boxes`` (n, 4) each cell answers for: (N,) indices, -1 for none.

    A thing belongs to the level that fits its longer side. There, the cells near its centre answer for it, but at
    least the one nearest to it. Where two things claim a cell, the smaller has it.
    """
    centres, strides = cells(image_size)
    if not len(boxes):
        return torch.full((len(centres),), -1)
    sides = (boxes[:, 2:] - boxes[:, :2]) * image_size  # (n, 2) pixels
    level = torch.bucketize(sides.amax(dim=1), torch.tensor(LONGEST_SIDES[:-1]))
    at_level = strides[:, None] == torch.tensor(STRIDES)[level]  # (N, n)
    away = (centres[:, None] - (boxes[:, :2] + boxes[:, 2:]) / 2).abs() * image_size  # (N, n, 2)
    near = (away < torch.minimum(REACH * strides[:, None, None], sides / 2)).all(dim=-1)
    distance = away.sum(dim=-1).masked_fill(~at_level, torch.inf)
    near |= distance == distance.amin(dim=0)
    areas = sides.prod(dim=1).expand(len(centres), -1).masked_fill(~(near & at_level), torch.inf)
    smallest, owner = areas.min(dim=1)
    return owner.masked_fill(smallest == torch.inf, -1)


def losses(model: DenseDetector, images: torch.Tensor, truths: list[Truth]) -> torch.Tensor:
    """Quality focal loss of the scores, whose target is the better the better the box fits, GIoU loss of the boxes, and
    cross-entropies of colours, textures and masks."""
    predicted = model(images)
    owners = torch.stack([assign(truth.boxes, images.shape[-1]) for truth in truths])  # (B, N)
    picture, cell = (owners >= 0).nonzero(as_tuple=True)
    firsts = torch.tensor([0, *(len(truth.boxes) for truth in truths)]).cumsum(0)[picture]
    owner = firsts + owners[picture, cell]
    truth = Truth(*(torch.cat(values) for values in zip(*truths, strict=True)))
    iou, giou = overlaps(predicted.boxes[picture, cell], truth.boxes[owner])
    target = torch.zeros_like(predicted.logits, dtype=torch.float32)
    target[picture, cell, truth.labels[owner]] = 0.5 + 0.5 * iou.detach()
    error = F.binary_cross_entropy_with_logits(predicted.logits, target, reduction="none")
    focal = (error * (predicted.logits.sigmoid() - target).abs().square()).sum()
    answering = max(len(owner), 1)
    coloured = F.cross_entropy(predicted.colours[picture, cell], truth.colours[owner], ignore_index=-1, reduction="sum")
    textured = F.cross_entropy(predicted.textures[picture, cell], truth.textures[owner], reduction="sum")
    looks = 0.5 * (coloured + textured) / answering
    return (focal + (1 - giou).sum()) / answering + looks + mask_loss(predicted, truth, picture, cell, owner)


def mask_loss(
    predicted: Predictions, truth: Truth, picture: torch.Tensor, cell: torch.Tensor, owner: torch.Tensor
) -> torch.Tensor:
    """Mean cross-entropy of the masks inside the true boxes, at some of the cells that answer for things."""
    some = torch.randperm(len(owner))[:MASKED_CELLS]
    picture = picture[some]
    cell = cell[some]
    owner = owner[some]
    masks = truth.masks[owner].float()
    boxes = truth.boxes[owner]
    logits = torch.einsum("np,nphw->nhw", predicted.shapes[picture, cell], predicted.prototypes[picture])
    error = F.binary_cross_entropy_with_logits(logits, masks, reduction="none") * inside(boxes, *masks.shape[-2:])
    area = (boxes[:, 2:] - boxes[:, :2]).prod(dim=1) * masks[0].numel() if len(some) else boxes.new_ones(0)
    return (error.sum(dim=(1, 2)) / area.clamp(min=1)).sum() / max(len(some), 1)


def overlaps(a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """IoU and generalised IoU (n,) of boxes (n, 4), pair by pair."""
    area_a, area_b = ((box[:, 2:] - box[:, :2]).prod(dim=1) for box in (a, b))
    shared = (torch.minimum(a[:, 2:], b[:, 2:]) - torch.maximum(a[:, :2], b[:, :2])).clamp(min=0).prod(dim=1)
    hull = (torch.maximum(a[:, 2:], b[:, 2:]) - torch.minimum(a[:, :2], b[:, :2])).prod(dim=1)
    union = area_a + area_b - shared
    iou = shared / union
    return iou, iou - (hull - union) / hull


def train(
    sprites: Path,
    autoencoder: Path,
    out: Path,
    minutes: float,
    cooldown_minutes: float,
    batch_size: int,
    rate: float,
    resume: bool,
    judge: bool = False,
) -> None:
    """Train for ``minutes``, the last ``cooldown_minutes`` of them with a falling learning rate; checkpoints land in
    ``out``.

    The schedule is warm-up, constant, then linear cool-down (it need not know how long the whole training lasts), so a
    training can be stopped and resumed at will and be finished by a last slice with a cool-down. The end of a slice
    chooses the score threshold. ``judge`` trains the second detector, of other widths, from other scenes and another
    seed: the one that scores benchmarks and is kept out of the loop. A detector without a training state, perhaps of
    other categories, such as the bundled one, is taken over where the shapes of its weights fit.
    """
    seed = 500 if judge else 0
    torch.manual_seed(seed)
    widths = {"channels": (16, 48, 96, 128, 128), "head_channels": 80} if judge else {}
    model = DenseDetector(tuple(NAMES), tuple(COLOUR_NAMES), tuple(TEXTURE_NAMES), **widths).to(
        memory_format=torch.channels_last
    )
    average = copy.deepcopy(model).requires_grad_(False)
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.02)
    out.mkdir(parents=True, exist_ok=True)
    step = load(out, model, average, optimizer) if resume else 0
    if resume and not step and (out / "detector").exists():
        for part in (model, average):
            take_over(part, load_file(out / "detector" / "diffusion_pytorch_model.safetensors"))
    drawings = load_sprites(sprites)
    passed = PatchAutoencoder.from_pretrained(autoencoder)
    held_out = HeldOut(Composer(drawings), passed, mirrored=not judge)  # as the detector of the loop looks
    scenes = Scenes(Composer(drawings, favour=FAVOUR), passed, np.random.default_rng([1000 + step, seed]))

    start = time.monotonic()
    saved = time.monotonic()
    first = step
    running = []
    while (elapsed := (time.monotonic() - start) / 60) < minutes:
        fall = min((minutes - elapsed) / cooldown_minutes, 1.0) if cooldown_minutes else 1.0
        for group in optimizer.param_groups:
            group["lr"] = rate * min((step + 1) / 200, 1.0) * fall
        step += 1
        running.append(learn(model, average, optimizer, *scenes.batch(batch_size), step))
        if step % 100 == 0:
            pace = (step - first) / (time.monotonic() - start)
            line = {
                "step": step,
                "minutes": round(elapsed, 1),
                "loss": round(float(np.mean(running[-100:])), 4),
                "steps_per_s": round(pace, 3),
            }
            write_log(out, line | (held_out.check(average) if step % 500 == 0 else {}))
        if time.monotonic() - saved > 240:
            save(out, model, average, optimizer, step, held_out)
            saved = time.monotonic()
    average.register_to_config(score_threshold=choose_threshold(average, held_out))
    write_log(out, {"step": step, "score_threshold": average.config.score_threshold} | held_out.check(average))
    save(out, model, average, optimizer, step, held_out)


def learn(
    model: DenseDetector,
    average: DenseDetector,
    optimizer: torch.optim.Optimizer,
    images: torch.Tensor,
    truths: list[Truth],
    step: int,
) -> float:
    """One step on pictures (B, 3, S, S) in -1..1, counted from 1; the average follows. Returns the loss."""
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = losses(model, images.contiguous(memory_format=torch.channels_last), truths)
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 5.0)
    optimizer.step()
    follow(average, model, min(0.998, (1 + step) / (10 + step)))
    return loss.item()


@torch.no_grad()
def follow(average: DenseDetector, model: DenseDetector, decay: float) -> None:
    """Move the average, batch statistics included, a little towards the model."""
    theirs = dict(model.state_dict())
    for name, value in average.state_dict().items():
        value.lerp_(theirs[name], 1 - decay) if value.is_floating_point() else value.copy_(theirs[name])


def take_over(model: DenseDetector, weights: dict[str, torch.Tensor]) -> None:
    """Copy those weights that fit."""
    shapes = {name: value.shape for name, value in model.state_dict().items()}
    fitting = {name: value.float() for name, value in weights.items() if shapes.get(name) == value.shape}
    model.load_state_dict(fitting, strict=False)


def write_log(out: Path, line: dict) -> None:
    print(json.dumps(line), flush=True)
    with (out / "log.jsonl").open("a") as log:
        log.write(json.dumps(line) + "\n")


def load(out: Path, model: DenseDetector, average: DenseDetector, optimizer: torch.optim.Optimizer) -> int:
    """Read the training state back, if there is one; returns the step it was saved at, else 0."""
    state = load_state(out)
    if state is None:
        return 0
    for part, name in ((model, "model"), (average, "average"), (optimizer, "optimizer")):
        part.load_state_dict(state[name])
    return state["step"]


def save(
    out: Path,
    model: DenseDetector,
    average: DenseDetector,
    optimizer: torch.optim.Optimizer,
    step: int,
    held_out: HeldOut,
) -> None:
    """The training state, the averaged model in half precision as `from_pretrained` reads it, and what it finds."""
    state = {
        "model": model.state_dict(),
        "average": average.state_dict(),
        "optimizer": optimizer.state_dict(),
        "step": step,
    }
    save_state(out, state, step)
    save_model(copy.deepcopy(average).half(), out / "detector")
    detector_sheet(average, held_out.pictures["clean"], out / f"samples-{step:08d}.jpg")
