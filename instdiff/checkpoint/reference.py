"""A model in the layout and names of the InstanceDiffusion reference, ready for `torch.save`."""

from __future__ import annotations

from collections.abc import Callable

import torch
from diffusers import AutoencoderKL
from diffusers.configuration_utils import FrozenDict

from instdiff.checkpoint import parameter_names
from instdiff.checkpoint.convert import AssembledModel
from instdiff.checkpoint.schedule import BETAS, STEPS, schedule_buffers
from instdiff.errors import BadInput


def reference_content(model: AssembledModel, on_bytes: Callable[[int], None] = lambda count: None) -> dict:
    """The reference's checkpoint: model, ema (the same tensors), text_encoder, autoencoder, diffusion, config_dict.

    The stock first convolution, which the reference reads from a file of its own, goes under ``sd_first_conv``, which
    the reference passes over and this package reads back.

    Raises:
        BadInput: the model has parts that the reference has no names for.
    """
    unet, unifusion, vae = (model.empty[part].config for part in ("unet", "unifusion", "vae"))
    has_its_sizes = (len(unet.block_out_channels), unet.layers_per_block) == (4, 2)
    has_its_vae = isinstance(model.empty["vae"], AutoencoderKL)
    if not has_its_vae or not has_its_sizes or unifusion.place_map or unet.instance_masked:
        cure = "only models of Stable Diffusion 1.x can go back"
        raise BadInput("to_reference", f"this model has parts that the reference has not; {cure}")

    content: dict[str, dict] = {"model": {}, "text_encoder": {}, "autoencoder": {}, "sd_first_conv": {}}
    for part, tensors in model.parts.items():
        for name, tensor in tensors.items():
            group, theirs = _reference_place(part, name, unet, vae)
            value = tensor.load().contiguous()
            on_bytes(tensor.nbytes)
            is_linear = ".attn_1." in theirs and part == "vae" and value.dim() == 2
            content[group][theirs] = value[..., None, None] if is_linear else value
    positions = model.empty["text_encoder"].config.max_position_embeddings
    content["text_encoder"]["transformer.text_model.embeddings.position_ids"] = torch.arange(positions)[None]
    content |= {"ema": content["model"], "diffusion": schedule_buffers()}
    content["config_dict"] = {"_content": _config(unet, unifusion, vae)}
    if not content["sd_first_conv"]:
        del content["sd_first_conv"]
    return content


def _reference_place(part: str, name: str, unet: FrozenDict, vae: FrozenDict) -> tuple[str, str]:
    """The group of the reference's checkpoint that a tensor of ours goes to, and its name there."""
    if name.startswith("stock_conv_in."):
        return "sd_first_conv", name.removeprefix("stock_conv_in.")
    if part == "unet":
        return "model", parameter_names.reference_unet_key(name, tuple(unet.attention_levels))
    if part == "unifusion":
        return "model", parameter_names.reference_unifusion_key(name)
    if part == "vae":
        return "autoencoder", parameter_names.reference_vae_key(name, len(vae.block_out_channels))
    return "text_encoder", f"transformer.text_model.{name}"


def _config(unet: FrozenDict, unifusion: FrozenDict, vae: FrozenDict) -> dict:
    """What the reference builds its models from."""
    width = unet.block_out_channels[0]
    tokenizer = {"in_dim": unifusion.text_dim, "out_dim": unifusion.out_dim, "mid_dim": unifusion.mid_dim}
    tokenizer["use_seperate_tokenizer"] = True
    tokenizer |= {f"train_add_{kind}": True for kind in ("boxes", "points", "scribbles", "masks")}
    # Boxes and points are kept, as in the reference's default for tests.
    tokenizer |= {
        f"test_drop_{kind}": kind in ("scribbles", "masks") for kind in ("boxes", "points", "scribbles", "masks")
    }
    places = {"target": "ldm.modules.diffusionmodules.text_grounding_net.UniFusion", "params": tokenizer}
    model = {
        "image_size": 64, "in_channels": unet.in_channels, "out_channels": unet.out_channels, "model_channels": width,
        "attention_resolutions": [2**level for level, attends in enumerate(unet.attention_levels) if attends][::-1],
        "num_res_blocks": unet.layers_per_block,
        "channel_mult": [channels // width for channels in unet.block_out_channels],
        "num_heads": unet.attention_heads, "transformer_depth": 1, "context_dim": unet.cross_attention_dim,
        "fuser_type": "gatedSA", "use_checkpoint": True, "sd_v1_5": True, "efficient_attention": True,
        "grounding_tokenizer": places,
    }  # fmt: skip
    base = vae.block_out_channels[0]
    autoencoder = {
        "double_z": True, "z_channels": vae.latent_channels, "resolution": 256,
        "in_channels": vae.in_channels, "out_ch": vae.out_channels, "num_res_blocks": vae.layers_per_block,
        "ch": base, "ch_mult": [channels // base for channels in vae.block_out_channels],
        "attn_resolutions": [], "dropout": 0.0,
    }  # fmt: skip
    noise = {"linear_start": BETAS[0], "linear_end": BETAS[1], "timesteps": STEPS}
    return {
        "model": {"target": "ldm.modules.diffusionmodules.openaimodel.UNetModel", "params": model},
        "diffusion": {"target": "ldm.models.diffusion.ldm.LatentDiffusion", "params": noise},
        "text_encoder": {"target": "ldm.modules.encoders.modules.FrozenCLIPEmbedder"},
        "autoencoder": {
            "target": "ldm.models.autoencoder.AutoencoderKL",
            "params": {"scale_factor": vae.scaling_factor, "embed_dim": vae.latent_channels, "ddconfig": autoencoder},
        },
        "grounding_tokenizer_input": {"target": "grounding_input.text_grounding_tokinzer_input.GroundingNetInput"},
    }
