"""The UNet over rows of latents, each under a condition of its own, in batches."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from instdiff.model.attention import rows_of
from instdiff.model.graphs import Batch, Inputs, evaluate, graphs_of
from instdiff.model.timesteps import UNetEvaluation
from instdiff.model.unet import InstanceUNet


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
        text = conditions[0].text  # as the UNet is; diffusers would look through all of its weights
        self.dtype, self.device = text.dtype, text.device
        self.size = size
        self.max_batch = max_batch
        self.cache = cache
        self.evaluated = 0  # rows so far
        self.rows: list[int] = []
        self.batches: list[Batch] = []
        self.remember(list(dict.fromkeys(conditions)))
        unet.lay_out()
        self.graphs = graphs_of(unet)

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
        self, latents: torch.Tensor, conditions: list[Condition], timestep: torch.Tensor, alpha: float
    ) -> torch.Tensor:
        """Latents and a condition of each row -> predictions, both (rows, C, H, W)."""
        rows = [self.numbers[condition] for condition in conditions]
        if rows != self.rows:  # changes when instances are merged, not from step to step
            self.rows = rows
            self.batches = [self._batch(rows[i : i + self.max_batch]) for i in range(0, len(rows), self.max_batch)]
            self.cache.features.clear()
        self.evaluated += len(rows)
        inputs = latents.to(self.dtype).split(self.max_batch)
        call = self.graphs or evaluate
        outputs = [
            call(self.unet, Inputs(own, timestep, batch, alpha, self.cache.of_batch(number)))
            for number, (own, batch) in enumerate(zip(inputs, self.batches, strict=True))
        ]
        return (torch.cat(outputs) if len(outputs) > 1 else outputs[0]).to(latents.dtype)

    def _batch(self, rows: list[int]) -> Batch:
        index = torch.tensor(rows, device=self.device)
        place_map = None if self.place_maps is None else self.place_maps[index]
        return Batch(rows_of(self.memories, index), place_map)
