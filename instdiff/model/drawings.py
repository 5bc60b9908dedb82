"""Drawings of single things from their captions alone, and how they are laid into their places."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

FIRST = 4  # side of the first feature map
GROUPS = 16
RGBA = 4  # channels of a drawing
EPSILON = 1e-6


class DrawingBlock(nn.Module):
    """Two convolutions, each normed and then scaled and shifted by what is drawn, beside a direct way."""

    def __init__(self, before: int, width: int, what_dim: int):
        super().__init__()
        self.norms = nn.ModuleList([nn.GroupNorm(GROUPS, before), nn.GroupNorm(GROUPS, width)])
        self.modulations = nn.ModuleList([nn.Linear(what_dim, 2 * before), nn.Linear(what_dim, 2 * width)])
        self.convolutions = nn.ModuleList(
            [nn.Conv2d(before, width, 3, padding=1), nn.Conv2d(width, width, 3, padding=1)]
        )
        self.direct = nn.Conv2d(before, width, 1)

    def forward(self, x: torch.Tensor, what: torch.Tensor) -> torch.Tensor:
        h = x
        for norm, modulation, convolution in zip(self.norms, self.modulations, self.convolutions, strict=True):
            scale, shift = modulation(what)[..., None, None].chunk(2, dim=1)
            h = convolution(F.silu(norm(h) * (1 + scale) + shift))
        return self.direct(x) + h


class DrawingDecoder(nn.Module):
    """The pooled text features of captions -> what each thing looks like alone, stretched over a square.

    Where a thing is, and how large, has no part in it, so one drawing of a caption serves every place: it is learned
    from a hundred times fewer pictures than shapes that a network has to find anew for each place.

    Args:
        text_dim: size of the text features.
        widths: of the feature maps at sides 4, 8, 16, ...; a drawing is twice as large as the last of them.
    """

    def __init__(self, text_dim: int, widths: tuple[int, ...]):
        super().__init__()
        wide = widths[0]
        self.what = nn.Sequential(nn.Linear(text_dim, 2 * wide), nn.SiLU(), nn.Linear(2 * wide, wide))
        self.first = nn.Linear(wide, wide * FIRST**2)
        pairs = zip((wide, *widths[:-1]), widths, strict=True)
        self.blocks = nn.ModuleList(DrawingBlock(before, width, wide) for before, width in pairs)
        self.norm = nn.GroupNorm(GROUPS, widths[-1])
        self.last = nn.Conv2d(widths[-1], 4 * RGBA, 3, padding=1)

    def forward(self, text: torch.Tensor) -> torch.Tensor:
        """(I, text_dim) -> (I, 4, S, S): red, green and blue, premultiplied, and how opaque it is; 0..1."""
        what = self.what(text)
        x = self.first(what).unflatten(1, (-1, FIRST, FIRST)).contiguous(memory_format=torch.channels_last)
        for level, block in enumerate(self.blocks):
            x = block(F.interpolate(x, scale_factor=2.0) if level else x, what)
        drawn = F.pixel_shuffle(self.last(F.silu(self.norm(x))), 2).sigmoid()
        opacity = drawn[:, 3:]
        return torch.cat([drawn[:, :3] * opacity, opacity], dim=1)


def lay_out(drawings: torch.Tensor, extent: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Drawings (I, C, S, S) scaled into their places on a canvas: (I, C, H, W), 0 outside.

    Scaled up linearly, and down by the mean, so that no detail flickers; as two products of matrices, since every
    drawing is scaled differently.

    Args:
        extent: (I, 4) xyxy of the places, as fractions of the picture.
        size: (H, W) of the canvas.
    """
    side = drawings.shape[-1]
    down = _resampling(extent[:, 1], extent[:, 3], side, size[0]).to(drawings.dtype)
    across = _resampling(extent[:, 0], extent[:, 2], side, size[1]).to(drawings.dtype)
    rows = torch.matmul(down[:, None], drawings)  # (I, C, H, S)
    return torch.matmul(rows, across[:, None].transpose(2, 3))


def lay_over(laid: torch.Tensor, front: torch.Tensor, owner: torch.Tensor, batch: int) -> torch.Tensor:
    """One canvas (batch, 4, H, W) of the drawings (I, 4, H, W) that are laid out on each; what is opaque hides.

    Where several are opaque, what is seen is a mean of them, in which one further in front counts more.

    Args:
        front: (I,) positive, how far in front each is.
        owner: (I,) the canvas of each.
    """
    canvas = laid.new_zeros(batch, RGBA, *laid.shape[-2:])
    weighted = canvas.index_add(0, owner, laid * front[:, None, None, None])
    clear = (1 - laid[:, 3:]).clamp(min=EPSILON).log()
    opacity = 1 - canvas[:, 3:].index_add(0, owner, clear).exp()
    colour = weighted[:, :3] / weighted[:, 3:].clamp(min=EPSILON)
    return torch.cat([colour * opacity, opacity], dim=1)


def _resampling(start: torch.Tensor, end: torch.Tensor, side: int, length: int) -> torch.Tensor:
    """(I, length, side): what each of ``side`` cells from ``start`` to ``end`` (I,) gives to ``length`` cells."""
    centres = (torch.arange(length, device=start.device) + 0.5) / length
    cells_each = side / (end - start).clamp(min=1e-3)  # of the drawing, for the whole length
    at = (centres - start[:, None]) * cells_each[:, None] - 0.5  # (I, length) in cells of the drawing
    reach = (cells_each / length).clamp(min=1.0)[:, None, None]
    distance = (at[..., None] - torch.arange(side, device=start.device)).abs() / reach
    return (1 - distance).clamp(min=0) / reach * (end > start)[:, None, None]
