"""The state of a training on disk, in parts small enough to be carried off a machine that is only lent."""

from __future__ import annotations

import io
import re
from pathlib import Path

import torch

from instdiff.formats.files import write_bytes

PART_BYTES = 15 * 2**20
_PART = re.compile(r"state-(\d+)-(\d+)-of-(\d+)\.part")


def save_state(out: Path, state: dict, step: int) -> None:
    """Write a state of tensors and plain containers; the one before it goes once this one is whole."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    content = buffer.getbuffer()
    count = -(-len(content) // PART_BYTES)
    for number in range(count):
        part = content[number * PART_BYTES : (number + 1) * PART_BYTES]
        write_bytes(out / f"state-{step:08d}-{number + 1:03d}-of-{count:03d}.part", part)
    for other, parts in _parts(out).items():
        if other != step:
            for path in parts.values():
                path.unlink()


def load_state(out: Path) -> dict | None:
    """The last state that is whole; None if there is none."""
    for _, parts in sorted(_parts(out).items(), reverse=True):
        count = int(_PART.fullmatch(next(iter(parts.values())).name)[3])
        if len(parts) == count:
            content = b"".join(parts[number + 1].read_bytes() for number in range(count))
            return torch.load(io.BytesIO(content), weights_only=True)
    return None


def _parts(out: Path) -> dict[int, dict[int, Path]]:
    """Paths by step and number of the part."""
    found: dict[int, dict[int, Path]] = {}
    for path in out.glob("state-*.part"):
        if match := _PART.fullmatch(path.name):
            found.setdefault(int(match[1]), {})[int(match[2])] = path
    return found


def save_model(model, folder: Path) -> None:
    """Write a model as ``from_pretrained`` reads it, in parts of the same size; what a larger writing left goes."""
    for path in folder.glob("*.safetensors*"):
        path.unlink()
    model.save_pretrained(folder, max_shard_size=PART_BYTES)
