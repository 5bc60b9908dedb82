"""The patch autoencoder: an exact transform where nothing is cut off."""

import torch

from instdiff.model.autoencoder import PatchAutoencoder


def pictures(count=40, size=32):
    """Smooth pictures of three numbers each: their patches span few dimensions."""
    weights = torch.rand(count, 3, 1, 1, generator=torch.Generator().manual_seed(0)) - 0.5
    x = torch.linspace(-1, 1, size)
    return (weights * x[None, None, :, None] + weights.flip(1) * x[None, None, None, :]).clamp(-1, 1)


@torch.no_grad()
def test_enough_components_give_the_pictures_back():
    autoencoder = PatchAutoencoder(latent_channels=8, patch=8)
    kept = autoencoder.fit(pictures())
    assert kept > 0.999
    found = autoencoder.decode(autoencoder.encode(pictures()).latent).sample
    assert (found - pictures()).square().mean() < 0.01 * pictures().var()


@torch.no_grad()
def test_scaled_latents_have_unit_variance_and_the_size_of_the_grid():
    autoencoder = PatchAutoencoder(latent_channels=6, patch=8)
    autoencoder.fit(pictures())
    latents = autoencoder.encode(pictures()).latent * autoencoder.config.scaling_factor
    assert latents.shape == (40, 6, 4, 4)
    assert abs(latents.pow(2).mean().sqrt() - 1) < 0.1
