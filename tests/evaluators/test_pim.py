import json

import numpy as np
import pytest

from evaluators.pim import image_pim, pim
from evaluators.report import Detection
from instdiff.errors import BadInput
from instdiff.layout import Box, Instance, Layout, Mask, Point, Scribble

WHOLE = Box(x0=0, y0=0, x1=1, y1=1)
LEFT = (slice(None), slice(0, 32))
RIGHT = (slice(None), slice(32, 64))


@pytest.fixture(scope="module")
def published(golden):
    return json.loads((golden / "pim_cases.json").read_text())


def masks(records: list[dict]) -> list[Mask]:
    return [Mask(size=tuple(record["size"]), counts=record["counts"]) for record in records]


def test_every_published_case(published):
    assert len(published["cases"]) == 20
    for case in published["cases"]:
        truths, found = ([mask.array for mask in masks(case[key])] for key in ("gt", "pred"))
        for kind in ("point", "scribble"):
            rng = np.random.RandomState(case["scribble"]["numpy_seed"])
            assert image_pim(truths, found, kind, rng) == pytest.approx(case[kind]["image_value"], abs=1e-12), (
                case["name"],
                kind,
            )


def test_published_mean(published):
    """The mean over all pictures, which the published program gave for the same masks as COCO files."""
    size = {"width": published["width"], "height": published["height"]}
    layouts = []
    detections = []
    for case in published["cases"]:
        instances = [Instance(caption="thing", mask=mask) for mask in masks(case["gt"])]
        layouts.append(Layout(**size, caption="", instances=instances))
        detections.append([Detection(category="other", score=1, box=WHOLE, mask=mask) for mask in masks(case["pred"])])
    assert pim(layouts, detections, "point", protocol="paper") == pytest.approx(published["pim_point"], abs=1e-12)


def half(where) -> Mask:
    mask = np.zeros((64, 64), bool)
    mask[where] = True
    return Mask.from_array(mask)


def seen(*things: tuple[str, tuple]) -> list[Detection]:
    return [Detection(category=category, score=0.9, box=WHOLE, mask=half(where)) for category, where in things]


def planned(*things: tuple[str, float]) -> Layout:
    """Things by the x of their point; the scribble lies for a quarter of its points at the right border."""
    points = {x: tuple(Point(x=x if i else 1.0, y=i / 4) for i in range(4)) for _, x in things}
    instances = [
        Instance(caption=name, point=Point(x=x, y=0.5), scribble=Scribble(points=points[x])) for name, x in things
    ]
    return Layout(width=128, height=64, caption="", instances=instances)


@pytest.mark.parametrize(
    ("layout", "detections", "point", "scribble"),
    [
        (planned(("cat", 0.25)), seen(("cat", LEFT)), 1, 0.75),
        (planned(("cat", 0.25)), seen(("cat", RIGHT)), 0, 0.25),
        (planned(("cat", 0.25)), seen(("dog", LEFT)), 0, 0),
        (planned(("cat", 0.25)), [], 0, 0),
        (planned(("cat", 0.25)), seen(("cat", RIGHT), ("cat", LEFT)), 1, 0.75),
        # one found cat cannot stand for two planned ones, and what is not found counts
        (planned(("cat", 0.25), ("cat", 0.3)), seen(("cat", LEFT)), 0.5, 0.375),
        (planned(("cat", 0.75), ("cat", 0.25)), seen(("cat", LEFT), ("cat", RIGHT)), 1, 0.875),
        (planned(("cat", 0.25), ("dog", 0.75)), seen(("dog", LEFT), ("cat", LEFT)), 0.5, 0.375),
        (planned(), seen(("cat", LEFT)), None, None),
    ],
)
def test_conditioned_points(layout, detections, point, scribble):
    assert (pim([layout], [detections], "point"), pim([layout], [detections], "scribble")) == (point, scribble)


def test_points_are_pooled_over_pictures():
    one = planned(("cat", 0.25))
    two = planned(("cat", 0.25), ("cat", 0.75), ("dog", 0.5))
    assert pim([one, two, planned()], [seen(("cat", LEFT)), [], []], "point") == 0.25


def test_points_are_x_then_y():
    layout = Layout(caption="", instances=[Instance(caption="cat", point=Point(x=0.9, y=0.1))])
    assert pim([layout], [seen(("cat", (slice(0, 32), slice(32, 64))))], "point") == 1
    assert pim([layout], [seen(("cat", (slice(32, 64), slice(0, 32))))], "point") == 0


@pytest.mark.parametrize("kind, protocol", [("mask", "conditioned"), ("point", "other")])
def test_unknown_names(kind, protocol):
    with pytest.raises(BadInput):
        pim([], [], kind, protocol)


def test_detections_need_masks():
    bare = [Detection(category="cat", score=1, box=WHOLE)]
    with pytest.raises(BadInput, match="cat"):
        pim([planned(("cat", 0.25))], [bare], "point")
