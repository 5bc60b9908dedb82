"""What a file is that is no Stable Diffusion 1.x, told by its first bytes, by the names in it, or by its shapes.

Most files that people bring by mistake are sound, and of another family: to say which one is worth more than that a
tensor is missing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from instdiff.checkpoint.tensors import Lazy
from instdiff.errors import BadInput

ONLY = "only Stable Diffusion 1.x can be converted"
PLAIN_WEIGHTS = "take the file of this model in fp16, bf16 or fp32"
LATENT_CHANNELS = 4  # of what the autoencoder of Stable Diffusion 1.x makes
# What starts a file -> what the file is, and the cure.
_STARTS = [
    (rb"GGUF", f"is a GGUF file: quantised weights for llama.cpp and its kin, which are not read; {PLAIN_WEIGHTS}"),
    (
        rb"version https://git-lfs",
        "is the pointer of Git LFS to a file that is not there; fetch it with `git lfs pull`",
    ),
    (rb"\s*<(!doctype|html)", "is a web page, not a checkpoint; fetch the file itself"),
]
# Names in a file -> what the file is, and the cure. The first that fits counts.
_NAMES = [
    (r"quant_state\.|\.absmax$|\.qweight$|\.SCB$", f"holds quantised weights, which are not read; {PLAIN_WEIGHTS}"),
    (r"lora_(up|down|A|B|unet|te)|[._]lora[._]|\.hada_w|\.lokr_w", "is a LoRA alone; give it with --lora"),
    (r"^control_model\.|controlnet_cond_embedding|^zero_convs", f"is a ControlNet; {ONLY}"),
    (r"motion_modules\.", f"holds motion modules, for moving pictures; {ONLY}"),
    (r"joint_blocks\.", f"is Stable Diffusion 3; {ONLY}"),
    (r"(double|single)_blocks\.\d", f"is FLUX or of its family; {ONLY}"),
    (r"^cond_stage_model\.model\.", f"is Stable Diffusion 2.x; {ONLY}"),
    (r"^conditioner\.embedders\.|label_emb\.|(^|\.)add_embedding\.", f"is Stable Diffusion XL; {ONLY}"),
    (r"^(v_pred|ztsnr)$", f"predicts velocity, not noise; {ONLY} that predict noise"),
    (r"^(string_to_param|emb_params|clip_[lg])(\.|$)", f"is a textual inversion: words, not a model; {ONLY}"),
]
_WIDTHS = {1024: "Stable Diffusion 2.x", 1280: "the refiner of Stable Diffusion XL", 2048: "Stable Diffusion XL"}
_PIPELINES = r"XL|Stable(Diffusion)?3|Flux|Cascade|Kandinsky|PixArt|Wan|Qwen|Video|LatentUpscale|Sana|Lumina|Hunyuan"
_PARTS = [
    (r"^((first_stage_model|vae)\.)?(en|de)coder\.(down|up|conv_in|mid)", "is a VAE alone; give it with --vae beside"),
    (r"^(down_blocks|mid_block|up_blocks)\.", "is a UNet alone; give the folder that it belongs to, not it, as"),
    (r"^(text_model\.)?(embeddings|encoder\.layers)\.", "is a text encoder alone; give the folder around it as"),
]


def refuse_other_files(path: Path) -> None:
    """Refuse a file that begins as another kind does.

    Raises:
        BadInput: naming the kind.
    """
    with path.open("rb") as file:
        start = file.read(64)
    for pattern, reason in _STARTS:
        if re.match(pattern, start, re.IGNORECASE):
            raise BadInput(str(path), reason)


def refuse_other_models(path: Path, tensors: Mapping[str, Lazy]) -> None:
    """Refuse tensors that are known to be those of another model, or of an addition to one.

    Raises:
        BadInput: naming the model.
    """
    for pattern, reason in _NAMES:
        found = next((name for name in tensors if re.search(pattern, name)), None)
        if found is not None:
            raise BadInput(str(path), f"{reason} (it holds {found})")
    for name, tensor in tensors.items():
        if re.search(r"attn2\.to_k\.weight$", name) and len(tensor.shape) == 2:
            refuse_width(path, tensor.shape[1])


def refuse_width(path: Path, width: object) -> None:
    """Refuse a UNet that reads captions of another model's width.

    Raises:
        BadInput: naming the model.
    """
    if isinstance(width, int) and width in _WIDTHS:
        raise BadInput(
            str(path), f"is {_WIDTHS[width]}, whose captions are {width} numbers wide; {ONLY}, which has 768"
        )


def refuse_other_pipelines(path: Path, name: object, unet: dict) -> None:
    """Refuse a folder of another pipeline, by the name in its index and the configuration of its UNet.

    Raises:
        BadInput: naming the pipeline.
    """
    if isinstance(name, str) and re.search(_PIPELINES, name):
        raise BadInput(str(path), f"is a {name}; {ONLY}")
    width = unet.get("cross_attention_dim")
    refuse_width(path, width[0] if isinstance(width, list) and width else width)
    if unet.get("in_channels") is not None:
        refuse_channels(path, unet["in_channels"])


def refuse_channels(path: Path, channels: object) -> None:
    """Refuse a UNet that reads more than latents: painting would end where the two meet.

    Raises:
        BadInput: naming what such a model is for.
    """
    if channels != LATENT_CHANNELS:
        kinds = {9: "an inpainting model", 8: "a model that edits pictures (InstructPix2Pix)", 5: "a model with depth"}
        kind = f"it is {kinds[channels]}; " if isinstance(channels, int) and channels in kinds else ""
        reads = f"its first convolution reads {channels} channels, where Stable Diffusion 1.x reads {LATENT_CHANNELS}"
        raise BadInput(str(path), f"{reads}; {kind}take the plain model that it was made from")


def part_alone(names: Iterable[str]) -> str:
    """What to say of a file that holds a part of a model; empty where it is none."""
    names = list(names)
    for pattern, reason in _PARTS:
        if any(re.search(pattern, name) for name in names):
            return f"{reason} a checkpoint"
    return ""
