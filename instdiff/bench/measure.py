"""What the benchmark measures of one picture: time, work, memory."""

from __future__ import annotations

import resource
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

from instdiff.bench.models import Case
from instdiff.bench.reference_schedule import without

# The counter knows the attention of GPUs, not that of CPUs.
CPU_ATTENTION = {torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: lambda q, k, v, *_, **__: sdpa_flop_count(q, k, v)}


class Calls:
    """Calls of the models during one picture: how many of each shape, and one example to count the work of.

    Args:
        timed: so many calls of each shape are done and timed, and those that follow are given what the last of these gave: what a
            picture takes can be estimated then, and no picture comes of it. None does all calls and times none.
    """

    def __init__(self, timed: int | None = None):
        self.timed, self.counts = timed, Counter()
        self.examples: dict[tuple, Callable[[], object]] = {}
        self.watches: dict[tuple, Stopwatch] = {}
        self.results: dict[tuple, object] = {}

    @contextmanager
    def recorded(self, case: Case) -> Iterator[None]:
        owners = [(case.models.unet, "forward"), (case.models.unet, "remember"), (case.models.unifusion, "forward")]
        if "no_idle_convnext" in case.off:
            owners.append((case.models.unifusion, "seg_features"))
        for owner, name in owners:
            setattr(owner, name, self._recorder(getattr(owner, name), name, owner is case.models.unet, case.device))
        try:
            yield
        finally:
            for owner, name in owners:
                delattr(owner, name)  # the class's method is seen again

    def _recorder(self, call: Callable, name: str, of_unet: bool, device: torch.device) -> Callable:
        def recorder(*args, **options):
            first = args[0].used if hasattr(args[0], "used") else args[0]
            key = (name, of_unet, tuple(first.shape), options.get("grounding_scale"))
            self.counts[key] += 1
            self.examples.setdefault(key, lambda: call(*args, **options))
            if self.timed is None:
                return call(*args, **options)
            if self.counts[key] <= self.timed:
                with self.watches.setdefault(key, Stopwatch(device)).running():
                    self.results[key] = call(*args, **options)
            return self.results[key]

        return recorder

    @property
    def wall(self) -> float:
        """Estimated seconds of the picture; the scheduler's own work, which is small, is left out."""
        return sum(count * self.watches[key].wall for key, count in self.counts.items())

    @property
    def cpu(self) -> float:
        """Estimated processor seconds of the picture."""
        return sum(count * self.watches[key].cpu for key, count in self.counts.items())

    @property
    def unet_calls(self) -> int:
        return sum(count for (name, of_unet, *_), count in self.counts.items() if name == "forward" and of_unet)

    @property
    def evaluations(self) -> int:
        """Rows that the UNet computed."""
        return sum(count * shape[0] for (name, of_unet, shape, _), count in self.counts.items() if name == "forward" and of_unet)

    def flops(self, case: Case, precision: AbstractContextManager) -> int:
        """Floating-point operations of the picture: convolutions, linear layers, products of attention (two per multiply-add)."""
        total = 0
        with without(case.off, case.tokens_again), precision, torch.no_grad():
            for key, count in self.counts.items():
                with FlopCounterMode(display=False, custom_mapping=CPU_ATTENTION) as counter:
                    self.examples[key]()
                total += count * counter.get_total_flops()
        return total


class Stopwatch:
    """Wall and processor seconds, and the peak of memory in bytes, of what runs in a block."""

    def __init__(self, device: torch.device):
        self.device, self.seconds, self.cpu_seconds, self.peak = device, [], [], 0

    @contextmanager
    def running(self) -> Iterator[None]:
        self._wait()
        reset_peak(self.device)
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        self._wait()
        self.seconds.append(time.perf_counter() - wall)
        self.cpu_seconds.append(time.process_time() - cpu)
        self.peak = max(self.peak, peak(self.device))

    @property
    def wall(self) -> float:
        """Median seconds."""
        return statistics.median(self.seconds)

    @property
    def cpu(self) -> float:
        """Median processor seconds."""
        return statistics.median(self.cpu_seconds)

    @property
    def typical(self) -> float:
        """Median seconds; on a CPU those of the processor per thread, which other work on the machine does not stretch."""
        return self.cpu / torch.get_num_threads() if self.device.type == "cpu" else self.wall

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def reset_peak(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    elif Path("/proc/self/clear_refs").exists():
        Path("/proc/self/clear_refs").write_text("5")  # Linux: the peak of resident memory starts anew


def peak(device: torch.device) -> int:
    """Peak of memory since `reset_peak`, in bytes: allocated on the device, or resident memory of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().split("VmHWM:")[1].split()[0]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def matmul_speed(device: torch.device, dtype: torch.dtype) -> float:
    """FLOP per processor second (CPU) or per second of a large matrix product: what this machine can do at best."""
    side = 1024 if device.type == "cpu" else 8192
    a, b = (torch.ones(side, side, device=device, dtype=dtype) for _ in range(2))
    watch = Stopwatch(device)
    for _ in range(5):
        with watch.running():
            a @ b
    return 2 * side**3 / min(watch.cpu_seconds if device.type == "cpu" else watch.seconds)
