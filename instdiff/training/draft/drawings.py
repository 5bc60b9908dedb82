"""Single things, painted as in the scenes, with captions: what the painter learns to draw from."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from transformers import CLIPTokenizer

from instdiff.training.draft.captions import Look, instance_caption
from instdiff.training.draft.catalogue import ALL, COMMON, TEXTURES, THINGS
from instdiff.training.draft.composer import NAMED_NATURAL, Composer
from instdiff.training.draft.painter_samples import PHRASE_TOKENS, tokens_of
from instdiff.training.draft.sprites import Sprite, usual_looks

SIDE = 64  # of a drawing
ANY_LOOK = 0.25  # share of the drawings in any colour and any texture; of the common things twice as many
PLAIN = 0.4  # share of those that have no texture
HEIGHTS = (0.05, 0.6)  # of things on pictures, which captions may speak of


class DrawingBatch(NamedTuple):
    """Captions as tokens (B, 24), and drawings (B, 4, S, S): red, green, blue, premultiplied, and opacity, 0..1."""

    captions: torch.Tensor
    drawings: torch.Tensor


class Drawings:
    """Draws samples of single things in their usual drawing, each category as often as any other.

    Now and then in a colour and a texture that scenes do not have them in: people ask for black bookshelves too.
    """

    def __init__(self, composer: Composer, tokenizer: CLIPTokenizer):
        self.composer = composer
        self.sprites = usual_looks(composer.sprites)
        self.tokenizer = tokenizer
        self.kept: dict[tuple[str, int, str | None, str | None], np.ndarray] = {}

    def batch(self, size: int, rng: np.random.Generator, device: torch.device) -> DrawingBatch:
        """So many samples."""
        captions, drawings = zip(*(self.draw(rng) for _ in range(size)), strict=True)
        tokens = np.stack([tokens_of(self.tokenizer, caption, PHRASE_TOKENS) for caption in captions])
        pictures = torch.from_numpy(np.stack(drawings)).to(device)
        return DrawingBatch(
            torch.from_numpy(tokens).long().to(device),
            (pictures.float() / 255).permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last),
        )

    def draw(self, rng: np.random.Generator) -> tuple[str, np.ndarray]:
        """A caption, and what it says (S, S, 4) uint8, premultiplied."""
        name = self.composer.names[rng.integers(len(self.composer.names))]
        usual = self.sprites[name]
        index = int(rng.integers(len(usual)))
        if rng.random() < (2 * ANY_LOOK if name in COMMON else ANY_LOOK):
            colour: str | None = ALL[rng.integers(len(ALL))]
            texture = None if rng.random() < PLAIN else TEXTURES[rng.integers(len(TEXTURES))]
        else:
            colour, texture = self.composer.choose_look(name, rng, any_colour=False)
        natural = THINGS[name].natural if not colour and not texture and rng.random() < NAMED_NATURAL else None
        look = Look(name, colour or natural, texture, usual[index].noun)
        caption = instance_caption(look, float(rng.uniform(*HEIGHTS)), rng)
        key = (name, index, colour, texture)
        if key not in self.kept:
            self.kept[key] = square(usual[index], colour, texture)
        return caption, self.kept[key]


def square(sprite: Sprite, colour: str | None, texture: str | None) -> np.ndarray:
    """A sprite in a look, stretched over a square (S, S, 4) uint8, premultiplied."""
    import cv2

    rgba = sprite.paint(colour, texture).astype(np.float32)
    rgba[..., :3] *= rgba[..., 3:] / 255
    return (cv2.resize(rgba, (SIDE, SIDE), interpolation=cv2.INTER_AREA) + 0.5).astype(np.uint8)
