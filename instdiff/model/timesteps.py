"""When the UNet is evaluated: a scheduler's timesteps, the steps they belong to, and the strength of the grounding."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from diffusers import LMSDiscreteScheduler, PNDMScheduler, SchedulerMixin

from instdiff.errors import BadInput


@dataclass(frozen=True)
class UNetEvaluation:
    """One evaluation of the UNet; some schedulers take several for a step."""

    index: int
    step: int
    timestep: torch.Tensor  # on the CPU, where schedulers compute with it
    device_timestep: torch.Tensor  # the same where the UNet reads it, so that the loop never waits for the device
    alpha: float
    ends_step: bool


def alpha_schedule(num_steps: int, alpha: float) -> list[float]:
    """Strength of the grounding per step (section 3.3): 1 for the first ``alpha`` of the steps, 0 for those after."""
    grounded = int(alpha * num_steps)
    return [1.0] * grounded + [0.0] * (num_steps - grounded)


def step_numbers(num_evaluations: int, num_steps: int) -> list[int]:
    """Which step each evaluation of the UNet belongs to: PLMS evaluates its first step twice."""
    extra = num_evaluations - num_steps
    if extra in (0, 1):
        return [max(i - extra, 0) for i in range(num_evaluations)]
    return [i * num_steps // num_evaluations for i in range(num_evaluations)]


def set_timesteps(scheduler: SchedulerMixin, num_steps: int, strength: float = 1.0) -> torch.Tensor:
    """Prepare a scheduler for the last ``num_steps`` of so many steps that they are ``strength`` of all; on the CPU.

    Returns:
        The timesteps of these steps, (n,).

    Raises:
        BadInput: the scheduler makes no such number of steps, or knows no way to begin elsewhere than at the start.
    """
    skipped = round(num_steps / strength) - num_steps
    try:
        scheduler.set_timesteps(num_steps + skipped)
    except ValueError as error:  # LCM makes no more than 50
        reason = str(error).splitlines()[0]
        raise BadInput("num_inference_steps", f"{num_steps}: {type(scheduler).__name__} says {reason}") from error
    first = skipped * getattr(scheduler, "order", 1)
    if hasattr(scheduler, "set_begin_index"):  # others find their place by the timestep
        scheduler.set_begin_index(first)
    if skipped and isinstance(scheduler, PNDMScheduler) and scheduler.config.skip_prk_steps:
        left = scheduler.timesteps.unique_consecutive()[first:]
        return torch.cat([left[:2], left[1:]])  # PLMS evaluates its first step twice, whichever that is
    if skipped and isinstance(scheduler, (PNDMScheduler, LMSDiscreteScheduler)):
        kind = type(scheduler).__name__
        raise BadInput("scheduler", f"{kind} cannot begin in the middle of its schedule; give strength 1, or another")
    return scheduler.timesteps[first:]


def noise_shares(scheduler: SchedulerMixin, timestep: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """How much of latents of unit variance is the picture at a timestep, and how much is noise; numbers, 0..1.

    Between the timesteps of the training the ratio of the two lies on a line, as for schedulers that step there.
    """
    alphas = scheduler.alphas_cumprod
    ratios = ((1 - alphas) / alphas) ** 0.5
    below = int(timestep)
    ratio = ratios[below]
    if part := float(timestep) - below:
        ratio = ratio.lerp(ratios[below + 1], part)
    signal = (1 + ratio**2) ** -0.5
    return signal, (1 - signal**2) ** 0.5


def evaluations(timesteps: torch.Tensor, num_steps: int, alpha: float, device: torch.device) -> list[UNetEvaluation]:
    """All evaluations of the UNet at a scheduler's timesteps (n,)."""
    steps = step_numbers(len(timesteps), num_steps)
    alphas = alpha_schedule(num_steps, alpha)
    on_device = timesteps.to(device)
    return [
        UNetEvaluation(i, step, timesteps[i], on_device[i], alphas[step], steps[i + 1 : i + 2] != [step])
        for i, step in enumerate(steps)
    ]
