"""Work by another process, seen through the run's folder."""

import contextlib
import json
import os
import random
import signal
import time
from pathlib import Path

import psutil
import pytest

from agent import job
from agent.dashboard.live_view import progress
from agent.events import Stopped
from agent.job_queue import STATUS, JobQueue
from agent.loop import Agent
from agent.runs import Answer, Run
from instdiff.errors import BadInput
from instdiff.render_settings import RenderSettings

pytestmark = pytest.mark.timeout(900)
PROMPTS = [f"a {colour} {thing}" for colour in ("red", "blue") for thing in ("car", "dog", "chair", "boat", "tree")]


def waits(condition, timeout_s=250):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def prepare(out: Path, steps: int, prompt: str = "a red car", **options) -> Path:
    """The folder of a run that a job can work on."""
    settings = RenderSettings(num_inference_steps=steps)
    return Agent(planner="offline", rounds=1, settings=settings, out=out, **options).prepare(prompt).folder


def with_steps(folder: Path, steps: int) -> None:
    change(folder, lambda request: request["settings"].update(num_inference_steps=steps))


def change(folder: Path, how) -> None:
    data = json.loads((folder / "run.json").read_text())
    how(data["request"])
    (folder / "run.json").write_text(json.dumps(data))


def kinds(folder: Path) -> list[str]:
    return [event.kind for event in job.events(folder)]


def has_preview(folder: Path) -> bool:
    return (job.job_folder(folder) / job.PREVIEW).exists()


def worker_of(out: Path) -> int:
    """The process that holds the models."""
    waits(lambda: (out / ".queue" / STATUS).exists())
    return json.loads((out / ".queue" / STATUS).read_text())["pid"]


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """An outputs folder with a worker that stays, for all tests here; it ends with them."""
    folder = tmp_path_factory.mktemp("outputs")
    before = os.environ["INSTDIFF_WORKER_IDLE"]
    os.environ["INSTDIFF_WORKER_IDLE"] = "300"
    job.wake(folder)
    os.environ["INSTDIFF_WORKER_IDLE"] = before
    yield folder
    for run in folder.glob("2*"):
        job.stop(run)
        job.stop(run)
    job.dismiss(folder)
    waits(lambda: not job.is_awake(folder))


def test_a_job_waits_is_answered_stopped_and_gone_on_with(out):
    folder = prepare(out, 200, review=True)
    assert not job.is_running(folder)
    job.start(folder)
    assert job.is_running(folder)
    with pytest.raises(BadInput, match="being worked on already"):
        job.start(folder)
    waits(lambda: not job.is_running(folder))
    assert kinds(folder)[-1] == "waiting" and progress(job.events(folder)).status == "waiting for your answer"

    job.start(folder, Answer(decision="approve"))
    waits(lambda: has_preview(folder))
    pid = worker_of(out)
    assert job.worker_status(out).memory > 100e6 and job.worker_status(out).engine == "draft"
    job.stop(folder)
    waits(lambda: not job.is_running(folder), timeout_s=100)
    assert kinds(folder)[-1] == "stopped"
    assert not list(folder.rglob(".writing-*"))

    with_steps(folder, 2)
    job.start(folder)
    waits(lambda: not job.is_running(folder))
    assert Run.load(folder).done and kinds(folder)[-1] == "done"
    assert [len(done.report.verdicts) for done in progress(job.events(folder)).judged] == [1]
    happened = kinds(folder)
    last_start = len(happened) - happened[::-1].index("starting")
    assert "loading" not in happened[last_start:] and worker_of(out) == pid  # the same process, all was there already


def test_what_a_warm_worker_paints_after_a_stop_is_what_a_fresh_one_paints(out, tmp_path):
    stopped, after = prepare(out, 200), prepare(out, 3, "two dogs")
    job.start(stopped)
    job.start(after)
    waits(lambda: has_preview(stopped))
    job.stop(stopped)
    waits(lambda: not job.is_running(after))
    fresh = Agent(planner="offline", rounds=1, settings=RenderSettings(num_inference_steps=3), out=tmp_path)
    assert Run.load(after).image.read_bytes() == fresh.run("two dogs").image.read_bytes()


def test_a_job_is_cancelled_while_it_waits_and_a_second_stop_ends_one_at_once(out):
    first, second, third = (prepare(out, steps) for steps in (200, 2, 2))
    for folder in (first, second, third):
        job.start(folder)
    waits(lambda: has_preview(first))
    assert [job.place_in_queue(folder)[1] for folder in (first, second, third)] == [0, 1, 2]
    job.stop(second)
    assert not job.is_running(second) and kinds(second) == ["stopped"]
    pid = worker_of(out)
    os.kill(pid, signal.SIGSTOP)  # as if one step took minutes, in which no stop is heard
    job.stop(first)
    job.stop(first)
    assert job.is_running(first)
    os.kill(pid, signal.SIGCONT)
    waits(lambda: not job.is_running(third))
    assert kinds(first)[-1] == "stopped" and Run.load(third).done and not Run.load(second).rounds


def test_a_killed_worker_goes_on_with_what_it_was_at_and_forgets_no_answer(out):
    folders = [prepare(out, steps, review=True) for steps in (100, 2)]
    for folder in folders:
        job.start(folder)
    waits(lambda: not any(map(job.is_running, folders)))
    data = json.loads((folders[1] / "run.json").read_text())  # as if it died while it took the answer
    (folders[1] / "run.json").write_text(json.dumps({**data, "review": "approved"}))
    for folder in folders:
        job.start(folder, Answer(decision="approve"))
    waits(lambda: has_preview(folders[0]))
    with_steps(folders[0], 2)
    os.kill(worker_of(out), signal.SIGKILL)
    waits(lambda: not any(map(job.is_running, folders)))
    for folder in folders:
        assert Run.load(folder).done and Run.load(folder).review == "approved" and kinds(folder).count("done") == 1
        assert kinds(folder).count("plan ready") == 1


def test_why_a_job_failed_is_told_and_the_next_one_is_done(out):
    folders = [prepare(out, 2) for _ in range(3)]
    change(folders[0], lambda request: request.update(engine="none such"))
    (folders[1] / "run.json").write_text("{")
    with pytest.raises(BadInput):
        job.start(folders[1])
    job.start(folders[0])
    job.start(folders[2])
    waits(lambda: not any(map(job.is_running, folders)))
    assert kinds(folders[0])[-1] == "failed" and "none such" in job.events(folders[0])[-1].reason
    assert (job.job_folder(folders[0]) / job.JOB_LOG).read_text().startswith("error: engine: ")
    assert Run.load(folders[2]).done


def test_a_worker_ends_when_it_is_asked_and_another_one_comes_with_the_next_job(out):
    pid = worker_of(out)
    job.dismiss(out)
    waits(lambda: not job.is_awake(out))
    waits(lambda: not psutil.pid_exists(pid))
    assert job.worker_status(out) is None
    folder = prepare(out, 2)
    change(folder, lambda request: request.update(engine="none such"))  # it needs no models
    job.start(folder)
    waits(lambda: not job.is_running(folder))
    assert kinds(folder)[-1] == "failed"
    waits(lambda: not job.is_awake(out))


@pytest.mark.slow
def test_ten_jobs_are_each_done_once_whenever_the_worker_is_killed(out, tmp_path):
    rng = random.Random(0)
    folders = [prepare(out, 8, prompt) for prompt in PROMPTS]
    job.wake(out)
    for folder in folders:
        job.start(folder)

    def painted() -> int:
        job.revive(out)  # as a page does that looks on
        return sum(kinds(folder).count("step") for folder in folders)

    for number in range(12):
        if number % 2:  # some kills come while everything is loaded, the others while something is painted
            before = painted()
            waits(lambda before=before: painted() > before, timeout_s=300)
        time.sleep(rng.uniform(0, 3))
        with contextlib.suppress(psutil.Error):
            worker = psutil.Process(worker_of(out))
            keeper = worker.parent()
            if keeper and number % 3 == 0 and "agent.worker" in keeper.cmdline():
                keeper.kill()  # what looks after it, too
            worker.kill()
    waits(lambda: painted() and not any(map(job.is_running, folders)), timeout_s=600)
    settings = RenderSettings(num_inference_steps=8)
    fresh = Agent(planner="offline", rounds=1, settings=settings, out=tmp_path)
    for folder, prompt in zip(folders, PROMPTS, strict=True):
        happened = kinds(folder)
        assert Run.load(folder).done and happened.index("done") > len(happened) - 4, happened
        assert "step" not in happened[happened.index("done") :]
        assert Run.load(folder).image.read_bytes() == fresh.run(prompt).image.read_bytes()
    assert not JobQueue(out).jobs()


# --- without a process


def test_what_takes_long_waits_for_a_word(tmp_path):
    folder = prepare(tmp_path, 1000, size=(4096, 4096))
    job.start(folder)
    assert job.place_in_queue(folder)[0].state == "held" and not job.is_awake(tmp_path)
    assert JobQueue(tmp_path).claim() is None
    job.stop(folder)
    assert kinds(folder) == ["stopped"]


def test_a_job_is_never_taken_twice(tmp_path):
    queue = JobQueue(tmp_path)
    for name in ("b.run", "a-1", "c"):
        with queue.locked():
            queue.add(name, "waiting")
    with queue.locked(), pytest.raises(BadInput, match="already"):
        queue.add("a-1", "waiting")
    for name in ("12-.waiting", "x-y.waiting", "12-...waiting"):
        (queue.folder / name).touch()
    assert [queue.claim().run for _ in range(3)] == ["b.run", "a-1", "c"]
    assert queue.claim() is None and len(queue.jobs()) == 3


def test_a_line_that_is_being_written_is_left_for_later(tmp_path):
    folder = job.job_folder(tmp_path)
    folder.mkdir()
    job.tell(folder, Stopped())
    with (folder / job.EVENTS).open("a") as file:
        file.write('{"kind": "st')
    assert kinds(tmp_path) == ["stopped"]
