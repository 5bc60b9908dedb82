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
    box_overlaps,
    each_once,
    mix_masks,
    pairwise_iou,
    suppress,
)

PROPOSED_SCORE = 0.05  # cells that are less sure of anything propose no place
MAX_PROPOSALS = 24
SAME_PROPOSAL_IOU = 0.7
IN_PLACE_IOU = 0.5
PROPOSAL_POWER = 0.25  # how much the first stage's score counts in that of a thing


class Places(NamedTuple):
    """What is in n places of a picture: those that were asked about, in their order, then those that were proposed."""

    boxes: torch.Tensor  # (n, 4) xyxy as fractions: of the thing that is there
    scores: torch.Tensor  # (n, categories) 0..1: how sure it is that this thing is there
    clarity: torch.Tensor  # (n,) 0..1: how well the place shows one thing, and it alone
    colours: torch.Tensor  # (n, colours) 0..1, their sum is 1
    textures: torch.Tensor  # (n, textures) likewise
    shapes: torch.Tensor  # (n, P) weights of the prototypes
    prototypes: torch.Tensor  # (P, h, w)

    def choose(self, places: torch.Tensor, labels: torch.Tensor, scores: torch.Tensor) -> DetectionTensors:
        """The chosen places (m,), each with a label (m,) and a score (m,)."""
        boxes = self.boxes[places]
        certainty, colours = self.colours[places].max(dim=1)
        colours = colours.masked_fill(certainty < SURE_OF_COLOUR, -1)
        masks = mix_masks(self.shapes[places], self.prototypes, boxes) > 0
        return DetectionTensors(boxes, scores, labels, colours, self.textures[places].argmax(dim=1), masks)

    def things(self, score_threshold: float) -> DetectionTensors:
        """What scores at least so much, best first, each thing once, under its likeliest name."""
        scores, labels = self.scores.max(dim=1)
        scores = scores * self.clarity
        best = suppress(self.boxes, scores, labels, score_threshold)
        return self.choose(best, labels[best], scores[best])


class TwoStageDetector:
    """A `DenseDetector` whose places are looked at again by a `CropClassifier` of the same categories.

    The names are the second stage's alone: it tells so much more that a mean with the first one's is worse. The boxes
    of places that are asked about are shifted twice (iterative box regression, as in Cascade R-CNN, Cai and
    Vasconcelos, CVPR 2018).
    """

    def __init__(self, dense: DenseDetector, crops: CropClassifier):
        self.dense = dense.eval()
        self.crops = crops.eval()

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
        predictions = predictions._replace(boxes=predictions.boxes.clamp(0, 1), logits=predictions.logits.sigmoid())
        cells = [Predictions(*values) for values in zip(*predictions, strict=True)]
        boxes = [torch.cat([own, propose(picture)]) for own, picture in zip(asked, cells, strict=True)]
        close = self._look_closely(pictures, boxes)
        places = [describe(*values) for values in zip(boxes, close, cells, strict=True)]
        # Where a thing ends that is out of its place is seen from the place that it is in.
        nearer = [own.boxes[: len(first)] for own, first in zip(places, asked, strict=True)]
        again = self._look_closely(pictures, nearer)
        shifted = [shift_boxes(own, said.offsets) for own, said in zip(nearer, again, strict=True)]
        return [
            own._replace(boxes=torch.cat([first, own.boxes[len(first) :]]))
            for own, first in zip(places, shifted, strict=True)
        ]

    def _look_closely(self, pictures: Sequence[torch.Tensor], boxes: Sequence[torch.Tensor]) -> list[CropPredictions]:
        """What the second stage says of the boxes (n, 4) of each picture; all go through it in one pass."""
        crops = [
            self.crops.cut(picture[None], own, own.new_zeros(len(own), dtype=torch.long))
            for picture, own in zip(pictures, boxes, strict=True)
        ]
        said = self.crops(torch.cat(crops).contiguous(memory_format=torch.channels_last))
        parts = (part.split([len(own) for own in boxes]) for part in said)
        return [CropPredictions(*own) for own in zip(*parts, strict=True)]


def propose(cells: Predictions) -> torch.Tensor:
    """Boxes (n, 4) of the places where anything may be, surest first, each place once; ``logits`` are scores 0..1."""
    scores = cells.logits.amax(dim=-1)
    sides = cells.boxes[:, 2:] - cells.boxes[:, :2]
    likely = ((scores >= PROPOSED_SCORE) & (sides > 1e-2).all(dim=-1)).nonzero()[:, 0]
    best = likely[scores[likely].argsort(descending=True)[: 8 * MAX_PROPOSALS]]
    boxes = cells.boxes[best]
    return boxes[each_once(pairwise_iou(boxes, boxes) > SAME_PROPOSAL_IOU)][:MAX_PROPOSALS]


def describe(boxes: torch.Tensor, close: CropPredictions, cells: Predictions) -> Places:
    """What is in the boxes (n, 4) of one picture.

    Args:
        close: what the second stage says of these boxes.
        cells: what the first stage says of the picture, with scores 0..1 as ``logits``.
    """
    things = shift_boxes(boxes, close.offsets)
    ious = pairwise_iou(things, cells.boxes)  # (n, N)
    proposed = torch.where(ious >= IN_PLACE_IOU, cells.logits.amax(dim=-1), 0).amax(dim=1)
    return Places(
        things,
        close.logits.softmax(dim=1)[:, :-1],
        box_overlaps(boxes, things)[0] * proposed**PROPOSAL_POWER,
        close.colours.softmax(dim=1),
        close.textures.softmax(dim=1),
        cells.shapes[ious.argmax(dim=1)],
        cells.prototypes,
    )
