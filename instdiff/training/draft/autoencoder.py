"""Fits the draft autoencoder's encoder in closed form, and trains its decoder, also on the painter's latents."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from transformers import CLIPTokenizer

from instdiff.formats.files import whole_file
from instdiff.model.autoencoder import PatchAutoencoder
from instdiff.training.draft.composer import Composer
from instdiff.training.draft.painter import Painter, noise_scheduler, take_over
from instdiff.training.draft.painter_samples import PainterScenes, SampleUnpacker, SceneBatch
from instdiff.training.draft.perceptual_loss import Likeness
from instdiff.training.draft.scenes import layout_of, to_tensor
from instdiff.training.draft.sheets import autoencoder_sheet
from instdiff.training.draft.sprites import load_sprites
from instdiff.training.draft.stream import SceneBuffer
from instdiff.training.loop import Task, seeded_weights
from instdiff.training.state import save_model

# About as much noise as painting begins from: details are the painter's own, and things stay where they are.
FIRST_STEPS = (100, 250)
STEPS = 4
BATCH = 16
FIT_SEED = 1_000_000
HELD_OUT_SEED = 8_000_000
PAINTED_SEED = 3_000_000
FIT_PICTURES = 1500
DECODER_CHANNELS = (128, 64, 40)
HELD_OUT_PICTURES = 32
CROP = 8  # the side of a window is so many patches
# Half of the latents are disturbed by up to this share of their deviation: those of a painter are never exact.
NOISE = 0.3
PAINTED = 1536  # pictures that the painter paints again for its decoder
LIKENESS = 0.1  # weight of what a detector sees, where one looks

Pair = tuple[torch.Tensor, torch.Tensor]  # pictures (B, 3, S, S), and their latents (B, C, h, w)


def load_painter(folder: Path, tokenizer: CLIPTokenizer, latent_channels: int) -> Painter:
    """The averaged models that the painter stage leaves, to paint with."""
    painter = Painter.of(tokenizer, latent_channels)
    take_over(painter, folder)
    return painter.eval()


@torch.no_grad()
def repaint_latents(
    painter: Painter, scenes: PainterScenes, scale: float, composer: Composer, rng: np.random.Generator, count: int
) -> Pair:
    """Compose ``count`` pictures and paint them again from noised latents.

    Args:
        scenes: records them.
        scale: of the latents that are denoised.

    Returns:
        The pictures (B, 3, S, S) uint8, and their painted latents (B, C, h, w) float16, not scaled.
    """
    images = []
    latents = []
    unpack = SampleUnpacker(scenes.tokenizer)
    for first in range(0, count, BATCH):
        composites = [composer.compose(rng) for _ in range(min(BATCH, count - first))]
        records = SceneBuffer(len(composites), torch.device("cpu"), scenes.dtype)
        records.add(np.stack([scenes.record_layout(c.image, layout_of(c), rng) for c in composites]))
        batch = unpack(records.fields, None)
        noise = torch.from_numpy(rng.standard_normal(batch.latents.shape, dtype=np.float32))
        start = int(rng.integers(*FIRST_STEPS))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            painted = paint(painter, batch, start, noise)
        images.append(torch.from_numpy(np.stack([c.image for c in composites])).permute(0, 3, 1, 2))
        latents.append((painted / scale).half())
        print(f"painted again: {first + len(composites)} of {count}", flush=True)
    return torch.cat(images), torch.cat(latents)


def paint(painter: Painter, batch: SceneBatch, first: int, noise: torch.Tensor) -> torch.Tensor:
    """A batch's latents noised to step ``first``, then denoised (DDIM: Song et al. 2021, eq. 12)."""
    scheduler = noise_scheduler()
    signal = scheduler.alphas_cumprod
    times = torch.linspace(first, 0, STEPS + 1).long()
    told = painter.read(batch)
    latents = scheduler.add_noise(batch.latents, noise, times[:1].expand(len(noise)))
    for time, next_time in itertools.pairwise(times):
        predicted = painter.denoise(told, latents, time.expand(len(latents)))
        direction = (latents - signal[time].sqrt() * predicted) / (1 - signal[time]).sqrt()
        latents = signal[next_time].sqrt() * predicted + (1 - signal[next_time]).sqrt() * direction
    return predicted


def fit(sprites: Path, folder: Path, latent_channels: int = 16, patch: int = 8) -> None:
    """Solve the encoder from composed scenes and save it, with a decoder that has learned nothing yet."""
    composer = Composer(load_sprites(sprites))
    rng = np.random.default_rng(FIT_SEED)
    with seeded_weights(0):
        autoencoder = PatchAutoencoder(latent_channels, patch, DECODER_CHANNELS)
    share = autoencoder.fit(to_tensor([composer.compose(rng).image for _ in range(FIT_PICTURES)]))
    autoencoder.save_pretrained(folder)
    print(f"{latent_channels} components keep {share:.1%} of the variance", flush=True)


def psnr(pictures: torch.Tensor, expected: torch.Tensor) -> float:
    """Peak signal-to-noise ratio in dB of pictures in -1..1."""
    return round(float(-10 * ((pictures - expected) / 2).square().mean().log10()), 2)


class DecoderTask(Task[Pair]):
    """The decoder's network learns to draw pictures from latents; the encoder and its linear inverse stay as they are.

    A batch holds windows of pictures (B, 3, S, S) in -1..1, and their latents (B, C, h, w).

    Args:
        folder: the autoencoder whose encoder is solved.
        start: folder of a decoder to begin with, where there is no state; the bundled one is such.
        painter: makes half of the latents from recorded scenes: the decoder learns to mend its flaws.
        painted: file of these pictures and latents, made where it is not there.
        likeness: is looked at besides the pixels.
    """

    def __init__(
        self,
        sprites: Path,
        folder: Path,
        start: Path | None,
        batch_size: int,
        painter: tuple[Painter, PainterScenes] | None,
        painted: Path,
        likeness: Likeness | None = None,
    ):
        self.composer = Composer(load_sprites(sprites))
        self.autoencoder = PatchAutoencoder.from_pretrained(folder)
        self.model = self.autoencoder.refine
        self.start = start
        self.batch_size = batch_size
        self.likeness = likeness
        self.painted = painted_latents(*painter, self.autoencoder, self.composer, painted) if painter else None
        rng = np.random.default_rng(HELD_OUT_SEED)
        self.held_out = to_tensor([self.composer.compose(rng).image for _ in range(HELD_OUT_PICTURES)])

    def begin(self) -> None:
        if self.start and self.start.exists():
            trained = PatchAutoencoder.from_pretrained(self.start).float()
            self.autoencoder.load_state_dict(trained.state_dict())

    def optimizer(self, rate: float) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.model.parameters(), lr=rate, fused=True)

    def batch(self, step: int, rng: np.random.Generator) -> Pair:
        count = self.batch_size // 2 if self.painted else self.batch_size
        images, latents = self._disturbed_windows(count, rng)
        if self.painted:
            painted_images, painted = painted_windows(self.painted, self.batch_size // 2, rng)
            images = torch.cat([images, painted_images])
            latents = torch.cat([latents, painted])
        device = next(self.model.parameters()).device
        self.autoencoder.to(device)
        return images.to(device), latents.to(device)

    def losses(self, model: nn.Module, batch: Pair, generator: torch.Generator) -> dict[str, torch.Tensor]:
        """The loss counts pixels and their differences, so that edges and the seams between patches matter."""
        images, latents = batch
        decoded = (self.autoencoder.inverse(latents) + model(latents)).float()
        loss = F.mse_loss(decoded, images) + F.l1_loss(decoded, images)
        for dim in (2, 3):
            loss = loss + 0.5 * F.l1_loss(decoded.diff(dim=dim), images.diff(dim=dim))
        losses = {"loss": loss}
        if self.likeness:
            losses["likeness"] = LIKENESS * self.likeness.to(images.device)(decoded, images)
        return losses

    def check(self) -> dict[str, float]:
        held_out = self.held_out.to(self.autoencoder.device)
        latents = self.autoencoder.encode(held_out).latent
        linear = psnr(self.autoencoder.inverse(latents), held_out)
        return {"psnr": psnr(self.autoencoder.decode(latents).sample, held_out), "psnr_linear": linear}

    def save(self, folder: Path) -> None:
        save_model(self.autoencoder, folder / "vae")

    def sheet(self, path: Path) -> None:
        autoencoder_sheet(self.autoencoder, self.held_out, path)

    @torch.no_grad()
    def _disturbed_windows(self, count: int, rng: np.random.Generator) -> Pair:
        """Windows of composed pictures, and their latents, half of them with noise."""
        patch = self.autoencoder.config.patch
        images = to_tensor([self.composer.compose(rng).image for _ in range(count)])
        images = cut_window(images, draw_corner(images.shape[-1] // patch, rng), patch)
        latents = self.autoencoder.encode(images.to(self.autoencoder.device)).latent.cpu()
        strength = NOISE * rng.random((count, 1, 1, 1)) * (rng.random((count, 1, 1, 1)) < 0.5)
        noise = torch.from_numpy((strength * rng.standard_normal(latents.shape)).astype(np.float32))
        return images, latents + latents.std() * noise


def painted_latents(
    painter: Painter, scenes: PainterScenes, autoencoder: PatchAutoencoder, composer: Composer, path: Path
) -> Pair:
    """Pictures, and their latents as the painter makes them; made once, and then read from ``path``."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng(PAINTED_SEED)
        pair = repaint_latents(painter, scenes, autoencoder.config.scaling_factor, composer, rng, PAINTED)
        with whole_file(path) as temporary:
            torch.save(pair, temporary)
    images, latents = torch.load(path, weights_only=True)
    return images, latents


def painted_windows(painted: Pair, count: int, rng: np.random.Generator) -> Pair:
    """Windows of some of the pictures, in -1..1, and the latents of the windows."""
    images, latents = painted
    chosen = torch.from_numpy(rng.choice(len(images), count, replace=False))
    corner = draw_corner(latents.shape[-1], rng)
    window = cut_window(images[chosen], corner, images.shape[-1] // latents.shape[-1])
    return window.float() / 127.5 - 1, cut_window(latents[chosen], corner, 1).float()


def draw_corner(cells: int, rng: np.random.Generator) -> tuple[int, int]:
    """Row and column of a random window, in patches of a picture that has ``cells`` a side."""
    row, column = rng.integers(cells - CROP + 1, size=2)
    return int(row), int(column)


def cut_window(values: torch.Tensor, corner: tuple[int, int], patch: int) -> torch.Tensor:
    """The window of pictures (B, C, S, S) whose patches have a side of ``patch``; of latents, 1."""
    row, column = (place * patch for place in corner)
    return values[:, :, row : row + CROP * patch, column : column + CROP * patch]
