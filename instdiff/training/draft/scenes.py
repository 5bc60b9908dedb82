"""What is kept of composed scenes, and layouts of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from instdiff.layout import SCRIBBLE_POINTS, Box, Instance, Layout, Mask, Point, Scribble
from instdiff.model.mask_points import points_inside

if TYPE_CHECKING:
    from instdiff.training.draft.composer import Composite

MASK_SIZE = 64
MOST_INSTANCES = 12  # of a sample


@dataclass(frozen=True)
class StoredInstance:
    """What is kept of a composed instance: words, box, the visible mask at 64 x 64, and what it was painted in."""

    category: str
    caption: str
    box: Box
    mask: np.ndarray  # (64, 64) bool
    colour: str | None = None
    texture: str | None = None

    def places(self, kinds: str, rng: np.random.Generator) -> dict:
        """The fields of an `Instance` for ``kinds``, letters out of b (box), p (point), s (scribble), m (mask)."""
        places: dict = {}
        legacy = np.random.RandomState(rng.integers(2**32))
        if "b" in kinds:
            places["box"] = self.box
        if "m" in kinds:
            places["mask"] = Mask.from_array(self.mask)
        if "p" in kinds:
            x, y = (points_inside(self.mask, 1, legacy)[0] + 0.5) / MASK_SIZE
            places["point"] = Point(x=x, y=y)
        if "s" in kinds:
            points = (points_inside(self.mask, SCRIBBLE_POINTS, legacy) + 0.5) / MASK_SIZE
            places["scribble"] = Scribble(points=tuple(Point(x=x, y=y) for x, y in points))
        return places


@dataclass(frozen=True)
class StoredScene:
    caption: str
    instances: list[StoredInstance]


def to_tensor(images: list[np.ndarray]) -> torch.Tensor:
    """Pictures (H, W, 3) uint8 -> (B, 3, H, W) float in -1..1."""
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 127.5 - 1


def shrink_mask(mask: np.ndarray) -> np.ndarray:
    """(S, S) bool -> (64, 64) bool: a cell belongs to the mask where any of its pixels does."""
    step = len(mask) // MASK_SIZE
    return np.logical_or.reduce(mask.reshape(MASK_SIZE, step, MASK_SIZE, step), axis=(1, 3))


def layout_of(scene: Composite | StoredScene, side: int = 256) -> Layout:
    """The layout of a scene, with the boxes of its first instances."""
    instances = [Instance(caption=i.caption, category=i.category, box=i.box) for i in scene.instances[:MOST_INSTANCES]]
    return Layout(width=side, height=side, caption=scene.caption, instances=tuple(instances))
