"""The benchmark's runs: every mode of one layout in turns, so that a busy minute is shared by all."""

from __future__ import annotations

import platform
from argparse import Namespace
from collections.abc import Iterator
from contextlib import ExitStack, nullcontext

import torch

from evaluators.speed.measure import Calls, Models, Stopwatch, Workload, load_models, matmul_speed
from evaluators.speed.reference_schedule import SAVINGS
from instdiff.errors import BadInput

WARM_UP_STEPS = 2


def rows(options: Namespace) -> Iterator[dict]:
    """One dictionary per size, number of instances, mis and mode; times in seconds, memory in bytes.

    Raises:
        BadInput: the device is not there.
    """
    device = device_named(options.device)
    dtype = getattr(torch, options.dtype)
    speed = matmul_speed(device, dtype)
    for size in options.size:
        models = load_models(size, device, dtype)
        for instances in options.instances:
            for mis in options.mis if instances else [0.0]:  # without instances there is nothing to sample apart
                for row in _compare(models, instances, mis, _modes(options), options):
                    about = {"size": size, "instances": instances, "mis": mis, "dtype": options.dtype}
                    share = row["flops"] / _time(row, device) / speed
                    about_machine = {"matmul_flops_per_s": speed, "machine": machine(device)}
                    yield {**about, "device": str(device), **row, "of_matmul": share, **about_machine}


def _modes(options: Namespace) -> dict[str, frozenset[str]]:
    """Name of each mode -> the savings that it goes without; the others are compared with the first, the reference."""
    modes = {"reference": frozenset(SAVINGS)} if "reference" in options.mode else {}
    modes |= {"engine": frozenset()} if "engine" in options.mode else {}
    modes |= {f"without {name}": frozenset([name]) for name in SAVINGS} if options.each else {}
    return modes | ({"autocast": frozenset()} if options.autocast else {})


def _compare(models: Models, instances: int, mis: float, modes: dict, options: Namespace) -> list[dict]:
    runs = {}
    for name, off in modes.items():
        short, whole = (Workload(models, instances, mis, steps, off) for steps in (WARM_UP_STEPS, options.steps))
        runs[name] = Run(whole, name == "autocast", options.repeat if options.estimate else None)
        runs[name].prepare(short)
    for _ in range(1 if options.estimate else options.repeat):
        for run in runs.values():
            run.paint()
    first, *_ = runs.values()
    names = {name: f"{name}, estimated" if options.estimate else name for name in runs}
    return [{"mode": names[name], **run.row(), **run.beside(first)} for name, run in runs.items()]


class Run:
    """One mode of a layout: how it is painted, and what is measured of it.

    Args:
        workload: what is painted.
        autocast: in bfloat16 where torch thinks fit.
        timed: so many calls of each shape are timed, and the picture's time is estimated from them; None times
            whole pictures.
    """

    def __init__(self, workload: Workload, autocast: bool, timed: int | None):
        self.workload = workload
        self.device = workload.device
        self.precision = torch.autocast(self.device.type, torch.bfloat16) if autocast else nullcontext()
        self.timed = timed
        # Calls that are watched are not recorded as graphs: on a card they are counted in a picture of their own.
        self.counted_apart = uses_graphs(workload) and timed is None
        self.watch = Stopwatch(self.device)
        self.calls = Calls(timed)

    def prepare(self, short: Workload) -> None:
        """Warm up, with a workload of few steps, and count the calls where that is done apart."""
        with self.precision:
            short.paint()
            if self.counted_apart:
                with self.calls.recorded(self.workload):
                    self.workload.paint()
                warm_up(self.workload)

    def paint(self) -> None:
        """Paint, and measure."""
        with ExitStack() as watched:
            if not self.counted_apart:
                self.calls = Calls(self.timed)
                watched.enter_context(self.calls.recorded(self.workload))
            with self.precision, self.watch.running():
                self.latents = self.workload.paint()

    @property
    def times(self) -> Stopwatch | Calls:
        """What tells the picture's time."""
        return self.watch if self.timed is None else self.calls

    def row(self) -> dict:
        """What was measured."""
        return {
            "steps": self.workload.options.num_inference_steps,
            "seconds": self.times.wall,
            "cpu_seconds": self.times.cpu,
            "unet_calls": len(self.calls.batches),
            "evaluations": sum(self.calls.batches),
            "flops": self.calls.flops(self.workload, self.precision),
            "peak_bytes": self.watch.peak,
        }

    def beside(self, first: Run) -> dict:
        """How much faster than the first run this one is, and how far its latents are from that one's."""
        if self is first:
            return {"faster": None, "difference": None}
        before, now = (run.times.cpu if self.device.type == "cpu" else run.times.wall for run in (first, self))
        gap = (self.latents - first.latents).abs().max() / first.latents.std()
        return {"faster": before / now, "difference": gap.item() if self.timed is None else None}


def uses_graphs(workload: Workload) -> bool:
    """Whether its UNet's calls are recorded."""
    return workload.device.type == "cuda" and "cuda_graphs" not in workload.off


def warm_up(workload: Workload) -> None:
    """Paint until each shape of call is recorded: at its second call, and some come once a picture."""
    for _ in range(2):
        workload.paint()


def _time(row: dict, device: torch.device) -> float:
    """What speed is measured by: seconds of all processors together on a CPU, which other work does not stretch."""
    return row["cpu_seconds"] if device.type == "cpu" else row["seconds"]


def device_named(name: str) -> torch.device:
    """A device that is there.

    Raises:
        BadInput: it is not.
    """
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise BadInput("device", f"{name} cannot be used here: {str(error).splitlines()[0]}") from error
    return device


def machine(device: torch.device) -> str:
    """The device in words."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    half = "with" if torch.cpu._is_avx512_bf16_supported() else "without"
    kind = f"{platform.machine()}, {torch.backends.cpu.get_cpu_capability()}, {half} bfloat16"
    return f"{kind}, {torch.get_num_threads()} thread(s)"
