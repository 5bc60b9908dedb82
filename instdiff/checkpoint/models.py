"""The sizes of a model, read off its tensors, and the check that none is missing, left over or of the wrong shape."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeAlias

import torch
from diffusers import AutoencoderKL, ModelMixin
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from instdiff.checkpoint.conversion_report import first_names
from instdiff.checkpoint.tensors import Lazy
from instdiff.errors import BadInput
from instdiff.model.autoencoder import PatchAutoencoder
from instdiff.model.unet import InstanceUNet
from instdiff.model.unifusion import UniFusion

CLIP = "openai/clip-vit-large-patch14"
FETCH_TOKENIZER = f"hf download {CLIP} vocab.json merges.txt tokenizer_config.json config.json"
Tensors = dict[str, Lazy]
EmptyModel: TypeAlias = ModelMixin | CLIPTextModel  # without memory for its weights


def load_tokenizer(folder: Path | None) -> CLIPTokenizer:
    """CLIP's tokenizer from a folder, or from the Hugging Face cache; nothing is downloaded.

    Raises:
        BadInput: it is not there; the message says what to fetch.
    """
    try:
        tokenizer = CLIPTokenizer.from_pretrained(str(folder or CLIP), local_files_only=True)
        if len(tokenizer) > 2 and tokenizer.eos_token_id is not None:
            return tokenizer
    except Exception as error:  # of many kinds, where files are missing or damaged
        if folder is not None:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise BadInput("tokenizer", f"{folder} holds no CLIP tokenizer: {reason}") from error
    where = f"{folder} holds none" if folder else "the checkpoint has none, and the Hugging Face cache neither"
    raise BadInput("tokenizer", f"{where}; fetch it with `{FETCH_TOKENIZER}`, or name a folder with --tokenizer")


def check_tokenizer(tokenizer: CLIPTokenizer, tensors: Tensors) -> None:
    """The tokenizer is the one of this text encoder.

    Raises:
        BadInput: it knows another number of tokens.
    """
    embedding = tensors.get("embeddings.token_embedding.weight")
    if embedding is None:
        raise BadInput("text_encoder", "embeddings.token_embedding.weight is missing")
    if len(tokenizer) != embedding.shape[0]:
        sizes = f"knows {len(tokenizer)} tokens, but the text encoder {embedding.shape[0]}"
        raise BadInput("tokenizer", f"{sizes}; name the right one with --tokenizer")


def unet_config(tensors: Tensors, heads: int) -> dict:
    """The configuration of `InstanceUNet`."""
    levels = range(_count(tensors, "down_blocks.{}.resnets.0.conv1.weight"))
    return {
        "in_channels": tensors["conv_in.weight"].shape[1],
        "out_channels": tensors["conv_out.weight"].shape[0],
        "block_out_channels": [tensors[f"down_blocks.{i}.resnets.0.conv1.weight"].shape[0] for i in levels],
        "attention_levels": [f"down_blocks.{i}.attentions.0.norm.weight" in tensors for i in levels],
        "layers_per_block": _count(tensors, "down_blocks.0.resnets.{}.conv1.weight"),
        "attention_heads": heads,
        "cross_attention_dim": tensors["mid_block.attentions.0.transformer_blocks.0.attn2.to_k.weight"].shape[1],
        "has_stock_conv_in": "stock_conv_in.weight" in tensors,
    }


def unifusion_config(tensors: Tensors) -> dict:
    """The configuration of `UniFusion`."""
    stages = range(_count(tensors, "convnext.encoder.stages.{}.layers.0.dwconv.weight"))
    return {
        "text_dim": tensors["null_text"].shape[0],
        "out_dim": tensors["tokenizers.box.4.weight"].shape[0],
        "mid_dim": tensors["tokenizers.box.0.weight"].shape[0],
        "seg_size": 64 * math.isqrt(tensors["seg_positions"].shape[1]),
        "convnext_dims": [tensors[f"convnext.encoder.stages.{i}.layers.0.dwconv.weight"].shape[0] for i in stages],
        "convnext_depths": [_count(tensors, f"convnext.encoder.stages.{i}.layers.{{}}.dwconv.weight") for i in stages],
    }


def vae_config(tensors: Tensors, scaling_factor: float) -> dict:
    """The configuration of diffusers' `AutoencoderKL`."""
    first = "encoder.down_blocks.{}.resnets.0.conv1.weight"
    levels = _count(tensors, first)
    return {
        "in_channels": tensors["encoder.conv_in.weight"].shape[1],
        "out_channels": tensors["decoder.conv_out.weight"].shape[0],
        "down_block_types": ["DownEncoderBlock2D"] * levels,
        "up_block_types": ["UpDecoderBlock2D"] * levels,
        "block_out_channels": [tensors[first.format(i)].shape[0] for i in range(levels)],
        "layers_per_block": _count(tensors, "encoder.down_blocks.0.resnets.{}.conv1.weight"),
        "latent_channels": tensors["post_quant_conv.weight"].shape[0],
        "sample_size": 512,
        "scaling_factor": scaling_factor,
    }


def text_config(tensors: Tensors, tokenizer: CLIPTokenizer, tokenizer_folder: Path | None) -> dict:
    """The configuration of CLIP's text model.

    Raises:
        BadInput: nothing says how many heads the model has.
    """
    words, hidden = tensors["embeddings.token_embedding.weight"].shape
    own = {}
    if tokenizer_folder and (tokenizer_folder / "config.json").is_file():
        own = json.loads((tokenizer_folder / "config.json").read_text())
        own = own.get("text_config", own)
    elif hidden != 768:
        cure = "name a folder that has its config.json as well"
        raise BadInput("tokenizer", f"a text encoder of size {hidden} is not Stable Diffusion's; {cure}")
    return {
        "vocab_size": words,
        "hidden_size": hidden,
        "intermediate_size": tensors["encoder.layers.0.mlp.fc1.weight"].shape[0],
        "num_hidden_layers": _count(tensors, "encoder.layers.{}.mlp.fc1.weight"),
        "num_attention_heads": own.get("num_attention_heads", 12),
        "max_position_embeddings": tensors["embeddings.position_embedding.weight"].shape[0],
        "hidden_act": own.get("hidden_act", "quick_gelu"),
        # The end of a caption is found by this token; the value in old configurations is a mistake of theirs.
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }


def empty_model(part: str, config: dict) -> EmptyModel:
    """The part's model without memory for its weights.

    Raises:
        BadInput: the configuration makes no model.
    """
    vae = PatchAutoencoder if config.get("_class_name") == "PatchAutoencoder" else AutoencoderKL
    config = {key: value for key, value in config.items() if not key.startswith("_")}
    try:
        with torch.device("meta"):
            if part == "text_encoder":
                return CLIPTextModel(CLIPTextConfig(**config))
            return {"unet": InstanceUNet, "unifusion": UniFusion, "vae": vae}[part].from_config(config)
    except Exception as error:  # of many kinds, where sizes do not fit each other
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise BadInput(part, f"its configuration makes no model: {reason}") from error


def expected_shapes(part: str, model: EmptyModel) -> dict[str, tuple[int, ...]]:
    """{name: shape} of what the part's model must be given."""
    state = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    prefix = "text_model." if part == "text_encoder" else ""
    return {name.removeprefix(prefix): shape for name, shape in state.items()}


def check(part: str, tensors: Tensors, shapes: dict[str, tuple[int, ...]]) -> None:
    """Every tensor of the model is there, with its shape, and no other.

    Raises:
        BadInput: naming the tensors.
    """
    for state, names in (("missing", shapes.keys() - tensors.keys()), ("left over", tensors.keys() - shapes.keys())):
        if names:
            raise BadInput(part, f"{len(names)} tensors are {state}: {first_names(sorted(names))}")
    for name, shape in shapes.items():
        if tensors[name].shape != shape:
            difference = f"{list(tensors[name].shape)} where the model has {list(shape)}"
            raise BadInput(part, f"{name} has shape {difference}; is it Stable Diffusion 1.x?")


def new_tensors(shapes: dict[str, tuple[int, ...]], names: Iterable[str]) -> Tensors:
    """Untrained blocks of InstanceDiffusion with closed gates: the backbone paints as before. Always the same."""
    return {name: Lazy(shapes[name], torch.float32, _maker(name, shapes[name])) for name in names}


def _maker(name: str, shape: tuple[int, ...]) -> Callable[[], torch.Tensor]:
    last = name.rsplit(".", 1)[-1]

    def make() -> torch.Tensor:
        generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
        if last == "seg_positions":
            return torch.randn(shape, generator=generator) * 0.02
        if last == "layer_scale_parameter":
            return torch.full(shape, 1e-6)
        if last == "weight" and len(shape) == 1:
            return torch.ones(shape)
        if last == "weight":  # as torch starts linear layers and convolutions
            value = torch.rand(shape, generator=generator)
            return value.mul_(2).sub_(1).div_(math.sqrt(math.prod(shape[1:])))
        return torch.zeros(shape)  # biases, gates, ScaleU, and what stands for absent places

    return make


def _count(tensors: Tensors, name: str) -> int:
    """How many of name.format(0), name.format(1), ... there are."""
    count = 0
    while name.format(count) in tensors:
        count += 1
    return count
