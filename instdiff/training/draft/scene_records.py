"""Composed scenes as records of one size, and the processes that compose them into shared memory.

Without torch, so that such a process starts within a second and stays small.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from itertools import count
from multiprocessing import parent_process
from multiprocessing.context import BaseContext
from typing import Protocol

import numpy as np

from instdiff.training.draft.catalogue import COLOUR_NAMES, NAMES, TEXTURE_NAMES
from instdiff.training.draft.composer import FAVOUR, Composer, Composite
from instdiff.training.draft.sprites import Sprite

SIZE = 256  # pixels, the side of a picture
MASK_SIZE = 64  # and of a mask
MAX_THINGS = 14  # no scene has more
RING_SCENES = 64
PARENT_CHECK_S = 5.0
NICENESS = 10

# One scene. Masks are packed to bits, row by row; a label is -1 where there is no thing, a colour where none is chosen.
SCENE = np.dtype(
    [
        ("image", np.uint8, (SIZE, SIZE, 3)),
        ("boxes", np.float32, (MAX_THINGS, 4)),  # xyxy as fractions
        ("labels", np.int16, MAX_THINGS),
        ("colours", np.int16, MAX_THINGS),
        ("textures", np.int16, MAX_THINGS),
        ("masks", np.uint8, (MAX_THINGS, MASK_SIZE * MASK_SIZE // 8)),
    ]
)


def record_scene(composite: Composite) -> np.ndarray:
    """A composed scene as a record, an array of `SCENE` without dimensions.

    A mask's pixel belongs to the thing where at least half of the picture's pixels in it do.
    """
    record = np.zeros((), SCENE)
    record["image"] = composite.image
    for name in ("labels", "colours", "textures"):
        record[name] = -1
    step = SIZE // MASK_SIZE
    for i, instance in enumerate(composite.instances[:MAX_THINGS]):
        record["boxes"][i] = instance.box.xyxy
        record["labels"][i] = NAMES.index(instance.category)
        record["colours"][i] = COLOUR_NAMES.index(instance.colour) if instance.colour else -1
        record["textures"][i] = TEXTURE_NAMES.index(instance.texture or "plain")
        shares = instance.mask.reshape(MASK_SIZE, step, MASK_SIZE, step).mean(axis=(1, 3))
        record["masks"][i] = np.packbits(shares >= 0.5)
    return record


class SceneRecorder(Protocol):
    """Makes records of scenes in the processes that compose them, to which it is sent as it is."""

    dtype: np.dtype

    def record(self, composite: Composite, rng: np.random.Generator) -> np.ndarray:
        """A scene as a record, an array of ``dtype`` without dimensions."""


class LabelledScenes:
    """Records scenes as detectors learn from them."""

    dtype = SCENE

    def record(self, composite: Composite, rng: np.random.Generator) -> np.ndarray:
        return record_scene(composite)


class SceneRing:
    """The way of scenes from one process to another: a ring of records in shared memory without a name.

    Such memory goes with the last process that has it, however that process ends.
    """

    def __init__(self, context: BaseContext, dtype: np.dtype = SCENE):
        self.dtype = dtype
        self.memory = context.RawArray("B", RING_SCENES * dtype.itemsize)
        self.free = context.Semaphore(RING_SCENES)
        self.filled = context.Semaphore(0)
        self.taken = 0

    def records(self) -> np.ndarray:
        """The ring's records (RING_SCENES,)."""
        return np.frombuffer(self.memory, self.dtype)

    def take(self, timeout_s: float = 0.0) -> list[np.ndarray]:
        """Copies of the scenes that are there, in order; waits for the first one for so long."""
        scenes: list[np.ndarray] = []
        records = self.records()
        while self.filled.acquire(timeout=0.0 if scenes else timeout_s):
            scenes.append(records[self.taken % RING_SCENES].copy())
            self.taken += 1
            self.free.release()
        return scenes


def compose_into(
    ring: SceneRing,
    recorder: SceneRecorder,
    sprites: dict[str, list[Sprite]],
    seed: Sequence[int],
    first: int,
    common_share: float,
) -> None:
    """Compose scene after scene into the ring, until the process that reads it has ended.

    Args:
        recorder: makes the ring's records.
        seed: three numbers; with the scene's own number they say what it shows.
        first: number of the first scene.
        common_share: share of the scenes that are full of common things.
    """
    import cv2

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that reads is asked to stop, and then stops this one
    if hasattr(os, "nice"):
        os.nice(NICENESS)  # on a machine with few processors the training goes first, and sees scenes more often
    cv2.setNumThreads(0)
    composer = Composer(sprites)
    common_composer = Composer(sprites, favour=FAVOUR)
    records = ring.records()
    parent = parent_process()
    for index in count(first):
        rng = np.random.default_rng([*seed, index])
        scene = (common_composer if rng.random() < common_share else composer).compose(rng)
        record = recorder.record(scene, rng)
        while not ring.free.acquire(timeout=PARENT_CHECK_S):
            if parent and not parent.is_alive():
                return
        records[(index - first) % RING_SCENES] = record
        ring.filled.release()
