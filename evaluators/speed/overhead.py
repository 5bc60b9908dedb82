"""What a device waits for, counted without one: operations of a UNet call, and the time of the loop around it."""

from __future__ import annotations

import copy
import time
from collections import Counter
from collections.abc import Callable

import torch
from diffusers import UNet2DConditionModel
from torch.utils._python_dispatch import TorchDispatchMode

from evaluators.speed.measure import Models, Workload
from instdiff.model.unet import InstanceUNet

# They start no kernel.
VIEWS = frozenset(
    "view t transpose permute slice select expand unsqueeze squeeze _unsafe_view reshape split split_with_sizes detach "
    "alias as_strided unbind chunk".split()
)
NARROW = {"block_out_channels": (32, 64, 64, 64), "cross_attention_dim": 64}  # the published structure
HEADS = 4
STEPS = 200


class Operations(TorchDispatchMode):
    """Counts all operations that are sent while it is on, by name."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        """Count, and go on."""
        self.counts[str(function).split(".")[1]] += 1
        return function(*args, **(kwargs or {}))

    @property
    def working(self) -> int:
        """Those that are no views."""
        return sum(count for name, count in self.counts.items() if name not in VIEWS)


@torch.no_grad()
def operations(call: Callable[[], object]) -> Operations:
    """What a call sends, once all that is kept is made."""
    call()
    with Operations() as counted:
        call()
    return counted


def unet_operations() -> dict[str, Operations]:
    """Of one call of a UNet of the published structure, narrow, for two rows; diffusers' own beside it."""
    ours = InstanceUNet(**NARROW, attention_heads=HEADS).eval()
    theirs = UNet2DConditionModel(**NARROW, attention_head_dim=HEADS, sample_size=16).eval()
    latents, text = torch.zeros(2, 4, 16, 16), torch.zeros(2, 77, 64)
    tokens = torch.zeros(2, 10, 64)
    with torch.no_grad():
        memories = ours.remember(text, tokens, None, (16, 16))
    timesteps = torch.zeros(2)
    return {
        "without grounding": operations(lambda: ours(latents, timesteps, text, grounding_scale=0.0)),
        "with ten grounding tokens": operations(lambda: ours(latents, timesteps, text, tokens)),
        "with them, as the loop calls it": operations(lambda: ours(latents, timesteps, memories=memories)),
        "diffusers' own": operations(lambda: theirs(latents, timesteps, text)),
    }


def loop_milliseconds(models: Models, instances: int, mis: float, repeat: int) -> float:
    """Processor milliseconds a step of all that is not the UNet, which gives zeros; the least of ``repeat`` tries."""
    empty = copy.copy(models)
    empty.unet = copy.copy(models.unet)
    empty.unet.forward = lambda sample, *args, **kwargs: torch.zeros_like(sample)  # type: ignore[method-assign]
    few, many = (Workload(empty, instances, mis, steps, frozenset()) for steps in (STEPS // 5, STEPS + STEPS // 5))
    return min(_processor(many) for _ in range(repeat)) - min(_processor(few) for _ in range(repeat))


def _processor(work: Workload) -> float:
    start = time.process_time()
    work.paint()
    return 1000 / STEPS * (time.process_time() - start)


def overhead_lines(models: Models, repeat: int) -> list[str]:
    """Both, as text."""
    lines = ["| one UNet call, published structure | working operations | with views |", "| --- | ---: | ---: |"]
    for name, counted in unet_operations().items():
        lines.append(f"| {name} | {counted.working} | {counted.counts.total()} |")
    lines += ["", "| around the UNet | processor ms a step |", "| --- | ---: |"]
    for instances, mis in ((0, 0.0), (6, 0.36)):
        taken = loop_milliseconds(models, instances, mis, repeat)
        lines.append(f"| {instances} instances, mis {mis:g} | {taken:.2f} |")
    return lines
