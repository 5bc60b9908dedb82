"""How to paint: the settings of one rendering, validated once, and the presets that trade exactness for speed.

Importing this module costs no torch.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, field_validator

from instdiff.cli import Flag
from instdiff.values import Value

if TYPE_CHECKING:
    from diffusers import SchedulerMixin

PAINTING = "how to paint"  # heading of the flags in helps
REFINER_STEPS = 50  # of the SDXL refiner, of which ``cascade_strength`` is the share that is done


class RenderSettings(Value):
    """Everything besides the layout that changes a picture.

    ``alpha`` is the fraction of steps with grounding, ``mis`` the fraction of steps with the Multi-Instance
    Sampler (InstanceDiffusion, sections 3.3 and 3.4); None takes the engine's own default. ``preset`` chooses how much
    exactness is given for speed; the number of steps, ``scheduler``, ``guidance_every`` and ``inner_every`` are its
    choice where they are None (see `instdiff.render_settings`). ``cascade_strength`` is the strength of the SDXL
    refiner (see `instdiff.model.refine`), 0 is off.
    """

    seed: Annotated[int, Flag("N", group=PAINTING, label="Seed")] = Field(
        default=0, ge=0, lt=2**63, description="the same seed gives the same picture (default: 0)"
    )
    num_images: Annotated[int, Flag("N", "images", PAINTING, label="Pictures per round")] = Field(
        default=1, ge=1, le=64, description="pictures per round; the best is kept (default: 1)"
    )
    num_inference_steps: Annotated[int | None, Flag("N", "steps", PAINTING, label="Steps")] = Field(
        default=None, ge=1, le=1000, description="denoising steps"
    )
    guidance_scale: Annotated[float | None, Flag("X", "guidance", PAINTING, label="Guidance")] = Field(
        default=None, ge=0.0, le=50.0, description="strength of classifier-free guidance"
    )
    alpha: Annotated[float | None, Flag("0..1", group=PAINTING, label="Alpha")] = Field(
        default=None, ge=0.0, le=1.0, description="fraction of steps with grounding"
    )
    mis: Annotated[float | None, Flag("0..1", group=PAINTING, label="MIS")] = Field(
        default=None, ge=0.0, lt=1.0, description="fraction of steps with the Multi-Instance Sampler"
    )
    preset: Annotated[Literal["exact", "cached", "fast", "turbo"], Flag(group=PAINTING, label="Preset")] = Field(
        default="exact", description="exact, or faster and less exact: cached, fast, turbo (default: exact)"
    )
    scheduler: Literal["own", "dpm++", "lcm", "tcd", "ddim"] | None = None
    guidance_every: int | None = Field(default=None, ge=1, le=1000)
    inner_every: int | None = Field(default=None, ge=1, le=1000)
    cascade_strength: Annotated[float, Flag("0..1", "refine", PAINTING)] = Field(
        default=0.0, ge=0.0, le=1.0, description="refine each picture with the SDXL refiner, so strongly (0.3 is usual)"
    )

    @field_validator("cascade_strength")
    @classmethod
    def _does_something(cls, strength: float) -> float:
        if strength and int(strength * REFINER_STEPS) == 0:
            cure = f"give {1 / REFINER_STEPS} or more, or 0 for none"
            raise ValueError(f"less than one of the refiner's {REFINER_STEPS} steps; {cure}")
        return strength


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


def resolve_settings(settings: RenderSettings, defaults: RenderSettings) -> RenderSettings:
    """The settings with nothing None: what is not given is the preset's choice, else the engine's own."""
    preset = PRESETS[settings.preset]
    chosen: dict[str, object] = {"scheduler": preset.scheduler, "guidance_every": preset.guidance_every}
    chosen["inner_every"] = preset.inner_every
    if defaults.num_inference_steps:
        chosen["num_inference_steps"] = max(1, round(preset.steps * defaults.num_inference_steps))
    asked = {name: value for name, value in settings if value is not None}
    return RenderSettings.parse({**dict(defaults), **chosen, **asked})


def scheduler_for(name: str, own: SchedulerMixin) -> SchedulerMixin:
    """A scheduler over the same noise as the model's ``own``, which is one of the names.

    ``dpm++`` is DPM-Solver++ (2M, Lu et al., 2022). Its steps lie evenly in time, so that a fraction of the steps is a
    fraction of the time. Solvers that correct a latent once more after the step (UniPC) would undo what the
    Multi-Instance Sampler merges, and are no choice here.

    The others are for weights that were distilled to few steps: ``lcm`` (Luo et al., LCM-LoRA, 2023), ``tcd`` (Zheng et
    al., 2024; Hyper-SD's for any number of steps), and ``ddim`` from the last timestep on (Hyper-SD, Ren et al., 2024).
    """
    if name == "own":
        return own
    import diffusers

    kinds = {"lcm": diffusers.LCMScheduler, "tcd": diffusers.TCDScheduler, "ddim": diffusers.DDIMScheduler}
    if name in kinds:
        known = inspect.signature(kinds[name].__init__).parameters
        config = {field: value for field, value in own.config.items() if field in known}
        spacing = {"timestep_spacing": "trailing"} if name == "ddim" else {}
        return kinds[name].from_config(config | {"clip_sample": False} | spacing)
    return diffusers.DPMSolverMultistepScheduler.from_config(
        own.config, algorithm_type="dpmsolver++", solver_order=2, use_karras_sigmas=False, timestep_spacing="trailing"
    )
