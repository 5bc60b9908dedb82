"""Composed pictures that no training of a detector sees, what is on them as tensors, and how well a detector does on
them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F

from instdiff.model.autoencoder import PatchAutoencoder
from instdiff.model.detector import DenseDetector, Found, pairwise_iou
from instdiff.training.draft.catalogue import COLOURS, TEXTURES, THINGS
from instdiff.training.draft.composer import Composer, Composite
from instdiff.training.draft.degrade import degrade, repaint
from instdiff.training.draft.scenes import to_tensor

NAMES = list(THINGS)
COLOUR_NAMES = list(COLOURS)
TEXTURE_NAMES = ["plain", *TEXTURES]
MASK_STRIDE = 4  # pixels of the picture to a pixel of a mask


class Truth(NamedTuple):
    """The n things of a composed picture."""

    boxes: torch.Tensor  # (n, 4) xyxy as fractions
    labels: torch.Tensor  # (n,) indices into the catalogue
    colours: torch.Tensor  # (n,) indices, -1 where none was chosen
    textures: torch.Tensor  # (n,) indices, 0 is plain
    masks: torch.Tensor  # (n, S / 4, S / 4) bool

    @classmethod
    def of(cls, composite: Composite) -> Truth:
        things = composite.instances
        masks = torch.from_numpy(
            np.array([one.mask for one in things], dtype=np.float32).reshape(len(things), *composite.image.shape[:2])
        )
        return cls(
            torch.tensor([one.box.xyxy for one in things]).reshape(-1, 4),
            torch.tensor([NAMES.index(one.category) for one in things], dtype=torch.long),
            torch.tensor([COLOUR_NAMES.index(one.colour) if one.colour else -1 for one in things], dtype=torch.long),
            torch.tensor([TEXTURE_NAMES.index(one.texture or "plain") for one in things], dtype=torch.long),
            F.avg_pool2d(masks[:, None], MASK_STRIDE)[:, 0] >= 0.5,
        )

    def mirrored(self) -> Truth:
        x0, y0, x1, y1 = self.boxes.unbind(dim=1)
        return self._replace(boxes=torch.stack([1 - x1, y0, 1 - x0, y1], dim=1), masks=self.masks.flip(-1))


HELD_OUT_SEED = 9_000_000
LOWEST_SCORE = 0.05  # what is looked at when precision and recall are measured


class Seen(NamedTuple):
    """All that was found on the held-out pictures, and how well hits were described."""

    scores: torch.Tensor  # (n,)
    labels: torch.Tensor  # (n,)
    hits: torch.Tensor  # (n,) bool
    looks: dict[str, float]


class HeldOut:
    """Composed pictures that no training sees, clean and spoiled; ``mirrored`` has detectors look at mirror images too."""

    def __init__(self, composer: Composer, autoencoder: PatchAutoencoder, count: int = 240, mirrored: bool = False):
        self.mirrored = mirrored
        rng = np.random.default_rng(HELD_OUT_SEED)
        composites = [composer.compose(rng) for _ in range(count)]
        clean = to_tensor([composite.image for composite in composites])
        spoiled = clean.clone()
        spoiled[::2] = torch.cat([repaint(part, autoencoder, rng) for part in clean[::2].split(20)])
        self.pictures = {"clean": clean, "spoiled": torch.stack([degrade(image, rng) for image in spoiled])}
        self.truths = [Truth.of(composite) for composite in composites]

    def check(self, model: DenseDetector) -> dict[str, float]:
        """AP50 (mean over categories), recall and precision at IoU 0.5 and the config's threshold, and how well what
        was hit
        is described: mean mask IoU, and shares of right colours and textures."""
        results = {}
        truth = torch.cat([truth.labels for truth in self.truths])
        for kind, seen in self.look(model).items():
            best_first = seen.scores.argsort(descending=True)
            ap = [average_precision(seen.hits[best_first][seen.labels[best_first] == c], n) for c, n in counts(truth)]
            recall, precision = self.rates(seen, model.config.score_threshold)
            numbers = {"ap50": float(np.mean(ap)), "recall": recall, "precision": precision, **seen.looks}
            results |= {f"{kind}_{name}": value for name, value in numbers.items()}
        return {name: round(value, 4) for name, value in results.items()}

    def look(self, model: DenseDetector) -> dict[str, Seen]:
        """What `judge` says of either kind of pictures."""
        model.eval()
        return {
            kind: self.judge(
                [one for part in pictures.split(20) for one in model.detect(part, LOWEST_SCORE, self.mirrored)]
            )
            for kind, pictures in self.pictures.items()
        }

    def rates(self, seen: Seen, score_threshold: float) -> tuple[float, float]:
        """Recall and precision of what scores at least the threshold."""
        sure = seen.scores >= score_threshold
        right = int((seen.hits & sure).sum())
        return right / sum(len(truth.labels) for truth in self.truths), right / max(int(sure.sum()), 1)

    def judge(self, found: list[Found]) -> Seen:
        """Compare with the truth; a hit is the first on a thing with its label at IoU >= 0.5."""
        hits = []
        masks = []
        colours = []
        textures = []
        for one, truth in zip(found, self.truths, strict=True):
            ious = pairwise_iou(one.boxes, truth.boxes) * (one.labels[:, None] == truth.labels)
            for index, row in enumerate(ious):  # best score first
                best = int(row.argmax()) if len(row) else 0
                hits.append(bool(len(row) and row[best] >= 0.5))
                if not hits[-1]:
                    continue
                ious[:, best] = 0
                both = (one.masks[index] & truth.masks[best]).sum()
                either = (one.masks[index] | truth.masks[best]).sum()
                masks.append(float(both / either.clamp(min=1)))
                textures.append(bool(one.textures[index] == truth.textures[best]))
                if truth.colours[best] >= 0:
                    colours.append(bool(one.colours[index] == truth.colours[best]))

        def mean(values):
            return float(np.mean(values)) if values else 0.0

        looks = {"mask_iou": mean(masks), "colour": mean(colours), "texture": mean(textures)}
        scores, labels = (torch.cat([getattr(one, name) for one in found]) for name in ("scores", "labels"))
        return Seen(scores, labels, torch.tensor(hits, dtype=torch.bool), looks)


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
        rates = [held_out.rates(one, threshold) for one in seen]
        f1[threshold] = sum(2 * recall * precision / max(recall + precision, 1e-9) for recall, precision in rates)
    return max(f1, key=f1.get)
