"""All that is to be known of the engine on a card, row by row into a file; what is there is not measured again."""

from __future__ import annotations

import copy
import json
import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile

from evaluators.speed.batches import batch_rows
from evaluators.speed.measure import Models, Stopwatch, Workload, load_models, matmul_speed
from evaluators.speed.modes import device_named, machine, warm_up
from evaluators.speed.reference_schedule import SAVINGS
from instdiff.errors import BadInput

PLAIN = frozenset(["cuda_graphs"])
PUBLISHED = frozenset(SAVINGS)
LAYOUTS = ((0, 0.0), (6, 0.36))  # instances, and the share of the steps in which they are apart
BATCHES = (1, 4, 8, 16)
# Largest relative difference (L2) of a short picture from that of single precision on the processor.
LIMITS = {"float32": 1e-4, "float16": 1e-2, "bfloat16": 8e-2}
CHECK_STEPS = 2
EXACT = 1e-5  # of recorded calls from plain ones, in standard deviations, in single precision
PROFILED = 40  # lines of a profile


class Card:
    """The models of one size on a device, in each precision that is asked for.

    Args:
        folder: where profiles are written.
    """

    def __init__(self, size: str, device: torch.device, steps: int | None, repeat: int, folder: Path):
        self.size = size
        self.device = device
        self.steps = steps
        self.repeat = repeat
        self.folder = folder
        self.source = load_models(size, torch.device("cpu"), torch.float32)
        self.held: tuple[str, Models] | None = None  # one at a time

    def models(self, dtype: str) -> Models:
        """In a precision, on the device."""
        if self.held is None or self.held[0] != dtype:
            self.held = None
            models = copy.copy(self.source)
            kind = getattr(torch, dtype)
            models.unet = nn.Module.to(copy.deepcopy(self.source.unet), self.device, kind)
            models.unifusion = nn.Module.to(copy.deepcopy(self.source.unifusion), self.device, kind)
            self.held = dtype, models
        return self.held[1]

    def picture(self, dtype: str, instances: int, mis: float, off: frozenset[str]) -> dict:
        """Seconds of a picture, and what came before the first one that was timed."""
        models = self.models(dtype)
        workload = Workload(models, instances, mis, self.steps, off)
        first, watch = Stopwatch(self.device), Stopwatch(self.device)
        with first.running():
            if off == PUBLISHED:  # long, and nothing of it is recorded
                Workload(models, instances, mis, CHECK_STEPS, off).paint()
            else:
                warm_up(workload)
        for _ in range(1 if off == PUBLISHED else self.repeat):
            with watch.running():
                workload.paint()
        steps = workload.options.num_inference_steps
        return {"steps": steps, "seconds": watch.wall, "before": first.wall, "peak_bytes": watch.peak}

    def compiled(self, dtype: str, instances: int, mis: float) -> dict:
        """As `picture`, with the blocks of the UNet compiled; "before" is what that takes."""
        self.held = None
        self.models(dtype).unet.compile_repeated_blocks(fullgraph=True)
        try:
            return self.picture(dtype, instances, mis, frozenset())
        finally:
            self.held = None  # others paint with blocks that are not

    def check(self, dtype: str) -> dict:
        """Recorded calls beside plain ones, and both beside single precision on the processor."""
        exact = Workload(self.source, 2, 0.5, CHECK_STEPS, frozenset()).paint()
        recorded = Workload(self.models(dtype), 2, 0.5, CHECK_STEPS, frozenset())
        plain = Workload(self.models(dtype), 2, 0.5, CHECK_STEPS, PLAIN)
        before = torch.backends.cudnn.allow_tf32
        torch.backends.cudnn.allow_tf32 = False  # with it, convolutions in single precision have the digits of half
        try:
            latents = plain.paint()
            gaps = [((recorded.paint() - latents).abs().max() / latents.std()).item() for _ in range(3)]
        finally:
            torch.backends.cudnn.allow_tf32 = before
        off = ((latents.cpu() - exact).norm() / exact.norm()).item()
        allowed = EXACT if dtype == "float32" else LIMITS[dtype]
        return {"off": off, "recorded_off": max(gaps), "equal": off <= LIMITS[dtype] and max(gaps) <= allowed}

    def batch(self, dtype: str, count: int) -> dict:
        """Unequal layouts through the whole pipeline, so many at once."""
        return next(batch_rows(self.models(dtype), self.size, [count], max(BATCHES), self.steps, 1))

    def profiled(self, dtype: str, instances: int, mis: float) -> dict:
        """The kernels of a few steps, the longest first, into a file."""
        workload = Workload(self.models(dtype), instances, mis, 4, frozenset())
        warm_up(workload)
        activities = [ProfilerActivity.CPU] + ([ProfilerActivity.CUDA] if self.device.type == "cuda" else [])
        with profile(activities=activities) as kernels:
            workload.paint()
        by = "self_device_time_total" if self.device.type == "cuda" else "self_cpu_time_total"
        file = self.folder / f"profile_{self.size}_{dtype}_{instances}.txt"
        file.write_text(kernels.key_averages().table(sort_by=by, row_limit=PROFILED), encoding="utf-8")
        return {"profile": str(file)}


def precisions(device: torch.device) -> tuple[str, ...]:
    """Those to check there."""
    return tuple(LIMITS) if device.type == "cuda" else ("float32", "bfloat16")


def plan(card: Card) -> dict[str, Callable[[], dict]]:
    """What is measured, by name, the most wanted first."""
    half = "float16" if card.device.type == "cuda" else "float32"
    todo: dict[str, Callable[[], dict]] = {
        "matmul": lambda: {"matmul_flops_per_s": matmul_speed(card.device, getattr(torch, half))},
        f"check {half}": partial(card.check, half),
    }
    todo |= {f"engine, n {n}, {half}": partial(card.picture, half, n, mis, frozenset()) for n, mis in LAYOUTS}
    for n, mis in reversed(LAYOUTS):
        todo[f"published schedule, n {n}, {half}"] = partial(card.picture, half, n, mis, PUBLISHED)
        todo[f"without graphs, n {n}, {half}"] = partial(card.picture, half, n, mis, PLAIN)
    for dtype in ("bfloat16", "float32"):
        todo[f"check {dtype}"] = partial(card.check, dtype)
        todo |= {f"engine, n {n}, {dtype}": partial(card.picture, dtype, n, mis, frozenset()) for n, mis in LAYOUTS}
    todo |= {f"batch of {count}, {half}": partial(card.batch, half, count) for count in BATCHES}
    todo |= {f"profile, n {n}, {half}": partial(card.profiled, half, n, mis) for n, mis in LAYOUTS}
    if card.device.type == "cuda":  # on a processor it takes minutes
        todo |= {f"compiled, n {n}, {half}": partial(card.compiled, half, n, mis) for n, mis in LAYOUTS}
    return todo


def rows(options: Namespace) -> Iterator[dict]:
    """Measure what the file of ``options.card`` does not hold yet; each row is written as it comes.

    After ``options.within`` seconds nothing more is begun; the last row then says what is left.

    Raises:
        BadInput: the device is not there, or the file is not one of these.
    """
    began = time.perf_counter()
    device = device_named(options.device)
    size = options.size[0]
    about = {"size": size, "machine": machine(device), "torch": torch.__version__}
    known = [row["name"] for row in read_rows(options.card) if about.items() <= row.items()]
    options.card.parent.mkdir(parents=True, exist_ok=True)
    card = Card(size, device, options.steps, options.repeat, options.card.parent)
    todo = {name: measure for name, measure in plan(card).items() if name not in known}
    for number, (name, measure) in enumerate(todo.items()):
        if number and time.perf_counter() - began > options.within:
            yield {"left": list(todo)[number:]}
            return
        row = {"name": name, **about, **measure()}
        with options.card.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        yield row


def read_rows(path: Path) -> list[dict]:
    """The rows of a file, none where there is no file.

    Raises:
        BadInput: it holds something else.
    """
    try:
        found = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []
        if all({"name", "size", "machine", "torch"} <= row.keys() for row in found):
            return found
    except (OSError, ValueError, AttributeError) as error:
        raise BadInput("card", f"{path} cannot be read: {error}") from error
    raise BadInput("card", f"{path} holds other rows than those of --card")
