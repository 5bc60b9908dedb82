"""UniFusion: places and captions of instances -> grounding tokens (InstanceDiffusion, section 3.1)."""

from __future__ import annotations

import torch
from diffusers import ConfigMixin, ModelMixin  # by the second, diffusers knows what a pipeline can load
from diffusers.configuration_utils import register_to_config
from torch import nn
from transformers import ConvNextConfig, ConvNextModel

from instdiff.model.grounding import MAX_INSTANCES, POLYGON_POINTS, SCRIBBLE_POINTS, Grounding
from instdiff.model.int8_weights import Int8Model
from instdiff.model.place_map import PlaceMap

# Numbers per instance and kind of place, in token order.
COORDINATES = {"box": 4, "point": 2, "scribble": 2 * SCRIBBLE_POINTS, "polygon": 2 * POLYGON_POINTS}


def fourier_features(coordinates: torch.Tensor, num_frequencies: int = 16, temperature: float = 100.0) -> torch.Tensor:
    """Sines and cosines of coordinates, without a factor of pi.

    Args:
        coordinates: (..., C), fractions of the picture.

    Returns:
        (..., 2 * num_frequencies * C), ordered sin(f0 x), cos(f0 x), sin(f1 x), ... with all C inside each block.
    """
    exponents = torch.arange(num_frequencies, device=coordinates.device) / num_frequencies
    frequencies = (temperature**exponents).to(coordinates)
    angles = frequencies[:, None] * coordinates[..., None, :]  # (..., F, C)
    return torch.stack([angles.sin(), angles.cos()], dim=-2).flatten(-3)


def _mlp(in_dim: int, mid_dim: int, out_dim: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(in_dim, mid_dim), nn.SiLU(), nn.Linear(mid_dim, mid_dim), nn.SiLU(), nn.Linear(mid_dim, out_dim)
    )


def slots_for(instances: int, instance_masked: bool) -> int:
    """How many slots to compute: an empty one stands for all; in an instance-masked model nothing reads empty slots."""
    return max(instances, 1) if instance_masked else min(instances + 1, MAX_INSTANCES)


def token_counts(slots: int, seg_tokens: int) -> torch.Tensor:
    """(4 * slots + seg_tokens,) float32: how many of the published tokens each token of ``slots`` slots stands for.

    The model was trained with 30 slots, and the tokens of all empty ones are equal. Where the last slot is left empty,
    its four tokens can stand for those of all empty slots; the attention then counts them as many times.
    """
    counts = torch.ones(4, slots)
    counts[:, -1] = MAX_INSTANCES - slots + 1
    return torch.cat([counts.flatten(), torch.ones(seg_tokens)])


class UniFusion(Int8Model, ModelMixin, ConfigMixin):
    """One tokenizer per kind of place, and a ConvNeXt that reads the segmentation planes of all instances at once.

    The tokens depend on the grounding alone, not on the noise, the step or the global caption.

    Args:
        text_dim: size of the pooled text feature of an instance caption.
        out_dim: size of a token, the UNet's cross-attention size.
        mid_dim: hidden size of the tokenizers.
        seg_size: side of the segmentation planes in pixels, a multiple of 64.
        convnext_dims, convnext_depths: the ConvNeXt's stages; the published model has ConvNeXt-T.
        place_map: sizes of a `PlaceMap`, which the published model has not.
    """

    @register_to_config
    def __init__(
        self,
        text_dim: int = 768,
        out_dim: int = 768,
        mid_dim: int = 3072,
        seg_size: int = 512,
        convnext_dims: tuple[int, ...] = (96, 192, 384, 768),
        convnext_depths: tuple[int, ...] = (3, 3, 9, 3),
        place_map: dict | None = None,
    ):
        super().__init__()
        sizes = {kind: 2 * 16 * count for kind, count in COORDINATES.items()}
        self.seg_tokens = (seg_size // 64) ** 2  # four neighbours of the ConvNeXt's grid make one token
        seg_dim = 4 * convnext_dims[-1]

        self.tokenizers = nn.ModuleDict({kind: _mlp(text_dim + size, mid_dim, out_dim) for kind, size in sizes.items()})
        self.tokenizers["seg"] = _mlp(seg_dim, mid_dim, out_dim)
        self.null_text = nn.Parameter(torch.zeros(text_dim))
        self.null_place = nn.ParameterDict({kind: nn.Parameter(torch.zeros(size)) for kind, size in sizes.items()})
        self.null_place["seg"] = nn.Parameter(torch.zeros(seg_dim))
        self.seg_positions = nn.Parameter(torch.randn(1, self.seg_tokens, seg_dim) * 0.02)
        self.seg_conv_in = nn.Conv2d(MAX_INSTANCES, 3, kernel_size=3, padding=1)
        self.convnext = ConvNextModel(ConvNextConfig(hidden_sizes=list(convnext_dims), depths=list(convnext_depths)))
        self.convnext.layernorm = nn.Identity()  # its norm belongs to the pooled output, which nobody reads
        self.place_mapper = PlaceMap(text_dim, **place_map) if place_map else None

    def seg_features(self, segs: torch.Tensor) -> torch.Tensor:
        """Segmentation planes (B, 30, S, S) -> (B, (S / 64)**2, 4 * C)."""
        grid = self.convnext(self.seg_conv_in(segs)).last_hidden_state  # (B, C, S / 32, S / 32)
        # Token j gathers the grid's positions j, j + T, j + 2T, j + 3T: the layout the published weights learned.
        return grid.reshape(len(grid), -1, self.seg_tokens).transpose(1, 2)

    def forward(self, grounding: Grounding) -> torch.Tensor:
        """Tokens (B, 4 * N + (S / 64)**2, out_dim) of B layouts: boxes, points, scribbles, polygons, segs."""
        dtype = self.null_text.dtype
        used = grounding.used[..., None]  # (B, N, 1)
        text = torch.where(used, grounding.text.to(dtype), self.null_text)  # (B, N, text_dim)
        tokens = []
        for kind in COORDINATES:
            # In float32: the highest frequencies turn a rounded coordinate into another one.
            coordinates = getattr(grounding, f"{kind}_xy").float()
            present = getattr(grounding, f"has_{kind}")
            place = torch.where(present[..., None], fourier_features(coordinates).to(dtype), self.null_place[kind])
            tokens.append(self.tokenizers[kind](torch.cat([text, place], dim=-1)))  # (B, N, out_dim)

        has_seg = grounding.segs.flatten(1).any(dim=1)
        features = self.null_place["seg"].expand(len(has_seg), self.seg_tokens, -1)
        if has_seg.any():  # the ConvNeXt is the costly part, and most layouts have no mask
            features = features.index_put((has_seg,), self.seg_features(grounding.segs[has_seg].to(dtype)))
        tokens.append(self.tokenizers["seg"](features + self.seg_positions))
        return torch.cat(tokens, dim=1)
