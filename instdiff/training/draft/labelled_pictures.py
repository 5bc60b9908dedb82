"""`LabelledPictures`: pictures with what is on them, as detectors learn from them, and what gives batches of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

import torch
from torch.nn.utils.rnn import pad_sequence

NO_THING = -1  # the label where a picture has fewer things than others
IGNORED = -2  # minus k: of a region in which may be a thing of class k: that is neither learned nor counted there


class Things(NamedTuple):
    """The n things on one picture, and regions to ignore, whose label is `IGNORED` less a class."""

    boxes: torch.Tensor  # (n, 4) xyxy as fractions of the picture
    labels: torch.Tensor  # (n,) indices of categories
    colours: torch.Tensor  # (n,) indices, -1 where none was chosen
    textures: torch.Tensor  # (n,) indices, 0 is plain
    masks: torch.Tensor  # (n, S / 4, S / 4) bool


class LabelledPictures(NamedTuple):
    """B pictures with up to n things or regions to ignore each.

    Where the label is `NO_THING` the rest means nothing, and of a region to ignore label and box alone do.
    """

    images: torch.Tensor  # (B, 3, S, S) in -1..1
    boxes: torch.Tensor  # (B, n, 4) xyxy as fractions of the picture
    labels: torch.Tensor  # (B, n) indices of categories, or one of the above
    colours: torch.Tensor  # (B, n) indices, -1 where none was chosen
    textures: torch.Tensor  # (B, n) indices, 0 is plain
    masks: torch.Tensor  # (B, n, S / 4, S / 4) bool

    @classmethod
    def of(cls, images: torch.Tensor, things: Sequence[Things]) -> LabelledPictures:
        """Pictures (B, 3, S, S), and what is on each of them."""
        boxes, labels, colours, textures, masks = zip(*things, strict=True)
        padded = (pad_sequence(values, batch_first=True) for values in (boxes, colours, textures, masks))
        boxes, colours, textures, masks = padded
        return cls(images, boxes, pad_sequence(labels, True, NO_THING), colours, textures, masks)

    def things(self) -> list[Things]:
        """What is on each of the pictures."""
        found = []
        for boxes, labels, colours, textures, masks in zip(*self[1:], strict=True):
            there = labels != NO_THING
            found.append(Things(boxes[there], labels[there], colours[there], textures[there], masks[there]))
        return found


class PictureSource(Protocol):
    """Gives the batches of a training."""

    def batch(self, size: int, step: int, generator: torch.Generator) -> LabelledPictures:
        """Pictures for a step, drawn with the generator, on its device."""

    def figures(self) -> dict[str, float]:
        """Figures for the training's log."""


class FixedPictures:
    """A source of pictures that stay the same.

    Args:
        pictures: their images are (N, 3, S, S) uint8.
    """

    def __init__(self, pictures: LabelledPictures):
        self.pictures = pictures

    def batch(self, size: int, step: int, generator: torch.Generator) -> LabelledPictures:
        device = generator.device
        chosen = torch.randint(len(self.pictures.images), (size,), generator=generator, device=device)
        drawn = LabelledPictures(*(values[chosen.to(values.device)].to(device) for values in self.pictures))
        return drawn._replace(images=drawn.images.float() / 127.5 - 1)

    def figures(self) -> dict[str, float]:
        return {}


def unpack_scenes(fields: Mapping[str, torch.Tensor]) -> LabelledPictures:
    """The pictures of scenes, whose fields are those of `SCENE` with one dimension (B,) before them."""
    packed = fields["masks"]
    bits = 2 ** torch.arange(7, -1, -1, device=packed.device, dtype=torch.uint8)
    masks = ((packed[..., None] & bits) != 0).flatten(2)  # (B, n, 64 * 64)
    side = round(masks.shape[-1] ** 0.5)
    return LabelledPictures(
        fields["image"].permute(0, 3, 1, 2).float() / 127.5 - 1,
        fields["boxes"],
        fields["labels"].long(),
        fields["colours"].long(),
        fields["textures"].long(),
        masks.unflatten(2, (side, side)),
    )
