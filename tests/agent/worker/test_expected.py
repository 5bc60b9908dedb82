"""How long a job takes is reckoned from what painting took before."""

import pytest

from agent.job_queue import JobQueue
from agent.loop import Agent
from agent.runs import Run
from agent.worker.expected import UNKNOWN_PACE, duration, expected, is_long, learn, read_pace, work
from instdiff.engine import engine_info
from instdiff.render_settings import RenderSettings


def prepared(out, steps=4, size=None, images=1, **options) -> Run:
    settings = RenderSettings(num_inference_steps=steps, num_images=images)
    return Agent(planner="offline", settings=settings, size=size, out=out, **options).prepare("a red car")


@pytest.fixture
def queue(tmp_path):
    queue = JobQueue(tmp_path)
    queue.folder.mkdir()
    return queue


def test_work_grows_with_steps_and_pictures(tmp_path):
    info = engine_info("draft")
    one = work(prepared(tmp_path), info)
    assert work(prepared(tmp_path, steps=12), info) == pytest.approx(3 * one)
    assert work(prepared(tmp_path, images=5), info) == pytest.approx(5 * one)
    assert work(prepared(tmp_path, size=(4096, 4096)), info) == pytest.approx(one)  # it is enlarged afterwards


def test_what_was_painted_tells_how_long_the_next_picture_takes(queue, tmp_path):
    run = prepared(tmp_path, steps=10, rounds=2)
    guess = expected(queue, run)
    assert not guess.measured and guess.rounds == 2
    learn(queue, run, 3.0)  # seconds for a step
    told = expected(queue, run)
    assert told.measured and told.seconds == pytest.approx(30, abs=2)
    assert expected(queue, prepared(tmp_path, steps=100)).seconds == pytest.approx(300, abs=2)
    learn(queue, run, 1.0)  # the machine has less to do now
    assert expected(queue, run).seconds == pytest.approx(20, abs=2)


def test_only_what_is_long_for_its_engine_is_long(queue, tmp_path):
    much, usual = prepared(tmp_path, steps=1000, size=(4096, 4096)), prepared(tmp_path)
    assert is_long(queue, much) and not is_long(queue, usual)
    learn(queue, usual, 1000.0)  # every picture of a slow machine takes an hour, which nobody asks about each time
    assert not is_long(queue, usual)


@pytest.mark.parametrize("content", ["{", "[]", '{"draft": "fast"}', '{"draft": -1}'])
def test_spoiled_figures_are_none(queue, tmp_path, content):
    (queue.folder / "pace.json").write_text(content)
    assert read_pace(queue) == {}
    run = prepared(tmp_path)
    assert expected(queue, run).seconds == pytest.approx(UNKNOWN_PACE * work(run, engine_info("draft")), abs=1.1)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "1 s"), (40, "40 s"), (100, "2 min"), (3599, "60 min"), (7800, "2 h 10 min"), (7200, "2 h")],
)
def test_durations_in_words(seconds, words):
    assert duration(seconds) == words
