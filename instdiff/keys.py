"""Parameter names of the InstanceDiffusion reference -> ours."""

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
_UNIFUSION = [
    (r"null_positive_feature", "null_text"),
    (r"null_position_feature", "null_place.box"),
    (r"null_(point|scribble|polygon|seg)_feature", r"null_place.\1"),
    (r"pos_embedding", "seg_positions"),
    (r"in_conv\.", "seg_conv_in."),
    (r"linears_list\.(\d)\.", lambda m: f"tokenizers.{('box', 'point', 'scribble', 'polygon', 'seg')[int(m[1])]}."),
    (r"convnext_tiny_backbone\.downsample_layers\.0\.0\.", "convnext.embeddings.patch_embeddings."),
    (r"convnext_tiny_backbone\.downsample_layers\.0\.1\.", "convnext.embeddings.layernorm."),
    (r"convnext_tiny_backbone\.downsample_layers\.(\d)\.", r"convnext.encoder.stages.\1.downsampling_layer."),
    (r"convnext_tiny_backbone\.stages\.(\d)\.(\d)\.gamma", r"convnext.encoder.stages.\1.layers.\2.layer_scale_parameter"),
    (r"convnext_tiny_backbone\.stages\.(\d)\.(\d)\.norm\.", r"convnext.encoder.stages.\1.layers.\2.layernorm."),
    (r"convnext_tiny_backbone\.stages\.(\d)\.(\d)\.", r"convnext.encoder.stages.\1.layers.\2."),
]


def _resnet(name: str) -> str:
    for theirs, ours in _RESNET.items():
        name = name.replace(f"{theirs}.", f"{ours}.")
    return name


def unifusion_key(name: str) -> str:
    """Our `UniFusion` name of the reference's ``position_net.*`` name."""
    name = name.removeprefix("position_net.")
    for pattern, replacement in _UNIFUSION:
        renamed, count = re.subn(f"^{pattern}", replacement, name)
        if count:
            return renamed
    raise KeyError(name)


def unet_key(name: str, levels: int = 4, layers: int = 2) -> str:
    """Our `InstanceUNet` name of a reference UNet name (everything outside ``position_net.*``).

    Args:
        levels: number of resolution levels.
        layers: residual blocks per encoder level.
    """
    part, _, rest = name.partition(".")
    if part.startswith("scaleu_"):
        _, kind, index = part.split("_")
        return f"up_blocks.{int(index) // (layers + 1)}.scaleu.{int(index) % (layers + 1)}.{kind}"
    if part == "time_embed":
        return f"time_embedding.linear_{1 if rest[0] == '0' else 2}{rest[1:]}"
    if part == "sd_first_conv":
        return f"stock_conv_in.{rest}"
    if part == "out":
        return f"conv_norm_out{rest[1:]}" if rest[0] == "0" else f"conv_out{rest[1:]}"
    if part == "middle_block":
        index, _, rest = rest.partition(".")
        return f"mid_block.attentions.0.{rest}" if index == "1" else f"mid_block.resnets.{int(index) // 2}.{_resnet(rest)}"

    block, index, rest = re.fullmatch(r"(\d+)\.(\d+)\.(.*)", rest).groups()
    block, index = int(block), int(index)
    if part == "input_blocks":
        if block == 0:
            return f"conv_in.{rest}"
        level, layer = divmod(block - 1, layers + 1)
        if layer == layers:
            return f"down_blocks.{level}.downsamplers.0.conv.{rest.removeprefix('op.')}"
        return f"down_blocks.{level}." + (f"attentions.{layer}.{rest}" if index else f"resnets.{layer}.{_resnet(rest)}")
    level, layer = divmod(block, layers + 1)
    if rest.startswith("conv."):
        return f"up_blocks.{level}.upsamplers.0.{rest}"
    return f"up_blocks.{level}." + (f"attentions.{layer}.{rest}" if index else f"resnets.{layer}.{_resnet(rest)}")
