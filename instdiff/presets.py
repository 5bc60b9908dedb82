"""Approximate speed, asked for by name: fewer steps of a scheduler that is made for few, and guidance or features
that are kept for some steps.

Importing this module costs no torch.
"""

from __future__ import annotations

from dataclasses import dataclass

from instdiff.settings import RenderSettings


@dataclass(frozen=True)
class Preset:
    """What a name stands for. ``alpha`` and ``mis`` are fractions of the steps, and keep their share of the time."""

    steps: float  # share of the engine's own number of steps
    scheduler: str  # see `scheduler_for`
    guidance_every: int  # the half without grounding is computed in every so many steps
    inner_every: int = 1  # the inner levels of the UNet likewise


PRESETS = {
    "exact": Preset(1.0, "own", 1),
    "cached": Preset(1.0, "own", 1, 2),
    "fast": Preset(0.5, "dpm++", 2),
    "turbo": Preset(0.25, "dpm++", 2),
}


def resolved(settings: RenderSettings, defaults: RenderSettings) -> RenderSettings:
    """The settings with nothing None: what is not given is the preset's choice, else the engine's own."""
    preset = PRESETS[settings.preset]
    steps = max(1, round(preset.steps * defaults.num_inference_steps))
    chosen = {name: getattr(preset, name) for name in ("scheduler", "guidance_every", "inner_every")} | {"num_inference_steps": steps}
    given = {name: value for name, value in settings if value is not None}
    return RenderSettings.parse({**dict(defaults), **chosen, **given})


def scheduler_for(name: str, own):
    """``own`` is the model's own scheduler; ``dpm++`` is DPM-Solver++ (2M) over the same noise levels (Lu et al., 2022).

    Its steps lie evenly in time, so that a fraction of the steps is a fraction of the time. Solvers that correct a latent once more
    after the step (UniPC) would undo what the Multi-Instance Sampler merges, and are no choice here.
    """
    if name == "own":
        return own
    from diffusers import DPMSolverMultistepScheduler

    options = {"algorithm_type": "dpmsolver++", "solver_order": 2, "use_karras_sigmas": False, "timestep_spacing": "trailing"}
    return DPMSolverMultistepScheduler.from_config(own.config, **options)
