"""A scheduler with a UNet that knows what the picture is, and what the table says about it."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import diffusers
import torch
from diffusers import PNDMScheduler, SchedulerMixin

from evaluators.schedulers.command import COLUMNS, STEPS
from evaluators.schedulers.known_pictures import SureUNet, condition_of
from instdiff.checkpoint.convert import scheduler as published_scheduler
from instdiff.errors import BadInput
from instdiff.model.inpainting import Kept
from instdiff.model.sampler import SamplingOptions, sample
from instdiff.model.schedulers import PAINTING, check_scheduler, other_reason

SHAPE = (4, 8, 8)  # of the latents


@dataclass(frozen=True)
class Painted:
    """What a scheduler made of a picture that is known."""

    latents: torch.Tensor
    evaluations: int
    misses: float  # mean distance from the picture, of the mean size of its latents


class Trial:
    """One scheduler, and a picture of which a part is kept where that is asked for."""

    def __init__(self, scheduler: SchedulerMixin):
        self.scheduler = scheduler
        generator = torch.Generator().manual_seed(0)
        self.pictures = torch.randn(3, *SHAPE, generator=generator)
        self.noise = torch.randn(1, *SHAPE, generator=generator)

    def paint(self, seed: int = 0, part: bool = False) -> Painted:
        """Paint the first picture; ``seed`` is of the noise in the steps."""
        scheduler = copy.deepcopy(self.scheduler)
        unet = SureUNet(self.pictures, scheduler)
        kept = [Kept(torch.zeros(1, *SHAPE), torch.ones(1, 1, *SHAPE[1:]))] if part else None
        options = SamplingOptions(STEPS, guidance_scale=1.0, alpha=1.0, mis=0.0)
        generators = [torch.Generator().manual_seed(seed)]
        [condition] = rows = [condition_of(0)]
        latents, evaluations = sample(
            unet, scheduler, self.noise, [[condition]], rows, options, generators=generators, kept=kept
        )
        distance = (latents - self.pictures[:1]).abs().mean()
        return Painted(latents, evaluations, float(distance / self.pictures[0].abs().mean()))


def names() -> list[str]:
    """All schedulers of this diffusers that compute with torch."""
    found = (name for name in dir(diffusers) if name.endswith("Scheduler") and not name.startswith("Flax"))
    return sorted(found)


def row_of(name: str) -> list[str]:
    """What the table says about a scheduler."""
    blank = [""] * (len(COLUMNS) - 2)
    if name not in PAINTING:
        return [name, *blank, f"no: {other_reason(name)}"]
    published = published_scheduler()
    try:
        scheduler = getattr(diffusers, name).from_config(published.config)
    except ImportError as error:
        missing = str(error).split(" requires the ")[-1].split(" ")[0]
        return [name, *blank, f"not tried: it needs the package {missing}"]
    trial = Trial(scheduler)
    painted, again, other = trial.paint(), trial.paint(), trial.paint(seed=1)
    return [
        name, str(painted.evaluations), f"{100 * painted.misses:.1f}",
        _word(torch.equal(painted.latents, again.latents)), _word(not torch.equal(painted.latents, other.latents)),
        _refusal(scheduler, published, apart=True), _clean(name), _part(trial), "yes",
    ]  # fmt: skip


def _word(truth: bool) -> str:
    return "yes" if truth else "no"


def _refusal(scheduler: SchedulerMixin, own: SchedulerMixin, apart: bool) -> str:
    """Whether a call would take it."""
    try:
        check_scheduler(scheduler, own, apart)
    except BadInput:
        return "refused"
    return "yes"


def _clean(name: str) -> str:
    config = {**published_scheduler().config, "prediction_type": "sample"}
    config.pop("_use_default_values")  # else it would be left out again
    return _refusal(getattr(diffusers, name).from_config(config), PNDMScheduler.from_config(config), apart=False)


def _part(trial: Trial) -> str:
    try:
        trial.paint(part=True)
    except BadInput:
        return "refused"
    return "yes"
