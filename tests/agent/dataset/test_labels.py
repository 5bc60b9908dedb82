"""What is labelled, ignored and dropped, from what was planned and what was seen."""

import numpy as np
import pytest

from agent.dataset.export.labels import STEPS, LabelOptions, labels_of
from agent.dataset.folder import Item
from evaluators.report import Detection, Report, Verdict, VerdictKind
from instdiff.formats import layout_to_json
from instdiff.layout import Box, Instance, Layout, Mask

LEFT, MIDDLE, RIGHT, CORNER = ((0.0, 0.2, 0.2, 0.8), (0.3, 0.2, 0.6, 0.8), (0.7, 0.2, 1.0, 0.8), (0.0, 0.9, 0.2, 1.0))


def box(corners, by=0.0):
    x0, y0, x1, y1 = corners
    return Box(x0=x0 + by, y0=y0, x1=min(x1 + by, 1.0), y1=y1)


def seen(category, corners, score=0.9, by=0.0, colour=""):
    place = box(corners, by)
    at = (np.arange(100) + 0.5) / 100
    mask = np.outer((place.y0 <= at) & (at < place.y1), (place.x0 <= at) & (at < place.x1))
    return Detection(category=category, score=score, box=place, mask=Mask.from_array(mask), colour=colour)


def an_item(verdicts, every=()):
    """An item of a red cup, a dog and a horse; ``verdicts`` are (kind, detection) of each."""
    things = [("a red cup", "cup", LEFT), ("a dog", "dog", MIDDLE), ("a horse", "horse", RIGHT)]
    instances = [Instance(caption=caption, category=name, box=box(place)) for caption, name, place in things]
    layout = Layout(width=100, height=100, caption="a picture", instances=tuple(instances))
    judged = tuple(
        Verdict(instance=index, name=things[index][1], kind=kind, iou=0.8 if detection else 0, detection=detection)
        for index, (kind, detection) in enumerate(verdicts)
    )
    report = Report(detector="draft", iou_threshold=0.5, verdicts=judged)
    found = tuple(index for index, (kind, _) in enumerate(verdicts) if kind is VerdictKind.FOUND)
    return Item(
        index=0,
        prompt="",
        seed=0,
        round=0,
        planner="none",
        painted_with={},
        annotated=found,
        layout=layout_to_json(layout),
        report=report,
        seen=tuple(every),
        score=0.5,
    )


CUP = (VerdictKind.FOUND, seen("cup", LEFT, 0.9, 0.02, "red"))
DOG = (VerdictKind.FOUND, seen("dog", MIDDLE))
HORSE = (VerdictKind.FOUND, seen("horse", RIGHT))
MISSING = (VerdictKind.MISSING, None)


def names(item, **options):
    """(labels, regions to ignore) by name."""
    every = labels_of(item, LabelOptions(**options))
    return [one.name for one in every if not one.ignore], [one.name for one in every if one.ignore]


@pytest.mark.parametrize(
    ("unverified", "expected"),
    [
        ("ignore", (["cup", "dog"], ["horse"])),
        ("label", (["cup", "dog", "horse"], [])),
        ("none", (["cup", "dog"], [])),
    ],
)
def test_what_was_planned_and_not_verified(unverified, expected):
    item = an_item([CUP, DOG, MISSING])
    assert names(item, unverified=unverified) == expected
    assert labels_of(item, LabelOptions(unverified="drop")) is None


def test_a_picture_without_fault_is_not_dropped():
    assert names(an_item([CUP, DOG, HORSE]), unverified="drop") == (["cup", "dog", "horse"], [])


def test_another_colour_does_not_cost_the_box_and_is_said():
    blue = (VerdictKind.WRONG_ATTRIBUTE, seen("cup", LEFT, colour="blue"))
    labels = labels_of(an_item([blue, DOG, HORSE]), LabelOptions())
    assert (labels[0].name, labels[0].caption, labels[0].verdict) == ("cup", "a blue cup", "wrong attribute")


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        (seen("cat", CORNER, 0.9), (["cup", "dog", "horse", "cat"], [])),
        (seen("cat", CORNER, 0.3), (["cup", "dog", "horse"], ["cat"])),
        (seen("cat", CORNER, 0.1), (["cup", "dog", "horse"], [])),
        (seen("wolf", MIDDLE, 0.9), (["cup", "dog", "horse"], [])),  # the dog, under another name
        (seen("dog", (0.3, 0.2, 0.4, 0.8), 0.9), (["cup", "dog", "horse"], ["dog"])),  # one of two, or a part of it
        (seen("dog", (0.3, 0.2, 0.4, 0.8), 0.4), (["cup", "dog", "horse"], [])),  # a part of it
        (seen("cat", (0.3, 0.2, 0.4, 0.4), 0.9), (["cup", "dog", "horse"], ["cat"])),  # the head of the dog
        (seen("cat", (0.5, 0.2, 0.7, 0.4), 0.9), (["cup", "dog", "horse", "cat"], [])),  # beside its head
    ],
)
def test_what_is_seen_and_not_planned(extra, expected):
    item = an_item([CUP, DOG, HORSE], [DOG[1], extra])
    assert names(item) == expected
    assert names(item, extras="none") == (["cup", "dog", "horse"], [])
    assert names(item, extras="ignore")[0] == ["cup", "dog", "horse"]


def test_nobody_knows_what_is_in_the_place_of_a_thing_that_is_not_seen():
    item = an_item([CUP, DOG, MISSING], [seen("cow", RIGHT)])
    assert names(item) == (["cup", "dog"], ["cow", "horse"])
    halves = an_item([CUP, DOG, HORSE], [seen("cow", (0.4, 0.1, 0.9, 0.9), 0.9)])  # of the dog and of the horse
    assert names(halves) == (["cup", "dog", "horse"], ["cow"])


def test_what_is_elsewhere_is_labelled_there_and_its_place_is_ignored():
    item = an_item([CUP, DOG, (VerdictKind.MISPLACED, seen("horse", CORNER))])
    labels = labels_of(item, LabelOptions(boxes="plan"))
    assert [(label.name, label.ignore) for label in labels] == [
        ("cup", False),
        ("dog", False),
        ("horse", False),
        ("horse", True),
    ]
    assert labels[2].box == box(CORNER) and labels[2].source == "seen" and labels[3].box == box(RIGHT)


@pytest.mark.parametrize(("boxes", "x0"), [("plan", 0.0), ("seen", 0.02), ("mean", 0.01)])
def test_boxes_are_planned_seen_or_the_mean(boxes, x0):
    label = labels_of(an_item([CUP, DOG, HORSE]), LabelOptions(boxes=boxes))[0]
    assert label.box.x0 == pytest.approx(x0) and label.source == boxes and label.mask and label.score == 0.9


def test_boxes_that_differ_have_no_mean():
    item = an_item([CUP, DOG, HORSE])
    verdicts = tuple(verdict.model_copy(update={"iou": 0.6}) for verdict in item.report.verdicts)
    item = item.model_copy(update={"report": item.report.model_copy(update={"verdicts": verdicts})})
    label = labels_of(item, LabelOptions(boxes="mean"))[0]
    assert label.box.x0 == pytest.approx(0.02) and label.source == "seen"


def test_what_is_unsure_is_ignored():
    unsure = (VerdictKind.FOUND, seen("dog", MIDDLE, 0.2))
    assert names(an_item([CUP, unsure, HORSE]), min_score=0.3) == (["cup", "horse"], ["dog"])


AWAY = (VerdictKind.MISPLACED, seen("horse", CORNER))


@pytest.mark.parametrize(
    ("refine", "labelled", "ignored"),
    [
        ((), [("cup", "plan"), ("dog", "plan"), ("horse", "plan")], []),  # the plan
        (("drop",), [("cup", "plan"), ("dog", "plan")], [("horse", "plan")]),
        (("add",), [("cup", "plan"), ("dog", "plan"), ("horse", "plan"), ("cat", "seen")], []),
        (("correct",), [("cup", "mean"), ("dog", "mean"), ("horse", "seen")], []),
        (STEPS, [("cup", "mean"), ("dog", "mean"), ("horse", "seen"), ("cat", "seen")], [("horse", "plan")]),
    ],
)
def test_labels_are_refined_step_by_step(refine, labelled, ignored):
    item = an_item([CUP, DOG, AWAY], [seen("cat", (0.3, 0.0, 0.5, 0.15))])
    every = labels_of(item, LabelOptions(refine=refine))
    assert [(one.name, one.source) for one in every if not one.ignore] == labelled
    assert [(one.name, one.source) for one in every if one.ignore] == ignored


def test_what_is_said_goes_before_the_steps():
    item = an_item([CUP, DOG, MISSING])
    assert names(item, refine=(), unverified="ignore", boxes="seen") == (["cup", "dog"], ["horse"])


@pytest.mark.parametrize(
    ("least", "labelled"),
    [
        ({"min_fit": 0.81}, ["cat"]),  # which was not planned
        ({"min_size": 0.35}, ["dog", "horse"]),
        ({"min_free": 0.9}, ["cup", "horse"]),  # cat and dog lie on one another
        ({"min_score": 0.95}, []),
    ],
)
def test_what_is_difficult_becomes_a_region_to_ignore(least, labelled):
    item = an_item([CUP, DOG, HORSE], [seen("cat", (0.2, 0.6, 0.45, 0.95))])
    assert names(item) == (["cup", "dog", "horse", "cat"], [])
    kept, ignored = names(item, **least)
    assert kept == labelled and sorted(kept + ignored) == ["cat", "cup", "dog", "horse"]
