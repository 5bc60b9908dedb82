"""Trains the draft detector on composed scenes, spoiled so that it also reads what a small painter paints."""

from __future__ import annotations

import copy
import json
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from instdiff.autoencoder import PatchAutoencoder
from instdiff.detector import STRIDES, DenseDetector, Found, cells, pairwise_iou
from instdiff.train.catalogue import THINGS
from instdiff.train.compose import Composer
from instdiff.train.degrade import degrade, repaint
from instdiff.train.scenes import to_tensor
from instdiff.train.sprites import load_sprites

HELD_OUT_SEED = 9_000_000
POOL, RENEWED_SHARE = 2048, 0.3  # pictures in memory; a step replaces that share of its batch by new ones
CLEAN, REPAINTED = 0.2, 0.5  # shares of pictures without flaws, and of those that have been through the autoencoder
LONGEST_SIDES = (48, 112, float("inf"))  # pixels: up to there a thing belongs to the level of the same index
LOWEST_SCORE = 0.05  # what is looked at when precision and recall are measured
REACH = 1.25  # strides around a thing's centre in which cells answer for it


class Scenes:
    """Composed pictures with their boxes, kept in memory and renewed bit by bit: composing costs more than spoiling."""

    def __init__(self, composer: Composer, autoencoder: PatchAutoencoder, rng: np.random.Generator, size: int = POOL):
        self.composer, self.autoencoder, self.rng = composer, autoencoder, rng
        self.label = {name: index for index, name in enumerate(THINGS)}
        self.entries: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = []
        self.size, self.oldest = size, 0
        self.renew(64)

    def renew(self, count: int) -> None:
        """Compose ``count`` pictures, which take the place of the oldest once the pool is full."""
        composites = [self.composer.compose(self.rng) for _ in range(count)]
        images = to_tensor([composite.image for composite in composites])
        chosen = torch.from_numpy(self.rng.random(count) < REPAINTED)
        if chosen.any():
            images[chosen] = repaint(images[chosen], self.autoencoder, self.rng)
        for image, composite in zip(((images + 1) * 127.5).round().byte(), composites, strict=True):
            boxes = torch.tensor([one.box.xyxy for one in composite.instances])
            entry = (image, boxes, torch.tensor([self.label[one.category] for one in composite.instances]))
            if len(self.entries) < self.size:
                self.entries.append(entry)
            else:
                self.entries[self.oldest] = entry
                self.oldest = (self.oldest + 1) % self.size

    def batch(self, size: int) -> tuple[torch.Tensor, list[torch.Tensor], list[torch.Tensor]]:
        """Pictures (B, 3, S, S) in -1..1, and for each its boxes (n, 4) as fractions and its labels (n,)."""
        # The pool grows by whole batches at first, so that no picture is seen too often.
        self.renew(size if len(self.entries) < self.size else max(round(RENEWED_SHARE * size), 1))
        images, boxes, labels = [], [], []
        for index in self.rng.integers(len(self.entries), size=size):
            image, box, label = self.entries[index]
            image = image.float() / 127.5 - 1
            if self.rng.random() < 0.5:
                image, box = image.flip(-1), torch.stack([1 - box[:, 2], box[:, 1], 1 - box[:, 0], box[:, 3]], dim=1)
            images.append(image if self.rng.random() < CLEAN else degrade(image, self.rng))
            boxes.append(box)
            labels.append(label)
        return torch.stack(images), boxes, labels


def assign(boxes: torch.Tensor, image_size: int) -> torch.Tensor:
    """Which of the things with ``boxes`` (n, 4) each cell answers for: (N,) indices, -1 for none.

    A thing belongs to the level that fits its longer side. There, the cells near its centre answer for it, but at
    least the one nearest to it. Where two things claim a cell, the smaller has it.
    """
    centres, strides = cells(image_size)
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


def losses(model: DenseDetector, images: torch.Tensor, boxes: list[torch.Tensor], labels: list[torch.Tensor]) -> torch.Tensor:
    """Quality focal loss of the scores, whose target is the better the better the box fits, plus GIoU loss of the boxes."""
    logits, predicted = model(images)
    owners = torch.stack([assign(box, images.shape[-1]) for box in boxes])  # (B, N)
    picture, cell = (owners >= 0).nonzero(as_tuple=True)
    firsts = torch.tensor([0, *(len(box) for box in boxes)]).cumsum(0)[picture]
    owner = firsts + owners[picture, cell]
    iou, giou = overlaps(predicted[picture, cell], torch.cat(boxes)[owner])
    target = torch.zeros_like(logits)
    target[picture, cell, torch.cat(labels)[owner]] = 0.5 + 0.5 * iou.detach()
    error = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    focal = (error * (logits.sigmoid() - target).abs().square()).sum()
    return (focal + (1 - giou).sum()) / len(owner)


def overlaps(a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """IoU and generalised IoU (n,) of boxes (n, 4), pair by pair."""
    area_a, area_b = ((box[:, 2:] - box[:, :2]).prod(dim=1) for box in (a, b))
    shared = (torch.minimum(a[:, 2:], b[:, 2:]) - torch.maximum(a[:, :2], b[:, :2])).clamp(min=0).prod(dim=1)
    hull = (torch.maximum(a[:, 2:], b[:, 2:]) - torch.minimum(a[:, :2], b[:, :2])).prod(dim=1)
    union = area_a + area_b - shared
    iou = shared / union
    return iou, iou - (hull - union) / hull


class HeldOut:
    """Composed pictures that no training sees, clean and spoiled."""

    def __init__(self, composer: Composer, autoencoder: PatchAutoencoder, count: int = 240):
        rng = np.random.default_rng(HELD_OUT_SEED)
        composites = [composer.compose(rng) for _ in range(count)]
        clean = to_tensor([composite.image for composite in composites])
        spoiled = clean.clone()
        spoiled[::2] = torch.cat([repaint(part, autoencoder, rng) for part in clean[::2].split(20)])
        self.pictures = {"clean": clean, "spoiled": torch.stack([degrade(image, rng) for image in spoiled])}
        names = list(THINGS)
        self.boxes = [torch.tensor([one.box.xyxy for one in c.instances]) for c in composites]
        self.labels = [torch.tensor([names.index(one.category) for one in c.instances]) for c in composites]

    def check(self, model: DenseDetector) -> dict[str, float]:
        """AP50 (mean over categories), and recall and precision at IoU 0.5 and the config's threshold, of both kinds of pictures."""
        results = {}
        for kind, (scores, labels, hits) in self.look(model).items():
            truth = torch.cat(self.labels)
            ap = [average_precision(hits[labels == c][scores[labels == c].argsort(descending=True)], n) for c, n in counts(truth)]
            recall, precision = self.rates(scores, hits, model.config.score_threshold)
            results |= {f"{kind}_ap50": float(np.mean(ap)), f"{kind}_recall": recall, f"{kind}_precision": precision}
        return {name: round(value, 4) for name, value in results.items()}

    def look(self, model: DenseDetector) -> dict[str, tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
        """What `judge` says of either kind of pictures."""
        model.eval()
        return {
            kind: self.judge([one for part in pictures.split(20) for one in model.detect(part, LOWEST_SCORE)])
            for kind, pictures in self.pictures.items()
        }

    def rates(self, scores: torch.Tensor, hits: torch.Tensor, score_threshold: float) -> tuple[float, float]:
        """Recall and precision of what scores at least the threshold."""
        sure = scores >= score_threshold
        right = int((hits & sure).sum())
        return right / sum(len(labels) for labels in self.labels), right / max(int(sure.sum()), 1)

    def judge(self, found: list[Found]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Scores, labels and hits (n,) of all that was found; a hit is the first on a thing with its label at IoU >= 0.5."""
        hits = []
        for one, boxes, labels in zip(found, self.boxes, self.labels, strict=True):
            ious = pairwise_iou(one.boxes, boxes) * (one.labels[:, None] == labels)
            for row in ious:  # best score first
                best = int(row.argmax())
                hits.append(bool(row[best] >= 0.5))
                if hits[-1]:
                    ious[:, best] = 0
        return torch.cat([one.scores for one in found]), torch.cat([one.labels for one in found]), torch.tensor(hits, dtype=torch.bool)


def counts(labels: torch.Tensor) -> list[tuple[int, int]]:
    """(label, how often it occurs) of every label that occurs."""
    return [(int(label), int(count)) for label, count in zip(*labels.unique(return_counts=True), strict=True)]


def average_precision(hits: torch.Tensor, total: int) -> float:
    """Area under the precision-recall curve; ``hits`` (n,) bool, best score first, of ``total`` things."""
    if not len(hits):
        return 0.0
    precision = hits.cumsum(0) / torch.arange(1, len(hits) + 1)
    highest = precision.flip(0).cummax(0).values.flip(0)  # at this recall or more
    return float((highest * hits).sum() / total)


def choose_threshold(model: DenseDetector, held_out: HeldOut) -> float:
    """The score threshold with the best F1 on clean and spoiled pictures together."""
    seen = held_out.look(model).values()
    f1 = {}
    for threshold in np.arange(0.2, 0.75, 0.025).round(3).tolist():
        rates = [held_out.rates(scores, hits, threshold) for scores, _, hits in seen]
        f1[threshold] = sum(2 * recall * precision / max(recall + precision, 1e-9) for recall, precision in rates)
    return max(f1, key=f1.get)


def train(
    sprites: Path, autoencoder: Path, out: Path, minutes: float, cooldown_minutes: float, batch_size: int, rate: float, resume: bool
) -> None:
    """Train for ``minutes``, the last ``cooldown_minutes`` of them with a falling learning rate; checkpoints land in ``out``.

    The schedule is warm-up, constant, then linear cool-down (it need not know how long the whole training lasts), so a
    training can be stopped and resumed at will and be finished by a last slice with a cool-down. The end of a slice
    chooses the score threshold.
    """
    torch.manual_seed(0)
    model = DenseDetector(categories=tuple(THINGS)).to(memory_format=torch.channels_last)
    average = copy.deepcopy(model).requires_grad_(False)
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.02)
    out.mkdir(parents=True, exist_ok=True)
    step = load(out, model, average, optimizer) if resume and (out / "state.pt").exists() else 0
    composer, passed = Composer(load_sprites(sprites)), PatchAutoencoder.from_pretrained(autoencoder)
    held_out = HeldOut(composer, passed)
    scenes = Scenes(composer, passed, np.random.default_rng(1000 + step))

    start, saved, first = time.monotonic(), time.monotonic(), step
    running = []
    while (elapsed := (time.monotonic() - start) / 60) < minutes:
        fall = min((minutes - elapsed) / cooldown_minutes, 1.0) if cooldown_minutes else 1.0
        for group in optimizer.param_groups:
            group["lr"] = rate * min((step + 1) / 200, 1.0) * fall
        images, boxes, labels = scenes.batch(batch_size)
        loss = losses(model, images.contiguous(memory_format=torch.channels_last), boxes, labels)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        step += 1
        follow(average, model, min(0.998, (1 + step) / (10 + step)))
        running.append(loss.item())
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
            save(out, model, average, optimizer, step)
            saved = time.monotonic()
    average.register_to_config(score_threshold=choose_threshold(average, held_out))
    write_log(out, {"step": step, "score_threshold": average.config.score_threshold} | held_out.check(average))
    save(out, model, average, optimizer, step)


@torch.no_grad()
def follow(average: DenseDetector, model: DenseDetector, decay: float) -> None:
    """Move the average, batch statistics included, a little towards the model."""
    theirs = dict(model.state_dict())
    for name, value in average.state_dict().items():
        value.lerp_(theirs[name], 1 - decay) if value.is_floating_point() else value.copy_(theirs[name])


def write_log(out: Path, line: dict) -> None:
    print(json.dumps(line), flush=True)
    with (out / "log.jsonl").open("a") as log:
        log.write(json.dumps(line) + "\n")


def load(out: Path, model: DenseDetector, average: DenseDetector, optimizer: torch.optim.Optimizer) -> int:
    """Read the training state back; returns the step it was saved at."""
    state = torch.load(out / "state.pt", weights_only=True)
    for part, name in ((model, "model"), (average, "average"), (optimizer, "optimizer")):
        part.load_state_dict(state[name])
    return state["step"]


def save(out: Path, model: DenseDetector, average: DenseDetector, optimizer: torch.optim.Optimizer, step: int) -> None:
    """The training state, whole or not at all, and the averaged model in half precision as `from_pretrained` reads it."""
    state = {"model": model.state_dict(), "average": average.state_dict(), "optimizer": optimizer.state_dict(), "step": step}
    torch.save(state, out / "state.tmp")
    (out / "state.tmp").replace(out / "state.pt")
    copy.deepcopy(average).half().save_pretrained(out / "detector")
