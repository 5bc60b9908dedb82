"""Parts of one's own: refused at once where they lack something, missed on resuming, and never mixed up with ours."""

import json

import pytest

import run_agent
from agent.loop import Agent
from agent.planners import plan
from agent.planners.offline import OfflinePlanner
from agent.runs import Run
from instdiff.errors import BadInput, ServiceError
from tests.agent.doubles import ColourDetector, ListPlanner, RectanglePainter, RepaintingPainter
from tests.agent.doubles import make_agent as agent


class NoPlan(ListPlanner):
    plan = None


class Unfinished(ListPlanner):
    """Inherits the stub of the protocol."""

    revise = plan.Planner.revise


class WithoutSeed(ListPlanner):
    def plan(self, prompt, size):
        return super().plan(prompt, size, 0)


class Plain:
    """Inherits nothing."""

    name = "plain"

    def plan(self, prompt, size, seed):
        return ListPlanner().plan(prompt, size, seed)

    def revise(self, prompt, plan, report, seed):
        return plan


class Silent(RectanglePainter):
    def render(self, layout, settings):
        return super().render(layout, settings)


class Demanding(RectanglePainter):
    def render(self, layout, settings, on_step, brightness):
        return super().render(layout, settings, on_step)


class Hasty(RepaintingPainter):
    def repaint(self, changes, settings, on_step=None):
        return super().repaint(changes, settings, on_step)


class Nameless(RectanglePainter):
    name = None


class OneSide(RectanglePainter):
    native_size = 512


class Percent(ColourDetector):
    found_score = 50


class Sure(ColourDetector):
    def detect(self, images, asked):
        return super().detect(images, asked)


@pytest.mark.parametrize(
    ("kind", "part", "said"),
    [
        ("planner", 5, "int has no method plan(prompt, size, seed)"),
        ("planner", 0, "int has no method plan(prompt, size, seed)"),
        ("planner", ListPlanner, "ListPlanner is a class; give an object of it, such as ListPlanner()"),
        (
            "planner",
            NoPlan(),
            "NoPlan has no method plan(prompt, size, seed); define it as agent.planners.Planner does",
        ),
        ("planner", Unfinished(), "Unfinished has no method revise(prompt, plan, report, seed)"),
        ("planner", WithoutSeed(), "cannot be called with (prompt, size, seed): it takes no seed"),
        ("planner", Plain(), "Plain has no method start(usage); inherit it from agent.planners.Planner"),
        ("engine", object(), "object has no method render(layout, settings, on_step)"),
        ("engine", Silent(), "cannot be called with (layout, settings, on_step): it takes no on_step"),
        ("engine", Demanding(), "missing a required argument: 'brightness'"),
        ("engine", Hasty(), "(changes, settings, on_step, choose=...): it takes no choose"),
        ("engine", Nameless(), 'Nameless.name is missing; give it a text, such as name = "my-engine"'),
        ("engine", OneSide(), "OneSide.native_size is 512; give it (width, height) in pixels"),
        ("verifier", ListPlanner(), "ListPlanner has no method canonical(category)"),
        ("verifier", Percent(), "Percent.found_score is 50; give it a number from 0 to 1"),
        ("verifier", Sure(), "it takes no min_score"),
    ],
)
def test_a_part_that_lacks_something_is_refused_when_the_agent_is_made(tmp_path, kind, part, said):
    with pytest.raises(BadInput) as refused:
        agent(tmp_path, **{kind: part})
    assert refused.value.field == kind and said in refused.value.reason and "\n" not in refused.value.reason


@pytest.mark.parametrize("option", ["candidates", "preview_every"])
def test_what_an_engine_does_not_take_is_refused_before_planning(tmp_path, option):
    with pytest.raises(BadInput, match=f"^{option}: RectanglePainter.render takes no "):
        agent(tmp_path, **{option: 3})
    assert agent(tmp_path, engine=RepaintingPainter(), candidates=3)


@pytest.fixture
def half(tmp_path):
    """The folder of a run of own parts whose planner failed after the first round."""
    broken = agent(tmp_path, planner=ListPlanner(fails=("revise",)), engine=RectanglePainter({0: {"dog"}}))
    with pytest.raises(ServiceError):
        broken.run("dog cat")
    [folder] = (tmp_path / "out").iterdir()
    return folder


def test_a_run_of_own_parts_is_resumed_with_them_and_says_so_elsewhere(tmp_path, half, capsys):
    assert Run.load(half).request.own == ("planner", "engine", "verifier")
    assert run_agent.main(["--resume", str(half)]) == 2
    error = capsys.readouterr().err
    assert 'parts of your own (planner "list", engine "rectangles", verifier "colours"); go on in Python: ' in error
    assert f'Agent(planner=..., engine=..., verifier=...).resume("{half}")' in error and error.count("\n") == 1
    run = agent(tmp_path).resume(half)
    assert run.verified and run.done


def test_another_part_does_not_go_on_with_a_run(tmp_path, half):
    other = RectanglePainter()
    other.name = "circles"
    with pytest.raises(BadInput, match='^engine: .* was made with "rectangles", and this is "circles"; give the same'):
        agent(tmp_path, engine=other).resume(half)


def test_an_own_engine_called_as_ours_is_not_taken_for_it(tmp_path, half):
    """No run of an own part goes on with the bundled part of the same name."""
    data = json.loads((half / "run.json").read_text())
    data["request"] |= {"planner": "offline", "engine": "draft", "verifier": "draft"}
    (half / "run.json").write_text(json.dumps(data))
    with pytest.raises(BadInput, match="parts of your own"):
        Agent(out=tmp_path / "out").resume(half)


def test_a_part_that_a_name_loads_is_no_own_one(tmp_path):
    run = agent(tmp_path, planner=OfflinePlanner()).prepare("a dog")
    assert (run.request.planner, run.request.own) == ("offline", ("engine", "verifier"))


def test_a_layout_asks_no_planner_and_its_run_misses_none(tmp_path):
    layout = agent(tmp_path).plan("dog cat").layout
    run = agent(tmp_path).prepare(layout=layout)
    assert run.request.own == ("engine", "verifier")
    assert agent(tmp_path, planner="offline").resume(run.folder).done


@pytest.fixture
def no_models(monkeypatch, tmp_path):
    """A machine without an open-vocabulary detector."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))


@pytest.mark.parametrize("name", ["rectangles", "draft"])
def test_without_a_name_no_bundled_detector_looks_at_the_pictures_of_an_own_engine(tmp_path, no_models, name):
    painter = RectanglePainter()
    painter.name = name
    with pytest.warns(UserWarning, match="pictures are not verified"):
        own = Agent(planner=ListPlanner(), engine=painter, out=tmp_path / "out")
    assert own.request.verifier == "none" and "not verified" in own.verifier_note
    assert not own.run("dog").verified


def test_an_edit_with_another_engine_has_another_verifier(tmp_path, no_models):
    run = agent(tmp_path, engine=RepaintingPainter()).run("dog cat")
    data = json.loads((run.folder / "run.json").read_text())
    data["request"] |= {"planner": "offline", "engine": "draft", "verifier": "draft", "own": []}  # of the bundled parts
    (run.folder / "run.json").write_text(json.dumps(data))
    with pytest.warns(UserWarning, match="pictures are not verified"):
        other = Agent(engine=RepaintingPainter(), out=tmp_path / "out")
    edited = other.edit(run.folder, "remove the cat")
    assert (edited.request.engine, edited.request.verifier, edited.verified) == ("rectangles", "none", False)
    assert edited.request.own == ("engine",)
    with pytest.raises(BadInput, match=r'own \(engine "rectangles"\); go on in Python: Agent\(engine=...\).edit\('):
        Agent(out=tmp_path / "out").edit(edited.folder, "remove the dog")
