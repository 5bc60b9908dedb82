"""A plan is put to a detector: what its answers make of each planned thing, and what else is said of the picture."""

import pytest
from PIL import Image, ImageDraw

from evaluators.questions import Sighting
from evaluators.report import Detection, Report
from evaluators.verifying import judge, verify
from instdiff.layout import Box, Instance, Layout, Point, Scribble
from tests.agent.doubles import COLOURS, ColourDetector

WORDS = {"dog": "dog", "puppy": "dog", "couch": "couch", "sofa": "couch", "cat": "cat"}
LEFT = (0.0, 0.0, 0.4, 0.4)
RIGHT = (0.6, 0.0, 1.0, 0.4)
SHIFTED = (0.1, 0.0, 0.5, 0.4)  # IoU 0.6 with LEFT
NEAR = (0.04, 0.0, 0.44, 0.4)  # IoU 0.82 with LEFT, 0.74 with SHIFTED
FAR = (0.3, 0.0, 0.7, 0.4)  # IoU 1/7 with LEFT


def box(x0, y0, x1, y1):
    return Box(x0=x0, y0=y0, x1=x1, y1=y1)


def seen(category, corners, score=0.9, colour=""):
    return Detection(category=category, score=score, box=box(*corners), colour=colour)


def planned(category, corners, caption=""):
    return Instance(caption=caption or f"a {category}", category=category, box=box(*corners))


def judged(instances, answers, detections=(), found_score=0.3, iou_threshold=0.5):
    sighting = Sighting(tuple(answers), tuple(detections))
    layout = Layout(caption="c", instances=tuple(instances))
    return judge(layout, sighting, WORDS.get, found_score, iou_threshold, "test")


def kinds(report):
    return [verdict.kind.value for verdict in report.verdicts]


DOG, CAT = seen("dog", LEFT), seen("cat", RIGHT)


@pytest.mark.parametrize(
    ("instances", "answers", "detections", "verdicts", "extras"),
    [
        ([planned("dog", LEFT)], [DOG], [DOG], ["found"], 0),
        ([planned("dog", LEFT)], [seen("dog", LEFT, 0.3)], [], ["found"], 0),  # where nothing is sure of itself
        ([planned("dog", LEFT)], [seen("dog", LEFT, 0.29)], [], ["missing"], 0),
        ([planned("dog", LEFT)], [None], [], ["missing"], 0),
        ([planned("sofa", LEFT)], [seen("couch", LEFT)], [], ["found"], 0),  # another word for the same
        # swapped: each is where the other should be
        (
            [planned("dog", LEFT), planned("cat", RIGHT)],
            [seen("dog", LEFT, 0.1), seen("cat", RIGHT, 0.1)],
            [seen("dog", RIGHT), seen("cat", LEFT)],
            ["misplaced", "misplaced"],
            0,
        ),
        # something else is in its place
        ([planned("dog", LEFT)], [None], [seen("cat", LEFT)], ["missing"], 1),
        ([planned("dog", LEFT)], [seen("dog", LEFT, 0.1)], [seen("dog", RIGHT)], ["misplaced"], 0),
        # what is in its place, and not sure enough, is not elsewhere
        ([planned("dog", LEFT)], [seen("dog", LEFT, 0.2)], [seen("dog", LEFT, 0.2)], ["missing"], 0),
        # drawn twice
        ([planned("dog", LEFT)], [DOG], [DOG, seen("dog", RIGHT)], ["found"], 1),
        ([planned("dog", LEFT)], [DOG], [DOG, seen("dog", RIGHT, 0.4)], ["found"], 0),  # not sure enough for an extra
        ([planned("dog", LEFT)], [DOG], [DOG, seen("dog", SHIFTED)], ["found"], 0),  # the same thing again
        # one that is found is not elsewhere for another
        (
            [planned("dog", LEFT), planned("dog", RIGHT)],
            [DOG, None],
            [DOG, seen("dog", NEAR)],
            ["found", "missing"],
            0,
        ),
        # the one that is in its place leaves the other, which is elsewhere, to the second
        (
            [planned("dog", LEFT), planned("dog", RIGHT)],
            [DOG, None],
            [seen("dog", FAR), DOG],
            ["found", "misplaced"],
            0,
        ),
        # the detector has no word for it
        ([planned("dragon", LEFT)], [None], [], ["unchecked"], 0),
        (
            [planned("dragon", LEFT), planned("dog", LEFT)],
            [None, DOG],
            [seen("dragon", LEFT)],
            ["unchecked", "found"],
            0,
        ),
        ([], [], [DOG], [], 1),
    ],
)
def test_verdicts(instances, answers, detections, verdicts, extras):
    report = judged(instances, answers, detections)
    assert kinds(report) == verdicts and len(report.extras) == extras
    assert [verdict.instance for verdict in report.verdicts] == list(range(len(instances)))
    for verdict, answer in zip(report.verdicts, answers, strict=True):
        assert (verdict.detection is not None) == (verdict.kind.value in ("found", "misplaced"))
        asked_for = None if verdict.kind == "unchecked" else answer.score if answer else 0.0
        assert verdict.sure == asked_for


def two_dogs(second, answers, detections=()):
    return judged([planned("dog", LEFT), planned("dog", second)], answers, detections)


def test_one_thing_answers_for_one_of_two():
    one = seen("dog", NEAR)
    report = two_dogs(SHIFTED, [one, one])
    assert kinds(report) == ["found", "missing"]  # it fits the first place better
    assert [verdict.sure for verdict in report.verdicts] == [0.9, 0.9]
    again = seen("dog", (0.05, 0.0, 0.45, 0.4), 0.5)  # the same thing as another box saw it
    assert kinds(two_dogs(SHIFTED, [one, again])) == ["found", "missing"]
    assert kinds(two_dogs(SHIFTED, [again, one])) == ["found", "missing"]


def test_two_things_answer_for_two_though_one_is_surest_in_both_places():
    surest, other = seen("dog", NEAR), seen("dog", (0.15, 0.0, 0.55, 0.4), 0.6)
    report = two_dogs(SHIFTED, [surest, surest], [surest, other])
    assert kinds(report) == ["found", "found"] and [v.detection for v in report.verdicts] == [surest, other]
    unsure = other.model_copy(update={"score": 0.2})
    assert kinds(two_dogs(SHIFTED, [surest, surest], [surest, unsure])) == ["found", "missing"]


def test_two_that_are_planned_in_one_place_cannot_be_told_apart():
    assert kinds(two_dogs(NEAR, [DOG, DOG], [DOG])) == ["found", "found"]
    other = seen("dog", (0.12, 0.0, 0.52, 0.4))
    report = two_dogs(NEAR, [DOG, DOG], [DOG, other])
    assert {verdict.detection.box for verdict in report.verdicts} == {DOG.box, other.box}


def test_two_categories_may_be_in_one_place():
    report = judged([planned("dog", LEFT), planned("cat", LEFT)], [DOG, seen("cat", LEFT, 0.5)], [DOG])
    assert kinds(report) == ["found", "found"]


@pytest.mark.parametrize(
    ("caption", "colour", "kind"),
    [
        ("a red dog", "red", "found"),
        ("a red dog", "blue", "wrong attribute"),
        ("a red dog", "", "found"),  # a detector that does not tell
        ("a dog", "blue", "found"),
    ],
)
def test_the_colour_in_the_place_is_held_against_the_caption(caption, colour, kind):
    report = judged([planned("dog", LEFT, caption)], [seen("dog", LEFT, 0.5, colour)])
    assert kinds(report) == [kind] and report.verdicts[0].detection.colour == colour
    elsewhere = judged([planned("dog", LEFT, caption)], [None], [seen("dog", RIGHT, 0.5, colour)])
    assert kinds(elsewhere) == ["misplaced"]


def test_a_hidden_thing_is_found_by_what_is_left_of_it():
    behind, front = planned("couch", (0.0, 0.2, 0.8, 0.6)), planned("dog", (0.3, 0.2, 1.0, 0.9))
    part = seen("couch", (0.0, 0.2, 0.3, 0.6))
    report = judged([behind, front], [part, seen("dog", front.box.xyxy)])
    assert kinds(report) == ["found", "found"] and report.verdicts[0].iou == pytest.approx(1.0)
    alone = judged([behind], [None], [part])  # nothing hides it: so small it is elsewhere
    assert kinds(alone) == ["misplaced"] and alone.verdicts[0].iou == pytest.approx(0.375)


LINE = tuple(Point(x=x, y=0.5) for x in (0.1, 0.3, 0.5, 0.9))


@pytest.mark.parametrize(
    ("place", "corners", "iou", "kind"),
    [
        ({"point": LINE[0]}, (0.0, 0.4, 0.2, 0.6), 1.0, "found"),
        ({"scribble": Scribble(points=LINE)}, (0.0, 0.4, 0.6, 0.6), 0.75, "found"),
    ],
)
def test_places_without_extent(place, corners, iou, kind):
    report = judged([Instance(caption="a dog", category="dog", **place)], [seen("dog", corners)])
    assert kinds(report) == [kind] and report.verdicts[0].iou == pytest.approx(iou)


def test_the_users_bars_hold():
    dog = [planned("dog", LEFT)], [seen("dog", SHIFTED, 0.6)]
    assert kinds(judged(*dog, found_score=0.6)) == ["found"]
    strict = judged(*dog, found_score=0.61)
    assert kinds(strict) == ["missing"] and (strict.found_score, strict.iou_threshold) == (0.61, 0.5)
    assert kinds(judged([planned("dog", LEFT)], [None], [seen("dog", SHIFTED)], iou_threshold=0.7)) == ["misplaced"]


def painted(**places):
    """A picture with a rectangle for each category."""
    image = Image.new("RGB", (100, 100), "white")
    for category, corners in places.items():
        x0, y0, x1, y1 = box(*corners).to_corners(image.size)
        ImageDraw.Draw(image).rectangle([x0, y0, x1 - 1, y1 - 1], fill=COLOURS[category])
    return image


def test_pictures_are_verified_each_by_its_own_plan():
    layouts = [
        Layout(caption="c", instances=(planned("dog", LEFT), planned("cat", RIGHT))),
        Layout(caption="c", instances=(planned("cat", RIGHT), planned("dog", LEFT))),
        Layout(caption="c", instances=(planned("tree", LEFT), planned("ghost", LEFT))),
        Layout(caption="c"),
    ]
    pictures = [painted(dog=LEFT, cat=RIGHT), painted(dog=RIGHT), painted(tree=FAR, car=RIGHT), painted(dog=LEFT)]
    reports = verify(ColourDetector(), pictures, layouts)
    assert [kinds(report) for report in reports] == [
        ["found", "found"],
        ["missing", "misplaced"],
        ["misplaced", "unchecked"],
        [],
    ]
    assert [report.verified for report in reports] == [True, False, False, False]
    assert {(report.detector, report.found_score) for report in reports} == {("colours", 0.5)}
    assert Report.model_validate_json(reports[1].model_dump_json()) == reports[1]
    [strict] = verify(
        ColourDetector(), [painted(dog=SHIFTED)], [Layout(caption="c", instances=(planned("dog", LEFT),))], 0.7
    )
    assert kinds(strict) == ["misplaced"] and strict.iou_threshold == 0.7
