"""Schedulers to paint with, and a tiny UNet that knows nothing beside one that knows what the picture is."""

import torch
from diffusers import (
    DDIMScheduler,
    DDPMScheduler,
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    HeunDiscreteScheduler,
    KDPM2AncestralDiscreteScheduler,
    LCMScheduler,
    PNDMScheduler,
    UniPCMultistepScheduler,
)

from evaluators.schedulers.known_pictures import SureUNet, condition_of
from instdiff.model.sampler import Condition
from instdiff.model.unet import InstanceUNet

__all__ = ["BETAS", "SCHEDULERS", "SureUNet", "condition_of", "random_conditions", "scheduler_named", "tiny_unet"]

BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}  # of Stable Diffusion
SCHEDULERS = {
    "ddim": (DDIMScheduler, {"clip_sample": False}),
    "plms": (PNDMScheduler, {"skip_prk_steps": True, "set_alpha_to_one": True, "steps_offset": 1}),
    "dpm++": (DPMSolverMultistepScheduler, {"timestep_spacing": "trailing"}),
    "dpm++ karras": (DPMSolverMultistepScheduler, {"use_karras_sigmas": True}),
    "sde-dpm++": (DPMSolverMultistepScheduler, {"algorithm_type": "sde-dpmsolver++"}),
    "euler": (EulerDiscreteScheduler, {}),
    "euler karras": (EulerDiscreteScheduler, {"use_karras_sigmas": True}),
    "euler ancestral": (EulerAncestralDiscreteScheduler, {}),
    "ddpm": (DDPMScheduler, {"clip_sample": False}),
    "heun": (HeunDiscreteScheduler, {}),
    "kdpm2 ancestral": (KDPM2AncestralDiscreteScheduler, {}),
    "lcm": (LCMScheduler, {}),
    "unipc": (UniPCMultistepScheduler, {}),
}


def scheduler_named(name, **more):
    """One of those above."""
    kind, options = SCHEDULERS[name]
    return kind(**BETAS, **options, **more)


def tiny_unet():
    """A UNet of two levels with random weights."""
    torch.manual_seed(0)
    return InstanceUNet(
        block_out_channels=(32, 32), attention_levels=(True, True), layers_per_block=1, cross_attention_dim=16
    ).eval()


def random_conditions(count):
    """What `tiny_unet` can be asked to paint."""
    generator = torch.Generator().manual_seed(0)
    regions = torch.zeros(1, 2, 32, 32, dtype=torch.bool)
    tensors = [torch.randn(1, 86, 16, generator=generator) for _ in range(count)]
    return [Condition(both[:, :77], both[:, 77:], regions, None) for both in tensors]
