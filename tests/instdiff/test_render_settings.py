"""Presets: what a name stands for, what is kept from step to step, and that nothing changes without one."""

import typing

import numpy as np
import pytest
import torch
from golden_figures import plms

from instdiff.model.sampler import Condition, SamplingOptions, sample
from instdiff.model.unet import InstanceUNet
from instdiff.render_settings import PRESETS, RenderSettings, resolve_settings, scheduler_for

PUBLISHED = RenderSettings(num_inference_steps=50, guidance_scale=7.5, alpha=0.8, mis=0.36)


def test_every_name_has_a_preset():
    assert set(typing.get_args(RenderSettings.model_fields["preset"].annotation)) == set(PRESETS)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, ("exact", 50, "own", 1, 0.36)),
        ({"preset": "cached"}, ("cached", 50, "own", 1, 0.36)),
        ({"preset": "fast"}, ("fast", 25, "dpm++", 2, 0.36)),
        ({"preset": "turbo"}, ("turbo", 12, "dpm++", 2, 0.36)),
        ({"preset": "turbo", "num_inference_steps": 30, "mis": 0.1}, ("turbo", 30, "dpm++", 2, 0.1)),
        ({"preset": "fast", "scheduler": "own", "guidance_every": 1}, ("fast", 25, "own", 1, 0.36)),
    ],
)
def test_what_is_given_wins_over_the_preset_and_that_over_the_engine(given, expected):
    found = resolve_settings(RenderSettings(**given), PUBLISHED)
    assert (found.preset, found.num_inference_steps, found.scheduler, found.guidance_every, found.mis) == expected
    assert all(value is not None for _, value in found)
    assert resolve_settings(found, PUBLISHED) == found  # so that a picture's own settings give the picture again


def test_the_fast_scheduler_has_the_noise_levels_of_the_own_one_and_even_steps():
    own = plms()
    assert scheduler_for("own", own) is own
    fast = scheduler_for("dpm++", own)
    assert torch.equal(fast.alphas_cumprod, own.alphas_cumprod)
    fast.set_timesteps(10)
    assert len(set(np.diff(fast.timesteps.numpy()))) == 1 and fast.timesteps[0] == 999


@pytest.fixture(scope="module")
def unet():
    torch.manual_seed(0)
    return InstanceUNet(
        block_out_channels=(32, 32), attention_levels=(True, True), layers_per_block=1, cross_attention_dim=16
    ).eval()


def conditions(count: int) -> list[Condition]:
    generator = torch.Generator().manual_seed(1)
    text, tokens = (torch.randn(count, 1, size, 16, generator=generator) for size in (77, 8))
    return [Condition(text[i], tokens[i], torch.ones(1, 2, 32, 32, dtype=torch.bool), None) for i in range(count)]


def test_inner_levels_are_kept_for_a_step_and_computed_anew_after_instances_are_merged_or_grounding_ends(unet):
    whole, one, negative = conditions(3)
    noise = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    inner = []
    hook = unet.mid_block.resnets[0].register_forward_pre_hook(lambda module, given: inner[-1].append(len(given[0])))
    try:
        latents = {}
        for every in (1, 2):
            inner.append([])
            # Eight steps: two apart, of which the first shares one negative, four merged with grounding, two without.
            latents[every] = sample(
                unet, scheduler_for("dpm++", plms()), noise, [[whole, one]], [negative],
                SamplingOptions(8, 3.0, 0.75, 0.25, inner_every=every),
            ).latents  # fmt: skip
    finally:
        hook.remove()
    assert inner == [[3, 4, 2, 2, 2, 2, 2, 2], [3, 4, 2, 2, 2]]
    assert not torch.equal(latents[2], latents[1])
    assert (latents[2] - latents[1]).abs().max() < 0.5 * latents[1].abs().max()


def test_an_outermost_level_on_inner_levels_of_the_same_step_gives_the_same(unet):
    [one] = conditions(1)
    latents = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    inner = []
    first = unet(latents, 500, one.text, one.tokens, one.regions, inner=inner)
    assert len(inner) == 1
    assert torch.equal(unet(latents, 500, one.text, one.tokens, one.regions, inner=inner), first)
    assert torch.equal(unet(latents, 500, one.text, one.tokens, one.regions), first)


def rows_per_step(unet, **options) -> tuple[list[int], torch.Tensor]:
    """How many rows the UNet is given in each of six steps of a layout of two instances, and the latents."""
    whole, one, other, negative = conditions(4)
    noise = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    rows = []
    hook = unet.register_forward_pre_hook(lambda module, given: rows.append(len(given[0])))
    try:
        latents = sample(
            unet,
            scheduler_for("dpm++", plms()),
            noise,
            [[whole, one, other]],
            [negative],
            SamplingOptions(6, 3.0, 1.0, 0.5, **options),
        ).latents
    finally:
        hook.remove()
    return rows, latents


def test_guidance_is_kept_for_a_step_and_computed_anew_after_instances_are_merged(unet):
    # Three steps apart, of which the first shares one negative, then three merged ones.
    exact, latents = rows_per_step(unet)
    assert exact == [4, 6, 6, 2, 2, 2]
    kept, other = rows_per_step(unet, guidance_every=2)
    assert kept == [4, 3, 6, 2, 2, 1]
    assert torch.isfinite(other).all() and not torch.equal(other, latents)
    assert (other - latents).abs().max() < 0.5 * latents.abs().max()


def test_kept_guidance_is_exact_where_it_leads_nowhere_else(unet):
    """A negative equal to the condition leads nowhere, at every step."""
    same = conditions(1)[0]
    noise = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))

    def paint(every):
        options = SamplingOptions(4, 3.0, 1.0, 0.0, guidance_every=every)
        return sample(unet, scheduler_for("dpm++", plms()), noise, [[same]], [same], options).latents

    assert torch.allclose(paint(1), paint(3), atol=1e-5)
