"""LoRA in a pipeline, at run time: loaded, weighed, fused and taken out again, by the names of diffusers' methods."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import torch
from diffusers import ModelMixin
from diffusers.loaders import StableDiffusionLoraLoaderMixin
from peft import LoraConfig, inject_adapter_in_model, set_peft_model_state_dict
from peft.tuners.lora import LoraLayer
from torch import nn
from transformers import PreTrainedModel

from instdiff.checkpoint.lora import Lora, LowRank, changed_weights, read_lora
from instdiff.checkpoint.tensors import Lazy
from instdiff.errors import BadInput
from instdiff.model.adapter_files import find_file
from instdiff.model.graphs import forget_graphs

Weight: TypeAlias = float | dict[str, float] | None
PARTS = ("unet", "text_encoder")
_USUAL_NAMES = (
    "pytorch_lora_weights.safetensors", "adapter_model.safetensors", "pytorch_lora_weights.bin", "adapter_model.bin",
)  # fmt: skip


class LoraMixin(StableDiffusionLoraLoaderMixin):
    """Low-rank adapters (Hu et al., LoRA, ICLR 2022) of the UNet and the text encoder.

    `get_list_adapters` and the rest are those of diffusers. Files are read by
    `instdiff.checkpoint.lora`, which the merge by command reads them with too: nothing that a pickle names is run.
    """

    def load_lora_weights(
        self,
        pretrained_model_name_or_path_or_dict: str | os.PathLike | Mapping[str, torch.Tensor],
        adapter_name: str | None = None,
        hotswap: bool = False,
        **where: Any,
    ) -> None:
        """Load a LoRA of diffusers, peft or kohya; it alone is active then (see `set_adapters` for several at once).

        Args:
            pretrained_model_name_or_path_or_dict: a file, a folder, a repository on the Hub, or the tensors by name.
            adapter_name: what it is called from now on; None is ``default_0``, ``default_1`` and so on.
            hotswap: is not done here.
            where: weight_name, subfolder and the Hub's options, see `find_file`.

        Raises:
            BadInput: it is no LoRA, not for this model, damaged or not there; the name is taken; or another is fused.
        """
        if hotswap:
            raise BadInput("hotswap", "is not done here; delete_adapters and load_lora_weights change one for another")
        self._refuse_while_fused("load_lora_weights")
        for part in PARTS:
            _refuse_offloaded(getattr(self, part))
        name = self._new_name(adapter_name)
        source = pretrained_model_name_or_path_or_dict
        if isinstance(source, Mapping):
            field = "lora"
            lora = Lora({key: _in_memory(value, key) for key, value in source.items()}, {})
        else:
            path = find_file(source, _USUAL_NAMES, **where)
            field = str(path)
            lora = read_lora(path)

        config = self.unet.config
        shapes = {part: _layer_shapes(getattr(self, part)) for part in PARTS}
        changes = changed_weights(lora, shapes, field, tuple(config.attention_levels), config.layers_per_block)
        for part in PARTS:
            own = {weight: change for (of, weight), change in changes.items() if of == part}
            if own:
                _inject(getattr(self, part), name, _peft_tensors(own, shapes[part], f"{field}: {part}"))
        self.set_adapters(name)

    def set_adapters(
        self,
        adapter_names: str | Sequence[str],
        adapter_weights: Weight | Sequence[Weight] = None,
    ) -> None:
        """Make these adapters active, and no others.

        Args:
            adapter_names: of those that are loaded.
            adapter_weights: how strong each is, or all are, 1.0 where None; of a dict, the strength in "unet" and in
                "text_encoder".

        Raises:
            BadInput: an adapter is not loaded, weights are not as many or no finite numbers, or one is fused.
        """
        self._refuse_while_fused("set_adapters")
        names = self._known(adapter_names)
        super().set_adapters(names, _checked_weights(adapter_weights, len(names)))
        forget_graphs(self.unet)

    def enable_lora(self) -> None:
        """Take the active adapters up again."""
        super().enable_lora()
        forget_graphs(self.unet)

    def disable_lora(self) -> None:
        """Go without adapters, which stay loaded."""
        super().disable_lora()
        forget_graphs(self.unet)

    def fuse_lora(
        self,
        components: Sequence[str] = PARTS,
        lora_scale: float = 1.0,
        safe_fusing: bool = False,
        adapter_names: Sequence[str] | None = None,
    ) -> None:
        """Add adapters to the weights themselves, so that they cost no time.

        Args:
            components: of "unet" and "text_encoder".
            lora_scale: multiplies what `set_adapters` says.
            safe_fusing: refuse, with a ValueError, what would make weights that are no numbers.
            adapter_names: which; None is the active ones.

        Raises:
            BadInput: an adapter or component is not there.
        """
        if unknown := set(components) - set(PARTS):
            raise BadInput("components", f"{sorted(unknown)} take no LoRA; {', '.join(PARTS)} do")
        if not math.isfinite(lora_scale):
            raise BadInput("lora_scale", f"{lora_scale} is no finite number")
        names = self._known(self.get_active_adapters() if adapter_names is None else adapter_names)
        for layer in self._lora_layers(components):
            for name in names:
                if name in layer.scaling and name not in layer.merged_adapters:
                    self._scaling_before_fusing.append((layer, name, layer.scaling[name]))
                    layer.scaling[name] *= lora_scale
        super().fuse_lora(list(components), 1.0, safe_fusing, names)
        forget_graphs(self.unet)

    def unfuse_lora(self, components: Sequence[str] = PARTS) -> None:
        """Take fused adapters out of the weights again; they stay loaded, as strong as before."""
        super().unfuse_lora(list(components))
        for layer, name, scaling in reversed(self._scaling_before_fusing):
            if name not in layer.merged_adapters:
                layer.scaling[name] = scaling
        kept = [entry for entry in self._scaling_before_fusing if entry[1] in entry[0].merged_adapters]
        self._scaling_before_fusing[:] = kept
        forget_graphs(self.unet)

    def unload_lora_weights(self) -> None:
        """Take all adapters out; what was fused stays in the weights."""
        super().unload_lora_weights()
        self._scaling_before_fusing.clear()
        forget_graphs(self.unet)

    def delete_adapters(self, adapter_names: str | Sequence[str]) -> None:
        """Take some adapters out; of the others, those that were active stay so.

        Raises:
            BadInput: one is not loaded, or is fused.
        """
        names = self._known(adapter_names)
        self._refuse_while_fused("delete_adapters")
        active = [name for name in self.get_active_adapters() if name not in names]
        super().delete_adapters(names)
        if not self._loaded():
            super().unload_lora_weights()
        for layer in self._lora_layers(PARTS):
            layer.set_adapter(active)  # peft would make another one active
        forget_graphs(self.unet)

    def save_pretrained(self, save_directory: str | os.PathLike, *args: Any, **kwargs: Any) -> None:
        """Write the pipeline's folder, as in diffusers.

        Raises:
            BadInput: an adapter is loaded, whose layers no folder of a model holds.
        """
        if loaded := self._loaded():
            cure = "call fuse_lora() to keep them in the weights, then unload_lora_weights()"
            raise BadInput("save_pretrained", f"{', '.join(loaded)} are loaded beside the weights; {cure}")
        super().save_pretrained(save_directory, *args, **kwargs)

    @property
    def _scaling_before_fusing(self) -> list[tuple[LoraLayer, str, float]]:
        """(layer, adapter, its scaling before it was fused)."""
        return self.__dict__.setdefault("_lora_scaling_before_fusing", [])

    def _lora_layers(self, components: Sequence[str]) -> Iterator[LoraLayer]:
        for part in components:
            yield from (module for module in getattr(self, part).modules() if isinstance(module, LoraLayer))

    def _loaded(self) -> list[str]:
        return list(dict.fromkeys(name for names in self.get_list_adapters().values() for name in names))

    def _known(self, names: str | Sequence[str]) -> list[str]:
        """The names of adapters, all of which are loaded."""
        names = [names] if isinstance(names, str) else list(names)
        loaded = self._loaded()
        if not names or set(names) - set(loaded):
            unknown = [name for name in names if name not in loaded] or "none"
            there = f"there are {', '.join(loaded)}" if loaded else "load_lora_weights loads one"
            raise BadInput("adapter_names", f"{unknown} is not loaded; {there}")
        return names

    def _new_name(self, name: str | None) -> str:
        """The name that a LoRA is loaded under."""
        loaded = self._loaded()
        if name is None:
            return next(free for i in range(len(loaded) + 1) if (free := f"default_{i}") not in loaded)
        if name in loaded:
            raise BadInput("adapter_name", f'"{name}" is loaded already; give another, or delete_adapters("{name}")')
        if not name or "." in name:
            raise BadInput("adapter_name", f'"{name}" is no name: it needs a letter, and no dot')
        return name

    def _refuse_while_fused(self, what: str) -> None:
        """A layer with a fused adapter reads no other: what is asked would change nothing, without a word."""
        fused = {name for layer in self._lora_layers(PARTS) for name in layer.merged_adapters}
        if fused:
            cure = "call unfuse_lora() before, or unload_lora_weights() to keep it in the weights"
            raise BadInput(what, f"{', '.join(sorted(fused))} is fused; {cure}")


def _checked_weights(given: Weight | Sequence[Weight], count: int) -> list[Weight]:
    """The weight of each of ``count`` adapters."""
    weights = [given] * count if given is None or isinstance(given, int | float | dict) else list(given)
    if len(weights) != count:
        raise BadInput("adapter_weights", f"{len(weights)} for {count} adapters; give one, or one for each")
    for weight in weights:
        if isinstance(weight, dict) and (unknown := weight.keys() - set(PARTS)):
            raise BadInput("adapter_weights", f"{sorted(unknown)} are no parts; there are {', '.join(PARTS)}")
        for number in weight.values() if isinstance(weight, dict) else [weight]:
            if number is not None and not (isinstance(number, int | float) and math.isfinite(number)):
                raise BadInput("adapter_weights", f"{number!r} is no finite number")
    return weights


def _in_memory(tensor: torch.Tensor, name: str) -> Lazy:
    if not isinstance(tensor, torch.Tensor):
        raise BadInput("lora", f"{name} is no tensor")
    return Lazy(tuple(tensor.shape), tensor.dtype, lambda: tensor.detach().cpu())


def _layer_shapes(model: nn.Module) -> dict[str, tuple[int, ...]]:
    """The shapes of the weights that a LoRA can change, by their names without adapters."""
    shapes = {}
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear | nn.Conv2d) and ".lora_" not in name:
            shapes[f"{name.removesuffix('.base_layer')}.weight"] = tuple(module.weight.shape)
    return shapes


def _peft_tensors(
    changes: Mapping[str, LowRank], shapes: Mapping[str, tuple[int, ...]], field: str
) -> dict[str, torch.Tensor]:
    """The factors by peft's names and in its shapes, the strength in one of them: their alpha is their rank."""
    tensors = {}
    for weight, change in changes.items():
        layer = weight.removesuffix(".weight")
        out, *inner = shapes[weight]
        down = change.down.load().float()
        up = change.up.load().float() * change.strength
        if not (down.isfinite().all() and up.isfinite().all()):
            raise BadInput(field, f"{weight} is changed by values that are not finite; the file is damaged")
        rank = len(down)
        tensors[f"{layer}.lora_A.weight"] = down.reshape(rank, *inner)
        tensors[f"{layer}.lora_B.weight"] = up.reshape(out, rank, *(1 for _ in inner[1:]))
    return tensors


def _inject(model: ModelMixin | PreTrainedModel, adapter: str, tensors: dict[str, torch.Tensor]) -> None:
    """Put low-rank layers beside those of a model.

    By peft itself: what diffusers and transformers have around it knows some layers of the text encoder only.
    """
    ending = ".lora_A.weight"
    ranks = {f"^{name.removesuffix(ending)}": len(down) for name, down in tensors.items() if name.endswith(ending)}
    layers = [name.removeprefix("^") for name in ranks]
    rank = next(iter(ranks.values()))
    config = LoraConfig(
        r=rank, lora_alpha=rank, rank_pattern=ranks, alpha_pattern=ranks, target_modules=layers, inference_mode=True
    )
    tensors = {name: tensor.to(model.device, model.dtype) for name, tensor in tensors.items()}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Already found a `peft_config`")  # several at once are meant
        inject_adapter_in_model(config, model, adapter, low_cpu_mem_usage=True, state_dict=tensors)
    set_peft_model_state_dict(model, tensors, adapter, low_cpu_mem_usage=True)
    model._hf_peft_config_loaded = True  # what diffusers and transformers ask


def _refuse_offloaded(model: nn.Module) -> None:
    """New layers of a model whose layers are moved one by one would stay behind."""
    in_groups = any(
        module._diffusers_hook.get_hook("group_offloading") is not None
        for module in model.modules()
        if hasattr(module, "_diffusers_hook")
    )
    if in_groups or any(parameter.is_meta for parameter in model.parameters()):
        reason = "layers of the model are offloaded one by one; load adapters before you enable that"
        raise BadInput("load_lora_weights", f"{reason}, or use enable_model_cpu_offload()")
