"""The noise schedule of Stable Diffusion 1.x, as checkpoints store it."""

from __future__ import annotations

from functools import lru_cache

import torch

BETAS = (0.00085, 0.012)
STEPS = 1000
# bfloat16 keeps 8 bits: a number may be off by 1 in 256, and by as much again after a merge of two such files. Other
# schedules differ by far more: with betas 4% larger, the last of alphas_cumprod is a fifth smaller.
ROUNDED = {"rtol": 2**-6, "atol": 1e-6}


@lru_cache(maxsize=1)
def schedule_buffers() -> dict[str, torch.Tensor]:
    """{name: (1000,) float32}: twelve buffers of a DDPM with scaled-linear betas (Ho et al., 2020, eq. 4 to 12)."""
    betas = torch.linspace(BETAS[0] ** 0.5, BETAS[1] ** 0.5, STEPS, dtype=torch.float64) ** 2
    signal = (1 - betas).cumprod(0)
    before = torch.cat([signal.new_ones(1), signal[:-1]])
    posterior = betas * (1 - before) / (1 - signal)
    buffers = {
        "betas": betas,
        "alphas_cumprod": signal,
        "alphas_cumprod_prev": before,
        "sqrt_alphas_cumprod": signal.sqrt(),
        "sqrt_one_minus_alphas_cumprod": (1 - signal).sqrt(),
        "log_one_minus_alphas_cumprod": (1 - signal).log(),
        "sqrt_recip_alphas_cumprod": (1 / signal).sqrt(),
        "sqrt_recipm1_alphas_cumprod": (1 / signal - 1).sqrt(),
        "posterior_variance": posterior,
        "posterior_log_variance_clipped": posterior.clamp(min=1e-20).log(),
        "posterior_mean_coef1": betas * before.sqrt() / (1 - signal),
        "posterior_mean_coef2": (1 - before) * (1 - betas).sqrt() / (1 - signal),
    }
    return {name: buffer.float() for name, buffer in buffers.items()}
