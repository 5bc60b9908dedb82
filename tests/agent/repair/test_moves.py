"""What each move does about a thing that failed, and what it leaves alone."""

import pytest

from agent.planners.plan import Plan
from agent.repair import moves
from agent.repair.failures import Failure, FailureKind, failures_of
from agent.repair.routes import ROUTES
from evaluators.report import Detection, Report, Verdict, VerdictKind
from instdiff.layout import Box, Instance, Layout
from instdiff.world.scene import Predicate, Relation, Scene, SceneObject

CUP = Box(x0=0.1, y0=0.4, x1=0.3, y1=0.6)
DOG = Box(x0=0.6, y0=0.4, x1=0.9, y1=0.8)
NEAR = Box(x0=0.15, y0=0.45, x1=0.35, y1=0.65)
FAR = Box(x0=0.7, y0=0.1, x1=0.9, y1=0.3)


def plan(*things, caption="a red cup and a dog", relations=(), ids=()):
    """A plan of (caption, category, box)."""
    instances = tuple(Instance(caption=words, category=name, box=box) for words, name, box in things)
    objects = tuple(SceneObject(id=own, category=thing[1]) for own, thing in zip(ids, things, strict=False))
    scene = Scene(caption=caption, objects=objects, relations=tuple(relations)) if ids else None
    return Plan(layout=Layout(caption=caption, instances=instances), planner="offline", scene=scene, ids=ids)


START = plan(("a fine red cup with a handle", "cup", CUP), ("a dog", "dog", DOG))


def failed(kind=VerdictKind.MISSING, seen=None, index=0, of=START):
    detection = seen and Detection(category="cup", score=0.9, box=seen)
    verdict = Verdict(instance=index, name="cup", kind=kind, iou=0.1 if seen else 0.0, detection=detection)
    report = Report(detector="test", iou_threshold=0.5, verdicts=(verdict,))
    return next(failures_of(of.layout, report))


@pytest.mark.parametrize(
    ("caption", "chosen", "plain"),
    [
        ("a fine red cup with a handle", False, "a red cup"),
        ("a fine red cup with a handle", True, "a cup"),  # the colour was the planner's own choice
        ("an old orange cup", False, "an orange cup"),
        ("the tall brass cup", False, "the cup"),
        ("a cup", False, None),
    ],
)
def test_a_plain_caption_keeps_the_colours_that_were_asked_for(caption, chosen, plain):
    start = plan((caption, "cup", CUP), ids=("a",))
    objects = tuple(item.model_copy(update={"chosen": chosen}) for item in start.scene.objects)
    start = start.model_copy(update={"scene": start.scene.model_copy(update={"objects": objects})})
    after = moves.say_plainly(start, failed(of=start))
    assert (after and after.layout.instances[0].caption) == plain


def test_a_wrong_colour_is_said_first_and_again():
    wrong = failed(VerdictKind.WRONG_ATTRIBUTE, CUP)
    after = moves.say_the_colour_first(START, wrong)
    assert after.layout.instances[0].caption == "a red cup, entirely red"
    assert moves.say_the_colour_first(after, wrong) is None
    assert moves.say_the_colour_first(plan(("a cup", "cup", CUP)), wrong) is None


def test_more_grounding_is_a_matter_of_strengths_and_is_not_done_twice():
    stronger = moves.ground_more(START, failed())
    assert (stronger.alpha, stronger.mis, stronger.layout) == (1.0, 0.5, START.layout)
    assert moves.ground_more(stronger, failed()) is None


def test_what_is_missing_grows_on_its_foot_and_keeps_its_side():
    after = moves.make_larger(START, failed()).layout.instances
    assert after[0].box.area > CUP.area and after[0].box.y1 == pytest.approx(CUP.y1)
    assert after[0].box.x1 < DOG.x0 and after[1] == START.layout.instances[1]


def test_what_is_covered_grows_away_from_what_covers_it():
    crowded = plan(("a cup", "cup", CUP), ("a dog", "dog", Box(x0=0.2, y0=0.3, x1=0.6, y1=0.7)))
    assert moves.make_larger(crowded, failed(of=crowded)).layout.instances[0].box.centre.x < CUP.centre.x


def test_what_is_hidden_is_brought_before_what_hides_it():
    hidden = plan(("a cup", "cup", CUP), ("a dog", "dog", Box(x0=0.05, y0=0.3, x1=0.4, y1=0.7)))
    failure = failed(of=hidden)
    assert failure.kind is FailureKind.HIDDEN
    moved = moves.bring_to_front(hidden, failure).layout.instances[0].box
    assert moved.y1 > 0.7 and (moved.width, moved.height) == pytest.approx((CUP.width, CUP.height))
    assert moves.bring_to_front(START, failed()) is None  # nothing is before it


@pytest.mark.parametrize("seen", [NEAR, FAR])
def test_a_plan_follows_a_thing_to_where_it_is(seen):
    failure = failed(VerdictKind.MISPLACED, seen)
    assert moves.follow(START, failure).layout.instances[0].box == seen


def test_a_plan_does_not_follow_where_the_words_forbid_it():
    left = Relation(subject="a", predicate=Predicate.LEFT_OF, object="b")
    beside = plan(("a cup", "cup", CUP), ("a dog", "dog", DOG), relations=[left], ids=("a", "b"))
    across = Box(x0=0.75, y0=0.82, x1=0.98, y1=0.98)
    assert moves.follow(beside, failed(VerdictKind.MISPLACED, across, of=beside)) is None
    assert moves.follow(START, failed(VerdictKind.MISPLACED, across)) is not None
    assert moves.follow(START, failed(VerdictKind.MISPLACED, DOG)) is None  # another thing is planned there


def test_another_place_keeps_what_the_words_say():
    on = Relation(subject="a", predicate=Predicate.ON, object="b")
    table = Box(x0=0.3, y0=0.5, x1=0.8, y1=0.9)
    cup = Box(x0=0.32, y0=0.4, x1=0.42, y1=0.53)
    start = plan(("a cup", "cup", cup), ("a table", "table", table), relations=[on], ids=("a", "b"))
    moved = moves.place_anew(start, failed(of=start))
    if moved:
        cup = moved.layout.instances[0].box
        assert table.x0 <= cup.centre.x <= table.x1 and cup != start.layout.instances[0].box
    alone = moves.place_anew(START, failed())
    assert alone and alone.layout.instances[0].box.iou(CUP) <= moves.ELSEWHERE
    assert alone.layout.instances[1] == START.layout.instances[1]


def test_every_kind_of_failure_has_a_route_and_its_moves_have_names_of_their_own():
    assert set(ROUTES) == set(FailureKind)
    for route in ROUTES.values():
        assert len({move.name for move in route}) == len(route) > 1


def test_what_has_no_box_is_painted_again_and_described_but_not_moved():
    from instdiff.layout import Point

    pointed = plan(("a fine cup", "cup", CUP))
    instance = Instance(caption="a fine cup", category="cup", point=Point(x=0.2, y=0.5))
    pointed = pointed.model_copy(update={"layout": pointed.layout.with_instances([instance])})
    failure = Failure(FailureKind.MISSING, "cup 1", Verdict(instance=0, name="cup", kind=VerdictKind.MISSING))
    made = {move.name: move.make(pointed, failure) for move in ROUTES[FailureKind.MISSING]}
    assert [after is not None for after in made.values()] == [True, True, False, True, False]
