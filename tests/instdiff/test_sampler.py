"""PLMS, the alpha schedule and the Multi-Instance Sampler against the reference's trajectories."""

import pytest
import torch
from golden_figures import figures, plms, small_grounding, small_models, tensors

from instdiff.sampler import Condition, alpha_schedule, sample, step_numbers

TOLERANCE = 5e-3


@pytest.mark.parametrize("case", [c for c in figures("alpha_generator")["cases"] if c["type"] and c["type"][1] == 0 and "alphas" in c])
def test_alpha_schedule_equals_the_reference(case):
    assert alpha_schedule(case["length"], case["type"][0]) == case["alphas"]


@pytest.mark.parametrize(
    ("evaluations", "steps", "expected"), [(4, 4, [0, 1, 2, 3]), (5, 4, [0, 0, 1, 2, 3]), (6, 3, [0, 0, 1, 1, 2, 2]), (2, 1, [0, 0])]
)
def test_step_numbers(evaluations, steps, expected):
    assert step_numbers(evaluations, steps) == expected


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
        unet, plms(), golden["x_T"], [conditions], [condition(golden["uc"], whole.null())], steps, guidance, alpha, mis,
        on_step=lambda step, timestep, layouts: trajectory.append([b.latents.clone() for b in layouts[0]]),
    )  # fmt: skip
    return trajectory, final


def difference(found, name):
    return (found - tensors("sampler_small")[name]).abs().max()


@pytest.mark.parametrize(("name", "options"), [("plain.s10", {}), ("plain_nocfg_noalpha.s10", {"guidance": 1.0, "alpha": 1.0})])
def test_plms_trajectory_equals_the_reference(name, options):
    trajectory, final = run(**options)
    assert difference(torch.cat([branches[0] for branches in trajectory]), f"{name}.x") <= TOLERANCE
    assert difference(final, f"{name}.final") <= TOLERANCE


@pytest.mark.parametrize(
    ("name", "options", "apart"),
    [
        ("mis036.s10", {"mis": 0.36}, 3),
        ("mis020.s10", {"mis": 0.2}, 2),
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


@pytest.mark.slow
@pytest.mark.parametrize(("name", "mis"), [("plain.s50", 0.0), ("mis036.s50", 0.36), ("mis020.s50", 0.2)])
def test_fifty_steps_equal_the_reference(name, mis):
    trajectory, final = run(steps=50, mis=mis)
    if mis:
        assert difference(torch.cat(trajectory[int(50 * mis) - 1]).mean(0, keepdim=True), f"{name}.merged") <= TOLERANCE
    assert difference(final, f"{name}.final") <= TOLERANCE
