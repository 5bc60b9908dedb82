"""The training of InstanceDiffusion on pictures with annotations, in one process or many: data order, noise and what is
dropped depend on the seed and the step alone.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from diffusers.utils import logging as diffusers_logging
from torch import nn
from torch.utils.data import DataLoader
from transformers.utils import logging as transformers_logging

from instdiff.checkpoint.convert import whole_target
from instdiff.engine import engine_info
from instdiff.errors import BadInput, ServiceError, printable
from instdiff.model.folders import INDEX, check_has_blocks
from instdiff.model.pipeline import InstanceDiffusionPipeline
from instdiff.training.loop import Task, Trainer, TrainingPlan, make_accelerator, progress_bar
from instdiff.training.sd15.annotated import AnnotatedPictures
from instdiff.training.sd15.examples import Examples, Shapes, UnusablePicture, collate, positions
from instdiff.training.sd15.model import Learner, Lesson, Teacher, load_convnext, squared_error
from instdiff.training.sd15.recipe import FIXED, TrainingRecipe
from instdiff.training.state import has_state

MODEL = "model"
NEW_BLOCKS = "python -m instdiff.checkpoint {folder} --out models/start (and train with --model models/start)"
BETAS = (0.9, 0.999)
WEIGHT_DECAY = 0.0


class DiffusionTask(Task[Lesson]):
    """UniFusion, the gated self-attention and ScaleU learn; backbone, text encoder and autoencoder stay as they are.

    Args:
        accelerator: where and how to compute, and with which other processes.

    Raises:
        BadInput: files are missing, or do not fit each other.
        ServiceError: the model cannot be loaded.
    """

    def __init__(self, recipe: TrainingRecipe, accelerator: Accelerator):
        self.recipe = recipe
        self.pipeline = load_pipeline(recipe.model)
        self.teacher = Teacher(self.pipeline)
        shapes = example_shapes(recipe, self.teacher)
        with accelerator.main_process_first():  # what it finds out about the pictures is kept for the others
            pictures = read_pictures(recipe, accelerator.is_main_process)
        self.examples = Examples(recipe, shapes, pictures)
        self.device = accelerator.device
        self.processes = accelerator.num_processes
        self.rank = accelerator.process_index
        self.lessons: Iterator[Lesson] | None = None
        self.model: Learner = Learner(self.pipeline.unet, self.pipeline.unifusion, recipe.gradient_checkpointing)
        self.pipeline.to(self.device)

    def begin(self) -> None:
        if self.recipe.convnext:
            load_convnext(self.pipeline.unifusion, self.recipe.convnext)

    def weights(self) -> Mapping[str, torch.Tensor]:
        return {name: value.detach() for name, value in self.model.trained().items()}

    def optimizer(self, rate: float) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.model.trained().values(), lr=rate, betas=BETAS, weight_decay=WEIGHT_DECAY)

    def batch(self, step: int, rng: np.random.Generator) -> Lesson:
        """The next batch, where the order of the pictures and what is drawn for each come from its position.

        Raises:
            BadInput: a picture or its annotations cannot be used.
        """
        if self.lessons is None:
            self.lessons = self._read_lessons(step)
        return next(self.lessons)

    def _read_lessons(self, first_step: int) -> Iterator[Lesson]:
        order = positions(first_step, self.recipe, self.processes, self.rank)
        workers = self.recipe.workers
        for batch in DataLoader(self.examples, batch_sampler=order, num_workers=workers, collate_fn=collate):
            if isinstance(batch, UnusablePicture):
                raise BadInput(batch.field, batch.reason)
            yield self.teacher.lesson(batch.to(self.device))

    def losses(self, model: nn.Module, batch: Lesson, generator: torch.Generator) -> dict[str, torch.Tensor]:
        predicted = model(batch.noisy, batch.timesteps, batch.text, batch.scene, batch.grounding)
        return {"loss": squared_error(predicted, batch.target)}

    def finish(self) -> dict[str, float]:
        """Write the model as a folder that `from_pretrained` reads and engines load; an older one is replaced."""
        parts = [part for part in self.pipeline.components.values() if hasattr(part, "parameters")]
        nbytes = sum(p.numel() * p.element_size() for part in parts for p in part.parameters())
        with whole_target(self.recipe.out / MODEL, force=True, nbytes=nbytes) as folder:
            self.pipeline.save_pretrained(folder)
        folder = self.recipe.out / MODEL
        print(f'{folder}: the model; paint with: instdiff-agent make "two dogs" --engine {folder}')
        return {}


def make_trainer(recipe: TrainingRecipe) -> Trainer[Lesson]:
    """The training of a recipe, ready to begin or to go on.

    Raises:
        BadInput: files are missing, do not fit each other, or belong to another training.
        ServiceError: the model cannot be loaded.
    """
    recipe.out.mkdir(parents=True, exist_ok=True)
    if not recipe.resume and has_state(recipe.out):
        raise BadInput("out", f"{recipe.out} holds a training already; go on with --resume, or name another folder")
    for path in recipe.out.glob(f".{MODEL}.partial*"):  # what a killed process was writing
        shutil.rmtree(path)
    if torch.cuda.is_available():
        torch.set_float32_matmul_precision("high")  # text encoder and autoencoder, several times faster
    accelerator = make_accelerator(recipe.device, recipe.precision, recipe.accumulate)
    task = DiffusionTask(recipe, accelerator)
    # What must be the same for a training to go on as if it had never been stopped.
    fixed: dict[str, object] = {name: getattr(recipe, name) for name in FIXED}
    fixed["pictures_a_step"] = recipe.batch * recipe.accumulate * accelerator.num_processes
    fixed["pictures"] = len(task.examples.pictures)
    plan = TrainingPlan(
        rate=recipe.rate,
        steps=recipe.steps,
        warmup=recipe.warmup,
        ema=recipe.ema,
        seed=recipe.seed,
        folder=recipe.out,
        resume=recipe.resume,
        fixed=fixed,
        log_every=recipe.log_every,
        checkpoint_every=recipe.checkpoint_every,
        part_bytes=None,
    )
    return Trainer(task, plan, accelerator)


def train(recipe: TrainingRecipe) -> None:
    """Train up to step ``recipe.steps``; state and log lie in ``recipe.out``, at the end the model too."""
    trainer = make_trainer(recipe)
    trainer.run()
    trainer.leave()


def read_pictures(recipe: TrainingRecipe, is_shown: bool) -> AnnotatedPictures:
    """What the training is of, all of it looked at; with a bar on a terminal, and then how much is used, on stderr.

    Raises:
        BadInput: nothing of it can be used.
    """
    with progress_bar(is_shown and sys.stderr.isatty()) as bar:
        task = bar.add_task("checking pictures", total=None, note="")
        pictures = AnnotatedPictures(
            recipe.annotations, recipe.images, recipe.crowd, lambda done, of: bar.update(task, advance=done, total=of)
        )
    if is_shown:
        print(printable(f"{recipe.annotations}: {pictures.summary}"), file=sys.stderr)
    return pictures


def load_pipeline(folder: Path) -> InstanceDiffusionPipeline:
    """The pipeline of a model folder, in float32.

    Raises:
        BadInput: it is no model folder, or one without the blocks that learn; what to run first is said.
        ServiceError: it cannot be loaded.
    """
    if not (folder / INDEX).is_file():
        make = "make one with python -m instdiff.checkpoint"
        raise BadInput("model", f"{folder} is no model folder with a {INDEX}; {make}")
    check_has_blocks(folder, "model", NEW_BLOCKS)
    diffusers_logging.disable_progress_bar()
    transformers_logging.disable_progress_bar()
    try:
        return InstanceDiffusionPipeline.from_pretrained(folder, dtype=torch.float32, local_files_only=True)
    except Exception as error:  # of many kinds, where a folder of models is damaged
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ServiceError(f"{folder} cannot be loaded: {reason}") from error


def example_shapes(recipe: TrainingRecipe, teacher: Teacher) -> Shapes:
    """What the model asks of examples."""
    pipeline = teacher.pipeline
    side = recipe.size or min(engine_info(str(recipe.model)).native_size)
    scale = pipeline.vae_scale_factor
    multiple = scale * 2 ** (len(pipeline.unet.config.block_out_channels) - 1)
    if side % multiple:
        raise BadInput("size", f"{side} is no multiple of {multiple}, as this model needs it")
    latents = (pipeline.unet.config.in_channels, side // scale, side // scale)
    return Shapes(side, latents, pipeline.unifusion.config.seg_size, teacher.scheduler.config.num_train_timesteps)
