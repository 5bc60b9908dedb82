import json

import numpy as np
import pytest
import torch

pytest.importorskip("cv2")

from instdiff.model.detector import (
    STRIDES,
    DenseDetector,
    DetectionTensors,
    box_overlaps,
    cells,
    mix_masks,
    pairwise_iou,
    suppress,
)
from instdiff.training.draft import detector as training
from instdiff.training.draft import held_out as measuring
from instdiff.training.draft.catalogue import THINGS
from instdiff.training.draft.composer import Composer
from instdiff.training.draft.degrade import FLAWS, degrade
from instdiff.training.draft.held_out import COLOUR_NAMES, TEXTURE_NAMES
from instdiff.training.draft.sprites import Sprite
from instdiff.training.loop import Trainer, TrainingPlan, make_accelerator, train
from instdiff.training.state import load_state

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


def test_a_picture_and_its_mirror_image_are_looked_at_alike():
    torch.manual_seed(0)
    model = DenseDetector(("cat", "dog"), ("red", "blue"), ("plain",), score_threshold=0.0, **SMALL).eval()
    for head in model.heads:
        torch.nn.init.normal_(head[-1].weight, std=0.3)
    image = torch.randn(1, 3, 64, 64)
    [detections] = model.detect(image, mirrored=True)
    [mirrored] = model.detect(image.flip(-1), mirrored=True)
    [plain] = model.detect(image)
    x0, y0, x1, y1 = mirrored.boxes.T
    mirrored_back = torch.stack([1 - x1, y0, 1 - x0, y1], dim=1)
    assert len(detections.scores) > 5 and torch.allclose(detections.boxes, mirrored_back, atol=1e-5)
    assert torch.allclose(detections.scores, mirrored.scores, atol=1e-6) and detections.labels.equal(mirrored.labels)
    assert not torch.allclose(detections.boxes[:5], plain.boxes[:5], atol=1e-3)


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


@pytest.mark.parametrize(("side", "stride"), [(4, 8), (40, 8), (100, 16), (240, 32)])
def test_a_thing_is_answered_for_at_its_level(side, stride):
    box = torch.tensor([[100.0, 128 - side / 2, 104, 128 + side / 2]]) / 256
    owners = training.assign(box, 256)
    centres, strides = cells(256)
    answering = owners == 0
    assert answering.any() and set(strides[answering].tolist()) == {stride}
    assert (centres[answering] - torch.tensor([102 / 256, 0.5])).abs().max() * 256 <= 1.5 * stride


def test_the_smaller_of_two_things_has_the_cell():
    boxes = torch.tensor([[80.0, 84, 124, 124], [100, 100, 120, 120]]) / 256
    owners = training.assign(boxes, 256)
    assert set(owners.tolist()) == {-1, 0, 1}
    centres, _ = cells(256)
    inside = (owners == 1).nonzero()[:, 0]
    assert len(inside) == ((centres * 256 > 100) & (centres * 256 < 120)).all(dim=1)[: 32 * 32].sum()


def test_overlaps():
    a = torch.tensor([[0.0, 0, 0.5, 0.5], [0.0, 0, 0.5, 0.5]])
    b = torch.tensor([[0.0, 0, 0.5, 0.5], [0.5, 0.5, 1, 1]])
    iou, giou = box_overlaps(a, b)
    assert iou.tolist() == [1, 0] and giou.tolist() == [1, -0.5]


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


@pytest.mark.parametrize("flaw", FLAWS)
def test_flaws_change_the_picture_a_little(flaw, monkeypatch):
    picture = torch.from_numpy(composer().compose(np.random.default_rng(1)).image).permute(2, 0, 1).float() / 127.5 - 1
    for name in FLAWS:
        monkeypatch.setitem(FLAWS, name, float(name == flaw))
    spoiled = degrade(picture, np.random.default_rng(2))
    assert spoiled.shape == picture.shape and spoiled.abs().max() <= 1
    assert 0 < (spoiled - picture).abs().mean() < 0.5
    assert torch.equal(spoiled, degrade(picture, np.random.default_rng(2)))


class Passed(torch.nn.Module):
    """In place of an autoencoder: latents are the picture itself, and nothing is lost."""

    config = type("Config", (), {"scaling_factor": 1.0})

    def encode(self, images):
        return type("Encoded", (), {"latent": images})

    def decode(self, latents):
        return type("Decoded", (), {"sample": latents})


def test_batches_mirror_boxes_with_their_pictures(monkeypatch):
    monkeypatch.setattr(training, "CLEAN", 1.0)
    rng = np.random.default_rng(3)
    scenes = training.ScenePool(composer(), Passed(), size=70)
    scenes.renew(64, rng)
    assert len(scenes.entries) == 64
    images, truths = scenes.batch(16, rng)
    assert len(scenes.entries) == 70 and scenes.oldest == 10, "a full pool forgets its oldest"
    stored = {(image.float() / 127.5 - 1).numpy().tobytes(): truth for image, truth in scenes.entries}
    mirrored = 0
    for image, truth in zip(images, truths, strict=True):
        as_it_was = image.numpy().tobytes() in stored
        boxes = truth.boxes
        masks = truth.masks
        if not as_it_was:
            image = image.flip(-1)
            masks = masks.flip(-1)
            boxes = torch.stack([1 - boxes[:, 2], boxes[:, 1], 1 - boxes[:, 0], boxes[:, 3]], dim=1)
        expected = stored[image.contiguous().numpy().tobytes()]
        assert torch.allclose(boxes, expected.boxes) and torch.equal(masks, expected.masks)
        assert torch.equal(truth.labels, expected.labels) and torch.equal(truth.colours, expected.colours)
        mirrored += not as_it_was
    assert 0 < mirrored < 16


@pytest.fixture(scope="module")
def held_out():
    return measuring.HeldOutPictures(composer(), Passed(), count=20)


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


def test_learns():
    torch.manual_seed(0)
    model = DenseDetector(tuple(THINGS), tuple(COLOUR_NAMES), tuple(TEXTURE_NAMES), **SMALL)
    batch = training.ScenePool(composer(), Passed()).batch(8, np.random.default_rng(4))

    class OneBatch(training.DetectorTask):
        def draw(self, rng):
            return batch

    accelerator = make_accelerator("cpu", "no")
    trainer = Trainer(OneBatch(model, None, 8), TrainingPlan(rate=5e-3, steps=25), accelerator)
    history = [trainer.take_step()["loss"].item() for _ in range(25)]
    assert history[-1] < 0.75 * history[0]


def test_threshold_with_the_best_f1(held_out, monkeypatch):
    total = sum(len(truth.labels) for truth in held_out.truths)
    scores = torch.cat([torch.full((total,), 0.6), torch.full((3 * total,), 0.4)])
    hits = torch.arange(4 * total) < total
    matched = measuring.MatchedDetections(scores, None, hits, {})
    monkeypatch.setattr(held_out, "match", lambda model: {"clean": matched})
    threshold = held_out.choose_threshold(None)
    assert 0.4 < threshold <= 0.6
    assert held_out.rates(matched, threshold) == (1.0, 1.0) and held_out.rates(matched, 0.3) == (1.0, 0.25)


def test_resumes_and_saves(tmp_path, monkeypatch):
    """A second slice goes on at the step where the first ended."""
    held_out = measuring.HeldOutPictures(composer(), Passed(), count=4)
    monkeypatch.setattr(training, "FIRST_PICTURES", 8)
    monkeypatch.setattr(training, "DenseDetector", lambda *names: DenseDetector(*names, **SMALL))
    monkeypatch.setattr(training, "load_sprites", lambda folder: composer().sprites)
    monkeypatch.setattr(training.PatchAutoencoder, "from_pretrained", lambda folder: Passed())
    monkeypatch.setattr(training, "HeldOutPictures", lambda *_, **options: held_out)
    plan = TrainingPlan(rate=2e-3, minutes=0.03, cooldown=0.3, ema=0.998, folder=tmp_path, resume=True)
    for _ in range(2):
        task = training.ComposedDetectorTask(tmp_path, tmp_path, tmp_path / "detector", batch_size=4)
        train(task, plan, make_accelerator("cpu", "bf16"))
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    ends = [line for line in lines if "score_threshold" in line]
    assert len(ends) == 2 and 0 < ends[0]["step"] < ends[1]["step"]
    assert load_state(tmp_path)["step"] == ends[1]["step"]
    assert sorted(path.name for path in tmp_path.glob("samples-*.jpg")) == [
        f"samples-{end['step']:08d}.jpg" for end in ends
    ]
    saved = DenseDetector.from_pretrained(tmp_path / "detector")
    assert list(saved.config.categories) == list(THINGS) and saved.config.score_threshold == ends[1]["score_threshold"]


def test_trains_on_from_a_detector_of_other_categories():
    old = DenseDetector(("cat", "dog"), **SMALL)
    new = DenseDetector(("cat", "dog", "cup"), **SMALL)
    before = new.heads[0][1].weight.clone()
    training.take_over(new, old.state_dict())
    assert torch.equal(new.stem[0][0].weight, old.stem[0][0].weight)
    assert torch.equal(new.heads[0][1].weight, before), "what does not fit is learned anew"
