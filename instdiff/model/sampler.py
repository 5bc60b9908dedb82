"""Denoising with grounding: the alpha schedule, guidance, and the Multi-Instance Sampler around any diffusers
scheduler.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from dataclasses import dataclass

import torch

from instdiff.model.attention import Memory
from instdiff.model.unet import InstanceUNet


@dataclass(eq=False)
class Condition:
    """What one trajectory is painted from; every tensor is a batch of one. Trajectories may share one."""

    text: torch.Tensor  # (1, 77, D) caption features
    tokens: torch.Tensor  # (1, T, D) grounding tokens
    regions: torch.Tensor  # (1, N, 32, 32) bool
    place_map: torch.Tensor | None  # (1, C, H, W)
    counts: torch.Tensor | None = None  # (T,) how many equal tokens each token stands for, the same in all conditions


@dataclass
class Branch:
    """One denoising trajectory with a scheduler state of its own."""

    condition: Condition
    negative: Condition
    latents: torch.Tensor  # (1, C, H, W)
    scheduler: object
    lead: torch.Tensor | None = None  # (1, C, H, W) where guidance led in a step before, if that is to be taken again


def alpha_schedule(num_steps: int, alpha: float) -> list[float]:
    """Strength of the grounding per step: 1 for the first ``alpha`` of the steps, 0 for the rest."""
    grounded = int(alpha * num_steps)
    return [1.0] * grounded + [0.0] * (num_steps - grounded)


def step_numbers(num_evaluations: int, num_steps: int) -> list[int]:
    """Which step each evaluation of the UNet belongs to: PLMS evaluates its first step twice."""
    extra = num_evaluations - num_steps
    if extra in (0, 1):
        return [max(i - extra, 0) for i in range(num_evaluations)]
    return [i * num_steps // num_evaluations for i in range(num_evaluations)]


def merge(branches: list[Branch]) -> Branch:
    """End of the Multi-Instance Sampler's first phase: the plain mean of the global latent and those of all instances.

    What goes on is the global branch (the first) with its scheduler's history (InstanceDiffusion, section 3.4).
    """
    first = branches[0]
    return Branch(
        first.condition, first.negative, torch.cat([b.latents for b in branches]).mean(0, keepdim=True), first.scheduler
    )


class Denoiser:
    """The UNet over rows of (latents, condition), in batches; what does not change between steps is computed once.

    Args:
        conditions: all that will be asked for.
        size: (H, W) of the latents.
        max_batch: rows given to the UNet at once.
        keeps_inner: keep what the inner levels of the UNet give, until `renew` or until other rows are asked for.
    """

    def __init__(
        self,
        unet: InstanceUNet,
        conditions: list[Condition],
        size: tuple[int, int],
        max_batch: int,
        keeps_inner: bool = False,
    ):
        self.unet = unet
        self.size = size
        self.max_batch = max_batch
        self.keeps_inner = keeps_inner
        distinct = list(dict.fromkeys(conditions))
        self.number = {condition: i for i, condition in enumerate(distinct)}
        text, tokens, regions = (
            torch.cat([getattr(c, name) for c in distinct]) for name in ("text", "tokens", "regions")
        )
        self.memories = unet.remember(text, tokens, regions, size, distinct[0].counts)
        self.place_maps = None if distinct[0].place_map is None else torch.cat([c.place_map for c in distinct])
        self.rows = []
        self.batches = []
        self.inner = []

    def renew(self) -> None:
        """Compute all levels of the UNet in the next call."""
        self.inner = [[] if self.keeps_inner else None for _ in self.batches]

    def __call__(
        self, latents: list[torch.Tensor], conditions: list[Condition], timestep: torch.Tensor, alpha: float
    ) -> torch.Tensor:
        """Latents (1, C, H, W) each -> predictions (rows, C, H, W)."""
        rows = [self.number[condition] for condition in conditions]
        if rows != self.rows:  # changes when instances are merged, not from step to step
            self.rows, self.batches = (
                rows,
                [self._batch(rows[i : i + self.max_batch]) for i in range(0, len(rows), self.max_batch)],
            )
            self.renew()
        inputs = torch.cat(latents).to(self.unet.dtype).split(self.max_batch)
        stock = alpha == 0 and self.unet.config.has_stock_conv_in
        outputs = [
            self.unet(
                x,
                timestep,
                memories=memories,
                place_map=place_map,
                grounding_scale=alpha,
                stock_conv_in=stock,
                inner=inner,
            )
            for x, (memories, place_map), inner in zip(inputs, self.batches, self.inner, strict=True)
        ]
        return torch.cat(outputs).to(latents[0].dtype)

    def _batch(self, rows: list[int]) -> tuple[list[Memory], torch.Tensor | None]:
        index = torch.tensor(rows, device=self.unet.device)
        return [memory.rows(index) for memory in self.memories], None if self.place_maps is None else self.place_maps[
            index
        ]


@torch.no_grad()
def sample(
    unet: InstanceUNet,
    scheduler,
    latents: torch.Tensor,
    conditions: list[list[Condition]],
    negatives: list[Condition],
    num_inference_steps: int,
    guidance_scale: float,
    alpha: float,
    mis: float,
    max_batch: int = 16,
    guidance_every: int = 1,
    inner_every: int = 1,
    on_step: Callable[[int, int, list[list[Branch]]], None] | None = None,
    generators: list[torch.Generator] | None = None,
    eta: float | None = None,
) -> torch.Tensor:
    """Denoise B latents.

    Args:
        latents: (B, C, H, W) noise of unit variance.
        conditions: for each layout the whole layout first, then each of its instances alone.
        negatives: for each layout what guidance leads away from.
        num_inference_steps, guidance_scale, alpha, mis, guidance_every, inner_every: see `InstanceDiffusionPipeline`.
        max_batch: rows given to the UNet at once.
        on_step: called as ``on_step(step, timestep, branches)`` after each step with every layout's branches, of which
            the first is the global one; it may change their latents.
        generators: B, of the noise that stochastic schedulers add; None draws from torch's own.
        eta: share of the noise that DDIM and its kin add; None leaves it to the scheduler, which is 0 in DDIM.

    Returns:
        (B, C, H, W) clean latents.
    """
    scheduler.set_timesteps(num_inference_steps)
    # Schedulers compute with their steps on the CPU, the UNet reads them on its device: so the loop never waits for the
    # device.
    timesteps = scheduler.timesteps
    on_device = scheduler.timesteps.to(latents.device)
    numbers = step_numbers(len(timesteps), num_inference_steps)
    alphas = alpha_schedule(num_inference_steps, alpha)
    apart = int(mis * num_inference_steps)
    starts = (latents * scheduler.init_noise_sigma).split(1)
    layouts = [
        [Branch(c, negative, start, copy.deepcopy(scheduler)) for c in (some if apart else some[:1])]
        for start, some, negative in zip(starts, conditions, negatives, strict=True)
    ]
    generators = generators or [torch.default_generator] * len(layouts)
    for branches, generator in zip(layouts, generators, strict=True):
        seed_noise_samplers(branches, generator)
    used = [c for some in layouts for branch in some for c in (branch.condition, branch.negative)]
    denoiser = Denoiser(unet, used, latents.shape[-2:], max_batch, keeps_inner=inner_every > 1)
    for index, timestep in enumerate(timesteps):
        step = numbers[index]
        if step == apart:
            layouts = [[merge(branches)] if len(branches) > 1 else branches for branches in layouts]
        branches = [branch for some in layouts for branch in some]
        if index % guidance_every == 0 or step == apart:
            for branch in branches:
                branch.lead = None
        if index % inner_every == 0 or alphas[step] != alphas[numbers[index - 1]]:
            denoiser.renew()
        outputs = iter(guided(denoiser, branches, timestep, on_device[index], guidance_scale, alphas[step]))
        for some, generator in zip(layouts, generators, strict=True):
            advance(some, [next(outputs) for _ in some], timestep, generator, eta)
        last_of_step = index + 1 == len(numbers) or numbers[index + 1] != step
        if on_step and last_of_step:
            on_step(step, int(timestep), layouts)
    # A layout is still apart only if no step was left after the first phase.
    return torch.cat([merge(branches).latents for branches in layouts])


def advance(
    branches: list[Branch], outputs: list[torch.Tensor], timestep, generator: torch.Generator, eta: float | None
) -> None:
    """One step of the scheduler for every branch of one layout.

    A stochastic scheduler adds the same noise to all of them: the mean of different noise, which is what they are
    merged to, would be weaker than the noise that the next step expects.
    """
    known = inspect.signature(branches[0].scheduler.step).parameters
    options = {"eta": eta} if eta is not None and "eta" in known else {}
    options |= {"generator": generator} if "generator" in known else {}
    state = generator.get_state()
    for branch, output in zip(branches, outputs, strict=True):
        generator.set_state(state)
        branch.latents = branch.scheduler.step(output, timestep, branch.latents, return_dict=False, **options)[0]


def seed_noise_samplers(branches: list[Branch], generator: torch.Generator) -> None:
    """Give a seed to schedulers that take no generator and draw from a Brownian tree of their own
    (`DPMSolverSDEScheduler`).
    """
    if getattr(branches[0].scheduler, "noise_sampler_seed", 0) is None:
        seed = int(torch.randint(2**62, (), generator=generator, device=generator.device))
        for branch in branches:
            branch.scheduler.noise_sampler_seed = seed


def guided(
    denoiser: Denoiser, branches: list[Branch], timestep, on_device: torch.Tensor, guidance: float, alpha: float
) -> tuple:
    """Classifier-free guidance for every branch, all in one batch: a (1, C, H, W) each.

    Branches that have a lead, all or none of them, are guided by it.
    """
    asked = [(b, b.condition) for b in branches]
    leading = guidance != 1.0 and branches[0].lead is None
    if leading:
        asked += [(b, b.negative) for b in branches]
    # Equal rows are computed once: the instances of a layout start from one noise, and lead away from one negative.
    rows = {(id(branch.latents), condition): branch for branch, condition in asked}
    latents = [branch.scheduler.scale_model_input(branch.latents, timestep) for branch in rows.values()]
    outputs = denoiser(latents, [condition for _, condition in rows], on_device, alpha)
    if len(rows) < len(asked):
        place = {row: i for i, row in enumerate(rows)}
        places = [place[id(branch.latents), condition] for branch, condition in asked]
        outputs = torch.cat([outputs[i : i + 1] for i in places])
    if guidance == 1.0:
        return outputs.split(1)
    if not leading:
        return tuple(
            output + (guidance - 1) * branch.lead for output, branch in zip(outputs.split(1), branches, strict=True)
        )
    grounded, negative = outputs.chunk(2)
    leads = grounded - negative
    for branch, lead in zip(branches, leads.split(1), strict=True):
        branch.lead = lead
    return (negative + guidance * leads).split(1)
