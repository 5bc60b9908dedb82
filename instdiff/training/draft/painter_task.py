"""Trains the painter: to draw single things, and to paint composed scenes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import DDPMScheduler
from torch import nn
from transformers import CLIPTokenizer

from instdiff.model.autoencoder import PatchAutoencoder
from instdiff.model.grounding import Grounding
from instdiff.training.draft.composer import Composer, Composite
from instdiff.training.draft.drawings import DrawingBatch, Drawings
from instdiff.training.draft.painter import PARTS, NoisyScenes, Painter, noise_scheduler, take_over
from instdiff.training.draft.painter_samples import PainterScenes, SampleUnpacker, SceneBatch
from instdiff.training.draft.perceptual_loss import Likeness
from instdiff.training.draft.stream import SceneBuffer, SceneStream
from instdiff.training.loop import Task, seeded_weights
from instdiff.training.state import save_model

LIKENESS = 0.5  # weight of the likeness
LOOKED_AT = 0.25  # share of a batch whose likeness is looked at: it is costly
MOST_NOISE = 700  # the timestep from which on nothing is learned: painting begins from a guess with less noise
GUESSED = 0.5  # share of pictures in which the first guess is mixed in, as it is where painting begins
CHECKED_AT = 500  # the timestep of `held_out_errors`
HELD_OUT_SEED = 9_500_000
HELD_OUT_SCENES = 64


class PainterBatch(NamedTuple):
    """Samples for one step; ``scenes`` is None where only drawings are learned."""

    drawings: DrawingBatch
    scenes: SceneBatch | None


def squared_errors(output: torch.Tensor, latents: torch.Tensor) -> torch.Tensor:
    """Squared errors (B, h, w), averaged over channels."""
    return (output - latents).square().mean(dim=1)


def noise_weights(scheduler: DDPMScheduler, timesteps: torch.Tensor, most: float = 5.0) -> torch.Tensor:
    """(B, 1, 1) weights 1 + min(SNR, most): those of a velocity loss, but bounded where there is hardly any noise."""
    signal = scheduler.alphas_cumprod.to(timesteps.device)[timesteps]
    return (1 + (signal / (1 - signal)).clamp(max=most))[:, None, None]


def covered_cells(grounding: Grounding, size: tuple[int, int]) -> torch.Tensor:
    """(B, h, w) 1 where a cell touches a place, else 0."""
    return F.adaptive_max_pool2d(grounding.regions.any(dim=1, keepdim=True).float(), size)[:, 0]


def place_weights(grounding: Grounding, size: tuple[int, int]) -> torch.Tensor:
    """(B, h, w) weights that count cells inside places three times: backgrounds are easy, and most of the picture."""
    weights = 1 + 2 * covered_cells(grounding, size)
    return weights / weights.mean()


class HeldOutScenes:
    """Composed scenes that no training sees, told whole, by boxes, points, scribbles and masks as in training.

    Args:
        composer: composes them.
        scenes: records them.
    """

    def __init__(self, composer: Composer, scenes: PainterScenes, count: int = HELD_OUT_SCENES):
        rng = np.random.default_rng(HELD_OUT_SEED)
        self.composites: list[Composite] = [composer.compose(rng) for _ in range(count)]
        self.buffer = SceneBuffer(count, torch.device("cpu"), scenes.dtype)
        self.buffer.add(np.stack([scenes.record(composite, rng) for composite in self.composites]))
        self.unpack = SampleUnpacker(scenes.tokenizer)

    def batches(self, size: int = 32) -> list[SceneBatch]:
        """All of them."""
        return [
            self.unpack({name: values[first : first + size] for name, values in self.buffer.fields.items()}, None)
            for first in range(0, len(self.buffer), size)
        ]


@torch.no_grad()
def held_out_errors(painter: Painter, scheduler: DDPMScheduler, held_out: HeldOutScenes) -> dict[str, float]:
    """Error inside the places, half way to pure noise: grounded, ungrounded, and with captions of other instances."""
    results = {}
    for name in ("grounded", "ungrounded", "shuffled"):
        generator = torch.Generator().manual_seed(0)
        errors = []
        for batch in held_out.batches():
            batch = batch.to(painter.device)
            grounding = batch.grounding
            captions = held_out.unpack.empty_caption.to(painter.device)
            batch = batch._replace(captions=captions.expand_as(batch.captions))
            if name == "ungrounded":
                batch = batch._replace(grounding=grounding.null())
            if name == "shuffled":
                batch = batch._replace(phrases=shuffle_phrases(batch.phrases, grounding.used))
            noise = torch.randn(batch.latents.shape, generator=generator).to(painter.device)
            timesteps = torch.full((len(noise),), CHECKED_AT, device=painter.device)
            noisy = scheduler.add_noise(batch.latents, noise, timesteps)
            painted = painter.denoise(painter.read(batch), noisy, timesteps)
            inside = covered_cells(grounding, painted.shape[-2:])
            errors.append((squared_errors(painted, batch.latents) * inside).sum() / inside.sum().clamp(min=1))
        results[name] = round(float(torch.stack(errors).mean()), 4)
    return results


def shuffle_phrases(phrases: torch.Tensor, used: torch.Tensor) -> torch.Tensor:
    """Phrases (B, N, T) in the used slots (B, N), each with the words of one half a batch further on."""
    flat = phrases[used]
    return phrases.masked_scatter(used[..., None], flat.roll(len(flat) // 2, dims=0))


def drawing_loss(drawn: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """How far drawings (B, 4, S, S) are off: colours, opacity, and the edges of both."""
    error = drawn - wanted
    edges = sum(error.diff(dim=dim).abs().mean() for dim in (2, 3))
    return error.abs().mean() + 4 * error.square().mean() + 0.5 * edges


class PainterTask(Task[PainterBatch]):
    """Text encoder, UniFusion and UNet learn to draw single things, and to paint composed scenes from noise.

    Args:
        tokenizer: of the captions.
        autoencoder: of the latents.
        drawings: gives samples of single things.
        scenes: gives those of scenes; None trains the text encoder and the drawings alone.
        held_out: scenes to be checked on.
        start: folder of parts to begin with, where there is no state; those weights are taken that fit.
        batch_size: scenes in a step, and half as many drawings; all are drawings where there are no scenes.
        likeness: is looked at besides the error of the latents.
        sheet: is given the averaged models, held-out scenes and a path for a picture at every checkpoint.
    """

    def __init__(
        self,
        tokenizer: CLIPTokenizer,
        autoencoder: PatchAutoencoder,
        drawings: Drawings,
        scenes: SceneStream[SceneBatch] | None,
        held_out: HeldOutScenes,
        start: Path | None,
        batch_size: int,
        likeness: Likeness | None = None,
        sheet: Callable[[Painter, HeldOutScenes, Path], None] | None = None,
    ):
        self.autoencoder = autoencoder.float().requires_grad_(False)
        self.drawings = drawings
        self.scenes = scenes
        self.held_out = held_out
        with seeded_weights(0):
            self.model: Painter = Painter.of(tokenizer, autoencoder.config.latent_channels)
        if scenes is None:
            self.model.requires_grad_(False)
            self.model.text_encoder.requires_grad_(True)
            self.model.unifusion.place_mapper.drawer.requires_grad_(True)
        self.start = start
        self.batch_size = batch_size
        self.likeness = likeness
        self.write_sheet = sheet
        self.scheduler = noise_scheduler()

    def begin(self) -> None:
        if self.start:
            take_over(self.model, self.start)

    def optimizer(self, rate: float) -> torch.optim.Optimizer:
        learned = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        return torch.optim.AdamW(learned, lr=rate, betas=(0.9, 0.98), weight_decay=0.01, fused=True)

    def batch(self, step: int, rng: np.random.Generator) -> PainterBatch:
        device = self.model.device
        if self.scenes is None:
            return PainterBatch(self.drawings.batch(self.batch_size, rng, device), None)
        generator = torch.Generator(device).manual_seed(int(rng.integers(2**63)))
        drawings = self.drawings.batch(max(self.batch_size // 2, 1), rng, device)
        return PainterBatch(drawings, self.scenes.batch(self.batch_size, step, generator))

    def figures(self) -> dict[str, float]:
        return self.scenes.figures() if self.scenes else {}

    def losses(self, model: nn.Module, batch: PainterBatch, generator: torch.Generator) -> dict[str, torch.Tensor]:
        autoencoder = self.autoencoder.to(batch.drawings.captions.device)
        if batch.scenes is None:
            drawn = model(batch.drawings.captions, None, autoencoder, self.scheduler).drawings
            return {"drawings": drawing_loss(drawn, batch.drawings.drawings)}
        latents = batch.scenes.latents
        count = len(latents)
        timesteps = (torch.rand(count, generator=generator) * MOST_NOISE).long().to(latents.device)
        guessed = torch.rand(count, generator=generator) * (torch.rand(count, generator=generator) < GUESSED)
        noise = torch.randn(latents.shape, generator=generator).to(latents.device)
        noisy = NoisyScenes(batch.scenes, noise, timesteps, guessed[:, None, None, None].to(latents.device))
        drawings, painted, guess = model(batch.drawings.captions, noisy, autoencoder, self.scheduler)
        weights = place_weights(batch.scenes.grounding, latents.shape[-2:])
        errors = squared_errors(painted, latents) * noise_weights(self.scheduler, timesteps) * weights
        losses = {
            "loss": errors.mean(),
            "guess": (squared_errors(guess, latents) * weights).mean(),
            "drawings": drawing_loss(drawings, batch.drawings.drawings),
        }
        if self.likeness:
            part = slice(0, max(round(LOOKED_AT * len(latents)), 1))
            likeness = self.likeness.to(latents.device)
            losses["likeness"] = LIKENESS * likeness.of_latents(painted[part], latents[part], weights[part])
        return losses

    def check(self) -> dict[str, float]:
        return held_out_errors(self.model, self.scheduler, self.held_out) if self.scenes else {}

    def save(self, folder: Path) -> None:
        for name in PARTS:
            save_model(getattr(self.model, name), folder / name)

    def sheet(self, path: Path) -> None:
        if self.write_sheet:
            self.write_sheet(self.model, self.held_out, path)
