"""What a crop classifier is shown of a picture, and what it says of it."""

import torch

from instdiff.model.crop_classifier import CropClassifier, cut_crops, offsets_between, shift_boxes
from instdiff.model.detector import DenseDetector

CHANNELS = (4, 4, 8, 8, 8)


def corners_picture(height, width):
    """Red grows to the right, green downwards: a pixel says where it is."""
    x = (torch.arange(width) + 0.5) / width
    y = (torch.arange(height) + 0.5) / height
    return torch.stack([x.expand(height, -1), y[:, None].expand(-1, width), torch.zeros(height, width)])[None] * 2 - 1


def test_a_crop_shows_its_place_and_what_is_around_it():
    boxes = torch.tensor([[0.2, 0.3, 0.4, 0.9], [0.45, 0.45, 0.55, 0.55]])
    crops = cut_crops(corners_picture(120, 200), boxes, torch.tensor([0, 0]), size=40, context=1.5)
    assert crops.shape == (2, 3, 40, 40)
    for crop, (x0, y0, x1, y1) in zip(crops, boxes.tolist(), strict=True):
        places = (crop[:2] + 1) / 2
        middle = places[:, 19:21, 19:21].mean(dim=(1, 2))
        assert torch.allclose(middle, torch.tensor([(x0 + x1) / 2, (y0 + y1) / 2]), atol=0.01)
        left, right = (places[0, :, column].mean() for column in (0, -1))
        assert torch.isclose(right - left, torch.tensor((x1 - x0) * 1.5 * 39 / 40), atol=0.02)


def test_outside_of_the_picture_is_its_edge():
    crops = cut_crops(corners_picture(64, 64), torch.tensor([[0.0, 0.0, 0.1, 0.1]]), torch.tensor([0]), 32, 3.0)
    places = (crops[0, :2] + 1) / 2
    assert places.min() >= 0 and places[:, 0, 0].max() < 0.02


def test_crops_of_several_pictures_come_in_the_order_of_their_boxes():
    pictures = torch.stack([torch.full((3, 32, 32), shade) for shade in (-1.0, 0.0, 1.0)])
    boxes = torch.tensor([[0.1, 0.1, 0.9, 0.9]] * 4)
    crops = cut_crops(pictures, boxes, torch.tensor([2, 0, 1, 2]), 32, 1.2)
    assert torch.allclose(crops.mean(dim=(1, 2, 3)), torch.tensor([1.0, -1.0, 0.0, 1.0]))


def test_a_large_place_is_made_smaller_without_aliasing():
    stripes = torch.arange(512).remainder(2).float() * 2 - 1
    crops = cut_crops(stripes.expand(1, 3, 512, -1), torch.tensor([[0.0, 0.0, 1.0, 1.0]]), torch.tensor([0]), 128, 1.0)
    assert crops.abs().max() < 0.01, "stripes of one pixel are grey from afar"


def test_offsets_lead_from_a_place_to_a_thing_and_stay_on_the_picture():
    places = torch.tensor([[0.1, 0.1, 0.3, 0.5], [0.5, 0.5, 0.9, 0.9]])
    things = torch.tensor([[0.15, 0.0, 0.4, 0.45], [0.6, 0.6, 1.0, 1.0]])
    assert torch.allclose(shift_boxes(places, offsets_between(places, things)), things, atol=1e-6)
    assert shift_boxes(places, torch.full((2, 4), 9.0)).max() == 1


def test_an_untrained_one_leaves_places_where_they_are_and_begins_with_the_layers_of_a_detector():
    model = CropClassifier(("cat", "dog"), ("red", "blue"), ("plain",), channels=CHANNELS, crop_size=64).eval()
    detector = DenseDetector(("cat", "dog"), channels=CHANNELS, head_channels=8)
    model.begin_with(detector)
    said = model(torch.rand(3, 3, 64, 64))
    assert said.logits.shape == (3, 3) and said.colours.shape == (3, 2) and said.textures.shape == (3, 1)
    assert not said.offsets.any()
    assert torch.equal(model.body[0][0].weight, detector.stem[0][0].weight)
    assert torch.equal(model.body[-1].second.weight, detector.stages[1][2].second.weight)
    assert torch.equal(model.tail[1].second.weight, detector.stages[2][1].second.weight)
