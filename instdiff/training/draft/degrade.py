"""Spoils pictures the way a small painter does: soft, noisy, bent, with parts that are wrong."""

from __future__ import annotations

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from instdiff.model.autoencoder import PatchAutoencoder

# How often each flaw is added to a picture that is spoiled at all.
FLAWS = dict(bend=0.35, erase=0.3, blotch=0.35, shrink=0.35, blur=0.35, colour=0.7, noise=0.35, jpeg=0.2)


@torch.no_grad()
def repaint(images: torch.Tensor, autoencoder: PatchAutoencoder, rng: np.random.Generator) -> torch.Tensor:
    """Pictures (B, 3, S, S) in -1..1 through the autoencoder; two thirds of them with noise on their latents."""
    latents = autoencoder.encode(images).latent
    amounts = np.where(rng.random(len(images)) < 0.67, rng.uniform(0.05, 0.4, len(images)), 0)
    noise = rng.standard_normal(latents.shape, dtype=np.float32) * amounts[:, None, None, None]
    noise = torch.from_numpy(noise / autoencoder.config.scaling_factor).float()
    return autoencoder.decode(latents + noise).sample.clamp(-1, 1)


def degrade(image: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """A picture (3, S, S) in -1..1 with random flaws; things stay where they are, within a few pixels."""
    for flaw in (bend, erase, blotch, shrink, blur, colour, noise, jpeg):
        if rng.random() < FLAWS[flaw.__name__]:
            image = flaw(image, rng)
    return image.clamp(-1, 1)


def bend(image: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Shift every pixel by up to some pixels, neighbours by about the same."""
    size = image.shape[-1]
    grid = int(rng.integers(6, 20))
    shifts = rng.uniform(-1, 1, (1, 2, grid, grid)).astype(np.float32)
    coarse = torch.from_numpy(shifts) * float(rng.uniform(1, 4)) * 2 / size
    flow = F.interpolate(coarse, (size, size), mode="bilinear", align_corners=True)[0].permute(1, 2, 0)  # (S, S, 2)
    line = (torch.arange(size) + 0.5) * 2 / size - 1
    centres = torch.stack(torch.meshgrid(line, line, indexing="xy"), dim=-1)  # (S, S, 2)
    return F.grid_sample(image[None], (centres + flow)[None], padding_mode="border", align_corners=False)[0]


def erase(image: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Replace one to three rectangles by a colour of the picture, or by another part of it."""
    size = image.shape[-1]
    image = image.clone()
    for _ in range(rng.integers(1, 4)):
        height, width = rng.integers(size // 32, size // 5, 2)
        y = rng.integers(size - height)
        x = rng.integers(size - width)
        v = rng.integers(size - height)
        u = rng.integers(size - width)
        part = image[:, v : v + height, u : u + width].clone()
        image[:, y : y + height, x : x + width] = part if rng.random() < 0.4 else part[:, :1, :1]
    return image


def blotch(image: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Add coarse noise: blobs of wrong colour."""
    size = image.shape[-1]
    grid = int(rng.choice([8, 16, 32, 64]))
    blobs = rng.standard_normal((1, 3, grid, grid), dtype=np.float32)
    coarse = torch.from_numpy(blobs) * float(rng.uniform(0.05, 0.25))
    return image + F.interpolate(coarse, (size, size), mode="bilinear", align_corners=False)[0]


def shrink(image: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Scale down by up to 5 and up again."""
    size = image.shape[-1]
    small = F.interpolate(image[None], (int(size / rng.uniform(1, 5)),) * 2, mode="area")
    return F.interpolate(small, (size, size), mode=str(rng.choice(["bilinear", "bicubic"])), align_corners=False)[0]


def blur(image: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Gaussian blur of up to 3 pixels."""
    sigma = float(rng.uniform(0.3, 3))
    reach = int(3 * sigma) + 1
    kernel = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / sigma) ** 2)
    kernel = (kernel / kernel.sum()).expand(3, 1, -1)
    padded = F.pad(image[None], (reach,) * 4, mode="reflect")
    return F.conv2d(F.conv2d(padded, kernel[..., None], groups=3), kernel[:, :, None], groups=3)[0]


def colour(image: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Change contrast, saturation and brightness, and tint a little."""
    gray = image.mean(dim=0, keepdim=True)
    image = gray + (image - gray) * float(rng.uniform(0.5, 1.4))
    tint = torch.from_numpy(rng.normal(0, 0.05, (3, 1, 1)).astype(np.float32))
    return image * float(rng.uniform(0.6, 1.25)) + float(rng.uniform(-0.2, 0.2)) + tint


def noise(image: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Add fine noise."""
    return image + torch.from_numpy(rng.standard_normal(image.shape, dtype=np.float32)) * float(rng.uniform(0.01, 0.15))


def jpeg(image: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Compress as JPEG of low quality."""
    pixels = ((image.clamp(-1, 1) + 1) * 127.5).byte().permute(1, 2, 0).numpy()
    _, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(12, 70))])
    return torch.from_numpy(cv2.imdecode(data, cv2.IMREAD_COLOR)).permute(2, 0, 1).float() / 127.5 - 1
