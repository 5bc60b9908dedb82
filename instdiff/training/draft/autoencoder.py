"""Fits the draft autoencoder's encoder in closed form, and trains its decoder, also on latents as the painter makes
them.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import DDPMScheduler
from transformers import CLIPTextModel, CLIPTokenizer

from instdiff.layout import Instance, Layout
from instdiff.model.autoencoder import PatchAutoencoder
from instdiff.model.grounding import Grounding, place_grounding
from instdiff.model.unet import InstanceUNet
from instdiff.model.unifusion import UniFusion
from instdiff.training.draft.composer import Composer, Composite
from instdiff.training.draft.painter import Painter, noise_scheduler
from instdiff.training.draft.perceptual_loss import Likeness
from instdiff.training.draft.scenes import SEG_SIZE, SLOTS, to_tensor
from instdiff.training.draft.sheets import autoencoder_sheet
from instdiff.training.draft.sprites import load_sprites
from instdiff.training.state import load_state, save_model, save_state

# From so much noise that details are the painter's own, and so little that things stay where they are.
FIRST_STEPS = (300, 750)
STEPS = 6
GUIDANCE = 1.7
BATCH = 16


def load_painter(folder: Path, tokenizer: Path) -> Painter:
    """The averaged models that the painter stage leaves, to paint with."""
    unet = InstanceUNet.from_pretrained(folder / "unet").float()
    painter = Painter(CLIPTokenizer.from_pretrained(tokenizer), unet.config.in_channels)
    painter.unet = unet
    painter.unifusion = UniFusion.from_pretrained(folder / "unifusion").float()
    painter.text_encoder = CLIPTextModel.from_pretrained(folder / "text_encoder").float()
    return painter.eval()


@torch.no_grad()
def repainted(
    painter: Painter, autoencoder: PatchAutoencoder, composer: Composer, rng: np.random.Generator, count: int
):
    """Compose ``count`` pictures and paint them again from noised latents.

    Returns:
        The pictures (B, 3, S, S) uint8, and their painted latents (B, C, h, w) float16, not scaled.
    """
    scheduler = noise_scheduler()
    images = []
    latents = []
    for first in range(0, count, BATCH):
        composites = [composer.compose(rng) for _ in range(min(BATCH, count - first))]
        pictures = to_tensor([composite.image for composite in composites])
        clean = autoencoder.encode(pictures).latent * autoencoder.config.scaling_factor
        layouts = [_layout(composite) for composite in composites]
        groundings = [place_grounding(layout, int(rng.integers(2**31)), SEG_SIZE, SLOTS) for layout in layouts]
        noise = torch.from_numpy(rng.standard_normal(clean.shape, dtype=np.float32))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            painted = paint(
                painter, scheduler, clean, layouts, Grounding.cat(groundings), int(rng.integers(*FIRST_STEPS)), noise
            )
        images.append(((pictures + 1) * 127.5).round().byte())
        latents.append((painted / autoencoder.config.scaling_factor).half())
        print(f"painted again: {first + len(composites)} of {count}", flush=True)
    return torch.cat(images), torch.cat(latents)


def paint(
    painter: Painter,
    scheduler: DDPMScheduler,
    clean: torch.Tensor,
    layouts: list[Layout],
    grounding: Grounding,
    first: int,
    noise: torch.Tensor,
) -> torch.Tensor:
    """Latents (B, C, h, w) noised up to timestep ``first``, and denoised with guidance by DDIM (Song et al. 2021, eq.
    12, eta 0).
    """
    signal = scheduler.alphas_cumprod
    times = torch.linspace(first, 0, STEPS + 1).long()
    captions = [layout.caption for layout in layouts]
    phrases = [[one.caption for one in layout.instances] for layout in layouts]
    nothing = [""] * len(layouts), grounding.null(), [[] for _ in layouts]
    now = scheduler.add_noise(clean, noise, times[:1].expand(len(clean)))
    for time, then in zip(times, times[1:], strict=False):
        steps = time.expand(len(now))
        told, free = (painter(now, steps, *given)[0].float() for given in ((captions, grounding, phrases), nothing))
        found = free + GUIDANCE * (told - free)
        left = (now - signal[time].sqrt() * found) / (1 - signal[time]).sqrt()
        now = signal[then].sqrt() * found + (1 - signal[then]).sqrt() * left
    return found


def _layout(composite: Composite) -> Layout:
    size = composite.image.shape[0]
    instances = [
        Instance(caption=one.caption, category=one.category, box=one.box) for one in composite.instances[:SLOTS]
    ]
    return Layout(width=size, height=size, caption=composite.caption, instances=tuple(instances))


FIT_SEED = 1_000_000
HELD_OUT_SEED = 8_000_000
PAINTED_SEED = 3_000_000
FIT_PICTURES = 1500
CROP = 8  # the side of a window is so many patches
# Half of the latents are disturbed by up to this share of their deviation: those of a painter are never exact.
NOISE = 0.3
PAINTED = 1536  # pictures that the painter paints again for its decoder
LIKENESS = 0.1  # weight of what a detector sees, where one looks


def fit(sprites: Path, folder: Path, latent_channels: int = 32) -> None:
    """Solve the encoder from composed scenes and save it, with a decoder that has learned nothing yet."""
    composer = Composer(load_sprites(sprites))
    rng = np.random.default_rng(FIT_SEED)
    autoencoder = PatchAutoencoder(latent_channels=latent_channels)
    kept = autoencoder.fit(to_tensor([composer.compose(rng).image for _ in range(FIT_PICTURES)]))
    autoencoder.save_pretrained(folder)
    print(f"{latent_channels} components keep {kept:.1%} of the variance", flush=True)


def psnr(found: torch.Tensor, expected: torch.Tensor) -> float:
    """Peak signal-to-noise ratio in dB of pictures in -1..1."""
    return float(-10 * ((found - expected) / 2).square().mean().log10())


def train(
    sprites: Path,
    folder: Path,
    out: Path,
    minutes: float,
    cooldown_minutes: float,
    batch_size: int,
    rate: float,
    resume: bool,
    painter: Path | None = None,
    tokenizer: Path | None = None,
    likeness: Likeness | None = None,
) -> None:
    """Train the decoder's network for ``minutes``; the encoder in ``folder`` and its linear inverse stay as they are.

    The loss counts pixels and their differences, so that edges and the seams between patches matter. With ``painter``
    (and its ``tokenizer``), half of the latents are what that painter makes of pictures: the decoder learns to mend its
    flaws. ``likeness`` is looked at besides the pixels.
    """
    torch.manual_seed(0)
    composer = Composer(load_sprites(sprites))
    autoencoder = PatchAutoencoder.from_pretrained(folder)
    optimizer = torch.optim.AdamW(autoencoder.refine.parameters(), lr=rate, fused=True)
    out.mkdir(parents=True, exist_ok=True)
    step = 0
    if resume and (state := load_state(out)):
        autoencoder.load_state_dict(state["autoencoder"])
        optimizer.load_state_dict(state["optimizer"])
        step = state["step"]
    elif resume and (out / "vae").exists():  # a decoder without a training state, such as the bundled one
        autoencoder.load_state_dict(PatchAutoencoder.from_pretrained(out / "vae").float().state_dict())
    painted = _painted(painter, tokenizer, autoencoder, composer, out / "painted.pt") if painter else None
    held_out_rng = np.random.default_rng(HELD_OUT_SEED)
    held_out = to_tensor([composer.compose(held_out_rng).image for _ in range(32)])
    rng = np.random.default_rng(step)
    start = time.monotonic()
    saved = time.monotonic()
    while (elapsed := (time.monotonic() - start) / 60) < minutes:
        fall = min((minutes - elapsed) / cooldown_minutes, 1.0) if cooldown_minutes else 1.0
        optimizer.param_groups[0]["lr"] = rate * min((step + 1) / 100, 1.0) * fall
        images, latents = _disturbed(autoencoder, composer, batch_size // 2 if painted else batch_size, rng)
        if painted:
            images, latents = (
                torch.cat(pair) for pair in zip((images, latents), _some(painted, batch_size // 2, rng), strict=True)
            )
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = autoencoder.decode(latents).sample.float()
        loss = F.mse_loss(found, images) + F.l1_loss(found, images)
        loss = loss + 0.5 * sum(F.l1_loss(found.diff(dim=dim), images.diff(dim=dim)) for dim in (2, 3))
        if likeness:
            with torch.autocast("cpu", dtype=torch.bfloat16):
                loss = loss + LIKENESS * likeness(found, images)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(autoencoder.refine.parameters(), 0.5)
        optimizer.step()
        step += 1
        if step % 100 == 0:
            with torch.no_grad():
                latents = autoencoder.encode(held_out).latent
                quality = (
                    psnr(autoencoder.decode(latents).sample, held_out),
                    psnr(autoencoder.inverse(latents), held_out),
                )
            line = {"step": step, "minutes": round(elapsed, 1), "loss": round(loss.item(), 4)}
            line |= {"psnr": round(quality[0], 2), "psnr_linear": round(quality[1], 2)}
            print(json.dumps(line), flush=True)
            with (out / "log.jsonl").open("a") as log:
                log.write(json.dumps(line) + "\n")
        if time.monotonic() - saved > 120:
            _save(out, autoencoder, optimizer, step, held_out)
            saved = time.monotonic()
    _save(out, autoencoder, optimizer, step, held_out)


@torch.no_grad()
def _disturbed(
    autoencoder: PatchAutoencoder, composer: Composer, count: int, rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Windows of composed pictures, and their latents, half of them with noise."""
    patch = autoencoder.config.patch
    images = to_tensor([composer.compose(rng).image for _ in range(count)])
    images = _window(images, _corner(images.shape[-1] // patch, rng), patch)
    latents = autoencoder.encode(images).latent
    strength = NOISE * torch.rand(count, 1, 1, 1) * torch.bernoulli(torch.full((count, 1, 1, 1), 0.5))
    return images, latents + strength * latents.std() * torch.randn_like(latents)


def _painted(
    painter: Path, tokenizer: Path, autoencoder: PatchAutoencoder, composer: Composer, kept: Path
) -> tuple[torch.Tensor, ...]:
    """Pictures, and their latents as the painter makes them; made once for a working folder."""
    if not kept.exists():
        rng = np.random.default_rng(PAINTED_SEED)
        torch.save(
            repainted(load_painter(painter, tokenizer), autoencoder, composer, rng, PAINTED), kept.with_suffix(".tmp")
        )
        kept.with_suffix(".tmp").replace(kept)
    return torch.load(kept, weights_only=True)


def _some(painted: tuple[torch.Tensor, ...], count: int, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Windows of some of the pictures, in -1..1, and the latents of the windows."""
    images, latents = painted
    chosen = torch.from_numpy(rng.choice(len(images), count, replace=False))
    corner = _corner(latents.shape[-1], rng)
    window = _window(images[chosen], corner, images.shape[-1] // latents.shape[-1])
    return window.float() / 127.5 - 1, _window(latents[chosen], corner, 1).float()


def _corner(cells: int, rng: np.random.Generator) -> tuple[int, int]:
    """Row and column of a random window, in patches of a picture that has ``cells`` a side."""
    return tuple(int(value) for value in rng.integers(cells - CROP + 1, size=2))


def _window(values: torch.Tensor, corner: tuple[int, int], patch: int) -> torch.Tensor:
    """The window of pictures (B, C, S, S) whose patches have a side of ``patch``; of latents, 1."""
    row, column = (place * patch for place in corner)
    return values[:, :, row : row + CROP * patch, column : column + CROP * patch]


def _save(
    out: Path, autoencoder: PatchAutoencoder, optimizer: torch.optim.Optimizer, step: int, held_out: torch.Tensor
) -> None:
    save_state(out, {"autoencoder": autoencoder.state_dict(), "optimizer": optimizer.state_dict(), "step": step}, step)
    save_model(autoencoder, out / "vae")
    autoencoder_sheet(autoencoder, held_out, out / f"samples-{step:08d}.jpg")
