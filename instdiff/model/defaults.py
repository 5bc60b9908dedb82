"""What a model folder says about how its model paints. Importing this module costs no torch."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import Field, PositiveInt

from instdiff.errors import BadInput
from instdiff.render_settings import RenderSettings
from instdiff.values import Value

# Where older model folders say that our classes are.
MOVED = {f"instdiff.{name}": f"instdiff.model.{name}" for name in ("autoencoder", "unet", "unifusion")}


class ModelDefaults(Value):
    """How a model paints where nothing else is asked for; what a model does not say is as the published one has it.

    A model says it in its ``model_index.json``, as the configuration of `InstanceDiffusionPipeline`;
    ``model_fields_set`` has the names of what it says.
    """

    num_inference_steps: int = Field(default=50, ge=1, le=1000)
    guidance_scale: float = Field(default=7.5, ge=0.0, le=50.0)
    alpha: float = Field(default=0.8, ge=0.0, le=1.0)
    mis: float = Field(default=0.36, ge=0.0, lt=1.0)
    noise_scale: float = Field(default=1.0, gt=0.0)  # the starting noise is multiplied by it
    strength: float = Field(default=1.0, gt=0.0, le=1.0)  # below 1, painting begins from a sketch with so much noise
    native_size: tuple[PositiveInt, PositiveInt] = (512, 512)  # (width, height) in pixels
    max_side: PositiveInt = 4096  # pixels; an engine paints larger layouts at this side, and enlarges them

    @property
    def settings(self) -> RenderSettings:
        """The settings among them."""
        return RenderSettings.parse(self.model_dump(include=set(RenderSettings.model_fields)))

    @property
    def stated(self) -> dict[str, object]:
        """By name, what was said and is not merely as in the published model."""
        return self.model_dump(exclude_unset=True)


def read_defaults(folder: Path) -> ModelDefaults:
    """The defaults of a model folder, from its model_index.json, else from the engine.json that older versions wrote.

    Raises:
        BadInput: a file of the folder is damaged, or says what no model can do.
    """
    index = _read_object(folder / "model_index.json")
    older = _read_object(folder / "engine.json")
    settings = RenderSettings.parse(older.get("defaults", {}), "engine.defaults")
    content = {**dict(settings), **older, **{name: value for name, value in index.items() if value is not None}}
    stated = {name: content[name] for name in ModelDefaults.model_fields if content.get(name) is not None}
    try:
        return ModelDefaults.parse(stated)
    except BadInput as error:
        raise BadInput("engine", f"{folder} is damaged: {error}") from error


def point_to_our_modules(index: dict) -> None:
    """In a model's index, set the modules that an older version names to where our classes lie now."""
    for component in index.values():
        if isinstance(component, list) and component and component[0] in MOVED:
            component[0] = MOVED[component[0]]


def _read_object(path: Path) -> dict:
    """The JSON object in a file, empty if there is no such file."""
    try:
        content = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    except (OSError, ValueError) as error:
        raise BadInput("engine", f"{path} is damaged: {error}") from error
    if not isinstance(content, dict):
        raise BadInput("engine", f"{path} is damaged: it holds a {type(content).__name__}, not an object")
    return content
