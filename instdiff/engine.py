"""Our engine, a model with its defaults that paints layouts, by name. Importing this module costs no torch."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from instdiff.device import Placement, device_of_torch, numbers_in, place
from instdiff.engine_protocol import BatchEngine, Change, Choice, Engine, Rendering, RepaintingEngine
from instdiff.errors import BadInput, ServiceError
from instdiff.layout import Layout
from instdiff.model.defaults import read_defaults
from instdiff.model.folders import INDEX, check_has_blocks
from instdiff.render_settings import RenderSettings, resolve_settings, scheduler_for
from instdiff.settings import stored_model

if TYPE_CHECKING:
    from PIL.Image import Image

    from instdiff.model.refine import Refiner

# What an engine is stands in a module of its own; users import it from here.
__all__ = ["BatchEngine", "Change", "Choice", "Engine", "EngineInfo", "PipelineEngine", "Rendering", "RepaintingEngine"]
__all__ += ["DRAFT_FOLDER", "engine_info", "hash_weights", "load_engine"]

EARLY = 0.25  # share of the steps after which pictures are chosen from
DRAFT_FOLDER = Path(__file__).parent / "draft"
SD15 = "instancediffusion-sd15"
SD15_MISSING = (
    '"sd15" needs the published model: `instdiff-agent models get sd15` fetches and converts it, with a verifier; '
    "`instdiff-agent convert --help` says how to convert files that are here"
)
ON_BACKBONE = "instdiff-agent convert instancediffusion_sd15.pth --backbone {folder} --out models/mine"


@dataclass(frozen=True)
class EngineInfo:
    """What is known of an engine without loading it."""

    name: str
    folder: Path
    native_size: tuple[int, int]  # (width, height) in pixels
    max_side: int  # larger layouts are painted at this side and enlarged
    defaults: RenderSettings


def engine_info(name: str) -> EngineInfo:
    """Look an engine up: ``draft``, ``sd15``, or the path of a model folder in diffusers layout.

    Raises:
        BadInput: there is no such engine or folder.
    """
    if name == "draft":
        folder = DRAFT_FOLDER
    elif name == "sd15":
        folder = _sd15_folder()
    elif os.path.exists(os.path.join(name, INDEX)):  # a Path raises where a name is too long for a file
        folder = Path(name)
        check_has_blocks(folder, "engine", ON_BACKBONE)
    else:
        raise BadInput("engine", f'"{name}" is not known; choose draft, sd15, or a folder with a model_index.json')
    defaults = read_defaults(folder)
    return EngineInfo(name, folder, defaults.native_size, defaults.max_side, defaults.settings)


def _sd15_folder() -> Path:
    """Where the converted published model lies: among the models, or in the Hugging Face cache."""
    folder = stored_model(SD15)
    if folder is None:
        raise BadInput("engine", SD15_MISSING)
    return folder


def load_engine(name: str, refiner: str | None = None) -> PipelineEngine:
    """Load an engine by name (see `engine_info`); ``refiner`` may name the folder of its refiner."""
    return PipelineEngine(engine_info(name), refiner)


class PipelineEngine:
    """A loaded model that paints layouts; the same layout and settings give the same picture on one machine.

    Args:
        info: which model.
        refiner: a folder with an SDXL refiner; None takes the one that this machine has (see
            `instdiff.model.refine.find_refiner`).
    """

    def __init__(self, info: EngineInfo, refiner: str | None = None):
        import torch
        from diffusers.utils import logging as diffusers_logging
        from transformers.utils import logging as transformers_logging

        from instdiff.model.pipeline import InstanceDiffusionPipeline

        diffusers_logging.disable_progress_bar()
        transformers_logging.disable_progress_bar()
        self.name = info.name
        self.info = info
        self.native_size = info.native_size
        self.defaults = info.defaults
        here = device_of_torch()
        # the draft fits everywhere
        self.placement = Placement("float32") if info.name == "draft" else place(here, numbers_in(info.folder))
        dtype = getattr(torch, self.placement.dtype)
        try:
            pipeline = InstanceDiffusionPipeline.from_pretrained(info.folder, dtype=dtype, local_files_only=True)
        except Exception as error:  # of many kinds, where a folder of models is damaged
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise ServiceError(f"engine {info.name}: {info.folder} cannot be loaded: {reason}") from error
        if self.placement.offload:
            pipeline.enable_model_cpu_offload()
        self.pipeline = pipeline if self.placement.offload else pipeline.to(here.kind)
        self.pipeline.set_progress_bar_config(disable=True)
        self.model_hash = hash_weights(info.folder)
        self._refiner_folder = refiner

    @cached_property
    def refiner(self) -> Refiner:
        """The refiner, loaded once.

        Raises:
            BadInput: this engine has none.
        """
        from instdiff.model.refine import Refiner, find_refiner

        return Refiner(find_refiner(self.name, self._refiner_folder))

    @cached_property
    def _refiner_hash(self) -> str:
        return hash_weights(self.refiner.folder)

    def render(
        self,
        layout: Layout,
        settings: RenderSettings,
        on_step: Callable[[int, int], None] | None = None,
        on_preview: Callable[[Image], None] | None = None,
        preview_every: int = 4,
        choose: Choice | None = None,
    ) -> Rendering:
        """Paint a layout.

        Args:
            settings: what is None takes the engine's default; picture k is painted from seed ``settings.seed + k``.
            on_step: called with (step, number of steps), counting from 1.
            on_preview: called after every ``preview_every`` steps but the last, with the first picture as it is then.
            choose: is shown all pictures after a quarter of the steps; only those that it names go on.

        Returns:
            ``settings.num_images`` pictures of the layout's size, or as many as were chosen.

        Raises:
            BadInput: a refiner is asked for, and there is none.
        """
        settings = resolve_settings(settings, self.defaults)
        self._load_refiner(settings)
        seeds = [settings.seed + k for k in range(settings.num_images)]
        chosen = list(range(len(seeds)))

        def choose_early(images: list[Image]) -> list[int]:
            assert choose
            chosen[:] = choose([_of_size(image, layout.size) for image in images])
            return chosen

        step_done = self._step_done(settings, on_step, on_preview, preview_every)
        canvas = layout.with_size(*self._canvas(layout.size))
        painted, evaluated = self._call([canvas], settings, seeds, step_done, choose=choose_early if choose else None)
        images = [_of_size(image, layout.size) for image in painted]
        return self._rendering(images, layout, settings, [seeds[k] for k in chosen], evaluated)

    def repaint(
        self,
        changes: Sequence[Change],
        settings: RenderSettings,
        on_step: Callable[[int, int], None] | None = None,
        strength: float = 1.0,
        choose: Choice | None = None,
    ) -> Rendering:
        """Paint parts of pictures anew, all in one batch.

        Args:
            changes: of layouts of one size.
            settings: what is None takes the engine's default; ``seed`` and ``num_images`` are not read.
            on_step: called with (step, number of steps), counting from 1.
            strength: how much of what was there is painted over, above 0 to 1; at 1 nothing shines through.
            choose: is shown all pictures after a quarter of the steps; only those that it names go on.

        Returns:
            A picture for each change, or for those chosen. Outside of its regions it is to the pixel as it was.

        Raises:
            BadInput: no changes, sizes that differ, what the pipeline refuses, or a refiner where there is none.
        """
        from instdiff.model.inpainting import mask_of, put_back

        settings = resolve_settings(settings, self.defaults)
        self._load_refiner(settings)
        sizes = {change.layout.size for change in changes}
        if len(sizes) != 1:
            raise BadInput("changes", f"one batch has one size, not {sorted(sizes) or 'none'}")
        size = sizes.pop()
        canvas = self._canvas(size)
        if wrong := next((change.picture.size for change in changes if change.picture.size != size), None):
            raise BadInput("picture", f"has {wrong[0]} x {wrong[1]} pixels, and its layout {size[0]} x {size[1]}")
        chosen = list(range(len(changes)))

        def choose_early(images: list[Image]) -> list[int]:
            assert choose
            chosen[:] = choose([_of_size(image, size) for image in images])
            return chosen

        painted, evaluated = self._call(
            [change.layout.with_size(*canvas) for change in changes],
            settings,
            [change.seed for change in changes],
            self._step_done(settings, on_step, strength=strength),
            image=[_of_size(change.picture, canvas) for change in changes],
            mask_image=[mask_of(change.regions, canvas) for change in changes],
            apart=[change.apart for change in changes],
            strength=strength,
            choose=choose_early if choose else None,
        )
        masks = [mask_of(change.regions, size) for change in changes]

        def whole(images: Sequence[Image]) -> list[Image]:
            rows = zip(chosen, images, strict=True)
            return [put_back(changes[k].picture, _of_size(image, size), masks[k]) for k, image in rows]

        images = painted if canvas == size else whole(painted)
        seeds = [changes[k].seed for k in chosen]
        rendering = self._rendering(images, changes[0].layout, settings, seeds, evaluated)
        return replace(rendering, refined=tuple(whole(rendering.refined))) if rendering.refined else rendering

    def _load_refiner(self, settings: RenderSettings) -> None:
        """Load the refiner where it is asked for: one that cannot be loaded is refused before anything is painted."""
        if settings.cascade_strength:
            _ = self.refiner

    def _step_done(
        self,
        settings: RenderSettings,
        on_step: Callable[[int, int], None] | None,
        on_preview: Callable[[Image], None] | None = None,
        preview_every: int = 4,
        strength: float = 1.0,
    ) -> Callable:
        """The pipeline's ``callback_on_step_end`` that tells how far painting is."""

        def step_done(pipeline, step, timestep, tensors):
            num_steps = max(round(strength * (settings.num_inference_steps or 1)), 1)
            if on_step:
                on_step(step + 1, num_steps)
            if on_preview and (step + 1) % preview_every == 0 and step + 1 < num_steps:
                on_preview(self.pipeline.decode(tensors["latents"][:1])[0])
            return tensors

        return step_done

    def _rendering(
        self, images: list[Image], layout: Layout, settings: RenderSettings, seeds: list[int], evaluated: int
    ) -> Rendering:
        """Painted pictures, refined if that is asked for."""
        versions = {package: version(package) for package in ("torch", "diffusers", "transformers")}
        refined: list[Image] = []
        if settings.cascade_strength:
            refined = self.refiner.refine(images, layout, settings.cascade_strength, seeds)
            versions["refiner"] = self._refiner_hash
        about = (self.name, self.model_hash, versions, tuple(refined), tuple(seeds), evaluated)
        return Rendering(images, layout, settings, *about)

    def paint(
        self, layouts: list[Layout], settings: RenderSettings, seeds: list[int], step_done: Callable | None = None
    ) -> list[Image]:
        """Pictures of layouts that the model can paint as they are, all in one batch.

        Args:
            layouts: of one size.
            settings: nothing is None (see `resolve_settings`); ``seed`` and ``num_images`` are not read.
            seeds: of the noise of each picture, as many for each layout.
            step_done: the pipeline's ``callback_on_step_end``.
        """
        return self._call(layouts, settings, seeds, step_done)[0]

    def _call(
        self,
        layouts: list[Layout],
        settings: RenderSettings,
        seeds: list[int],
        step_done: Callable | None = None,
        **more: Any,
    ) -> tuple[list[Image], int]:
        """Pictures, and the evaluations of the UNet that they took; as `paint`, with more arguments of the pipeline."""
        import torch

        output = self.pipeline(
            layouts,
            num_inference_steps=settings.num_inference_steps,
            guidance_scale=settings.guidance_scale,
            alpha=settings.alpha,
            mis=settings.mis,
            guidance_every=settings.guidance_every or 1,
            inner_every=settings.inner_every or 1,
            scheduler=scheduler_for(settings.scheduler or "own", self.pipeline.scheduler),
            num_images_per_layout=len(seeds) // len(layouts),
            generator=[torch.Generator().manual_seed(seed) for seed in seeds],
            callback_on_step_end=step_done,
            max_batch=self.placement.max_batch,
            choose_after=max(round(EARLY * (settings.num_inference_steps or 1)), 1),
            **more,
        )
        assert isinstance(output.images, list)
        return output.images, output.unet_evaluations

    def render_many(
        self, layouts: list[Layout], settings: RenderSettings, seeds: list[int], step_done: Callable | None = None
    ) -> list[Image]:
        """Pictures of layouts of one size, in one batch, else as `paint`; any size that `render` takes.

        What else is in a batch can change a picture in its last bits: only the same batch gives the same to the bit.
        """
        size = layouts[0].size
        canvas = self._canvas(size)
        images = self.paint([layout.with_size(*canvas) for layout in layouts], settings, seeds, step_done)
        return [_of_size(image, size) for image in images]

    def _canvas(self, size: tuple[int, int]) -> tuple[int, int]:
        """The size to paint at: at most the model's largest, sides multiples of two latents, the aspect kept nearly."""
        step = self.pipeline.vae_scale_factor * 2
        shrink = min(1.0, self.info.max_side / max(size))
        width, height = (max(64, round(side * shrink / step) * step) for side in size)
        return width, height


def _of_size(image: Image, size: tuple[int, int]) -> Image:
    return image if image.size == size else image.resize(size)


def hash_weights(folder: Path) -> str:
    """SHA-256 over all weight files of a model folder, 16 hex digits."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.safetensors")):
        digest.update(path.relative_to(folder).as_posix().encode())
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()[:16]
