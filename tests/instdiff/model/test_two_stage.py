"""What two stages say together: where things are, what they are, and how clearly."""

import pytest
import torch

from instdiff.model.crop_classifier import CropClassifier, CropPredictions
from instdiff.model.detector import DenseDetector, Predictions
from instdiff.model.two_stage import TwoStageDetector, describe, propose

NAMES = ("cat", "dog")
CHANNELS = (4, 4, 8, 8, 8)
BOXES = torch.tensor([[0.1, 0.1, 0.5, 0.5], [0.11, 0.1, 0.5, 0.5], [0.6, 0.6, 0.9, 0.9], [0.0, 0.6, 0.2, 0.9]])


def cells_of(scores, boxes=BOXES):
    """What a first stage says, with its scores (N, 2)."""
    n = len(boxes)
    return Predictions(
        torch.tensor(scores), boxes, torch.zeros(n, 2), torch.zeros(n, 1), torch.eye(n), torch.ones(n, 64, 64)
    )


def close_look(logits, offsets=0.0):
    n = len(logits)
    return CropPredictions(
        torch.tensor(logits), torch.tensor([[5.0, 0.0]] * n), torch.zeros(n, 1), torch.full((n, 4), offsets)
    )


def test_each_place_is_proposed_once_and_what_is_nothing_not_at_all():
    cells = cells_of([[0.3, 0.1], [0.6, 0.1], [0.0, 0.2], [0.01, 0.02]])
    assert propose(cells).tolist() == BOXES[[1, 2]].tolist()


def test_the_second_stage_says_what_a_thing_is():
    cells = cells_of([[0.9, 0.1]] * 4)
    places = describe(BOXES[[0, 2]], close_look([[0.0, 9.0, 0.0], [9.0, 0.0, 0.0]]), cells)
    things = places.things(0.3)
    assert sorted(things.labels.tolist()) == [0, 1] and things.boxes[things.labels == 1].tolist() == [BOXES[0].tolist()]
    assert things.colours.tolist() == [0, 0] and things.masks.shape == (2, 64, 64)


def test_nothing_is_no_thing():
    places = describe(BOXES[:1], close_look([[0.0, 0.0, 9.0]]), cells_of([[0.9, 0.9]] * 4))
    assert places.scores.max() < 0.01 and len(places.things(0.3).labels) == 0


def test_a_place_that_shows_a_thing_elsewhere_is_less_clear():
    cells = cells_of([[0.9, 0.1]] * 4)
    clear, shifted = (describe(BOXES[2:3], close_look([[9.0, 0.0, 0.0]], shift), cells) for shift in (0.0, 0.2))
    assert clear.clarity > 0.95 and shifted.clarity < 0.7
    assert torch.allclose(shifted.boxes, BOXES[2:3] + 0.06)


@pytest.fixture
def stages():
    torch.manual_seed(0)
    dense = DenseDetector(NAMES, ("red", "blue"), ("plain",), channels=CHANNELS, head_channels=8)
    return TwoStageDetector(dense, CropClassifier(NAMES, ("red", "blue"), ("plain",), channels=CHANNELS, crop_size=32))


def test_asked_places_come_first_and_pictures_do_not_mix(stages):
    images = torch.rand(3, 3, 64, 64) * 2 - 1
    asked = [BOXES[:2], torch.zeros(0, 4), BOXES[2:3]]
    together = stages.look(images, list(images), asked)
    assert [len(places.boxes) for places in together] == [2, 0, 1], "an untrained detector proposes nothing"
    for index, places in enumerate(together):
        [alone] = stages.look(images[index : index + 1], [images[index]], asked[index : index + 1])
        assert torch.allclose(alone.scores, places.scores, atol=1e-5)


def test_crops_are_cut_from_the_picture_at_its_own_size(stages):
    small = torch.zeros(1, 3, 64, 64)
    large = torch.rand(3, 300, 200) * 2 - 1
    [of_large] = stages.look(small, [large], [BOXES[:1]])
    [of_small] = stages.look(small, [small[0]], [BOXES[:1]])
    assert not torch.allclose(of_large.scores, of_small.scores, atol=1e-4)
