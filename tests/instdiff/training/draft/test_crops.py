"""The second look of the detectors: which places are looked at, and what is learned from them."""

import numpy as np
import pytest
import torch

pytest.importorskip("cv2")

from instdiff.model.crop_classifier import CropClassifier, shift_boxes
from instdiff.model.detector import pairwise_iou
from instdiff.training.draft import crops
from instdiff.training.draft.catalogue import COLOUR_NAMES, NAMES, TEXTURE_NAMES
from instdiff.training.draft.labelled_pictures import FixedPictures
from instdiff.training.draft.scene_records import record_scene
from instdiff.training.draft.stream import stack_scenes
from instdiff.training.loop import Trainer, TrainingPlan, make_accelerator
from tests.instdiff.model.test_detector import composer

BOXES = torch.tensor([[[0.1, 0.1, 0.5, 0.6], [0.6, 0.5, 0.9, 0.9], [0, 0, 0, 0]], [[0, 0, 0, 0]] * 3])
LABELS = torch.tensor([[3, 7, -1], [-1, -1, -1]])


@pytest.fixture(scope="module")
def pictures():
    rng = np.random.default_rng(4)
    composed = stack_scenes([record_scene(composer().compose(rng)) for _ in range(8)])
    return composed._replace(images=((composed.images + 1) * 127.5).round().byte())


def small_model():
    torch.manual_seed(0)
    names = tuple(NAMES), tuple(COLOUR_NAMES), tuple(TEXTURE_NAMES)
    return CropClassifier(*names, channels=(4, 8, 8, 8, 8), crop_size=32)


def make_task(pictures):
    return crops.CropTask(small_model(), FixedPictures(pictures), None, None, batch_size=4)


def chosen_places():
    generator = torch.Generator().manual_seed(0)
    drawn = [crops.choose_places(BOXES, LABELS, generator) for _ in range(200)]
    return crops.Places(*(torch.cat(values) for values in zip(*drawn, strict=True)))


def test_a_place_shows_the_thing_that_it_covers_and_nothing_where_it_covers_little():
    boxes, picture, thing, shows, touches = chosen_places()
    iou = pairwise_iou(boxes[:, None], BOXES[picture])[:, 0]
    best, owner = iou.max(dim=1)
    assert torch.equal(thing[touches], owner[touches])
    assert best[shows].min() >= crops.SAME_IOU and best[~shows].max() < crops.OTHER_IOU
    assert best[touches].min() >= crops.PART_IOU and best[~touches].max() < crops.PART_IOU
    assert (touches & ~shows).sum() > 0.05 * len(boxes), "a thing out of place is often shown, and told from one in it"
    assert set(thing[shows].tolist()) == {0, 1} and not (shows | touches)[picture == 1].any()
    assert boxes.min() >= 0 and boxes.max() <= 1


def test_what_is_to_be_said_of_a_place(pictures):
    moved = pictures._replace(images=pictures.images.float() / 127.5 - 1)
    places = crops.choose_places(moved.boxes, moved.labels, torch.Generator().manual_seed(1))
    batch = crops.cut_places(small_model(), moved, places)
    shows = places.shows
    things = moved.boxes[places.pictures, places.things]
    assert torch.equal(batch.labels[shows], moved.labels[places.pictures, places.things][shows])
    assert set(batch.labels[~shows].tolist()) == {len(NAMES)}
    assert batch.colours[~shows].eq(-1).all() and batch.textures[~shows].eq(-1).all()
    shifted = shift_boxes(places.boxes, batch.offsets)
    assert torch.allclose(shifted[batch.touches], things[batch.touches], atol=1e-5), "the offsets lead to the thing"


def test_a_batch_without_things_has_a_loss():
    model = small_model()
    shows = torch.zeros(2, dtype=torch.bool)
    none = torch.full((2,), -1)
    batch = crops.CropBatch(
        torch.zeros(2, 3, 32, 32), torch.full((2,), len(NAMES)), none, none, torch.zeros(2, 4), shows
    )
    losses = crops.crop_losses(model(batch.crops), batch)
    assert losses["look"] == losses["place"] == 0 and losses["category"] > 1


def test_learns(pictures):
    trainer = Trainer(make_task(pictures), TrainingPlan(rate=1e-2, steps=20), make_accelerator("cpu", "no"))
    history = [sum(trainer.take_step().values()).item() for _ in range(20)]
    assert np.mean(history[-4:]) < 0.8 * np.mean(history[:3])


def test_a_resumed_training_takes_the_same_steps(pictures, tmp_path):
    def train_to(step, folder, resume=False):
        plan = TrainingPlan(rate=1e-2, steps=step, ema=0.9, folder=tmp_path / folder, resume=resume)
        (tmp_path / folder).mkdir(exist_ok=True)
        task = make_task(pictures)
        task.check = lambda: {"clean_bar": 0.25}
        trainer = Trainer(task, plan, make_accelerator("cpu", "no"))
        trainer.run()
        return trainer.task.model.state_dict()

    whole = train_to(4, "whole")
    train_to(2, "halves")
    halves = train_to(4, "halves", resume=True)
    assert all(torch.equal(value, halves[name]) for name, value in whole.items())
    saved = CropClassifier.from_pretrained(tmp_path / "halves" / "crops")
    assert list(saved.config.categories) == NAMES and saved.config.found_score == 0.25
