"""Weights on disk in one byte each: small models for a repository, whose digits beyond that nobody sees.

A folder holds the model's ``config.json`` and ``weights_int8.safetensors``. There, a matrix or kernel ``NAME`` is int8,
(O, ...), beside its ``NAME.scale``, float32 (O,): row i is ``NAME[i] * NAME.scale[i]``. All else is in half precision.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Self

import torch
from diffusers import ModelMixin
from safetensors.torch import load_file, save_file
from torch import nn

FILE = "weights_int8.safetensors"
SCALE = ".scale"  # after the name of what it belongs to
LARGEST = 127


class Int8Model(ModelMixin):
    """A model whose ``from_pretrained`` reads folders of `save_int8` too."""

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | os.PathLike, **kwargs: Any) -> Self:
        """Load a model, as diffusers does; of weights in one byte each, in single precision or that of ``dtype``.

        Raises:
            OSError: there is none, or its weights are not those of its config.
        """
        folder = Path(pretrained_model_name_or_path, kwargs.get("subfolder") or "")
        if not (folder / FILE).is_file():
            return super().from_pretrained(pretrained_model_name_or_path, **kwargs)
        model = cls.from_config(cls.load_config(folder))
        try:
            model.load_state_dict(unpack(load_file(folder / FILE)))
        except RuntimeError as error:
            raise OSError(f"{folder / FILE} holds other weights than its config says") from error
        dtype = kwargs.get("dtype") or kwargs.get("torch_dtype")
        if isinstance(dtype, torch.dtype):
            nn.Module.to(model, dtype)  # diffusers' own warns of layers to be kept in single precision; here are none
        return model.eval()


def save_int8(model: Int8Model, folder: Path) -> None:
    """Write a model's config and its weights, which its ``from_pretrained`` reads."""
    model.save_config(folder)
    save_file(pack(model.state_dict()), folder / FILE)


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
