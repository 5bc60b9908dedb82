"""Trains the draft UNet, UniFusion and text encoder together on latents of composed scenes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import DDPMScheduler
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from instdiff.model.grounding import Grounding
from instdiff.model.unet import InstanceUNet
from instdiff.model.unifusion import UniFusion
from instdiff.training.draft.perceptual_loss import Likeness
from instdiff.training.draft.scenes import SEG_SIZE, SceneBatch, StoredScenes
from instdiff.training.loop import Task, seeded_weights
from instdiff.training.state import save_model

TEXT_DIM = 128
WIDTHS = (128, 192)
PARTS = ("unet", "unifusion", "text_encoder")
LIKENESS = 0.5  # weight of the likeness
LOOKED_AT = 0.5  # share of a batch whose likeness is looked at: it is costly
HEAVY_NOISE = 0.33  # share of pictures with noise from step 600 on, where layout is decided
NEW_SHARDS_EVERY = 500  # steps between two looks for shards that have appeared since
CHECKED_AT = 950  # the timestep of `held_out_errors`


class Painter(nn.Module):
    """The three models that learn together."""

    def __init__(self, tokenizer: CLIPTokenizer, latent_channels: int):
        super().__init__()
        self.tokenizer = tokenizer
        self.text_encoder = CLIPTextModel(
            CLIPTextConfig(
                vocab_size=len(tokenizer), hidden_size=TEXT_DIM, intermediate_size=4 * TEXT_DIM, num_hidden_layers=3,
                num_attention_heads=4, max_position_embeddings=77, bos_token_id=tokenizer.bos_token_id,
                eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
            )
        )  # fmt: skip
        self.unifusion = UniFusion(
            text_dim=TEXT_DIM, out_dim=TEXT_DIM, mid_dim=96, seg_size=SEG_SIZE,
            convnext_dims=(16, 32, 48, 64), convnext_depths=(1, 1, 1, 1),
            place_map=dict(channels=WIDTHS[0], width=256, layers=4),
        )  # fmt: skip
        self.unet = InstanceUNet(
            in_channels=latent_channels, out_channels=latent_channels, block_out_channels=WIDTHS,
            attention_levels=(False, True), layers_per_block=1, attention_heads=4,
            cross_attention_dim=TEXT_DIM, has_stock_conv_in=False, instance_masked=True,
        )  # fmt: skip
        for name, parameter in self.unet.named_parameters():
            if name.endswith(("alpha_attn", "alpha_dense")):
                nn.init.constant_(parameter, 0.55)  # tanh 0.5: open gates learn to place far sooner than closed ones
        self.preview = nn.Conv2d(WIDTHS[0], latent_channels, 1)  # reads the place map alone; of use in training only

    @property
    def device(self) -> torch.device:
        return self.preview.weight.device

    def features(self, captions: list[str], full: bool) -> tuple[torch.Tensor, torch.Tensor]:
        """Token features (n, T, D) and pooled features (n, D) of captions; T is 77 if ``full``.

        The text model is causal, so the pooled features need no full padding.
        """
        padding = "max_length" if full else True
        tokens = self.tokenizer(captions, padding=padding, truncation=True, max_length=77, return_tensors="pt")
        encoded = self.text_encoder(tokens.input_ids.to(self.device))
        return encoded.last_hidden_state, encoded.pooler_output

    def forward(
        self, batch: SceneBatch, noisy: torch.Tensor | None = None, timesteps: torch.Tensor | None = None
    ) -> tuple[torch.Tensor | None, torch.Tensor]:
        """Clean latents (B, C, h, w) float32, predicted from noisy ones (None without any) and from the place map."""
        text, scene = self.features(batch.captions, full=noisy is not None)
        place_map = self.place_map(batch, scene)
        preview = self.preview(place_map).float()
        if noisy is None:
            return None, preview
        grounding = batch.grounding
        painted = self.unet(noisy, timesteps, text, self.unifusion(grounding), grounding.regions, place_map)
        return painted.float(), preview

    def place_map(self, batch: SceneBatch, scene: torch.Tensor) -> torch.Tensor:
        """The place map (B, W, h, w); puts the features of the instance captions into the grounding.

        Args:
            scene: (B, D), pooled features of the captions.
        """
        grounding = batch.grounding
        _, pooled = self.features([phrase for phrases in batch.phrases for phrase in phrases] or [""], full=False)
        slots = [(row, slot) for row, phrases in enumerate(batch.phrases) for slot in range(len(phrases))]
        text = torch.zeros(*grounding.used.shape, TEXT_DIM, device=self.device)
        if slots:
            text = text.index_put(tuple(torch.tensor(slots, device=self.device).T), pooled.float())
        grounding.text = text
        return self.unifusion.place_mapper(grounding, scene, batch.latents.shape[-2:])


def noise_scheduler() -> DDPMScheduler:
    """The cosine schedule of the draft model, which predicts the clean latents.

    A short training leaves errors in what is predicted; as clean latents they look soft, as noise or velocity grainy.
    """
    return DDPMScheduler(beta_schedule="squaredcos_cap_v2", prediction_type="sample", clip_sample=False)


def squared_errors(output: torch.Tensor, latents: torch.Tensor) -> torch.Tensor:
    """Squared errors (B, h, w), averaged over channels."""
    return (output - latents).square().mean(dim=1)


def preview_loss(preview: torch.Tensor, batch: SceneBatch) -> torch.Tensor:
    """Weighted mean error of the preview."""
    return (squared_errors(preview, batch.latents) * place_weights(batch.grounding, preview.shape[-2:])).mean()


@torch.no_grad()
def fit_preview(
    painter: Painter, scenes: StoredScenes, rng: np.random.Generator, batches: int = 8, ridge: float = 1e-3
) -> None:
    """Solve the preview by weighted least squares, on batches of 64 scenes, with everything else as it is.

    Models without a training state have none, and what an unfitted one asks for would spoil a place map that is
    trained.
    """
    size = WIDTHS[0] + 1
    squares = torch.zeros(size, size, dtype=torch.float64)
    products = torch.zeros(size, painter.preview.out_channels, dtype=torch.float64)
    for _ in range(batches):
        batch = scenes.batch(64, rng)
        place_map = painter.place_map(batch, painter.features(batch.captions, full=False)[1])
        weights = place_weights(batch.grounding, batch.latents.shape[-2:]).flatten()[:, None]
        inputs = F.pad(place_map.permute(0, 2, 3, 1).flatten(0, 2).double(), (0, 1), value=1.0)  # (cells, W + 1)
        targets = batch.latents.permute(0, 2, 3, 1).flatten(0, 2).double()  # (cells, C)
        squares += inputs.T @ (weights * inputs)
        products += inputs.T @ (weights * targets)
    squares.diagonal().add_(ridge * squares.diagonal().mean())
    solved = torch.linalg.solve(squares, products).T.float()  # (C, W + 1)
    painter.preview.weight.copy_(solved[:, :-1, None, None])
    painter.preview.bias.copy_(solved[:, -1])


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


@torch.no_grad()
def held_out_errors(painter: Painter, scheduler: DDPMScheduler, held_out: StoredScenes) -> dict[str, float]:
    """Error inside the places at 95% noise: grounded, ungrounded, and with the captions shuffled among places."""
    results = {}
    for name in ("grounded", "ungrounded", "shuffled"):
        rng = np.random.default_rng(0)
        generator = torch.Generator().manual_seed(0)
        errors = []
        for _ in range(2):
            batch = held_out.batch(32, rng).to(painter.device)._replace(captions=[""] * 32)
            grounding = batch.grounding
            if name == "ungrounded":
                batch = batch._replace(grounding=grounding.null(), phrases=[[] for _ in batch.phrases])
            if name == "shuffled":
                batch = batch._replace(phrases=shuffle_phrases(batch.phrases))
            noise = torch.randn(batch.latents.shape, generator=generator).to(painter.device)
            timesteps = torch.full((32,), CHECKED_AT, device=painter.device)
            painted, _ = painter(batch, scheduler.add_noise(batch.latents, noise, timesteps), timesteps)
            inside = covered_cells(grounding, painted.shape[-2:])
            errors.append((squared_errors(painted, batch.latents) * inside).sum() / inside.sum().clamp(min=1))
        results[name] = round(float(torch.stack(errors).mean()), 4)
    return results


def shuffle_phrases(phrases: list[list[str]]) -> list[list[str]]:
    """As many phrases in each list, but those of half a batch further on."""
    flat = [phrase for row in phrases for phrase in row]
    shifted = iter(flat[len(flat) // 2 :] + flat[: len(flat) // 2])
    return [[next(shifted) for _ in row] for row in phrases]


class PainterTask(Task[SceneBatch]):
    """Text encoder, UniFusion and UNet learn to paint composed scenes from noise.

    Args:
        scenes: folder of shards, with held-out ones in ``held-out``.
        start: folder of models to begin with, if it is there, where there is no state; the bundled ones are such.
        places_only: train the text encoder and the place map alone, by the preview of the clean latents: it needs no
            noise and no UNet, and sees six times as many pictures a minute.
        likeness: is looked at besides the error of the latents.
        sheet: is given the averaged models, held-out scenes and a path for a picture at every checkpoint.
    """

    def __init__(
        self,
        scenes: Path,
        tokenizer: Path,
        start: Path | None,
        batch_size: int,
        places_only: bool = False,
        likeness: Likeness | None = None,
        sheet: Callable[[Painter, StoredScenes, Path], None] | None = None,
    ):
        self.scenes = StoredScenes(scenes)
        self.held_out = StoredScenes(scenes / "held-out")
        with seeded_weights(0):
            self.model: Painter = Painter(CLIPTokenizer.from_pretrained(tokenizer), self.scenes.latents[0].shape[0])
        self.model.unet.requires_grad_(not places_only)
        self.start = start
        self.batch_size = batch_size
        self.places_only = places_only
        self.likeness = likeness
        self.write_sheet = None if places_only else sheet
        self.scheduler = noise_scheduler()

    def begin(self) -> None:
        if self.start and (self.start / "unet").exists():
            for name in PARTS:
                part = getattr(self.model, name)
                part.load_state_dict(type(part).from_pretrained(self.start / name).float().state_dict())
            fit_preview(self.model, self.scenes, np.random.default_rng(0))

    def optimizer(self, rate: float) -> torch.optim.Optimizer:
        # Of all parameters, so that the places stage and the painter stage go on from one another's state.
        return torch.optim.AdamW(self.model.parameters(), lr=rate, betas=(0.9, 0.98), weight_decay=0.01, fused=True)

    def batch(self, step: int, rng: np.random.Generator) -> SceneBatch:
        if step % NEW_SHARDS_EVERY == 0:
            self.scenes.refresh()
        return self.scenes.batch(self.batch_size, rng).to(self.model.device)

    def losses(self, model: nn.Module, batch: SceneBatch, generator: torch.Generator) -> dict[str, torch.Tensor]:
        if self.places_only:
            return {"preview": preview_loss(model(batch)[1], batch)}
        latents = batch.latents
        low = 600.0 * (torch.rand(len(latents), generator=generator) < HEAVY_NOISE)
        timesteps = (low + torch.rand(len(latents), generator=generator) * (1000 - low)).long().to(latents.device)
        noise = torch.randn(latents.shape, generator=generator).to(latents.device)
        painted, preview = model(batch, self.scheduler.add_noise(latents, noise, timesteps), timesteps)
        weights = place_weights(batch.grounding, latents.shape[-2:])
        errors = squared_errors(painted, latents) * noise_weights(self.scheduler, timesteps) * weights
        losses = {"loss": errors.mean(), "preview": preview_loss(preview, batch)}
        if self.likeness:
            part = slice(0, round(LOOKED_AT * len(latents)))
            likeness = self.likeness.to(latents.device)
            losses["likeness"] = LIKENESS * likeness.of_latents(painted[part], latents[part], weights[part])
        return losses

    def check(self) -> dict[str, float]:
        return {} if self.places_only else held_out_errors(self.model, self.scheduler, self.held_out)

    def save(self, folder: Path) -> None:
        for name in PARTS:
            save_model(getattr(self.model, name), folder / name)

    def sheet(self, path: Path) -> None:
        if self.write_sheet:
            self.write_sheet(self.model, self.held_out, path)
