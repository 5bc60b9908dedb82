"""A person is asked before paint is spent; the answer may come much later, in another process."""

import json
import signal
import time
from pathlib import Path

import pytest

from agent.events import Done, PlanReady, Step, Waiting
from agent.loop import Agent
from agent.runs import Answer, Run
from instdiff.errors import BadInput
from instdiff.formats import load_layout
from instdiff.layout import Box, Layout
from instdiff.render_settings import RenderSettings
from tests.agent.doubles import ColourDetector, ListPlanner, RectanglePainter, open_door

ROOT = Path(__file__).parents[2]


class SeedPlanner(ListPlanner):
    """Notes the seed of each plan."""

    def plan(self, prompt, size, seed):
        return super().plan(prompt, size, seed).model_copy(update={"notes": (f"seed {seed}",)})


def agent(tmp_path, painter=None, **options):
    parts = {
        "planner": SeedPlanner(tmp_path / "calls"),
        "engine": painter or RectanglePainter(),
        "verifier": ColourDetector(),
    }
    return Agent(**{**parts, "out": tmp_path / "out", "review": True, **options})


def calls(tmp_path):
    return (tmp_path / "calls").read_text().split()


def test_the_run_stops_after_the_plan_and_says_so(tmp_path):
    events = []
    painter = RectanglePainter()
    run = agent(tmp_path, painter, on_event=events.append).run("dog cat")
    assert (run.review, run.done, run.rounds, painter.painted) == ("waiting", False, (), [])
    assert Run.load(run.folder) == run and run.summary()["review"] == "waiting"
    assert isinstance(events[-1], Waiting)
    assert len(load_layout(run.folder / "round-0/layout.json", boxes="xywh").instances) == 2
    assert agent(tmp_path, painter).resume(run.folder).review == "waiting"  # without an answer it goes on waiting
    assert painter.painted == []


def test_what_is_approved_is_painted_and_further_rounds_ask_no_more(tmp_path):
    painter = RectanglePainter({0: {"dog"}})
    waiting = agent(tmp_path, painter).run("dog cat")
    run = agent(tmp_path, painter).resume(waiting.folder, Answer(decision="approve"))
    assert (run.review, run.done, run.verified, len(run.rounds)) == ("approved", True, True, 2)
    assert calls(tmp_path) == ["plan", "revise"]


def test_the_plan_can_be_changed_before_it_is_approved(tmp_path):
    painter = RectanglePainter()
    waiting = agent(tmp_path, painter).run("dog cat")
    layout = load_layout(waiting.folder / "round-0/layout.json", boxes="xywh")
    dog = layout.instances[0].model_copy(update={"box": Box(x0=0.0, y0=0.0, x1=0.25, y1=0.5)})
    run = agent(tmp_path, painter).resume(
        waiting.folder, Answer(decision="approve", layout=layout.with_instances([dog]))
    )
    assert painter.painted[0][0].instances == (dog,)
    assert run.verified and "changed by hand" in run.rounds[0].notes[-1]


def test_plan_again_takes_another_seed_and_asks_again(tmp_path):
    events = []
    painter = RectanglePainter()
    waiting = agent(tmp_path, painter, settings=RenderSettings(seed=5)).run("dog")
    for _time in range(2):
        assert (
            agent(tmp_path, painter, on_event=events.append).resume(waiting.folder, Answer(decision="replan")).review
            == "waiting"
        )
    assert [event.plan.notes for event in events if isinstance(event, PlanReady)] == [("seed 6",), ("seed 7",)]
    agent(tmp_path, painter).resume(waiting.folder, Answer(decision="approve"))
    assert [settings.seed for _, settings in painter.painted] == [5]  # the noise is the one that was asked for


def test_what_is_rejected_is_over_and_unpainted(tmp_path):
    events = []
    painter = RectanglePainter()
    waiting = agent(tmp_path, painter).run("dog")
    run = agent(tmp_path, painter, on_event=events.append).resume(waiting.folder, Answer(decision="reject"))
    assert (run.review, run.done, run.rounds, run.image.exists(), painter.painted) == ("rejected", True, (), False, [])
    assert isinstance(events[-1], Done)
    with pytest.raises(BadInput, match="waits for no answer"):
        agent(tmp_path, painter).resume(run.folder, Answer(decision="approve"))


def test_who_does_not_wait_takes_no_answer(tmp_path):
    run = agent(tmp_path, review=False).run("dog")
    assert run.done and run.review is None
    with pytest.raises(BadInput, match="waits for no answer"):
        agent(tmp_path).resume(run.folder, Answer(decision="replan"))


def door(tmp_path, *arguments, delay_s=0.0):
    return open_door(*arguments, DOUBLES_LOG=str(tmp_path / "calls"), DOUBLES_DELAY_S=str(delay_s))


def test_approved_in_another_process_killed_while_painting_and_gone_on_with_in_a_third(tmp_path):
    process = door(tmp_path, "dog cat", "--review", "--json", "--out", str(tmp_path / "out"))
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 0, stderr
    folder = json.loads(stdout)["run"]
    assert json.loads(stdout)["review"] == "waiting"

    process = door(tmp_path, "--approve", folder, delay_s=0.5)
    deadline = time.monotonic() + 60
    while json.loads(Path(folder, "run.json").read_text())["review"] != "approved":
        assert process.poll() is None and time.monotonic() < deadline, process.stderr.read()
        time.sleep(0.02)
    time.sleep(0.3)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not Path(folder, "round-0/image.png").exists()

    process = door(tmp_path, "--resume", folder, "--json")
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 0, stderr
    answer = json.loads(stdout)
    assert (answer["verified"], answer["review"], len(answer["rounds"])) == (True, "approved", 1)
    assert calls(tmp_path) == ["plan"]


@pytest.mark.parametrize(
    "arguments, field",
    [
        ("dog --review --strict", "review"),
        ("dog --review --plan-only", "review"),
        ("dog --approve run", "approve"),
        ("--approve run --steps 3", "steps"),
        ("--approve run --reject run", "reject"),
        ("--edit latest dog --review", "review"),
        ("--approve no-such-run", "run"),
    ],
)
def test_flags_that_make_no_sense_together_are_refused(arguments, field, capsys):
    import run_agent

    assert run_agent.main(arguments.split()) == 2
    assert capsys.readouterr().err.startswith(f"error: {field}: ")


def test_steps_can_be_told_with_previews():
    from instdiff.engine import load_engine

    engine = load_engine("draft")
    layout = Layout(width=64, height=64, caption="a red ball")
    settings = RenderSettings(num_inference_steps=4)
    pictures = []
    steps = []
    plain = engine.render(layout, settings).images[0]
    shown = engine.render(
        layout, settings, lambda step, of: steps.append(step), pictures.append, preview_every=1
    ).images[0]
    assert shown.tobytes() == plain.tobytes()  # who looks on changes nothing
    assert (steps, len(pictures), {picture.size for picture in pictures}) == ([1, 2, 3, 4], 3, {(64, 64)})
    far, near = (
        sum(abs(a - b) for a, b in zip(picture.tobytes(), plain.tobytes(), strict=True))
        for picture in (pictures[0], pictures[-1])
    )
    assert near < far


def test_previews_are_told_only_where_they_are_asked_for(tmp_path):
    class Shown(RectanglePainter):
        def render(self, layout, settings, on_step=None, **previews):
            self.previews = previews
            return super().render(layout, settings, on_step)

    for every, names in ((0, set()), (3, {"on_preview", "preview_every"})):
        painter = Shown()
        events = []
        agent(tmp_path, painter, review=False, preview_every=every, on_event=events.append).run("dog")
        assert set(painter.previews) == names and any(isinstance(event, Step) for event in events)
