"""The golden figures, and models with the weights that they were made with."""

import json
from functools import cache
from pathlib import Path

import torch
from diffusers import PNDMScheduler
from golden_weights import fill
from safetensors.torch import load_file

from instdiff import rle
from instdiff.checkpoint import parameter_names
from instdiff.model.grounding import Grounding
from instdiff.model.unet import InstanceUNet
from instdiff.model.unifusion import UniFusion

FOLDER = Path(__file__).parent / "golden"
SMALL_UNET = {"block_out_channels": (32, 64, 128, 128), "cross_attention_dim": 64}
SMALL_UNIFUSION = {"text_dim": 64, "out_dim": 64, "mid_dim": 96}
# Which kinds of place each of the reference's configurations keeps: box, point, scribble, masks.
MODES = {"box": (1, 1, 0, 0), "mask": (1, 1, 0, 1), "point": (0, 1, 0, 0), "scribble": (1, 1, 1, 1)}


@cache
def tensors(name: str) -> dict[str, torch.Tensor]:
    return load_file(FOLDER / f"{name}.safetensors")


@cache
def figures(name: str) -> dict:
    return json.loads((FOLDER / f"{name}.json").read_text())


def load_models(keys_name: str, unet_config: dict, unifusion_config: dict) -> tuple[InstanceUNet, UniFusion]:
    """Both models with deterministic weights; every parameter of the reference must find its place."""
    unet = InstanceUNet(**unet_config).eval()
    unifusion = UniFusion(**unifusion_config).eval()
    shapes = dict(figures(keys_name))
    width = shapes["input_blocks.0.0.bias"][0]
    shapes |= {"sd_first_conv.weight": [width, 4, 3, 3], "sd_first_conv.bias": [width]}
    places = {name for name in shapes if name.startswith("position_net.")}
    unet.load_state_dict(
        {parameter_names.unet_key(n): fill(n, s) for n, s in shapes.items() if n not in places}, assign=True
    )
    unifusion.load_state_dict({parameter_names.unifusion_key(n): fill(n, shapes[n]) for n in places}, assign=True)
    return unet, unifusion


@cache
def small_models() -> tuple[InstanceUNet, UniFusion]:
    return load_models("keys_small", SMALL_UNET, SMALL_UNIFUSION)


def seg_planes(segs: list[list[list[int] | None]], size: int = 512) -> torch.Tensor:
    """Run lengths per sample and slot -> (B, 30, size, size)."""
    planes = torch.zeros(len(segs), 30, size, size)
    for sample, runs in enumerate(segs):
        for slot, counts in enumerate(runs):
            if counts:
                planes[sample, slot] = torch.from_numpy(rle.decode(counts, size, size).copy()).float()
    return planes


def grounding(inputs: dict[str, torch.Tensor], segs: torch.Tensor, mode: str) -> Grounding:
    """The golden inputs as one of the reference's configurations reads them."""
    box, point, scribble, masks = (bool(keep) for keep in MODES[mode])
    used = inputs["masks"] > 0
    # The reference counts a scribble or outline as given where coordinates and slot add up to more than 0.
    has_scribble, has_polygon = (inputs[name].sum(-1) + inputs["masks"] > 0 for name in ("scribbles", "polygons"))
    return Grounding(
        text=inputs["positive_embeddings"], used=used,
        box_xy=inputs["boxes"], has_box=used & box,
        point_xy=inputs["points"], has_point=used & point,
        scribble_xy=inputs["scribbles"], has_scribble=has_scribble & scribble,
        polygon_xy=inputs["polygons"], has_polygon=has_polygon & masks,
        segs=segs * masks,
        regions=torch.zeros(*used.shape, 32, 32, dtype=torch.bool), extent=inputs["boxes"],
    )  # fmt: skip


def small_grounding(mode: str) -> Grounding:
    return grounding(tensors("unifusion_small"), seg_planes(figures("segs_small")["segs"]), mode)


def plms() -> PNDMScheduler:
    """The reference's PLMS sampler and noise schedule."""
    return PNDMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        skip_prk_steps=True,
        set_alpha_to_one=False,
        steps_offset=1,
    )
