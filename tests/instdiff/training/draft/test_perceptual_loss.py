"""The perceptual distance that painter and decoder learn by."""

import pytest
import torch

from instdiff.engine import DRAFT_FOLDER
from instdiff.training.draft.perceptual_loss import Likeness


@pytest.fixture(scope="module")
def likeness():
    return Likeness(DRAFT_FOLDER / "detector", DRAFT_FOLDER / "vae")


@pytest.fixture(scope="module")
def pictures():
    """Two pictures of a red disc on each half, before blue and before green."""
    y, x = torch.meshgrid(*[torch.linspace(-1, 1, 256)] * 2, indexing="ij")
    inside = ((x.abs() - 0.5) ** 2 + y**2 < 0.1).float()
    ground = torch.tensor([[-1.0, -0.5, 0.5], [-0.5, 0.5, -1.0]])[:, :, None, None]
    return inside * torch.tensor([0.8, -0.8, -0.8])[None, :, None, None] + (1 - inside) * ground


def test_a_picture_is_like_itself(likeness, pictures):
    assert likeness(pictures, pictures) == 0


def test_the_more_a_picture_is_spoiled_the_less_it_is_alike(likeness, pictures):
    noise = torch.randn(pictures.shape, generator=torch.Generator().manual_seed(0))
    distances = [float(likeness(pictures + share * noise, pictures)) for share in (0.02, 0.1, 0.5)]
    assert 0 < distances[0] < distances[1] < distances[2] <= 3 * 4  # three levels of vectors of length 1


def test_only_parts_that_count_do(likeness, pictures):
    changed = pictures.clone()
    changed[..., 128:] = 0  # the right half
    left = torch.zeros(2, 16, 16)
    right = torch.zeros(2, 16, 16)
    left[..., :4] = 1
    right[..., 12:] = 1
    assert likeness(changed, pictures, left) < 0.2 * likeness(changed, pictures, right)


def test_latents_are_led_towards_those_of_the_picture(likeness, pictures):
    autoencoder = likeness.autoencoder
    clean = autoencoder.encode(pictures).latent.detach() * autoencoder.config.scaling_factor
    painted = (clean + 0.3 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(1))).requires_grad_(True)
    everywhere = torch.ones(2, 16, 16)
    before = likeness.of_latents(painted, clean, everywhere)
    [gradient] = torch.autograd.grad(before, painted)
    after = likeness.of_latents(painted - 0.05 * gradient / gradient.abs().max(), clean, everywhere)
    assert after < before
    assert likeness.of_latents(clean, clean, everywhere) == 0
    assert all(not parameter.requires_grad for parameter in likeness.parameters())
