"""What the environment says: folders, keys and addresses. The only module that reads it."""

from __future__ import annotations

import os
from pathlib import Path


def models_folder() -> Path | None:
    """Where converted models lie: the folder named by ``INSTDIFF_MODELS``, or None."""
    value = os.environ.get("INSTDIFF_MODELS")
    return Path(value).expanduser() if value else None


def stored_model(name: str) -> Path | None:
    """A model folder of this name under ``INSTDIFF_MODELS`` or in the Hugging Face cache; None if there is none."""
    from huggingface_hub import constants

    own = models_folder()
    cached = sorted(Path(constants.HF_HUB_CACHE).glob(f"models--*--{name}/snapshots/*"))
    folders = ([own / name] if own else []) + cached
    return next((folder for folder in folders if (folder / "model_index.json").exists()), None)


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
    """The verifier's endpoint (``INSTDIFF_VERIFIER_URL``, else ``OPENAI_BASE_URL``); None for the official one."""
    return os.environ.get("INSTDIFF_VERIFIER_URL") or openai_base_url()


def cache_folder() -> Path:
    """Where what can be made again is kept: ``INSTDIFF_CACHE``, or ``instdiff`` in the user's cache folder."""
    if value := os.environ.get("INSTDIFF_CACHE"):
        return Path(value).expanduser()
    home = os.environ.get("XDG_CACHE_HOME")  # a relative one is to be ignored, says the XDG specification
    return (Path(home) if home and Path(home).is_absolute() else Path.home() / ".cache") / "instdiff"


def environment(**changes: str) -> dict[str, str]:
    """The environment of a process that is started from this one: this one's, with these variables."""
    return {**os.environ, **changes}


def outputs_folder() -> Path:
    """Where runs lie that the dashboard shows and makes: ``INSTDIFF_OUTPUTS``, or ``outputs`` in the current folder."""
    return Path(os.environ.get("INSTDIFF_OUTPUTS") or "outputs").expanduser()
