"""`PlaceMap`: a first guess of the picture, drawn from captions and places alone."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from instdiff.model.drawings import RGBA, DrawingDecoder, lay_out, lay_over
from instdiff.model.grounding import Grounding

FINER = 4  # the guess has so many cells a side of a latent
RGB = 3
POSITION_FREQUENCIES = 5
EXTENT_FREQUENCIES = 4
POSITION_FEATURES = 2 + 4 * POSITION_FREQUENCIES
EXTENT_FEATURES = 8 * EXTENT_FREQUENCIES


def _waves(values: torch.Tensor, frequencies: int) -> torch.Tensor:
    """(..., C) -> (..., 2 * frequencies * C): sines and cosines of pi, 2 pi, 4 pi, ... times the values."""
    angles = values[..., None] * (torch.pi * 2 ** torch.arange(frequencies, device=values.device)).to(values)
    return torch.cat([angles.sin(), angles.cos()], dim=-1).flatten(-2)


class ModulatedLayer(nn.Module):
    """A residual layer whose hidden units a caption scales and shifts: what is seen is a product of what and where."""

    def __init__(self, width: int):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.modulation = nn.Linear(width, 2 * width)
        self.first = nn.Linear(width, width)
        self.second = nn.Linear(width, width)

    def forward(self, h: torch.Tensor, what: torch.Tensor) -> torch.Tensor:
        """h: (B, P, W) of places; what: (B, W) of captions."""
        scale, shift = self.modulation(what)[:, None].chunk(2, dim=-1)
        return h + self.second(F.silu(self.first(self.norm(h)) * (1 + scale) + shift))


class PlaceMap(nn.Module):
    """Captions and places -> one vector per latent cell: what a first guess of the picture shows there.

    The guess is a ground, from the caption of the whole, and on it the drawings of all instances, each laid into the
    box around its place and cut out by its mask, if it has one. A large model learns from millions of pictures what
    things look like and where in its place a cell lies; a small one that is told both by the guess has only to learn
    how pictures differ from it: in light, shadows, edges, and what is hidden.

    Args:
        text_dim: size of the pooled text features.
        channels: size of a cell's vector, the width of the UNet's first features.
        width: hidden size of the ground.
        layers: modulated layers of the ground.
        drawing_widths: of the `DrawingDecoder`.
    """

    def __init__(self, text_dim: int, channels: int, width: int, layers: int, drawing_widths: tuple[int, ...]):
        super().__init__()
        self.where = nn.Linear(POSITION_FEATURES, width)
        self.what = nn.Sequential(nn.Linear(text_dim, width), nn.SiLU(), nn.Linear(width, width))
        self.layers = nn.ModuleList(ModulatedLayer(width) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.ground = nn.Linear(width, RGB * FINER**2)
        nn.init.constant_(self.ground.bias, 0.5)  # gray
        self.drawer = DrawingDecoder(text_dim, tuple(drawing_widths))
        self.front = nn.Sequential(nn.Linear(text_dim + EXTENT_FEATURES, width), nn.SiLU(), nn.Linear(width, 1))
        self.read = nn.Conv2d(RGBA * FINER**2, channels, 1)

    def forward(self, grounding: Grounding, scene: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        """One vector per cell: (B, channels, h, w).

        Args:
            grounding: of B layouts, with the pooled text features of the instance captions.
            scene: (B, text_dim) pooled text features of the layouts' own captions.
            size: (h, w) of the latents.
        """
        return self.vectors(self.guess(grounding, scene, size))

    def vectors(self, guess: torch.Tensor) -> torch.Tensor:
        """The vectors (B, channels, h, w) of a guess (B, 4, 4 h, 4 w)."""
        return self.read(F.pixel_unshuffle(guess, FINER).to(self.read.weight.dtype))

    @torch.no_grad()  # learned from single drawings: among things that hide one another it would learn blurs
    def draw(self, grounding: Grounding) -> torch.Tensor:
        """(I, 4, S, S) float32: what each instance of all layouts looks like, wherever it is."""
        return self.drawer(grounding.text[grounding.used].to(self.read.weight.dtype)).float()

    def guess(
        self, grounding: Grounding, scene: torch.Tensor, size: tuple[int, int], drawings: torch.Tensor | None = None
    ) -> torch.Tensor:
        """(B, 4, 4 h, 4 w): red, green and blue, about 0..1, and how much of a cell things cover; as in `forward`.

        Args:
            drawings: from `draw`, where they are there.
        """
        drawings = self.draw(grounding) if drawings is None else drawings
        things = self._things(grounding, (FINER * size[0], FINER * size[1]), drawings)
        ground = self._ground(scene.to(self.read.weight.dtype), size)
        seen = things[:, :RGB] + (1 - things[:, RGB:]) * ground.float()
        return torch.cat([seen, things[:, RGB:]], dim=1)

    def _ground(self, scene: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        """(B, 3, 4 h, 4 w): what is behind all things, a sky above, a floor below."""
        rows, columns = ((torch.arange(side, device=scene.device) + 0.5) / side for side in size)
        offset = 2 * torch.cartesian_prod(rows, columns).flip(1) - 1  # (P, 2) x and y, -1..1
        where = torch.cat([offset, _waves(offset / 2, POSITION_FREQUENCIES)], dim=-1).to(scene)
        h = self.where(where).expand(len(scene), -1, -1)
        what = self.what(scene)
        for layer in self.layers:
            h = layer(h, what)
        return F.pixel_shuffle(self.ground(self.norm(h)).transpose(1, 2).unflatten(2, size), FINER)

    def _things(self, grounding: Grounding, size: tuple[int, int], drawings: torch.Tensor) -> torch.Tensor:
        """(B, 4, H, W) float32: the drawings of all instances in their places, premultiplied, and their opacity."""
        sample, slot = grounding.used.nonzero(as_tuple=True)
        text = grounding.text[sample, slot].to(self.read.weight.dtype)
        extent = grounding.extent[sample, slot].float()
        laid = lay_out(drawings, extent, size).float()
        masks = grounding.segs[sample, slot]
        has_mask = masks.flatten(1).any(dim=1)
        if has_mask.any():
            shapes = F.interpolate(masks[has_mask][:, None].float(), size, mode="area")
            laid = laid.index_put((has_mask,), laid[has_mask] * shapes)
        front = self.front(torch.cat([text, _waves(extent, EXTENT_FREQUENCIES).to(text)], dim=-1))
        front = (8 * (front[:, 0].float() / 8).tanh()).exp()  # bounded, so that nothing overflows
        return lay_over(laid, front, sample, len(grounding.used))
