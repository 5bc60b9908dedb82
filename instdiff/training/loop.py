"""The one training loop: a `Task` says what is learned from what, a `TrainingPlan` how long and how."""

from __future__ import annotations

import json
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, Literal, TypeVar

import numpy as np
import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from accelerate.state import AcceleratorState
from diffusers.training_utils import EMAModel
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import nn

from instdiff.errors import BadInput
from instdiff.formats.files import write_bytes
from instdiff.training.state import PART_BYTES, load_state, save_state

LOG = "log.jsonl"
Batch = TypeVar("Batch")


class Task(ABC, Generic[Batch]):
    """What is learned. ``model`` learns; methods without a word on weights see it as it is, the others averaged."""

    model: nn.Module

    @abstractmethod
    def optimizer(self, rate: float) -> torch.optim.Optimizer:
        """The optimizer of the model's parameters."""

    @abstractmethod
    def batch(self, step: int, rng: np.random.Generator) -> Batch:
        """The next batch of this process, on the model's device; ``rng`` is this step's and this process's own."""

    @abstractmethod
    def losses(self, model: nn.Module, batch: Batch, generator: torch.Generator) -> dict[str, torch.Tensor]:
        """The parts of the loss, whose sum is learned from, by their names in the log.

        Args:
            model: the task's model, wrapped where several processes train it: only its ``forward`` may be used.
            generator: on the CPU, for what is drawn.
        """

    def begin(self) -> None:
        """Set the first weights, where no state is gone on from."""

    def weights(self) -> Mapping[str, torch.Tensor]:
        """What a state holds of the model, and what is averaged."""
        return self.model.state_dict()

    def figures(self) -> dict[str, float]:
        """Figures of how the training runs in this process, for every line of the log."""
        return {}

    def check(self) -> dict[str, float]:
        """Figures of the averaged weights on held-out data, for the log."""
        return {}

    def save(self, folder: Path) -> None:
        """Write the averaged models."""

    def sheet(self, path: Path) -> None:
        """Write a picture of samples of the averaged models."""

    def finish(self) -> dict[str, float]:
        """What is done once, at the end, with the averaged weights; returns figures for the log."""
        return {}


@dataclass(frozen=True)
class TrainingPlan:
    """How a training runs: until step ``steps``, those before a resume counted, or else for ``minutes`` from now on."""

    rate: float
    steps: int = 0
    minutes: float = 0.0
    warmup: int = 0  # steps in which the rate rises
    cooldown: float = 0.0  # share of the training, at its end, in which the rate falls to 0
    ema: float = 0.0  # decay of the averaged weights; 0 is off
    clip_norm: float | None = None  # longest gradient
    seed: int = 0
    folder: Path | None = None  # for log, state, models and samples; None leaves nothing
    resume: bool = False
    fixed: Mapping[str, object] = field(default_factory=dict)  # settings that no resume may change
    log_every: int = 100  # steps between two lines of the log
    check_every: int = 500  # steps between two checks, a multiple of that
    checkpoint_every: int = 0  # steps between two checkpoints, or else
    checkpoint_minutes: float = 4.0
    part_bytes: int | None = PART_BYTES  # size of the files of a state
    title: str = "training"


def learning_rate(plan: TrainingPlan, step: int, share: float) -> float:
    """The rate of a step, counted from 0, when ``share`` of the training is over.

    Not one of diffusers' `get_scheduler`: none falls by the clock, which a slice of so many minutes needs, and their
    warm-up spends a step on a rate of 0.
    """
    rise = min((step + 1) / plan.warmup, 1.0) if plan.warmup else 1.0
    fall = min((1 - share) / plan.cooldown, 1.0) if plan.cooldown else 1.0
    return plan.rate * rise * max(fall, 0.0)


def make_accelerator(device: Literal["auto", "cpu"], precision: str, accumulate: int = 1) -> Accelerator:
    """Where and how to compute.

    Args:
        device: ``auto`` is the machine's accelerator where it has one.
        precision: ``no``, ``bf16``, ``fp16``, or ``auto``: bf16 where the hardware multiplies in it.

    Raises:
        BadInput: the device has no such precision.
    """
    on_processor = device == "cpu" or not torch.accelerator.is_available()
    if precision == "auto":
        precision = "bf16" if multiplies_bf16(on_processor) else "no"
    if on_processor and precision == "fp16":
        raise BadInput("precision", "fp16 needs a graphics card; here choose bf16 or no")
    AcceleratorState._reset_state()  # one process may hold trainings of different precision, one after another
    try:
        return Accelerator(
            cpu=on_processor,
            mixed_precision=precision,
            gradient_accumulation_steps=accumulate,
            # Where no picture of a batch has masks, the ConvNeXt takes no part.
            kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],
        )
    except ValueError as error:  # half precision that the device has not
        raise BadInput("precision", str(error).splitlines()[0]) from error


def multiplies_bf16(on_processor: bool) -> bool:
    """Whether the hardware has bfloat16; a processor that has not works in it several times slower than in float32."""
    if not on_processor:
        return torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)
    known: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()  # older versions of torch do not say
    return known.get("avx512_bf16", False)


@contextmanager
def seeded_weights(seed: int) -> Iterator[None]:
    """Layers made inside draw their first weights from this seed; torch's global state is then as it was before."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


class Trainer(Generic[Batch]):
    """A training that is ready to go on from ``step``; each step depends on weights, seed, step and process alone.

    Raises:
        BadInput: the state in the plan's folder is damaged, or belongs to another training.
    """

    def __init__(self, task: Task[Batch], plan: TrainingPlan, accelerator: Accelerator):
        self.task = task
        self.plan = plan
        self.accelerator = accelerator
        self.step = 0
        self.elapsed = 0.0  # minutes, the mean of all processes
        self.sums: dict[str, torch.Tensor] = {}  # losses since the last line of the log
        self.summed = 0
        state = load_state(plan.folder, plan.fixed) if plan.folder and plan.resume else None
        if state:
            task.model.load_state_dict(state["model"], strict=False)
        else:
            task.begin()
        self.model, self.optimizer = accelerator.prepare(task.model, task.optimizer(plan.rate))
        # The loop asks for half precision itself, around the losses: checks and samples are in full precision.
        accelerator.unwrap_model(self.model, keep_fp32_wrapper=False)
        task.model.train()
        # As parameters, which share their memory: what is none, like statistics of batches, would not be averaged.
        values = (value for value in task.weights().values() if value.is_floating_point())
        self.values = [nn.Parameter(value) for value in values]
        self.average = EMAModel(self.values, decay=plan.ema, foreach=True)
        if state:
            self._load(state)

    def run(self) -> None:
        """Train to the end of the plan; log, state, models and samples land in its folder."""
        self.first_step = self.step
        self.start = time.monotonic()
        self.saved = 0.0
        if self.plan.folder and self.accelerator.is_main_process:
            clean_folder(self.plan.folder, self.step)
        with progress_bar(self.accelerator.is_main_process) as bar:
            bar_task = bar.add_task(self.plan.title, total=1.0, note="")
            bar.update(bar_task, completed=self.share)
            while self.share < 1:
                rate = learning_rate(self.plan, self.step, self.share)
                self._measure(self.take_step())
                bar.update(bar_task, completed=self.share)
                if self.step % self.plan.log_every == 0 or self.share >= 1:
                    self._log_losses(rate, bar)
                if self._is_checkpoint():
                    self.checkpoint()
        self.checkpoint(last=True)

    @property
    def share(self) -> float:
        """How much of the training is over, 0 to 1 and a little more."""
        if self.plan.steps:
            return self.step / self.plan.steps
        return self.elapsed / self.plan.minutes if self.plan.minutes else 1.0

    def take_step(self) -> dict[str, torch.Tensor]:
        """One step; returns the losses of this process."""
        losses = self.gradients()
        self.update()
        return losses

    def gradients(self) -> dict[str, torch.Tensor]:
        """Find the gradients of a step, averaged over its batches and all processes; returns this process's losses."""
        rng = np.random.default_rng([self.plan.seed, self.step, self.accelerator.process_index])
        generator = torch.Generator().manual_seed(int(rng.integers(2**63)))
        count = self.accelerator.gradient_accumulation_steps
        means: dict[str, torch.Tensor] = {}
        self.optimizer.zero_grad()
        for _ in range(count):
            batch = self.task.batch(self.step, rng)
            with self.accelerator.accumulate(self.model):
                with self.accelerator.autocast():
                    losses = self.task.losses(self.model, batch, generator)
                self.accelerator.backward(torch.stack(list(losses.values())).sum())
            for name, loss in losses.items():
                means[name] = means.get(name, 0) + loss.detach() / count
        return means

    def update(self) -> None:
        """Take the step that the gradients say; the averaged weights follow."""
        rate = learning_rate(self.plan, self.step, self.share)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        if self.plan.clip_norm:
            self.accelerator.clip_grad_norm_(self.task.model.parameters(), self.plan.clip_norm)
        self.optimizer.step()
        self.step += 1
        self.average.step(self.values)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """The model with averaged weights, ready to be looked at; afterwards it trains on with its own."""
        self.average.store(self.values)
        self.average.copy_to(self.values)
        self.task.model.eval()
        try:
            with torch.no_grad():
                yield
        finally:
            self.average.restore(self.values)
            self.task.model.train()

    def checkpoint(self, last: bool = False) -> None:
        """Write the state, the models and samples, in one process."""
        self.saved = self.elapsed
        if not self.accelerator.is_main_process:
            return
        folder = self.plan.folder
        if folder:
            save_state(folder, self._state(), self.step, self.plan.part_bytes)
        with self.averaged():
            figures = self.task.finish() if last else {}
            if folder:
                self.task.save(folder)
                self.task.sheet(folder / f"samples-{self.step:08d}.jpg")
        if figures:
            self._log(figures)

    def leave(self) -> None:
        """End together with the other processes: one that goes early can leave the rest hanging. Nothing trains after.

        The wrapped model goes before the group of processes. Whatever holds that group last waits for gloo's threads,
        and the model does so under the interpreter's lock, which such a thread may want: now and then both would wait
        for ever.
        """
        self.accelerator.wait_for_everyone()
        del self.model
        self.accelerator.free_memory()
        self.accelerator.end_training()

    def _state(self) -> dict:
        scaler = self.accelerator.scaler
        return {
            "step": self.step,
            "fixed": dict(self.plan.fixed),
            "model": dict(self.task.weights()),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": scaler.state_dict() if scaler else {},
            "sums": self.sums,
            "summed": self.summed,
        }

    def _load(self, state: dict) -> None:
        device = self.accelerator.device
        self.step = state["step"]
        self.summed = state["summed"]
        self.sums = {name: value.to(device) for name, value in state["sums"].items()}
        self.optimizer.load_state_dict(state["optimizer"])
        self.average.load_state_dict(state["average"])
        self.average.to(device)
        if self.accelerator.scaler and state["scaler"]:
            self.accelerator.scaler.load_state_dict(state["scaler"])

    def _measure(self, losses: dict[str, torch.Tensor]) -> None:
        """Average losses and clock over all processes, so that all stop at the same step."""
        minutes = torch.tensor((time.monotonic() - self.start) / 60, device=self.accelerator.device)
        means = self.accelerator.reduce(torch.stack([*losses.values(), minutes]), "mean")
        for name, mean in zip(losses, means, strict=False):
            self.sums[name] = self.sums.get(name, 0) + mean
        self.summed += 1
        if not self.plan.steps or not self.plan.checkpoint_every:  # the clock decides
            self.elapsed = means[-1].item()

    def _is_checkpoint(self) -> bool:
        if self.share >= 1 or not self.plan.folder:  # the last one follows by itself
            return False
        if self.plan.checkpoint_every:
            return self.step % self.plan.checkpoint_every == 0
        return self.elapsed - self.saved > self.plan.checkpoint_minutes

    def _log_losses(self, rate: float, bar: Progress) -> None:
        """A line with the mean losses since the last one and, now and then, held-out figures."""
        means = {name: value.item() / self.summed for name, value in self.sums.items()}
        self.sums = {}
        self.summed = 0
        if not self.accelerator.is_main_process:
            return
        note = ", ".join(f"{name} {value:.4f}" for name, value in means.items())
        bar.update(bar.task_ids[0], note=f"step {self.step}, {note}")
        seconds = time.monotonic() - self.start
        figures = {"minutes": round(seconds / 60, 2), **means, "rate": rate}
        figures["steps_per_s"] = round((self.step - self.first_step) / seconds, 3)
        figures |= self.task.figures()
        if self.step % self.plan.check_every == 0:
            with self.averaged():
                figures |= self.task.check()
        line = self._log(figures)
        if line and not bar.console.is_terminal:  # which shows no bar
            bar.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def _log(self, figures: Mapping[str, float]) -> str:
        """Add a line to the log, if there is one; returns it."""
        if not self.plan.folder:
            return ""
        line = json.dumps({"step": self.step, **figures})
        with (self.plan.folder / LOG).open("a") as log:
            log.write(f"{line}\n")
        return line


def train(task: Task, plan: TrainingPlan, accelerator: Accelerator) -> int:
    """Train a task as planned; returns the last step."""
    if plan.folder:
        plan.folder.mkdir(parents=True, exist_ok=True)
    trainer = Trainer(task, plan, accelerator)
    trainer.run()
    trainer.leave()
    return trainer.step


def clean_folder(folder: Path, step: int) -> None:
    """Remove what a killed process was writing, and what the log says of steps after the state: they are done again."""
    for path in folder.glob(".writing-*"):
        path.unlink()
    log = folder / LOG
    lines = []
    for line in log.read_text().splitlines() if log.exists() else ():
        try:
            if json.loads(line)["step"] <= step:
                lines.append(line)
        except ValueError:  # cut off in the middle
            break
    write_bytes(log, "".join(f"{line}\n" for line in lines).encode())


def progress_bar(shown: bool) -> Progress:
    """The bar on stderr; its tasks have a ``note``."""
    times = (TimeElapsedColumn(), TimeRemainingColumn())
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), *times)
    console = Console(stderr=True)
    is_shown = shown and console.is_terminal
    return Progress(*columns, TextColumn("{task.fields[note]}"), console=console, disable=not is_shown)
