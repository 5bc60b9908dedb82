"""Engines: a model with its defaults, behind one method that paints a layout. Importing this module costs no torch."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from instdiff.errors import BadInput, ServiceError
from instdiff.layout import Layout
from instdiff.settings import RenderSettings, models_folder

if TYPE_CHECKING:
    from PIL.Image import Image

DRAFT_FOLDER = Path(__file__).parent / "draft"


@dataclass(frozen=True)
class EngineInfo:
    """What is known of an engine without loading it."""

    name: str
    folder: Path
    native_size: tuple[int, int]  # (width, height) in pixels
    max_side: int  # larger layouts are painted at this side and enlarged
    defaults: RenderSettings


@dataclass(frozen=True)
class Rendering:
    """Pictures of a layout, and everything needed to make them again."""

    images: list[Image]
    layout: Layout
    settings: RenderSettings  # nothing is None
    engine: str
    model_hash: str
    versions: dict[str, str]


def engine_info(name: str) -> EngineInfo:
    """Look an engine up: ``draft``, ``sd15``, or the path of a model folder in diffusers layout.

    Raises:
        BadInput: there is no such engine or folder.
    """
    real = RenderSettings(num_inference_steps=50, guidance_scale=7.5, alpha=0.8, mis=0.36)
    if name == "draft":
        draft = json.loads((DRAFT_FOLDER / "engine.json").read_text())
        return EngineInfo(name, DRAFT_FOLDER, tuple(draft["native_size"]), draft["max_side"], RenderSettings(**draft["defaults"]))
    if name == "sd15":
        folder = models_folder()
        if folder is None or not (folder / "instancediffusion-sd15" / "model_index.json").exists():
            place = (folder or Path("MODELS")) / "instancediffusion-sd15"
            raise BadInput("engine", f'"sd15" needs a converted model in {place}; set INSTDIFF_MODELS to the folder that holds it')
        return EngineInfo(name, folder / "instancediffusion-sd15", (512, 512), 4096, real)
    if os.path.exists(os.path.join(name, "model_index.json")):  # unlike a Path, no error where a name is too long for a file
        return EngineInfo(name, Path(name), (512, 512), 4096, real)
    raise BadInput("engine", f'"{name}" is not known; choose draft, sd15, or a model folder with a model_index.json')


def load_engine(name: str) -> Engine:
    """Load an engine by name (see `engine_info`)."""
    return Engine(engine_info(name))


class Engine:
    """A loaded model that paints layouts; the same layout and settings give the same picture, bit for bit, on one machine."""

    def __init__(self, info: EngineInfo):
        import torch
        from diffusers.utils import logging as diffusers_logging
        from transformers.utils import logging as transformers_logging

        from instdiff.pipeline import InstanceDiffusionPipeline

        diffusers_logging.disable_progress_bar()
        transformers_logging.disable_progress_bar()
        self.name, self.info, self.native_size, self.defaults = info.name, info, info.native_size, info.defaults
        device = "cuda" if torch.cuda.is_available() else "cpu"
        dtype = torch.float16 if device == "cuda" and info.name != "draft" else torch.float32
        try:
            pipeline = InstanceDiffusionPipeline.from_pretrained(info.folder, dtype=dtype, local_files_only=True)
        except Exception as error:  # of many kinds, where a folder of models is damaged
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise ServiceError(f"engine {info.name}: {info.folder} cannot be loaded: {reason}") from error
        self.pipeline = pipeline.to(device)
        self.pipeline.set_progress_bar_config(disable=True)
        self.model_hash = _hash_weights(info.folder)

    def render(self, layout: Layout, settings: RenderSettings, on_step: Callable[[int, int], None] | None = None) -> Rendering:
        """Paint a layout.

        Args:
            settings: what is None takes the engine's default; picture k is painted from seed ``settings.seed + k``.
            on_step: called with (step, number of steps), counting from 1.

        Returns:
            ``settings.num_images`` pictures of the layout's size.
        """
        import torch

        chosen = {key: value for key, value in settings if value is not None}
        settings = RenderSettings.parse({**dict(self.defaults), **chosen})

        def step_done(pipeline, step, timestep, tensors):
            if on_step:
                on_step(step + 1, settings.num_inference_steps)
            return tensors

        images = self.pipeline(
            layout.resized(*self._canvas(layout.size)),
            num_inference_steps=settings.num_inference_steps,
            guidance_scale=settings.guidance_scale,
            alpha=settings.alpha,
            mis=settings.mis,
            num_images_per_layout=settings.num_images,
            generator=[torch.Generator().manual_seed(settings.seed + k) for k in range(settings.num_images)],
            callback_on_step_end=step_done,
        ).images
        images = [image if image.size == layout.size else image.resize(layout.size) for image in images]
        versions = {package: version(package) for package in ("torch", "diffusers", "transformers")}
        return Rendering(images, layout, settings, self.name, self.model_hash, versions)

    def _canvas(self, size: tuple[int, int]) -> tuple[int, int]:
        """The size to paint at: at most the model's largest, sides multiples of two latents, so that no aspect is far off."""
        step = self.pipeline.vae_scale_factor * 2
        shrink = min(1.0, self.info.max_side / max(size))
        width, height = (max(64, round(side * shrink / step) * step) for side in size)
        return width, height


def _hash_weights(folder: Path) -> str:
    """SHA-256 over all weight files of a model folder, 16 hex digits."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.safetensors")):
        digest.update(path.relative_to(folder).as_posix().encode())
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()[:16]
