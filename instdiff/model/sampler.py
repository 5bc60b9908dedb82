"""Denoising with grounding: alpha schedule, guidance, and the Multi-Instance Sampler around any scheduler."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from diffusers import KDPM2DiscreteScheduler, SchedulerMixin

from instdiff.errors import BadInput
from instdiff.model.attention import Memory
from instdiff.model.inpainting import Kept
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


@dataclass(eq=False)
class Condition:
    """What one trajectory is painted from; every tensor is a batch of one. Trajectories may share one."""

    text: torch.Tensor  # (1, 77, D) caption features
    tokens: torch.Tensor  # (1, T, D) grounding tokens
    regions: torch.Tensor  # (1, N, 32, 32) bool
    place_map: torch.Tensor | None  # (1, C, H, W)
    counts: torch.Tensor | None = None  # (T,) how many equal tokens each token stands for, the same in all conditions
    sketch: torch.Tensor | None = None  # (1, C, H, W) clean latents of a first guess
    cover: torch.Tensor | None = None  # (h, w) 0..1 how much of the ground things hide in it


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
    """One denoising trajectory with a scheduler state of its own."""

    condition: Condition
    negative: Condition
    latents: torch.Tensor  # (1, C, H, W)
    scheduler: SchedulerMixin
    lead: torch.Tensor | None = None  # (1, C, H, W) where guidance led in a step before, if that is to be taken again
    clean: torch.Tensor | None = None  # (1, C, H, W) what a step led to, without noise, where one looks


@dataclass
class Picture:
    """A picture while it is denoised: its branches, of which the first is the global one."""

    branches: list[Branch]
    noise: torch.Tensor  # (1, C, H, W) that it began with
    generator: torch.Generator  # of the noise of stochastic schedulers
    kept: Kept | None = None

    def keep(self, timestep: torch.Tensor | None) -> None:
        """Put what stays of the picture back into all branches, under the noise of a timestep, None for none."""
        if not self.kept:
            return
        within: dict[int, torch.Tensor] = {}  # what branches share they go on to share
        for branch in self.branches:
            before = branch.latents
            if id(before) not in within:
                within[id(before)] = self.kept.within(before, branch.scheduler, self.noise, timestep)
            branch.latents = within[id(before)]


class FeatureCache:
    """What the inner levels of the UNet gave for each batch, to be taken again (Ma et al., DeepCache, CVPR 2024).

    Args:
        every: in every so many evaluations all levels are computed; 1 keeps nothing.
    """

    def __init__(self, every: int):
        self.every = every
        self.alpha: float | None = None
        self.features: dict[int, list[torch.Tensor]] = {}

    def prepare(self, evaluation: UNetEvaluation) -> None:
        """Forget what is too old for an evaluation, or was computed at another strength of the grounding."""
        if evaluation.index % self.every == 0 or evaluation.alpha != self.alpha:
            self.features.clear()
        self.alpha = evaluation.alpha

    def of_batch(self, number: int) -> list[torch.Tensor] | None:
        """``inner`` of `InstanceUNet.forward` for a batch; None where nothing is to be kept."""
        return self.features.setdefault(number, []) if self.every > 1 else None


class Denoiser:
    """The UNet over rows of (latents, condition), in batches; what does not change between steps is computed once.

    Args:
        conditions: all that will be asked for.
        size: (H, W) of the latents.
        max_batch: rows given to the UNet at once.
        cache: is cleared where other rows are asked for than before.
    """

    def __init__(
        self,
        unet: InstanceUNet,
        conditions: list[Condition],
        size: tuple[int, int],
        max_batch: int,
        cache: FeatureCache,
    ):
        self.unet = unet
        self.size = size
        self.max_batch = max_batch
        self.cache = cache
        self.evaluated = 0  # rows so far
        self.rows: list[int] = []
        self.batches: list[tuple[list[Memory], torch.Tensor | None]] = []
        self.remember(list(dict.fromkeys(conditions)))

    def remember(self, conditions: list[Condition]) -> None:
        """Compute what the UNet reads of distinct conditions, in the place of what was computed before."""
        text = torch.cat([condition.text for condition in conditions])
        tokens = torch.cat([condition.tokens for condition in conditions])
        regions = torch.cat([condition.regions for condition in conditions])
        self.memories = self.unet.remember(text, tokens, regions, self.size, conditions[0].counts)
        place_maps = [condition.place_map for condition in conditions]
        self.place_maps = None if place_maps[0] is None else torch.cat(place_maps)
        self.numbers = {condition: number for number, condition in enumerate(conditions)}
        self.rows = []

    def __call__(
        self, latents: list[torch.Tensor], conditions: list[Condition], timestep: torch.Tensor, alpha: float
    ) -> torch.Tensor:
        """Latents (1, C, H, W) each -> predictions (rows, C, H, W)."""
        rows = [self.numbers[condition] for condition in conditions]
        if rows != self.rows:  # changes when instances are merged, not from step to step
            self.rows = rows
            self.batches = [self._batch(rows[i : i + self.max_batch]) for i in range(0, len(rows), self.max_batch)]
            self.cache.features.clear()
        self.evaluated += len(rows)
        inputs = torch.cat(latents).to(self.unet.dtype).split(self.max_batch)
        outputs = [
            self.unet(
                batch_latents,
                timestep,
                memories=memories,
                place_map=place_map,
                grounding_scale=alpha,
                stock_conv_in=alpha == 0 and self.unet.config.has_stock_conv_in,
                inner=self.cache.of_batch(number),
            )
            for number, (batch_latents, (memories, place_map)) in enumerate(zip(inputs, self.batches, strict=True))
        ]
        return torch.cat(outputs).to(latents[0].dtype)

    def _batch(self, rows: list[int]) -> tuple[list[Memory], torch.Tensor | None]:
        index = torch.tensor(rows, device=self.unet.device)
        place_maps = None if self.place_maps is None else self.place_maps[index]
        return [memory.rows(index) for memory in self.memories], place_maps


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
        Picture(start_branches(scheduler, start, own, negative, generator), noise, generator, of)
        for (start, noise, own, negative, generator), of in zip(rows, stays, strict=True)
    ]
    used = [c for picture in pictures for branch in picture.branches for c in (branch.condition, branch.negative)]
    denoiser = Denoiser(unet, used, latents.shape[-2:], options.max_batch, FeatureCache(options.inner_every))
    todo = evaluations(timesteps, options.num_inference_steps, options.alpha, latents.device)
    for evaluation, following in zip(todo, [*todo[1:], None], strict=True):
        if evaluation.step == options.steps_apart:
            for picture in pictures:
                picture.branches = [merge_instances(picture.branches)]  # section 3.4
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
    merged = [merge_instances(picture.branches).latents for picture in pictures]
    return Sampled(torch.cat(merged), denoiser.evaluated)


def _expected(pictures: list[Picture]) -> torch.Tensor:
    """(B, C, H, W): the clean latents that the last step led to."""
    means = []
    for picture in pictures:
        estimates = [branch.clean for branch in picture.branches if branch.clean is not None]
        mean = torch.cat(estimates).mean(0, keepdim=True)
        means.append(picture.kept.latents.lerp(mean, picture.kept.region) if picture.kept else mean)
    return torch.cat(means)


def start_branches(
    scheduler: SchedulerMixin,
    noise: torch.Tensor,
    conditions: list[Condition],
    negative: Condition,
    generator: torch.Generator,
) -> list[Branch]:
    """The trajectories of one picture, one for each condition, all from the same noise (1, C, H, W)."""
    branches = [Branch(condition, negative, noise, copy.deepcopy(scheduler)) for condition in conditions]
    # `DPMSolverSDEScheduler` takes no generator, and draws from a Brownian tree of its own.
    if getattr(scheduler, "noise_sampler_seed", 0) is None:
        seed = int(torch.randint(2**62, (), generator=generator, device=generator.device))
        for branch in branches:
            branch.scheduler.noise_sampler_seed = seed
    return branches


def merge_instances(branches: list[Branch]) -> Branch:
    """End of the Multi-Instance Sampler's first phase: the plain mean of the global latent and those of all instances.

    What goes on is the global branch (the first) with its scheduler's history (InstanceDiffusion, section 3.4).
    """
    whole = branches[0]
    mean = torch.cat([branch.latents for branch in branches]).mean(0, keepdim=True)
    return Branch(whole.condition, whole.negative, mean, whole.scheduler)


def denoise_step(
    denoiser: Denoiser, pictures: list[Picture], evaluation: UNetEvaluation, options: SamplingOptions, looks: bool
) -> None:
    """One evaluation of the UNet, and with it one step of every branch's scheduler; ``clean`` only where one looks."""
    branches = [branch for picture in pictures for branch in picture.branches]
    if evaluation.index % options.guidance_every == 0:
        for branch in branches:
            branch.lead = None
    predictions = guide(denoiser, branches, evaluation, options.guidance_scale)
    for branch, prediction in zip(branches, predictions, strict=True) if looks else ():
        branch.clean = clean_estimate(branch.scheduler, branch.latents, prediction, evaluation.timestep)
    each = iter(predictions)
    for picture in pictures:
        own = [next(each) for _ in picture.branches]
        advance(picture.branches, own, evaluation.timestep, picture.generator, options.eta)


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
    denoiser: Denoiser, branches: list[Branch], evaluation: UNetEvaluation, guidance_scale: float
) -> tuple[torch.Tensor, ...]:
    """Classifier-free guidance for every branch, all in one batch: a (1, C, H, W) each.

    Branches that have a lead, all or none of them, are guided by it.
    """
    grounded = [(branch, branch.condition) for branch in branches]
    if guidance_scale == 1.0:
        return predict(denoiser, grounded, evaluation).split(1)
    leads = [branch.lead for branch in branches if branch.lead is not None]
    if leads:
        predictions = predict(denoiser, grounded, evaluation).split(1)
        return tuple(p + (guidance_scale - 1) * lead for p, lead in zip(predictions, leads, strict=True))
    negative = [(branch, branch.negative) for branch in branches]
    with_grounding, without = predict(denoiser, grounded + negative, evaluation).chunk(2)
    lead = with_grounding - without
    for branch, own_lead in zip(branches, lead.split(1), strict=True):
        branch.lead = own_lead
    return (without + guidance_scale * lead).split(1)


def predict(denoiser: Denoiser, pairs: list[tuple[Branch, Condition]], evaluation: UNetEvaluation) -> torch.Tensor:
    """What the UNet predicts for each branch under a condition: (pairs, C, H, W).

    Equal rows are computed once: the instances of a layout start from one noise, and lead away from one negative.
    """
    rows = {(id(branch.latents), condition): branch for branch, condition in pairs}
    latents = [branch.scheduler.scale_model_input(branch.latents, evaluation.timestep) for branch in rows.values()]
    conditions = [condition for _, condition in rows]
    outputs = denoiser(latents, conditions, evaluation.device_timestep, evaluation.alpha)
    if len(rows) == len(pairs):
        return outputs
    by_row = dict(zip(rows, outputs.split(1), strict=True))
    return torch.cat([by_row[id(branch.latents), condition] for branch, condition in pairs])


def advance(
    branches: list[Branch],
    predictions: list[torch.Tensor],
    timestep: torch.Tensor,
    generator: torch.Generator,
    eta: float | None,
) -> None:
    """One step of the scheduler for every branch of one picture.

    A stochastic scheduler adds the same noise to all of them: the mean of different noise, which is what they are
    merged to, would be weaker than the noise that the next step expects.
    """
    known = inspect.signature(branches[0].scheduler.step).parameters
    options = {"eta": eta} if eta is not None and "eta" in known else {}
    options |= {"generator": generator} if "generator" in known else {}
    state = generator.get_state()
    for branch, prediction in zip(branches, predictions, strict=True):
        generator.set_state(state)
        branch.latents = branch.scheduler.step(prediction, timestep, branch.latents, return_dict=False, **options)[0]
