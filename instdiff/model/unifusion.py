"""UniFusion: places and captions of instances -> grounding tokens (InstanceDiffusion, section 3.1)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import nn
from transformers import ConvNextConfig, ConvNextModel

from instdiff.model.grounding import MAX_INSTANCES, POLYGON_POINTS, SCRIBBLE_POINTS, Grounding

OFFSET_FREQUENCIES = 5
EXTENT_FREQUENCIES = 4
# Offsets and cell size (2 + 2), their sines and cosines, 2 x 2 parts of the cell, kinds of place (2).
CELL_FEATURES = 4 + 4 * OFFSET_FREQUENCIES + 4 + 2
EXTENT_FEATURES = 8 * EXTENT_FREQUENCIES


def _waves(values: torch.Tensor, frequencies: int) -> torch.Tensor:
    """(..., C) -> (..., 2 * frequencies * C): sines and cosines of pi, 2 pi, 4 pi, ... times the values."""
    angles = values[..., None] * (torch.pi * 2 ** torch.arange(frequencies, device=values.device)).to(values)
    return torch.cat([angles.sin(), angles.cos()], dim=-1).flatten(-2)


class ModulatedLayer(nn.Module):
    """A residual layer whose hidden units an instance scales and shifts: shape is a product of what and where."""

    def __init__(self, width: int, what_dim: int):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.modulation = nn.Linear(what_dim, 2 * width)
        self.first = nn.Linear(width, width)
        self.second = nn.Linear(width, width)

    def forward(self, h: torch.Tensor, subjects: torch.Tensor, owner: torch.Tensor) -> torch.Tensor:
        """h: (P, W) of pairs; subjects: (I, D) of instances; owner: (P,) the instance of each pair."""
        scale, shift = self.modulation(subjects)[owner].chunk(2, dim=-1)
        return h + self.second(F.silu(self.first(self.norm(h)) * (1 + scale) + shift))


class PlaceMap(nn.Module):
    """Captions, and where in its place a cell lies -> one vector per cell.

    Fourier features of corners alone make attention learn the offset of a cell from a corner, which takes a large model
    and millions of pictures. Here the offset is given. Where places overlap, learned weights say what is seen in front.
    Every cell reads only the instances that cover it, as in the instance-masked attention of InstanceDiffusion (section
    3.1). Where no instance is, the whole picture is the instance and its caption that of the layout: a sky above, a
    floor below.

    Args:
        text_dim: size of the pooled text feature of an instance caption.
        channels: size of a cell's vector, the width of the UNet's first features.
        width: hidden size.
        layers: modulated layers.
    """

    def __init__(self, text_dim: int, channels: int, width: int, layers: int):
        super().__init__()
        self.where = nn.Linear(CELL_FEATURES, width)
        self.what = nn.Sequential(nn.Linear(text_dim + EXTENT_FEATURES, width), nn.SiLU(), nn.Linear(width, width))
        self.layers = nn.ModuleList(ModulatedLayer(width, width) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, channels)
        self.front = nn.Linear(width, 1)
        nn.init.zeros_(self.out.weight)  # a random map would be noise that the UNet learns to ignore

    def forward(self, grounding: Grounding, scene: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        """One vector per cell: (B, channels, h, w).

        Args:
            grounding: of B layouts, with the pooled text features of the instance captions.
            scene: (B, text_dim) pooled text features of the layouts' own captions.
            size: (h, w) of the latents.
        """
        height, width = size
        dtype = self.out.weight.dtype  # of the layers; where a cell lies is computed in float32
        regions = grounding.regions.float()
        cover = F.adaptive_max_pool2d(regions, size) > 0  # (B, N, h, w)
        # The scene is one more instance, in the last slot.
        cover = torch.cat([cover, ~cover.any(dim=1, keepdim=True)], dim=1)
        sample, slot, row, column = cover.nonzero(as_tuple=True)  # P pairs of a cell and an instance that it shows
        batch, slots = cover.shape[:2]
        owner = sample * slots + slot

        everywhere = grounding.extent.new_tensor([0.0, 0.0, 1.0, 1.0]).expand(batch, 1, 4)
        extent = torch.cat([grounding.extent, everywhere], dim=1).flatten(0, 1).float()  # (B (N + 1), 4)
        text = torch.cat([grounding.text, scene[:, None].to(grounding.text)], dim=1).flatten(0, 1)
        subjects = self.what(torch.cat([text.to(dtype), _waves(extent, EXTENT_FREQUENCIES).to(dtype)], dim=-1))
        sides = (extent[:, 2:] - extent[:, :2]).clamp(min=1e-3)[owner]
        centre = torch.stack([(column + 0.5) / width, (row + 0.5) / height], dim=-1).to(extent)
        offset = 2 * (centre - extent[owner, :2]) / sides - 1  # -1..1 inside the place
        cell = (sides * sides.new_tensor([width, height])).log2()
        with_scene = torch.cat([regions, torch.ones_like(regions[:, :1])], dim=1)
        parts = F.adaptive_avg_pool2d(with_scene, (2 * height, 2 * width)).to(extent)
        parts = torch.stack([parts[sample, slot, 2 * row + i, 2 * column + j] for i in (0, 1) for j in (0, 1)], dim=-1)
        kinds = torch.stack([grounding.has_box, grounding.segs.flatten(2).any(-1)[:, : slots - 1]], dim=-1).to(extent)
        kinds = F.pad(kinds, (0, 0, 0, 1))  # the scene has neither box nor mask
        where = [offset, cell, _waves(offset / 2, OFFSET_FREQUENCIES), parts, kinds.flatten(0, 1)[owner]]

        h = self.where(torch.cat(where, dim=-1).to(dtype))
        for layer in self.layers:
            h = layer(h, subjects, owner)
        cells = self._blend(self.norm(h), (sample * height + row) * width + column, batch * height * width)
        return cells.view(batch, height, width, -1).permute(0, 3, 1, 2)

    def _blend(self, h: torch.Tensor, cell: torch.Tensor, count: int) -> torch.Tensor:
        """Features (P, W) of pairs, each of a cell (P,) -> (count, channels): a softmax over those of one cell."""
        front = (8 * (self.front(h).float() / 8).tanh()).exp()  # (P, 1); bounded, so that nothing overflows
        total = front.new_zeros(count, 1).index_add(0, cell, front)
        vectors = (self.out(h).float() * front / total[cell]).to(self.out.weight.dtype)
        return vectors.new_zeros(count, vectors.shape[-1]).index_add(0, cell, vectors)


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


class UniFusion(ModelMixin, ConfigMixin):
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
