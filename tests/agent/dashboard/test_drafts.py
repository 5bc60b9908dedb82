"""What is drawn and not painted yet is kept, is what is painted, and is told of where a plan is approved."""

import io
import json
import time

import pytest
from PIL import Image

from agent import job
from agent.dashboard.drafts import EDIT_DRAFT, PLAN_DRAFT, Draft
from agent.dashboard.edit_page import by_hand
from agent.dashboard.live_view import progress
from agent.dashboard.pictures import EMPTY, boxed
from agent.events import Failed, Judged, PlanReady, Step, Stopped
from agent.planners.plan import Plan
from agent.runs import Run
from instdiff.drawing import draw_layout
from instdiff.errors import BadInput
from instdiff.formats import load_layout
from instdiff.layout import Box, Instance, Layout
from tests.agent.dashboard_pages import open_run, planned_rows, small_run
from tests.agent.doubles import ListPlanner

CUT = "The prompt names more things than the 30 a layout holds; the largest groups were cut."


class NotedPlanner(ListPlanner):
    """Has something to say of its plans."""

    def plan(self, *args, **options) -> Plan:
        return super().plan(*args, **options).model_copy(update={"notes": (CUT,)})


@pytest.fixture
def waiting(tmp_path, monkeypatch) -> Run:
    """A run with a plan of a dog and a cat that waits."""
    monkeypatch.setenv("INSTDIFF_OUTPUTS", str(tmp_path))
    return small_run(tmp_path, planner=NotedPlanner(), review=True)


def plan_of(run: Run) -> Layout:
    return load_layout(run.folder / "round-0" / "layout.json", boxes="xywh")


def kept(run: Run, count: int) -> Draft:
    """A draft of the plan that waits, with the first few of its things."""
    draft = Draft(run.folder / PLAN_DRAFT)
    draft.keep(plan_of(run), plan_of(run).model_dump(mode="json")["instances"][:count], "new instance")
    return draft


def press(app, label: str):
    (button,) = (button for button in app.button if button.label == label)
    return button.click().run()


def answer_of(run: Run) -> dict:
    """What was handed to the job; it ends at once, as no engine has the doubles' name."""
    for _ in range(200):
        if not job.is_running(run.folder):
            break
        time.sleep(0.05)
    return json.loads((job.job_folder(run.folder) / job.ANSWER).read_text())


def test_a_plan_is_approved_as_it_was_planned_and_its_notes_stand_beside_it(waiting):
    app = open_run(waiting)
    assert CUT in [text.value for text in app.text]
    assert "Discard the changes" not in [button.label for button in app.button]
    press(app, "Paint it")
    assert answer_of(waiting) == {"decision": "approve", "layout": None}


def test_a_draft_outlives_its_window_and_is_what_is_painted(waiting):
    draft = kept(waiting, 1)
    app = open_run(waiting)  # another window
    assert any("It is changed" in text.value for text in app.text)
    assert len(planned_rows(app)) == 1
    press(app, "Paint it")
    answer = answer_of(waiting)
    assert [thing["category"] for thing in answer["layout"]["instances"]] == [plan_of(waiting).instances[0].category]
    assert not draft.path.exists()


def test_a_draft_is_discarded(waiting):
    draft = kept(waiting, 1)
    app = press(open_run(waiting), "Discard the changes")
    assert not draft.path.exists() and len(planned_rows(app)) == 2
    press(app, "Paint it")
    assert answer_of(waiting)["layout"] is None


@pytest.mark.parametrize(
    "content",
    ["{", "[]", '{"instances": 1, "meant": ""}', None],
)
def test_a_spoiled_draft_is_told_and_the_plan_is_shown(waiting, content):
    draft = kept(waiting, 1)
    if content is None:  # of the right form, with a place off the picture
        content = draft.path.read_text().replace('"x0": ', '"x0": -1')
    draft.path.write_text(content)
    app = open_run(waiting)
    assert not app.exception and [warning.value[:38] for warning in app.warning] == [
        "The changes that were kept cannot be r"
    ]
    assert len(planned_rows(app)) == 2


def test_a_draft_of_another_plan_is_none(tmp_path):
    first = Layout(
        width=64, height=64, caption="a", instances=(Instance(caption="dog", box=Box(x0=0, y0=0, x1=1, y1=1)),)
    )
    draft = Draft(tmp_path / EDIT_DRAFT)
    draft.keep(first, [], "to go")
    assert draft.read(first) == {"starts_from": draft.read(first)["starts_from"], "meant": "to go", "instances": []}
    assert draft.read(first.model_copy(update={"caption": "b"})) is None
    draft.path.write_bytes(b"\xff")
    with pytest.raises(BadInput):
        draft.read(first)


def test_a_change_by_hand_has_its_words_as_title():
    def thing(name: str, x: float, caption: str = "") -> Instance:
        return Instance(caption=caption or name, category=name, box=Box(x0=x, y0=0.25, x1=x + 0.25, y1=0.5))

    layout = Layout(
        width=64, height=64, caption="c", instances=(thing("dog", 0), thing("lamp", 0.5), thing("cat", 0.2))
    )
    dog, lamp, cat = layout.instances
    titles = {
        (dog, cat): "by hand: without the lamp",
        (dog, thing("lamp", 0.6), cat): "by hand: lamp moved",
        (dog, lamp, cat, thing("tree", 0)): "by hand: tree added",
        (thing("dog", 0, "a red dog"), lamp): "by hand: without the cat; dog is now a red dog",
        (lamp, dog, cat): "by hand: another order",
    }
    assert {things: by_hand(layout, layout.with_instances(things)) for things in titles} == titles


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (Stopped(), "Stopped, with 1 round done. What is done stays."),
        (Failed(reason="no room"), "Not finished. no room"),
    ],
)
def test_a_stop_is_told_as_a_stop_and_an_error_as_an_error(tmp_path, monkeypatch, event, said):
    monkeypatch.setenv("INSTDIFF_OUTPUTS", str(tmp_path))
    run = small_run(tmp_path, rounds=1)
    run.model_copy(update={"done": False}).save()
    job.job_folder(run.folder).mkdir()
    job.tell(job.job_folder(run.folder), event)
    app = open_run(run)
    assert [box.value.replace("\\", "") for box in (*app.info, *app.warning)] == [said]


def test_the_bar_of_each_round_starts_anew(tmp_path):
    events: list = []
    small_run(tmp_path, on_event=events.append)
    step = Step(round=0, image=0, images=1, step=9, steps=10)
    ends = [number for number, event in enumerate(events) if isinstance(event, Judged)]
    assert progress([*events[: ends[0]], step]).share == 0.9
    assert progress([*events[: ends[0]], step, events[ends[0]]]).share == 0.0
    planned = next(event for event in events if isinstance(event, PlanReady))
    assert progress([step, planned]).share == 0.0


def test_a_plan_that_nobody_looked_at_has_no_verdicts(tmp_path):
    layout = plan_of(small_run(tmp_path, review=True))
    shown = Image.open(io.BytesIO(boxed(None, layout)))
    assert shown.tobytes() == draw_layout(layout, Image.new("RGB", layout.size, EMPTY)).tobytes()
