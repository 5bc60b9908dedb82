"""The training of the dense detectors: who answers for what, the loss, and how well it is measured."""

import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F

pytest.importorskip("cv2")

from instdiff.model.autoencoder import PatchAutoencoder
from instdiff.model.detector import DenseDetector, DetectionTensors, cells
from instdiff.training.draft import detector as training
from instdiff.training.draft import held_out as measuring
from instdiff.training.draft.catalogue import COLOUR_NAMES, NAMES, TEXTURE_NAMES
from instdiff.training.draft.labelled_pictures import IGNORED, FixedPictures, LabelledPictures, Things
from instdiff.training.draft.scene_records import record_scene
from instdiff.training.draft.stream import stack_scenes
from instdiff.training.loop import Trainer, TrainingPlan, make_accelerator, train
from instdiff.training.state import load_state
from tests.instdiff.model.test_detector import SMALL, composer


def compose_pictures(count):
    rng = np.random.default_rng(4)
    return stack_scenes([record_scene(composer().compose(rng)) for _ in range(count)])


@pytest.fixture(scope="module")
def pictures():
    return compose_pictures(8)


@pytest.fixture(scope="module")
def held_out():
    return measuring.HeldOutPictures(composer(), PatchAutoencoder(decoder_channels=(8, 8, 8)), count=20)


def small_detector():
    torch.manual_seed(0)
    return DenseDetector(tuple(NAMES), tuple(COLOUR_NAMES), tuple(TEXTURE_NAMES), **SMALL)


def source(pictures):
    return FixedPictures(pictures._replace(images=((pictures.images + 1) * 127.5).round().byte()))


def assign_one(boxes):
    """Who answers for the boxes (n, 4) of one picture, (N,)."""
    return training.assign(boxes[None], torch.ones(1, len(boxes), dtype=torch.bool), 256)[0]


@pytest.mark.parametrize(("side", "stride"), [(4, 8), (40, 8), (100, 16), (240, 32)])
def test_a_thing_is_answered_for_at_its_level(side, stride):
    box = torch.tensor([[100.0, 128 - side / 2, 104, 128 + side / 2]]) / 256
    owners = assign_one(box)
    centres, strides = cells(256)
    answering = owners == 0
    assert answering.any() and set(strides[answering].tolist()) == {stride}
    assert (centres[answering] - torch.tensor([102 / 256, 0.5])).abs().max() * 256 <= 1.5 * stride


def test_the_smaller_of_two_things_has_the_cell():
    boxes = torch.tensor([[80.0, 84, 124, 124], [100, 100, 120, 120]]) / 256
    owners = assign_one(boxes)
    assert set(owners.tolist()) == {-1, 0, 1}
    centres, _ = cells(256)
    inside = (owners == 1).nonzero()[:, 0]
    assert len(inside) == ((centres * 256 > 100) & (centres * 256 < 120)).all(dim=1)[: 32 * 32].sum()


def test_a_picture_s_cells_are_its_own_things(pictures):
    """Pictures side by side, padded to one count of things, are answered for as each alone."""
    owners = training.assign(pictures.boxes, pictures.labels >= 0, 256)
    for row, things in zip(owners, pictures.things(), strict=True):
        alone = assign_one(things.boxes) if len(things.boxes) else torch.full_like(row, -1)
        assert torch.equal(row, alone)


def test_the_loss_of_a_batch_is_that_of_its_pictures(pictures):
    """Weighted by how many cells answer; the masks, of which some are drawn, aside."""
    model = small_detector().eval()
    owners = training.assign(pictures.boxes, pictures.labels >= 0, 256)
    generator = torch.Generator().manual_seed(0)
    weights = (owners >= 0).sum(dim=1)
    with torch.no_grad():
        whole = training.detection_loss(model(pictures.images), pictures, generator)
        sums = dict.fromkeys(("score", "box", "look"), 0.0)
        for i, things in enumerate(pictures.things()):
            alone = LabelledPictures.of(pictures.images[i : i + 1], [things])
            losses = training.detection_loss(model(alone.images), alone, generator)
            for name in sums:
                sums[name] += losses[name] * max(weights[i], 1) / weights.sum()
    for name, value in sums.items():
        assert whole[name].item() == pytest.approx(float(value), rel=1e-4)
    assert 0.3 < whole["mask"] < 1.5


def test_pictures_without_things_have_a_loss(pictures):
    model = small_detector()
    empty = pictures._replace(labels=torch.full_like(pictures.labels, -1))
    losses = training.detection_loss(model(empty.images), empty, torch.Generator())
    assert losses["box"] == losses["look"] == losses["mask"] == 0 and losses["score"] > 0


def test_nothing_is_learned_of_regions_to_ignore(pictures):
    """Of their class, but where a cell answers for a thing of it: here regions of one class over whole pictures."""
    model = small_detector()
    kind, classes = int(pictures.labels[0, 0]), len(model.config.categories)
    whole = torch.tensor([0.0, 0, 1, 1]).expand(len(pictures.images), 1, 4)
    regions = pictures._replace(
        boxes=torch.cat([whole, pictures.boxes], dim=1),
        labels=F.pad(pictures.labels, (1, 0), value=IGNORED - kind),
        colours=F.pad(pictures.colours, (1, 0)),
        textures=F.pad(pictures.textures, (1, 0)),
        masks=F.pad(pictures.masks, (0, 0, 0, 0, 1, 0)),
    )
    predicted = model(pictures.images)
    predicted.logits.retain_grad()
    training.detection_loss(predicted, regions, torch.Generator())["score"].backward()
    owners = training.assign(regions.boxes, regions.labels >= 0, 256)
    answering = (owners >= 0) & (regions.labels.gather(1, owners.clamp(min=0)) == kind)
    assert torch.equal(predicted.logits.grad[..., kind] != 0, answering) and answering.any()
    assert (predicted.logits.grad[..., [one for one in range(classes) if one != kind]] != 0).all()
    one = regions._replace(boxes=regions.boxes / 2)  # the upper left quarter
    ignored = training.in_ignored(one, classes).float().mean(dim=(0, 1))
    assert ignored[kind] == 0.25 and ignored.sum() == 0.25


def test_what_is_found_in_regions_to_ignore_counts_neither_way():
    boxes = torch.tensor([[0.0, 0, 0.5, 0.5], [0.5, 0.5, 1, 1]])
    look = torch.zeros(2, dtype=torch.long)
    masks = torch.zeros(2, 64, 64, dtype=torch.bool)
    truth = Things(boxes, torch.tensor([IGNORED - 3, 3]), look, look, masks)
    scored = measuring.ScoredPictures({}, [truth])
    places = torch.tensor([[0.1, 0.1, 0.4, 0.4], [0.5, 0.5, 1, 1], [0.4, 0.4, 0.7, 0.7]])
    none = torch.zeros(3, dtype=torch.long)
    found = DetectionTensors(places, torch.ones(3), torch.tensor([3, 3, 3]), none, none, masks[:1].expand(3, 64, 64))
    assert scored.match_detections([found]).hits.tolist() == [True, False] and scored.labels.tolist() == [3]


def test_learns(pictures):
    task = training.DetectorTask(small_detector(), source(pictures), None, batch_size=8)
    trainer = Trainer(task, TrainingPlan(rate=5e-3, steps=25), make_accelerator("cpu", "no"))
    history = [sum(trainer.take_step().values()).item() for _ in range(25)]
    assert np.mean(history[-4:]) < 0.75 * history[0]


def test_resumes_and_saves(pictures, held_out, tmp_path):
    """A second slice goes on at the step where the first ended."""
    plan = TrainingPlan(rate=2e-3, minutes=0.02, cooldown=0.3, ema=0.998, folder=tmp_path, resume=True)
    for _ in range(2):
        task = training.DetectorTask(small_detector(), source(pictures), held_out, batch_size=4)
        train(task, plan, make_accelerator("cpu", "bf16"))
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    ends = [line for line in lines if "score_threshold" in line]
    assert len(ends) == 2 and 0 < ends[0]["step"] < ends[1]["step"]
    assert load_state(tmp_path)["step"] == ends[1]["step"]
    sheets = sorted(path.name for path in tmp_path.glob("samples-*.jpg"))
    assert sheets == [f"samples-{end['step']:08d}.jpg" for end in ends]
    saved = DenseDetector.from_pretrained(tmp_path / "detector")
    assert list(saved.config.categories) == NAMES and saved.config.score_threshold == ends[1]["score_threshold"]


@pytest.mark.parametrize(
    ("hits", "total", "expected"),
    [
        ([True, True], 2, 1.0),
        ([True, True], 4, 0.5),
        ([False, True], 1, 0.5),
        ([True, False, True], 2, 5 / 6),
        ([], 3, 0.0),
    ],
)
def test_average_precision(hits, total, expected):
    assert measuring.average_precision(torch.tensor(hits, dtype=torch.bool), total) == pytest.approx(expected)


def true_detections(held_out, **changed):
    return [
        DetectionTensors(
            truth.boxes, torch.ones(len(truth.boxes)), truth.labels, truth.colours, truth.textures, truth.masks
        )._replace(**{name: change(getattr(truth, name)) for name, change in changed.items()})
        for truth in held_out.truths
    ]


@pytest.mark.parametrize(
    ("changed", "hits", "looks"),
    [
        ({}, 1.0, {"mask_iou": 1, "colour": 1, "texture": 1}),
        ({"labels": lambda labels: labels + 1}, 0.0, {"mask_iou": 0, "colour": 0, "texture": 0}),
        ({"boxes": lambda boxes: boxes * 0.4}, 0.0, {"mask_iou": 0, "colour": 0, "texture": 0}),
        ({"colours": lambda colours: colours + 1}, 1.0, {"mask_iou": 1, "colour": 0, "texture": 1}),
        ({"masks": torch.zeros_like}, 1.0, {"mask_iou": 0, "colour": 1, "texture": 1}),
        ({"textures": lambda textures: textures + 1}, 1.0, {"mask_iou": 1, "colour": 1, "texture": 0}),
    ],
)
def test_held_out_counts_what_is_right(held_out, changed, hits, looks):
    matched = held_out.match_detections(true_detections(held_out, **changed))
    assert matched.hits.float().mean() == hits
    assert len(matched.hits) == sum(len(truth.labels) for truth in held_out.truths) > 20
    assert matched.looks == pytest.approx(looks, abs=0.02)


def test_a_second_box_on_the_same_thing_is_no_hit(held_out):
    truth = true_detections(held_out)
    twice = [DetectionTensors(*(torch.cat([values, values]) for values in picture)) for picture in truth]
    matched = held_out.match_detections(twice)
    assert matched.hits.sum() == sum(len(picture.scores) for picture in truth) == len(matched.hits) / 2


def test_threshold_with_the_best_f1(held_out, monkeypatch):
    total = sum(len(truth.labels) for truth in held_out.truths)
    scores = torch.cat([torch.full((total,), 0.6), torch.full((3 * total,), 0.4)])
    hits = torch.arange(4 * total) < total
    matched = measuring.MatchedDetections(scores, None, hits, {})
    monkeypatch.setattr(held_out, "match", lambda model: {"clean": matched})
    threshold = held_out.choose_threshold(None)
    assert 0.4 < threshold <= 0.6
    assert held_out.rates(matched, threshold) == (1.0, 1.0) and held_out.rates(matched, 0.3) == (1.0, 0.25)
