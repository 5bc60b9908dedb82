"""`SceneStream`: processes compose scenes while a training draws batches of those that are there."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.context import SpawnProcess
from typing import Generic, NamedTuple, TypeVar

import numpy as np
import torch
from accelerate import PartialState

from instdiff.errors import ServiceError
from instdiff.training.draft.labelled_pictures import LabelledPictures, unpack_scenes
from instdiff.training.draft.scene_records import SCENE, LabelledScenes, SceneRecorder, SceneRing, compose_into
from instdiff.training.draft.sprites import Sprite

CPU_SCENES = 6_000  # kept in memory, of 0.2 MB each
GPU_SCENES = 60_000
FIRST_SCENES = 400  # there before the first batch is drawn
COMMON_SHARE = 0.5
WAIT_S = 0.2
THREADS = "OMP_NUM_THREADS"

# Changes new images (n, S, S, 3) uint8, given the generator to draw with.
ImageChange = Callable[[torch.Tensor, torch.Generator], torch.Tensor]
Batch = TypeVar("Batch")
# Makes a batch of the fields of some records, (B, ...) each, given the generator to draw with.
Unpack = Callable[[dict[str, torch.Tensor], torch.Generator], Batch]


def labelled(fields: dict[str, torch.Tensor], generator: torch.Generator) -> LabelledPictures:
    """The batch of a detector."""
    return unpack_scenes(fields)


class SceneBuffer:
    """The newest scenes, on the training's device; those that come once it is full replace the oldest."""

    def __init__(self, size: int, device: torch.device, dtype: np.dtype = SCENE):
        self.size = size
        self.added = 0
        self.fields: dict[str, torch.Tensor] = {}
        for name in dtype.names or ():
            kind, shape = dtype[name].subdtype or (dtype[name], ())
            values = torch.from_numpy(np.zeros(0, kind))
            self.fields[name] = torch.zeros((size, *shape), dtype=values.dtype, device=device)

    def __len__(self) -> int:
        return min(self.added, self.size)

    def add(self, scenes: np.ndarray) -> torch.Tensor:
        """Take up records (n,), n at most the buffer's size; returns their places in it (n,)."""
        places = torch.from_numpy(np.arange(self.added, self.added + len(scenes)) % self.size)
        for name, values in self.fields.items():
            places = places.to(values.device)
            values[places] = torch.from_numpy(scenes[name].copy()).to(values.device)
        self.added += len(scenes)
        return places

    def draw(self, size: int, generator: torch.Generator) -> dict[str, torch.Tensor]:
        """The fields of so many of the scenes at random; a scene may come twice."""
        chosen = torch.randint(len(self), (size,), generator=generator, device=generator.device)
        return {name: values[chosen] for name, values in self.fields.items()}


class Worker(NamedTuple):
    """A process that composes, and where it leaves its scenes."""

    process: SpawnProcess
    ring: SceneRing


class SceneStream(Generic[Batch]):
    """Scenes that other processes compose as the training goes, on the training's device.

    Scene i of worker w of the training's process p is determined by (seed, p, w, i). Which scenes a batch is drawn from
    depends on how fast they are composed. The workers start with the first batch, and end with the ``with`` block.

    Args:
        workers: how many processes; None takes what the processors of this training's share can bear.
        size: how many scenes are kept; None chooses by the device.
        change: what new images go through once.
        recorder: makes records of scenes, in the workers.
        unpack: makes a batch of records.
    """

    def __init__(
        self,
        sprites: dict[str, list[Sprite]],
        seed: int,
        workers: int | None = None,
        size: int | None = None,
        change: ImageChange | None = None,
        first_scenes: int = FIRST_SCENES,
        recorder: SceneRecorder | None = None,
        unpack: Unpack[Batch] = labelled,  # type: ignore[assignment]
    ):
        self.sprites = sprites
        self.seed = seed
        self.count = workers
        self.size = size
        self.change = change
        self.first_scenes = first_scenes
        self.recorder = recorder or LabelledScenes()
        self.unpack = unpack
        self.workers: list[Worker] = []
        self.waited_s = 0.0
        self.drawn = 0

    def __enter__(self) -> SceneStream[Batch]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def batch(self, size: int, step: int, generator: torch.Generator) -> Batch:
        """So many of the scenes at random, on the generator's device.

        Raises:
            ServiceError: a worker has ended.
        """
        if not self.workers:
            # A training that is gone on with sees other scenes than before.
            self._start(first=step * size, device=generator.device)
        start = time.monotonic()
        self._receive()
        while len(self.buffer) < min(self.first_scenes, self.buffer.size):
            self._receive(WAIT_S)
        self.waited_s += time.monotonic() - start
        self.drawn += size
        return self.unpack(self.buffer.draw(size, generator), generator)

    def figures(self) -> dict[str, float]:
        """Pictures drawn per second, the share of the time spent on waiting for scenes and taking them up, their count.

        All of this process alone.
        """
        seconds = max(time.monotonic() - self.started, 1e-9)
        return {
            "samples_per_s": round(self.drawn / seconds, 1),
            "waiting": round(self.waited_s / seconds, 3),
            "scenes": self.buffer.added,
        }

    def close(self) -> None:
        """End the workers."""
        for process, _ in self.workers:
            process.terminate()
        for process, _ in self.workers:
            process.join()
            process.close()
        self.workers = []

    def _start(self, first: int, device: torch.device) -> None:
        state = PartialState()
        self.started = time.monotonic()
        size = self.size or (CPU_SCENES if device.type == "cpu" else GPU_SCENES)
        self.buffer = SceneBuffer(size, device, self.recorder.dtype)
        self.generator = torch.Generator(device).manual_seed(self.seed + state.process_index)
        context = get_context("spawn")  # a fork of a process with torch's threads can hang
        for index in range(self.count or default_workers(state.num_processes)):
            ring = SceneRing(context, self.recorder.dtype)
            seed = (self.seed, state.process_index, index)
            arguments = (ring, self.recorder, self.sprites, seed, first, COMMON_SHARE)
            process = context.Process(target=compose_into, args=arguments, daemon=True)
            self.workers.append(Worker(process, ring))
            with _one_thread():
                process.start()

    def _receive(self, timeout_s: float = 0.0) -> None:
        """Take up what the workers have composed; waits for each of them for so long."""
        scenes: list[np.ndarray] = []
        for index, (process, ring) in enumerate(self.workers):
            if not process.is_alive():
                ended = f"process {index} that composes scenes has ended with exit code {process.exitcode}"
                raise ServiceError(f"{ended}; what it said is above")
            scenes += ring.take(timeout_s)
        for first in range(0, len(scenes), self.buffer.size):
            places = self.buffer.add(np.stack(scenes[first : first + self.buffer.size]))
            if self.change:
                images = self.buffer.fields["image"]
                images[places] = self.change(images[places], self.generator)


@contextmanager
def _one_thread() -> Iterator[None]:
    """What is started inside computes in one thread: more would take the processors that the training computes on."""
    before = os.environ.get(THREADS)
    os.environ[THREADS] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[THREADS]
        else:
            os.environ[THREADS] = before


def default_workers(num_processes: int) -> int:
    """How many processes compose for each of the trainings on this machine: all processors but two work for them."""
    return max((os.cpu_count() or 1) // num_processes - 2, 1)


def stack_scenes(scenes: Sequence[np.ndarray]) -> LabelledPictures:
    """The pictures of some scenes, on the CPU."""
    buffer = SceneBuffer(len(scenes), torch.device("cpu"))
    buffer.add(np.stack(scenes))
    return unpack_scenes(buffer.fields)
