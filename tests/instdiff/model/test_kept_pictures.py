"""Denoising a part of a picture: what stays is there at every step, under the noise of that step."""

import pytest
import torch
from diffusers import KDPM2DiscreteScheduler, LMSDiscreteScheduler, PNDMScheduler
from sure_unet import SCHEDULERS, SureUNet, condition_of, scheduler_named

from instdiff.errors import BadInput
from instdiff.model.inpainting import Kept
from instdiff.model.sampler import SamplingOptions, sample


def paint_a_part(scheduler, mis=0.0, strength=1.0):
    """What a sure UNet was shown, the old picture, the new one and the noise, the region, and what was painted."""
    generator = torch.Generator().manual_seed(0)
    old, new, noise = torch.randn(3, 1, 4, 8, 8, generator=generator)
    region = torch.zeros(1, 1, 8, 8)
    region[..., 2:6, 2:7] = 1
    unet = SureUNet(new, scheduler)
    found = sample(
        unet, scheduler, noise, [[condition_of(0) for _ in range(3)]], [condition_of(0)],
        SamplingOptions(6, 1.0, 1.0, mis, strength=strength),
        generators=[generator], begin=old if strength < 1 else None, kept=[Kept(old, region)],
    )  # fmt: skip
    return unet, old, new, noise, (region > 0).expand_as(old), found.latents


@pytest.mark.parametrize("strength", [1.0, 0.5], ids=["all", "half"])
@pytest.mark.parametrize("mis", [0.0, 0.5], ids=["whole", "apart"])
@pytest.mark.parametrize("name", SCHEDULERS)
def test_what_stays_is_shown_under_the_noise_of_each_step_and_comes_back_as_it_was(name, mis, strength):
    unet, old, new, noise, region, found = paint_a_part(scheduler_named(name), mis, strength)
    assert torch.equal(found[~region], old[~region])
    assert torch.allclose(found[region], new[region], atol=0.01)
    for latents, timestep in zip(unet.shown, unet.timesteps, strict=True):
        assert len(latents) in ((1, 3) if mis else (1,))
        signal, strength_of_noise = unet.shares(timestep)
        expected = (signal * old + strength_of_noise * noise).expand_as(latents)
        stays = ~region.expand_as(latents)
        assert torch.allclose(latents[stays], expected[stays], atol=0.02)  # Karras' levels lie between the timesteps


@pytest.mark.parametrize("name", SCHEDULERS)
def test_less_strength_goes_through_the_last_steps_from_the_old_picture_on(name):
    whole = scheduler_named(name)
    whole.set_timesteps(12)
    unet, old, _, noise, _, _ = paint_a_part(scheduler_named(name), strength=0.5)
    assert unet.timesteps[0] == float(whole.timesteps.unique_consecutive()[-len(set(unet.timesteps))])
    assert len(unet.timesteps) == {"plms": 7, "heun": 11, "kdpm2 ancestral": 11}.get(name, 6)
    signal, strength_of_noise = unet.shares(unet.timesteps[0])
    assert torch.allclose(unet.shown[0], signal * old + strength_of_noise * noise, atol=0.02)


def test_every_step_of_a_long_schedule_has_its_own_noise():
    """Of 100 steps several of DPM-Solver++ with Karras' levels have the same timestep, and still not the same noise."""
    scheduler = scheduler_named("dpm++ karras")
    scheduler.set_timesteps(100)
    assert len(scheduler.timesteps.unique()) < 100
    old, noise = torch.zeros(1, 1, 1, 1), torch.ones(1, 1, 1, 1)
    unet = SureUNet(old, scheduler)
    kept = [Kept(old, torch.zeros(1, 1, 1, 1))]
    sample(
        unet, scheduler, noise, [[condition_of(0)]], [condition_of(0)], SamplingOptions(100, 1.0, 1.0, 0.0), kept=kept
    )
    levels = torch.cat(unet.shown).flatten()
    sigmas = scheduler.sigmas[:-1]
    assert torch.allclose(levels, sigmas / (1 + sigmas**2) ** 0.5, atol=1e-4)


@pytest.mark.parametrize(
    ("scheduler", "strength"),
    [(KDPM2DiscreteScheduler(), 1.0), (LMSDiscreteScheduler(), 0.5), (PNDMScheduler(skip_prk_steps=False), 0.5)],
    ids=["kdpm2", "lms", "pndm with runge-kutta"],
)
def test_schedulers_that_cannot_are_refused(scheduler, strength):
    with pytest.raises(BadInput, match=f"^scheduler: {type(scheduler).__name__} cannot "):
        paint_a_part(scheduler, strength=strength)
