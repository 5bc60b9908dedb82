"""Latents that are noised and painted again: what a perfect painter gives back, and what guidance does to others."""

import torch

from instdiff.layout import Box, Instance, Layout
from instdiff.model.grounding import Grounding, place_grounding
from instdiff.training.draft.autoencoder import GUIDANCE, STEPS, paint
from instdiff.training.draft.painter_samples import SceneBatch

CLEAN = torch.linspace(-1, 1, 2 * 4 * 16 * 16).view(2, 4, 16, 16)
DOG = Instance(caption="a dog", box=Box(x0=0.1, y0=0.1, x1=0.6, y1=0.6))
LAYOUT = Layout(width=256, height=256, caption="a dog", instances=(DOG,))
NO_WORDS = torch.zeros(3, dtype=torch.long)


class PainterDouble:
    """Gives back ``grounded`` where there are words and places, and ``free`` where not; keeps what it was asked."""

    def __init__(self, grounded: torch.Tensor, free: torch.Tensor):
        self.grounded = grounded
        self.free = free
        self.asked = []

    def read(self, batch):
        has_words = bool(batch.captions.any())
        assert bool(batch.grounding.used.any()) == has_words
        return has_words

    def denoise(self, has_words, noisy, timesteps):
        self.asked.append((int(timesteps[0]), has_words))
        return self.grounded if has_words else self.free


def painted(painter):
    grounding = Grounding.cat([place_grounding(LAYOUT, 0, 128, 12) for _ in CLEAN])
    batch = SceneBatch(CLEAN, torch.ones(2, 3, dtype=torch.long), grounding, torch.ones(2, 12, 3, dtype=torch.long))
    noise = torch.randn(CLEAN.shape, generator=torch.Generator().manual_seed(0))
    return paint(painter, batch, NO_WORDS, 600, noise)


def test_a_perfect_painter_gives_the_picture_back():
    painter = PainterDouble(CLEAN, CLEAN)
    assert torch.equal(painted(painter), CLEAN)
    assert [time for time, has_words in painter.asked if has_words] == [600, 500, 400, 300, 200, 100]
    assert len(painter.asked) == 2 * STEPS


def test_guidance_leads_away_from_what_is_not_asked_for():
    assert torch.allclose(painted(PainterDouble(CLEAN, 0 * CLEAN)), GUIDANCE * CLEAN)
