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
    device = models.unet.device
    workloads = {name: Workload(models, instances, mis, options.steps, off) for name, off in modes.items()}
    watches = {name: Stopwatch(device) for name in workloads}
    calls = {}
    latents = {}
    half = torch.autocast(device.type, torch.bfloat16)
    precision = {name: half if name == "autocast" else nullcontext() for name in workloads}
    # Calls that are watched are not recorded as graphs: on a card they are counted in a picture of their own.
    counted = {name for name, workload in workloads.items() if uses_graphs(workload) and not options.estimate}
    for name, workload in workloads.items():
        with precision[name]:
            Workload(models, instances, mis, WARM_UP_STEPS, workload.off).paint()
            if name in counted:
                calls[name] = Calls()
                with calls[name].recorded(workload):
                    workload.paint()
                warm_up(workload)
    for _ in range(1 if options.estimate else options.repeat):
        for name, workload in workloads.items():
            with ExitStack() as watched:
                if name not in counted:
                    calls[name] = Calls(options.repeat if options.estimate else None)
                    watched.enter_context(calls[name].recorded(workload))
                with precision[name], watches[name].running():
                    latents[name] = workload.paint()

    rows: list[dict] = []
    first = next(iter(workloads))
    for name, workload in workloads.items():
        watch = calls[name] if options.estimate else watches[name]
        row = {
            "mode": f"{name}, estimated" if options.estimate else name,
            "steps": workload.options.num_inference_steps,
            "seconds": watch.wall,
            "cpu_seconds": watch.cpu,
            "unet_calls": len(calls[name].batches),
            "evaluations": sum(calls[name].batches),
            "flops": calls[name].flops(workload, precision[name]),
            "peak_bytes": watches[name].peak,
            "faster": None,
            "difference": None,
        }
        rows.append(row)
        if name != first:
            gap = (latents[name] - latents[first]).abs().max() / latents[first].std()
            row["faster"] = _time(rows[0], device) / _time(row, device)
            row["difference"] = None if options.estimate else gap.item()
    return rows


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
