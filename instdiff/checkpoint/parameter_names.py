"""Parameter names of the InstanceDiffusion reference and of Stable Diffusion 1.x <-> ours (those of diffusers).

By hand, where diffusers' single-file loader has tables for Stable Diffusion: that passes over names that it does not
know, which an account of every tensor cannot; it wants the tensors in memory; and it knows no way back.
"""

from __future__ import annotations

import re

_RESNET = {
    "in_layers.0": "norm1",
    "in_layers.2": "conv1",
    "emb_layers.1": "time_emb_proj",
    "out_layers.0": "norm2",
    "out_layers.3": "conv2",
    "skip_connection": "conv_shortcut",
}
_KINDS = ("box", "point", "scribble", "polygon", "seg")
_UNIFUSION = [
    (r"null_positive_feature", "null_text"),
    (r"null_position_feature", "null_place.box"),
    (r"null_(point|scribble|polygon|seg)_feature", r"null_place.\1"),
    (r"pos_embedding", "seg_positions"),
    (r"in_conv\.", "seg_conv_in."),
    (r"linears_list\.(\d)\.", lambda m: f"tokenizers.{_KINDS[int(m[1])]}."),
    (r"convnext_tiny_backbone\.downsample_layers\.0\.0\.", "convnext.embeddings.patch_embeddings."),
    (r"convnext_tiny_backbone\.downsample_layers\.0\.1\.", "convnext.embeddings.layernorm."),
    (r"convnext_tiny_backbone\.downsample_layers\.(\d)\.", r"convnext.encoder.stages.\1.downsampling_layer."),
    (r"convnext_tiny_backbone\.(stages\.\d)\.(\d)\.gamma", r"convnext.encoder.\1.layers.\2.layer_scale_parameter"),
    (r"convnext_tiny_backbone\.stages\.(\d)\.(\d)\.norm\.", r"convnext.encoder.stages.\1.layers.\2.layernorm."),
    (r"convnext_tiny_backbone\.stages\.(\d)\.(\d)\.", r"convnext.encoder.stages.\1.layers.\2."),
]
_UNIFUSION_BACK = [
    (r"null_text", "null_positive_feature"),
    (r"null_place\.box", "null_position_feature"),
    (r"null_place\.(point|scribble|polygon|seg)", r"null_\1_feature"),
    (r"seg_positions", "pos_embedding"),
    (r"seg_conv_in\.", "in_conv."),
    (r"tokenizers\.(\w+)\.", lambda m: f"linears_list.{_KINDS.index(m[1])}."),
    (r"convnext\.embeddings\.patch_embeddings\.", "convnext_tiny_backbone.downsample_layers.0.0."),
    (r"convnext\.embeddings\.layernorm\.", "convnext_tiny_backbone.downsample_layers.0.1."),
    (r"convnext\.encoder\.stages\.(\d)\.downsampling_layer\.", r"convnext_tiny_backbone.downsample_layers.\1."),
    (r"convnext\.encoder\.(stages\.\d)\.layers\.(\d)\.layer_scale_parameter", r"convnext_tiny_backbone.\1.\2.gamma"),
    (r"convnext\.encoder\.stages\.(\d)\.layers\.(\d)\.layernorm\.", r"convnext_tiny_backbone.stages.\1.\2.norm."),
    (r"convnext\.encoder\.stages\.(\d)\.layers\.(\d)\.", r"convnext_tiny_backbone.stages.\1.\2."),
]
_UNET_ENDS = {
    "conv_in": "input_blocks.0.0", "stock_conv_in": "sd_first_conv", "conv_norm_out": "out.0", "conv_out": "out.2",
}  # fmt: skip
_VAE_ENDS = {
    "norm_out": "conv_norm_out",
    "mid.block_1": "mid_block.resnets.0",
    "mid.block_2": "mid_block.resnets.1",
    "mid.attn_1.norm": "mid_block.attentions.0.group_norm",
    "mid.attn_1.q": "mid_block.attentions.0.to_q",
    "mid.attn_1.k": "mid_block.attentions.0.to_k",
    "mid.attn_1.v": "mid_block.attentions.0.to_v",
    "mid.attn_1.proj_out": "mid_block.attentions.0.to_out.0",
}


def _rename(name: str, patterns: list) -> str:
    """The name with the first pattern that fits its start replaced."""
    for pattern, replacement in patterns:
        renamed, count = re.subn(f"^{pattern}", replacement, name)
        if count:
            return renamed
    raise KeyError(name)


def _resnet(name: str) -> str:
    for theirs, ours in _RESNET.items():
        name = name.replace(f"{theirs}.", f"{ours}.")
    return name


def unifusion_key(name: str) -> str:
    """Our `UniFusion` name of the reference's ``position_net.*`` name."""
    return _rename(name.removeprefix("position_net."), _UNIFUSION)


def reference_unifusion_key(name: str) -> str:
    """The reference's name of our `UniFusion` name."""
    return f"position_net.{_rename(name, _UNIFUSION_BACK)}"


def unet_key(name: str, levels: int = 4, layers: int = 2) -> str:
    """Our `InstanceUNet` name of a reference UNet name (everything outside ``position_net.*``).

    Args:
        levels: number of resolution levels.
        layers: residual blocks per encoder level.

    Raises:
        KeyError: it is no name of the reference.
    """
    part, _, tail = name.partition(".")
    if part.startswith("scaleu_"):
        _, kind, index = part.split("_")
        return f"up_blocks.{int(index) // (layers + 1)}.scaleu.{int(index) % (layers + 1)}.{kind}"
    if part == "time_embed":
        return f"time_embedding.linear_{1 if tail[0] == '0' else 2}{tail[1:]}"
    if part == "sd_first_conv":
        return f"stock_conv_in.{tail}"
    if part == "out":
        return f"conv_norm_out{tail[1:]}" if tail[0] == "0" else f"conv_out{tail[1:]}"
    if part == "middle_block":
        index, _, tail = tail.partition(".")
        return f"mid_block.{_layer_key(int(index) // 2, tail, index == '1')}"

    place = re.fullmatch(r"(\d+)\.(\d+)\.(.*)", tail)
    if not place:
        raise KeyError(name)
    block = int(place[1])
    is_attention = place[2] != "0"
    tail = place[3]
    if part == "input_blocks":
        if block == 0:
            return f"conv_in.{tail}"
        level, layer = divmod(block - 1, layers + 1)
        if layer == layers:
            return f"down_blocks.{level}.downsamplers.0.conv.{tail.removeprefix('op.')}"
        return f"down_blocks.{level}." + _layer_key(layer, tail, is_attention)
    level, layer = divmod(block, layers + 1)
    if tail.startswith("conv."):
        return f"up_blocks.{level}.upsamplers.0.{tail}"
    return f"up_blocks.{level}." + _layer_key(layer, tail, is_attention)


def _layer_key(layer: int, tail: str, is_attention: bool) -> str:
    return f"attentions.{layer}.{tail}" if is_attention else f"resnets.{layer}.{_resnet(tail)}"


def reference_unet_key(name: str, attends: tuple[bool, ...] = (True, True, True, False), layers: int = 2) -> str:
    """The reference's name of our `InstanceUNet` name.

    Args:
        attends: which levels of the encoder have transformers.
        layers: residual blocks per encoder level.
    """
    part, _, tail = name.partition(".")
    if part in _UNET_ENDS:
        return f"{_UNET_ENDS[part]}.{tail}"
    if part == "time_embedding":
        layer, _, tail = tail.partition(".")
        return f"time_embed.{0 if layer == 'linear_1' else 2}.{tail}"
    if part == "mid_block":
        kind, index, tail = tail.split(".", 2)
        if kind == "attentions":
            return f"middle_block.1.{tail}"
        return f"middle_block.{2 * int(index)}.{_resnet_back(tail)}"

    level_text, kind, index, tail = tail.split(".", 3)
    level = int(level_text)
    block = level * (layers + 1) + int(index) + (part == "down_blocks")
    if kind == "scaleu":
        return f"scaleu_{tail}_{block}"
    side = "input_blocks" if part == "down_blocks" else "output_blocks"
    if kind == "downsamplers":
        return f"{side}.{(level + 1) * (layers + 1)}.0.op.{tail.removeprefix('conv.')}"
    if kind == "upsamplers":
        return f"{side}.{block + layers}.{1 + attends[-1 - level]}.{tail}"
    return f"{side}.{block}.1.{tail}" if kind == "attentions" else f"{side}.{block}.0.{_resnet_back(tail)}"


def _resnet_back(name: str) -> str:
    theirs = {ours: theirs for theirs, ours in _RESNET.items()}
    layer, _, tail = name.partition(".")
    return f"{theirs[layer]}.{tail}"


def vae_key(name: str, levels: int = 4) -> str:
    """The `AutoencoderKL` name of a checkpoint's autoencoder name, without the prefix ``first_stage_model.``."""
    side, _, tail = name.partition(".")
    for theirs, ours in _VAE_ENDS.items():
        if tail.startswith(f"{theirs}."):
            return f"{side}.{ours}{tail.removeprefix(theirs)}"
    place = re.fullmatch(r"(down|up)\.(\d)\.(?:block\.(\d)|(?:down|up)sample)\.(.*)", tail)
    if not place:
        return name
    way, level_text, block, tail = place.groups()
    level = int(level_text) if way == "down" else levels - 1 - int(level_text)
    if block is None:
        return f"{side}.{way}_blocks.{level}.{way}samplers.0.{tail}"
    return f"{side}.{way}_blocks.{level}.resnets.{block}.{tail.replace('nin_shortcut', 'conv_shortcut')}"


def reference_vae_key(name: str, levels: int = 4) -> str:
    """A checkpoint's autoencoder name of an `AutoencoderKL` name."""
    side, _, tail = name.partition(".")
    for theirs, ours in _VAE_ENDS.items():
        if tail.startswith(f"{ours}."):
            return f"{side}.{theirs}{tail.removeprefix(ours)}"
    place = re.fullmatch(r"(down|up)_blocks\.(\d)\.(?:resnets\.(\d)|(?:down|up)samplers\.0)\.(.*)", tail)
    if not place:
        return name
    way, level_text, block, tail = place.groups()
    level = int(level_text) if way == "down" else levels - 1 - int(level_text)
    if block is None:
        return f"{side}.{way}.{level}.{way}sample.{tail}"
    return f"{side}.{way}.{level}.block.{block}.{tail.replace('conv_shortcut', 'nin_shortcut')}"
