import pytest

from agent.planners.offline import OfflinePlanner
from agent.planners.plan import Plan
from agent.planners.revision import COMPACT, revise
from evaluators.report import Detection, Report, Verdict, VerdictKind
from instdiff.layout import Box, Instance, Layout
from instdiff.world.relations import broken_relations
from tests.agent.doubles import RectanglePainter
from tests.agent.test_loop import agent

MISSING = VerdictKind.MISSING
MISPLACED = VerdictKind.MISPLACED
WRONG = VerdictKind.WRONG_ATTRIBUTE
FOUND = VerdictKind.FOUND


def box(x0, y0, x1, y1):
    return Box(x0=x0, y0=y0, x1=x1, y1=y1)


CUP = box(0.1, 0.4, 0.3, 0.6)
DOG = box(0.6, 0.4, 0.9, 0.8)
START = Plan(
    layout=Layout(
        caption="a cup and a dog",
        instances=(
            Instance(caption="a fine red cup", category="cup", box=CUP),
            Instance(caption="a dog", category="dog", box=DOG),
        ),
    ),
    planner="offline",
    seed=7,
    mis=0.0,
    alpha=0.8,
)
NEAR = box(0.15, 0.45, 0.35, 0.65)
FAR = box(0.7, 0.1, 0.9, 0.3)


def report(*verdicts, extras=()):
    """Verdicts as (kind, where it was seen or None), in the order of the instances."""
    made = []
    for index, (kind, seen) in enumerate(verdicts):
        detection = seen and Detection(category="cup", score=0.9, box=seen)
        made.append(Verdict(instance=index, name="cup", kind=kind, iou=0.3 if seen else 0.0, detection=detection))
    others = tuple(Detection(category=name, score=0.9, box=box(0.8, 0.8, 0.9, 0.9)) for name in extras)
    return Report(detector="test", iou_threshold=0.5, verdicts=tuple(made), extras=others)


OK = (FOUND, DOG)
MOVES = [  # what became of the cup, and what changes: its box, its caption, alpha, mis, noise
    ((MISSING, None), {"box", "caption"}),
    ((MISPLACED, NEAR), {"box"}),
    ((MISPLACED, FAR), {"alpha"}),
    ((WRONG, CUP), {"caption", "mis"}),
    ((FOUND, CUP), {"seed"}),  # nothing to mend: only other noise can help
]


@pytest.mark.parametrize(("cup", "changed"), MOVES)
def test_each_failure_has_its_own_move_and_the_noise_stays(cup, changed):
    after = revise(START, report(cup, OK), 1)
    before = START.layout.instances[0]
    now = after.layout.instances[0]
    moves = {"box": now.box != before.box, "caption": now.caption != before.caption}
    moves |= {name: getattr(after, name) != getattr(START, name) for name in ("alpha", "mis", "seed")}
    assert {name for name, moved in moves.items() if moved} == changed
    assert after.layout.instances[1] == START.layout.instances[1]
    assert len(after.notes) == 1  # each move is a note


def halfway(box):
    """Sides on the way to a square of a tenth of the picture."""
    return [(0.1**0.5 * side) ** 0.5 for side in (box.width, box.height)]


def with_cup_at(where, **changes):
    cup = START.layout.instances[0].model_copy(update={"box": where})
    dog = START.layout.instances[1].model_copy(update={"box": box(0.7, 0.8, 0.9, 0.95)})
    return START.model_copy(update={"layout": START.layout.with_instances([cup, dog]), **changes})


@pytest.mark.parametrize(
    "where", [CUP, box(0.4, 0.1, 0.46, 0.7), box(0.1, 0.35, 0.6, 0.85)], ids=["small", "thin", "large"]
)
def test_what_is_missing_gets_a_more_usual_shape_on_the_same_foot(where):
    cup = revise(with_cup_at(where), report((MISSING, None), OK), 1).layout.instances[0]
    assert [cup.box.width, cup.box.height] == pytest.approx(halfway(where)) and cup.box.y1 == pytest.approx(where.y1)
    assert cup.caption == "a fine cup"


def test_what_is_missing_and_covered_grows_away_from_what_covers_it():
    crowded = START.layout.with_instances(
        [START.layout.instances[0], Instance(caption="a dog", category="dog", box=box(0.2, 0.3, 0.6, 0.7))]
    )
    after = revise(START.model_copy(update={"layout": crowded}), report((MISSING, None), OK), 1).layout.instances[0]
    assert after.box.area == pytest.approx(1.44 * CUP.area) and after.box.centre.x < CUP.centre.x


@pytest.mark.parametrize("where", [CUP, box(0.02, 0.2, 0.98, 0.42)], ids=["small", "wide"])
def test_what_is_still_missing_gets_a_compact_shape(where):
    tried = with_cup_at(where, notes=("cup 1: plainer, and larger or nearer to a compact shape.",))
    after = revise(tried, report((MISSING, None), OK), 1).layout.instances[0]
    assert (
        after.box.width == pytest.approx(after.box.height) and COMPACT[0] - 1e-9 <= after.box.area <= COMPACT[1] + 1e-9
    )
    assert after.box.y1 == pytest.approx(max(where.y1, after.box.height + 0.01)) and after.caption == "a fine cup"


def test_wrong_attributes_are_said_again():
    assert revise(START, report((WRONG, CUP), OK), 1).layout.instances[0].caption == "a fine red cup, entirely red"


def test_extras_join_the_negative_caption_unless_they_are_planned():
    after = revise(START, report((FOUND, CUP), OK, extras=("tree", "dog", "tree")), 1)
    assert after.layout.negative_caption == "tree"


FAILURES = [(MISSING, None), (MISPLACED, NEAR), (MISPLACED, FAR), (WRONG, CUP)]


@pytest.mark.parametrize("cup", FAILURES)
def test_spent_moves_ask_for_another_seed_each_time(cup):
    plan = START
    seeds = []
    for seed in range(1, 8):
        plan = revise(plan, report(cup, OK), seed)
        seeds.append(plan.seed)
    kept = [seed for seed in seeds if seed == START.seed]
    assert 1 <= len(kept) <= 3 and seeds[: len(kept)] == kept  # the moves come first
    assert len(set(seeds[len(kept) :])) == len(seeds) - len(kept)
    assert (plan.alpha or 0) <= 1 and (plan.mis or 0) <= 0.5
    assert plan.layout.instances[0].box.area <= max(1.45 * CUP.area, COMPACT[1] + 1e-9)


def test_nothing_follows_a_picture_that_is_not_painted_again():
    tried = START.model_copy(
        update={"notes": ("cup 1: plainer, and larger or nearer to a compact shape.", "cup 1: of compact shape.")}
    )
    after = revise(tried, report((MISSING, None), (MISPLACED, box(0.55, 0.4, 0.85, 0.8))), 1)
    assert after.seed != START.seed
    assert after.layout.instances[1] == START.layout.instances[1]


@pytest.mark.parametrize(
    "prompt", ["a cat on a couch", "a dog to the left of a car", "a ball under a table", "a cup on a table and a lamp"]
)
@pytest.mark.parametrize("kind", [MISSING, MISPLACED])
def test_no_move_breaks_what_the_words_ask_for(prompt, kind):
    for seed in range(6):
        plan = OfflinePlanner().plan(prompt, (512, 512), seed)
        before = broken_relations(plan.scene, plan.layout, plan.ids)
        moved = 0
        for turn in range(3):
            shift = [0.12, -0.12, 0.08][turn]
            where = [
                box(max(i.box.x0 + shift, 0), i.box.y0, min(i.box.x1 + shift, 1), i.box.y1)
                for i in plan.layout.instances
            ]
            after = revise(plan, report(*((kind, seen if kind is MISPLACED else None) for seen in where)), turn)
            moved += after.layout.instances != plan.layout.instances
            plan = after
        assert set(broken_relations(plan.scene, plan.layout, plan.ids)) <= set(before)
        assert moved


class Revising(OfflinePlanner):
    """The offline planner, and the plans that it was handed."""

    def __init__(self):
        self.handed = []

    def revise(self, prompt, plan, seen, seed):
        self.handed.append(plan)
        return super().revise(prompt, plan, seen, seed)


def test_the_loop_keeps_the_noise_until_the_moves_are_spent(tmp_path):
    planner = Revising()
    painter = RectanglePainter({seed: {"dog"} for seed in range(100)})
    run = agent(tmp_path, painter, planner=planner, rounds=4).run("a dog and a cat")
    seeds = [settings.seed for _, settings in painter.painted]
    assert seeds[:3] == [0, 0, 0] and seeds[3] != 0 and run.verified  # only the first noise forgets the dog
    assert [plan.seed for plan in planner.handed] == [0, 0, 0]
    layouts = [layout for layout, _ in painter.painted]
    assert layouts[0] != layouts[1] != layouts[2] == layouts[3]
    assert all("dog" in run.rounds[number].notes[-1] and "compact" in run.rounds[number].notes[-1] for number in (1, 2))


def test_of_several_pictures_the_noise_of_the_best_is_kept(tmp_path):
    from instdiff.render_settings import RenderSettings

    planner = Revising()
    painter = RectanglePainter({10: {"dog", "cat"}, 11: {"dog"}, 12: {"dog"}})
    agent(tmp_path, painter, planner=planner, rounds=2, settings=RenderSettings(seed=10, num_images=2)).run(
        "a dog and a cat"
    )
    assert planner.handed[0].seed == 11
    assert [settings.seed for _, settings in painter.painted] == [10, 11, 11, 12]
