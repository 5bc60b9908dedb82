"""What a device waits for, counted without one: operations of a UNet call, and the time of the loop around it."""

from __future__ import annotations

import copy
import time
from collections import Counter
from collections.abc import Callable

import torch
from diffusers import UNet2DConditionModel
from torch.utils._python_dispatch import TorchDispatchMode

from evaluators.speed.batches import pipeline_of
from evaluators.speed.measure import Models, Workload, placed_things
from instdiff.layout import Layout
from instdiff.model.pipeline import InstanceDiffusionPipeline
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


def without_unet(models: Models) -> Models:
    """The same models with a UNet that gives zeros."""
    empty = copy.copy(models)
    empty.unet = copy.copy(models.unet)
    empty.unet.forward = lambda sample, *args, **kwargs: torch.zeros_like(sample)  # type: ignore[method-assign]
    return empty


def loop_milliseconds(models: Models, instances: int, mis: float, repeat: int) -> float:
    """Processor milliseconds a step of all in the loop that is not the UNet."""
    empty = without_unet(models)
    few, many = (Workload(empty, instances, mis, steps, frozenset()) for steps in (STEPS // 5, STEPS + STEPS // 5))
    return (processor_milliseconds(many.paint, repeat) - processor_milliseconds(few.paint, repeat)) / STEPS


def call_milliseconds(pipe: InstanceDiffusionPipeline, instances: int, mis: float, repeat: int) -> float:
    """Processor milliseconds of a whole call: words, places, the model's own number of steps, decoding."""
    side = pipe.defaults.native_size
    layout = Layout(caption="a scene", width=side[0], height=side[1], instances=placed_things(instances))
    return processor_milliseconds(lambda: pipe(layout, mis=mis, generator=torch.Generator().manual_seed(0)), repeat)


def processor_milliseconds(call: Callable[[], object], repeat: int) -> float:
    """The least that a call takes of one processor, of so many tries."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # threads that wait for one another are counted, too
    taken = []
    try:
        for _ in range(repeat):
            start = time.process_time()
            call()
            taken.append(time.process_time() - start)
    finally:
        torch.set_num_threads(threads)
    return 1000 * min(taken)


def overhead_lines(models: Models, repeat: int) -> list[str]:
    """All of it, as text; ``models`` are the draft's."""
    lines = ["| one UNet call, published structure | working operations | with views |", "| --- | ---: | ---: |"]
    for name, counted in unet_operations().items():
        lines.append(f"| {name} | {counted.working} | {counted.counts.total()} |")
    pipe = pipeline_of(models, "draft")
    pipe.unet = without_unet(models).unet
    lines += ["", "| around the UNet | processor ms a step | processor ms a call |", "| --- | ---: | ---: |"]
    for instances, mis in ((0, 0.0), (6, 0.36)):
        step = loop_milliseconds(models, instances, mis, repeat)
        call = call_milliseconds(pipe, instances, mis, repeat)
        lines.append(f"| {instances} instances, mis {mis:g} | {step:.2f} | {call:.0f} |")
    return lines
