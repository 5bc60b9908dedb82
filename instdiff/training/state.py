"""The state of a training on disk, read without executing anything, and the models beside it."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from pathlib import Path

import torch

from instdiff.errors import BadInput
from instdiff.formats.files import whole_file, write_bytes

PART_BYTES = 15 * 2**20  # small enough to be carried off a machine that is only lent
_PART = re.compile(r"state-(\d+)-(\d+)-of-(\d+)\.part")


def save_state(folder: Path, state: dict, step: int, part_bytes: int | None = PART_BYTES) -> None:
    """Write a state of tensors and plain containers; the one before it goes once this one is whole.

    Args:
        part_bytes: size of a part; None writes one part, without a copy in memory.
    """
    if part_bytes is None:
        with whole_file(_part_path(folder, step, 1, 1)) as path:
            torch.save(state, path)
    else:
        buffer = io.BytesIO()
        torch.save(state, buffer)
        content = buffer.getvalue()
        starts = range(0, len(content), part_bytes)
        for number, start in enumerate(starts, start=1):
            write_bytes(_part_path(folder, step, number, len(starts)), content[start : start + part_bytes])
    for other_step, paths in _parts_by_step(folder).items():
        if other_step != step:
            for path in paths:
                path.unlink()


def load_state(folder: Path, fixed: Mapping[str, object] | None = None) -> dict | None:
    """The last state that is whole; None if there is none.

    Args:
        fixed: settings that must be those of the state, by name.

    Raises:
        BadInput: the state is damaged, or was made with other settings.
    """
    for _, paths in sorted(_parts_by_step(folder).items(), reverse=True):
        if not paths[0].name.endswith(f"-{len(paths):03d}.part"):  # parts are missing
            continue
        source = paths[0] if len(paths) == 1 else io.BytesIO(b"".join(path.read_bytes() for path in paths))
        try:
            state = torch.load(source, weights_only=True, map_location="cpu")
        except Exception as error:  # of many kinds, where a file is damaged
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise BadInput("out", f"{paths[0]} cannot be read: {reason}") from error
        for name, value in (fixed or {}).items():
            if (before := state.get("fixed", {}).get(name)) != value:
                raise BadInput("resume", f"{paths[0]} was made with {name} {before}, and now it is {value}")
        return state
    return None


def has_state(folder: Path) -> bool:
    """Whether a training has left a state here, whole or not."""
    return bool(_parts_by_step(folder))


def _part_path(folder: Path, step: int, number: int, count: int) -> Path:
    return folder / f"state-{step:08d}-{number:03d}-of-{count:03d}.part"


def _parts_by_step(folder: Path) -> dict[int, list[Path]]:
    """The paths of each step's parts, in order."""
    paths: dict[int, list[Path]] = {}
    for path in sorted(folder.glob("state-*.part")):
        if match := _PART.fullmatch(path.name):
            paths.setdefault(int(match[1]), []).append(path)
    return paths


def save_model(model, folder: Path, part_bytes: int = PART_BYTES) -> None:
    """Write a model as ``from_pretrained`` reads it, in parts of the same size; what a larger writing left goes."""
    for path in folder.glob("*.safetensors*"):
        path.unlink()
    model.save_pretrained(folder, max_shard_size=part_bytes)
