import pytest

from agent.critic.critic import Critique, criticise, criticise_and_replan, exact_counts
from agent.critic.findings import FindingKind
from agent.events import Criticised
from agent.loop import Agent
from agent.planners.offline import OfflinePlanner
from agent.planners.plan import Plan
from instdiff.errors import ServiceError
from instdiff.layout import Box, Instance, Layout, Point
from instdiff.world.placement import rests
from instdiff.world.relations import broken_relations
from instdiff.world.scene import Predicate, Relation, Scene, SceneObject
from tests.agent.doubles import ColourDetector, ListPlanner, RectanglePainter

K = FindingKind


def box(x0, y0, x1, y1):
    return Box(x0=x0, y0=y0, x1=x1, y1=y1)


def plan(*things, relations=(), absent=(), scene=True, caption="a scene", ids=None):
    """A plan of (category, corners) or (category, corners, caption); ids are a, b, c in that order."""
    instances = [
        Instance(caption=(*rest, f"a {category}")[0], category=category, box=box(*corners))
        for category, corners, *rest in things
    ]
    names = tuple(ids or "abcdefgh"[: len(things)])
    objects = {name: SceneObject(id=name, category=thing[0]) for name, thing in zip(names, things, strict=True)}
    related = tuple(Relation(subject=s, predicate=p, object=o) for s, p, o in relations)
    world = Scene(caption=caption, objects=tuple(objects.values()), relations=related, absent=absent) if scene else None
    return Plan(
        layout=Layout(caption=caption, instances=tuple(instances)),
        planner="offline",
        scene=world,
        ids=names if scene else (),
    )


COUCH = ("couch", (0.2, 0.5, 0.7, 0.75))
DOG = ("dog", (0.75, 0.7, 0.92, 0.88))
TABLE = ("table", (0.2, 0.55, 0.7, 0.85))
TRAFFIC = ("car", (0.05, 0.6, 0.4, 0.75)), ("bus", (0.42, 0.4, 0.8, 0.72))
SOUND = [  # a plan without a fault beside each plan with one
    plan(COUCH, DOG),
    plan(COUCH, DOG, scene=False),
    plan(("car", (0.0, 0.5, 0.5, 0.75))),  # at the edge, but whole
    plan(("tree", (0.4, 0.1, 0.6, 0.8)), ("person", (0.1, 0.5, 0.17, 0.8))),
    plan(("dog", (0.1, 0.6, 0.3, 0.8)), ("dog", (0.35, 0.6, 0.55, 0.8))),
    plan(TABLE, ("cup", (0.4, 0.48, 0.48, 0.56))),  # inside the table's columns, and not hidden by it
    plan(COUCH, ("cat", (0.3, 0.52, 0.5, 0.65))),
    plan(("cat", (0.3, 0.52, 0.5, 0.65)), COUCH, relations=[("a", Predicate.ON, "b")]),
    plan(("bird", (0.4, 0.1, 0.55, 0.2))),  # a bird may fly
    plan(("clock", (0.4, 0.1, 0.5, 0.2))),  # hangs on the wall
    plan(TABLE, ("lamp", (0.4, 0.05, 0.55, 0.3)), relations=[("b", Predicate.ABOVE, "a")]),
    plan(
        ("elephant", (0.1, 0.3, 0.6, 0.7)), ("mouse", (0.7, 0.8, 0.8, 0.88)), ("dog", (0.6, 0.7, 0.7, 0.78))
    ),  # specks are enlarged
    plan(("cat", (0.1, 0.2, 0.6, 0.8), "a giant cat"), ("car", (0.7, 0.75, 0.9, 0.8))),  # the words say so
    plan(("gizmo", (0.1, 0.1, 0.9, 0.2)), scene=False),  # nobody knows where a gizmo stands
    plan(COUCH, DOG, relations=[("a", Predicate.LEFT_OF, "b")], absent=("cat",)),
]

FAULTY = [  # plan, words, kind, which instance, repaired
    (plan(("car", (0.0, 0.5, 0.1, 0.75)), DOG), "", K.OUT_OF_FRAME, 0, True),
    (plan(("person", (0.4, 0.9, 0.55, 1.0)), scene=False), "", K.OUT_OF_FRAME, 0, True),
    (plan(COUCH, ("dog", (0.8, 0.7, 0.82, 0.9))), "", K.SLIVER, 1, True),
    (plan(COUCH, ("dog", (0.75, 0.87, 0.95, 0.89)), scene=False), "", K.SLIVER, 1, True),
    (plan(DOG, ("dog", (0.76, 0.7, 0.92, 0.88)), scene=False), "", K.DUPLICATE, 1, True),
    (plan(DOG, ("dog", (0.76, 0.7, 0.92, 0.88)), scene=False), "a dog", K.DUPLICATE, 1, True),
    (
        plan(DOG, ("dog", (0.76, 0.7, 0.92, 0.88)), scene=False),
        "two dogs",
        K.DUPLICATE,
        1,
        False,
    ),  # both are wanted: where to?
    (plan(("cat", (0.3, 0.5, 0.4, 0.6)), ("bus", (0.1, 0.2, 0.9, 0.8)), scene=False), "", K.HIDDEN, 0, False),
    (plan(("dog", (0.4, 0.1, 0.55, 0.25)), COUCH), "", K.FLOATING, 0, True),
    (plan(("cup", (0.4, 0.2, 0.5, 0.3)), TABLE), "", K.FLOATING, 0, True),
    (plan(*TRAFFIC, ("cat", (0.82, 0.45, 0.99, 0.74))), "", K.SIZE, 2, True),
    (
        plan(("cat", (0.1, 0.2, 0.6, 0.8)), ("car", (0.65, 0.75, 0.95, 0.84))),
        "",
        K.SIZE,
        0,
        False,
    ),  # one of two: which is wrong?
    (plan(COUCH, DOG, relations=[("a", Predicate.RIGHT_OF, "b")]), "", K.RELATION, 0, True),
    (plan(TABLE, ("cup", (0.8, 0.6, 0.88, 0.7)), relations=[("b", Predicate.ON, "a")]), "", K.RELATION, 1, True),
    (
        plan(COUCH, DOG, relations=[("a", Predicate.ABOVE, "b"), ("a", Predicate.IN_FRONT_OF, "b")]),
        "",
        K.RELATION,
        0,
        False,
    ),
    (plan(COUCH, DOG, relations=[("b", Predicate.LEFT, "picture")]), "", K.RELATION, 1, False),
    (plan(DOG, scene=False), "two dogs", K.COUNT, None, False),
    (plan(DOG, ("dog", (0.2, 0.7, 0.4, 0.9)), scene=False), "a dog", K.COUNT, 1, False),  # which of the two goes?
    (plan(COUCH, DOG, absent=("dog",)), "", K.FORBIDDEN, 1, True),
    (plan(COUCH, ("puppy", (0.75, 0.7, 0.92, 0.88)), scene=False), "a sofa without dogs", K.FORBIDDEN, 1, True),
]


@pytest.mark.parametrize("sound", SOUND)
def test_a_sound_plan_is_left_alone(sound):
    critique = criticise(sound)
    assert critique == Critique(sound, ())


@pytest.mark.parametrize(("faulty", "words", "kind", "index", "repaired"), FAULTY)
def test_a_fault_is_found_and_repaired_where_there_is_one_right_repair(faulty, words, kind, index, repaired):
    critique = criticise(faulty, words)
    found = [finding for finding in critique.findings if finding.kind is kind]
    assert [(finding.instance, finding.repaired) for finding in found] == [(index, repaired)]
    assert found[0].sentence.endswith(".") and "\n" not in found[0].sentence
    if repaired:
        assert not any(finding.kind is kind for finding in criticise(critique.plan, words).findings)
        assert len(critique.plan.ids) == (len(critique.plan.layout.instances) if faulty.scene else 0)
    else:
        assert critique.plan == faulty


@pytest.mark.parametrize(("faulty", "words", "kind", "index", "repaired"), FAULTY)
def test_a_given_layout_is_only_reported_on(faulty, words, kind, index, repaired):
    critique = criticise(faulty, words, repair=False)
    assert critique.plan is faulty
    assert (kind, index, False) in [(f.kind, f.instance, f.repaired) for f in critique.findings]


def test_repairs_put_things_where_they_belong():
    cup = criticise(plan(("cup", (0.4, 0.2, 0.5, 0.3)), TABLE)).plan.layout.instances[0].box
    assert rests(cup, box(*TABLE[1])) and cup.width == pytest.approx(0.1)
    swapped = criticise(plan(COUCH, DOG, relations=[("a", Predicate.RIGHT_OF, "b")])).plan
    assert not broken_relations(swapped.scene, swapped.layout, swapped.ids)
    shrunk = criticise(plan(*TRAFFIC, ("cat", (0.82, 0.45, 0.99, 0.74))))
    assert shrunk.plan.layout.instances[2].box.area < 0.02
    assert shrunk.plan.layout.instances[:2] == plan(*TRAFFIC).layout.instances


def test_a_repair_that_breaks_a_relation_is_not_made():
    things = (("dog", (0.4, 0.1, 0.55, 0.25)), ("car", (0.1, 0.4, 0.6, 0.6)))
    assert [f.repaired for f in criticise(plan(*things)).findings] == [True]
    bound = plan(*things, relations=[("a", Predicate.BEHIND, "b")])
    assert [(f.kind, f.repaired) for f in criticise(bound).findings] == [(K.FLOATING, False)]


def test_only_some_instances_may_be_repaired():
    faulty = plan(("dog", (0.4, 0.1, 0.55, 0.25)), ("car", (0.0, 0.5, 0.1, 0.75)))
    critique = criticise(faulty, only={1})
    assert {(f.kind, f.repaired) for f in critique.findings} == {(K.OUT_OF_FRAME, True), (K.FLOATING, False)}
    assert critique.plan.layout.instances[0] == faulty.layout.instances[0]


def test_an_object_that_is_planned_twice_is_dropped_once():
    twice = plan(DOG, ("dog", (0.2, 0.7, 0.4, 0.9)))
    twice = twice.model_copy(
        update={"ids": ("a", "a"), "scene": twice.scene.model_copy(update={"objects": twice.scene.objects[:1]})}
    )
    critique = criticise(twice)
    assert [(f.kind, f.instance, f.repaired) for f in critique.findings] == [(K.COUNT, 1, True)]
    assert (critique.plan.ids, len(critique.plan.layout.instances)) == (("a",), 1)


def test_points_have_nothing_to_criticise():
    bare = Plan(
        layout=Layout(caption="c", instances=(Instance(caption="a dog", category="dog", point=Point(x=0.5, y=0.1)),)),
        planner="x",
    )
    assert criticise(bare, "a dog").findings == ()


@pytest.mark.parametrize(
    ("words", "counts"),
    [
        ("a dog and three cats", {"dog": 1, "cat": 3}),
        ("some dogs", {}),
        ("dogs and a cat", {"cat": 1}),
        ("several birds over a red car", {"car": 1}),
        ("a red car and a blue car", {"car": 2}),
        ("", {}),
    ],
)
def test_what_the_words_count(words, counts):
    assert exact_counts(words) == counts


@pytest.mark.parametrize(
    "prompt", ["a cozy living room", "a kitchen", "a busy street", "two cats and a dog on a couch", "a cup on a table"]
)
def test_the_offline_planner_has_little_to_repair(prompt):
    found = [
        f for seed in range(6) for f in criticise(OfflinePlanner().plan(prompt, (512, 512), seed), prompt).findings
    ]
    assert len(found) <= 1


def test_an_open_fault_gets_another_arrangement():
    good = OfflinePlanner().plan("a cat behind a car", (512, 512), 0)
    boxes = [instance.model_copy(update={"box": box(0.1, 0.4, 0.5, 0.6)}) for instance in good.layout.instances]
    bad = good.model_copy(update={"layout": good.layout.with_instances(boxes)})
    assert criticise(bad).open
    critique = criticise_and_replan(bad, "a cat behind a car", None, 0)
    assert not critique.open and not broken_relations(critique.plan.scene, critique.plan.layout, critique.plan.ids)
    assert any("arranged anew" in f.sentence for f in critique.findings)


class Chatting(ListPlanner):
    """Answers as a chat model does; only a request that speaks of faults gets the second plan."""

    def __init__(self, second):
        super().__init__()
        self.second = second
        self.asked = []

    def plan(self, prompt, size, seed):
        self.asked.append(prompt)
        if isinstance(self.second, Exception):
            raise self.second
        return self.second


def chat(made):
    return made.model_copy(update={"planner": "openai:gpt-4o"})


@pytest.mark.parametrize(
    ("second", "better"),
    [
        (chat(plan(DOG, ("dog", (0.2, 0.7, 0.4, 0.9)), scene=False)), True),
        (chat(plan(DOG, scene=False)), False),
        (ServiceError("the service is away"), False),
    ],
)
def test_a_chat_model_is_asked_once_more_with_the_faults(second, better):
    planner = Chatting(second)
    first = chat(plan(DOG, scene=False, caption="two dogs"))
    critique = criticise_and_replan(first, "two dogs", planner, 0)
    assert len(planner.asked) == 1 and "words ask for 2" in planner.asked[0] and planner.asked[0].startswith("two dogs")
    assert (not critique.open, len(critique.plan.layout.instances)) == ((True, 2) if better else (False, 1))
    assert critique.plan.layout.caption == "two dogs"


def test_the_loop_criticises_before_it_paints(tmp_path):
    class Careless(ListPlanner):
        def plan(self, prompt, size, seed):
            made = super().plan(prompt, size, seed)
            return made.model_copy(
                update={"layout": made.layout.with_instances([*made.layout.instances, made.layout.instances[0]])}
            )

    events = []
    painter = RectanglePainter()
    agent = Agent(planner=Careless(), engine=painter, verifier=ColourDetector(), out=tmp_path, on_event=events.append)
    run = agent.run("a dog and a cat")
    told = [event for event in events if isinstance(event, Criticised)]
    assert [[(f.kind, f.repaired) for f in event.findings] for event in told] == [[(K.DUPLICATE, True)]]
    assert (len(painter.painted[0][0].instances), run.verified) == (2, True)
    assert [f.kind for f in run.rounds[0].findings] == [K.DUPLICATE]
    assert "duplicate" in (run.folder / "round-0/report.json").read_text()
    assert (
        "duplicate" in agent.plan("a dog and a cat").notes[-1]
        or "same thing" in agent.plan("a dog and a cat").notes[-1]
    )

    given = painter.painted[0][0].with_instances([*painter.painted[0][0].instances, painter.painted[0][0].instances[0]])
    again = agent.run(layout=given)
    assert len(painter.painted[-1][0].instances) == 3  # reported, not changed
    assert [(f.kind, f.repaired) for f in again.rounds[0].findings] == [(K.DUPLICATE, False)]


def test_a_prompt_in_another_language_is_criticised_by_its_layout_alone():
    prompt = "ein grüner Frosch neben einem roten Ball"
    plan = OfflinePlanner().plan("a green frog next to a red ball", (512, 512), 0)
    assert exact_counts(prompt) == {}
    assert criticise(plan.model_copy(update={"scene": None, "ids": ()}), prompt=prompt).findings == ()
