"""The first weights of a training that does not begin from nothing."""

from __future__ import annotations

from pathlib import Path

from diffusers import ModelMixin

from instdiff.errors import BadInput

THRESHOLDS = ("score_threshold", "found_score")


def take_over(model: ModelMixin, folder: Path) -> None:
    """Copy those weights of a folder's model that have the shapes of the model's own, perhaps of other categories.

    The scores from which on it reports things go with them, until they are chosen anew.

    Raises:
        BadInput: the folder holds no such model, or one of other widths.
    """
    try:
        started = type(model).from_pretrained(folder)
    except OSError as error:
        raise BadInput("start", f"{folder} holds no {type(model).__name__}: {error}") from error
    if list(started.config.channels) != list(model.config.channels):
        widths = f"{list(started.config.channels)}, not {list(model.config.channels)}"
        raise BadInput("start", f"the {type(model).__name__} in {folder} has the widths {widths}")
    shapes = {name: value.shape for name, value in model.state_dict().items()}
    weights = {name: value for name, value in started.state_dict().items() if shapes.get(name) == value.shape}
    model.load_state_dict(weights, strict=False)
    model.register_to_config(**{name: started.config[name] for name in THRESHOLDS if name in started.config})
