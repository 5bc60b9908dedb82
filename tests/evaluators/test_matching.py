import numpy as np
import pytest

from evaluators.matching import mask_iou, match, place_iou, unchecked_report
from evaluators.report import Detection
from instdiff.layout import Box, Instance, Layout, Mask, Point, Scribble

WORDS = {"dog": "dog", "puppy": "dog", "couch": "couch", "sofa": "couch", "cat": "cat"}


def box(x0, y0, x1, y1):
    return Box(x0=x0, y0=y0, x1=x1, y1=y1)


def seen(category, *xyxy, score=0.9):
    return Detection(category=category, score=score, box=box(*xyxy))


def planned(category, *xyxy):
    return Instance(caption=f"a {category}", category=category, box=box(*xyxy))


def judge(instances, detections, iou_threshold=0.5):
    return match(Layout(caption="c", instances=tuple(instances)), detections, WORDS.get, iou_threshold, "test")


LEFT = (0.0, 0.0, 0.4, 0.4)
RIGHT = (0.6, 0.0, 1.0, 0.4)
SHIFTED = (0.1, 0.0, 0.5, 0.4)  # IoU 0.6 with LEFT
FAR = (0.3, 0.0, 0.7, 0.4)  # IoU 1/7 with LEFT


@pytest.mark.parametrize(
    "instances, detections, kinds, ious, extras",
    [
        ([planned("dog", *LEFT)], [seen("dog", *LEFT)], ["found"], [1.0], 0),
        ([planned("dog", *LEFT)], [seen("dog", *SHIFTED)], ["found"], [0.6], 0),
        ([planned("dog", *LEFT)], [seen("dog", *FAR)], ["misplaced"], [1 / 7], 0),
        ([planned("dog", *LEFT)], [seen("dog", *RIGHT)], ["misplaced"], [0.0], 0),
        ([planned("dog", *LEFT)], [], ["missing"], [0.0], 0),
        ([planned("dog", *LEFT)], [seen("cat", *LEFT)], ["missing"], [0.0], 1),
        ([planned("dragon", *LEFT)], [seen("dog", *LEFT)], ["unchecked"], [0.0], 1),
        ([planned("sofa", *LEFT)], [seen("couch", *LEFT)], ["found"], [1.0], 0),  # another word for the same
        ([], [seen("dog", *LEFT), seen("dog", *RIGHT, score=0.4)], [], [], 1),  # an uncertain one is no extra
        ([], [seen("dragon", *LEFT)], [], [], 0),  # nor is what the detector has no word for
        # one detection serves one instance
        ([planned("dog", *LEFT), planned("dog", *LEFT)], [seen("dog", *LEFT)], ["found", "missing"], [1.0, 0.0], 0),
        # both in their place, whatever the order
        (
            [planned("dog", *LEFT), planned("dog", *RIGHT)],
            [seen("dog", *RIGHT), seen("dog", *LEFT)],
            ["found", "found"],
            [1.0, 1.0],
            0,
        ),
        # of two on the same spot the certain one is matched, the other is an extra
        ([planned("dog", *LEFT)], [seen("dog", *LEFT, score=0.6), seen("dog", *LEFT, score=0.9)], ["found"], [1.0], 1),
    ],
)
def test_match(instances, detections, kinds, ious, extras):
    report = judge(instances, detections)
    assert [verdict.kind.value for verdict in report.verdicts] == kinds
    assert [verdict.iou for verdict in report.verdicts] == pytest.approx(ious)
    assert len(report.extras) == extras
    assert [verdict.instance for verdict in report.verdicts] == list(range(len(instances)))
    for verdict in report.verdicts:
        assert (verdict.detection is not None) == (verdict.kind.value in ("found", "misplaced"))


def test_match_puts_most_instances_in_their_place_where_greedy_does_not():
    # Greedy takes the best pair, first with second box, and leaves the second instance below the threshold.
    first = planned("dog", 0.0, 0.0, 0.5, 0.5)
    second = planned("dog", 0.0, 0.0, 0.5, 0.4)
    near_both = seen("dog", 0.0, 0.0, 0.5, 0.47)
    near_first = seen("dog", 0.0, 0.0, 0.5, 0.65)
    report = judge([first, second], [near_both, near_first], iou_threshold=0.7)
    assert [verdict.detection for verdict in report.verdicts] == [near_first, near_both]
    assert report.found == 2


def test_match_keeps_the_threshold_and_name_it_was_asked_for():
    strict = judge([planned("dog", *LEFT)], [seen("dog", *SHIFTED)], iou_threshold=0.75)
    assert (strict.verdicts[0].kind.value, strict.iou_threshold, strict.detector) == ("misplaced", 0.75, "test")


POINTS = (Point(x=0.1, y=0.5), Point(x=0.3, y=0.5), Point(x=0.5, y=0.5), Point(x=0.9, y=0.5))
SQUARE = np.zeros((10, 10), dtype=bool)
SQUARE[2:6, 2:6] = True


@pytest.mark.parametrize(
    "places, found, iou",
    [
        ({"point": Point(x=0.2, y=0.3)}, (0.1, 0.1, 0.4, 0.4), 1.0),
        ({"point": Point(x=0.3, y=0.2)}, (0.1, 0.25, 0.4, 0.4), 0.0),  # x and y are not mixed up
        (
            {"scribble": Scribble(points=POINTS)},
            (0.0, 0.4, 0.6, 0.6),
            0.75,
        ),  # a flat line has no box: share of its points
        ({"scribble": Scribble(points=(Point(x=0.2, y=0.2), Point(x=0.6, y=0.6)))}, (0.2, 0.2, 0.6, 0.6), 1.0),
        ({"mask": Mask.from_array(SQUARE)}, (0.2, 0.2, 0.6, 0.6), 1.0),
        ({"mask": Mask.from_array(SQUARE)}, (0.2, 0.2, 0.6, 0.4), 0.5),
        ({"box": box(0.0, 0.0, 0.2, 0.2), "point": Point(x=0.9, y=0.9)}, (0.0, 0.0, 0.2, 0.2), 1.0),  # the box counts
    ],
)
def test_place_iou(places, found, iou):
    assert place_iou(Instance(caption="a dog", **places), box(*found)) == pytest.approx(iou)


def test_empty_mask_is_unchecked():
    nowhere = Instance(caption="a dog", category="dog", mask=Mask.from_array(np.zeros((8, 8), dtype=bool)))
    assert judge([nowhere], [seen("dog", *LEFT)]).verdicts[0].kind.value == "unchecked"


def test_unchecked_report_is_not_verified():
    report = unchecked_report(Layout(caption="c", instances=(planned("dog", *LEFT), planned("cat", *RIGHT))))
    assert (report.detector, report.checked, report.verified) == ("none", 0, False)
    assert len(report.verdicts) == 2


def mask(*rows):
    return Mask.from_array(np.array(rows))


@pytest.mark.parametrize(
    "planned, found, iou",
    [
        (mask([1, 1], [0, 0]), mask([1, 1], [0, 0]), 1.0),
        (mask([1, 1], [0, 0]), mask([0, 0], [1, 1]), 0.0),
        (mask([1, 1], [0, 0]), mask([1, 0], [1, 0]), 1 / 3),
        (
            mask([1, 0], [0, 0]),
            mask([1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]),
            1.0,
        ),  # other pixels, the same shape
        (mask([1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1]), mask([1, 0], [0, 0]), 4 / 5),
        (
            mask([1, 1], [0, 0]),
            mask([1, 1, 1], [0, 0, 0], [0, 0, 0]),
            1.0,
        ),  # the centre of a lower pixel is not in the first row
        (mask([0, 0]), mask([0, 0]), None),
        (None, mask([1, 1]), None),
        (mask([1, 1]), None, None),
    ],
)
def test_mask_iou(planned, found, iou):
    assert mask_iou(planned, found) == (iou if iou is None else pytest.approx(iou))


def test_a_verdict_compares_shapes_where_both_have_one():
    shape = mask([1, 0], [1, 0])
    other = mask([1, 0], [0, 0])
    instances = [Instance(caption="a dog", category="dog", mask=shape), planned("cat", *RIGHT)]
    detections = [
        seen("dog", 0, 0, 0.5, 1).model_copy(update={"mask": other}),
        seen("cat", *RIGHT).model_copy(update={"mask": other}),
    ]
    report = judge(instances, detections)
    assert [verdict.mask_iou for verdict in report.verdicts] == [0.5, None]
    assert [verdict.kind.value for verdict in report.verdicts] == ["found", "found"]
