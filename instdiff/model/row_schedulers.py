"""One scheduler for all trajectories of a picture: one step for all of their latents."""

from __future__ import annotations

import copy
import inspect
from collections import deque
from contextlib import nullcontext
from functools import lru_cache

import torch
from diffusers import SchedulerMixin
from torch.overrides import TorchFunctionMode

from instdiff.model.schedulers import PAINTING


class SentAhead(TorchFunctionMode):
    """While it is on, noise that is drawn on the processor goes to a device without waiting for it."""

    def __init__(self, device: torch.device):
        super().__init__()
        self.device = device

    def __torch_function__(self, function, types, args=(), kwargs=None):
        """Do what is asked, and send on what `torch.randn` gave."""
        given = function(*args, **(kwargs or {}))
        if function is not torch.randn or given.device.type != "cpu":
            return given
        if self.device.type == "cuda":
            given = given.pin_memory()  # memory that a card fetches by itself
        return given.to(self.device, non_blocking=True)


class RowScheduler:
    """A copy of a scheduler that takes a step of several trajectories at once, and remembers a row of each.

    Args:
        scheduler: with its timesteps set.
        rows: trajectories.
        generator: of the noise that it adds, which is the same for all rows: the mean of different noise, which is what
            they are merged to, would be weaker than the noise that the next step expects.
    """

    def __init__(self, scheduler: SchedulerMixin, rows: int, generator: torch.Generator):
        self.generator = generator
        first = copy.deepcopy(scheduler)
        # `DPMSolverSDEScheduler` takes no generator, and draws from a Brownian tree of its own.
        by_seed = getattr(scheduler, "noise_sampler_seed", 0) is None
        if by_seed:
            first.noise_sampler_seed = int(torch.randint(2**62, (), generator=generator, device=generator.device))
        # What others remember is not known: each row has one of its own.
        alone = by_seed or type(scheduler).__name__ not in PAINTING
        self.rows = rows
        self.copies = [first, *(copy.deepcopy(first) for _ in range(rows - 1 if alone else 0))]

    @property
    def scheduler(self) -> SchedulerMixin:
        """What they have in common: the schedule, and how it scales."""
        return self.copies[0]

    def step(
        self, predictions: torch.Tensor, timestep: torch.Tensor, latents: torch.Tensor, eta: float | None
    ) -> torch.Tensor:
        """(rows, C, H, W) predictions and latents -> the latents of the next timestep."""
        known = _step_options(self.scheduler.__class__)
        options: dict[str, object] = {"eta": eta} if eta is not None and "eta" in known else {}
        generators = self._generators() if "generator" in known else []
        each = self.rows // len(self.copies)  # all rows, or one
        stepped = []
        with SentAhead(latents.device) if generators and latents.device.type != "cpu" else nullcontext():
            for first, own in zip(range(0, self.rows, each), self.copies, strict=True):
                rows = slice(first, first + each)
                if generators:
                    options["generator"] = generators[rows] if each > 1 else generators[first]
                stepped.append(own.step(predictions[rows], timestep, latents[rows], return_dict=False, **options)[0])
        return torch.cat(stepped)

    def keep_first(self) -> None:
        """Go on with the first row alone, and what is remembered of it."""
        if len(self.copies) == 1:
            for name, value in vars(self.scheduler).items():
                setattr(self.scheduler, name, _first_row(value, self.rows))
        self.copies = self.copies[:1]
        self.rows = 1

    def _generators(self) -> list[torch.Generator]:
        """For each row one that gives the same as that of the first, which is the one that goes on."""
        state = self.generator.get_state()
        copies = [torch.Generator(self.generator.device).set_state(state) for _ in range(self.rows - 1)]
        return [self.generator, *copies]


def _first_row(value: object, rows: int) -> object:
    """What a scheduler remembers of so many rows of latents, of the first alone; all else as it is."""
    if isinstance(value, (list, deque)):
        return type(value)(_first_row(part, rows) for part in value)
    if isinstance(value, torch.Tensor) and value.dim() == 4 and len(value) == rows:
        return value[:1]
    return value


@lru_cache(maxsize=64)
def _step_options(kind: type) -> frozenset[str]:
    """The names of what a scheduler's step takes."""
    return frozenset(inspect.signature(kind.step).parameters)  # type: ignore[attr-defined]
