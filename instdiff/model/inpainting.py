"""Painting a part of a picture anew: what stays is kept at the noise of each step, and put back at the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import SchedulerMixin
from diffusers.image_processor import VaeImageProcessor
from PIL import Image, ImageDraw

from instdiff.layout import Box

FEATHER = 1 / 48  # of the picture's shorter side: how far inside of a region the old picture fades out


@dataclass(frozen=True)
class Kept:
    """A picture of which a part is painted anew.

    Attributes:
        latents: (1, C, H, W) clean, of the whole picture.
        region: (1, 1, H, W) 1 where it is painted anew, 0 where it stays.
    """

    latents: torch.Tensor
    region: torch.Tensor

    def within(
        self, latents: torch.Tensor, scheduler: SchedulerMixin, noise: torch.Tensor, timestep: torch.Tensor | None
    ) -> torch.Tensor:
        """Latents (1, C, H, W) at a timestep (None: clean), with what stays as it is under the same noise.

        As in Blended Latent Diffusion (Avrahami et al., SIGGRAPH 2023): what is painted sees what it is painted into.
        """
        stays = self.latents if timestep is None else scheduler.add_noise(self.latents, noise, timestep.reshape(1))
        return stays.lerp(latents, self.region)


def keep(
    vae: torch.nn.Module, images: Sequence[Image.Image], masks: Sequence[Image.Image], latent_size: tuple[int, int]
) -> list[Kept]:
    """Pictures as latents, with every latent that a mask touches open.

    Args:
        vae: with diffusers' interface.
        masks: as large as the pictures; white is painted anew.
        latent_size: (H, W).
    """
    device, dtype = vae.device, vae.dtype
    pixels = VaeImageProcessor(do_resize=False).preprocess([image.convert("RGB") for image in images])
    encoded = vae.encode(pixels.to(device, dtype))
    latents = encoded.latent_dist.mode() if hasattr(encoded, "latent_dist") else encoded.latent
    latents = (latents * vae.config.scaling_factor).float()
    regions = [F.adaptive_max_pool2d(_raster(mask)[None], latent_size).to(device) for mask in masks]
    return [Kept(*pair) for pair in zip(latents.split(1), regions, strict=True)]


def put_back(before: Image.Image, after: Image.Image, mask: Image.Image) -> Image.Image:
    """The picture after with every pixel outside of the mask as before; inside of its edge they fade into another."""
    reach = max(round(FEATHER * min(before.size)), 1)
    region = _raster(mask)[None]
    padded = F.pad(region, (reach,) * 4, mode="replicate")  # the frame of the picture is no edge
    near = F.avg_pool2d(padded, 2 * reach + 1, stride=1)
    share = (2 * near - 1).clamp(min=0) * region  # 0 at the edge
    weights = share[0, 0, ..., None].numpy()
    old, new = (np.asarray(image.convert("RGB"), dtype=np.float32) for image in (before, after))
    return Image.fromarray((old + weights * (new - old) + 0.5).astype(np.uint8))


def mask_of(regions: Sequence[Box], size: tuple[int, int]) -> Image.Image:
    """A mask (width, height) that is white in the regions."""
    mask = Image.new("L", size)
    draw = ImageDraw.Draw(mask)
    for region in regions:
        x0, y0, x1, y1 = region.to_corners(size)
        draw.rectangle((round(x0), round(y0), round(x1) - 1, round(y1) - 1), fill=255)
    return mask


def _raster(mask: Image.Image) -> torch.Tensor:
    """(1, H, W) float: 1 where a mask is more white than black."""
    return torch.from_numpy(np.asarray(mask.convert("L")) >= 128).float()[None]
