"""Tiny OWLv2 and Grounding DINO models with random weights, made on the spot, loaded and run for real."""

import json
import shutil
from itertools import combinations

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_models import make_grounding_dino, make_owlv2

from evaluators.detectors import check_detector, default_verifier, load_detector
from evaluators.detectors.grounding_dino import _tokens_of
from evaluators.detectors.open_vocabulary import asked_name, best_detections
from evaluators.detectors.owlv2 import _corners
from evaluators.detectors.tiles import views_of
from evaluators.questions import Question
from instdiff.errors import BadInput, ServiceError
from instdiff.layout import Box


@pytest.fixture(scope="module", params=["owlv2", "grounding-dino"])
def model(request, tmp_path_factory, golden):
    """The name of a verifier, and a folder with a tiny model for it."""
    folder = tmp_path_factory.mktemp(request.param)
    {"owlv2": make_owlv2, "grounding-dino": make_grounding_dino}[request.param](folder, golden)
    return request.param, folder


def pictures():
    pixels = np.random.default_rng(0).integers(0, 255, (3, 48, 80, 3), dtype=np.uint8)
    return [Image.fromarray(pixels[0]), Image.fromarray(pixels[1]), Image.fromarray(pixels[2]).resize((40, 60))]


def test_detects_what_it_is_asked_for(model):
    kind, folder = model
    check_detector(f"{kind}:{folder}")
    detector = load_detector(f"{kind}:{folder}")
    assert (
        detector.name == kind
        and detector.canonical("two red sofas") == "couch"
        and detector.knows("zorp")
        and not detector.knows("")
    )
    detector.threshold = 0.0
    found = detector.detect(pictures(), ["cat", "sofas", "zorp", "couch"])
    assert len(found) == 3 and all(found)
    for one in found:
        assert {seen.category for seen in one} <= {"cat", "couch", "zorp"}
        assert [seen.score for seen in one] == sorted((seen.score for seen in one), reverse=True)
    detector.threshold = 1.0
    assert detector.detect(pictures(), ["cat"]) == [[], [], []]
    assert detector.detect(pictures(), []) == [[], [], []] and detector.detect([], ["cat"]) == []


def test_a_picture_is_seen_alike_alone_and_in_a_batch(model):
    kind, folder = model
    detector = load_detector(f"{kind}:{folder}")
    detector.threshold = 0.0
    [alone] = detector.detect(pictures()[:1], ["cat", "dog"])
    together = detector.detect(pictures()[:2] * 3, ["cat", "dog"])
    assert len(together) == 6 and len(alone) == len(together[4]) > 0
    for one, other in zip(alone, together[4], strict=True):
        assert one.category == other.category and one.score == pytest.approx(other.score, abs=1e-5)
        assert one.box.xyxy == pytest.approx(other.box.xyxy, abs=1e-4)


def asked(*questions):
    return [Question(category, (Box(x0=x0, y0=y0, x1=x1, y1=y1),)) for category, x0, y0, x1, y1 in questions]


def test_an_answer_has_the_score_of_its_own_name(model):
    """Whatever else is asked for, and whatever else fits the same box better."""
    kind, folder = model
    detector = load_detector(f"{kind}:{folder}")
    detector.threshold = 0.0
    [alone] = detector.detect(pictures()[:1], ["dog"])
    place = (alone[0].box.x0, alone[0].box.y0, alone[0].box.x1, alone[0].box.y1)
    questions = asked(("dogs", *place), ("cat", *place), ("", *place), ("dog", 0.0, 0.0, 0.001, 0.001))
    [sighting] = detector.ask(pictures()[:1], [questions])
    dog, cat, nothing, nowhere = sighting.answers
    assert (dog.category, cat.category, nothing, nowhere) == ("dog", "cat", None, None)
    assert dog.box.iou(alone[0].box) >= 0.5 and cat.box.iou(alone[0].box) >= 0.5
    if kind == "owlv2":  # Grounding DINO reads all names as one sentence
        assert dog.score == pytest.approx(alone[0].score, abs=1e-5)
    [best] = detector.detect(pictures()[:1], ["dog", "cat"])
    assert list(sighting.detections) == best
    detector.threshold = 1.0
    [unsure] = detector.ask(pictures()[:1], [questions])
    assert unsure.detections == () and unsure.answers == sighting.answers


def test_pictures_with_questions_of_their_own(model):
    kind, folder = model
    detector = load_detector(f"{kind}:{folder}")
    whole = (0.0, 0.0, 1.0, 1.0)
    questions = [asked(("cat", *whole)), [], asked(("dog", *whole), ("dog", 0.0, 0.0, 0.5, 1.0))]
    sightings = detector.ask(pictures(), questions, iou_threshold=0.0)
    assert [len(sighting.answers) for sighting in sightings] == [1, 0, 2] and all(sightings[2].answers)
    [last] = detector.ask(pictures()[2:], questions[2:], iou_threshold=0.0)
    assert [one.score for one in last.answers] == pytest.approx([one.score for one in sightings[2].answers], abs=1e-5)
    assert detector.ask([], []) == []


def test_a_large_picture_is_looked_at_closely(model):
    """What is seen of a tile alone is seen of the picture, but for what the tile's inner edges cut."""
    kind, folder = model
    detector = load_detector(f"{kind}:{folder}")
    large = pictures()[0].resize((2 * detector.input_side, detector.input_side * 3 // 2))
    [(scores, boxes)] = detector._look([large], ["cat"])
    tiles = views_of([large], detector.input_side)[1:]
    seen = 0
    for tile in tiles:
        [(own_scores, own_boxes)] = detector._look([tile.crop([large])], ["cat"])
        placed, whole = tile.on_picture(own_boxes)
        for score, place in zip(own_scores[whole], placed[whole], strict=True):
            nearest = np.abs(boxes - place).max(axis=1).argmin()
            assert boxes[nearest] == pytest.approx(place, abs=1e-3)
            assert scores[nearest] == pytest.approx(score, abs=1e-3)
        seen += whole.sum()
    assert len(tiles) == 4 and len(scores) > seen > 0
    detector.threshold = 0.0
    [found] = detector.detect([large], ["cat"])
    assert all(one.box.iou(other.box) <= 0.5 for one, other in combinations(found, 2))  # each once


def test_many_long_names_are_no_trouble(model):
    kind, folder = model
    detector = load_detector(f"{kind}:{folder}")
    detector.threshold = 0.0
    names = [f"thing{n} zorp zorp zorp" for n in range(30)] + ["cat" * 60]
    [found] = detector.detect(pictures()[:1], names)
    assert found and {one.category for one in found} <= set(names)


def test_agrees_with_the_reference_postprocessing(model):
    """The best detection is that of the model's own processor, in pixels."""
    kind, folder = model
    detector = load_detector(f"{kind}:{folder}")
    image = pictures()[0]
    detector.threshold = 0.0
    [found] = detector.detect([image], ["cat"])
    text = [["a photo of a cat"]] if kind == "owlv2" else "cat."
    inputs = detector.processor(text=text, images=[image], return_tensors="pt")
    with torch.inference_mode():
        outputs = detector.model(**inputs)
    options = {"target_sizes": [(48, 80)], "threshold": 0.0}
    options |= {} if kind == "owlv2" else {"input_ids": inputs["input_ids"]}
    [result] = detector.processor.post_process_grounded_object_detection(outputs, **options)
    if kind == "owlv2":
        assert found[0].score == pytest.approx(float(result["scores"].max()), abs=1e-5)
    reference = [
        [float(min(max(v, 0.0), side)) for v, side in zip(box, (80, 48) * 2, strict=True)]
        for box in result["boxes"].tolist()
    ]
    assert min(np.abs(np.array(found[0].box.to_corners((80, 48))) - box).max() for box in np.array(reference)) < 0.01


def test_a_damaged_folder_is_one_line(model, tmp_path):
    kind, folder = model
    shutil.copytree(folder, tmp_path / "m")
    (tmp_path / "m" / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(ServiceError, match=f"verifier {kind}: .* cannot be loaded") as caught:
        load_detector(f"{kind}:{tmp_path / 'm'}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "name", ["owlv2", "owlv2:nowhere/model", "grounding-dino", f"grounding-dino:{'x' * 5000}", "owlv2:a\0b"]
)
def test_a_missing_model_says_what_to_fetch(name, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    for ask in (check_detector, load_detector):
        with pytest.raises(BadInput, match="run `(hf download|instdiff-agent models get) "):
            ask(name)


def test_the_default_verifier_is_what_is_on_this_machine(tmp_path, monkeypatch):
    assert default_verifier("draft") == ("draft", "")
    monkeypatch.setenv("INSTDIFF_MODELS", str(tmp_path))
    name, note = default_verifier("sd15")
    assert name == "none" and "instdiff-agent models get owlv2" in note
    for kind, folder in (("grounding-dino", "grounding-dino-tiny"), ("owlv2", "owlv2-base-patch16-ensemble")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "config.json").write_text(json.dumps({}))
        assert default_verifier("sd15")[0] == kind


def test_owlv2_boxes_are_fractions_of_the_picture_and_not_of_its_square():
    boxes = torch.tensor([[[0.5, 0.25, 1.0, 0.5]], [[0.25, 0.5, 0.5, 1.0]]])
    wide = Image.new("RGB", (80, 40))
    tall = Image.new("RGB", (40, 80))
    assert _corners(boxes, [wide, tall]).tolist() == [[[0.0, 0.0, 1.0, 1.0]]] * 2


def test_grounding_dino_gives_each_name_its_own_tokens():
    #          [CLS]   cat     .       red     dog     .       [SEP]
    offsets = [[0, 0], [0, 3], [3, 4], [5, 8], [9, 12], [12, 13], [0, 0]]
    assert list(_tokens_of(["cat", "red dog", "cut off"], offsets)) == [[1], [3, 4], [0]]


def test_each_thing_is_reported_once():
    boxes = np.array(
        [
            [0, 0, 0.5, 0.5],
            [0, 0, 0.5, 0.45],
            [0, 0, 0.4, 0.3],
            [0.5, 0.5, 1.2, 1.0],
            [0.3, 0.3, 0.3, 0.9],
            [0, 0, 1, np.nan],
        ]
    )
    scores = np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.1], [0.6, 0.3], [0.9, 0.9], [0.9, 0.9]])
    found = best_detections(scores, boxes, ["cat", "dog"], 0.3)
    # the second is the first under another name, the third overlaps it by half only; then one over the border, one
    # empty, one no box
    assert [(one.category, one.score) for one in found] == [("cat", 0.9), ("cat", 0.7), ("cat", 0.6)]
    assert found[2].box.xyxy == (0.5, 0.5, 1.0, 1.0)
    assert best_detections(np.full((1, 1), np.nan), boxes[:1], ["cat"], 0.0) == []


@pytest.mark.parametrize(
    "label, names, name",
    [
        ("Dogs", ["cat", "dog"], "dog"),
        ("fern", ["dog", "potted fern"], "potted fern"),
        ("a person riding a bicycle", ["bicycle", "dog"], "person"),
        ("chair", ["office chair", "garden chair"], "chair"),  # which one is not said
        ("car", ["dog"], "car"),
        ("", ["dog"], None),
    ],
)
def test_asked_name(label, names, name):
    assert asked_name(label, names) == name
