"""The numbers of a call of `InstanceDiffusionPipeline`, checked before anything is computed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from diffusers.callbacks import MultiPipelineCallbacks, PipelineCallback
from pydantic import Field, PositiveInt

from instdiff.errors import BadInput
from instdiff.layout import Layout
from instdiff.model.defaults import ModelDefaults
from instdiff.model.sampler import SamplingOptions
from instdiff.values import Fraction, Value

LEAST_STRENGTH = 1 / 1000  # the last of the steps that models are trained on


class UnknownName(BadInput, ValueError):
    """A tensor for a callback that is not there; diffusers' own pipelines raise a ValueError."""


class CallSettings(Value):
    """How a call paints; the fields are arguments of `InstanceDiffusionPipeline`, and explained there."""

    num_inference_steps: int = Field(ge=1, le=1000)
    guidance_scale: float = Field(ge=0.0, allow_inf_nan=False)
    alpha: Fraction
    mis: Fraction
    num_images_per_layout: PositiveInt
    max_batch: PositiveInt
    guidance_every: PositiveInt
    inner_every: PositiveInt
    choose_after: PositiveInt
    eta: float | None = Field(ge=0.0, allow_inf_nan=False)
    strength: float = Field(gt=0.0, le=1.0, allow_inf_nan=False)
    output_type: Literal["pil", "np", "pt", "latent"]

    @classmethod
    def over(cls, defaults: ModelDefaults, **asked: object) -> CallSettings:
        """What a call asks for, over what the model does by itself where that is None.

        Raises:
            BadInput: naming the argument and what it may be.
        """
        own = {name: getattr(defaults, name) for name in ("num_inference_steps", "guidance_scale", "alpha", "mis")}
        return cls.parse({**own, "eta": None, **{name: value for name, value in asked.items() if value is not None}})

    def sampling(self, defaults: ModelDefaults, changes: bool) -> SamplingOptions:
        """For the sampler; only a call that ``changes`` a picture goes through ``strength`` of the schedule."""
        share = self.strength if changes else 1.0
        return SamplingOptions(
            max(round(share * self.num_inference_steps), 1), self.guidance_scale, self.alpha, self.mis, self.max_batch,
            self.guidance_every, self.inner_every, self.eta, max(defaults.strength * share, LEAST_STRENGTH),
        )  # fmt: skip


def list_of_layouts(layouts: object) -> list[Layout]:
    """One layout or a list of them, as a list.

    Raises:
        BadInput: it is something else.
    """
    if isinstance(layouts, Layout):
        return [layouts]
    if not isinstance(layouts, (list, tuple)):
        cure = 'give Layout(caption="...", instances=[...]), or a list of layouts'
        raise BadInput("layouts", f"a {type(layouts).__name__} is no layout; {cure}")
    wrong = next((layout for layout in layouts if not isinstance(layout, Layout)), None)
    if wrong is not None:
        raise BadInput("layouts", f"holds a {type(wrong).__name__}, which is no layout")
    return list(layouts)


def common_size(layouts: list[Layout], multiple: int) -> tuple[int, int]:
    """The one size (width, height) in pixels of all layouts.

    Raises:
        BadInput: they have several, or a side that is no multiple of what is one latent.
    """
    sizes = {layout.size for layout in layouts}
    if len(sizes) != 1:
        raise BadInput("layouts", f"one batch has one size, not {sorted(sizes) or 'none'}")
    width, height = sizes.pop()
    if width % multiple or height % multiple:
        raise BadInput("size", f"{width} x {height}: both sides must be multiples of {multiple}")
    return width, height


def noise_of_each(latents: torch.Tensor, shape: tuple[int, ...], size: tuple[int, int]) -> torch.Tensor:
    """The noise that was handed in, for each picture; float32, as schedulers add up small differences.

    Args:
        latents: of the shape, or of one picture, from which all start.
        shape: (n, C, H, W) of n pictures of ``size`` (width, height).

    Raises:
        BadInput: it has another shape.
    """
    count, *one = shape
    if not isinstance(latents, torch.Tensor) or tuple(latents.shape) not in (shape, (1, *one)):
        needed = f"{shape} or {(1, *one)}" if count > 1 else str(shape)
        found = tuple(latents.shape) if isinstance(latents, torch.Tensor) else type(latents).__name__
        raise BadInput("latents", f"have shape {found}, but {count} pictures of {size[0]} x {size[1]} need {needed}")
    return latents.expand(shape).float()


def generator_of_each(generator: object, count: int) -> list[torch.Generator] | None:
    """The generator of each of ``count`` pictures; one alone serves them all, in their order.

    Raises:
        BadInput: they are not as many as the pictures, or no generators.
    """
    if generator is None:
        return None
    generators = list(generator) if isinstance(generator, (list, tuple)) else [generator]
    if wrong := next((one for one in generators if not isinstance(one, torch.Generator)), None):
        raise BadInput("generator", f"a {type(wrong).__name__} is none; give torch.Generator().manual_seed(0)")
    if len(generators) not in (1, count):
        raise BadInput("generator", f"{len(generators)} generators for {count} pictures; give one, or one for each")
    return generators * count if len(generators) == 1 else generators


def check_choice(chosen: Sequence[int], count: int) -> None:
    """Refuse a choice among ``count`` pictures that is none.

    Raises:
        BadInput: it is empty, names a picture twice, or one that is not there.
    """
    if not chosen or len(set(chosen)) < len(chosen) or not set(chosen) <= set(range(count)):
        raise BadInput("choose", f"says {chosen}; give one or more of the {count} pictures, each of them once")


def inputs_of_callback(callback: Callable | None, asked: Sequence[str] | None, known: list[str]) -> list[str]:
    """The tensors that a callback is given: those that one of diffusers' own names, else those that are asked for.

    Raises:
        BadInput: it cannot be called, or asks for what is not there.
    """
    if callback is not None and not callable(callback):
        raise BadInput("callback_on_step_end", f"a {type(callback).__name__} cannot be called")
    own = isinstance(callback, (PipelineCallback, MultiPipelineCallbacks))
    names = list(callback.tensor_inputs if own else asked or ())  # type: ignore[union-attr]
    for name in names:
        if name not in known:
            raise UnknownName("callback_on_step_end_tensor_inputs", f'"{name}" is not there; give {known}')
    return names
