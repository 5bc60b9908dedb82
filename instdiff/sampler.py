"""Denoising with grounding: the alpha schedule, guidance, and the Multi-Instance Sampler around any diffusers scheduler."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch

from instdiff.unet import InstanceUNet


@dataclass
class Condition:
    """What one trajectory is painted from; every tensor is a batch of one."""

    text: torch.Tensor  # (1, 77, D) caption features
    tokens: torch.Tensor  # (1, T, D) grounding tokens
    regions: torch.Tensor  # (1, N, 32, 32) bool
    place_map: torch.Tensor | None  # (1, C, H, W)


@dataclass
class Branch:
    """One denoising trajectory with a scheduler state of its own."""

    condition: Condition
    negative: Condition
    latents: torch.Tensor  # (1, C, H, W)
    scheduler: object


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
    return Branch(first.condition, first.negative, torch.cat([b.latents for b in branches]).mean(0, keepdim=True), first.scheduler)


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
    on_step: Callable[[int, int, list[list[Branch]]], None] | None = None,
) -> torch.Tensor:
    """Denoise B latents.

    Args:
        latents: (B, C, H, W) noise of unit variance.
        conditions: for each layout the whole layout first, then each of its instances alone.
        negatives: for each layout what guidance leads away from.
        num_inference_steps, guidance_scale, alpha, mis: see `InstanceDiffusionPipeline`.
        max_batch: rows given to the UNet at once.
        on_step: called as ``on_step(step, timestep, branches)`` after each step with every layout's branches, of which
            the first is the global one; it may change their latents.

    Returns:
        (B, C, H, W) clean latents.
    """
    scheduler.set_timesteps(num_inference_steps, device=latents.device)
    numbers = step_numbers(len(scheduler.timesteps), num_inference_steps)
    alphas, apart = alpha_schedule(num_inference_steps, alpha), int(mis * num_inference_steps)
    layouts = [
        [Branch(c, negative, start[None] * scheduler.init_noise_sigma, copy.deepcopy(scheduler)) for c in (some if apart else some[:1])]
        for start, some, negative in zip(latents, conditions, negatives, strict=True)
    ]
    for index, timestep in enumerate(scheduler.timesteps):
        step = numbers[index]
        if step == apart:
            layouts = [[merge(branches)] if len(branches) > 1 else branches for branches in layouts]
        branches = [branch for some in layouts for branch in some]
        outputs = _guided(unet, branches, timestep, guidance_scale, alphas[step], max_batch)
        for branch, output in zip(branches, outputs, strict=True):
            branch.latents = branch.scheduler.step(output, timestep, branch.latents, return_dict=False)[0]
        last_of_step = index + 1 == len(numbers) or numbers[index + 1] != step
        if on_step and last_of_step:
            on_step(step, int(timestep), layouts)
    # A layout is still apart only if no step was left after the first phase.
    return torch.cat([merge(branches).latents for branches in layouts])


def _guided(unet: InstanceUNet, branches: list[Branch], timestep, guidance: float, alpha: float, max_batch: int) -> list[torch.Tensor]:
    """Classifier-free guidance for every branch, in one batch: a list of (1, C, H, W)."""
    inputs = [b.scheduler.scale_model_input(b.latents, timestep) for b in branches]
    rows = list(zip(inputs, (b.condition for b in branches), strict=True))
    if guidance != 1.0:
        rows += list(zip(inputs, (b.negative for b in branches), strict=True))
    outputs = torch.cat([_predict(unet, rows[i : i + max_batch], timestep, alpha) for i in range(0, len(rows), max_batch)])
    if guidance == 1.0:
        return list(outputs.split(1))
    grounded, negative = outputs.chunk(2)
    return list((negative + guidance * (grounded - negative)).split(1))


def _predict(unet: InstanceUNet, rows: list[tuple[torch.Tensor, Condition]], timestep, alpha: float) -> torch.Tensor:
    latents, conditions = zip(*rows, strict=True)
    return unet(
        torch.cat(latents),
        timestep,
        torch.cat([c.text for c in conditions]),
        torch.cat([c.tokens for c in conditions]),
        torch.cat([c.regions for c in conditions]),
        None if conditions[0].place_map is None else torch.cat([c.place_map for c in conditions]),
        grounding_scale=alpha,
        stock_conv_in=alpha == 0 and unet.config.has_stock_conv_in,
    )
