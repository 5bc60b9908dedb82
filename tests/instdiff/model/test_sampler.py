"""PLMS, the alpha schedule and the Multi-Instance Sampler against the reference's trajectories."""

import pytest
import torch
from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
)
from golden_figures import figures, plms, small_grounding, small_models, tensors
from sure_unet import SureUNet, condition_of, random_conditions, tiny_unet

from instdiff.model.inpainting import Kept
from instdiff.model.sampler import Condition, SamplingOptions, sample
from instdiff.model.timesteps import alpha_schedule, set_timesteps, step_numbers
from instdiff.model.unet import InstanceUNet

TOLERANCE = 5e-3


@pytest.mark.parametrize(
    "case", [c for c in figures("alpha_generator")["cases"] if c["type"] and c["type"][1] == 0 and "alphas" in c]
)
def test_alpha_schedule_equals_the_reference(case):
    assert alpha_schedule(case["length"], case["type"][0]) == case["alphas"]


@pytest.mark.parametrize(
    ("evaluations", "steps", "expected"),
    [(4, 4, [0, 1, 2, 3]), (5, 4, [0, 0, 1, 2, 3]), (6, 3, [0, 0, 1, 1, 2, 2]), (2, 1, [0, 0])],
)
def test_step_numbers(evaluations, steps, expected):
    assert step_numbers(evaluations, steps) == expected


class SeededLater(EulerDiscreteScheduler):
    """Takes no generator but a seed, for noise that it makes at its first step; as `DPMSolverSDEScheduler` does."""

    noise_sampler_seed = None

    def step(self, model_output, timestep, sample, return_dict=True):
        noise = torch.randn(sample.shape, generator=torch.Generator().manual_seed(self.noise_sampler_seed))
        return (super().step(model_output, timestep, sample, return_dict=False)[0] + noise,)


@torch.no_grad()
def run(mode="box", steps=10, mis=0.0, guidance=7.5, alpha=0.8):
    """The trajectory of the golden run: per step, the latents of every branch; and the final latent."""
    golden = tensors("sampler_small")
    unet, unifusion = small_models()
    whole = small_grounding(mode).pick(0)

    def condition(text, grounding):
        return Condition(text, unifusion(grounding), grounding.regions, None)

    conditions = [condition(golden["context"], whole)]
    conditions += [condition(golden["instance_contexts"][i], whole.pick(0, i)) for i in range(3)]
    trajectory = []
    final = sample(
        unet, plms(), golden["x_T"], [conditions], [condition(golden["uc"], whole.null())],
        SamplingOptions(steps, guidance, alpha, mis),
        on_step=lambda step, timestep, layouts: trajectory.append([b.latents.clone() for b in layouts[0]]),
    )  # fmt: skip
    return trajectory, final.latents


def difference(found, name):
    return (found - tensors("sampler_small")[name]).abs().max()


@pytest.mark.parametrize(
    ("name", "options"), [("plain.s10", {}), ("plain_nocfg_noalpha.s10", {"guidance": 1.0, "alpha": 1.0})]
)
def test_plms_trajectory_equals_the_reference(name, options):
    trajectory, final = run(**options)
    assert difference(torch.cat([branches[0] for branches in trajectory]), f"{name}.x") <= TOLERANCE
    assert difference(final, f"{name}.final") <= TOLERANCE


@pytest.mark.parametrize(
    ("name", "options", "apart"),
    [
        ("mis036.s10", {"mis": 0.36}, 3),
        pytest.param("mis020.s10", {"mis": 0.2}, 2, marks=pytest.mark.slow),
        ("mis036_mask.s10", {"mis": 0.36, "mode": "mask"}, 3),
    ],
)
def test_multi_instance_trajectory_equals_the_reference(name, options, apart):
    trajectory, final = run(**options)
    for branch in range(4):
        found = torch.cat([branches[branch] for branches in trajectory[:apart]])
        assert difference(found, f"{name}.input{branch}.x") <= TOLERANCE
    assert difference(torch.cat(trajectory[apart - 1]).mean(0, keepdim=True), f"{name}.merged") <= TOLERANCE
    assert difference(torch.cat([branches[0] for branches in trajectory[apart:]]), f"{name}.x") <= TOLERANCE
    assert difference(final, f"{name}.final") <= TOLERANCE


def test_nearly_all_steps_apart_still_merges():
    """The reference returned the last instance's latent when no step was left after the first phase."""
    trajectory, final = run(steps=2, mis=0.99)
    assert len(trajectory[0]) == 4
    assert len(trajectory[1]) == 1
    assert torch.equal(final, trajectory[1][0])


@pytest.mark.parametrize("scheduler", [plms, EulerDiscreteScheduler, DPMSolverMultistepScheduler, DDIMScheduler])
def test_the_loop_never_waits_for_the_device(scheduler):
    """Tensors on the meta device have no numbers: whatever asks for one fails."""
    with torch.device("meta"):
        unet = InstanceUNet(
            block_out_channels=(32, 32), attention_levels=(True, True), layers_per_block=1, cross_attention_dim=16
        )
        text = torch.zeros(1, 77, 16)
        tokens = torch.zeros(1, 9, 16)
        regions = torch.zeros(1, 2, 32, 32, dtype=torch.bool)
        noise = torch.zeros(1, 4, 8, 8)
    conditions = [[Condition(text, tokens, regions, None) for _ in range(3)]]
    negative = Condition(text, tokens, regions, None)
    assert sample(unet, scheduler(), noise, conditions, [negative], SamplingOptions(3, 7.5, 0.5, 0.4)).latents.is_meta


@pytest.mark.parametrize("max_batch", [1, 3])
@torch.no_grad()
def test_small_batches_and_equal_rows_change_nothing(max_batch):
    """Two pictures of one layout share their conditions; at the first step their branches share latents too."""
    torch.manual_seed(0)
    unet = InstanceUNet(
        block_out_channels=(32, 32), attention_levels=(True, True), layers_per_block=1, cross_attention_dim=16
    ).eval()

    def make():
        return Condition(
            torch.randn(1, 77, 16), torch.randn(1, 9, 16), torch.zeros(1, 2, 32, 32, dtype=torch.bool), None
        )

    conditions = [make(), make(), make()]
    negative = make()
    noise = torch.randn(2, 4, 8, 8)
    sizes = []
    unet.register_forward_pre_hook(lambda module, inputs: sizes.append(len(inputs[0])))

    def paint(**options):
        sizes.clear()
        options = SamplingOptions(4, 7.5, 0.8, 0.5, **options)
        return sample(unet, plms(), noise, [conditions] * 2, [negative] * 2, options).latents

    together = paint()
    assert sizes == [8, 12, 12, 4, 4]  # 2 (3 + 1) rows, then 2 (3 + 3) while apart, then 2 (1 + 1)
    assert (paint(max_batch=max_batch) - together).abs().max() <= 1e-4
    assert max(sizes) == max_batch and sum(sizes) == 40
    alone = sample(unet, plms(), noise[1:], [conditions], [negative], SamplingOptions(4, 7.5, 0.8, 0.5)).latents
    assert (alone - together[1:]).abs().max() <= 1e-4


@torch.no_grad()
@pytest.mark.parametrize(
    "scheduler", [EulerAncestralDiscreteScheduler, SeededLater], ids=["generator", "noise sampler"]
)
def test_all_branches_of_a_picture_get_the_same_noise(scheduler):
    """Noise of its own for each branch would be weaker in the mean that they are merged to."""
    unet = InstanceUNet(
        block_out_channels=(32, 32), attention_levels=(True, True), layers_per_block=1, cross_attention_dim=16
    ).eval()
    text = torch.randn(1, 77, 16)
    tokens = torch.randn(1, 9, 16)
    regions = torch.zeros(1, 2, 32, 32, dtype=torch.bool)
    condition = Condition(text, tokens, regions, None)
    trajectory = []

    def watch(step, timestep, layouts):
        trajectory.append([[branch.latents for branch in branches] for branches in layouts])

    def paint(seed):
        trajectory.clear()
        sample(
            unet, scheduler(), torch.ones(2, 4, 8, 8), [[condition] * 3] * 2, [condition] * 2,
            SamplingOptions(4, 7.5, 0.8, 0.8),
            generators=[torch.Generator().manual_seed(seed + k) for k in range(2)],
            on_step=watch,
        )  # fmt: skip
        return trajectory[2]

    (first, *others), (other_picture, *_) = paint(0)
    assert len(others) == 2 and all(torch.allclose(first, other, atol=1e-5) for other in others)
    assert not torch.allclose(first, other_picture, atol=1e-2)
    assert torch.allclose(paint(1)[0][0], other_picture, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "mis"), [("plain.s50", 0.0), ("mis036.s50", 0.36), ("mis020.s50", 0.2)])
def test_fifty_steps_equal_the_reference(name, mis):
    trajectory, final = run(steps=50, mis=mis)
    if mis:
        assert difference(torch.cat(trajectory[int(50 * mis) - 1]).mean(0, keepdim=True), f"{name}.merged") <= TOLERANCE
    assert difference(final, f"{name}.final") <= TOLERANCE


@pytest.mark.parametrize("kind", [DDIMScheduler, DPMSolverMultistepScheduler, EulerDiscreteScheduler])
def test_less_than_all_of_a_schedule_is_its_end(kind):
    whole = kind()
    whole.set_timesteps(10)
    assert torch.equal(set_timesteps(kind(), 4, 0.4), whole.timesteps[6:])
    assert torch.equal(set_timesteps(kind(), 10), whole.timesteps)


@pytest.mark.parametrize(("kind", "more"), [(DDIMScheduler, {"clip_sample": False}), (DPMSolverMultistepScheduler, {})])
def test_painting_begins_from_a_sketch_with_noise(kind, more):
    scheduler = kind(prediction_type="sample", timestep_spacing="trailing", **more)
    picture, sketch, noise = torch.randn(3, 1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    unet = SureUNet(picture, scheduler)
    condition = condition_of(0)
    options = SamplingOptions(5, 1.0, 1.0, 0.0, strength=0.5)
    final = sample(unet, scheduler, noise, [[condition]], [condition], options, begin=sketch).latents
    assert torch.allclose(final, picture, atol=1e-5)
    assert len(unet.shown) == 5
    signal = scheduler.alphas_cumprod[scheduler.timesteps[5]]
    assert torch.allclose(unet.shown[0], signal.sqrt() * sketch + (1 - signal).sqrt() * noise, atol=1e-2)


@pytest.mark.parametrize("part", [False, True], ids=["anew", "a part"])
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"guidance_scale": 1.0, "mis": 0.0}, [2, 2, 2, 2]),
        ({"guidance_scale": 7.5, "mis": 0.0}, [4, 4, 4, 4]),
        ({"guidance_scale": 1.0, "mis": 0.5}, [6, 6, 2, 2]),
        ({"guidance_scale": 7.5, "mis": 0.5}, [8, 12, 4, 4]),  # the branches of a picture share a first negative
        ({"guidance_scale": 7.5, "mis": 0.5, "guidance_every": 2}, [8, 6, 4, 2]),
    ],
)
def test_evaluations_are_the_rows_that_the_unet_was_given(options, expected, part):
    unet = tiny_unet()
    *own, negative = random_conditions(4)
    noise = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    kept = [Kept(noise[:1], torch.ones(1, 1, 8, 8))] * 2 if part else None
    rows = []
    unet.register_forward_pre_hook(lambda module, inputs: rows.append(len(inputs[0])))
    options = SamplingOptions(num_inference_steps=4, alpha=1.0, **options)
    found = sample(unet, DDIMScheduler(), noise, [own] * 2, [negative] * 2, options, kept=kept)
    assert rows == expected and found.unet_evaluations == sum(expected)
