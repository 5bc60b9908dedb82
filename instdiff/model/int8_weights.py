"""Weights on disk in one byte each: small models for a repository, whose digits beyond that nobody sees."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import torch
from diffusers import ModelMixin
from safetensors.torch import load_file, save_file

FILE = "weights_int8.safetensors"
SCALE = ".scale"  # after the name of what it belongs to
LARGEST = 127

Model = TypeVar("Model", bound=ModelMixin)


def save_int8(model: ModelMixin, folder: Path) -> None:
    """Write a model's config and its weights, which `load_int8` reads."""
    model.save_config(folder)
    save_file(pack(model.state_dict()), folder / FILE)


def load_int8(model_class: type[Model], folder: Path) -> Model:
    """The model in a folder of `save_int8` or of ``save_pretrained``, in single precision.

    Raises:
        OSError: there is none, or its weights are not those of its config.
    """
    if not (folder / FILE).exists():
        return model_class.from_pretrained(folder)
    model = model_class.from_config(model_class.load_config(folder))
    try:
        model.load_state_dict(unpack(load_file(folder / FILE)))
    except RuntimeError as error:
        raise OSError(f"{folder / FILE} holds other weights than its config says") from error
    return model


def pack(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Matrices and kernels as int8 with a scale for each output, (O, ...) and (O,); the rest in half precision."""
    packed = {}
    for name, value in weights.items():
        if not value.is_floating_point():
            packed[name] = value.contiguous()
        elif value.dim() < 2:
            packed[name] = value.half().contiguous()
        else:
            rows = value.float().flatten(1)
            scale = (rows.abs().amax(dim=1) / LARGEST).clamp(min=torch.finfo(torch.float32).tiny)
            packed[name] = (rows / scale[:, None]).round().to(torch.int8).reshape(value.shape).contiguous()
            packed[name + SCALE] = scale
    return packed


def unpack(packed: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The weights that `pack` was given, rounded, in single precision."""
    weights = {}
    for name, value in packed.items():
        if name.endswith(SCALE):
            continue
        if value.dtype == torch.int8:
            scale = packed[name + SCALE]
            value = (value.float().flatten(1) * scale[:, None]).reshape(value.shape)
        weights[name] = value.float() if value.is_floating_point() else value
    return weights
