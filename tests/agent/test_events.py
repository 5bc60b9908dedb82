"""Events are read back from a job's lines as they were written."""

import numpy as np
import pytest
from PIL import Image

from agent.critic.findings import Finding, FindingKind
from agent.events import (
    Criticised,
    Done,
    Failed,
    Judged,
    Loading,
    PlanReady,
    PreviewReady,
    Started,
    Starting,
    Step,
    Stopped,
    Waiting,
    event_from_json,
    event_to_json,
)
from agent.planners.plan import Plan
from agent.request import Request
from agent.runs import Round, Run
from evaluators.matching import unchecked_report
from instdiff.errors import BadInput
from instdiff.layout import Box, Instance, Layout, Mask

BOX = Box(x0=0.1, y0=0.2, x1=0.7, y1=0.9)
MASK = Mask.from_array(np.eye(2, dtype=bool))
INSTANCES = (Instance(caption="a dog", category="dog", box=BOX), Instance(caption="a car", category="car", mask=MASK))
LAYOUT = Layout(caption='a dog\u2028and "a car"\n', width=64, height=64, instances=INSTANCES)
PLAN = Plan(layout=LAYOUT, planner="offline", notes=("a note",), seed=3)
ROUND = Round(
    layout="round-0/layout.json",
    image="round-0/image.png",
    images=("round-0/image.png",),
    annotated="round-0/annotated.png",
    report="round-0/report.json",
    seed=0,
    planner="offline",
    verified=False,
    score=(0.5, 0.25, -1),
)
FINDING = Finding(kind=FindingKind.COUNT, sentence="two dogs")


@pytest.fixture
def run(tmp_path):
    return Run(folder=tmp_path, request=Request(prompt="a dog"), rounds=(ROUND,), best_round=0)


def test_every_event_is_read_back_as_it_was(run):
    events = [
        Starting(),
        Started(folder=run.folder, resumed=True),
        Loading(part="engine", name="draft"),
        PlanReady(round=0, plan=PLAN),
        Criticised(round=1, plan=PLAN, findings=(FINDING,)),
        Step(round=0, image=1, images=2, step=3, steps=16),
        Judged(round=0, layout=LAYOUT, report=unchecked_report(LAYOUT), result=ROUND),
        Waiting(run=run),
        Done(run=run),
        Stopped(),
        Failed(reason="no room"),
    ]
    for event in events:
        line = event_to_json(event)
        assert "\n" not in line and event_from_json(line) == event


def test_a_preview_is_written_without_its_picture():
    event = PreviewReady(round=0, image=0, picture=Image.new("RGB", (4, 4)))
    line = event_to_json(event)
    assert event_from_json(line) == event.model_copy(update={"picture": None}) and len(line) < 100


@pytest.mark.parametrize(
    "line",
    [
        "",
        "[1]",
        "7",
        '{"kind": "ste',
        '{"kind": "planned"}',
        '{"kind": ["done"]}',
        '{"kind": "step", "round": 0, "image": 0, "images": 1, "step": 1, "steps": 0}',
        '{"kind": "failed", "reason": "x", "more": 1}',
        "[" * 100_000,
    ],
)
def test_what_is_no_event_is_refused(line):
    with pytest.raises(BadInput):
        event_from_json(line)
