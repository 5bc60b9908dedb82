"""LoRA files of diffusers, peft and kohya: what they change in a model, and the merge into its weights."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

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
# Names of layers that Stable Diffusion 1.x does not have -> the model that has them.
_OTHER_MODELS = [
    (r"lora_te[12]_|text_encoder_2\.|transformer_blocks[._][1-9]|label_emb", "Stable Diffusion XL"),
    (r"^(lora_)?transformer[._]|(double|single|joint)_(transformer_)?blocks|lora_te3", "Stable Diffusion 3 or FLUX"),
]
SD15_LEVELS = (True, True, True, False)  # which of them have transformers


class Lora(NamedTuple):
    """A file: its tensors, and what it says of the training of each part ("unet", "text_encoder", or "" for all)."""

    tensors: Mapping[str, Lazy]
    notes: Mapping[str, Mapping]


class LowRank(NamedTuple):
    """The change of one weight (out, in, ...): ``strength * up @ down``."""

    down: Lazy  # (rank, in, ...)
    up: Lazy  # (out, rank), of a convolution (out, rank, 1, 1)
    strength: float


def read_lora(path: Path) -> Lora:
    """Read a LoRA file.

    Raises:
        BadInput: the file cannot be read, or is trained in a way that is not merged here.
    """
    if not path.is_file():
        raise BadInput(str(path), "there is no such file")
    is_safetensors = path.suffix == ".safetensors"
    tensors = read_safetensors(path) if is_safetensors else flatten(read_pickle(path), path)
    beside = path.with_name("adapter_config.json")
    notes: dict[str, dict] = {}
    if path.stem == "adapter_model" and beside.is_file():
        notes[""] = read_json(beside)
    elif is_safetensors:
        for name, value in _read_notes(path).items():
            part, _, key = name.rpartition(".")
            notes.setdefault(part, {})[key] = value
    for part in notes.values():
        if part.get("use_dora"):
            raise BadInput(str(path), "is a LoRA with use_dora, which is not merged here")
    return Lora(tensors, notes)


def _read_notes(path: Path) -> dict:
    """How the LoRA was trained, as diffusers writes it into the file."""
    metadata = safetensors_metadata(path)
    text = metadata.get("lora_adapter_metadata", "{}") if isinstance(metadata, dict) else None
    try:
        notes = json.loads(text)
    except (ValueError, TypeError, RecursionError) as error:
        raise BadInput(str(path), "is damaged: its notes cannot be read") from error
    return notes if isinstance(notes, dict) else {}


def merge_lora(lora: Lora, parts: dict[str, dict[str, Lazy]], scale: float, field: str) -> int:
    """Add ``scale * alpha / rank * up @ down`` to the weights that a LoRA is about.

    Args:
        parts: of the model; changed in place.
        field: what errors are about.

    Returns:
        How many weights are changed.

    Raises:
        BadInput: see `changed_weights`.
    """
    shapes = {part: {name: tensor.shape for name, tensor in parts[part].items()} for part in ("unet", "text_encoder")}
    changes = changed_weights(lora, shapes, field)
    for (part, weight), change in changes.items():
        parts[part][weight] = _merge(parts[part][weight], change, scale)
    return len(changes)


def _merge(weight: Lazy, change: LowRank, scale: float) -> Lazy:
    def add(value: torch.Tensor) -> torch.Tensor:
        product = change.up.load().float().flatten(1) @ change.down.load().float().flatten(1)  # (out, in * kernel)
        return (value.float() + scale * change.strength * product.view(value.shape)).to(value.dtype)

    return weight.changed(weight.shape, add)


def changed_weights(
    lora: Lora,
    shapes: Mapping[str, Mapping[str, tuple[int, ...]]],
    field: str,
    attention_levels: tuple[bool, ...] = SD15_LEVELS,
    layers_per_block: int = 2,
) -> dict[tuple[str, str], LowRank]:
    """What a LoRA changes: (part, name of the weight) -> its change.

    Args:
        shapes: of the weights of the parts "unet" and "text_encoder", by their names.
        field: what errors are about.
        attention_levels, layers_per_block: of the UNet, as in `InstanceUNet`.

    Raises:
        BadInput: a tensor belongs to no layer or does not fit it, the file is for another model, is another kind of
            adapter or changes nothing.
    """
    layers = _layers(shapes, attention_levels, layers_per_block)
    pieces: dict[tuple[str, str], dict[str, Lazy]] = {}
    for name, tensor in lora.tensors.items():
        layer, role = _parse(name, field)
        if other := next((model for pattern, model in _OTHER_MODELS if re.search(pattern, name)), None):
            raise BadInput(field, f"is a LoRA for {other}; this model is Stable Diffusion 1.x ({name})")
        if layer not in layers:
            raise BadInput(field, f"{name} belongs to no layer of a Stable Diffusion 1.x UNet or text encoder")
        pieces.setdefault(layers[layer], {})[role] = tensor
    if not pieces:
        raise BadInput(field, "is no LoRA: it holds no tensor")

    changes = {}
    for (part, weight), own in pieces.items():
        about = f"{field}: {part} {weight}"
        if not {"down", "up"} <= own.keys():
            raise BadInput(about, f"has only {', '.join(sorted(own))} of the two factors")
        rank = _checked_rank(own["down"].shape, own["up"].shape, shapes[part][weight], about)
        strength = _strength(lora.notes.get(part, lora.notes.get("", {})), weight, rank, own.get("alpha"), field)
        changes[part, weight] = LowRank(own["down"], own["up"], strength)
    return changes


def _layers(
    shapes: Mapping[str, Mapping[str, tuple[int, ...]]], attention_levels: tuple[bool, ...], layers_per_block: int
) -> dict[str, tuple[str, str]]:
    """Every name that LoRA files use for a layer -> (part, name of its weight)."""
    layers = {}
    for part, others in (("unet", ("unet", "lora_unet")), ("text_encoder", ("text_encoder", "lora_te"))):
        for weight in shapes[part]:
            if not weight.endswith(".weight") or weight.startswith("stock_conv_in."):
                continue
            layer = weight.removesuffix(".weight")
            if part == "unet":
                theirs = parameter_names.reference_unet_key(weight, attention_levels, layers_per_block)
            else:
                theirs = f"text_model.{weight}"
            for name in (layer, theirs.removesuffix(".weight")):
                layers[f"{others[0]}.{name}"] = layers[f"{others[1]}_{name.replace('.', '_')}"] = part, weight
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


def _checked_rank(down: tuple[int, ...], up: tuple[int, ...], weight: tuple[int, ...], about: str) -> int:
    """The rank of two factors, by their shapes and that of the weight that they change."""
    rank = down[0] if down else 0
    is_factor = rank > 0 and up[1:2] == (rank,) and math.prod(up[2:]) == 1
    if not is_factor or up[0] != weight[0] or math.prod(down[1:]) != math.prod(weight[1:]):
        fit = f"{list(up)} and {list(down)} do not fit a weight of {list(weight)}; the LoRA is for another model"
        raise BadInput(about, f"factors of shape {fit}")
    return rank


def _strength(notes: Mapping, weight: str, rank: int, beside: Lazy | None, field: str) -> float:
    """Of a change ``up @ down``: alpha / rank, where alpha stands beside it, in the notes, or else is the rank."""
    alpha: object = notes.get("lora_alpha", rank)
    if beside is not None:
        alpha = beside.load().item() if math.prod(beside.shape) == 1 else None
    elif notes.get("alpha_pattern"):
        alpha = _alpha_of_layer(notes["alpha_pattern"], weight, field) or alpha
    if not isinstance(alpha, int | float) or not math.isfinite(alpha):
        raise BadInput(field, f"is damaged: the alpha of {weight} is no number")
    return alpha / (math.sqrt(rank) if notes.get("use_rslora") else rank)


def _alpha_of_layer(patterns: object, weight: str, field: str) -> object:
    """What the notes say for this layer alone, or None."""
    if not isinstance(patterns, dict) or not all(re.fullmatch(r"\^?[\w.]+", pattern) for pattern in patterns):
        raise BadInput(field, f"is a LoRA with alpha_pattern {patterns}, of which only names of layers are read")
    layer = weight.removesuffix(".weight").removeprefix("text_model.")
    for pattern, alpha in patterns.items():
        if f".{layer}".endswith(f".{pattern.removeprefix('^').removeprefix('text_model.')}"):
            return alpha
    return None
