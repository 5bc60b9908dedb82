"""How alike two pictures look to the draft detector: a loss for painter and decoder beside that of pixels."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from instdiff.model.autoencoder import PatchAutoencoder
from instdiff.model.detector import DenseDetector


class Likeness(nn.Module):
    """A perceptual distance (Zhang et al., 2018) in the features of our detector.

    A squared error is least for the mean of all shapes that a thing may have, a blur; the features of a blur are not
    the mean of those of the shapes. Of the detector only what it sees counts, never what it says; the judge, which
    scores the benchmarks, has no part in it.

    Args:
        detector: folder of a trained one.
        autoencoder: folder of a trained one, to look at latents.
    """

    def __init__(self, detector: Path, autoencoder: Path):
        super().__init__()
        self.detector = DenseDetector.from_pretrained(detector).float().eval().requires_grad_(False)
        self.autoencoder = PatchAutoencoder.from_pretrained(autoencoder).float().eval().requires_grad_(False)

    def features(self, pictures: torch.Tensor) -> list[torch.Tensor]:
        """Pictures (B, 3, H, W) in -1..1 -> features at 1/8, 1/16 and 1/32 of their size, of length 1 in every cell."""
        x = self.detector.stem(pictures.contiguous(memory_format=torch.channels_last))
        features = []
        for stage in self.detector.stages:
            x = stage(x)
            features.append(F.normalize(x.float(), dim=1, eps=1e-3))
        return features

    def forward(self, images: torch.Tensor, wanted: torch.Tensor, weights: torch.Tensor | None = None) -> torch.Tensor:
        """Mean distance, from 0 up, of images (B, 3, H, W) in -1..1; ``weights`` (B, h, w): how much parts count."""
        with torch.no_grad():
            targets = self.features(wanted)
        distances = []
        for feature, target in zip(self.features(images), targets, strict=True):
            distance = (feature - target).square().sum(dim=1)
            if weights is not None:
                distance = distance * F.adaptive_avg_pool2d(weights[:, None], distance.shape[-2:])[:, 0]
            distances.append(distance.mean())
        return torch.stack(distances).sum()

    def of_latents(self, painted: torch.Tensor, clean: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """The same of latents (B, C, h, w), scaled for denoising, as the encoder's linear inverse shows them.

        The decoder's network would cost more than all else, and the features see little of what it adds.
        """
        return self(self._show(painted), self._show(clean), weights)

    def _show(self, latents: torch.Tensor) -> torch.Tensor:
        return self.autoencoder.inverse(latents / self.autoencoder.config.scaling_factor)
