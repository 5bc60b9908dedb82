"""The reference's mini checkpoint, made from its key lists, and the same weights in other people's forms."""

import json
import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from unittest import mock

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from golden_figures import FOLDER, figures
from golden_weights import fill
from safetensors.torch import load_file, save_file

from instdiff.checkpoint import parameter_names
from instdiff.checkpoint.__main__ import main
from instdiff.checkpoint.convert import assemble
from instdiff.checkpoint.schedule import schedule_buffers

CLIP = FOLDER / "mini_clip"
STAND_INS = DictConfig, AnyNode, ContainerMetadata, ModelCheckpoint = [
    type(name, (), {"__module__": module})
    for module, name in (
        ("omegaconf.dictconfig", "DictConfig"),
        ("omegaconf.nodes", "AnyNode"),
        ("omegaconf.base", "ContainerMetadata"),
        ("pytorch_lightning.callbacks.model_checkpoint", "ModelCheckpoint"),
    )
]


def mini_tensors() -> dict[str, dict[str, torch.Tensor]]:
    """Those of `_mini_tensors` in new dicts."""
    return {part: dict(tensors) for part, tensors in _mini_tensors().items()}


@cache
def _mini_tensors() -> dict[str, dict[str, torch.Tensor]]:
    """The parts of the mini checkpoint; float16, ConvNeXt one number per tensor."""
    shapes = figures("keys_mini")
    model = {name: _mini(name, shape) for name, shape in shapes["model"].items()}
    ema = {n: fill(f"ema.{n}", v.shape).half() if v.dim() < 2 and "convnext" not in n else v for n, v in model.items()}
    text = {name: _mini(name, shape) for name, shape in shapes["text_encoder"].items()}
    autoencoder = {name: _mini(name, shape) for name, shape in shapes["autoencoder"].items()}
    return {
        "model": model,
        "ema": ema,
        "autoencoder": autoencoder,
        "text_encoder": text,
        "diffusion": dict(schedule_buffers()),
    }


def mini_content() -> dict:
    """The whole mini checkpoint as the reference's training saves it, with its configuration as an OmegaConf object."""
    params = {"model": {"params": {"num_heads": 8}}, "autoencoder": {"params": {"scale_factor": 0.18215}}}
    training = {
        "opt": {"state": {0: {"exp_avg": torch.zeros(3)}}, "param_groups": []},
        "scheduler": {"last_epoch": 1},
        "iters": 12000,
    }
    return mini_tensors() | training | {"config_dict": {"_content": omega(params)._content, "_parent": None}}


def omega(value):
    """Dicts and numbers as objects that pickle under the names of OmegaConf's classes."""
    node = DictConfig() if isinstance(value, dict) else AnyNode()
    node._metadata = ContainerMetadata()
    if isinstance(value, dict):
        node._content = {key: omega(inner) for key, inner in value.items()}
        node._parent = node
    else:
        node._val = value
    return node


def save(content, path, **options) -> None:
    """`torch.save`, with the stand-ins of OmegaConf's classes in its modules' places."""
    modules = {}
    for kind in STAND_INS:
        names = kind.__module__.split(".")
        modules |= {
            name: ModuleType(name)
            for name in (".".join(names[: i + 1]) for i in range(len(names)))
            if name not in modules
        }
        setattr(modules[kind.__module__], kind.__name__, kind)
    with mock.patch.dict(sys.modules, modules):
        torch.save(content, path, **options)


def stable_diffusion() -> dict[str, torch.Tensor]:
    """A plain Stable Diffusion 1.x of the mini checkpoint's size, by the names of its single-file form."""
    parts = mini_tensors()
    mark = ("fuser", "scaleu", "position_net")
    unet = {
        f"model.diffusion_model.{n}": t + 0.01 for n, t in parts["model"].items() if not any(word in n for word in mark)
    }
    vae = {f"first_stage_model.{n}": t for n, t in parts["autoencoder"].items()}
    text = {f"cond_stage_model.{n}": t for n, t in parts["text_encoder"].items()}
    return (
        unet
        | vae
        | text
        | parts["diffusion"]
        | {"model_ema.decay": torch.tensor(0.9999), "model_ema.num_updates": torch.tensor(7)}
    )


def _mini(name: str, shape: list[int]) -> torch.Tensor:
    if name.endswith("position_ids"):
        return torch.arange(shape[-1]).expand(shape)
    value = fill(name, tuple(shape)).half()
    return value.flatten()[0].clone().expand(shape) if "convnext" in name else value


def write_files(folder: Path) -> Path:
    """The mini checkpoint, and a plain Stable Diffusion of its size in four forms."""
    save(mini_content(), folder / "mini.pth")
    plain = stable_diffusion()
    save({"state_dict": plain, "callbacks": {ModelCheckpoint: {"best": 1}}, "epoch": 3}, folder / "sd.ckpt")
    save({"state_dict": plain}, folder / "old.ckpt", _use_new_zipfile_serialization=False)
    save_file({name: value.contiguous() for name, value in plain.items()}, folder / "sd.safetensors")
    write_diffusers(plain, folder / "sd")
    return folder


def write_diffusers(plain: dict, folder: Path) -> None:
    """The same weights as diffusers itself stores them, with the old names of the VAE's attention."""
    unet = UNet2DConditionModel(
        sample_size=32,
        block_out_channels=(32, 32, 64, 64),
        cross_attention_dim=64,
        attention_head_dim=8,
        layers_per_block=2,
    )
    prefix = "model.diffusion_model."
    unet.load_state_dict(
        {parameter_names.unet_key(n.removeprefix(prefix)): v.float() for n, v in plain.items() if n.startswith(prefix)}
    )
    unet.half().save_pretrained(folder / "unet")
    vae = AutoencoderKL(
        block_out_channels=(32,) * 4,
        down_block_types=["DownEncoderBlock2D"] * 4,
        up_block_types=["UpDecoderBlock2D"] * 4,
        layers_per_block=1,
    )
    prefix = "first_stage_model."
    named = {parameter_names.vae_key(n.removeprefix(prefix)): v for n, v in plain.items() if n.startswith(prefix)}
    vae.load_state_dict({n: v.reshape(vae.state_dict()[n].shape).float() for n, v in named.items()})
    vae.half().save_pretrained(folder / "vae")
    old = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    stored = load_file(folder / "vae" / "diffusion_pytorch_model.safetensors")
    for today, before in old.items():
        stored = {
            name.replace(f"attentions.0.{today}.", f"attentions.0.{before}."): value for name, value in stored.items()
        }
    save_file(stored, folder / "vae" / "diffusion_pytorch_model.safetensors")
    (folder / "text_encoder").mkdir()
    text = {
        n.removeprefix("cond_stage_model.transformer."): v.contiguous()
        for n, v in plain.items()
        if n.startswith("cond_stage")
    }
    torch.save(text, folder / "text_encoder" / "pytorch_model.bin")
    (folder / "text_encoder" / "config.json").write_text((CLIP / "config.json").read_text())
    (folder / "model_index.json").write_text(json.dumps({"_class_name": "StableDiffusionPipeline"}))


def convert(source, out, *options) -> Path:
    assert main([str(source), "--out", str(out), "--tokenizer", str(CLIP), *map(str, options)]) == 0
    return out


def assembled(checkpoint: Path, **options) -> dict[str, torch.Tensor]:
    """What a conversion would write, by the names of `weights`, without the blocks that it makes anew itself."""
    model = assemble(checkpoint, tokenizer=CLIP, **options)
    made = any(row.new for row in model.rows)
    found = {}
    for part, tensors in model.parts.items():
        for name, tensor in tensors.items():
            if not (made and (part == "unifusion" or ".fuser." in name or ".scaleu." in name)):
                found[f"{part}/{'text_model.' if part == 'text_encoder' else ''}{name}"] = tensor.load()
    return found


def weights(folder: Path) -> dict[str, torch.Tensor]:
    files = sorted(folder.rglob("*.safetensors"))
    return {f"{file.parent.name}/{name}": value for file in files for name, value in load_file(file).items()}


def same(one: dict, other: dict) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
