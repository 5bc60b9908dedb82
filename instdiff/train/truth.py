"""What is on a composed picture, as tensors that a detector learns from."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F

from instdiff.train.catalogue import COLOURS, TEXTURES, THINGS
from instdiff.train.compose import Composite

NAMES, COLOUR_NAMES, TEXTURE_NAMES = list(THINGS), list(COLOURS), ["plain", *TEXTURES]
MASK_STRIDE = 4  # pixels of the picture to a pixel of a mask


class Truth(NamedTuple):
    """The n things of a composed picture."""

    boxes: torch.Tensor  # (n, 4) xyxy as fractions
    labels: torch.Tensor  # (n,) indices into the catalogue
    colours: torch.Tensor  # (n,) indices, -1 where none was chosen
    textures: torch.Tensor  # (n,) indices, 0 is plain
    masks: torch.Tensor  # (n, S / 4, S / 4) bool

    @classmethod
    def of(cls, composite: Composite) -> Truth:
        things = composite.instances
        masks = torch.from_numpy(np.array([one.mask for one in things], dtype=np.float32).reshape(len(things), *composite.image.shape[:2]))
        return cls(
            torch.tensor([one.box.xyxy for one in things]).reshape(-1, 4),
            torch.tensor([NAMES.index(one.category) for one in things], dtype=torch.long),
            torch.tensor([COLOUR_NAMES.index(one.colour) if one.colour else -1 for one in things], dtype=torch.long),
            torch.tensor([TEXTURE_NAMES.index(one.texture or "plain") for one in things], dtype=torch.long),
            F.avg_pool2d(masks[:, None], MASK_STRIDE)[:, 0] >= 0.5,
        )

    def mirrored(self) -> Truth:
        x0, y0, x1, y1 = self.boxes.unbind(dim=1)
        return self._replace(boxes=torch.stack([1 - x1, y0, 1 - x0, y1], dim=1), masks=self.masks.flip(-1))
