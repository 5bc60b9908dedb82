"""How to paint: the settings of one rendering, validated once. The only module that reads the environment."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import Field

from instdiff.layout import _Value


class RenderSettings(_Value):
    """Everything besides the layout that changes a picture.

    ``alpha`` is the fraction of steps with grounding, ``mis`` the fraction of steps with the Multi-Instance
    Sampler (InstanceDiffusion, sections 3.3 and 3.4); None takes the engine's own default.
    """

    seed: int = Field(default=0, ge=0, lt=2**63)
    num_images: int = Field(default=1, ge=1, le=64)
    num_inference_steps: int | None = Field(default=None, ge=1, le=1000)
    guidance_scale: float | None = Field(default=None, ge=0.0, le=50.0)
    alpha: float | None = Field(default=None, ge=0.0, le=1.0)
    mis: float | None = Field(default=None, ge=0.0, lt=1.0)


def models_folder() -> Path | None:
    """Where converted models lie: the folder named by ``INSTDIFF_MODELS``, or None."""
    value = os.environ.get("INSTDIFF_MODELS")
    return Path(value).expanduser() if value else None


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
