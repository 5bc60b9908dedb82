"""A VAE in less memory, by diffusers' names."""

import pytest
import torch
from tiny_pipeline import tiny_pipeline

from instdiff import BadInput, PatchAutoencoder


def test_slices_and_tiles_are_switched_on_and_off():
    pipe = tiny_pipeline()
    latents = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    whole = pipe.decode(latents, "pt")
    pipe.vae.tile_latent_min_size = 4
    pipe.vae.tile_sample_min_size = 16
    calls = []
    pipe.vae.decoder.register_forward_hook(lambda module, inputs, output: calls.append(inputs[0].shape))
    for kind, shapes in [("slicing", {(1, 4, 8, 8)}), ("tiling", {(2, 4, 4, 4)})]:
        getattr(pipe, f"enable_vae_{kind}")()
        calls.clear()
        decoded = pipe.decode(latents, "pt")
        assert len(calls) > 1
        assert {tuple(shape) for shape in calls} & shapes
        assert decoded.shape == whole.shape
        getattr(pipe, f"disable_vae_{kind}")()
        calls.clear()
        assert torch.equal(pipe.decode(latents, "pt"), whole)
        assert len(calls) == 1


def test_a_vae_that_cannot_is_refused_by_name():
    pipe = tiny_pipeline()
    pipe.register_modules(vae=PatchAutoencoder())
    for kind in ("slicing", "tiling"):
        with pytest.raises(BadInput, match=f"vae: PatchAutoencoder has no {kind}"):
            getattr(pipe, f"enable_vae_{kind}")()
