"""Composed pictures that no detector trains on, what is on them as tensors, and how well a detector does on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from instdiff.model.autoencoder import PatchAutoencoder
from instdiff.model.detector import DenseDetector, DetectionTensors, pairwise_iou
from instdiff.training.draft.labelled_pictures import IGNORED, Things
from instdiff.training.draft.scene_records import record_scene
from instdiff.training.draft.spoil import repaint, spoiled
from instdiff.training.draft.stream import stack_scenes

if TYPE_CHECKING:
    from instdiff.training.draft.composer import Composer

HELD_OUT_SEED = 9_000_000
LOWEST_SCORE = 0.05  # what is looked at when precision and recall are measured
HIT_IOU = 0.5
IN_REGION = 0.5
PART = 20  # pictures at a time


class MatchedDetections(NamedTuple):
    """All detections on the held-out pictures, and how well hits were described."""

    scores: torch.Tensor  # (n,)
    labels: torch.Tensor  # (n,)
    hits: torch.Tensor  # (n,) bool
    looks: dict[str, float]


class ScoredPictures:
    """Pictures that no training sees, of one or several kinds.

    Args:
        pictures: (N, 3, S, S) in -1..1, by their kind.
        truths: what is on each of them, of whichever kind. What is found in a region to ignore counts neither way.
    """

    def __init__(self, pictures: Mapping[str, torch.Tensor], truths: Sequence[Things]):
        self.pictures = pictures
        self.truths = truths

    @property
    def labels(self) -> torch.Tensor:
        """(n,) of all things."""
        labels = torch.cat([truth.labels for truth in self.truths])
        return labels[labels >= 0]

    def check(self, model: DenseDetector) -> dict[str, float]:
        """How well a detector does on either kind of pictures.

        Returns:
            AP50 (mean over categories), recall and precision at IoU 0.5 and the config's threshold, and how well what
            was hit is described: mean mask IoU, and shares of right colours and textures.
        """
        results: dict[str, float] = {}
        for kind, matched in self.match(model).items():
            best_first = matched.scores.argsort(descending=True)
            hits = matched.hits[best_first]
            ap = [average_precision(hits[matched.labels[best_first] == label], n) for label, n in counts(self.labels)]
            recall, precision = self.rates(matched, model.config.score_threshold)
            numbers = {"ap50": float(np.mean(ap)), "recall": recall, "precision": precision, **matched.looks}
            results |= {f"{kind}_{name}": round(value, 4) for name, value in numbers.items()}
        return results

    def match(self, model: DenseDetector) -> dict[str, MatchedDetections]:
        """What a detector finds on either kind of pictures, held against the truth."""
        model.eval()
        matched = {}
        for kind, pictures in self.pictures.items():
            detections = []
            for part in pictures.split(PART):
                on_device = model.detect(part.to(model.device), LOWEST_SCORE)
                detections += [DetectionTensors(*(values.cpu() for values in picture)) for picture in on_device]
            matched[kind] = self.match_detections(detections)
        return matched

    def rates(self, matched: MatchedDetections, score_threshold: float) -> tuple[float, float]:
        """Recall and precision of what scores at least the threshold."""
        sure = matched.scores >= score_threshold
        right = int((matched.hits & sure).sum())
        return right / len(self.labels), right / max(int(sure.sum()), 1)

    def match_detections(self, detections: list[DetectionTensors]) -> MatchedDetections:
        """Compare each picture's detections with the truth; a hit is the first on a thing with its label at IoU 0.5."""
        hits = []
        ignored: list[bool] = []
        mask_ious: list[float] = []
        colours: list[bool] = []
        textures: list[bool] = []
        for picture, truth in zip(detections, self.truths, strict=True):
            ious = pairwise_iou(picture.boxes, truth.boxes) * (picture.labels[:, None] == truth.labels)
            for index, row in enumerate(ious):  # best score first
                best = int(row.argmax()) if len(row) else 0
                hits.append(bool(len(row) and row[best] >= HIT_IOU))
                ignored.append(not hits[-1] and _is_ignored(picture.boxes[index], picture.labels[index], truth))
                if not hits[-1]:
                    continue
                ious[:, best] = 0
                mask_ious.append(mask_iou(picture.masks[index], truth.masks[best]))
                textures.append(bool(picture.textures[index] == truth.textures[best]))
                if truth.colours[best] >= 0:
                    colours.append(bool(picture.colours[index] == truth.colours[best]))
        described: dict[str, Sequence[float]] = {"mask_iou": mask_ious, "colour": colours, "texture": textures}
        looks = {name: float(np.mean(values)) if values else 0.0 for name, values in described.items()}
        scores = torch.cat([picture.scores for picture in detections])
        labels = torch.cat([picture.labels for picture in detections])
        count = ~torch.tensor(ignored, dtype=torch.bool)
        return MatchedDetections(scores[count], labels[count], torch.tensor(hits, dtype=torch.bool)[count], looks)

    def choose_threshold(self, model: DenseDetector) -> float:
        """The score threshold with the best F1 on clean and spoiled pictures together."""
        matched = self.match(model).values()
        f1: dict[float, float] = {}
        for threshold in np.arange(0.2, 0.75, 0.025).round(3).tolist():
            rates = [self.rates(kind, threshold) for kind in matched]
            f1[threshold] = sum(2 * recall * precision / max(recall + precision, 1e-9) for recall, precision in rates)
        return max(f1, key=lambda threshold: f1[threshold])


class HeldOutPictures(ScoredPictures):
    """Composed pictures, clean and spoiled."""

    def __init__(self, composer: Composer, autoencoder: PatchAutoencoder, count: int = 240):
        rng = np.random.default_rng(HELD_OUT_SEED)
        composed = stack_scenes([record_scene(composer.compose(rng)) for _ in range(count)])
        generator = torch.Generator().manual_seed(HELD_OUT_SEED)
        changed = composed.images.clone()
        changed[::2] = torch.cat([repaint(part, autoencoder, generator) for part in changed[::2].split(PART)])
        changed = torch.cat([spoiled(part, generator) for part in changed.split(PART)])
        super().__init__({"clean": composed.images, "spoiled": changed}, composed.things())


def _is_ignored(box: torch.Tensor, label: torch.Tensor, truth: Things) -> bool:
    """True if half of a box (4,) lies in a region to ignore of its class, as COCO counts it."""
    regions = truth.boxes[truth.labels == IGNORED - label]
    sides = (torch.minimum(box[2:], regions[:, 2:]) - torch.maximum(box[:2], regions[:, :2])).clamp(min=0)
    return bool((sides.prod(dim=-1) >= IN_REGION * (box[2:] - box[:2]).prod()).any())


def mask_iou(mask: torch.Tensor, other_mask: torch.Tensor) -> float:
    """IoU of two bool masks of one shape."""
    return float((mask & other_mask).sum() / (mask | other_mask).sum().clamp(min=1))


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
