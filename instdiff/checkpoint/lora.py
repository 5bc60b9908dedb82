"""LoRA files of diffusers, peft and kohya, merged into a model's weights."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import torch

from instdiff.checkpoint import parameter_names
from instdiff.checkpoint.pickles import read_pickle
from instdiff.checkpoint.sources import flatten, read_json
from instdiff.checkpoint.tensors import Lazy, read_safetensors, safetensors_metadata
from instdiff.errors import BadInput

_ENDINGS = [
    (r"(?P<layer>.*?)(?:\.lora)?\.lora_(?P<role>A|B)(?:\.\w+)?\.weight", {"A": "down", "B": "up"}),  # peft, diffusers
    (r"(?P<layer>.*?)(?:_lora|\.lora|\.lora_linear_layer)\.(?P<role>down|up)\.weight", {}),  # diffusers before 0.26
    (r"(?P<layer>.*?)\.lora_(?P<role>down|up)\.weight", {}),  # kohya
    (r"(?P<layer>.*?)\.(?P<role>alpha)", {}),
]


def read_lora(path: Path) -> tuple[dict[str, Lazy], dict[str, float]]:
    """The tensors of a LoRA file, and the alpha of each part ("unet", "text_encoder", or "" for all) in it.

    Raises:
        BadInput: the file cannot be read, or is trained in a way that is not merged here.
    """
    if not path.is_file():
        raise BadInput(str(path), "there is no such file")
    beside = path.with_name("adapter_config.json")
    if path.suffix != ".safetensors":
        tensors = flatten(read_pickle(path), path)
        notes = {}
    elif path.stem == "adapter_model" and beside.is_file():
        tensors = read_safetensors(path)
        notes = read_json(beside)
    else:
        tensors = read_safetensors(path)
        notes = read_notes(path)
    for note, value in notes.items():
        if value and note.rpartition(".")[2] in ("use_dora", "use_rslora", "alpha_pattern"):
            raise BadInput(str(path), f"is a LoRA with {note}, which is not merged here")
    parts = {note.rpartition(".")[::2]: value for note, value in notes.items()}
    return tensors, {part: float(value) for (part, key), value in parts.items() if key == "lora_alpha"}


def read_notes(path: Path) -> dict:
    """How the LoRA was trained, as diffusers writes it into the file."""
    try:
        notes = json.loads(safetensors_metadata(path).get("lora_adapter_metadata", "{}"))
    except ValueError as error:
        raise BadInput(str(path), "is damaged: its notes cannot be read") from error
    return notes if isinstance(notes, dict) else {}


def merge_lora(
    lora: dict[str, Lazy], alphas: dict[str, float], parts: dict[str, dict[str, Lazy]], scale: float, field: str
) -> int:
    """Add ``scale * alpha / rank * up @ down`` to the weights that a LoRA is about.

    Args:
        lora, alphas: what `read_lora` gives.
        parts: of the model; changed in place.
        field: what errors are about.

    Returns:
        How many weights are changed.

    Raises:
        BadInput: a tensor belongs to no layer, or the file is another kind of adapter.
    """
    layers = _layers(parts)
    factors: dict[tuple[str, str], dict[str, Lazy]] = {}
    for name, tensor in lora.items():
        layer, role = _parse(name, field)
        if layer not in layers:
            raise BadInput(field, f"{name} belongs to no layer of a Stable Diffusion 1.x UNet or text encoder")
        factors.setdefault(layers[layer], {})[role] = tensor
    for (part, weight), pieces in factors.items():
        if not {"down", "up"} <= pieces.keys():
            raise BadInput(field, f"{part} {weight} has only {', '.join(sorted(pieces))} of the two factors")
        alpha = float(pieces["alpha"].load()) if "alpha" in pieces else alphas.get(part, alphas.get(""))
        about = f"{field}: {part} {weight}"
        parts[part][weight] = _merge(parts[part][weight], pieces["down"], pieces["up"], alpha, scale, about)
    return len(factors)


def _layers(parts: dict[str, dict[str, Lazy]]) -> dict[str, tuple[str, str]]:
    """Every name that LoRA files use for a layer -> (part, name of its weight)."""
    layers = {}
    for part, others in (("unet", ("unet", "lora_unet")), ("text_encoder", ("text_encoder", "lora_te"))):
        for weight in parts[part]:
            if not weight.endswith(".weight") or weight.startswith("stock_conv_in."):
                continue
            layer = weight.removesuffix(".weight")
            theirs = parameter_names.reference_unet_key(weight) if part == "unet" else f"text_model.{layer}"
            for name in (layer, theirs.removesuffix(".weight")):
                layers[f"{others[0]}.{name}"] = layers[f"{others[1]}_{name.replace('.', '_')}"] = part, weight
                if part == "unet":
                    layers[name] = layers[f"base_model.model.{name}"] = part, weight
    return layers


def _parse(name: str, field: str) -> tuple[str, str]:
    """A tensor's name -> (layer, one of down, up, alpha)."""
    for pattern, roles in _ENDINGS:
        match = re.fullmatch(pattern, name)
        if match:
            layer = re.sub(r"\.processor\.(to_\w+)$", r".\1", match["layer"])
            return layer + ".0" * layer.endswith(".to_out"), roles.get(match["role"], match["role"])
    raise BadInput(field, f"{name} is no part of a LoRA; other adapters (LoHa, LoKr, DoRA) are not merged")


def _merge(weight: Lazy, down: Lazy, up: Lazy, alpha: float | None, scale: float, field: str) -> Lazy:
    """The weight with a low-rank change; where a file says no alpha, it is the rank."""
    rank = down.shape[0]
    is_factor = up.shape[1:2] == (rank,) and math.prod(up.shape[2:]) == 1
    if not is_factor or up.shape[0] * math.prod(down.shape[1:]) != math.prod(weight.shape):
        shapes = f"{list(up.shape)} and {list(down.shape)} do not fit a weight of {list(weight.shape)}"
        raise BadInput(field, f"factors of shape {shapes}")
    strength = scale if alpha is None else scale * alpha / rank

    def add(value: torch.Tensor) -> torch.Tensor:
        change = up.load().float().flatten(1) @ down.load().float().flatten(1)  # (out, in * kernel)
        return (value.float() + strength * change.view(value.shape)).to(value.dtype)

    return weight.changed(weight.shape, add)
