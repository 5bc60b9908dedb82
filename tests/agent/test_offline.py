import subprocess
import sys
import time
from collections import Counter

import pytest

from agent.planners.offline import OfflinePlanner
from agent.planners.plan import Plan
from evaluators.report import Detection, Report, Verdict, VerdictKind
from instdiff.errors import BadInput
from instdiff.layout import Box, Instance, Layout

SIZE = (512, 512)


def plan(prompt: str, seed: int = 0) -> Layout:
    return OfflinePlanner().plan(prompt, SIZE, seed).layout


EXPLICIT = [
    # prompt, exact counts, part of a caption, absent
    ("a red car and two small white dogs", {"car": 1, "dog": 2}, "a small white dog", ""),
    ("half a dozen apples and 3 mice", {"apple": 6, "mouse": 3}, "an apple", ""),
    ("twelve balloons", {"balloon": 12}, "", ""),
    ("a pair of shoes and a hat", {"shoe": 2, "hat": 1}, "", ""),
    ("several birds", {"bird": 4}, "", ""),
    ("some flowers in a vase", {"flower": 3, "vase": 1}, "", ""),
    ("5 cats and one dog", {"cat": 5, "dog": 1}, "", ""),
    ("an orange cat on an orange", {"cat": 1, "orange": 1}, "an orange cat", ""),
    ("a wooden table with a blue cup on it", {"table": 1, "cup": 1}, "a wooden table", ""),
    ("a black and white cat with green eyes", {"cat": 1}, "a black and white cat with green eyes", ""),
    ("a cup of coffee", {"cup": 1}, "a cup of coffee", ""),
    ("a table made of wood", {"table": 1}, "a table made of wood", ""),
    ("a red car and a blue one", {"car": 2}, "a blue car", ""),
    ("three women and two men", {"person": 5}, "a woman", ""),
    ("a group of people", {"person": 4}, "", ""),
    ("a sofa without cushions", {"couch": 1}, "a sofa", "pillow"),
    ("a street with a bus but no cars or people", {"bus": 1, "car": 0, "person": 0}, "", "car, person"),
    ("a kitchen without any chairs, a cat", {"cat": 1, "chair": 0}, "", "chair"),
    ("a purple dragon next to a gizmo", {"dragon": 1, "gizmo": 1}, "a purple dragon", ""),
    ("a photo of a birthday cake", {"cake": 1}, "a birthday cake", ""),
    ("There is a cat. The cat is on a rug.", {"cat": 1, "rug": 1}, "", ""),
    ("a living room with two cats and a red couch", {"cat": 2, "couch": 1}, "a red couch", ""),
    ("a dog running in a park", {"dog": 1, "tree": 0}, "a dog", ""),
    ("a hundred people", {"person": 30}, "", ""),
    ("sadness", {"sadness": 1}, "", ""),
]


@pytest.mark.parametrize(("prompt", "counts", "caption", "absent"), EXPLICIT)
def test_what_the_words_name(prompt, counts, caption, absent):
    layout = plan(prompt)
    found = Counter(instance.category for instance in layout.instances)
    assert {category: found[category] for category in counts} == counts
    assert any(caption in instance.caption for instance in layout.instances)
    assert layout.negative_caption == absent
    assert all(word not in layout.caption for word in ("without", " no "))


LEFT, RIGHT = (lambda a, b: a.centre.x < b.centre.x), (lambda a, b: a.centre.x > b.centre.x)
OVER, BELOW = (lambda a, b: a.centre.y < b.centre.y), (lambda a, b: a.centre.y > b.centre.y)
FRONT, BACK = (lambda a, b: a.y1 > b.y1), (lambda a, b: a.y1 < b.y1)
RELATIONS = [
    ("a cat on a couch", "cat", OVER, "couch"),
    ("a dog to the left of a car", "dog", LEFT, "car"),
    ("a dog on the right side of a car", "dog", RIGHT, "car"),
    ("a lamp above a table", "lamp", OVER, "table"),
    ("a ball under the chair", "ball", BELOW, "chair"),
    ("a tree behind the house", "tree", BACK, "house"),
    ("in front of the house is a red car", "car", FRONT, "house"),
    ("a teddy bear on a bed, a cat under a table", "cat", BELOW, "table"),
    ("two cats and a dog on a couch", "cat", OVER, "couch"),
    ("a man riding a horse", "person", OVER, "horse"),
    ("a photo of a scene with a bear on the left and a rabbit on the right", "bear", LEFT, "rabbit"),
    ("on the left, a bear and on the right a rabbit", "bear", LEFT, "rabbit"),
    ("a car on the top and a boat on the bottom", "car", OVER, "boat"),
    ("a sun in the top left corner and a tree on the right", "sun", LEFT, "tree"),
    ("a house, and a dog to the left of it", "dog", LEFT, "house"),
    ("a table with a cup on it", "cup", OVER, "table"),
]


@pytest.mark.parametrize(("prompt", "subject", "holds", "target"), RELATIONS)
def test_relations_hold_on_box_centres(prompt, subject, holds, target):
    for seed in range(8):
        boxes = [(instance.category, instance.box) for instance in plan(prompt, seed).instances]
        pairs = [(a, b) for name, a in boxes for other, b in boxes if (name, other) == (subject, target)]
        assert pairs
        assert all(holds(a, b) for a, b in pairs), (seed, pairs)


def test_between():
    for seed in range(8):
        boxes = {i.category: i.box.centre.x for i in plan("a ball between a cat and a dog", seed).instances}
        assert min(boxes["cat"], boxes["dog"]) < boxes["ball"] < max(boxes["cat"], boxes["dog"])


@pytest.mark.parametrize(
    "prompt", ["a cozy living room", "a kitchen", "a busy street", "a farm", "a beach", "the sky", "a zoo", "a picnic"]
)
def test_natural_sets_differ_and_are_drawable(prompt):
    sets = set()
    for seed in range(60):
        layout = plan(prompt, seed)
        boxes = [instance.box for instance in layout.instances]
        sets.add(tuple(sorted(instance.category for instance in layout.instances)))
        assert 3 <= len(boxes) <= 8
        assert min(min(box.width, box.height) for box in boxes) >= 0.05
        assert max(a.iou(b) for i, a in enumerate(boxes) for b in [*boxes[:i], *boxes[i + 1 :]]) <= 0.35
    assert len(sets) >= 6


@pytest.mark.parametrize("prompt", ["", "  \n", "x" * 2001, "!!!", ",", "the", "no cats", "0 cats"])
def test_unusable_prompts(prompt):
    with pytest.raises(BadInput, match="prompt"):
        plan(prompt)


def test_same_seed_same_plan_and_fast():
    assert plan("a cozy living room", 5) == plan("a cozy living room", 5)
    start = time.process_time()
    for seed in range(10):
        plan("a garden with a red car, two dogs and five cats", seed)
    assert (time.process_time() - start) / 10 < 0.05


def test_planning_needs_no_torch():
    code = "import sys; from agent.planners.offline import OfflinePlanner; OfflinePlanner().plan('a cat', (512, 512), 0); "
    subprocess.run([sys.executable, "-c", code + "sys.exit('torch' in sys.modules)"], check=True)


def report(kind: VerdictKind, seen: Box | None = None, extras: tuple[str, ...] = ()) -> Report:
    detection = seen and Detection(category="cup", score=0.9, box=seen)
    others = tuple(Detection(category=name, score=0.9, box=Box(x0=0.8, y0=0.8, x1=0.9, y1=0.9)) for name in extras)
    verdict = Verdict(instance=0, name="cup", kind=kind, iou=0.3 if seen else 0.0, detection=detection)
    return Report(detector="test", iou_threshold=0.5, verdicts=(verdict,), extras=others)


CUP = Box(x0=0.1, y0=0.4, x1=0.3, y1=0.6)
START = Plan(
    layout=Layout(
        caption="a cup and a dog",
        instances=(
            Instance(caption="a fine shiny cup", category="cup", box=CUP),
            Instance(caption="a dog", category="dog", box=Box(x0=0.6, y0=0.4, x1=0.9, y1=0.8)),
        ),
    ),
    planner="offline",
)


def revise(start: Plan, seen: Report) -> Plan:
    return OfflinePlanner().revise("a cup and a dog", start, seen, seed=1)


def test_missing_grows_then_asks_for_another_seed():
    first = revise(START, report(VerdictKind.MISSING))
    cup = first.layout.instances[0]
    assert cup.box.area == pytest.approx(1.44 * CUP.area)
    assert (cup.caption, first.seed) == ("a fine cup", None)
    second = revise(first, report(VerdictKind.MISSING))
    assert second.layout == first.layout
    assert second.seed is not None
    assert revise(second, report(VerdictKind.MISSING)).seed != second.seed


def test_misplaced_moves_halfway_or_asks_for_another_seed():
    seen = Box(x0=0.15, y0=0.45, x1=0.35, y1=0.65)
    moved = revise(START, report(VerdictKind.MISPLACED, seen))
    assert moved.layout.instances[0].box.xyxy == pytest.approx((0.125, 0.425, 0.325, 0.625))
    far = revise(START, report(VerdictKind.MISPLACED, Box(x0=0.7, y0=0.1, x1=0.9, y1=0.3)))
    assert far.layout == START.layout
    assert far.seed is not None


def test_extras_and_attributes():
    mended = revise(START, report(VerdictKind.WRONG_ATTRIBUTE, extras=("tree", "dog", "tree")))
    assert mended.layout.negative_caption == "tree"
    assert mended.mis > 0
