"""Where weights lie on this machine. Nothing is ever downloaded here."""

from __future__ import annotations

from pathlib import Path

from instdiff.errors import BadInput
from instdiff.settings import models_folder

# What the installed command fetches in one go, and by which name.
FETCHED = {
    "google/owlv2-base-patch16-ensemble": "instdiff-agent models get owlv2",
    "IDEA-Research/grounding-dino-tiny": "instdiff-agent models get grounding-dino",
}


def weights_file(name: str) -> Path:
    """A ``.pt`` file: as it is named, or in the folder ``INSTDIFF_MODELS``.

    Raises:
        BadInput: there is none; the reason says what to fetch.
    """
    if not name.endswith(".pt"):
        raise BadInput("verifier", f"{name[:200]} is no file of YOLO weights; they end in .pt")
    for place in (Path(name).expanduser(), models_folder() / name):
        if _is_file(place):
            return place
    cure = "fetch it from https://github.com/ultralytics/assets/releases, and name its path"
    raise BadInput("verifier", f"there is no file {name[:200]}; {cure}")


def model_folder(name: str, revision: str = "") -> Path:
    """The folder of a transformers model: a path, a folder in ``INSTDIFF_MODELS``, or a name in the hub's cache.

    Args:
        name: ``path/to/folder``, or ``owner/model`` as it is called on the hub.
        revision: the commit that is meant; empty takes what ``main`` was when it was fetched.

    Raises:
        BadInput: it is not there; the reason says what to fetch.
    """
    own = models_folder()
    for place in [Path(name).expanduser()] + [own / name, own / name.rpartition("/")[2]]:
        if not revision and _is_file(place / "config.json"):
            return place
    if cached := _cached(name, revision):
        return cached
    fetch = f"hf download {name}" + (f" --revision {revision}" if revision else "")
    fetch = FETCHED.get(name, fetch)
    cure = f"run `{fetch}`, or name a folder that holds one"
    raise BadInput("verifier", f"there is no model {name} on this machine; {cure}")


def _cached(name: str, revision: str) -> Path | None:
    """The snapshot in the hub's cache, if its configuration is there."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        config = try_to_load_from_cache(name, "config.json", revision=revision or None)
    except (HFValidationError, OSError):  # a path, or longer than a file name may be
        return None
    return Path(config).parent if isinstance(config, str) else None


def _is_file(path: Path) -> bool:
    """Whether there is a file; false for what can be no path."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False
