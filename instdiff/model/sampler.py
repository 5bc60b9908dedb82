"""Denoising with grounding: alpha schedule, guidance, and the Multi-Instance Sampler around any scheduler."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from diffusers import KDPM2DiscreteScheduler, SchedulerMixin

from instdiff.errors import BadInput
from instdiff.model.denoiser import Condition, Denoiser, FeatureCache
from instdiff.model.inpainting import Kept
from instdiff.model.row_schedulers import RowScheduler
from instdiff.model.timesteps import UNetEvaluation, evaluations, noise_shares, set_timesteps
from instdiff.model.unet import InstanceUNet


@dataclass
class SamplingOptions:
    """How to denoise; the fields are arguments of `InstanceDiffusionPipeline`, and explained there.

    The guidance may be changed on the way.
    """

    num_inference_steps: int
    guidance_scale: float
    alpha: float
    mis: float
    max_batch: int = 16  # rows given to the UNet at once
    guidance_every: int = 1
    inner_every: int = 1
    eta: float | None = None
    strength: float = 1.0  # below 1, only the last so much of the schedule is gone through, from clean latents on

    @property
    def steps_apart(self) -> int:
        """In how many steps every instance is denoised on its own as well."""
        return int(self.mis * self.num_inference_steps)


@dataclass(frozen=True)
class EarlyLook:
    """A look at all pictures while they are noisy still, so that only the best go on.

    Attributes:
        after: this many steps.
        choose: from what the pictures will be as far as is known, (B, C, H, W) clean latents, to which of them go on.
    """

    after: int
    choose: Callable[[torch.Tensor], Sequence[int]]


class Sampled(NamedTuple):
    """Clean latents (B, C, H, W) of the pictures that went on, and how many latents the UNet was asked about."""

    latents: torch.Tensor
    unet_evaluations: int


@dataclass
class Branch:
    """One denoising trajectory."""

    condition: Condition
    negative: Condition
    latents: torch.Tensor  # (1, C, H, W)
    lead: torch.Tensor | None = None  # (1, C, H, W) where guidance led in a step before, if that is to be taken again
    clean: torch.Tensor | None = None  # (1, C, H, W) what a step led to, without noise, where one looks


@dataclass
class Picture:
    """A picture while it is denoised: its branches, of which the first is the global one, and all that they share."""

    branches: list[Branch]
    steps: RowScheduler
    noise: torch.Tensor  # (1, C, H, W) that it began with
    kept: Kept | None = None

    def keep(self, timestep: torch.Tensor | None) -> None:
        """Put what stays of the picture back into all branches, under the noise of a timestep, None for none."""
        if not self.kept:
            return
        within: dict[int, torch.Tensor] = {}  # what branches share they go on to share
        for branch in self.branches:
            before = branch.latents
            if id(before) not in within:
                within[id(before)] = self.kept.within(before, self.steps.scheduler, self.noise, timestep)
            branch.latents = within[id(before)]

    def merge(self) -> None:
        """End of the Multi-Instance Sampler's first phase: the mean of the global latent and those of all instances.

        What goes on is the global branch (the first) with its scheduler's history (InstanceDiffusion, section 3.4).
        """
        if len(self.branches) == 1:
            return
        whole = self.branches[0]
        mean = torch.cat([branch.latents for branch in self.branches]).mean(0, keepdim=True)
        self.branches = [Branch(whole.condition, whole.negative, mean)]
        self.steps.keep_first()


@torch.no_grad()
def sample(
    unet: InstanceUNet,
    scheduler: SchedulerMixin,
    latents: torch.Tensor,
    conditions: list[list[Condition]],
    negatives: list[Condition],
    options: SamplingOptions,
    on_step: Callable[[int, int, list[list[Branch]]], bool | None] | None = None,
    generators: list[torch.Generator] | None = None,
    begin: torch.Tensor | None = None,
    kept: Sequence[Kept | None] | None = None,
    look: EarlyLook | None = None,
) -> Sampled:
    """Denoise B latents.

    Args:
        latents: (B, C, H, W) noise of unit variance.
        conditions, negatives: of each picture, what to paint (the layout, then each instance alone), and what not to.
        on_step: called as ``on_step(step, timestep, pictures)`` after each step with every picture's branches, of which
            the first is the global one; it may change their latents. False makes it the last step.
        generators: B, of the noise that stochastic schedulers add; None draws from torch's own.
        begin: (B, C, H, W) clean latents that the noise is laid over, needed where the strength is below 1.
        kept: of each picture what stays of an older one.
        look: drops all but the best pictures on the way.

    Raises:
        BadInput: the scheduler does not know the noise of what is kept, or cannot begin in the middle of its schedule.
    """
    if kept and isinstance(scheduler, KDPM2DiscreteScheduler):  # diffusers' own knows that of whole steps alone
        reason = "KDPM2DiscreteScheduler cannot paint a part of a picture; give KDPM2AncestralDiscreteScheduler or Heun"
        raise BadInput("scheduler", reason)
    timesteps = set_timesteps(scheduler, options.num_inference_steps, options.strength)
    if begin is None:
        starts = latents * scheduler.init_noise_sigma
    else:  # as in SDEdit (Meng et al., ICLR 2022)
        starts = scheduler.add_noise(begin.to(latents), latents, timesteps[:1].to(latents.device))
    if not options.steps_apart:
        conditions = [own[:1] for own in conditions]
    generators = generators or [torch.default_generator] * len(latents)
    rows = zip(starts.split(1), latents.split(1), conditions, negatives, generators, strict=True)
    stays = kept or [None] * len(latents)
    pictures = [
        Picture(
            [Branch(condition, negative, start) for condition in own],
            RowScheduler(scheduler, len(own), generator),
            noise,
            of,
        )
        for (start, noise, own, negative, generator), of in zip(rows, stays, strict=True)
    ]
    used = [c for picture in pictures for branch in picture.branches for c in (branch.condition, branch.negative)]
    denoiser = Denoiser(unet, used, latents.shape[-2:], options.max_batch, FeatureCache(options.inner_every))
    todo = evaluations(timesteps, options.num_inference_steps, options.alpha, latents.device)
    for evaluation, following in zip(todo, [*todo[1:], None], strict=True):
        if evaluation.step == options.steps_apart:
            for picture in pictures:
                picture.merge()
        if evaluation.index == 0:
            for picture in pictures:
                picture.keep(evaluation.device_timestep)
        denoiser.cache.prepare(evaluation)
        looks = bool(look and following and evaluation.ends_step and evaluation.step + 1 == look.after)
        denoise_step(denoiser, pictures, evaluation, options, looks)
        for picture in pictures:
            picture.keep(following and following.device_timestep)
        if on_step and evaluation.ends_step:
            goes_on = on_step(evaluation.step, int(evaluation.timestep), [picture.branches for picture in pictures])
            if goes_on is False:
                break
        if look and looks:
            pictures = [pictures[index] for index in look.choose(_expected(pictures))]
            denoiser.cache.features.clear()  # they may be others in number, or in another order
    # A picture is still apart only if no step was left after the first phase.
    for picture in pictures:
        picture.merge()
    return Sampled(torch.cat([picture.branches[0].latents for picture in pictures]), denoiser.evaluated)


def _expected(pictures: list[Picture]) -> torch.Tensor:
    """(B, C, H, W): the clean latents that the last step led to."""
    means = []
    for picture in pictures:
        estimates = [branch.clean for branch in picture.branches if branch.clean is not None]
        mean = torch.cat(estimates).mean(0, keepdim=True)
        means.append(picture.kept.latents.lerp(mean, picture.kept.region) if picture.kept else mean)
    return torch.cat(means)


def denoise_step(
    denoiser: Denoiser, pictures: list[Picture], evaluation: UNetEvaluation, options: SamplingOptions, looks: bool
) -> None:
    """One evaluation of the UNet, and with it one step of every branch's scheduler; ``clean`` only where one looks."""
    branches = [branch for picture in pictures for branch in picture.branches]
    scheduler = pictures[0].steps.scheduler  # they differ in what they remember alone
    if evaluation.index % options.guidance_every == 0:
        for branch in branches:
            branch.lead = None
    predictions = guide(denoiser, scheduler, branches, evaluation, options.guidance_scale)
    for branch, prediction in zip(branches, predictions.split(1), strict=True) if looks else ():
        branch.clean = clean_estimate(scheduler, branch.latents, prediction, evaluation.timestep)
    own = predictions.split([len(picture.branches) for picture in pictures])
    for picture, prediction in zip(pictures, own, strict=True):
        latents = torch.cat([branch.latents for branch in picture.branches])
        stepped = picture.steps.step(prediction, evaluation.timestep, latents, options.eta)
        for branch, new in zip(picture.branches, stepped.split(1), strict=True):
            branch.latents = new


def clean_estimate(
    scheduler: SchedulerMixin, latents: torch.Tensor, prediction: torch.Tensor, timestep: torch.Tensor
) -> torch.Tensor:
    """What noisy latents (1, C, H, W) are without noise, as far as a prediction for them tells."""
    kind = scheduler.config.get("prediction_type", "epsilon")
    if kind == "sample":
        return prediction
    scaled = scheduler.scale_model_input(latents, timestep)  # of unit variance, whatever the scheduler's own scale
    signal, noise = (share.to(latents) for share in noise_shares(scheduler, timestep))
    if kind == "v_prediction":
        return signal * scaled - noise * prediction
    return (scaled - noise * prediction) / signal


def guide(
    denoiser: Denoiser,
    scheduler: SchedulerMixin,
    branches: list[Branch],
    evaluation: UNetEvaluation,
    guidance_scale: float,
) -> torch.Tensor:
    """Classifier-free guidance for every branch, all in one batch: (branches, C, H, W).

    Branches that have a lead, all or none of them, are guided by it.
    """
    grounded = [(branch, branch.condition) for branch in branches]
    if guidance_scale == 1.0:
        return predict(denoiser, scheduler, grounded, evaluation)
    leads = [branch.lead for branch in branches if branch.lead is not None]
    if leads:
        return predict(denoiser, scheduler, grounded, evaluation) + (guidance_scale - 1) * torch.cat(leads)
    negative = [(branch, branch.negative) for branch in branches]
    with_grounding, without = predict(denoiser, scheduler, grounded + negative, evaluation).chunk(2)
    lead = with_grounding - without
    for branch, own_lead in zip(branches, lead.split(1), strict=True):
        branch.lead = own_lead
    return without + guidance_scale * lead


def predict(
    denoiser: Denoiser,
    scheduler: SchedulerMixin,
    pairs: list[tuple[Branch, Condition]],
    evaluation: UNetEvaluation,
) -> torch.Tensor:
    """What the UNet predicts for each branch under a condition: (pairs, C, H, W).

    Equal rows are computed once: the instances of a layout start from one noise, and lead away from one negative.
    """
    rows = {(id(branch.latents), condition): branch.latents for branch, condition in pairs}
    latents = scheduler.scale_model_input(torch.cat(list(rows.values())), evaluation.timestep)
    outputs = denoiser(latents, [condition for _, condition in rows], evaluation.device_timestep, evaluation.alpha)
    if len(rows) == len(pairs):
        return outputs
    numbers = {row: number for number, row in enumerate(rows)}
    each = outputs.split(1)  # numbers of rows as an index would be sent to the device, which all wait for
    return torch.cat([each[numbers[id(branch.latents), condition]] for branch, condition in pairs])
