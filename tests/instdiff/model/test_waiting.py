"""The loop never waits for the device, tried with one that holds no numbers: whoever reads one there fails."""

import pytest
import torch
from sure_unet import random_conditions, scheduler_named, tiny_unet
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

from instdiff.model.denoiser import Condition
from instdiff.model.sampler import SamplingOptions, sample

STEPS = 6


class Uploads(TorchDispatchMode):
    """Notes in which step several numbers go from the processor to the device and all that was sent is waited for."""

    def __init__(self):
        super().__init__()
        self.step = 0
        self.steps = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        given = function(*args, **(kwargs or {}))
        if (kwargs or {}).get("non_blocking"):
            return given
        tensors = [value for value in tree_flatten((args, kwargs))[0] if isinstance(value, torch.Tensor)]
        made = [value for value in tree_flatten(given)[0] if isinstance(value, torch.Tensor)]
        if any(t.device.type == "cpu" and t.dim() for t in tensors) and any(t.is_meta for t in (*made, *tensors)):
            self.steps.append(self.step)
        return given


def on_meta(condition: Condition) -> Condition:
    parts = {name: value.to("meta") for name, value in vars(condition).items() if isinstance(value, torch.Tensor)}
    return Condition(**{**vars(condition), **parts, "counts": None})


@pytest.mark.parametrize(
    ("name", "mis", "ways"),
    [
        ("plms", 0.5, {}),
        ("ddim", 0.5, {"inner_every": 2}),
        ("dpm++", 0.5, {"guidance_every": 2}),
        ("euler", 0.0, {}),
        ("lcm", 0.5, {}),
        ("ddpm", 0.0, {}),
        ("euler ancestral", 0.5, {}),
    ],
)
def test_no_step_waits(name, mis, ways):
    unet = tiny_unet().to("meta")
    conditions = [[on_meta(condition) for condition in random_conditions(count)] for count in (2, 3)]
    negatives = [own.pop() for own in conditions]
    options = SamplingOptions(STEPS, 5.0, 0.7, mis, **ways)
    latents = torch.zeros(2, 4, 8, 8, device="meta")
    with Uploads() as uploads:

        def on_step(step, *_):
            uploads.step = step + 1

        sampled = sample(unet, scheduler_named(name), latents, conditions, negatives, options, on_step)
    assert sampled.latents.is_meta and sampled.latents.shape == latents.shape
    # Which rows are asked for is told when it changes: at the start, where branches part, and where they are merged.
    assert set(uploads.steps) <= {0, 1, options.steps_apart} and uploads.steps
