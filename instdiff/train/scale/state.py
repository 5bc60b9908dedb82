"""What a training leaves behind: a state to go on from, a log, and at the end a model. Each is written whole or not at all."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch

from instdiff.checkpoint.convert import placed
from instdiff.errors import BadInput
from instdiff.formats.files import whole_file, write_bytes
from instdiff.pipeline import InstanceDiffusionPipeline
from instdiff.train.scale.recipe import FIXED, Recipe

STATE, LOG, MODEL = "state.pt", "log.jsonl", "model"


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
        raise BadInput("out", f"{path} cannot be read: {(str(error).splitlines() or [type(error).__name__])[0]}") from error
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
    """Leave in the log what was said up to a step: what came after the state is done again, and the last line may be half one."""
    path, kept = out / LOG, []
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
