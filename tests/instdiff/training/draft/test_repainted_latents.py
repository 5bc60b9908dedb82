"""Latents that are noised and painted again: what a perfect painter gives back, and what guidance does to others."""

import torch

from instdiff.layout import Box, Instance, Layout
from instdiff.model.grounding import Grounding, place_grounding
from instdiff.training.draft.autoencoder import GUIDANCE, STEPS, paint

CLEAN = torch.linspace(-1, 1, 2 * 4 * 16 * 16).view(2, 4, 16, 16)
DOG = Instance(caption="a dog", box=Box(x0=0.1, y0=0.1, x1=0.6, y1=0.6))
LAYOUTS = [Layout(width=256, height=256, caption=words, instances=(DOG,)) for words in ("a dog", "a dog in a park")]


class PainterDouble:
    """Gives back ``grounded`` where there are words and places, and ``free`` where not; keeps what it was asked."""

    def __init__(self, grounded: torch.Tensor, free: torch.Tensor):
        self.grounded = grounded
        self.free = free
        self.asked = []

    def __call__(self, batch, noisy, timesteps):
        assert bool(batch.grounding.used.any()) == any(batch.captions) == any(batch.phrases)
        self.asked.append((int(timesteps[0]), any(batch.captions)))
        return (self.grounded if any(batch.captions) else self.free), None


def painted(painter):
    grounding = Grounding.cat([place_grounding(layout, 0, 128, 12) for layout in LAYOUTS])
    noise = torch.randn(CLEAN.shape, generator=torch.Generator().manual_seed(0))
    return paint(painter, CLEAN, LAYOUTS, grounding, 600, noise)


def test_a_perfect_painter_gives_the_picture_back():
    painter = PainterDouble(CLEAN, CLEAN)
    assert torch.equal(painted(painter), CLEAN)
    assert [time for time, has_words in painter.asked if has_words] == [600, 500, 400, 300, 200, 100] and len(
        painter.asked
    ) == 2 * STEPS


def test_guidance_leads_away_from_what_is_not_asked_for():
    assert torch.allclose(painted(PainterDouble(CLEAN, 0 * CLEAN)), GUIDANCE * CLEAN)
