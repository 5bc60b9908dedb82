"""`TwoStageDetector`: a pass over the whole picture proposes places, and a close look at each says what is there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch

from instdiff.model.crop_classifier import CropClassifier, CropPredictions, shift_boxes
from instdiff.model.detector import (
    SURE_OF_COLOUR,
    DenseDetector,
    DetectionTensors,
    Predictions,
    mean_of_mirrored,
    mix_masks,
    pairwise_iou,
    suppress,
)

PROPOSED_SCORE = 0.1  # cells that are less sure of anything propose no place
MAX_PROPOSALS = 24
SAME_PROPOSAL_IOU = 0.7
IN_PLACE_IOU = 0.5
CLOSE_LOOK_SHARE = 0.6  # of the mean of what both stages say, as logits
LOWEST_CLOSE = 1e-6
LOWEST_DENSE = 1e-4  # probabilities are no lower in that mean


class Places(NamedTuple):
    """What is in n places of a picture: those that were asked about, in their order, then those that were proposed."""

    boxes: torch.Tensor  # (n, 4) xyxy as fractions: of the thing that is there
    scores: torch.Tensor  # (n, categories) 0..1
    colours: torch.Tensor  # (n, colours) 0..1, their sum is 1
    textures: torch.Tensor  # (n, textures) likewise
    shapes: torch.Tensor  # (n, P) weights of the prototypes
    prototypes: torch.Tensor  # (P, h, w)

    def choose(self, places: torch.Tensor, labels: torch.Tensor) -> DetectionTensors:
        """The chosen places (m,), each with a label (m,)."""
        boxes = self.boxes[places]
        certainty, colour = self.colours[places].max(dim=1)
        return DetectionTensors(
            boxes,
            self.scores[places, labels],
            labels,
            colour.masked_fill(certainty < SURE_OF_COLOUR, -1),
            self.textures[places].argmax(dim=1),
            mix_masks(self.shapes[places], self.prototypes, boxes) > 0,
        )

    def things(self, score_threshold: float) -> DetectionTensors:
        """What scores at least so much, best first, each thing once."""
        scores, labels = self.scores.max(dim=1)
        best = suppress(self.boxes, scores, labels, score_threshold)
        return self.choose(best, labels[best])


class TwoStageDetector:
    """A `DenseDetector` whose places are looked at again by a `CropClassifier` of the same categories.

    Args:
        mirrored: look at mirror images too, and take the mean: twice the time, and surer.
    """

    def __init__(self, dense: DenseDetector, crops: CropClassifier, mirrored: bool = True):
        self.dense = dense.eval()
        self.crops = crops.eval()
        self.mirrored = mirrored

    @torch.inference_mode()
    def look(
        self, images: torch.Tensor, pictures: Sequence[torch.Tensor], asked: Sequence[torch.Tensor]
    ) -> list[Places]:
        """What is on each of B pictures.

        Args:
            images: (B, 3, S, S) in -1..1, at the size that the dense detector is trained on.
            pictures: the same, (3, H, W) each, at their own size: crops are cut from these.
            asked: (q, 4) boxes on each picture, xyxy as fractions, that are looked at whatever the first stage says.
        """
        predictions = self.dense(images)
        if self.mirrored:
            predictions = mean_of_mirrored(predictions, self.dense(images.flip(-1)), images.shape[-1])
        predictions = predictions._replace(boxes=predictions.boxes.clamp(0, 1), logits=predictions.logits.sigmoid())
        cells = [Predictions(*values) for values in zip(*predictions, strict=True)]
        boxes = [torch.cat([own, propose(picture)]) for own, picture in zip(asked, cells, strict=True)]
        close = self._classify(pictures, boxes)
        return [combine(*values) for values in zip(boxes, close, cells, strict=True)]

    def _classify(self, pictures: Sequence[torch.Tensor], boxes: Sequence[torch.Tensor]) -> list[CropPredictions]:
        """What the close look says of the boxes of each picture; all crops go through the network together."""
        crops = torch.cat(
            [
                self.crops.cut(picture[None], own, own.new_zeros(len(own), dtype=torch.long))
                for picture, own in zip(pictures, boxes, strict=True)
            ]
        ).contiguous(memory_format=torch.channels_last)
        predictions = self.crops(crops)
        if self.mirrored:
            predictions = mean_of_mirrored_crops(predictions, self.crops(crops.flip(-1)))
        counts = [len(own) for own in boxes]
        return [CropPredictions(*own) for own in zip(*(part.split(counts) for part in predictions), strict=True)]


def propose(cells: Predictions) -> torch.Tensor:
    """Boxes (n, 4) of the places where anything may be, surest first, each place once; ``logits`` are scores 0..1."""
    scores = cells.logits.amax(dim=-1)
    sides = cells.boxes[:, 2:] - cells.boxes[:, :2]
    likely = ((scores >= PROPOSED_SCORE) & (sides > 1e-2).all(dim=-1)).nonzero()[:, 0]
    best = likely[scores[likely].argsort(descending=True)[: 8 * MAX_PROPOSALS]]
    same = pairwise_iou(cells.boxes[best], cells.boxes[best]) > SAME_PROPOSAL_IOU
    alive = torch.ones(len(best), dtype=torch.bool, device=best.device)
    for index in range(len(best)):
        if alive[index]:
            alive[index + 1 :] &= ~same[index, index + 1 :]
    return cells.boxes[best[alive][:MAX_PROPOSALS]]


def mean_of_mirrored_crops(predictions: CropPredictions, of_mirrored: CropPredictions) -> CropPredictions:
    """The mean of what is said of crops and of their mirror images."""
    x0, y0, x1, y1 = of_mirrored.offsets.unbind(dim=1)
    of_mirrored = of_mirrored._replace(offsets=torch.stack([-x1, y0, -x0, y1], dim=1))
    return CropPredictions(*((own + other) / 2 for own, other in zip(predictions, of_mirrored, strict=True)))


def combine(boxes: torch.Tensor, close: CropPredictions, cells: Predictions) -> Places:
    """What both stages say of the boxes (n, 4) of one picture.

    Args:
        close: of these boxes.
        cells: of the first stage on this picture, with scores 0..1 as ``logits``.
    """
    shifted = shift_boxes(boxes, close.offsets)
    ious = pairwise_iou(shifted, cells.boxes)  # (n, N)
    there = (ious >= IN_PLACE_IOU).to(cells.logits.dtype)
    dense_scores = [(cells.logits * row[:, None])[row > 0].amax(dim=0, keepdim=True) for row in there if row.any()]
    close_scores = close.logits.softmax(dim=1)[:, :-1]
    seen = close_scores.new_zeros(close_scores.shape)
    seen[there.any(dim=1)] = torch.cat([seen[:0], *dense_scores])
    logits = CLOSE_LOOK_SHARE * close_scores.logit(LOWEST_CLOSE) + (1 - CLOSE_LOOK_SHARE) * seen.logit(LOWEST_DENSE)
    nearest = ious.argmax(dim=1)
    return Places(
        shifted,
        logits.sigmoid(),
        close.colours.softmax(dim=1),
        close.textures.softmax(dim=1),
        cells.shapes[nearest],
        cells.prototypes,
    )
