"""Latents as the painter makes them, beside the pictures that they should show: from these the decoder learns to mend them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from diffusers import DDPMScheduler
from transformers import CLIPTextModel, CLIPTokenizer

from instdiff.autoencoder import PatchAutoencoder
from instdiff.grounding import Grounding, place_grounding
from instdiff.layout import Instance, Layout
from instdiff.train.compose import Composer, Composite
from instdiff.train.painter import Painter, noise_scheduler
from instdiff.train.samples import SEG_SIZE, SLOTS
from instdiff.train.scenes import to_tensor
from instdiff.unet import InstanceUNet
from instdiff.unifusion import UniFusion

# From so much noise that details are the painter's own, and so little that things stay where they are.
FIRST_STEPS, STEPS, GUIDANCE, BATCH = (300, 750), 6, 1.7, 16


def load_painter(folder: Path, tokenizer: Path) -> Painter:
    """The averaged models that the painter stage leaves, to paint with."""
    unet = InstanceUNet.from_pretrained(folder / "unet").float()
    painter = Painter(CLIPTokenizer.from_pretrained(tokenizer), unet.config.in_channels)
    painter.unet, painter.unifusion = unet, UniFusion.from_pretrained(folder / "unifusion").float()
    painter.text_encoder = CLIPTextModel.from_pretrained(folder / "text_encoder").float()
    return painter.eval()


@torch.no_grad()
def repainted(painter: Painter, autoencoder: PatchAutoencoder, composer: Composer, rng: np.random.Generator, count: int):
    """Compose ``count`` pictures and paint them again from noised latents.

    Returns:
        The pictures (B, 3, S, S) uint8, and their painted latents (B, C, h, w) float16, not scaled.
    """
    scheduler, images, latents = noise_scheduler(), [], []
    for first in range(0, count, BATCH):
        composites = [composer.compose(rng) for _ in range(min(BATCH, count - first))]
        pictures = to_tensor([composite.image for composite in composites])
        clean = autoencoder.encode(pictures).latent * autoencoder.config.scaling_factor
        layouts = [_layout(composite) for composite in composites]
        groundings = [place_grounding(layout, int(rng.integers(2**31)), SEG_SIZE, SLOTS) for layout in layouts]
        noise = torch.from_numpy(rng.standard_normal(clean.shape, dtype=np.float32))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            painted = paint(painter, scheduler, clean, layouts, Grounding.cat(groundings), int(rng.integers(*FIRST_STEPS)), noise)
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
    """Latents (B, C, h, w) noised up to timestep ``first``, and denoised with guidance by DDIM (Song et al. 2021, eq. 12, eta 0)."""
    signal, times = scheduler.alphas_cumprod, torch.linspace(first, 0, STEPS + 1).long()
    captions, phrases = [layout.caption for layout in layouts], [[one.caption for one in layout.instances] for layout in layouts]
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
    instances = [Instance(caption=one.caption, category=one.category, box=one.box) for one in composite.instances[:SLOTS]]
    return Layout(width=size, height=size, caption=composite.caption, instances=tuple(instances))
