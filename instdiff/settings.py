"""What the environment says: folders, keys and addresses. The only module that reads it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from instdiff.errors import BadInput

HUB = "https://huggingface.co"


def models_folder() -> Path:
    """Where models lie: the folder named by ``INSTDIFF_MODELS``, else ``models`` in the cache folder."""
    value = os.environ.get("INSTDIFF_MODELS")
    return Path(value).expanduser() if value else cache_folder() / "models"


def stored_model(name: str) -> Path | None:
    """A model folder of this name in `models_folder` or in the Hugging Face cache; None if there is none."""
    from huggingface_hub import constants

    cached = sorted(Path(constants.HF_HUB_CACHE).glob(f"models--*--{name}/snapshots/*"))
    folders = [models_folder() / name, *cached]
    return next((folder for folder in folders if (folder / "model_index.json").exists()), None)


def hub_url() -> str:
    """Where weights are fetched from: ``HF_ENDPOINT``, or the Hugging Face Hub."""
    return os.environ.get("HF_ENDPOINT") or HUB


def hub_token() -> str | None:
    """The token for the Hugging Face Hub (``HF_TOKEN``), or None."""
    return os.environ.get("HF_TOKEN") or None


def is_offline() -> bool:
    """True if nothing may be fetched from the Hugging Face Hub (``HF_HUB_OFFLINE``)."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")


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


def cuda_graphs() -> bool:
    """False if ``INSTDIFF_CUDA_GRAPHS`` is off: nothing is recorded then, and a card is sent every operation."""
    return os.environ.get("INSTDIFF_CUDA_GRAPHS", "").upper() not in ("0", "OFF", "NO", "FALSE")


def environment(**changes: str) -> dict[str, str]:
    """The environment of a process that is started from this one: this one's, with these variables."""
    return {**os.environ, **changes}


def outputs_folder() -> Path:
    """Where runs lie that the dashboard shows and makes: ``INSTDIFF_OUTPUTS``, or ``outputs`` in the current folder."""
    return Path(os.environ.get("INSTDIFF_OUTPUTS") or "outputs").expanduser()


def worker_idle_s() -> float:
    """After so many seconds without a job the dashboard's worker ends: ``INSTDIFF_WORKER_IDLE``, or 600.

    Raises:
        BadInput: it is no number of seconds.
    """
    value = os.environ.get("INSTDIFF_WORKER_IDLE") or "600"
    try:
        seconds = float(value)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < 1e9:
        raise BadInput("INSTDIFF_WORKER_IDLE", f'"{value[:100]}" is no number of seconds')
    return seconds


def wait_passively() -> None:
    """Let torch's threads sleep while they wait for each other, where nobody said otherwise.

    By default they spin, and where cores are busy with other work, those that are waited for do not get on. Fewer
    threads would do too, but change the last bits of pictures.
    """
    if "torch" not in sys.modules:  # it reads this once, when it is loaded
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
