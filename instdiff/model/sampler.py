"""Denoising with grounding: alpha schedule, guidance, and the Multi-Instance Sampler around any scheduler."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from dataclasses import dataclass

import torch
from diffusers import SchedulerMixin

from instdiff.model.attention import Memory
from instdiff.model.unet import InstanceUNet


@dataclass(frozen=True)
class SamplingOptions:
    """How to denoise; the fields are arguments of `InstanceDiffusionPipeline`, and explained there."""

    num_inference_steps: int
    guidance_scale: float
    alpha: float
    mis: float
    max_batch: int = 16  # rows given to the UNet at once
    guidance_every: int = 1
    inner_every: int = 1
    eta: float | None = None
    strength: float = 1.0  # below 1, only the last so much of the schedule is gone through, from the sketches on

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
    sketch: torch.Tensor | None = None  # (1, C, H, W) clean latents to begin from, where the strength is below 1


@dataclass
class Branch:
    """One denoising trajectory with a scheduler state of its own."""

    condition: Condition
    negative: Condition
    latents: torch.Tensor  # (1, C, H, W)
    scheduler: SchedulerMixin
    lead: torch.Tensor | None = None  # (1, C, H, W) where guidance led in a step before, if that is to be taken again


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
    """
    skipped = round(num_steps / strength) - num_steps
    scheduler.set_timesteps(num_steps + skipped)
    first = skipped * getattr(scheduler, "order", 1)
    if first and hasattr(scheduler, "set_begin_index"):  # others find their place by the timestep
        scheduler.set_begin_index(first)
    return scheduler.timesteps[first:]


def evaluations(timesteps: torch.Tensor, num_steps: int, alpha: float, device: torch.device) -> list[UNetEvaluation]:
    """All evaluations of the UNet at a scheduler's timesteps (n,)."""
    steps = step_numbers(len(timesteps), num_steps)
    alphas = alpha_schedule(num_steps, alpha)
    on_device = timesteps.to(device)
    return [
        UNetEvaluation(i, step, timesteps[i], on_device[i], alphas[step], steps[i + 1 : i + 2] != [step])
        for i, step in enumerate(steps)
    ]


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
    on_step: Callable[[int, int, list[list[Branch]]], None] | None = None,
    generators: list[torch.Generator] | None = None,
) -> torch.Tensor:
    """Denoise B latents.

    Args:
        latents: (B, C, H, W) noise of unit variance.
        conditions, negatives: of each picture, what to paint (the layout, then each instance alone), and what not to.
        on_step: called as ``on_step(step, timestep, pictures)`` after each step with every picture's branches, of which
            the first is the global one; it may change their latents.
        generators: B, of the noise that stochastic schedulers add; None draws from torch's own.

    Returns:
        (B, C, H, W) clean latents.
    """
    timesteps = set_timesteps(scheduler, options.num_inference_steps, options.strength)
    generators = generators or [torch.default_generator] * len(latents)
    if options.strength < 1:  # as in SDEdit (Meng et al., ICLR 2022)
        sketches = torch.cat([sketch for own in conditions if (sketch := own[0].sketch) is not None]).to(latents)
        noises = scheduler.add_noise(sketches, latents, timesteps[:1].to(latents.device)).split(1)
    else:
        noises = (latents * scheduler.init_noise_sigma).split(1)
    if not options.steps_apart:
        conditions = [own[:1] for own in conditions]
    starts = zip(noises, conditions, negatives, generators, strict=True)
    pictures = [start_branches(scheduler, *start) for start in starts]
    used = [c for branches in pictures for branch in branches for c in (branch.condition, branch.negative)]
    denoiser = Denoiser(unet, used, latents.shape[-2:], options.max_batch, FeatureCache(options.inner_every))
    for evaluation in evaluations(timesteps, options.num_inference_steps, options.alpha, latents.device):
        if evaluation.step == options.steps_apart:
            pictures = [[merge_instances(branches)] for branches in pictures]  # section 3.4
        denoiser.cache.prepare(evaluation)
        denoise_step(denoiser, pictures, evaluation, generators, options)
        if on_step and evaluation.ends_step:
            on_step(evaluation.step, int(evaluation.timestep), pictures)
    # A picture is still apart only if no step was left after the first phase.
    return torch.cat([merge_instances(branches).latents for branches in pictures])


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
    denoiser: Denoiser,
    pictures: list[list[Branch]],
    evaluation: UNetEvaluation,
    generators: list[torch.Generator],
    options: SamplingOptions,
) -> None:
    """One evaluation of the UNet, and with it one step of every branch's scheduler."""
    branches = [branch for own in pictures for branch in own]
    if evaluation.index % options.guidance_every == 0:
        for branch in branches:
            branch.lead = None
    predictions = iter(guide(denoiser, branches, evaluation, options.guidance_scale))
    for own, generator in zip(pictures, generators, strict=True):
        advance(own, [next(predictions) for _ in own], evaluation.timestep, generator, options.eta)


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
