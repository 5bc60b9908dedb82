"""What a worker notices: other code, other weights, jobs that its predecessors died over."""

import os
import shutil
import sys
import types

import pytest

from agent import job
from agent.events import PreviewReady, Step
from agent.job_queue import JobQueue
from agent.request import Request
from agent.worker import CRASHED, KILLED
from agent.worker.work import MOST_KILLS, Worker, _parts_of, _reason, _StepClock
from instdiff.engine import DRAFT_FOLDER


@pytest.fixture
def queue(tmp_path):
    """A queue with the job of a folder that is called as a run is."""
    queue = JobQueue(tmp_path)
    with queue.locked():
        queue.add("run", "waiting")
    job.job_folder(tmp_path / "run").mkdir(parents=True)
    return queue


@pytest.mark.parametrize(("died", "often"), [(CRASHED, 2), (KILLED, MOST_KILLS)])
def test_a_job_over_which_workers_die_is_given_up(queue, tmp_path, died, often):
    worker = Worker(tmp_path, -1, 0)
    for _ in range(often):
        assert queue.claim().run == "run"
        worker.bury(died)
    assert queue.jobs() == [] and f"died {often} times" in job.events(tmp_path / "run")[-1].reason


def test_a_job_that_was_to_stop_when_its_worker_died_is_stopped(queue, tmp_path):
    queue.claim()
    (job.job_folder(tmp_path / "run") / job.STOP).write_text("1")
    Worker(tmp_path, -1, 0).bury(KILLED)
    assert queue.jobs() == [] and job.events(tmp_path / "run")[-1].kind == "stopped"


def test_code_that_changes_is_noticed(tmp_path, monkeypatch):
    module = types.ModuleType("agent.changing")
    module.__file__ = str(tmp_path / "changing.py")
    (tmp_path / "changing.py").write_text("a = 1")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    worker = Worker(tmp_path, -1, 0)
    assert not worker._is_outdated() and not worker._is_outdated()
    (tmp_path / "changing.py").write_text("a = 12")
    assert worker._is_outdated()


def test_weights_that_change_are_loaded_again(tmp_path):
    folder = shutil.copytree(DRAFT_FOLDER, tmp_path / "engine")
    before = _parts_of(Request(engine=str(folder)))
    assert _parts_of(Request(engine=str(folder), prompt="another")) == before
    os.utime(next(folder.rglob("*.safetensors")), (1, 1))
    assert _parts_of(Request(engine=str(folder))) != before


def test_a_step_is_timed_without_the_previews_that_only_short_pictures_have():
    clock = _StepClock()
    place = {"round": 0, "image": 0}
    for step in range(1, 5):  # a second for each step, and half of one for each preview
        clock.count(Step(**place, images=1, step=step, steps=4, time=10 + 1.5 * step))
        if step < 4:
            clock.count(PreviewReady(**place, time=10.5 + 1.5 * step))
    clock.count(Step(round=1, image=0, images=1, step=1, steps=4, time=99.0))
    assert clock.seconds == pytest.approx(1 + 0.5 / 3)


def test_want_of_memory_is_told_as_such():
    assert "not enough memory" in _reason(RuntimeError("DefaultCPUAllocator: can't allocate memory: 1 TB"))
    assert "not enough memory" in _reason(MemoryError())
    assert _reason(KeyError("x")) == "KeyError: 'x'"
