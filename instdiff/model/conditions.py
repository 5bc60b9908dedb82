"""What each trajectory of a layout is painted from: captions and places, read once for all steps."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from diffusers import ModelMixin

from instdiff.errors import BadInput
from instdiff.layout import Layout
from instdiff.model.grounding import Grounding, empty_grounding, place_grounding, with_reach, with_text
from instdiff.model.sampler import Condition
from instdiff.model.unet import InstanceUNet
from instdiff.model.unifusion import UniFusion, slots_for, token_counts


class EncodedCaption(NamedTuple):
    """What the text encoder gives for one caption."""

    features: torch.Tensor  # (1, 77, D)
    pooled: torch.Tensor  # (1, D)


@dataclass
class ConditionReader:
    """Reads layouts with the parts of one model.

    Attributes:
        vae: makes the latents of a place map's first guess, where ``sketches`` are asked for.
        captions: every caption of the layouts and of their instances, encoded.
        latent_size: (H, W) of the latents.
        device: where the parts compute.
        dtype: of the UNet.
        slots: instances that the model has room for in this call.
    """

    unet: InstanceUNet
    unifusion: UniFusion
    vae: ModelMixin
    captions: dict[str, EncodedCaption]
    latent_size: tuple[int, int]
    device: torch.device
    dtype: torch.dtype
    sketches: bool
    slots: int

    def read(
        self, layouts: Sequence[Layout], apart: Sequence[Collection[int]], guided: bool
    ) -> tuple[list[list[Condition]], list[Condition]]:
        """Per layout: the whole, then each instance of ``apart`` alone; and the negative, shared where the same.

        Without guidance nobody asks for negatives, and the wholes stand for them.
        """
        conditions = [self._of_layout(layout, alone) for layout, alone in zip(layouts, apart, strict=True)]
        if not guided:
            return conditions, [own[0] for own in conditions]
        nowhere = empty_grounding(self.slots, self.unifusion.config.seg_size).to(self.device)
        nowhere = with_text(nowhere, self._pooled([]))
        unwanted = dict.fromkeys(layout.negative_caption for layout in layouts)
        negatives = {caption: self._condition(nowhere, caption) for caption in unwanted}
        return conditions, [negatives[layout.negative_caption] for layout in layouts]

    def _of_layout(self, layout: Layout, alone: Collection[int]) -> list[Condition]:
        """The whole, then each instance of ``alone`` under its own caption."""
        names = phrases(layout)
        mapper = self.unifusion.place_mapper
        placed = with_reach(layout) if mapper else layout
        places = place_grounding(placed, seg_size=self.unifusion.config.seg_size, slots=self.slots).to(self.device)
        whole = with_text(places, self._pooled(names))
        drawings = mapper.draw(whole) if mapper else None  # alone an instance looks the same
        each = [None] * len(names) if drawings is None else drawings.split(1)
        branches = [self._condition(whole.pick(0, i), names[i], each[i]) for i in sorted(alone)]
        return [self._condition(whole, layout.caption, drawings, self.sketches), *branches]

    def _condition(
        self, grounding: Grounding, caption: str, drawings: torch.Tensor | None = None, sketched: bool = False
    ) -> Condition:
        text, pooled = self.captions[caption]
        tokens = self.unifusion(grounding)
        place_map = sketch = cover = None
        if mapper := self.unifusion.place_mapper:
            guess = mapper.guess(grounding, pooled, self.latent_size, drawings)
            place_map = mapper.vectors(guess)
            if sketched:
                sketch = self.vae.encode_sketch(guess[:, :3], self.latent_size)
            cover = guess[0, 3]
        masked = self.unet.config.instance_masked
        counts = None if masked else token_counts(self.slots, self.unifusion.seg_tokens).to(self.device)
        return Condition(text.to(self.dtype), tokens, grounding.regions, place_map, counts, sketch, cover)

    def _pooled(self, names: Sequence[str]) -> torch.Tensor:
        """(len(names), D): their pooled features."""
        none = next(iter(self.captions.values())).pooled[:0]
        return torch.cat([none, *(self.captions[name].pooled for name in names)])


def phrases(layout: Layout) -> list[str]:
    """What each instance is told by: its caption, or its category where it has none."""
    return [instance.caption or instance.category for instance in layout.instances]


def captions_of(layouts: Sequence[Layout], guided: bool) -> list[str]:
    """All that the text encoder has to read for layouts, each caption once."""
    captions: dict[str, None] = {}
    for layout in layouts:
        unwanted = [layout.negative_caption] if guided else []
        captions |= dict.fromkeys((layout.caption, *unwanted, *phrases(layout)))
    return list(captions)


def encoded(captions: Sequence[str], features: torch.Tensor, pooled: torch.Tensor) -> dict[str, EncodedCaption]:
    """What the text encoder gave for all of them, (n, 77, D) and (n, D), by caption."""
    pairs = zip(features.split(1), pooled.split(1), strict=True)
    return {caption: EncodedCaption(*pair) for caption, pair in zip(captions, pairs, strict=True)}


def slots_of(layouts: Sequence[Layout], unet: InstanceUNet) -> int:
    """How many instances the model is given room for, so that all layouts fit in one batch."""
    return slots_for(max(len(layout.instances) for layout in layouts), unet.config.instance_masked)


def instances_apart(given: Sequence[Collection[int]] | None, layouts: Sequence[Layout]) -> Sequence[Collection[int]]:
    """For each layout the indices of the instances that are denoised on their own: those given, else all.

    Raises:
        BadInput: they are not as many as the layouts, or not there.
    """
    if given is None:
        return [range(len(layout.instances)) for layout in layouts]
    if len(given) != len(layouts):
        raise BadInput("apart", f"{len(given)} for {len(layouts)} layouts; give one for each")
    for own, layout in zip(given, layouts, strict=True):
        if unknown := sorted(set(own) - set(range(len(layout.instances)))):
            raise BadInput("apart", f"{unknown} of a layout that has {len(layout.instances)} instances, counted from 0")
    return given
