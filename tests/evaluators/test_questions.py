"""What a plan asks of a detector: in which place each thing is, and what nearer things leave of it."""

import numpy as np
import pytest

from evaluators.questions import MIN_VISIBLE, Question, overlaps, questions_of, visible_part
from instdiff.layout import Box, Instance, Layout, Mask, Point, Scribble


def box(x0, y0, x1, y1):
    return Box(x0=x0, y0=y0, x1=x1, y1=y1)


PLACE = box(0.2, 0.2, 0.6, 0.6)


@pytest.mark.parametrize(
    ("nearer", "left"),
    [
        ([], PLACE),
        ([box(0.7, 0.7, 0.9, 0.9)], PLACE),  # elsewhere
        ([box(0.6, 0.2, 0.9, 0.9)], PLACE),  # beside it
        ([box(0.2, 0.4, 0.6, 0.8)], box(0.2, 0.2, 0.6, 0.4)),  # the lower half
        ([box(0.0, 0.0, 0.3, 1.0)], box(0.3, 0.2, 0.6, 0.6)),  # the left quarter
        ([box(0.3, 0.5, 0.5, 0.8)], PLACE),  # a piece of an edge: its corners are seen
        ([box(0.3, 0.3, 0.5, 0.5)], PLACE),  # a piece of its middle
        ([box(0.2, 0.4, 0.4, 0.8), box(0.4, 0.4, 0.6, 0.9)], box(0.2, 0.2, 0.6, 0.4)),  # two that hide it together
        ([box(0.2, 0.4, 0.4, 0.8), box(0.2, 0.5, 0.4, 0.9)], PLACE),  # two on one spot hide it once
        ([box(0.0, 0.25, 1.0, 1.0)], None),  # an eighth is left
        ([box(0.1, 0.1, 0.9, 0.9)], None),  # nothing is
    ],
)
def test_what_nearer_boxes_leave(nearer, left):
    visible = visible_part(PLACE, nearer)
    assert (visible and visible.xyxy) == (left and pytest.approx(left.xyxy))


@pytest.mark.parametrize(("share", "is_known"), [(MIN_VISIBLE - 0.01, False), (MIN_VISIBLE + 0.01, True)])
def test_a_thing_is_not_known_by_a_small_part(share, is_known):
    hidden = visible_part(PLACE, [box(0.0, 0.2 + 0.4 * share, 1.0, 1.0)])
    assert (hidden is not None) == is_known


def planned(category, place):
    return Instance(caption=f"a {category}", category=category, box=place)


def asked(*instances):
    return questions_of(Layout(caption="c", instances=instances))


def test_the_lower_one_hides_the_other_and_is_never_hidden():
    behind, front = box(0.2, 0.2, 0.6, 0.6), box(0.2, 0.4, 0.6, 0.8)
    for order in ((behind, front), (front, behind)):
        questions = dict(zip(order, asked(*(planned("cat", place) for place in order)), strict=True))
        assert len(questions[behind].boxes) == 2 and questions[behind].boxes[0] == behind
        assert questions[behind].boxes[1].xyxy == pytest.approx((0.2, 0.2, 0.6, 0.4))
        assert questions[front].boxes == (front,)
    level = asked(planned("cat", behind), planned("dog", box(0.3, 0.3, 0.7, 0.6)))  # neither is nearer
    assert [len(question.boxes) for question in level] == [1, 1]


def test_a_cup_before_a_table_leaves_its_outline():
    table, cup = asked(planned("table", box(0.1, 0.4, 0.9, 0.8)), planned("cup", box(0.4, 0.6, 0.6, 0.9)))
    assert len(table.boxes) == len(cup.boxes) == 1 and (table.category, cup.category) == ("table", "cup")


POINTS = tuple(Point(x=x, y=0.5) for x in (0.1, 0.3, 0.5, 0.9))
SQUARE = np.zeros((10, 10), dtype=bool)
SQUARE[2:6, 2:6] = True


@pytest.mark.parametrize(
    ("place", "boxes", "points"),
    [
        ({"point": POINTS[0]}, (), POINTS[:1]),
        ({"scribble": Scribble(points=POINTS)}, (), POINTS),  # a flat line has no box
        ({"scribble": Scribble(points=(Point(x=0.2, y=0.2), Point(x=0.6, y=0.6)))}, (PLACE,), ()),
        ({"mask": Mask.from_array(SQUARE)}, (PLACE,), ()),
        ({"mask": Mask.from_array(0 * SQUARE)}, (), ()),  # nowhere
        ({"box": PLACE, "point": POINTS[3]}, (PLACE,), ()),
    ],
)
def test_every_kind_of_place_can_be_asked_for(place, boxes, points):
    [question] = asked(Instance(caption="a dog", category="dog", **place))
    assert question == Question("dog", boxes, points)


def test_a_box_fits_a_place_or_its_visible_part():
    question = Question("cat", (PLACE, box(0.2, 0.2, 0.6, 0.4)))
    corners = [PLACE.xyxy, (0.2, 0.2, 0.6, 0.4), (0.2, 0.2, 0.6, 0.3), (0.7, 0.7, 0.8, 0.8), (0.4, 0.4, 0.4, 0.4)]
    assert overlaps(question, np.array(corners)) == pytest.approx([1.0, 1.0, 0.5, 0.0, 0.0])
    assert overlaps(Question("cat", (), POINTS), np.array([(0.0, 0.4, 0.6, 0.6)])) == pytest.approx([0.75])
    assert overlaps(Question("cat", ()), np.array(corners)).tolist() == [0.0] * 5
    for one in (question, Question("cat", (), POINTS), Question("cat", ())):
        assert overlaps(one, np.array([])).shape == (0,)
