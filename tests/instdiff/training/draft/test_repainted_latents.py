"""Latents that are noised and painted again: what a painter is shown, and what it gives back."""

import torch

from instdiff.layout import Box, Instance, Layout
from instdiff.model.grounding import Grounding, place_grounding
from instdiff.training.draft.autoencoder import STEPS, paint
from instdiff.training.draft.painter import noise_scheduler
from instdiff.training.draft.painter_samples import SceneBatch

CLEAN = torch.linspace(-1, 1, 2 * 4 * 16 * 16).view(2, 4, 16, 16)
DOG = Instance(caption="a dog", box=Box(x0=0.1, y0=0.1, x1=0.6, y1=0.6))
LAYOUT = Layout(width=256, height=256, caption="a dog", instances=(DOG,))


class PainterDouble:
    """Gives back one picture, whatever it is shown; keeps what that was."""

    def __init__(self, picture: torch.Tensor):
        self.picture = picture
        self.shown = []

    def read(self, batch):
        return batch

    def denoise(self, told, noisy, timesteps):
        self.shown.append((int(timesteps[0]), noisy))
        return self.picture


def test_a_perfect_painter_gives_the_picture_back_from_less_and_less_noise():
    grounding = Grounding.cat([place_grounding(LAYOUT, 0, 128, 12) for _ in CLEAN])
    batch = SceneBatch(CLEAN, torch.ones(2, 3, dtype=torch.long), grounding, torch.ones(2, 12, 3, dtype=torch.long))
    noise = torch.randn(CLEAN.shape, generator=torch.Generator().manual_seed(0))
    painter = PainterDouble(CLEAN)
    assert torch.equal(paint(painter, batch, 600, noise), CLEAN)
    assert [time for time, _ in painter.shown] == [600, 450, 300, 150] and len(painter.shown) == STEPS
    for time, noisy in painter.shown:  # a sure painter's path is the picture with ever less of the same noise
        expected = noise_scheduler().add_noise(CLEAN, noise, torch.tensor([time]))
        assert torch.allclose(noisy, expected, atol=1e-4)
