"""The training of InstanceDiffusion, in one process or many: each step is a function of the weights, the seed and the
step alone.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from diffusers.utils import logging as diffusers_logging
from rich.progress import Progress
from torch.utils.data import DataLoader
from transformers.utils import logging as transformers_logging

from instdiff.checkpoint.convert import placed
from instdiff.engine import engine_info
from instdiff.errors import BadInput, ServiceError
from instdiff.formats.files import whole_file, write_bytes
from instdiff.model.pipeline import InstanceDiffusionPipeline
from instdiff.training.sd15.examples import Batch, Examples, Refused, Shapes, collate, positions
from instdiff.training.sd15.model import Learner, Teacher, begin_with, error
from instdiff.training.sd15.recipe import FIXED, Recipe

STATE = "state.pt"
LOG = "log.jsonl"
MODEL = "model"


def fixed(recipe: Recipe, global_batch: int, pictures: int) -> dict:
    """What must be the same for a training to go on as if it had never been stopped."""
    return {name: getattr(recipe, name) for name in FIXED} | {"pictures_a_step": global_batch, "pictures": pictures}


def read_state(recipe: Recipe, wanted: dict) -> dict | None:
    """The state in the working folder, if the training goes on from one.

    Args:
        wanted: what `fixed` says of this training.

    Raises:
        BadInput: there is one but no --resume, or it belongs to another training.
    """
    path = recipe.out / STATE
    if not path.exists():
        return None
    if not recipe.resume:
        raise BadInput("out", f"{recipe.out} holds a training already; go on with --resume, or name another folder")
    try:
        state = torch.load(path, weights_only=True, map_location="cpu")
        found = state["fixed"]
    except Exception as error:  # of many kinds, where a file is damaged
        raise BadInput(
            "out", f"{path} cannot be read: {(str(error).splitlines() or [type(error).__name__])[0]}"
        ) from error
    for name, value in wanted.items():
        if found.get(name) != value:
            raise BadInput("resume", f"{path} was made with {name} {found.get(name)}, and now it is {value}")
    return state


def write_state(out: Path, state: dict) -> None:
    with whole_file(out / STATE) as path:
        torch.save(state, path)


def clean(out: Path) -> None:
    """Remove what a process was writing when it was killed."""
    for path in out.glob(".writing-*"):
        path.unlink()
    for path in out.glob(f".{MODEL}.partial*"):
        shutil.rmtree(path)


def cut_log(out: Path, step: int) -> None:
    """Leave in the log what was said up to a step: what came after the state is done again, and the last line may be
    half one.
    """
    path = out / LOG
    kept = []
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            if json.loads(line)["step"] <= step:
                kept.append(line)
        except ValueError:  # cut off in the middle
            break
    write_bytes(path, "".join(f"{line}\n" for line in kept).encode())


def write_model(recipe: Recipe, pipeline: InstanceDiffusionPipeline) -> Path:
    """The pipeline as a folder that `from_pretrained` reads and engines load; an older one is replaced."""
    parts = [part for part in pipeline.components.values() if hasattr(part, "parameters")]
    nbytes = sum(p.numel() * p.element_size() for part in parts for p in part.parameters())
    with placed(recipe.out / MODEL, force=True, nbytes=nbytes) as folder:
        pipeline.save_pretrained(folder)
        if (recipe.model / "engine.json").is_file():
            shutil.copy(recipe.model / "engine.json", folder / "engine.json")
    return recipe.out / MODEL


BETAS = (0.9, 0.999)
WEIGHT_DECAY = 0.0


class Training:
    """A training that is ready to go on from ``step``.

    Raises:
        BadInput: files are missing, do not fit each other, or belong to another training.
        ServiceError: the model cannot be loaded.
    """

    def __init__(self, recipe: Recipe):
        self.recipe = recipe
        self.accelerator = _accelerator(recipe)
        self.pipeline = _pipeline(recipe)
        self.teacher = Teacher(self.pipeline)
        self.examples = Examples(recipe, _shapes(recipe, self.teacher))
        self.wanted = fixed(
            recipe, recipe.batch * recipe.accumulate * self.accelerator.num_processes, len(self.examples.records)
        )
        state = read_state(recipe, self.wanted)

        learner = Learner(self.pipeline.unet, self.pipeline.unifusion, recipe.gradient_checkpointing).train()
        self.trained = learner.trained()  # the same tensors all along, wherever they are moved to
        if state:
            learner.load_state_dict(state["trained"], strict=False)
        elif recipe.convnext:
            begin_with(self.pipeline.unifusion, recipe.convnext)
        self.pipeline.to(self.accelerator.device)
        self.average = {name: value.detach().clone() for name, value in self.trained.items()}
        optimizer = torch.optim.AdamW(self.trained.values(), lr=recipe.rate, betas=BETAS, weight_decay=WEIGHT_DECAY)
        self.learner, self.optimizer = self.accelerator.prepare(learner, optimizer)
        self.step = 0
        if state:
            self._load(state)

    def batches(self) -> Iterator[Batch]:
        """The batches of this process from here on.

        Raises:
            BadInput: a picture or its annotations cannot be used.
        """
        order = positions(self.step, self.recipe, self.accelerator.num_processes, self.accelerator.process_index)
        for batch in DataLoader(
            self.examples, batch_sampler=order, num_workers=self.recipe.workers, collate_fn=collate
        ):
            if isinstance(batch, Refused):
                raise BadInput(*batch)
            yield batch.to(self.accelerator.device)

    def gradients(self, batches: Iterator[Batch]) -> torch.Tensor:
        """The gradients of one step, averaged over its batches and all processes; the mean error of this process is
        returned.
        """
        total = torch.zeros((), device=self.accelerator.device)
        self.optimizer.zero_grad()
        for _ in range(self.recipe.accumulate):
            shown, target = self.teacher.lesson(next(batches))
            with self.accelerator.accumulate(self.learner):
                loss = error(self.learner(**shown), target)
                self.accelerator.backward(loss)
            total += loss.detach() / self.recipe.accumulate
        return total

    def update(self) -> None:
        """Take the step that the gradients say."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate
        self.optimizer.step()
        self.step += 1
        decay = min(
            self.recipe.ema, (1 + self.step) / (10 + self.step)
        )  # at first the average of few is near the newest
        with torch.no_grad():
            torch._foreach_lerp_(list(self.average.values()), list(self.trained.values()), 1 - decay)

    @property
    def rate(self) -> float:
        """The learning rate of the step that comes."""
        return self.recipe.rate * min((self.step + 1) / max(self.recipe.warmup, 1), 1.0)

    def save(self) -> None:
        """Write the state, in one process."""
        if self.accelerator.is_main_process:
            scaler = self.accelerator.scaler
            state = {"step": self.step, "fixed": self.wanted, "scaler": scaler.state_dict() if scaler else {}}
            state |= {
                "trained": {name: value.detach() for name, value in self.trained.items()},
                "average": self.average,
            }
            write_state(self.recipe.out, state | {"optimizer": self.optimizer.state_dict()})

    def _load(self, state: dict) -> None:
        self.step = state["step"]
        self.optimizer.load_state_dict(state["optimizer"])
        for name, value in self.average.items():
            value.copy_(state["average"][name])
        if self.accelerator.scaler and state["scaler"]:
            self.accelerator.scaler.load_state_dict(state["scaler"])

    @torch.no_grad()
    def finish(self) -> None:
        """Write the model with averaged weights, in one process."""
        if self.accelerator.is_main_process:
            for name, value in self.trained.items():
                value.copy_(self.average[name])
            folder = write_model(self.recipe, self.pipeline)
            print(f'{folder}: the model; paint with: python run_agent.py "two dogs" --engine {folder}')

    def leave(self) -> None:
        """End together with the other processes: one that goes early can leave the rest hanging. Nothing can be trained
        after.

        The wrapped model goes before the group of processes. Whatever holds that group last waits for gloo's threads,
        and the model does so under the interpreter's lock, which such a thread may want: now and then both would wait
        for ever.
        """
        self.accelerator.wait_for_everyone()
        del self.learner
        self.accelerator.free_memory()
        self.accelerator.end_training()


def train(recipe: Recipe) -> None:
    """Train up to step ``recipe.steps``; state and log lie in ``recipe.out``, at the end the model too."""
    recipe.out.mkdir(parents=True, exist_ok=True)
    if torch.cuda.is_available():
        torch.set_float32_matmul_precision("high")  # text encoder and autoencoder, several times faster
    training = Training(recipe)
    accelerator = training.accelerator
    first = training.step
    batches = training.batches()
    start = time.monotonic()
    pictures = training.wanted["pictures_a_step"]
    if accelerator.is_main_process:
        clean(recipe.out)
        cut_log(recipe.out, first)
    with _bar(accelerator.is_main_process) as bar:
        task = bar.add_task("training", total=recipe.steps, completed=first, loss="")
        while training.step < recipe.steps:
            rate = training.rate
            loss = training.gradients(batches)
            training.update()
            bar.advance(task)
            if training.step % recipe.log_every == 0 or training.step == recipe.steps:
                mean = accelerator.reduce(loss, "mean").item()
                pace = round(pictures * (training.step - first) / (time.monotonic() - start), 2)
                line = {"step": training.step, "loss": mean, "rate": rate, "pictures_per_s": pace}
                if accelerator.is_main_process:
                    with (recipe.out / LOG).open("a") as log:
                        log.write(json.dumps(line) + "\n")
                bar.update(task, loss=f"loss {mean:.4f}")
            if training.step % recipe.checkpoint_every == 0 or training.step == recipe.steps:
                training.save()
    training.finish()
    training.leave()


def _accelerator(recipe: Recipe) -> Accelerator:
    """Where and how to compute."""
    on_processor = not torch.accelerator.is_available()
    if on_processor and recipe.precision == "fp16":
        raise BadInput("precision", "fp16 needs a graphics card; here choose bf16 or no")
    try:
        return Accelerator(
            cpu=on_processor,
            mixed_precision=recipe.precision,
            gradient_accumulation_steps=recipe.accumulate,
            # Where no picture of a batch has masks, the ConvNeXt takes no part.
            kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],
        )
    except ValueError as error:  # half precision that the device has not
        raise BadInput("precision", str(error).splitlines()[0]) from error


def _pipeline(recipe: Recipe) -> InstanceDiffusionPipeline:
    if not (recipe.model / "model_index.json").is_file():
        make = "make one with python -m instdiff.checkpoint"
        raise BadInput("model", f"{recipe.model} is no model folder with a model_index.json; {make}")
    diffusers_logging.disable_progress_bar()
    transformers_logging.disable_progress_bar()
    try:
        return InstanceDiffusionPipeline.from_pretrained(recipe.model, dtype=torch.float32, local_files_only=True)
    except Exception as error:  # of many kinds, where a folder of models is damaged
        raise ServiceError(
            f"{recipe.model} cannot be loaded: {(str(error).splitlines() or [type(error).__name__])[0]}"
        ) from error


def _shapes(recipe: Recipe, teacher: Teacher) -> Shapes:
    """What the model asks of examples."""
    pipeline = teacher.pipeline
    side = recipe.size or min(engine_info(str(recipe.model)).native_size)
    scale = pipeline.vae_scale_factor
    multiple = scale * 2 ** (len(pipeline.unet.config.block_out_channels) - 1)
    if side % multiple:
        raise BadInput("size", f"{side} is no multiple of {multiple}, as this model needs it")
    latents = (pipeline.unet.config.in_channels, side // scale, side // scale)
    return Shapes(side, latents, pipeline.unifusion.config.seg_size, teacher.scheduler.config.num_train_timesteps)


def _bar(shown: bool) -> Progress:
    """The bar on stderr."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[loss]}"),
    )
    return Progress(TextColumn("{task.description}"), *columns, console=Console(stderr=True), disable=not shown)
