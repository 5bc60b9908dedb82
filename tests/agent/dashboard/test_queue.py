"""Jobs that wait, seen and cancelled on the pages. A worker seems to live, and takes none of them."""

import fcntl

import pytest
from streamlit.testing.v1 import AppTest

from agent import job
from agent.dashboard.progress import progress
from agent.events import Starting, Step
from agent.job_queue import WORKER, JobQueue
from agent.loop import Agent
from agent.runs import Run
from instdiff.render_settings import RenderSettings
from tests.agent.dashboard_pages import APP, open_run


@pytest.fixture
def out(tmp_path, monkeypatch):
    """An outputs folder whose worker's lock is held."""
    monkeypatch.setenv("INSTDIFF_OUTPUTS", str(tmp_path))
    queue = JobQueue(tmp_path)
    queue.folder.mkdir()
    with (queue.folder / WORKER).open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield tmp_path


def queued(out, prompt: str, steps: int = 4) -> Run:
    run = Agent(planner="offline", settings=RenderSettings(num_inference_steps=steps), out=out).prepare(prompt)
    job.start(run.folder)
    return run


def said(app) -> str:
    assert not app.exception and not app.error
    return "\n".join(text.value.replace("\\", "") for text in (*app.text, *app.warning, *app.info))


def press(app, label: str, number: int = 0):
    return [button for button in app.button if button.label == label][number].click().run()


def test_a_job_that_waits_says_where_it_stands_and_is_taken_out(out):
    queued(out, "a red car")
    second = queued(out, "a blue car")
    app = open_run(second)
    assert "In the queue: 1 job before it" in said(app) and "for each of at most 3 rounds" in said(app)
    assert "Stopped" in said(press(app, "Take out of the queue"))
    assert [one.run for one in JobQueue(out).jobs()] != [] and not job.is_running(second.folder)


def test_what_takes_long_is_told_before_it_begins(out):
    run = queued(out, "a red car", steps=1000)
    app = open_run(run)
    assert "Nothing is painted yet. This takes about 2 min" in said(app)
    press(app, "Paint it")
    assert JobQueue(out).find(run.folder.name).state == "waiting"
    job.tell(job.job_folder(run.folder), Starting())
    job.stop(run.folder)
    job.start(run.folder)  # who goes on with it was told
    assert JobQueue(out).find(run.folder.name).state == "waiting"


def test_all_jobs_stand_on_the_page_make_and_are_cancelled_there(out):
    runs = [queued(out, f"a {colour} car") for colour in ("red", "blue")]
    app = AppTest.from_file(APP, default_timeout=60).run()
    assert "Next in the queue." in said(app) and "1 job before it" in said(app)
    press(app, "Cancel", 0)
    assert [one.run for one in JobQueue(out).jobs()] == [runs[1].folder.name]
    assert job.events(runs[0].folder)[-1].kind == "stopped"


def test_the_time_left_is_that_of_the_steps_to_come():
    steps = [Step(round=0, image=0, images=2, step=step, steps=10, time=100.0 + 3 * step) for step in range(1, 6)]
    assert progress(steps[:1]).left_s is None
    assert progress(steps).left_s == pytest.approx(5 * 3 + 10 * 3)
