"""The first weights of a training that does not begin from nothing."""

from __future__ import annotations

from pathlib import Path

from diffusers import ModelMixin
from safetensors.torch import load_file

from instdiff.errors import BadInput

WEIGHTS = "diffusion_pytorch_model.safetensors"


def take_over(model: ModelMixin, folder: Path) -> None:
    """Copy those weights of a folder's model that have the shapes of the model's own, perhaps of other categories.

    Raises:
        BadInput: the folder holds no weights, or none of them fits.
    """
    path = folder / WEIGHTS
    if not path.is_file():
        raise BadInput("start", f"{folder} has no {WEIGHTS}")
    own = model.state_dict()
    fitting = {
        name: value.float()
        for name, value in load_file(path).items()
        if name in own and value.shape == own[name].shape and value.dim()
    }
    if not fitting:
        raise BadInput("start", f"no weights of {folder} have the shapes of this model's")
    model.load_state_dict(fitting, strict=False)
