"""A UNet that knows what the picture is: what a scheduler makes of its word is the scheduler's own doing."""

from __future__ import annotations

import numpy as np
import torch
from diffusers import SchedulerMixin

from instdiff.model.attention import Memory
from instdiff.model.sampler import Condition


class SureUNet:
    """Knows by its condition what the picture is, whatever it is shown; keeps what that was, and when.

    Args:
        pictures: (n, C, H, W).
        scheduler: of its prediction type and noise schedule.
    """

    config = type("Config", (), {"has_stock_conv_in": False})
    device = torch.device("cpu")
    dtype = torch.float32

    def __init__(self, pictures: torch.Tensor, scheduler: SchedulerMixin):
        self.pictures = pictures
        self.scheduler = scheduler
        self.shown: list[torch.Tensor] = []
        self.timesteps: list[float] = []

    def lay_out(self) -> None:
        """As `InstanceUNet.lay_out`: it has no weights."""

    def remember(self, text: torch.Tensor, *_: object) -> list[Memory]:
        """As `InstanceUNet.remember`: of which picture each row is."""
        return [Memory((text[:, 0, 0].long(),), None, None)]

    def __call__(
        self, latents: torch.Tensor, timestep: torch.Tensor, memories: list[Memory], **_: object
    ) -> torch.Tensor:
        """As `InstanceUNet.forward`."""
        self.shown.append(latents)
        self.timesteps.append(float(timestep))
        pictures = self.pictures[memories[0].text[0]]
        signal, noise = self.shares(timestep)
        kinds = {
            "sample": pictures,
            "epsilon": (latents - signal * pictures) / noise,
            "v_prediction": (signal * latents - pictures) / noise,
        }
        return kinds[self.scheduler.config.prediction_type]

    def shares(self, timestep: torch.Tensor | float) -> tuple[float, float]:
        """Of the picture and of the noise in latents of unit variance."""
        alphas = self.scheduler.alphas_cumprod.double().numpy()
        ratio = np.interp(float(timestep), range(len(alphas)), ((1 - alphas) / alphas) ** 0.5)
        return float((1 + ratio**2) ** -0.5), float(ratio * (1 + ratio**2) ** -0.5)


def condition_of(number: int) -> Condition:
    """To paint the picture that `SureUNet` knows under a number."""
    return Condition(torch.full((1, 1, 1), float(number)), torch.zeros(1, 1, 1), torch.zeros(1, 1, 1, 1), None)
