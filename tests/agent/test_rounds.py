"""What a run and a dataset both do between two pictures."""

import pytest

from agent import rounds
from agent.planners.plan import Plan
from evaluators.report import Report, Verdict, VerdictKind
from instdiff.errors import BadInput
from instdiff.layout import Box, Instance, Layout
from instdiff.render_settings import RenderSettings
from tests.agent.doubles import ListPlanner

DOG = Instance(caption="a dog", category="dog", box=Box(x0=0.1, y0=0.2, x1=0.5, y1=0.9))
CAT = Instance(caption="a cat", category="cat", box=Box(x0=1 / 3, y0=0.2, x1=0.9, y1=0.9))
PLAN = Plan(layout=Layout(caption="a dog and a cat", instances=(DOG, CAT)), planner="list", seed=7, mis=0.1, alpha=0.8)


@pytest.mark.parametrize(
    ("asked", "planned", "expected"),
    [
        ({}, {"mis": 0.25, "alpha": 0.5}, (0.25, 0.5)),
        ({"mis": 0.0}, {"mis": 0.25, "alpha": 0.5}, (0.0, 0.5)),
        ({"mis": 0.3, "alpha": 1.0}, {"mis": None, "alpha": 0.5}, (0.3, 1.0)),
        ({}, {"mis": None, "alpha": None}, (None, None)),
    ],
)
def test_strengths_are_the_users_or_else_the_plans(asked, planned, expected):
    settings = RenderSettings(num_images=4, num_inference_steps=9, seed=1, **asked)
    next_settings = rounds.next_settings(settings, PLAN.model_copy(update=planned), 11)
    assert (next_settings.mis, next_settings.alpha) == expected
    assert (next_settings.seed, next_settings.num_images, next_settings.num_inference_steps) == (11, 1, 9)


def test_strengths_that_no_engine_takes_are_refused():
    with pytest.raises(BadInput, match="mis"):
        rounds.next_settings(RenderSettings(), PLAN.model_copy(update={"mis": 1.0}), 0)


def test_seeds_of_rounds_do_not_overlap():
    seeds = [rounds.round_seed(5, number, 2**31, images=3) + image for number in range(4) for image in range(3)]
    assert seeds == list(range(5, 17))
    assert rounds.round_seed(2**31 - 1, 1, 2**31) == 0


@pytest.mark.parametrize(
    ("changes", "seed"),
    [
        ({}, 99),  # the same picture again
        ({"seed": None}, 99),
        ({"seed": 8}, 8),
        ({"mis": 0.2}, 7),
        ({"layout": PLAN.layout.with_instances([CAT, DOG])}, 7),
        ({"notes": ("another note",)}, 99),
    ],
)
def test_no_picture_is_painted_twice(changes, seed):
    revised = PLAN.model_copy(update=changes)
    assert rounds.with_next_seed(revised, PLAN, RenderSettings(), 99) == revised.model_copy(update={"seed": seed})


def test_a_strength_that_the_user_gave_makes_no_other_picture():
    revised = PLAN.model_copy(update={"mis": 0.2})
    assert rounds.with_next_seed(revised, PLAN, RenderSettings(mis=0.0), 99).seed == 99


def test_what_failed_is_not_mended_by_leaving_it_out():
    smaller = PLAN.model_copy(update={"layout": PLAN.layout.with_instances([DOG])})
    complete = rounds.complete_plan(smaller, PLAN, 99)
    assert complete.layout == PLAN.layout and complete.seed == 99 and "left out cat" in complete.notes[-1]
    assert rounds.complete_plan(PLAN, smaller, 99) is PLAN


def test_a_revision_is_asked_with_the_plan_as_painted():
    class Planner(ListPlanner):
        def revise(self, prompt, plan, report, seed):
            self.asked = (prompt, plan, seed)
            return super().revise(prompt, plan, report, seed)

    planner = Planner()
    painted = rounds.as_painted(PLAN, 3, 0.5, 1.0)
    missing = Verdict(instance=0, name="dog", kind=VerdictKind.MISSING)
    report = Report(detector="colours", iou_threshold=0.5, verdicts=(missing,))
    revised = rounds.revise_plan(planner, "a dog", painted, report, 99)
    assert planner.asked == ("a dog", painted, 99) and (painted.seed, painted.mis, painted.alpha) == (3, 0.5, 1.0)
    assert revised.notes == ("once more: dog",)


def test_the_best_is_the_first_of_equals():
    assert rounds.best_index([(0.5, 0.1, 0), (1.0, 0.2, -1), (1.0, 0.2, -1)]) == 1


def test_a_layout_is_painted_as_its_file_says(tmp_path):
    written = rounds.as_written(PLAN.layout)
    assert rounds.as_written(written) == written
    assert [instance.caption for instance in written.instances] == ["a dog", "a cat"]


def test_without_a_detector_nothing_is_checked():
    first, second = rounds.look(None, [None, None], PLAN.layout, 0.5)
    assert first == second and first.checked == 0 and len(first.verdicts) == 2
