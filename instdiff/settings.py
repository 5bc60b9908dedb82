"""How to paint: the settings of one rendering, validated once. The only module that reads the environment."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from pydantic import Field, PositiveInt, field_validator

from instdiff.layout import _Value

REFINER_STEPS = 50  # of the SDXL refiner, of which ``cascade_strength`` is the share that is done


class RenderSettings(_Value):
    """Everything besides the layout that changes a picture.

    ``alpha`` is the fraction of steps with grounding, ``mis`` the fraction of steps with the Multi-Instance
    Sampler (InstanceDiffusion, sections 3.3 and 3.4); None takes the engine's own default. ``preset`` chooses how much exactness
    is given for speed; the number of steps, ``scheduler``, ``guidance_every`` and ``inner_every`` are its choice where they are None (see
    `instdiff.presets`). ``cascade_strength`` is the strength of the SDXL refiner (see `instdiff.refine`), 0 is off.
    """

    seed: int = Field(default=0, ge=0, lt=2**63)
    num_images: int = Field(default=1, ge=1, le=64)
    num_inference_steps: int | None = Field(default=None, ge=1, le=1000)
    guidance_scale: float | None = Field(default=None, ge=0.0, le=50.0)
    alpha: float | None = Field(default=None, ge=0.0, le=1.0)
    mis: float | None = Field(default=None, ge=0.0, lt=1.0)
    preset: Literal["exact", "cached", "fast", "turbo"] = "exact"
    scheduler: Literal["own", "dpm++"] | None = None
    guidance_every: int | None = Field(default=None, ge=1, le=1000)
    inner_every: int | None = Field(default=None, ge=1, le=1000)
    cascade_strength: float = Field(default=0.0, ge=0.0, le=1.0)

    @field_validator("cascade_strength")
    @classmethod
    def _does_something(cls, strength: float) -> float:
        if strength and int(strength * REFINER_STEPS) == 0:
            raise ValueError(f"less than one of the refiner's {REFINER_STEPS} steps; give {1 / REFINER_STEPS} or more, or 0 for none")
        return strength


class ModelDefaults(_Value):
    """How a model paints where nothing else is asked for; what a model does not say is as the published one has it.

    A model says it in its ``model_index.json``, as the configuration of `InstanceDiffusionPipeline`.
    """

    num_inference_steps: int = Field(default=50, ge=1, le=1000)
    guidance_scale: float = Field(default=7.5, ge=0.0, le=50.0)
    alpha: float = Field(default=0.8, ge=0.0, le=1.0)
    mis: float = Field(default=0.36, ge=0.0, lt=1.0)
    noise_scale: float = Field(default=1.0, gt=0.0)  # the starting noise is multiplied by it
    native_size: tuple[PositiveInt, PositiveInt] = (512, 512)  # (width, height) in pixels
    max_side: PositiveInt = 4096  # pixels; an engine paints larger layouts at this side, and enlarges them

    @property
    def settings(self) -> RenderSettings:
        """The settings among them."""
        return RenderSettings(**self.model_dump(include=set(RenderSettings.model_fields)))


def models_folder() -> Path | None:
    """Where converted models lie: the folder named by ``INSTDIFF_MODELS``, or None."""
    value = os.environ.get("INSTDIFF_MODELS")
    return Path(value).expanduser() if value else None


def stored_model(name: str) -> Path | None:
    """A folder of this name in diffusers' layout, under ``INSTDIFF_MODELS`` or in the Hugging Face cache; None if there is none."""
    from huggingface_hub import constants

    own = models_folder()
    cached = sorted(Path(constants.HF_HUB_CACHE).glob(f"models--*--{name}/snapshots/*"))
    return next((folder for folder in ([own / name] if own else []) + cached if (folder / "model_index.json").exists()), None)


def openai_key() -> str | None:
    """The API key of the chat planner (``OPENAI_API_KEY``), or None."""
    return os.environ.get("OPENAI_API_KEY") or None


def openai_base_url() -> str | None:
    """The OpenAI-compatible endpoint of the chat planner (``OPENAI_BASE_URL``), or None for the official one."""
    return os.environ.get("OPENAI_BASE_URL") or None


def verifier_key() -> str | None:
    """The API key of the verifier ``vlm`` (``INSTDIFF_VERIFIER_KEY``, else ``OPENAI_API_KEY``), or None."""
    return os.environ.get("INSTDIFF_VERIFIER_KEY") or openai_key()


def verifier_url() -> str | None:
    """The endpoint of the verifier ``vlm`` (``INSTDIFF_VERIFIER_URL``, else ``OPENAI_BASE_URL``), or None for the official one."""
    return os.environ.get("INSTDIFF_VERIFIER_URL") or openai_base_url()


def cache_folder() -> Path:
    """Where what can be made again is kept: ``INSTDIFF_CACHE``, or ``instdiff`` in the user's cache folder."""
    if value := os.environ.get("INSTDIFF_CACHE"):
        return Path(value).expanduser()
    home = os.environ.get("XDG_CACHE_HOME")  # a relative one is to be ignored, says the XDG specification
    return (Path(home) if home and Path(home).is_absolute() else Path.home() / ".cache") / "instdiff"


def outputs_folder() -> Path:
    """Where runs lie that the dashboard shows and makes: ``INSTDIFF_OUTPUTS``, or ``outputs`` in the current folder."""
    return Path(os.environ.get("INSTDIFF_OUTPUTS") or "outputs").expanduser()
