"""What a caption without a category means is the same thing to the plan, the critic, edits, detectors and exports."""

import pytest

from agent.benchmarks.plan_checks import instances_named
from agent.critic.critic import criticise
from agent.dataset.export.records import read_records
from agent.dataset.folder import Folder, Item
from agent.edit import edit_plan
from agent.planners.offline import OfflinePlanner
from agent.planners.plan import Plan
from evaluators.detectors.draft import DraftDetector
from evaluators.detectors.open_vocabulary import OpenVocabulary
from evaluators.report import Detection, Report, Verdict, VerdictKind
from instdiff.errors import BadInput
from instdiff.formats import layout_to_json
from instdiff.layout import Box, Instance, Layout
from instdiff.world import placement
from instdiff.world.knowledge import size_of

PLACES = (
    Box(x0=0.3, y0=0.3, x1=0.45, y1=0.9),
    Box(x0=0.6, y0=0.2, x1=0.9, y1=0.8),
    Box(x0=0.05, y0=0.6, x1=0.2, y1=0.9),
)
# caption, the word for it, its category, another thing that the caption speaks of
CAPTIONS = [
    ("a woman in a red dress", "woman", "person", "dress"),
    ("a dog under a table", "dog", "dog", "table"),
    ("an owl on a branch", "owl", "bird", "branch"),
    ("a cup of tea", "cup", "cup", "tea"),
    ("a man holding a guitar", "man", "person", "guitar"),
    ("a flock of geese", "geese", "goose", "flock"),
    ("a man in a hat", "man", "person", "hat"),
    ("a grey sofa with cushions", "sofa", "couch", "cushion"),
]


def plan_of(*captions, caption="a picture"):
    instances = tuple(Instance(caption=words, box=box) for words, box in zip(captions, PLACES, strict=False))
    return Plan(layout=Layout(caption=caption, instances=instances), planner="none")


@pytest.mark.parametrize(("caption", "word", "category", "beside"), CAPTIONS)
def test_an_edit_removes_the_thing_and_refuses_what_only_its_caption_speaks_of(caption, word, category, beside):
    plan = plan_of(caption, "a tree", caption=f"{caption} and a tree")
    with pytest.raises(BadInput, match="is not there|names"):
        edit_plan(plan, f"remove the {beside}")
    layout = edit_plan(plan, f"remove the {word}").layout
    assert [instance.caption for instance in layout.instances] == ["a tree"]
    assert layout.caption == "a tree" or "of" in caption


@pytest.mark.parametrize(
    ("words", "left"),
    [
        ("remove the woman in the red dress", ["a dog under a table", "a tree"]),
        ("remove the dog under the table", ["a woman in a red dress", "a tree"]),
        ("make the woman larger", ["a large woman in a red dress", "a dog under a table", "a tree"]),
    ],
)
def test_what_a_caption_says_tells_things_apart(words, left):
    plan = plan_of("a woman in a red dress", "a dog under a table", "a tree", caption="a woman in a red dress, a tree")
    layout = edit_plan(plan, words).layout
    assert [instance.caption for instance in layout.instances] == left
    assert layout.caption.count("dress") == sum("dress" in caption for caption in left)


def test_a_woman_is_no_man():
    with pytest.raises(BadInput, match="is not there; there is a woman"):
        edit_plan(plan_of("a woman in a red dress"), "remove the man")


@pytest.mark.parametrize(("caption", "word", "category", "beside"), CAPTIONS)
def test_the_critic_counts_it_and_knows_its_size(caption, word, category, beside):
    plan = plan_of(caption)
    article = "three" if word == "geese" else "a"
    findings = criticise(plan, f"{article} {word}", repair=False).findings
    assert not [finding for finding in findings if finding.sentence.startswith("0 x")]
    noun = "goose" if word == "geese" else word
    assert placement.metres(plan, 0) == size_of(category, noun)


@pytest.mark.parametrize(("caption", "word", "category", "beside"), CAPTIONS)
def test_the_planner_plans_it_and_a_check_finds_it(caption, word, category, beside):
    planned = OfflinePlanner().plan(caption, (512, 512), 0).layout
    assert category in {instance.category for instance in planned.instances}
    instances = plan_of(caption).layout.instances
    assert instances_named(word, instances) == list(instances) and instances_named(category, instances) == list(
        instances
    )
    assert instances_named(beside, instances) == []


def test_detectors_are_asked_for_it():
    draft = DraftDetector("draft")
    for caption, _, category, _ in CAPTIONS:
        assert draft.canonical(caption) == (category if category in draft.categories else None)
    names = [OpenVocabulary().canonical(caption) for caption, *_ in CAPTIONS]
    assert names == ["woman", "dog", "owl", "cup", "man", "goose", "man", "couch"]


def test_exports_label_it(tmp_path):
    import hashlib

    from PIL import Image

    folder = Folder(tmp_path)
    folder.items.mkdir(parents=True)
    Image.new("RGB", (512, 512)).save(folder.items / "000000.png")
    layout = plan_of("a man holding a guitar", "a flock of geese").layout
    seen = [
        Detection(category=name, score=0.9, box=box) for name, box in zip(("person", "goose"), PLACES, strict=False)
    ]
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
        report=Report(detector="draft", iou_threshold=0.5, verdicts=verdicts),
        score=1.0,
        sha256=hashlib.sha256((folder.items / "000000.png").read_bytes()).hexdigest(),
    )
    (folder.items / "000000.json").write_text(item.model_dump_json())
    assert read_records(folder).classes == ["goose", "man"]
