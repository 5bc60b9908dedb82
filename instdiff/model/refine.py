"""The SDXL refiner as a second stage: painted pictures get finer detail and keep what is where (Podell et al., SDXL).

Importing this module costs no torch.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from instdiff.device import device_of_torch, numbers_in, place
from instdiff.errors import BadInput, ServiceError
from instdiff.layout import Layout
from instdiff.model.folders import INDEX, read_index
from instdiff.render_settings import REFINER_STEPS
from instdiff.settings import stored_model

if TYPE_CHECKING:
    from PIL.Image import Image

CLASSES = ("StableDiffusionXLImg2ImgPipeline", "StableDiffusionXLPipeline")  # of SDXL's refiner, and of SDXL itself
PARTS = ("unet", "vae", "scheduler", "text_encoder_2", "tokenizer_2")
SDXL_REFINER = "stable-diffusion-xl-refiner-1.0"
MISSING = "needs the SDXL refiner; run `instdiff-agent models get refiner`, or name its folder with --refiner"
NONE_FOR_DRAFT = "the draft engine has no refiner; name the folder of one with --refiner, or drop --refine (--refine 0)"


def find_refiner(engine: str, named: str | None = None) -> Path:
    """Where the refiner of an engine lies: the folder that is named, or the SDXL refiner on this machine.

    Raises:
        BadInput: there is none, or the folder is that of another model; what to fetch is said.
    """
    if named is not None:
        if not (Path(named) / INDEX).is_file():
            raise BadInput("refiner", f"{named} is no folder of an SDXL refiner: it has no {INDEX}")
        _check_folder(Path(named))
        return Path(named)
    if engine == "draft":
        raise BadInput("refine", NONE_FOR_DRAFT)
    folder = stored_model(SDXL_REFINER)
    if folder is None:
        raise BadInput("refine", MISSING)
    _check_folder(folder)
    return folder


def _check_folder(folder: Path) -> None:
    """Refuse the folder of another pipeline, and one without a part that a refiner needs."""
    index = read_index(folder, "refiner")
    kind = index.get("_class_name", "no known pipeline")
    if kind not in CLASSES:
        cure = f"give that of {SDXL_REFINER}, or another of a {' or '.join(CLASSES)}"
        raise BadInput("refiner", f"{folder} is a folder of {kind}, no refiner; {cure}")
    for part in PARTS:
        stated = index.get(part)
        if not (isinstance(stated, list) and all(stated) and (folder / part).is_dir()):
            raise BadInput("refiner", f"{folder} lacks {part}; fetch the whole folder of {SDXL_REFINER}")


class Refiner:
    """A loaded SDXL refiner.

    Args:
        folder: in diffusers' layout; weights in half precision (``*.fp16.safetensors``) will do.

    Raises:
        ServiceError: the folder cannot be loaded.
    """

    def __init__(self, folder: Path):
        import torch
        from diffusers import StableDiffusionXLImg2ImgPipeline

        here = device_of_torch()
        placement = place(here, numbers_in(folder))
        options = {"dtype": getattr(torch, placement.dtype), "local_files_only": True, "use_safetensors": True}
        if not (folder / "unet" / "diffusion_pytorch_model.safetensors").exists():
            options["variant"] = "fp16"
        try:
            self.pipeline = StableDiffusionXLImg2ImgPipeline.from_pretrained(folder, **options)
            if placement.offload:
                self.pipeline.enable_model_cpu_offload()
            else:
                self.pipeline.to(here.kind)
        except Exception as error:  # of many kinds, where a folder of models is damaged
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise ServiceError(f"refiner: {folder} cannot be loaded: {reason}") from error
        self.pipeline.set_progress_bar_config(disable=True)
        self.folder = folder

    def refine(self, images: list[Image], layout: Layout, strength: float, seeds: list[int]) -> list[Image]:
        """Pictures of a layout with finer detail, of the same sizes.

        Each is refined at the size that the refiner knows best, if it is smaller, and on its own, so that a seed means
        the same picture whatever stands beside it.

        Args:
            strength: share of the refiner's steps that are done, above 0 to 1; 1 paints anew.
            seeds: of the noise of each picture, drawn on the CPU.
        """
        import torch

        refined = []
        for image, seed in zip(images, seeds, strict=True):
            painted = self.pipeline(
                prompt=layout.caption,
                negative_prompt=layout.negative_caption,
                image=image.resize(self._canvas(image.size)),
                strength=strength,
                num_inference_steps=REFINER_STEPS,
                generator=torch.Generator().manual_seed(seed),
            ).images[0]
            refined.append(painted.resize(image.size))
        return refined

    def _canvas(self, size: tuple[int, int]) -> tuple[int, int]:
        """The size to work at: the longer side at least the refiner's own, both sides whole latents."""
        step = self.pipeline.vae_scale_factor
        grow = max(1.0, self.pipeline.unet.config.sample_size * step / max(size))
        width, height = (max(1, round(side * grow / step)) * step for side in size)
        return width, height
