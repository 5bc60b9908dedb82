"""What the benchmark paints with: models of three sizes and layouts of n instances, all made from numbers alone."""

from __future__ import annotations

import json
import math
import zlib
from dataclasses import dataclass

import torch
from diffusers import DPMSolverMultistepScheduler, PNDMScheduler
from torch import nn

from instdiff.bench.reference_schedule import without
from instdiff.engine import DRAFT_FOLDER, PUBLISHED
from instdiff.grounding import MAX_INSTANCES, Grounding, empty_grounding, place_grounding, with_text
from instdiff.layout import Box, Instance, Layout
from instdiff.sampler import Condition, sample
from instdiff.unet import InstanceUNet
from instdiff.unifusion import UniFusion, slots_for, token_counts

SMALL_UNET = {"block_out_channels": (32, 64, 128, 128), "cross_attention_dim": 64}
SMALL_UNIFUSION = {"text_dim": 64, "out_dim": 64, "mid_dim": 96}


@dataclass
class Models:
    """A model to measure, without text encoder and decoder."""

    unet: InstanceUNet
    unifusion: UniFusion
    scheduler: object
    latent_side: int
    settings: dict  # num_inference_steps, guidance_scale, alpha


def load_models(size: str, device: torch.device, dtype: torch.dtype) -> Models:
    """``small`` and ``sd15`` with weights made from names, ``draft`` with its own."""
    if size == "draft":
        unet, unifusion = InstanceUNet.from_pretrained(DRAFT_FOLDER / "unet"), UniFusion.from_pretrained(DRAFT_FOLDER / "unifusion")
        scheduler, side = DPMSolverMultistepScheduler.from_pretrained(DRAFT_FOLDER / "scheduler"), 16
        settings = json.loads((DRAFT_FOLDER / "engine.json").read_text())["defaults"]
    else:
        small = size == "small"
        unet, unifusion = InstanceUNet(**SMALL_UNET if small else {}), UniFusion(**SMALL_UNIFUSION if small else {})
        for model in (unet, unifusion):
            fill(model)
        scheduler = PNDMScheduler(  # the reference's PLMS
            beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", skip_prk_steps=True, set_alpha_to_one=False, steps_offset=1
        )  # fmt: skip
        side, settings = (32 if small else 64), PUBLISHED
    settings = {key: value for key, value in settings.items() if key != "mis"}
    unet, unifusion = (model.to(device, dtype).eval() for model in (unet, unifusion))
    return Models(unet, unifusion, scheduler, side, settings)


@torch.no_grad()
def fill(model: nn.Module) -> None:
    """Weights that keep activations near unit size and open every gate; each is a function of its name and shape."""
    for name, value in model.named_parameters():
        z = numbers(name, value.shape)
        last = name.rsplit(".", 1)[-1]
        if last in ("alpha_attn", "alpha_dense") or ".scaleu." in name:
            z = z * 0.5 + z.sign() * 0.25
        elif last == "weight" and value.dim() == 1:
            z = 1 + 0.1 * z
        elif last == "weight":
            z = z / math.sqrt(math.prod(value.shape[1:]))
        elif last == "layer_scale_parameter":
            z = 0.25 * z
        elif not name.startswith("null_"):
            z = 0.05 * z
        value.copy_(z)


def numbers(name: str, shape: tuple[int, ...]) -> torch.Tensor:
    """Evenly distributed, of mean 0 and variance 1, and the same for a name on every machine."""
    generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
    return (torch.rand(tuple(shape), generator=generator) - 0.5) * math.sqrt(12)


class Case:
    """A layout of n boxes with made-up captions, and how to paint it.

    Args:
        off: savings to go without (see `reference_schedule.SAVINGS`).
    """

    def __init__(self, models: Models, instances: int, mis: float, steps: int | None, off: frozenset[str]):
        self.models, self.mis, self.off = models, mis, off
        self.settings = models.settings | ({"num_inference_steps": steps} if steps else {})
        self.masked, self.device = models.unet.config.instance_masked, models.unet.device
        self.slots = MAX_INSTANCES if "one_null_token" in off else slots_for(instances, self.masked)
        boxes = [Box(x0=0.05 + 0.07 * i, y0=0.1 + 0.05 * i, x1=0.3 + 0.07 * i, y1=0.45 + 0.05 * i) for i in range(instances)]
        self.layout = Layout(caption="", instances=[Instance(caption=f"thing {i}", box=box) for i, box in enumerate(boxes)])
        self.groundings: dict[Condition, Grounding] = {}

    def paint(self) -> torch.Tensor:
        """Latents of one picture: places, tokens, and all steps."""
        self.groundings.clear()
        with without(self.off, self.tokens_again), torch.no_grad():
            conditions, negative = self._conditions()
            side, channels = self.models.latent_side, self.models.unet.config.in_channels
            noise = numbers("noise", (1, channels, side, side)).to(self.device)
            unet, scheduler = self.models.unet, self.models.scheduler
            return sample(unet, scheduler, noise, [conditions], [negative], mis=self.mis, **self.settings)

    def _conditions(self) -> tuple[list[Condition], Condition]:
        text_dim, seg_size = self.models.unifusion.config.text_dim, self.models.unifusion.config.seg_size
        features = torch.stack([numbers(f"phrase {i}", (text_dim,)) for i in range(len(self.layout.instances))] or [torch.zeros(text_dim)])
        places = place_grounding(self.layout, seg_size=seg_size, slots=self.slots)
        whole = with_text(places, features[: len(self.layout.instances)]).to(self.device)
        alone = [whole.pick(0, i) for i in range(len(self.layout.instances))] if self.mis else []
        nothing = with_text(empty_grounding(self.slots, seg_size), features[:0]).to(self.device)
        *conditions, negative = (self._condition(f"caption {i}", g) for i, g in enumerate([whole, *alone, nothing]))
        return conditions, negative

    def _condition(self, name: str, grounding: Grounding) -> Condition:
        unet, unifusion, side = self.models.unet, self.models.unifusion, self.models.latent_side
        text = numbers(name, (1, 77, unet.config.cross_attention_dim)).to(self.device, unet.dtype)
        scene = numbers(f"scene of {name}", (1, unifusion.config.text_dim)).to(self.device)
        place_map = unifusion.place_mapper and unifusion.place_mapper(grounding, scene, (side, side))
        folded = not self.masked and "one_null_token" not in self.off
        counts = token_counts(self.slots, unifusion.seg_tokens).to(self.device) if folded else None
        condition = Condition(text, self._tokens(grounding), grounding.regions, place_map, counts)
        self.groundings[condition] = grounding
        return condition

    def _tokens(self, grounding: Grounding) -> torch.Tensor:
        if "no_idle_convnext" in self.off:
            self.models.unifusion.seg_features(grounding.segs.to(self.models.unifusion.dtype))
        return self.models.unifusion(grounding)

    def tokens_again(self, condition: Condition) -> torch.Tensor:
        return self._tokens(self.groundings[condition])
