import json
from pathlib import Path
from random import Random

import pytest

from agent.planners.offline import OfflinePlanner
from evaluators.layout_statistics import statistics
from instdiff.errors import BadInput
from instdiff.formats import load_layout
from instdiff.layout import Box, Instance, Layout
from instdiff.world import knowledge

RECORDED = Path(__file__).parents[1] / "golden" / "gpt4o"


def layout(*found: tuple[str, tuple[float, float, float, float]]) -> Layout:
    """Boxes in pixels of a 512 canvas, corners."""
    instances = [
        Instance(caption=name, category=name, box=Box.from_corners(list(box), (512, 512))) for name, box in found
    ]
    return Layout(caption="a test", instances=tuple(instances))


SMALL = (10, 20, 60, 70)
LARGE = (100, 100, 400, 300)


@pytest.mark.parametrize(
    ("large", "small", "pairs"),
    [
        ("bus", "person", 1),
        ("Bus", "puppies", 1),
        ("elephant", "cup", 1),
        ("cat", "dog", 0),  # real sizes are close
        ("mountain", "dog", 0),  # far away
        ("airplane", "dog", 0),
        ("sun", "dog", 0),
        ("rug", "cup", 0),  # flat
        ("gizmo", "cup", 0),  # unknown
    ],
)
def test_size_inversions(large, small, pairs):
    right = layout((large, LARGE), (small, SMALL))
    wrong = layout((large, SMALL), (small, LARGE))
    assert [(figures.size_pairs, figures.size_inversions) for figures in map(statistics, ([right], [wrong]))] == [
        (pairs, 0),
        (pairs, pairs),
    ]
    assert statistics([right, wrong]).size_inversions == pairs / 2


def test_counts_overlaps_and_stamps():
    one = layout(("cat", (10, 20, 60, 70)), ("dog", (10, 20, 60, 80)), ("cow", (301, 300.5, 400, 401)))
    figures = statistics([one, layout(("cat", (0, 0, 512, 512)))])
    assert (figures.layouts, figures.instances_mean, figures.instances_spread) == (2, 2.0, 1.0)
    assert figures.strong_overlap == pytest.approx(1 / 3)
    assert figures.stamping == pytest.approx((8 + 1 + 2) / 16)  # 400 of the cow, the two zeros


def test_out_of_frame_is_seen_on_raw_boxes_only():
    cut = layout(("cat", (300, 300, 512, 512)), ("dog", (10, 10, 60, 60)))
    assert statistics([cut]).out_of_frame == 0
    assert statistics([cut], raw_boxes=[[(300, 300, 700, 512), (10, 10, 60, 60)]]).out_of_frame == 0.5
    assert statistics([cut], raw_boxes=[[(-0.5, 300, 512.4, 512), (10, 10, 60, 60)]]).out_of_frame == 0


@pytest.mark.parametrize(("layouts", "raw"), [([], None), ([layout()], [])])
def test_nothing_to_measure(layouts, raw):
    with pytest.raises(BadInput):
        statistics(layouts, raw)


def test_layouts_without_boxes():
    figures = statistics([layout()])
    assert (figures.instances_mean, figures.size_inversions, figures.stamping) == (0, 0, 0)


def test_habits_of_a_language_model():
    files = sorted(RECORDED.glob("*.json"))
    layouts = [load_layout(path, boxes="corners") for path in files]
    raw = [[tuple(anno["bbox"]) for anno in json.loads(path.read_text())["annos"]] for path in files]
    figures = statistics(layouts, raw)
    assert figures.layouts >= 8
    assert 7 <= figures.instances_mean <= 8
    assert figures.stamping > 0.95
    assert figures.size_inversions > 0.05


def prompts(count: int):
    """Scenes by name, lists of things, and things in a scene."""
    rng = Random(7)
    settings = list(knowledge.settings().values())
    names = [name for name, thing in knowledge.things().items() if not thing.depth_m]
    for index in range(count):
        setting = settings[index % len(settings)] if index % 2 else rng.choice(settings)
        usual = [option.category for option in setting.objects]
        if index % 3 == 0:
            yield setting.name
        elif index % 3 == 1:
            yield ", ".join(f"a {name}" for name in rng.sample(names, rng.randint(2, 8)))
        else:
            yield (
                f"{' and '.join(rng.choice(('two ', 'three ', 'a ')) + rng.choice(usual) for _ in range(3))}"
                f" {setting.phrase}"
            )


def test_planned_scenes_keep_their_sizes_and_stay_in_the_frame():
    planner = OfflinePlanner()
    layouts = [planner.plan(prompt, (512, 512), seed).layout for seed, prompt in enumerate(prompts(500))]
    figures = statistics(layouts)
    assert figures.layouts == 500
    assert figures.size_pairs > 1000
    assert figures.size_inversions < 0.02
    assert figures.out_of_frame == 0
    assert figures.strong_overlap < 0.01
    assert figures.stamping < 0.02
    sides = [
        min(i.box.width, i.box.height) for layout in layouts for i in layout.instances if len(layout.instances) <= 12
    ]
    assert min(sides) >= 0.03
