"""What a model folder in diffusers' layout says it is, before anything of it is loaded. Costs no torch."""

from __future__ import annotations

import json
from pathlib import Path

from instdiff.errors import BadInput

INDEX = "model_index.json"


def read_index(folder: Path, field: str) -> dict[str, object]:
    """What the ``model_index.json`` of a folder holds: the pipeline's class, and library and class of each part.

    Raises:
        BadInput: of ``field``: the file is missing or damaged.
    """
    path = folder / INDEX
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput(field, f"{path} is missing or damaged: {error}") from error
    if not isinstance(index, dict):
        raise BadInput(field, f"{path} is damaged: it holds a {type(index).__name__}, not an object")
    return index


def check_has_blocks(folder: Path, field: str, convert: str) -> None:
    """Refuse the folder of a Stable Diffusion that has not yet been given the blocks of InstanceDiffusion.

    Args:
        field: that the folder was given as.
        convert: the command that gives them, with ``{folder}`` in it.

    Raises:
        BadInput: there is a UNet in the folder and no UniFusion.
    """
    index = read_index(folder, field)
    if index.get("unet") and not index.get("unifusion"):
        kind = index.get("_class_name", "pipeline")
        cure = f"run first: {convert.format(folder=folder)}"
        raise BadInput(field, f"{folder} is a {kind} without the blocks of InstanceDiffusion (no unifusion); {cure}")
