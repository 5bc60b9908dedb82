"""A class name is the word that was asked for: in the plan, the question to a detector, the verdict and the exports."""

import hashlib
import json

import pytest
from PIL import Image

from agent.dataset.export.coco import write_coco
from agent.dataset.export.records import read_records
from agent.dataset.export.writers import write_yolo
from agent.dataset.folder import Folder, Item
from agent.planners.chat.scene import named_size
from agent.planners.offline import OfflinePlanner
from evaluators.detectors.draft import DraftDetector
from evaluators.detectors.open_vocabulary import OpenVocabulary, names_to_ask
from evaluators.questions import questions_of
from evaluators.report import Detection, Report, Verdict, VerdictKind
from instdiff.formats import layout_to_json
from instdiff.layout import Box, Instance, Layout

# a prompt, the class names of its plan, and what the bundled detector knows of them
PROMPTS = [
    ("a cherry on a plate", {"cherry", "plate"}, {"plate"}),
    ("a wrench and a thermometer", {"wrench", "thermometer"}, set()),
    ("a mango and a peach", {"mango", "peach"}, set()),
    ("two limes and a lemon", {"lime", "lemon"}, {"lemon"}),
    ("a raspberry next to a strawberry", {"raspberry", "strawberry"}, {"strawberry"}),
    ("a trombone and a clarinet", {"trombone", "clarinet"}, set()),
    ("an otter and a beaver", {"otter", "beaver"}, set()),
    ("a wasp on a flower", {"wasp", "flower"}, {"flower"}),
    ("a van behind a truck", {"van", "truck"}, {"truck"}),
    ("a kettle on a stove", {"kettle", "stove"}, set()),
    ("a crayon, a comb and a spatula", {"crayon", "comb", "spatula"}, set()),
    ("a cheetah chasing a hare", {"cheetah", "hare"}, set()),
    ("a sofa beside a television", {"couch", "tv"}, {"couch", "tv"}),  # other words for the same things
    ("a mug and a doughnut", {"cup", "donut"}, {"cup", "donut"}),
    ("a poodle and a kitten", {"dog", "cat"}, {"dog", "cat"}),  # what a poodle is
]


@pytest.fixture(scope="module")
def draft():
    return DraftDetector("draft")


@pytest.mark.parametrize(("prompt", "names", "known"), PROMPTS)
def test_the_plan_and_every_question_keep_the_word(prompt, names, known, draft):
    layout = OfflinePlanner().plan(prompt, (512, 512), 0).layout
    assert {instance.category for instance in layout.instances} == names
    assert {name for name in names if draft.canonical(name)} == known
    assert all(draft.canonical(name) in (None, name) for name in names)
    assert set(names_to_ask(sorted(names))) == names
    asked = {OpenVocabulary().canonical(question.category) for question in questions_of(layout)}
    assert {asked_name for asked_name in asked if asked_name in names} >= names - {"dog", "cat"}


@pytest.mark.parametrize(("category", "name"), [("sofas", "couch"), ("cherries", "cherry"), ("spanner", "wrench")])
def test_a_chat_planner_is_held_to_the_same_names(category, name):
    own, size = named_size(category)
    assert own == name and size is not None


def things(*captions_and_categories):
    boxes = (Box(x0=0.1, y0=0.1, x1=0.4, y1=0.5), Box(x0=0.6, y0=0.4, x1=0.9, y1=0.9))
    placed = zip(captions_and_categories, boxes, strict=True)
    return Layout(
        caption="c", instances=tuple(Instance(caption=said, category=name, box=box) for (said, name), box in placed)
    )


def test_a_special_kind_is_asked_for_by_its_own_name():
    assert [question.category for question in questions_of(things(("a small poodle", "dog"), ("a kitten", "cat")))] == [
        "poodle",
        "kitten",
    ]
    assert [question.category for question in questions_of(things(("a man", "person"), ("a woman", "person")))] == [
        "man",
        "woman",
    ]
    # whoever sees the cat may call it a kitten too
    both = things(("a cat", "cat"), ("a kitten", "cat"))
    assert [question.category for question in questions_of(both)] == ["cat", "cat"]


def test_what_the_bundled_detector_has_no_word_for_is_unchecked(draft):
    layout = things(("a cherry", "cherry"), ("a strawberry", "strawberry"))
    [sighting] = draft.ask([Image.new("RGB", (128, 128), "white")], [questions_of(layout)])
    assert sighting.answers[0] is None and draft.knows("strawberry") and not draft.knows("cherry")
    from evaluators.verifying import verify

    [report] = verify(draft, [Image.new("RGB", (128, 128), "white")], [layout])
    assert [verdict.kind for verdict in report.verdicts] == [VerdictKind.UNCHECKED, VerdictKind.MISSING]


def test_exports_label_by_the_word(tmp_path):
    folder = Folder(tmp_path / "dataset")
    folder.items.mkdir(parents=True)
    Image.new("RGB", (512, 512)).save(folder.items / "000000.png")
    layout = things(("a ripe mango", ""), ("an old wrench", "wrench"))
    seen = [Detection(category=i.name, score=0.9, box=i.box) for i in layout.instances]
    verdicts = tuple(
        Verdict(instance=index, name=instance.name, kind=VerdictKind.FOUND, iou=1.0, detection=seen[index])
        for index, instance in enumerate(layout.instances)
    )
    item = Item(
        index=0,
        prompt="a picture",
        seed=0,
        round=0,
        planner="none",
        painted_with={},
        layout=layout_to_json(layout),
        annotated=(0, 1),
        report=Report(detector="owlv2", iou_threshold=0.5, verdicts=verdicts),
        score=1.0,
        sha256=hashlib.sha256((folder.items / "000000.png").read_bytes()).hexdigest(),
    )
    (folder.items / "000000.json").write_text(item.model_dump_json())
    records = read_records(folder)
    write_coco(records, tmp_path / "coco")
    write_yolo(records, tmp_path / "yolo")
    coco = json.loads((tmp_path / "coco/annotations/instances_train.json").read_text())
    assert [category["name"] for category in coco["categories"]] == ["mango", "wrench"]
    assert '"mango"' in (tmp_path / "yolo/data.yaml").read_text()
