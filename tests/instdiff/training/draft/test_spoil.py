"""Pictures are moved with what is on them, and spoiled a little."""

import pytest
import torch

from instdiff.model.autoencoder import PatchAutoencoder
from instdiff.training.draft import spoil
from instdiff.training.draft.labelled_pictures import IGNORED, LabelledPictures

SIDE = 256


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def rectangles(count=24):
    """Black pictures with one white rectangle each, whose sides are multiples of 8 pixels."""
    generator = seeded(5)
    corner = torch.randint(2, 14, (count, 2), generator=generator) * 8
    boxes = torch.cat([corner, corner + torch.randint(4, 14, (count, 2), generator=generator) * 8], dim=1)
    images = torch.full((count, 3, SIDE, SIDE), -1.0)
    for image, (x0, y0, x1, y1) in zip(images, boxes.tolist(), strict=True):
        image[:, y0:y1, x0:x1] = 1
    masks = images[:, :1, 2::4, 2::4] > 0
    zeros = torch.zeros(count, 1, dtype=torch.long)
    return LabelledPictures(images, boxes[:, None] / SIDE, zeros, zeros, zeros, masks)


def test_of_regions_to_ignore_stays_whatever_is_left():
    things = rectangles()
    regions = things._replace(labels=torch.full_like(things.labels, IGNORED - 1))
    moved = spoil.moved(regions, seeded(1))
    sides = (moved.boxes[..., 2:] - moved.boxes[..., :2]).amin(dim=-1)
    assert torch.equal(moved.labels == IGNORED - 1, sides > 0)
    gone = (spoil.moved(things, seeded(1)).labels < 0).sum()
    assert 0 < (moved.labels != IGNORED - 1).sum() < gone


def test_boxes_and_masks_follow_their_pictures():
    pictures = rectangles()
    moved = spoil.moved(pictures, seeded(1))
    white = moved.images.mean(dim=1) > 0  # (B, S, S)
    shifts = []
    for i in (moved.labels[:, 0] >= 0).nonzero()[:, 0].tolist():
        rows = white[i].any(dim=1).nonzero()[:, 0]
        columns = white[i].any(dim=0).nonzero()[:, 0]
        seen = torch.stack([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]) / SIDE
        assert torch.allclose(moved.boxes[i, 0], seen, atol=7 / SIDE), "bent by a few pixels at most"
        small = torch.nn.functional.avg_pool2d(white[i][None].float(), 4)[0] > 0.5
        assert (small & moved.masks[i, 0]).sum() / (small | moved.masks[i, 0]).sum() > 0.8
        shifts.append((moved.boxes[i, 0] - pictures.boxes[i, 0]).abs().max())
    assert len(shifts) > 12 and max(shifts) > 0.2
    assert torch.equal(spoil.moved(pictures, seeded(1)).images, moved.images)


@pytest.mark.parametrize(
    ("box", "scale", "shift", "expected", "stays"),
    [
        ([0.25, 0.5, 0.5, 1.0], (1.0, 1.0), (0.0, 0.0), [0.25, 0.5, 0.5, 1.0], True),
        ([0.25, 0.5, 0.5, 1.0], (-1.0, 1.0), (0.0, 0.0), [0.5, 0.5, 0.75, 1.0], True),  # mirrored
        ([0.25, 0.25, 0.5, 0.5], (0.5, 0.5), (-0.5, -0.5), [0.5, 0.5, 1.0, 1.0], True),  # the upper left quarter
        ([0.3, 0.25, 0.7, 0.5], (0.5, 0.5), (-0.5, -0.5), [0.6, 0.5, 1.0, 1.0], False),  # half of it is gone
        ([0.6, 0.6, 0.7, 0.7], (0.5, 0.5), (-0.5, -0.5), [1.0, 1.0, 1.0, 1.0], False),  # all of it
    ],
)
def test_moved_boxes(box, scale, shift, expected, stays):
    boxes, kept = spoil.moved_boxes(torch.tensor([[box]]), torch.tensor([scale]), torch.tensor([shift]))
    assert torch.allclose(boxes[0, 0], torch.tensor(expected), atol=1e-6) and kept.tolist() == [[stays]]


@pytest.mark.parametrize("flaw", [*dict(spoil.FLAWS), spoil.tint, spoil.add_noise], ids=lambda flaw: flaw.__name__)
def test_flaws_change_pictures_a_little(flaw):
    images = rectangles(4).images * 0.8
    changed = flaw(images, seeded(2))
    assert changed.shape == images.shape
    assert 0 < (changed - images).abs().mean() < 0.5
    assert torch.equal(changed, flaw(images, seeded(2)))


def test_spoiled_pictures_stay_in_range_and_depend_on_the_generator_alone():
    images = rectangles(6).images
    changed = spoil.spoiled(images, seeded(3))
    assert changed.abs().max() <= 1 and images.abs().eq(1).all(), "what is given stays as it is"
    assert torch.equal(changed, spoil.spoiled(images, seeded(3)))
    assert not torch.equal(changed, spoil.spoiled(images, seeded(4)))


def test_a_share_of_the_pictures_is_repainted():
    torch.manual_seed(0)
    repainter = spoil.Repainter([PatchAutoencoder(decoder_channels=(8, 8, 8)) for _ in range(2)], share=0.5)
    images = ((rectangles(16).images + 1) * 127.5).byte().permute(0, 2, 3, 1)
    changed = (repainter(images, seeded(1)) != images).flatten(1).any(dim=1)
    assert 3 <= changed.sum() <= 13
