"""What each latent cell shows of the instances that cover it, or of the scene: a map that small models add to their first features."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from instdiff.grounding import Grounding

OFFSET_FREQUENCIES, EXTENT_FREQUENCIES = 5, 4
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
        self.norm, self.modulation = nn.LayerNorm(width), nn.Linear(what_dim, 2 * width)
        self.first, self.second = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, h: torch.Tensor, what: torch.Tensor, owner: torch.Tensor) -> torch.Tensor:
        """h: (P, W) of pairs; what: (I, D) of instances; owner: (P,) the instance of each pair."""
        scale, shift = self.modulation(what)[owner].chunk(2, dim=-1)
        return h + self.second(F.silu(self.first(self.norm(h)) * (1 + scale) + shift))


class PlaceMap(nn.Module):
    """Captions, and where in its place a cell lies -> one vector per cell.

    Fourier features of corners alone make attention learn the offset of a cell from a corner, which takes a large model
    and millions of pictures. Here the offset is given. Where places overlap, learned weights say what is seen in front.
    Every cell reads only the instances that cover it, as in the instance-masked attention of InstanceDiffusion (section 3.1).
    Where no instance is, the whole picture is the instance and its caption that of the layout: a sky above, a floor below.

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
        self.norm, self.out, self.front = nn.LayerNorm(width), nn.Linear(width, channels), nn.Linear(width, 1)
        nn.init.zeros_(self.out.weight)  # a random map would be noise that the UNet learns to ignore

    def forward(self, grounding: Grounding, scene: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        """What is seen where.

        Args:
            grounding: of B layouts, with the pooled text features of the instance captions.
            scene: (B, text_dim) pooled text features of the layouts' own captions.
            size: (h, w) of the latents.

        Returns:
            (B, channels, h, w).
        """
        height, width = size
        dtype = self.out.weight.dtype  # of the layers; where a cell lies is computed in float32
        regions = grounding.regions.float()
        cover = F.adaptive_max_pool2d(regions, size) > 0  # (B, N, h, w)
        cover = torch.cat([cover, ~cover.any(dim=1, keepdim=True)], dim=1)  # the scene is one more instance, in the last slot
        sample, slot, row, column = cover.nonzero(as_tuple=True)  # P pairs of a cell and an instance that it shows
        batch, slots = cover.shape[:2]
        owner = sample * slots + slot

        everywhere = grounding.extent.new_tensor([0.0, 0.0, 1.0, 1.0]).expand(batch, 1, 4)
        extent = torch.cat([grounding.extent, everywhere], dim=1).flatten(0, 1).float()  # (B (N + 1), 4)
        text = torch.cat([grounding.text, scene[:, None].to(grounding.text)], dim=1).flatten(0, 1)
        what = self.what(torch.cat([text.to(dtype), _waves(extent, EXTENT_FREQUENCIES).to(dtype)], dim=-1))
        sides = (extent[:, 2:] - extent[:, :2]).clamp(min=1e-3)[owner]
        centre = torch.stack([(column + 0.5) / width, (row + 0.5) / height], dim=-1).to(extent)
        offset = 2 * (centre - extent[owner, :2]) / sides - 1  # -1..1 inside the place
        cell = (sides * sides.new_tensor([width, height])).log2()
        parts = F.adaptive_avg_pool2d(torch.cat([regions, torch.ones_like(regions[:, :1])], dim=1), (2 * height, 2 * width)).to(extent)
        parts = torch.stack([parts[sample, slot, 2 * row + i, 2 * column + j] for i in (0, 1) for j in (0, 1)], dim=-1)
        kinds = torch.stack([grounding.has_box, grounding.segs.flatten(2).any(-1)[:, : slots - 1]], dim=-1).to(extent)
        kinds = F.pad(kinds, (0, 0, 0, 1))  # the scene has neither box nor mask
        where = [offset, cell, _waves(offset / 2, OFFSET_FREQUENCIES), parts, kinds.flatten(0, 1)[owner]]

        h = self.where(torch.cat(where, dim=-1).to(dtype))
        for layer in self.layers:
            h = layer(h, what, owner)
        h = self.norm(h)
        # A softmax over the instances that share a cell.
        front = (8 * (self.front(h).float() / 8).tanh()).exp()  # (P, 1); bounded, so that nothing overflows
        place = (sample * height + row) * width + column
        total = front.new_zeros(batch * height * width, 1).index_add(0, place, front)
        cells = (self.out(h).float() * front / total[place]).to(dtype)
        painted = cells.new_zeros(batch * height * width, cells.shape[-1]).index_add(0, place, cells)
        return painted.view(batch, height, width, -1).permute(0, 3, 1, 2)
