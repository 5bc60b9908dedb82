"""What the painter learns from: composed scenes as records, and batches of them with parts left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from transformers import CLIPTokenizer

from instdiff.layout import SCRIBBLE_POINTS, Instance, Layout
from instdiff.model.autoencoder import PatchAutoencoder
from instdiff.model.grounding import MAX_INSTANCES, POLYGON_POINTS, REGION_GRID, Grounding, place_grounding
from instdiff.training.draft.scenes import MASK_SIZE, MOST_INSTANCES, StoredInstance, shrink_mask

if TYPE_CHECKING:
    from instdiff.training.draft.composer import Composite

SLOTS = MOST_INSTANCES
SEG_SIZE = 128
CAPTION_TOKENS = 77
PHRASE_TOKENS = 24
# Kinds of place per layout, letters as in `StoredInstance.places`; "?" draws one for every instance. The model is never
# left to guess how large a thing is: a point or a scribble comes with the box that it reaches (see
# `instdiff.model.grounding`).
PLACE_KINDS = ["b", "m", "bs", "bp", "?"]
PLACE_SHARES = [0.66, 0.10, 0.08, 0.08, 0.08]
DROP_CAPTION = 0.10
DROP_GROUNDING = 0.07
DROP_BOTH = 0.05
ONE_INSTANCE = 0.08
TOKENS_KEPT = 100_000
# Of a grounding, what a record has for each slot. Text comes with the batch.
PACKED = ("segs", "regions")  # as bits
PLACES = tuple(field.name for field in fields(Grounding) if field.name not in ("text", *PACKED))


class SceneBatch(NamedTuple):
    """B training samples; captions as tokens, padded."""

    latents: torch.Tensor  # (B, C, h, w) scaled for denoising
    captions: torch.Tensor  # (B, 77)
    grounding: Grounding  # without text features
    phrases: torch.Tensor  # (B, N, 24) captions of the instances in their slots

    def to(self, device: torch.device) -> SceneBatch:
        latents, captions, grounding, phrases = (part.to(device) for part in self)
        return SceneBatch(latents, captions, grounding, phrases)


class PainterScenes:
    """Records scenes as the painter learns from them: latents, captions as tokens, and places of a random kind.

    Args:
        autoencoder: its encoder makes the latents.
    """

    def __init__(self, tokenizer: CLIPTokenizer, autoencoder: PatchAutoencoder):
        config = autoencoder.config
        self.patch = config.patch
        self.tokenizer = tokenizer
        scale = config.scaling_factor
        self.matrix = (scale * autoencoder.encoder.weight.detach().float()).flatten(1).numpy()  # (C, 3 * patch**2)
        self.offset = (scale * autoencoder.encoder.bias.detach().float()).numpy()
        cells = 256 // self.patch
        self.dtype = np.dtype(
            [
                ("latents", np.float16, (config.latent_channels, cells, cells)),
                ("captions", np.int16, CAPTION_TOKENS),
                ("phrases", np.int16, (SLOTS, PHRASE_TOKENS)),
                ("used", np.bool_, SLOTS),
                ("extent", np.float32, (SLOTS, 4)),
                ("segs", np.uint8, (SLOTS, MASK_SIZE**2 // 8)),
                ("regions", np.uint8, (SLOTS, REGION_GRID**2 // 8)),
                ("box_xy", np.float32, (SLOTS, 4)),
                ("has_box", np.bool_, SLOTS),
                ("point_xy", np.float32, (SLOTS, 2)),
                ("has_point", np.bool_, SLOTS),
                ("scribble_xy", np.float32, (SLOTS, 2 * SCRIBBLE_POINTS)),
                ("has_scribble", np.bool_, SLOTS),
                ("polygon_xy", np.float16, (SLOTS, 2 * POLYGON_POINTS)),
                ("has_polygon", np.bool_, SLOTS),
            ]
        )

    def record(self, composite: Composite, rng: np.random.Generator) -> np.ndarray:
        kinds = str(rng.choice(PLACE_KINDS, p=PLACE_SHARES))
        things = composite.instances
        instances = []
        for i in rng.permutation(len(things))[:SLOTS]:
            thing = things[i]
            stored = StoredInstance(thing.category, thing.caption, thing.box, shrink_mask(thing.mask))
            places = stored.places(str(rng.choice(PLACE_KINDS[:-1])) if kinds == "?" else kinds, rng)
            instances.append(Instance(caption=thing.caption, **places))
        return self.record_layout(composite.image, Layout(caption=composite.caption, instances=tuple(instances)), rng)

    def record_layout(self, image: np.ndarray, layout: Layout, rng: np.random.Generator) -> np.ndarray:
        """The record of a picture (S, S, 3) uint8 whose layout is told as it is."""
        record = np.zeros((), self.dtype)
        record["latents"] = self._latents(image)
        record["captions"] = self._tokens(layout.caption, CAPTION_TOKENS)
        record["phrases"] = self._tokens("", PHRASE_TOKENS)
        for slot, instance in enumerate(layout.instances):
            record["phrases"][slot] = self._tokens(instance.caption, PHRASE_TOKENS)
        grounding = place_grounding(layout, int(rng.integers(2**31)), MASK_SIZE, SLOTS)
        for name in PLACES:
            record[name] = getattr(grounding, name)[0].numpy()
        for name in PACKED:
            record[name] = np.packbits(getattr(grounding, name)[0, :SLOTS].flatten(1).numpy().astype(bool), axis=1)
        return record

    def _latents(self, image: np.ndarray) -> np.ndarray:
        """The encoder of `PatchAutoencoder` as one product."""
        cells, patch = len(image) // self.patch, self.patch
        pixels = image.reshape(cells, patch, cells, patch, 3).transpose(0, 2, 4, 1, 3).reshape(cells**2, -1)
        latents = (pixels.astype(np.float32) / 127.5 - 1) @ self.matrix.T + self.offset
        return latents.T.reshape(-1, cells, cells)

    def _tokens(self, caption: str, length: int) -> np.ndarray:
        return tokens_of(self.tokenizer, caption, length)


@lru_cache(maxsize=TOKENS_KEPT)
def tokens_of(tokenizer: CLIPTokenizer, caption: str, length: int) -> np.ndarray:
    """(length,) of a caption, cut off or padded."""
    found = tokenizer(caption, padding="max_length", truncation=True, max_length=length).input_ids
    return np.array(found, np.int16)


class SampleUnpacker:
    """Makes batches of records, with what is left out of some samples.

    Captions, places, or all things but one are left out, so that the model can be guided, and the Multi-Instance
    Sampler has what it asks for.
    """

    def __init__(self, tokenizer: CLIPTokenizer):
        self.empty_caption = torch.from_numpy(tokens_of(tokenizer, "", CAPTION_TOKENS)).long()  # (77,)
        self.end = tokenizer.eos_token_id

    def __call__(self, records: Mapping[str, torch.Tensor], generator: torch.Generator | None) -> SceneBatch:
        """A batch of records, whose fields are (B, ...) each; without a generator nothing is left out."""
        used = records["used"]
        slots = torch.arange(SLOTS, device=used.device).repeat(len(used), 1)  # what comes into each slot
        kept = torch.ones_like(used)
        captions = records["captions"].long()
        phrases = records["phrases"].long()
        if generator is not None:
            draw = torch.rand(len(used), device=used.device, generator=generator)
            chosen = (torch.rand(used.shape, device=used.device, generator=generator) * used).argmax(dim=1)
            alone = (draw < ONE_INSTANCE) & used.any(dim=1)
            slots[alone, chosen[alone]] = 0
            slots[alone, 0] = chosen[alone]
            kept[alone, 1:] = False
            phrases = phrases.gather(1, slots[..., None].expand_as(phrases))
            captions[alone] = F.pad(phrases[alone, 0], (0, CAPTION_TOKENS - PHRASE_TOKENS), value=self.end)
            bounds = np.cumsum([ONE_INSTANCE, DROP_CAPTION, DROP_BOTH, DROP_GROUNDING])
            captions[(draw >= bounds[0]) & (draw < bounds[2])] = self.empty_caption.to(captions)
            kept[(draw >= bounds[1]) & (draw < bounds[3])] = False

        def of_slots(name: str) -> torch.Tensor:
            values = records[name]
            shape = (*used.shape, *[1] * (values.dim() - 2))
            values = values.gather(1, slots.view(shape).expand_as(values)) * kept.view(shape)
            return values.float() if values.is_floating_point() else values

        masks = F.interpolate(_unpack_bits(of_slots("segs"), MASK_SIZE).float(), (SEG_SIZE, SEG_SIZE))
        masks = F.pad(masks, (0, 0, 0, 0, 0, MAX_INSTANCES - SLOTS))  # the planes that the ConvNeXt reads
        grounding = Grounding(
            text=masks.new_zeros(*used.shape, 0),
            segs=masks,
            regions=_unpack_bits(of_slots("regions"), REGION_GRID),
            **{name: of_slots(name) for name in PLACES},
        )
        return SceneBatch(records["latents"].float(), captions, grounding, phrases)


def _unpack_bits(packed: torch.Tensor, side: int) -> torch.Tensor:
    """(B, N, side**2 / 8) uint8 -> (B, N, side, side) bool."""
    bits = 2 ** torch.arange(7, -1, -1, device=packed.device, dtype=torch.uint8)
    return ((packed[..., None] & bits) != 0).flatten(2).unflatten(2, (side, side))
