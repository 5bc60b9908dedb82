"""Scenes come from other processes: the right ones, and nothing is left of the processes."""

import os
import signal
from itertools import count
from multiprocessing import active_children
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("cv2")

from instdiff.errors import ServiceError
from instdiff.training.draft import scene_records, stream
from instdiff.training.draft.catalogue import COLOUR_NAMES, NAMES
from instdiff.training.draft.composer import FAVOUR, Composer
from instdiff.training.draft.scene_records import SCENE, record_scene
from instdiff.training.draft.stream import SceneBuffer, SceneStream, stack_scenes
from tests.instdiff.model.test_detector import composer

SHARED_MEMORY = Path("/dev/shm")


def left_in_shared_memory(semaphores):
    """What this process or semaphores of these names have under a name in the system's shared memory."""
    names = {path.name for path in SHARED_MEMORY.iterdir()} if SHARED_MEMORY.exists() else set()
    own = {f"sem.{name.lstrip('/')}" for name in semaphores}
    return {name for name in names if name.startswith(f"pym-{os.getpid()}-") or name in own}


def generator():
    return torch.Generator().manual_seed(0)


def scene(seed, index):
    """The scene of this number, as a worker composes it."""
    sprites = composer().sprites
    rng = np.random.default_rng([*seed, index])
    favour = FAVOUR if rng.random() < stream.COMMON_SHARE else 0
    return record_scene(Composer(sprites, favour=favour).compose(rng))


def test_a_record_holds_what_is_on_the_scene():
    composed = composer().compose(np.random.default_rng(3))
    pictures = stack_scenes([record_scene(composed)])
    [things] = pictures.things()
    assert len(things.labels) == len(composed.instances) > 0
    image = ((pictures.images[0] + 1) * 127.5).round().byte().permute(1, 2, 0)
    assert torch.equal(image, torch.from_numpy(composed.image))
    for i, instance in enumerate(composed.instances):
        assert NAMES[things.labels[i]] == instance.category
        assert things.boxes[i].tolist() == pytest.approx(instance.box.xyxy)
        assert things.colours[i] == (COLOUR_NAMES.index(instance.colour) if instance.colour else -1)
        shares = torch.nn.functional.avg_pool2d(torch.from_numpy(instance.mask)[None].float(), 4)[0]
        assert torch.equal(things.masks[i], shares >= 0.5)


def test_a_full_buffer_forgets_its_oldest():
    buffer = SceneBuffer(4, torch.device("cpu"))
    scenes = np.zeros(7, SCENE)
    scenes["labels"][:, 0] = np.arange(7)
    buffer.add(scenes[:3])
    assert len(buffer) == 3 and set(buffer.draw(50, generator())["labels"][:, 0].tolist()) == {0, 1, 2}
    assert buffer.add(scenes[3:]).tolist() == [3, 0, 1, 2] and len(buffer) == 4
    assert set(buffer.draw(80, generator())["labels"][:, 0].tolist()) == {3, 4, 5, 6}


def test_scenes_are_those_of_their_seed_and_number_and_no_process_stays():
    with SceneStream(composer().sprites, seed=77, workers=2, size=200, first_scenes=8) as scenes:
        drawn = scenes.batch(6, step=5, generator=generator())
        assert drawn.images.shape == (6, 3, 256, 256) and scenes.figures()["scenes"] >= 8
        assert 0 < scenes.figures()["waiting"] <= 1 and scenes.figures()["samples_per_s"] > 0
        composed = [scene((77, 0, worker), 30 + index) for worker in range(2) for index in range(3)]
        images = scenes.buffer.fields["image"].numpy()
        found = [any(np.array_equal(record["image"], image) for image in images) for record in composed]
        assert sum(found) >= 3, "the numbers begin at 5 steps of 6 pictures; one worker may be late"
        rings = [worker.ring for worker in scenes.workers]
        names = [semaphore._semlock.name for ring in rings for semaphore in (ring.free, ring.filled)]
        del rings
    assert not active_children() and not left_in_shared_memory(names)


def test_new_scenes_are_changed_once():
    changes = []

    def change(images, generator):
        changes.append(len(images))
        return torch.zeros_like(images)

    with SceneStream(composer().sprites, seed=1, workers=1, size=6, change=change, first_scenes=6) as scenes:
        assert scenes.batch(4, 0, generator()).images.max() == -1
        assert sum(changes) == scenes.figures()["scenes"] and max(changes) <= 6


def test_a_process_that_dies_is_reported():
    with SceneStream(composer().sprites, seed=1, workers=1, size=4, first_scenes=1) as scenes:
        scenes.batch(1, 0, generator())
        os.kill(scenes.workers[0].process.pid, signal.SIGKILL)
        with pytest.raises(ServiceError, match="process 0 that composes scenes has ended with exit code -9"):
            for step in count():
                scenes.batch(1, step, generator())
    assert not active_children()


def test_a_process_that_cannot_compose_is_reported(capfd):
    unknown = {"unicorn": composer().sprites["cat"]}
    with SceneStream(unknown, seed=1, workers=1) as scenes, pytest.raises(ServiceError, match="exit code 1"):
        scenes.batch(1, 0, generator())
    assert "KeyError: 'unicorn'" in capfd.readouterr().err


def test_a_ring_hands_scenes_on_in_order():
    ring = scene_records.SceneRing(stream.get_context("spawn"))
    for index in range(3):
        assert ring.free.acquire(timeout=1)
        ring.records()[index]["labels"][0] = index
        ring.filled.release()
    assert [int(record["labels"][0]) for record in ring.take()] == [0, 1, 2] and ring.take() == []
