"""What this machine paints on, and how a model fits its memory. Importing this module costs no torch."""

from __future__ import annotations

import json
import math
import os
import platform
import subprocess
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Literal, NamedTuple

import psutil

GB = 10**9
# Estimates, on the safe side, of the published size at 512 x 512 in half precision: what painting takes beside the
# weights (most of it the decoder of the VAE), and what each row of the UNet's batch beyond the first two does.
WORKING = 2.0 * GB
ROW = 0.35 * GB
MAX_BATCH = 16  # rows of the UNet at once, where there is room
LARGEST_PART = 0.8  # the UNet's share of a model's weights: with the others in memory, it is alone on the card


class Device(NamedTuple):
    """Where models run: ``free`` and ``memory`` are bytes of the card, or of the machine."""

    kind: Literal["cuda", "cpu"]
    name: str
    memory: int
    free: int

    def __str__(self) -> str:
        return f"{self.name}, {self.memory / GB:.0f} GB of memory, {self.free / GB:.0f} GB free"


class Placement(NamedTuple):
    """How a model is put on a device: ``dtype`` is torch's name; ``max_batch`` bounds the rows of the UNet at once."""

    dtype: Literal["float32", "float16", "bfloat16"]
    offload: bool = False
    max_batch: int = MAX_BATCH

    def __str__(self) -> str:
        words = ["single precision" if self.dtype == "float32" else "half precision"]
        words += ["only the part at work on the card"] if self.offload else []
        words += [f"{self.max_batch} rows at once"] if self.max_batch < MAX_BATCH else []
        return ", ".join(words)


def this_device() -> Device:
    """The graphics card that torch would use, or the processor; told without torch."""
    return _card() or processor()


def processor() -> Device:
    """The processor with the machine's memory."""
    memory = psutil.virtual_memory()
    kind = "Mac, its processor" if platform.system() == "Darwin" else "CPU"
    return Device("cpu", f"{kind}, {os.cpu_count()} cores", memory.total, memory.available)


@cache
def _card() -> Device | None:
    """The first graphics card, asked of its driver; None where there is none, or torch is built without CUDA."""
    if "+cpu" in version("torch"):
        return None
    query = ["nvidia-smi", "--query-gpu=name,memory.total,memory.free", "--format=csv,noheader,nounits"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=10, check=True).stdout
        name, total, free = (part.strip() for part in answer.splitlines()[0].split(","))
        return Device("cuda", name, int(total) * 2**20, int(free) * 2**20)
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return None


def place(device: Device, numbers: int) -> Placement:
    """How a model of so many numbers is put on a device.

    On a card it is in half precision: whole where it fits, else with only the part at work there. On a processor it is
    in single precision, or in half where the memory is too small for that.
    """
    if device.kind == "cpu":
        fits = device.free >= 4 * numbers + WORKING
        return Placement("float32") if fits else Placement("bfloat16", max_batch=2)
    half = 2 * numbers
    offload = device.free < half + WORKING
    room = device.free - (LARGEST_PART if offload else 1.0) * half - WORKING
    return Placement("float16", offload, min(max(2 + int(room / ROW), 1), MAX_BATCH))


def device_of_torch() -> Device:
    """As `this_device`, asked of torch."""
    import torch

    if not torch.cuda.is_available():
        return processor()
    free, total = torch.cuda.mem_get_info()
    return Device("cuda", torch.cuda.get_device_name(), total, free)


def numbers_in(folder: Path) -> int:
    """How many numbers the weight files of a model folder hold, as their headers say."""
    count = 0
    for path in folder.rglob("*.safetensors"):
        try:
            with path.open("rb") as file:
                header = json.loads(file.read(min(int.from_bytes(file.read(8), "little"), 1 << 26)))
            count += sum(math.prod(entry["shape"]) for name, entry in header.items() if name != "__metadata__")
        except (OSError, ValueError, KeyError, TypeError):
            continue  # a damaged file is told where it is loaded
    return count
