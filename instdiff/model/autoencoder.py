"""A small autoencoder whose encoder is a linear transform of picture patches, solved in closed form."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from diffusers.models.autoencoders.vae import DecoderOutput, EncoderOutput
from torch import nn


class DecoderBlock(nn.Module):
    """Two convolutions around a group norm each, added to the input."""

    def __init__(self, channels: int):
        super().__init__()
        self.body = nn.Sequential(
            nn.GroupNorm(8, channels), nn.SiLU(), nn.Conv2d(channels, channels, 3, padding=1),
            nn.GroupNorm(8, channels), nn.SiLU(), nn.Conv2d(channels, channels, 3, padding=1),
        )  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.body(x)


class PatchAutoencoder(ModelMixin, ConfigMixin):
    """Latents are the principal components of patches; the decoder adds a small network to the linear inverse.

    The encoder needs no training beyond an eigendecomposition (`fit`), so a denoiser can be trained on its latents at
    once, while the decoder still learns. The components are scaled by the inverse root of their deviation: half way
    between pixels, where coarse structure dominates, and white latents, where noise drowns all scales at once.

    Args:
        latent_channels: components kept per patch.
        patch: side of a patch in pixels; the latents are that much smaller than the picture.
        decoder_channels: widths at 1/16, 1/8 and 1/4 of the picture's size (for patch 16).
        scaling_factor: latents are multiplied by it before they are denoised, as in diffusers.
    """

    @register_to_config
    def __init__(
        self,
        latent_channels: int = 24,
        patch: int = 16,
        decoder_channels: tuple[int, int, int] = (128, 64, 48),
        scaling_factor: float = 1.0,
    ):
        super().__init__()
        self.encoder = nn.Conv2d(3, latent_channels, patch, stride=patch)
        self.inverse = nn.ConvTranspose2d(latent_channels, 3, patch, stride=patch)
        wide, middle, narrow = decoder_channels
        self.refine = nn.Sequential(
            nn.Conv2d(latent_channels, wide, 3, padding=1), DecoderBlock(wide), DecoderBlock(wide),
            nn.Conv2d(wide, 4 * middle, 3, padding=1), nn.PixelShuffle(2), DecoderBlock(middle),
            nn.Conv2d(middle, 4 * narrow, 3, padding=1), nn.PixelShuffle(2), DecoderBlock(narrow),
            nn.SiLU(), nn.Conv2d(narrow, 3 * (patch // 4) ** 2, 3, padding=1), nn.PixelShuffle(patch // 4),
        )  # fmt: skip
        nn.init.zeros_(self.refine[-2].weight)
        nn.init.zeros_(self.refine[-2].bias)

    @torch.no_grad()
    def fit(self, images: torch.Tensor) -> torch.Tensor:
        """Solve the encoder and its inverse for pictures (B, 3, H, W) in -1..1; returns the share of variance kept."""
        patch = self.config.patch
        channels = self.config.latent_channels
        rows = F.unfold(images, patch, stride=patch).transpose(1, 2).flatten(0, 1).double()  # (B * cells, 3 * patch**2)
        mean = rows.mean(dim=0)
        variances, vectors = torch.linalg.eigh((rows - mean).T.cov())  # ascending
        leading = variances[-channels:].flip(0)
        components = vectors[:, -channels:].flip(1).T  # (channels, 3 * patch**2)
        gains = leading.sqrt().rsqrt()[:, None]
        shape = (channels, 3, patch, patch)
        self.encoder.weight.copy_((components * gains).view(shape))
        self.encoder.bias.copy_(-(components * gains) @ mean)
        self.inverse.weight.copy_((components / gains).view(shape))
        # The mean patch has one value per pixel, but a bias one per colour: the rest is for the network to add.
        self.inverse.bias.copy_(mean.view(3, -1).mean(dim=1))
        self.register_to_config(scaling_factor=float((leading * gains[:, 0] ** 2).mean().rsqrt()))
        return leading.sum() / variances.sum()

    def encode(self, images: torch.Tensor) -> EncoderOutput:
        """Pictures (B, 3, H, W) in -1..1 -> ``.latent`` (B, C, H / patch, W / patch), not yet scaled."""
        return EncoderOutput(latent=self.encoder(images))

    def encode_sketch(self, sketch: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        """A small picture (B, 3, ...), 0..1, enlarged -> latents (B, C, h, w) of ``size``, scaled for denoising."""
        side = self.config.patch
        images = F.interpolate(sketch, (side * size[0], side * size[1]), mode="bilinear", align_corners=False)
        return self.encode(2 * images.to(self.encoder.weight.dtype) - 1).latent * self.config.scaling_factor

    def decode(self, latents: torch.Tensor, return_dict: bool = True) -> Any:
        """Unscaled latents (B, C, h, w) -> ``.sample`` (B, 3, h * patch, w * patch), about -1..1; or a tuple of it."""
        sample = self.inverse(latents) + self.refine(latents)
        return DecoderOutput(sample=sample) if return_dict else (sample,)
