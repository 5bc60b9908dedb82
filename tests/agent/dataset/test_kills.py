"""Real processes that make a dataset, killed at any moment: nothing is lost, made twice, or torn."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from agent.dataset import on_ray
from agent.dataset.__main__ import main
from agent.dataset.folder import Folder
from agent.dataset.making import Order
from agent.dataset.mending import find_damage
from agent.dataset.recipe import Recipe
from agent.dataset.sources import Scenes
from instdiff.render_settings import RenderSettings
from tests.agent.doubles_dataset import files_of

ROOT = Path(__file__).parents[3]
MAKE = ["--scenes", "kitchen", "--per-picture", "2", "--things", "cup,apple,clock", "--count", "8", "--batch", "4"]
MAKE += ["--size", "64", "--steps", "1", "--rounds", "2", "--accept", "all"]
SETTINGS = RenderSettings(num_inference_steps=1)
RECIPE = Recipe(size=(64, 64), batch=4, rounds=2, accept="all", settings=SETTINGS)
SOURCE = Scenes(("kitchen",), (2, 2), (), ("cup", "apple", "clock"))


@pytest.fixture(scope="module")
def one_thread():
    """As many threads for torch as in the killed process, so that pictures are equal to the bit."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def whole(tmp_path_factory, one_thread):
    """The same dataset, made in one go."""
    folder = tmp_path_factory.mktemp("whole")
    assert main(["make", str(folder), *MAKE]) == 0
    return files_of(Folder(folder))


def command(folder):
    return [sys.executable, "-m", "agent.dataset", "make", str(folder), *MAKE]


def environment():
    return {**os.environ, "OMP_NUM_THREADS": "1"}


def an_order(folder):
    order = Order(Folder(folder), RECIPE, SOURCE, count=8, retries=5)
    order.folder.open({**RECIPE.fingerprint(), **SOURCE.about()})
    return order


def test_a_killed_process_is_gone_on_with(tmp_path, whole):
    process = subprocess.Popen(
        command(tmp_path), cwd=ROOT, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    limit = time.monotonic() + 200
    while not list(tmp_path.glob("items/0*.json")) and time.monotonic() < limit:
        time.sleep(0.005)
    assert main(["make", str(tmp_path), *MAKE]) == 2  # the folder is locked as long as that process lives
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("items/0*.json")}
    assert before
    assert main(["make", str(tmp_path), *MAKE]) == 0
    assert files_of(Folder(tmp_path)) == whole and not find_damage(Folder(tmp_path))
    assert all(path.stat().st_mtime_ns == written for path, written in before.items())


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("where", [[], ["--ray", "1"]])
def test_three_kills_over_two_dozen_pictures(where):
    if where:
        pytest.importorskip("ray")
    script = [sys.executable, str(ROOT / "tests/agent/kill_dataset.py"), "--kills", "3", "--count", "24"]
    done = subprocess.run([*script, *where], cwd=ROOT, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "'same as without kills': True" in done.stdout


@pytest.fixture(scope="session")
def ray_session():
    pytest.importorskip("ray")
    os.environ["OMP_NUM_THREADS"] = "1"
    with on_ray.ray_running(1, None):
        yield


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_ray_makes_the_same_set_though_its_worker_is_killed(tmp_path, whole, ray_session):
    from tests.agent.kill_dataset import workers_of

    order = an_order(tmp_path)
    killed = []

    def kill_once(usage):
        if not killed and list(order.folder.items.glob("0*.json")):
            killed.extend(workers_of(os.getpid()))
            os.kill(killed[0], signal.SIGKILL)

    on_ray.make_on_ray(order, kill_once, workers=1)
    order.folder.finish(8)
    assert len(killed) == 1 and order.folder.failures() == []
    assert files_of(order.folder) == whole


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_ray_gives_up_a_batch_that_kills_every_worker(tmp_path, ray_session, monkeypatch):
    class Deadly:
        def __init__(self, folder, recipe, retries):
            pass

        def run(self, planned):
            os._exit(1)

    monkeypatch.setattr(on_ray, "Worker", Deadly)
    order = Order(Folder(tmp_path), RECIPE, SOURCE, count=4, tries=1, retries=1)
    order.folder.open({})
    on_ray.make_on_ray(order, lambda usage: None, workers=1)
    assert [failure.index for failure in order.folder.failures()] == [0, 1, 2, 3]
    assert "2 workers died" in order.folder.failures()[0].error


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_slurm_jobs_in_processes_of_their_own(tmp_path, whole):
    pytest.importorskip("submitit")
    assert main(["make", str(tmp_path), *MAKE, "--slurm", "2", "--slurm-cluster", "local"]) == 0
    assert {name for name in files_of(Folder(tmp_path))} == set(whole) and not find_damage(Folder(tmp_path))
    assert len(list((tmp_path / "jobs").glob("*_result.pkl"))) == 2


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_detector_learns_from_a_dataset(tmp_path):
    pytest.importorskip("cv2")
    from agent.benchmarks.dataset_value import prove
    from instdiff.training.draft.sprites import Sprite

    make = [
        *MAKE,
        "--size",
        "256",
        "--count",
        "64",
        "--batch",
        "16",
        "--val",
        "0",
        "--rounds",
        "1",
        "--accept",
        "instance",
        "--steps",
        "4",
    ]
    assert main(["make", str(tmp_path), *make]) == 0
    y, x = np.mgrid[-1 : 1 : 64 * 1j, -1 : 1 : 64 * 1j]
    disc = np.where(x**2 + y**2 <= 1, 255, 0).astype(np.uint8)
    paints = {"cup": (60, 90, 210), "apple": (214, 34, 40), "clock": (240, 240, 240)}
    sprites = {
        name: [Sprite(name, np.dstack([np.full((64, 64, 3), rgb, np.uint8), disc]))] for name, rgb in paints.items()
    }
    found = prove(Folder(tmp_path), sprites, 64, minutes=1, held_out=24, batch=8, seed=0, seeds=1)
    assert found["pictures"] == 64 and found["dataset"]["steps"] > 10 and found["composites"]["steps"] > 10
    assert found["ratio"] is None or found["ratio"] >= 0
    assert main(["export", str(tmp_path), "--format", "yolo"]) == 0
    assert "What a detector learns from it" in (tmp_path / "export/README.md").read_text()
