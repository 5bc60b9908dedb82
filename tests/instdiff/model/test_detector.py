import numpy as np
import pytest
import torch

pytest.importorskip("cv2")

from instdiff.model.detector import (
    STRIDES,
    DenseDetector,
    box_overlaps,
    cells,
    mix_masks,
    pairwise_iou,
    suppress,
)
from instdiff.training.draft.composer import Composer
from instdiff.training.draft.sprites import Sprite

SMALL = {"channels": (4, 4, 8, 8, 8), "head_channels": 8}


def composer(size=256):
    rgba = np.full((40, 60, 4), 255, np.uint8)
    return Composer(
        {name: [Sprite(name, rgba * np.uint8([1, 0, share, 1]))] for share, name in enumerate(("cat", "cup", "sun"))},
        size,
    )


def test_forward_shapes_and_boxes_around_their_cells():
    model = DenseDetector(("cat", "dog", "cup"), ("red", "blue"), ("plain",), num_prototypes=5, **SMALL).eval()
    logits, boxes, colours, textures, shapes, prototypes = model(torch.zeros(2, 3, 64, 64))
    centres, strides = cells(64)
    assert logits.shape == (2, 64 + 16 + 4, 3) and boxes.shape == (2, 84, 4)
    assert colours.shape == (2, 84, 2) and textures.shape == (2, 84, 1)
    assert shapes.shape == (2, 84, 5) and prototypes.shape == (2, 5, 16, 16)
    assert torch.all(boxes[..., :2] < centres) and torch.all(boxes[..., 2:] > centres)
    assert [(strides == stride).sum().item() for stride in STRIDES] == [64, 16, 4]
    assert logits.sigmoid().max() < 0.1, "an untrained detector sees nothing"


def test_saved_and_loaded_alike(tmp_path):
    model = DenseDetector(categories=("cat", "dog"), score_threshold=0.0, **SMALL).eval()
    model.save_pretrained(tmp_path)
    again = DenseDetector.from_pretrained(tmp_path)
    images = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    before = model.detect(images)[0]
    after = again.eval().detect(images)[0]
    assert list(again.config.categories) == ["cat", "dog"] and len(before.scores) > 1
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_pairwise_iou():
    a = torch.tensor([[0.0, 0.0, 0.4, 0.4], [0.5, 0.5, 1.0, 1.0]])
    b = torch.tensor([[0.0, 0.2, 0.4, 0.6], [0.5, 0.5, 1.0, 1.0], [0.4, 0.0, 0.5, 0.4]])
    assert torch.allclose(pairwise_iou(a, b), torch.tensor([[1 / 3, 0, 0], [0, 1, 0]]))


# a thing at 0..0.4, and another box with that IoU and label
@pytest.mark.parametrize(
    ("x1", "label", "score", "count"),
    [
        (0.4, 0, 0.8, 1),  # the same
        (0.3, 0, 0.8, 1),  # IoU 0.75, same category
        (0.18, 0, 0.8, 2),  # IoU 0.45, same category
        (0.4, 1, 0.8, 1),  # the same place, another category
        (0.28, 1, 0.8, 2),  # IoU 0.7, another category
        (0.18, 1, 0.1, 1),  # too unsure
        (0.0, 1, 0.8, 1),  # no area
    ],
)
def test_suppress(x1, label, score, count):
    boxes = torch.tensor([[0.0, 0, x1, 0.4], [0, 0, 0.4, 0.4]])
    scores = torch.tensor([score, 0.9])
    assert suppress(boxes, scores, torch.tensor([label, 0]), 0.3).tolist() == [1, 0][:count]


def test_masks_stay_inside_their_boxes():
    prototypes = torch.stack([torch.ones(8, 8), -torch.ones(8, 8)])
    boxes = torch.tensor([[0.0, 0.0, 0.5, 0.25], [0.25, 0.25, 1.0, 1.0]])
    masks = mix_masks(torch.tensor([[2.0, 0.0], [0.0, 1.0]]), prototypes, boxes) > 0
    assert masks[0].nonzero().tolist() == [[y, x] for y in range(2) for x in range(4)]
    assert not masks[1].any(), "a negative sum is no part of the mask"


def test_overlaps():
    a = torch.tensor([[0.0, 0, 0.5, 0.5], [0.0, 0, 0.5, 0.5]])
    b = torch.tensor([[0.0, 0, 0.5, 0.5], [0.5, 0.5, 1, 1]])
    iou, giou = box_overlaps(a, b)
    assert iou.tolist() == [1, 0] and giou.tolist() == [1, -0.5]
