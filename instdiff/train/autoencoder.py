"""Fits the draft autoencoder's encoder in closed form, and trains its decoder."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from instdiff.autoencoder import PatchAutoencoder
from instdiff.train.compose import Composer
from instdiff.train.likeness import Likeness
from instdiff.train.scenes import to_tensor
from instdiff.train.sheets import autoencoder_sheet
from instdiff.train.sprites import load_sprites
from instdiff.train.state import load_state, save_model, save_state

FIT_SEED, HELD_OUT_SEED, PAINTED_SEED = 1_000_000, 8_000_000, 3_000_000
FIT_PICTURES, CROP = 1500, 8  # the side of a window is so many patches
# Half of the latents are disturbed by up to this share of their deviation: those of a painter are never exact.
NOISE = 0.3
PAINTED = 1536  # pictures that the painter paints again for its decoder
LIKENESS = 0.1  # weight of what a detector sees, where one looks


def fit(sprites: Path, folder: Path, latent_channels: int = 32) -> None:
    """Solve the encoder from composed scenes and save it, with a decoder that has learned nothing yet."""
    composer, rng = Composer(load_sprites(sprites)), np.random.default_rng(FIT_SEED)
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

    The loss counts pixels and their differences, so that edges and the seams between patches matter. With ``painter`` (and
    its ``tokenizer``), half of the latents are what that painter makes of pictures: the decoder learns to mend its flaws. ``likeness`` is
    looked at besides the pixels.
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
    rng, start, saved = np.random.default_rng(step), time.monotonic(), time.monotonic()
    while (elapsed := (time.monotonic() - start) / 60) < minutes:
        fall = min((minutes - elapsed) / cooldown_minutes, 1.0) if cooldown_minutes else 1.0
        optimizer.param_groups[0]["lr"] = rate * min((step + 1) / 100, 1.0) * fall
        images, latents = _disturbed(autoencoder, composer, batch_size // 2 if painted else batch_size, rng)
        if painted:
            images, latents = (torch.cat(pair) for pair in zip((images, latents), _some(painted, batch_size // 2, rng), strict=True))
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
                quality = psnr(autoencoder.decode(latents).sample, held_out), psnr(autoencoder.inverse(latents), held_out)
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


def _painted(painter: Path, tokenizer: Path, autoencoder: PatchAutoencoder, composer: Composer, kept: Path) -> tuple[torch.Tensor, ...]:
    """Pictures, and their latents as the painter makes them; made once for a working folder."""
    if not kept.exists():
        from instdiff.train.repainted import load_painter, repainted

        rng = np.random.default_rng(PAINTED_SEED)
        torch.save(repainted(load_painter(painter, tokenizer), autoencoder, composer, rng, PAINTED), kept.with_suffix(".tmp"))
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


def _save(out: Path, autoencoder: PatchAutoencoder, optimizer: torch.optim.Optimizer, step: int, held_out: torch.Tensor) -> None:
    save_state(out, {"autoencoder": autoencoder.state_dict(), "optimizer": optimizer.state_dict(), "step": step}, step)
    save_model(autoencoder, out / "vae")
    autoencoder_sheet(autoencoder, held_out, out / f"samples-{step:08d}.jpg")
