"""How alike two pictures look to the draft detector: what the painter is taught by, besides the error of its latents."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from instdiff.autoencoder import PatchAutoencoder
from instdiff.detector import DenseDetector


class Likeness(nn.Module):
    """A perceptual distance (Zhang et al., The Unreasonable Effectiveness of Deep Features, 2018) in the features of our detector.

    A squared error of latents is least for the mean of all shapes that a thing may have, a blur; the features of a blur
    are not the mean of those of the shapes. Of the detector only what it sees counts, never what it says; the judge, which
    scores the benchmarks, has no part in it.

    Args:
        autoencoder, detector: folders of both, trained.
    """

    def __init__(self, autoencoder: Path, detector: Path):
        super().__init__()
        self.autoencoder = PatchAutoencoder.from_pretrained(autoencoder).eval().requires_grad_(False)
        self.detector = DenseDetector.from_pretrained(detector).float().eval().requires_grad_(False)

    def features(self, latents: torch.Tensor) -> list[torch.Tensor]:
        """Latents (B, C, h, w), scaled for denoising -> features at 1/8, 1/16 and 1/32 of the picture, of length 1 in every cell."""
        pictures = self.autoencoder.decode(latents / self.autoencoder.config.scaling_factor).sample
        x = self.detector.stem(pictures.contiguous(memory_format=torch.channels_last))
        features = []
        for stage in self.detector.stages:
            x = stage(x)
            features.append(F.normalize(x.float(), dim=1, eps=1e-3))
        return features

    def forward(self, painted: torch.Tensor, clean: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """Mean distance of painted from clean latents, both (B, C, h, w); ``weights`` (B, h, w) say which cells count how much."""
        with torch.no_grad():
            wanted = self.features(clean)
        distances = []
        for seen, there in zip(self.features(painted), wanted, strict=True):
            weight = F.adaptive_avg_pool2d(weights[:, None], seen.shape[-2:])[:, 0]
            distances.append(((seen - there).square().sum(dim=1) * weight).mean())
        return torch.stack(distances).sum()
