"""What a checkpoint or model folder is, its tensors by our names, and an account of every tensor in it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import torch

from instdiff.checkpoint import parameter_names
from instdiff.checkpoint.conversion_report import (
    DIFFUSERS,
    FIRST_CONV,
    INSTANCE,
    OURS,
    PARTS,
    STABLE,
    VAE,
    OpenedSource,
    first_names,
)
from instdiff.checkpoint.families import (
    part_alone,
    refuse_channels,
    refuse_other_files,
    refuse_other_models,
    refuse_other_pipelines,
)
from instdiff.checkpoint.pickles import Record, read_pickle, value_at
from instdiff.checkpoint.schedule import BETAS, ROUNDED, schedule_buffers
from instdiff.checkpoint.tensors import Lazy, read_safetensors
from instdiff.errors import BadInput
from instdiff.model.int8_weights import FILE as INT8
from instdiff.model.int8_weights import SCALE, unpack

TRAINING = "state of the training"
SCHEDULE = "noise schedule, which the scheduler computes"
COUNTED = "0, 1, 2, ..., counted by the model, whatever a merge of models has made of them"
_OLD_ATTENTION = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}
MAX_NODES = 200_000  # values
MAX_NAME = 2_000  # letters
SCALING_FACTOR = 0.18215  # of the latents of Stable Diffusion 1.x


def open_source(path: Path, ema: bool = True) -> OpenedSource:
    """Open a checkpoint file or a model folder.

    Args:
        ema: take the averaged weights where there are some.

    Raises:
        BadInput: it is none of the kinds that are known, it is damaged, or it holds tensors that nobody can explain.
    """
    if path.is_dir():
        return _folder(path)
    if not path.is_file():
        raise BadInput(str(path), "there is no such file or folder")
    data = _content(path)
    if isinstance(data.get("model"), dict) and any(str(name).startswith("position_net.") for name in data["model"]):
        return _reference(path, data, ema)
    if set(data) == {"weight", "bias"}:
        return _first_conv(path, data)
    names = _names(path, data)
    refuse_other_models(path, names)
    if any(name.startswith("model.diffusion_model.") for name in names):
        return _stable(path, names, ema)
    reason = part_alone(names) or "is neither an InstanceDiffusion nor a Stable Diffusion 1.x checkpoint"
    raise BadInput(str(path), f"{reason}; it holds {first_names(names or data)}")


def open_vae(path: Path) -> OpenedSource:
    """Open an autoencoder alone: its file or folder, or a checkpoint or folder of Stable Diffusion that has one.

    Raises:
        BadInput: there is none, it is damaged, or it makes other latents than Stable Diffusion 1.x paints.
    """
    source = OpenedSource(path, VAE)
    unexplained: list[str] = []
    if path.is_dir():
        folder = path / "vae" if (path / "vae").is_dir() else path
        config = source.configs["vae"] = read_json(folder / "config.json")
        factor = config.get("scaling_factor", SCALING_FACTOR)
        if factor != SCALING_FACTOR:
            cure = f"those of Stable Diffusion 1.x are scaled by {SCALING_FACTOR}"
            raise BadInput("vae", f"the latents of {path} are scaled by {factor}; {cure}")
        names = _weights(folder)
    else:
        names = _names(path, _content(path))
    prefix = next((p for p in ("first_stage_model.", "vae.") if any(name.startswith(p) for name in names)), "")
    is_todays = any(".down_blocks." in name for name in names)
    for full, tensor in names.items():
        name = full.removeprefix(prefix)
        if full.startswith(prefix) and re.match(r"(en|de)coder\.|(post_)?quant_conv\.|loss\.", name):
            rename = _modern_attention if is_todays else parameter_names.vae_key
            _vae(source, full, name, tensor, unexplained, rename)
        else:
            source.leave("vae", [full], "only the VAE is asked for")
    if not source.parts["vae"]:
        raise BadInput("vae", f"{path} holds no VAE; it holds {first_names(names)}")
    return _refuse_unexplained(source, unexplained)


def _content(path: Path) -> dict:
    """The named tensors and values of a file of any kind that is read."""
    refuse_other_files(path)
    with path.open("rb") as file:
        starts_with_json = file.read(9)[8:] == b"{"  # safetensors, whatever the file is called
    is_safetensors = starts_with_json or path.suffix == ".safetensors"
    data: object = read_safetensors(path) if is_safetensors else read_pickle(path)
    if not isinstance(data, dict):
        raise BadInput(str(path), "is no checkpoint: it holds no named tensors")
    return data


def _names(path: Path, data: dict) -> dict[str, Lazy]:
    """All tensors by their names, those under ``state_dict`` without it."""
    names = flatten({**data, **data["state_dict"]} if isinstance(data.get("state_dict"), dict) else data, path)
    return {name: tensor for name, tensor in names.items() if not name.startswith("state_dict.")}


def _reference(path: Path, data: dict, ema: bool) -> OpenedSource:
    """The published model, and what its training writes."""
    source = OpenedSource(path, INSTANCE)
    groups = {str(key): value for key, value in data.items()}
    content = groups.pop("config_dict", None)
    content = content.get("_content") if isinstance(content, dict) else content
    source.heads = int(value_at(content, "model", "params", "num_heads") or source.heads)
    source.scaling_factor = float(value_at(content, "autoencoder", "params", "scale_factor") or source.scaling_factor)
    chosen, passed_over = ("ema", "model") if ema and groups.get("ema") else ("model", "ema")

    unexplained: list[str] = []
    for group, value in groups.items():
        for name, tensor in flatten(value, path).items():
            full = f"{group}.{name}" if name else group
            if group == chosen:
                if name.startswith("position_net."):
                    _convert(source, "unifusion", full, name, parameter_names.unifusion_key, tensor, unexplained)
                else:
                    _convert(source, "unet", full, name, parameter_names.unet_key, tensor, unexplained)
            elif group == passed_over:
                weights = "averaged weights" if group == "ema" else "last weights"
                source.leave(group, [full], f"{weights}; those of {chosen} are used")
            elif group == "sd_first_conv":
                source.take("unet", full, f"stock_conv_in.{name}", tensor)
            elif group == "autoencoder":
                _vae(source, full, name, tensor, unexplained)
            elif group == "text_encoder":
                _text(source, full, name.removeprefix("transformer."), tensor)
            elif group == "diffusion":
                _schedule(source, full, name, tensor, unexplained)
            elif group in ("opt", "scheduler", "iters"):
                source.leave("training", [full], TRAINING)
            else:
                unexplained.append(full)
    _check_channels(source)
    return _refuse_unexplained(source, unexplained)


def _stable(path: Path, names: dict[str, Lazy], ema: bool) -> OpenedSource:
    """Stable Diffusion 1.x in one file."""
    source = OpenedSource(path, STABLE)
    unexplained: list[str] = []
    prefix = "model.diffusion_model."
    last = [name for name in names if name.startswith(prefix)]
    averaged = {f"model_ema.{name.removeprefix('model.').replace('.', '')}": name for name in last}
    use_averages = ema and any(name in averaged for name in names)
    for full, tensor in names.items():
        if full.startswith(prefix) and use_averages:
            source.leave("unet", [full], "last weights; the averaged ones are used")
        elif full.startswith(prefix):
            _convert(source, "unet", full, full.removeprefix(prefix), parameter_names.unet_key, tensor, unexplained)
        elif full in averaged and use_averages:
            name = averaged[full].removeprefix(prefix)
            _convert(source, "unet", full, name, parameter_names.unet_key, tensor, unexplained)
        elif full in averaged:
            source.leave("unet", [full], "averaged weights; the last ones are used")
        elif full.startswith("first_stage_model."):
            _vae(source, full, full.removeprefix("first_stage_model."), tensor, unexplained)
        elif full.startswith("cond_stage_model.transformer."):
            _text(source, full, full.removeprefix("cond_stage_model.transformer."), tensor)
        elif re.match(r"model_ema\.(decay|num_updates)$|(optimizer_states|lr_schedulers|callbacks|loops)\.", full):
            source.leave("training", [full], TRAINING)
        else:
            _schedule(source, full, full, tensor, unexplained)
    _check_channels(source)
    return _refuse_unexplained(source, unexplained)


def _folder(path: Path) -> OpenedSource:
    """A folder in diffusers layout: somebody's Stable Diffusion, or ours."""
    index = read_json(path / "model_index.json")
    ours = index.get("_class_name") == "InstanceDiffusionPipeline"
    source = OpenedSource(path, OURS if ours else DIFFUSERS)
    if not ours:
        unet = path / "unet" / "config.json"
        refuse_other_pipelines(path, index.get("_class_name"), read_json(unet) if unet.is_file() else {})
    unexplained: list[str] = []
    parts = PARTS if ours else ("unet", "vae", "text_encoder")
    for part in parts:
        source.configs[part] = read_json(path / part / "config.json")
        for name, tensor in _weights(path / part).items():
            full = f"{part}/{name}"
            if part == "text_encoder":
                _text(source, full, name, tensor)
            elif part == "vae" and not ours:
                _vae(source, full, name, tensor, unexplained, rename=_modern_attention)
            else:
                source.take(part, full, name, tensor)
    if not ours:
        _check_kind(source)
    for component in ("safety_checker", "image_encoder"):
        if component in index and (path / component).is_dir():
            source.leave(component, [f"{component}/*"], "not part of this pipeline; not read")
    return _refuse_unexplained(source, unexplained)


def _check_kind(source: OpenedSource) -> None:
    """Refuse a backbone that the blocks were not made for; shapes tell the rest."""
    unet = source.configs.pop("unet")
    scheduler = source.path / "scheduler" / "scheduler_config.json"
    heads = unet.get("num_attention_heads") or unet.get("attention_head_dim", source.heads)
    target = read_json(scheduler).get("prediction_type", "epsilon") if scheduler.is_file() else "epsilon"
    if not isinstance(heads, int) or target != "epsilon":
        oddity = f"attention heads {heads}" if target == "epsilon" else f"prediction_type {target}"
        cure = "Stable Diffusion 1.x has the same number of heads everywhere, and predicts epsilon"
        raise BadInput(str(source.path), f"has {oddity}; {cure}")
    source.heads = heads


def _first_conv(path: Path, data: dict) -> OpenedSource:
    """Stable Diffusion's first convolution alone, as the reference keeps it."""
    source = OpenedSource(path, FIRST_CONV)
    for name, tensor in flatten(data, path).items():
        source.take("unet", name, f"conv_in.{name}", tensor)
    _check_channels(source)
    return source


def _convert(
    source: OpenedSource,
    part: str,
    full: str,
    name: str,
    rename: Callable[[str], str],
    tensor: Lazy,
    unexplained: list[str],
) -> None:
    try:
        source.take(part, full, rename(name), tensor)
    except (KeyError, ValueError, AttributeError, IndexError):  # the name fits no pattern
        unexplained.append(full)


def _vae(
    source: OpenedSource,
    full: str,
    name: str,
    tensor: Lazy,
    unexplained: list[str],
    rename: Callable[[str], str] = parameter_names.vae_key,
) -> None:
    if name.startswith("loss."):
        source.leave("vae", [full], TRAINING)
        return
    # A 1 x 1 convolution is a linear layer.
    if re.search(r"\.(to_[qkv]|to_out\.0)\.weight$", rename(name)) and len(tensor.shape) == 4:
        shape = tensor.shape[:2]
        tensor = tensor.changed(shape, lambda weight: weight.reshape(shape))
    _convert(source, "vae", full, name, rename, tensor, unexplained)


def _modern_attention(name: str) -> str:
    """Names of attention before diffusers 0.15 -> today's."""
    return re.sub(r"(attentions\.\d\.)(query|key|value|proj_attn)\.", lambda m: f"{m[1]}{_OLD_ATTENTION[m[2]]}.", name)


def _text(source: OpenedSource, full: str, name: str, tensor: Lazy) -> None:
    """A tensor of CLIP's text model, with or without the level ``text_model.``, which transformers 5 has no more."""
    name = name.removeprefix("text_model.")
    if name.endswith("position_ids"):  # a weighted sum of models in half precision leaves other numbers in it
        source.leave("text_encoder", [full], COUNTED)
    else:
        source.take("text_encoder", full, name, tensor)


def _check_channels(source: OpenedSource) -> None:
    """Refuse a UNet that reads something beside latents."""
    conv = source.parts["unet"].get("conv_in.weight")
    if conv is not None and len(conv.shape) == 4:
        refuse_channels(source.path, conv.shape[1])


def _schedule(source: OpenedSource, full: str, name: str, tensor: Lazy, unexplained: list[str]) -> None:
    """A buffer of the noise schedule, which must be that of Stable Diffusion."""
    expected = schedule_buffers().get(name)
    if expected is None:
        unexplained.append(full)
    elif tensor.shape != expected.shape or not tensor.load().float().isclose(expected, **ROUNDED).all():
        wanted = f"Stable Diffusion 1.x ({BETAS[0]} to {BETAS[1]}, scaled linear)"
        raise BadInput(str(source.path), f"{full} is not the noise schedule of {wanted}")
    else:
        source.leave("schedule", [full], SCHEDULE)


def _refuse_unexplained(source: OpenedSource, unexplained: list[str]) -> OpenedSource:
    if unexplained:
        raise BadInput(str(source.path), f"{len(unexplained)} tensors cannot be explained: {first_names(unexplained)}")
    return source


def flatten(node: object, path: Path) -> dict[str, Lazy]:
    """Every tensor in nested containers by its dotted path."""
    tensors = {}
    waiting = [("", node)]
    count = 0
    while waiting:
        name, value = waiting.pop()
        count += len(value) if isinstance(value, (dict, list, tuple)) else 1
        if count > MAX_NODES or len(name) > MAX_NAME:
            reason = f"it holds more than {MAX_NODES} values, or lists in lists without end"
            raise BadInput(str(path), f"is damaged: {reason}")
        if isinstance(value, Lazy):
            tensors[name] = value
        elif isinstance(value, Record):
            waiting.append((name, value.state if isinstance(value.state, dict) else {}))
        elif isinstance(value, (dict, list, tuple)):
            items = value.items() if isinstance(value, dict) else enumerate(value)
            waiting.extend((f"{name}.{key}" if name else str(key), inner) for key, inner in items)
    return dict(sorted(tensors.items()))


def _weights(folder: Path) -> dict[str, Lazy]:
    """The tensors of one part of a diffusers folder."""
    for ending in (".safetensors", ".fp16.safetensors", ".bin", ".fp16.bin"):
        for stem in ("diffusion_pytorch_model", "model", "pytorch_model"):
            path = folder / (stem + ending)
            if path.is_file():
                return read_safetensors(path) if ending.endswith(".safetensors") else flatten(read_pickle(path), path)
    if (folder / INT8).is_file():
        return unpack_lazily(read_safetensors(folder / INT8))
    raise BadInput(str(folder), "holds no weights in one file (diffusion_pytorch_model.safetensors or the like)")


def unpack_lazily(packed: dict[str, Lazy]) -> dict[str, Lazy]:
    """The tensors of weights in one byte each (see `instdiff.model.int8_weights`), in single precision."""

    def unpacked(name: str) -> Lazy:
        scale = packed.get(name + SCALE)
        if scale is None:
            return packed[name]
        value = packed[name]
        return Lazy(value.shape, torch.float32, lambda: unpack({name: value.load(), name + SCALE: scale.load()})[name])

    return {name: unpacked(name) for name in packed if not name.endswith(SCALE)}


def read_json(path: Path) -> dict:
    """The JSON object in a file of a model folder."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(str(path), f"cannot be read ({error.strerror}); a model folder needs it") from error
    except ValueError as error:
        raise BadInput(str(path), f"is damaged: {error}") from error
    if not isinstance(content, dict):
        raise BadInput(str(path), "is damaged: it is no JSON object")
    return content
