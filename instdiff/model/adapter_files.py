"""Where the file of an adapter is: on this machine, or on the Hugging Face Hub."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import hf_hub_download

from instdiff.errors import BadInput

_HUB = ("cache_dir", "force_download", "local_files_only", "token", "revision")
_UNUSED = ("low_cpu_mem_usage", "use_safetensors", "proxies")  # diffusers takes them; here they change nothing


def find_file(
    source: str | os.PathLike,
    usual_names: Sequence[str],
    weight_name: str | None = None,
    subfolder: str | None = None,
    **hub: Any,
) -> Path:
    """The file that a ``source`` of diffusers' loaders means.

    Args:
        source: a file, a folder, or the name of a repository on the Hub ("owner/name").
        usual_names: what the file is called in a folder, the best first.
        weight_name: what it is called in this one.
        subfolder: where it is in the folder or repository.
        hub: as for `hf_hub_download`: cache_dir, force_download, local_files_only, token, revision.

    Raises:
        BadInput: there is no such file, a folder has several, or an option is not known.
    """
    for option in hub.keys() - {*_HUB, *_UNUSED}:
        raise BadInput(option, f"is no option here; there are weight_name, subfolder, {', '.join(_HUB)}")
    path = Path(source)
    if path.is_file():
        return path
    names = [weight_name] if weight_name else list(usual_names)
    if path.is_dir():
        return _in_folder(path / (subfolder or ""), names)
    options = {name: value for name, value in hub.items() if name in _HUB}
    try:
        return Path(hf_hub_download(str(source), names[0], subfolder=subfolder, **options))
    except (OSError, ValueError) as error:  # the Hub's errors are of these kinds
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BadInput(str(source), f"is no file or folder here, and {names[0]} is not on the Hub: {reason}") from error


def _in_folder(folder: Path, names: list[str]) -> Path:
    found = [folder / name for name in names if (folder / name).is_file()]
    others = sorted(folder.glob("*.safetensors"))
    if not found and len(names) > 1 and len(others) == 1:
        found = others
    if not found:
        there = ", ".join(file.name for file in others) or "no *.safetensors"
        raise BadInput(str(folder), f"has no {' or '.join(names)}, but {there}; name the file with weight_name")
    return found[0]
