"""Which repairs come next, where they paint, and what is accepted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.repair.failures import FailureKind, failures_of
from agent.repair.regions import covered_share, grown, region_of
from agent.repair.repairs import is_better, next_repairs
from agent.repair.routes import ROUTES
from evaluators.report import Detection, Report, Verdict, VerdictKind
from instdiff.layout import Box, Instance, Layout, Point, Scribble
from tests.agent.repair.test_moves import CUP, DOG, FAR, NEAR, START


def report(*kinds, seen=None, extras=()):
    verdicts = [
        Verdict(
            instance=index,
            name=START.layout.instances[index].name,
            kind=kind,
            detection=seen and Detection(category="cup", score=0.9, box=seen),
        )
        for index, kind in enumerate(kinds)
    ]
    others = tuple(Detection(category=name, score=0.9, box=box) for name, box in extras)
    return Report(detector="test", iou_threshold=0.5, verdicts=tuple(verdicts), extras=others)


FOUND, MISSING, MISPLACED = VerdictKind.FOUND, VerdictKind.MISSING, VerdictKind.MISPLACED


def coming(verdicts, tried=(), given=False, count=2, **more):
    failures = list(failures_of(START.layout, report(*verdicts, **more)))
    return next_repairs(START, failures, set(tried), given, count)


def test_the_moves_of_a_route_come_in_its_order_and_none_twice():
    tried = set()
    names = []
    while repairs := coming([MISSING, FOUND], tried):
        made = [(step.thing, step.move) for repair in repairs for step in repair.steps]
        assert not tried & set(made)
        tried |= set(made)
        names += [move for _, move in made]
    assert names == [move.name for move in ROUTES[FailureKind.MISSING]]


def test_several_failures_are_mended_at_once_and_all_else_stays():
    first, _, third = coming([MISSING, MISSING], count=3)
    assert [step.thing for step in first.steps] == ["cup 1", "dog 2"] and first.apart == (0, 1)
    for place in (CUP, DOG):
        assert any(region.intersection(place) == pytest.approx(place.area) for region in first.regions)
    assert first.share < 0.5 and third.plan.layout != START.layout


def test_a_given_layout_is_painted_again_and_never_changed():
    repairs = coming([MISSING, FOUND], given=True, count=9)
    assert len(repairs) == 2 and all(repair.plan.layout == START.layout for repair in repairs)


def test_a_misplaced_thing_is_first_followed_and_then_both_places_are_painted():
    follow, again = coming([MISPLACED, FOUND], seen=FAR)
    assert follow.regions == () and follow.share == 0.0 and follow.plan.layout.instances[0].box == FAR
    assert all(any(region.intersection(at) >= at.area - 1e-9 for region in again.regions) for at in (CUP, FAR))


def test_one_too_many_is_painted_over_and_nothing_is_planned_there():
    [failure] = failures_of(START.layout, report(FOUND, FOUND, extras=[("dog", FAR), ("sun", NEAR)]))
    assert failure.kind is FailureKind.EXTRA  # a sun may be there: nobody planned how many
    assert not list(failures_of(START.layout, report(FOUND, FOUND, extras=[("dog", DOG)])))  # a part of the dog
    repair = coming([FOUND, FOUND], extras=[("dog", FAR)])[0]
    assert (
        repair.plan == START and repair.apart == () and repair.regions[0].intersection(FAR) == pytest.approx(FAR.area)
    )


def test_only_what_touches_the_changed_regions_is_asked_for():
    whole = report(MISSING, MISSING, extras=[("dog", FAR)])
    near = list(failures_of(START.layout, whole, [grown(CUP, 0.1)]))
    assert [failure.tag for failure in near] == ["cup 1"]
    assert len(list(failures_of(START.layout, whole))) == 3 and not list(failures_of(START.layout, whole, []))


def test_regions_reach_further_with_every_move_tried():
    shares = []
    tried = set()
    for _ in range(3):
        repair = coming([MISSING, FOUND], tried, count=1)[0]
        tried |= {(step.thing, step.move) for step in repair.steps}
        shares.append(repair.regions[0].area)
    assert shares == sorted(shares) and shares[0] < shares[-1]


@pytest.mark.parametrize(
    "place",
    [
        {"box": CUP},
        {"point": Point(x=0.02, y=0.98)},
        {"scribble": Scribble(points=(Point(x=0.2, y=0.5), Point(x=0.3, y=0.5)))},
        {"scribble": Scribble(points=(Point(x=0.2, y=0.5), Point(x=0.3, y=0.7)))},
    ],
)
def test_every_kind_of_place_has_a_region(place):
    region = region_of(Instance(caption="a cup", category="cup", **place))
    assert region.area > 0.01


BOXES = st.tuples(*[st.floats(0, 0.9)] * 2, *[st.floats(0.01, 0.1)] * 2).map(
    lambda sides: Box(x0=sides[0], y0=sides[1], x1=sides[0] + sides[2], y1=sides[1] + sides[3])
)


@given(st.lists(BOXES, max_size=6))
def test_the_share_of_boxes_is_between_the_largest_and_their_sum(boxes):
    share = covered_share(boxes)
    assert max((box.area for box in boxes), default=0) - 1e-9 <= share <= min(sum(box.area for box in boxes), 1) + 1e-9


KINDS = st.lists(st.sampled_from(list(VerdictKind)), min_size=1, max_size=5)


@given(KINDS, st.data(), st.integers(0, 2), st.integers(0, 2))
def test_whatever_is_seen_nothing_that_was_found_is_given_up(kinds, data, extras_before, extras_after):
    others = data.draw(st.lists(st.sampled_from(list(VerdictKind)), min_size=len(kinds), max_size=len(kinds)))
    layout = Layout(caption="", instances=tuple(Instance(caption="a cat", category="cat", box=CUP) for _ in kinds))

    def made(own, extras):
        verdicts = tuple(Verdict(instance=index, name="cat", kind=kind) for index, kind in enumerate(own))
        more = tuple(Detection(category="cat", score=0.9, box=CUP) for _ in range(extras))
        return layout, Report(detector="test", iou_threshold=0.5, verdicts=verdicts, extras=more)

    before, after = made(kinds, extras_before), made(others, extras_after)
    accepted = is_better(before, after)
    kept = all(now is FOUND for was, now in zip(kinds, others, strict=True) if was is FOUND)
    more = after[1].score[0] > before[1].score[0] or (
        after[1].score[0] == before[1].score[0] and extras_after < extras_before
    )
    assert accepted == (kept and more)


def test_another_plan_must_find_as_many_of_each_name():
    def of(*names, found):
        layout = Layout(caption="", instances=tuple(Instance(caption=name, category=name, box=CUP) for name in names))
        kinds = [FOUND if name in found else MISSING for name in names]
        verdicts = tuple(Verdict(instance=i, name=n, kind=k) for i, (n, k) in enumerate(zip(names, kinds, strict=True)))
        return layout, Report(detector="test", iou_threshold=0.5, verdicts=verdicts)

    before = of("cat", "dog", found=["cat"])
    assert is_better(before, of("dog", "cat", found=["cat", "dog"]))
    assert not is_better(before, of("dog", "cat", found=["dog"]))
    assert not is_better(of("cat", "cat", "dog", found=["cat"]), of("dog", "cat", "cow", found=["dog", "cat", "cow"]))
