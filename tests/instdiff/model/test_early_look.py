"""A look at pictures while they are noisy: what it sees, and that those which go on do so as if all did."""

import pytest
import torch
from sure_unet import SCHEDULERS, SureUNet, condition_of, random_conditions, scheduler_named, tiny_unet

from instdiff.model.inpainting import Kept
from instdiff.model.sampler import EarlyLook, SamplingOptions, sample


@pytest.fixture(scope="module")
def unet():
    return tiny_unet()


def paint_with_a_look(unet, scheduler, conditions, negative, after, chosen, **options):
    """What was seen after some steps, and what was painted of it."""
    seen = []

    def choose(estimates):
        seen.append(estimates)
        return chosen

    count = len(conditions)
    noise = torch.randn(count, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    options = SamplingOptions(**{"num_inference_steps": 4, "guidance_scale": 1.0, "alpha": 1.0, "mis": 0.0} | options)
    found = sample(
        unet, scheduler, noise, conditions, [negative] * count, options,
        generators=[torch.Generator().manual_seed(k) for k in range(count)],
        look=EarlyLook(after, choose) if chosen else None,
    )  # fmt: skip
    return seen, found


@pytest.mark.parametrize(
    ("name", "prediction_type"),
    [
        *[(name, kind) for name in SCHEDULERS for kind in ("epsilon", "v_prediction")],
        *[(name, "sample") for name in ("ddim", "dpm++", "sde-dpm++", "ddpm", "lcm", "unipc")],  # the others have none
    ],
)
def test_after_one_step_a_look_sees_the_pictures_as_the_unet_expects_them(name, prediction_type):
    scheduler = scheduler_named(name, prediction_type=prediction_type)
    pictures = torch.randn(3, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    conditions = [[condition_of(k)] for k in range(3)]
    unet = SureUNet(pictures, scheduler)
    [estimates], found = paint_with_a_look(unet, scheduler, conditions, condition_of(0), 1, [2, 0])
    assert torch.allclose(estimates, pictures, atol=0.05)
    assert (found.latents - pictures[[2, 0]]).abs().mean() < 0.1  # PLMS takes large steps in v


@pytest.mark.parametrize("name", ["euler", "heun"])
def test_a_look_between_the_timesteps_of_the_training_is_as_exact(name):
    """Of 6 steps the second is at 799.2."""
    scheduler = scheduler_named(name)
    pictures = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    unet = SureUNet(pictures, scheduler)
    options = {"num_inference_steps": 6}
    [estimates], _ = paint_with_a_look(unet, scheduler, [[condition_of(0)]], condition_of(0), 2, [0], **options)
    assert not unet.timesteps[1].is_integer()
    assert torch.allclose(estimates, pictures, atol=1e-4)


def test_a_look_at_pictures_whose_instances_are_apart_sees_the_mean_of_them():
    scheduler = scheduler_named("dpm++")
    pictures = torch.randn(4, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    conditions = [[condition_of(0), condition_of(1)], [condition_of(2), condition_of(3)]]
    unet = SureUNet(pictures, scheduler)
    [estimates], found = paint_with_a_look(unet, scheduler, conditions, condition_of(0), 1, [1], mis=0.5)
    assert torch.allclose(estimates, pictures.unflatten(0, (2, 2)).mean(1), atol=1e-3)
    assert [len(latents) for latents in unet.shown] == [4, 2, 1, 1] and found.unet_evaluations == 8


def test_a_look_at_a_picture_that_is_changed_in_part_sees_what_stays():
    scheduler = scheduler_named("euler")
    old, new, noise = torch.randn(3, 1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    region = torch.zeros(1, 1, 8, 8)
    region[..., :4] = 1
    seen = []
    look = EarlyLook(1, lambda estimates: seen.append(estimates) or [0])
    options = SamplingOptions(4, 1.0, 1.0, 0.0)
    sample(
        SureUNet(new, scheduler), scheduler, noise, [[condition_of(0)]], [condition_of(0)], options,
        kept=[Kept(old, region)], look=look,
    )  # fmt: skip
    assert torch.equal(seen[0][..., 4:], old[..., 4:])
    assert torch.allclose(seen[0][..., :4], new[..., :4], atol=1e-3)


@pytest.mark.parametrize("name", ["plms", "dpm++", "euler ancestral", "heun"])
@pytest.mark.parametrize("mis", [0.0, 0.75], ids=["whole", "apart"])
def test_those_that_are_chosen_go_on_as_if_all_did(unet, name, mis):
    *own, negative = random_conditions(4)
    conditions = [own, [own[1], own[0], own[2]], [own[2], own[0], own[1]]]
    options = {"guidance_scale": 5.0, "mis": mis, "guidance_every": 2}
    _, every = paint_with_a_look(unet, scheduler_named(name), conditions, negative, 2, None, **options)
    seen, found = paint_with_a_look(unet, scheduler_named(name), conditions, negative, 2, [2, 0], **options)
    assert len(seen) == 1 and len(seen[0]) == 3
    assert torch.allclose(found.latents, every.latents[[2, 0]], atol=1e-4)
    seen, alone = paint_with_a_look(unet, scheduler_named(name), conditions, negative, 2, [1], **options)
    assert torch.allclose(alone.latents, every.latents[1:2], atol=1e-4)
    after_the_look = every.unet_evaluations - found.unet_evaluations
    assert after_the_look > 0
    assert every.unet_evaluations - alone.unet_evaluations == 2 * after_the_look


def test_pictures_in_another_order_do_not_take_the_inner_levels_of_one_another(unet):
    own = random_conditions(1)
    options = {"inner_every": 2, "num_inference_steps": 4}
    _, every = paint_with_a_look(unet, scheduler_named("dpm++"), [own, own], own[0], 2, [0, 1], **options)
    _, turned = paint_with_a_look(unet, scheduler_named("dpm++"), [own, own], own[0], 2, [1, 0], **options)
    _, odd = paint_with_a_look(unet, scheduler_named("dpm++"), [own, own], own[0], 1, [0, 1], **options)
    _, odd_turned = paint_with_a_look(unet, scheduler_named("dpm++"), [own, own], own[0], 1, [1, 0], **options)
    assert torch.allclose(turned.latents, every.latents.flip(0), atol=1e-5)
    assert torch.allclose(odd_turned.latents, odd.latents.flip(0), atol=1e-5)
    assert not torch.allclose(every.latents[0], every.latents[1], atol=1e-2)


def test_where_no_step_is_left_there_is_no_look(unet):
    own = random_conditions(1)
    seen, found = paint_with_a_look(unet, scheduler_named("dpm++"), [own, own], own[0], 4, [1])
    assert not seen and len(found.latents) == 2
