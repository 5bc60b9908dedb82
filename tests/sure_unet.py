"""A UNet that knows what the picture is, a tiny one that does not, and schedulers to paint with."""

import numpy as np
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

from instdiff.model.sampler import Condition
from instdiff.model.unet import InstanceUNet

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


class Numbers:
    """What the double below remembers: of which picture each row is."""

    def __init__(self, numbers):
        self.numbers = numbers

    def rows(self, index):
        return Numbers(self.numbers[index])


class SureUNet:
    """Knows by its condition what the picture is, whatever it is shown; keeps what that was, and when.

    Args:
        pictures: (n, C, H, W).
        scheduler: of its prediction type and noise schedule.
    """

    config = type("Config", (), {"has_stock_conv_in": False})
    device = torch.device("cpu")
    dtype = torch.float32

    def __init__(self, pictures, scheduler):
        self.pictures = pictures
        self.scheduler = scheduler
        self.shown = []
        self.timesteps = []

    def remember(self, text, *_):
        return [Numbers(text[:, 0, 0].long())]

    def __call__(self, latents, timestep, memories, **_):
        self.shown.append(latents)
        self.timesteps.append(float(timestep))
        pictures = self.pictures[memories[0].numbers]
        signal, noise = self.shares(timestep)
        kinds = {
            "sample": pictures,
            "epsilon": (latents - signal * pictures) / noise,
            "v_prediction": (signal * latents - pictures) / noise,
        }
        return kinds[self.scheduler.config.prediction_type]

    def shares(self, timestep):
        """Of the picture and of the noise in latents of unit variance."""
        alphas = self.scheduler.alphas_cumprod.double().numpy()
        ratio = np.interp(float(timestep), range(len(alphas)), ((1 - alphas) / alphas) ** 0.5)
        return float((1 + ratio**2) ** -0.5), float(ratio * (1 + ratio**2) ** -0.5)


def condition_of(number):
    """To paint the picture that `SureUNet` knows under a number."""
    return Condition(torch.full((1, 1, 1), float(number)), torch.zeros(1, 1, 1), torch.zeros(1, 1, 1, 1), None)


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
