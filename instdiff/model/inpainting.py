"""Painting a part of a picture anew: what stays is kept at the noise of each step, and put back at the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import SchedulerMixin
from diffusers.image_processor import VaeImageProcessor
from PIL import Image, ImageDraw
from scipy import ndimage

from instdiff.errors import BadInput
from instdiff.layout import Box, Layout

GROUND = 0.1  # what things hide less of is ground
MIXED = 1 / 32  # of the picture's shorter side: how far decoding mixes what is on both sides of an edge
FEATHER = 1 / 48  # of the picture's shorter side: how far inside of a region the old picture fades out, at most


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


class ToChange(NamedTuple):
    """Of each picture of a call, the older one that it changes, and where."""

    images: list[Image.Image]
    masks: list[Image.Image]

    def into_place(self, index: int, picture: Image.Image, cover: torch.Tensor | None) -> Image.Image:
        """A new picture in what stays of the one that it changes; see `match_ground` for ``cover``."""
        old, mask = self.images[index], self.masks[index]
        return put_back(old, picture if cover is None else match_ground(old, picture, mask, cover), mask)


def pictures_to_change(
    image: Image.Image | list[Image.Image] | None,
    mask: Image.Image | list[Image.Image] | None,
    layouts: list[Layout],
    each: int,
) -> ToChange | None:
    """What a call is to change, for ``each`` picture of every layout; None where it paints from nothing.

    Raises:
        BadInput: pictures and masks are not as many or not as large as the layouts, or there is a mask alone.
    """
    if image is None:
        if mask is not None:
            raise BadInput("mask_image", "says where to change an image, and none is given")
        return None
    images = image if isinstance(image, list) else [image] * len(layouts)
    masks = mask if isinstance(mask, list) else [mask or Image.new("L", layouts[0].size, "white")] * len(layouts)
    for name, given in (("image", images), ("mask_image", masks)):
        if wrong := next((one for one in given if not isinstance(one, Image.Image)), None):
            raise BadInput(name, f"a {type(wrong).__name__} is no PIL picture")
        if len(given) != len(layouts):
            raise BadInput(name, f"{len(given)} for {len(layouts)} layouts; give one, or one for each")
        if sizes := {one.size for one in given} - {layouts[0].size}:
            width, height = sizes.pop()
            asked = f"{layouts[0].width} x {layouts[0].height}"
            raise BadInput(name, f"has {width} x {height} pixels, and the layouts {asked}")
    return ToChange([one for one in images for _ in range(each)], [one for one in masks for _ in range(each)])


def as_type(images: list[Image.Image], output_type: str) -> list[Image.Image] | np.ndarray | torch.Tensor:
    """Pictures by a diffusers ``output_type``: ``pil``, ``np`` or ``pt``."""
    if output_type == "pil":
        return images
    arrays = VaeImageProcessor.pil_to_numpy(images)
    return arrays if output_type == "np" else VaeImageProcessor.numpy_to_pt(arrays)


def keep(
    vae: torch.nn.Module,
    images: Sequence[Image.Image],
    masks: Sequence[Image.Image],
    latent_size: tuple[int, int],
    device: torch.device,
) -> list[Kept]:
    """Pictures as latents, with every latent that a mask touches open.

    Args:
        vae: with diffusers' interface.
        masks: as large as the pictures; white is painted anew.
        latent_size: (H, W).
        device: where the VAE runs, even if it rests elsewhere.
    """
    pixels = VaeImageProcessor(do_resize=False).preprocess([image.convert("RGB") for image in images])
    encoded = vae.encode(pixels.to(device, vae.dtype))
    latents = encoded.latent_dist.mode() if hasattr(encoded, "latent_dist") else encoded.latent
    latents = (latents * vae.config.scaling_factor).float()
    regions = [F.adaptive_max_pool2d(_raster(mask)[None], latent_size).to(device) for mask in masks]
    return [Kept(*pair) for pair in zip(latents.split(1), regions, strict=True)]


def match_ground(before: Image.Image, after: Image.Image, mask: Image.Image, cover: torch.Tensor) -> Image.Image:
    """The picture after with its ground in the tones that the picture before has around the mask.

    These tones are spread smoothly over the region (push and pull, as in Gortler et al., The Lumigraph, SIGGRAPH 1996).
    What the new ground differs by from them, beyond where decoding mixes what is on both sides of the edge, is spread
    likewise, and taken off where no thing is.

    Args:
        cover: (h, w) 0..1 how much of a place things hide of the ground, on a grid of any fineness.
    """
    region = np.asarray(mask.convert("L")) >= 128
    if region.all() or not region.any():
        return after
    old, new = (torch.from_numpy(np.array(image.convert("RGB"), dtype=np.float32)) for image in (before, after))
    old, new = (pixels.permute(2, 0, 1)[None] for pixels in (old, new))
    ground = 1 - F.interpolate(cover.float().cpu()[None, None], region.shape, mode="bilinear").clamp(0, 1)
    is_ground = ground > 1 - GROUND
    depths = torch.from_numpy(ndimage.distance_transform_cdt(region, "chessboard").astype(np.float32))
    outside = torch.from_numpy(ndimage.distance_transform_cdt(~region, "chessboard").astype(np.float32))
    reach = min(max(MIXED * min(before.size), 1.0), float(depths.max()) / 2)
    near = (outside > 0) & (outside <= reach)
    tones = _spread(old, (near & is_ground).float())
    band = (depths >= reach) & (depths <= 3 * reach)
    step = _spread(tones - new, (band & is_ground).float())
    matched = tones.lerp(new + step, (depths / (2 * reach)).clamp(max=1))
    matched = new.lerp(matched, ground * (depths > 0))
    return Image.fromarray((matched[0].permute(1, 2, 0).clamp(0, 255) + 0.5).byte().numpy())


def _spread(values: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Values (1, C, H, W) that are known where weights (1, 1, H, W) are, spread smoothly to everywhere else."""
    known = weights.clamp(0, 1)
    if values.shape[-2:] == (1, 1) or not known.any():
        return values * known
    means = F.avg_pool2d(values * known, 2, ceil_mode=True, count_include_pad=False)
    shares = F.avg_pool2d(known, 2, ceil_mode=True, count_include_pad=False)
    coarse = _spread(means / shares.clamp(min=1e-6), (2 * shares).clamp(max=1))
    fine = F.interpolate(coarse, values.shape[-2:], mode="bilinear")
    return known * values + (1 - known) * fine


def put_back(before: Image.Image, after: Image.Image, mask: Image.Image) -> Image.Image:
    """The picture after with every pixel outside of the mask as before; inside of its edge they fade into another."""
    weights = _weights(_raster(mask)[0].numpy() > 0, max(round(FEATHER * min(before.size)), 1))[..., None]
    old, new = (np.asarray(image.convert("RGB"), dtype=np.float32) for image in (before, after))
    return Image.fromarray((old + weights * (new - old) + 0.5).astype(np.uint8))


def _weights(region: np.ndarray, reach: int) -> np.ndarray:
    """How much of the new picture is seen, 0..1, where a region (H, W) is painted anew: less within reach of its edge.

    Where the region is thin the fade takes at most half of the way to its middle. The frame of the picture is no edge.
    """
    if region.all():
        return np.ones(region.shape, dtype=np.float32)
    depths = ndimage.distance_transform_cdt(region, "chessboard").astype(np.float32)  # 1 at the edge
    fades = np.ones_like(depths)
    fade = 1
    while fade < reach:
        fade = min(2 * fade, reach)
        # All pixels that a square within the region covers, if its middle is twice as deep as the fade is long.
        thick = ndimage.maximum_filter(depths >= 2 * fade, 4 * fade - 1, mode="nearest")
        fades[thick] = fade
    return np.minimum(depths / fades, 1)


def mask_of(regions: Sequence[Box], size: tuple[int, int]) -> Image.Image:
    """A mask (width, height) that is white in the regions, in each at one pixel or more."""
    mask = Image.new("L", size)
    draw = ImageDraw.Draw(mask)
    for region in regions:
        x0, y0, x1, y1 = (round(corner) for corner in region.to_corners(size))
        left, top = min(x0, size[0] - 1), min(y0, size[1] - 1)
        draw.rectangle((left, top, max(x1 - 1, left), max(y1 - 1, top)), fill=255)
    return mask


def _raster(mask: Image.Image) -> torch.Tensor:
    """(1, H, W) float: 1 where a mask is more white than black."""
    return torch.from_numpy(np.asarray(mask.convert("L")) >= 128).float()[None]
