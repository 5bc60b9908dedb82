"""Tensors that stay in their file until asked for, and safetensors files, read and written one tensor at a time."""

from __future__ import annotations

import json
import math
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from instdiff.errors import BadInput

_DTYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64,
    "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8, "BOOL": torch.bool,
}  # fmt: skip
_FP8 = re.compile("F8_|F[46]_|F4$")  # how safetensors calls floats of a byte or less
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}
NO_FP8 = "8-bit floats (fp8) are not read; take the file of this model in fp16, bf16 or fp32"
MAX_HEADER = 1 << 23  # bytes; that of a model of 1199 tensors takes 0.13 MB
MAX_DIMENSIONS = 16
MAX_NUMBERS = 1 << 33  # in a tensor


@dataclass(frozen=True)
class Lazy:
    """A tensor that is read when `load` is called."""

    shape: tuple[int, ...]
    dtype: torch.dtype
    load: Callable[[], torch.Tensor]

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize

    def __setstate__(self, state):
        raise TypeError("a pickle tries to change a tensor that it has made")

    def changed(self, shape: tuple[int, ...], change: Callable[[torch.Tensor], torch.Tensor]) -> Lazy:
        """The tensor after ``change``, which gives it ``shape``."""
        return Lazy(tuple(shape), self.dtype, lambda: change(self.load()))


@dataclass(frozen=True)
class Extent:
    """A run of ``count`` numbers in a file, from byte ``start`` on; ``crc`` is that of all its bytes, if known."""

    path: Path
    start: int
    count: int
    dtype: torch.dtype
    crc: int | None = None

    def read(self, first: int, count: int) -> torch.Tensor:
        """(count,) numbers from number ``first`` on.

        Raises:
            BadInput: the file ends before, or its bytes are not those that were written.
        """
        size = self.dtype.itemsize
        with self.path.open("rb") as file:
            if self.start + (first + count) * size > file.seek(0, 2):  # before memory is taken for what is not there
                raise BadInput(str(self.path), "is cut off: tensors are missing at its end")
            data = bytearray(count * size)
            file.seek(self.start + first * size)
            file.readinto(data)
        if self.crc is not None and count == self.count and zlib.crc32(data) != self.crc:
            reason = "the bytes of a tensor do not fit their checksum; fetch the file again"
            raise BadInput(str(self.path), f"is damaged: {reason}")
        return torch.frombuffer(data, dtype=self.dtype) if count else torch.empty(0, dtype=self.dtype)


def view(extent: Extent, offset: int, shape: tuple[int, ...], stride: tuple[int, ...]) -> Lazy:
    """A tensor over a run of numbers; only what it spans is read.

    Raises:
        ValueError: it reaches past the run.
    """
    if len(shape) != len(stride) or len(shape) > MAX_DIMENSIONS or min((offset, *shape, *stride)) < 0:
        raise ValueError("a tensor has no such shape")
    if math.prod(max(size, 1) for size in shape) > MAX_NUMBERS:
        raise ValueError("no tensor is so large")
    span = 0 if 0 in shape else 1 + sum((size - 1) * step for size, step in zip(shape, stride, strict=True))
    if offset + span > extent.count:
        raise ValueError("a tensor reaches past its numbers")
    return Lazy(shape, extent.dtype, lambda: extent.read(offset, span).as_strided(shape, stride))


def read_safetensors(path: Path) -> dict[str, Lazy]:
    """The tensors of a safetensors file.

    By hand: `safetensors.safe_open` maps the whole file, so that a conversion holds as much memory as the checkpoint is
    large, and it accepts an index of 100 MB.

    Raises:
        BadInput: the file is damaged or cut off.
    """
    entries, start = _index(path)
    size = path.stat().st_size
    try:
        return {name: _entry(path, start, size, entry) for name, entry in entries.items() if name != "__metadata__"}
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        raise BadInput(str(path), "is damaged: its index cannot be read") from error


def safetensors_metadata(path: Path) -> dict[str, str]:
    """The notes in a safetensors file."""
    return _index(path)[0].get("__metadata__", {})


def _index(path: Path) -> tuple[dict, int]:
    """The index of a safetensors file, and where the tensors start."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > min(size - 8, MAX_HEADER):
            raise BadInput(str(path), "is no safetensors file, or is cut off inside its index")
        try:
            index = json.loads(file.read(length))
        except (ValueError, RecursionError) as error:
            raise BadInput(str(path), "is damaged: its index cannot be read") from error
    if not isinstance(index, dict):
        raise BadInput(str(path), "is damaged: its index is no table of tensors")
    return index, 8 + length


def _entry(path: Path, start: int, size: int, entry: dict) -> Lazy:
    first, last = entry["data_offsets"]
    if isinstance(entry["dtype"], str) and _FP8.match(entry["dtype"]):
        raise BadInput(str(path), f"holds weights in {entry['dtype']}; {NO_FP8}")
    dtype = _DTYPES[entry["dtype"]]
    shape = tuple(int(side) for side in entry["shape"])
    if len(shape) > MAX_DIMENSIONS or not isinstance(first, int) or not isinstance(last, int):
        raise ValueError("a tensor has no such shape or place")
    if start + last > size:
        raise BadInput(str(path), f"is cut off: {size} bytes of at least {start + last}")
    if first < 0 or last - first != math.prod(shape) * dtype.itemsize:
        raise ValueError("a tensor's bytes do not fit its shape")
    steps = tuple(math.prod(shape[i + 1 :]) for i in range(len(shape)))
    return view(Extent(path, start + first, math.prod(shape), dtype), 0, shape, steps)


def write_safetensors(path: Path, tensors: dict[str, Lazy], on_bytes: Callable[[int], None]) -> None:
    """Write a safetensors file one tensor at a time; ``on_bytes`` is told of every tensor's size in its source."""
    header: dict[str, dict] = {"__metadata__": {"format": "pt"}}
    position = 0
    for name, tensor in sorted(tensors.items()):
        end = position + tensor.nbytes
        header[name] = {"dtype": _NAMES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [position, end]}
        position = end
    index = json.dumps(header, separators=(",", ":")).encode()
    index += b" " * (-len(index) % 8)
    with path.open("wb") as file:
        file.write(len(index).to_bytes(8, "little") + index)
        for _, tensor in sorted(tensors.items()):
            file.write(tensor.load().contiguous().flatten().view(torch.uint8).numpy())
            on_bytes(tensor.nbytes)


def in_dtype(name: str, tensor: Lazy, dtype: torch.dtype | None) -> Lazy:
    """A tensor of weights as ``dtype`` (None keeps its own); refused when read if it holds what is no finite number.

    Raises, when it is loaded:
        BadInput: a value is not finite, or too large for the dtype.
    """
    target = dtype if dtype and tensor.dtype.is_floating_point else tensor.dtype

    def load() -> torch.Tensor:
        value = tensor.load()
        cast = value.to(target)
        if not cast.isfinite().all():
            if value.isfinite().all():
                raise BadInput(name, f"holds values that are too large for {str(target)[6:]}; use --dtype fp32")
            raise BadInput(name, "holds values that are not finite; the file is damaged")
        return cast

    return Lazy(tensor.shape, target, load)
