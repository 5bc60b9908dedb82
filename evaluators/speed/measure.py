"""What the speed benchmark paints with, and what it measures of one picture: time, work, memory."""

from __future__ import annotations

import math
import resource
import statistics
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import DPMSolverMultistepScheduler
from torch import nn
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

from evaluators.speed.reference_schedule import without
from instdiff.checkpoint.convert import scheduler as plms_scheduler
from instdiff.engine import DRAFT_FOLDER
from instdiff.layout import Box, Instance, Layout
from instdiff.model.defaults import ModelDefaults, read_defaults
from instdiff.model.grounding import MAX_INSTANCES, Grounding, empty_grounding, place_grounding, with_text
from instdiff.model.sampler import Condition, SamplingOptions, sample
from instdiff.model.unet import InstanceUNet
from instdiff.model.unifusion import UniFusion, slots_for, token_counts

SMALL_UNET = {"block_out_channels": (32, 64, 128, 128), "cross_attention_dim": 64}
SMALL_UNIFUSION = {"text_dim": 64, "out_dim": 64, "mid_dim": 96}


@dataclass
class Models:
    """A model to measure, without text encoder and decoder."""

    unet: InstanceUNet
    unifusion: UniFusion
    scheduler: object
    latent_side: int
    defaults: ModelDefaults


def load_models(size: str, device: torch.device, dtype: torch.dtype) -> Models:
    """``small`` and ``sd15`` with weights made from names, ``draft`` with its own."""
    if size == "draft":
        unet = InstanceUNet.from_pretrained(DRAFT_FOLDER / "unet")
        unifusion = UniFusion.from_pretrained(DRAFT_FOLDER / "unifusion")
        scheduler = DPMSolverMultistepScheduler.from_pretrained(DRAFT_FOLDER / "scheduler")
        side = 32
        defaults = read_defaults(DRAFT_FOLDER)
    else:
        small = size == "small"
        unet = InstanceUNet(**SMALL_UNET if small else {})
        unifusion = UniFusion(**SMALL_UNIFUSION if small else {})
        for model in (unet, unifusion):
            fill(model)
        scheduler = plms_scheduler()
        side = 32 if small else 64
        defaults = ModelDefaults()
    unet, unifusion = (model.to(device, dtype).eval() for model in (unet, unifusion))
    return Models(unet, unifusion, scheduler, side, defaults)


@torch.no_grad()
def fill(model: nn.Module) -> None:
    """Weights that keep activations near unit size and open every gate; each is a function of its name and shape."""
    for name, value in model.named_parameters():
        z = numbers(name, value.shape)
        last = name.rsplit(".", 1)[-1]
        if last in ("alpha_attn", "alpha_dense") or ".scaleu." in name:
            z = z * 0.5 + z.sign() * 0.25
        elif last == "weight" and value.dim() == 1:
            z = 1 + 0.1 * z
        elif last == "weight":
            z = z / math.sqrt(math.prod(value.shape[1:]))
        elif last == "layer_scale_parameter":
            z = 0.25 * z
        elif not name.startswith("null_"):
            z = 0.05 * z
        value.copy_(z)


def numbers(name: str, shape: tuple[int, ...]) -> torch.Tensor:
    """Evenly distributed, of mean 0 and variance 1, and the same for a name on every machine."""
    generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
    return (torch.rand(tuple(shape), generator=generator) - 0.5) * math.sqrt(12)


def placed_things(count: int) -> tuple[Instance, ...]:
    """Things in a row from the upper left to the lower right, at most 13."""
    boxes = [Box(x0=0.05 + 0.07 * i, y0=0.1 + 0.05 * i, x1=0.3 + 0.07 * i, y1=0.45 + 0.05 * i) for i in range(count)]
    return tuple(Instance(caption=f"thing {i}", box=box) for i, box in enumerate(boxes))


class Workload:
    """A layout of n boxes with made-up captions, and how to paint it.

    Args:
        off: savings to go without (see `reference_schedule.SAVINGS`).
    """

    def __init__(self, models: Models, instances: int, mis: float, steps: int | None, off: frozenset[str]):
        self.models = models
        self.off = off
        defaults = models.defaults
        self.options = SamplingOptions(
            steps or defaults.num_inference_steps, defaults.guidance_scale, defaults.alpha, mis
        )
        self.masked = models.unet.config.instance_masked
        self.device = models.unet.device
        self.slots = MAX_INSTANCES if "one_null_token" in off else slots_for(instances, self.masked)
        self.layout = Layout(caption="", instances=placed_things(instances))
        self.groundings: dict[Condition, Grounding] = {}

    def paint(self) -> torch.Tensor:
        """Latents of one picture: places, tokens, and all steps."""
        self.groundings.clear()
        with without(self.off, self.tokens_again), torch.no_grad():
            conditions, negative = self._conditions()
            side = self.models.latent_side
            unet = self.models.unet
            noise = numbers("noise", (1, unet.config.in_channels, side, side)).to(self.device)
            return sample(unet, self.models.scheduler, noise, [conditions], [negative], self.options).latents

    def _conditions(self) -> tuple[list[Condition], Condition]:
        text_dim = self.models.unifusion.config.text_dim
        seg_size = self.models.unifusion.config.seg_size
        count = len(self.layout.instances)
        features = torch.stack([torch.zeros(text_dim), *(numbers(f"phrase {i}", (text_dim,)) for i in range(count))])[
            1:
        ]
        places = place_grounding(self.layout, seg_size=seg_size, slots=self.slots)
        whole = with_text(places, features).to(self.device)
        alone = [whole.pick(0, i) for i in range(count)] if self.options.mis else []
        nothing = with_text(empty_grounding(self.slots, seg_size), features[:0]).to(self.device)
        *conditions, negative = (self._condition(f"caption {i}", g) for i, g in enumerate([whole, *alone, nothing]))
        return conditions, negative

    def _condition(self, name: str, grounding: Grounding) -> Condition:
        unet = self.models.unet
        unifusion = self.models.unifusion
        side = self.models.latent_side
        text = numbers(name, (1, 77, unet.config.cross_attention_dim)).to(self.device, unet.dtype)
        scene = numbers(f"scene of {name}", (1, unifusion.config.text_dim)).to(self.device)
        place_map = unifusion.place_mapper and unifusion.place_mapper(grounding, scene, (side, side))
        folded = not self.masked and "one_null_token" not in self.off
        counts = token_counts(self.slots, unifusion.seg_tokens).to(self.device) if folded else None
        condition = Condition(text, self._tokens(grounding), grounding.regions, place_map, counts)
        self.groundings[condition] = grounding
        return condition

    def _tokens(self, grounding: Grounding) -> torch.Tensor:
        if "no_idle_convnext" in self.off:
            self.models.unifusion.seg_features(grounding.segs.to(self.models.unifusion.dtype))
        return self.models.unifusion(grounding)

    def tokens_again(self, condition: Condition) -> torch.Tensor:
        return self._tokens(self.groundings[condition])


# The counter knows the attention of GPUs, not that of CPUs.
CPU_ATTENTION = {
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: lambda q, k, v, *_, **__: sdpa_flop_count(q, k, v)
}


class Calls:
    """Calls of the models during one picture: how many of each shape, and one example to count the work of.

    Args:
        timed: so many calls of each shape are done and timed, and those that follow are given what the last of these
            gave: what a picture takes can be estimated then, and no picture comes of it. None does all calls and times
            none.
    """

    def __init__(self, timed: int | None = None):
        self.timed = timed
        self.counts: Counter[tuple] = Counter()
        self.examples: dict[tuple, Callable[[], object]] = {}
        self.watches: dict[tuple, Stopwatch] = {}
        self.results: dict[tuple, object] = {}

    @contextmanager
    def recorded(self, case: Workload) -> Iterator[None]:
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
    def batches(self) -> list[int]:
        """The rows of each call of the UNet."""
        calls = self.counts.items()
        return [shape[0] for (name, of_unet, shape, _), n in calls if name == "forward" and of_unet for _ in range(n)]

    def flops(self, case: Workload, precision: AbstractContextManager) -> int:
        """Floating-point operations of a picture: convolutions, linear layers, attention (two per multiply-add)."""
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
        self.device = device
        self.seconds: list[float] = []
        self.cpu_seconds: list[float] = []
        self.peak = 0

    @contextmanager
    def running(self) -> Iterator[None]:
        self._wait()
        reset_peak(self.device)
        wall = time.perf_counter()
        cpu = time.process_time()
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
        """Median seconds; on a CPU those of the processor per thread, which other work does not stretch."""
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
