"""Work in a process of its own, seen through the run's folder."""

import json
import os
import time

import pytest

from agent import job
from agent.dashboard.live_view import progress
from agent.events import Stopped
from agent.loop import Agent
from agent.runs import Answer, Run
from instdiff.errors import BadInput
from instdiff.render_settings import RenderSettings

pytestmark = pytest.mark.timeout(900)


def waits(condition, timeout_s=250):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def prepared(tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")

    def make(steps, **options):
        return Agent(
            planner="offline", rounds=1, settings=RenderSettings(num_inference_steps=steps), out=tmp_path, **options
        )

    return make


def kinds(folder):
    return [event.kind for event in job.events(folder)]


def test_a_job_is_stopped_cleanly_and_gone_on_with_after_an_answer(prepared):
    folder = prepared(300, review=True).prepare("a red car").folder
    assert not job.is_running(folder)
    job.start(folder)
    assert job.is_running(folder)
    with pytest.raises(BadInput, match="being worked on already"):
        job.start(folder)
    waits(lambda: not job.is_running(folder))
    assert kinds(folder)[-1] == "waiting" and progress(job.events(folder)).status == "waiting for your answer"

    job.start(folder, Answer(decision="approve"))
    waits(lambda: (job.job_folder(folder) / job.PREVIEW).exists())
    job.stop(folder)
    waits(lambda: not job.is_running(folder), timeout_s=100)
    assert kinds(folder)[-1] == "stopped"
    assert not list(folder.rglob(".writing-*"))

    data = json.loads((folder / "run.json").read_text())
    data["request"]["settings"]["num_inference_steps"] = 2
    (folder / "run.json").write_text(json.dumps(data))
    job.start(folder)
    waits(lambda: not job.is_running(folder))
    assert Run.load(folder).done and kinds(folder)[-1] == "done"
    assert [len(done.report.verdicts) for done in progress(job.events(folder)).judged] == [1]


def test_why_a_job_failed_is_told(prepared):
    folder = prepared(2).prepare("a red car").folder
    data = json.loads((folder / "run.json").read_text())
    data["request"]["engine"] = "none such"
    (folder / "run.json").write_text(json.dumps(data))
    job.start(folder)
    waits(lambda: not job.is_running(folder))
    assert kinds(folder)[-1] == "failed" and "none such" in job.events(folder)[-1].reason
    assert (job.job_folder(folder) / job.LOG).read_text().startswith("error: engine: ")


def test_a_line_that_is_being_written_is_left_for_later(tmp_path):
    folder = job.job_folder(tmp_path)
    folder.mkdir()
    job.tell(folder, Stopped())
    with (folder / job.EVENTS).open("a") as file:
        file.write('{"kind": "st')
    assert kinds(tmp_path) == ["stopped"]


@pytest.mark.parametrize("arguments", [[], ["run", "--answer"], ["run", "--nonsense"]])
def test_bad_arguments(arguments, capsys):
    assert job.main(arguments) == 2
    assert capsys.readouterr().err.startswith("error: ")


def test_a_folder_without_a_run_is_refused(tmp_path, capsys):
    before = os.listdir(tmp_path)
    assert job.main([str(tmp_path / "missing")]) == 2
    assert capsys.readouterr().err.startswith("error: ") and os.listdir(tmp_path) == before
