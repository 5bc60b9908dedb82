"""From an opened checkpoint to a model folder, or to a checkpoint with the reference's names."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import diffusers
import torch
from diffusers import PNDMScheduler
from transformers import CLIPTokenizer

from instdiff.checkpoint import models
from instdiff.checkpoint.conversion_report import DIFFUSERS, FIRST_CONV, OURS, PARTS, STABLE, OpenedSource, PartAccount
from instdiff.checkpoint.lora import merge_lora, read_lora
from instdiff.checkpoint.schedule import BETAS, STEPS
from instdiff.checkpoint.sources import open_source, open_vae, read_json
from instdiff.checkpoint.tensors import Lazy, in_dtype, write_safetensors
from instdiff.errors import BadInput
from instdiff.model.defaults import ModelDefaults, read_defaults
from instdiff.render_settings import scheduler_for

NO_STOCK = "no stock first convolution (--stock): steps without grounding run on the trained one, unlike the reference"
DTYPES = {"fp16": torch.float16, "fp32": torch.float32}


@dataclass
class AssembledModel:
    """A model that is not read yet, its names and shapes checked, with the account of where everything comes from."""

    parts: dict[str, dict[str, Lazy]]
    empty: dict[str, models.EmptyModel]
    tokenizer: CLIPTokenizer
    folder: Path | None  # a model folder of ours whose scheduler and defaults are kept
    rows: list[PartAccount]
    notes: list[str]

    @property
    def nbytes(self) -> int:
        return sum(tensor.nbytes for tensors in self.parts.values() for tensor in tensors.values())


def assemble(
    checkpoint: Path,
    backbone: Path | None = None,
    stock: Path | None = None,
    lora: Path | None = None,
    lora_scale: float = 1.0,
    tokenizer: Path | None = None,
    ema: bool = True,
    dtype: str | None = None,
    vae: Path | None = None,
) -> AssembledModel:
    """Open everything, put it together and check it; no weights are read yet.

    Args:
        checkpoint: InstanceDiffusion, Stable Diffusion 1.x, or a model folder.
        backbone: another Stable Diffusion 1.x to put InstanceDiffusion's blocks on.
        stock: where to take Stable Diffusion's own first convolution from.
        lora, lora_scale: is merged into UNet and text encoder.
        tokenizer: folder of CLIP's tokenizer.
        ema: take averaged weights where there are some.
        dtype: ``fp16`` or ``fp32``; None keeps what the weights have.
        vae: where to take the autoencoder from, instead of the checkpoint's own, if it has one.

    Raises:
        BadInput: something cannot be read, explained or fitted together.
    """
    sources, notes = _open_together(checkpoint, backbone, stock, ema)
    source = sources[0]
    if vae:
        sources.append(open_vae(vae))
        notes.append(_put_vae(source, sources[-1]))
    _check_parts(source)
    new_rows = {} if source.parts["unifusion"] else _add_closed_blocks(source, notes)
    if "stock_conv_in.weight" not in source.parts["unet"]:
        notes.append(NO_STOCK)
    folder = tokenizer or next((s.tokenizer for s in reversed(sources) if s.tokenizer), None)
    words = models.load_tokenizer(folder)
    models.check_tokenizer(words, source.parts["text_encoder"])
    empty = _fit(source, _configs(source, words, folder), new_rows)
    if lora:
        adapter = read_lora(lora)
        count = merge_lora(adapter, source.parts, lora_scale, str(lora))
        row = PartAccount(lora.name, "LoRA", read=len(adapter.tensors))
        sources.append(OpenedSource(lora, "LoRA", rows={"lora": row}))
        notes.append(f"{lora.name} is merged into {count} weights with scale {lora_scale:g}")
    target = DTYPES[dtype] if dtype else None
    parts = {p: {name: in_dtype(f"{p} {name}", t, target) for name, t in source.parts[p].items()} for p in PARTS}
    rows = [row for opened in sources for row in opened.rows.values()] + list(new_rows.values())
    return AssembledModel(parts, empty, words, checkpoint if source.kind == OURS else None, rows, notes)


def _open_together(
    checkpoint: Path, backbone: Path | None, stock: Path | None, ema: bool
) -> tuple[list[OpenedSource], list[str]]:
    """The opened sources, all that is needed put into the first, and a note on each."""
    source = open_source(checkpoint, ema)
    if source.kind == FIRST_CONV:
        cure = "give it with --stock, beside an InstanceDiffusion checkpoint"
        raise BadInput(str(checkpoint), f"is a first convolution alone; {cure}")
    sources = [source]
    notes = [f"{checkpoint.name} is: {source.kind}"]
    for path, put in ((backbone, _put_on_backbone), (stock, _put_stock_convolution)):
        if path:
            sources.append(open_source(path, ema))
            notes.append(put(source, sources[-1]))
    return sources, notes


class Painting(NamedTuple):
    """How a model paints by itself, where that is not as it did before: what a LoRA of few steps needs.

    ``scheduler`` is a name of `scheduler_for`; None of ``steps`` and ``guidance`` leaves them as they are.
    """

    scheduler: str = "own"
    steps: int | None = None
    guidance: float | None = None

    @property
    def stated(self) -> dict[str, object]:
        """The defaults of the model among them.

        Raises:
            BadInput: one is out of its range.
        """
        asked = {"num_inference_steps": self.steps, "guidance_scale": self.guidance}
        return ModelDefaults.parse({name: value for name, value in asked.items() if value is not None}).stated


def write_folder(
    model: AssembledModel,
    out: Path,
    force: bool,
    on_bytes: Callable[[int], None] = lambda count: None,
    painting: Painting | None = None,
) -> None:
    """Write a model folder that `InstanceDiffusionPipeline.from_pretrained` loads; whole, or not at all.

    Raises:
        BadInput: ``out`` exists and is not to be replaced, or the weights are damaged.
    """
    with whole_target(out, force, model.nbytes) as folder:
        for part in PARTS:
            config = model.empty[part].config
            (folder / part).mkdir(parents=True)
            if part == "text_encoder":
                config.architectures = ["CLIPTextModel"]
                config.save_pretrained(folder / part)
                # As everybody's folders have it.
                weights = {f"text_model.{name}": tensor for name, tensor in model.parts[part].items()}
                write_safetensors(folder / part / "model.safetensors", weights, on_bytes)
            else:
                model.empty[part].save_config(folder / part)
                write_safetensors(folder / part / "diffusion_pytorch_model.safetensors", model.parts[part], on_bytes)
        model.tokenizer.save_pretrained(folder / "tokenizer")
        index = _index(model)
        if model.folder:
            shutil.copytree(model.folder / "scheduler", folder / "scheduler")
            index["scheduler"] = read_json(model.folder / "model_index.json")["scheduler"]
            _leave_latents_whole(folder / "scheduler" / "scheduler_config.json")
        else:
            scheduler().save_pretrained(folder / "scheduler")
        _paint_as(painting or Painting(), index, folder / "scheduler")
        _write_json(folder / "conversion.json", {"notes": model.notes, "parts": [vars(row) for row in model.rows]})
        _write_json(folder / "model_index.json", index)


def _paint_as(painting: Painting, index: dict, folder: Path) -> None:
    """Put what is asked for into a model's index and the folder of its scheduler."""
    if painting.scheduler != "own":
        own = getattr(diffusers, index["scheduler"][1]).from_pretrained(folder)
        chosen = scheduler_for(painting.scheduler, own)
        chosen.save_pretrained(folder)
        index["scheduler"] = ["diffusers", type(chosen).__name__]
    index |= painting.stated


def write_checkpoint(content: dict, nbytes: int, out: Path, force: bool) -> None:
    """Write a ``.pth`` file; whole, or not at all."""
    with whole_target(out, force, nbytes) as path:
        torch.save(content, path)


def scheduler() -> PNDMScheduler:
    """The reference's PLMS sampler on Stable Diffusion's noise schedule.

    PLMS cuts nothing and knows no ``clip_sample``; it is there, as in Stable Diffusion's own configuration, for
    schedulers that are made from this one and would cut latents to -1..1: DDIM, DDPM and their kin.
    """
    plms = PNDMScheduler(
        num_train_timesteps=STEPS, beta_start=BETAS[0], beta_end=BETAS[1], beta_schedule="scaled_linear",
        skip_prk_steps=True, set_alpha_to_one=False, steps_offset=1,
    )  # fmt: skip
    plms.register_to_config(clip_sample=False)
    return plms


def _leave_latents_whole(path: Path) -> None:
    """Say that latents are not cut, in the configuration of a scheduler that does not say it."""
    config = read_json(path)
    _write_json(path, config | {"clip_sample": config.get("clip_sample", False)})


def _put_on_backbone(source: OpenedSource, giver: OpenedSource) -> str:
    """Take everything that Stable Diffusion has from another one; what InstanceDiffusion trained stays."""
    if giver.kind not in (STABLE, DIFFUSERS) or not source.parts["unifusion"]:
        pair = f"{giver.path.name} ({giver.kind}) under {source.path.name} ({source.kind})"
        cure = "give an InstanceDiffusion checkpoint, and --backbone with a Stable Diffusion 1.x"
        raise BadInput("backbone", f"{pair} makes no sense; {cure}")
    reason = f"those of {giver.path.name} are used"
    # The trained first convolution belongs to InstanceDiffusion; the backbone's own is for the steps without grounding.
    base = {f"stock_{key}" if key.startswith("conv_in.") else key: t for key, t in giver.parts["unet"].items()}
    source.drop("unet", [key for key in source.parts["unet"] if key in base], reason)
    source.parts["unet"] |= base
    for part in ("vae", "text_encoder"):
        if giver.parts[part]:
            source.drop(part, source.parts[part], reason)
            source.parts[part] = giver.parts[part]
            source.configs.pop(part, None)
            source.configs |= {part: giver.configs[part]} if part in giver.configs else {}
    return f"InstanceDiffusion's blocks are put on {giver.path.name}"


def _put_stock_convolution(source: OpenedSource, giver: OpenedSource) -> str:
    """Take Stable Diffusion's own first convolution from another file, and nothing else."""
    conv = {f"stock_{key}": tensor for key, tensor in giver.parts["unet"].items() if key.startswith("conv_in.")}
    if giver.kind not in (STABLE, DIFFUSERS, FIRST_CONV) or not source.parts["unifusion"]:
        taker = f"{source.path.name} ({source.kind})"
        raise BadInput("stock", f"{giver.path.name} ({giver.kind}) has no first convolution for {taker}")
    source.drop("unet", [key for key in source.parts["unet"] if key in conv], f"that of {giver.path.name} is used")
    for part in PARTS:
        unused = [key for key in giver.parts[part] if not (part == "unet" and key.startswith("conv_in."))]
        giver.drop(part, unused, "only the first convolution is asked for")
    source.parts["unet"] |= conv
    return f"steps without grounding run on the first convolution of {giver.path.name}"


def _put_vae(source: OpenedSource, giver: OpenedSource) -> str:
    """Take the autoencoder from another file."""
    own = source.configs.get("vae", {}).get("_class_name", "AutoencoderKL")
    if own != "AutoencoderKL":
        raise BadInput("vae", f"{source.path.name} has a {own} of its own, which no other can stand for")
    source.drop("vae", source.parts["vae"], f"that of {giver.path.name} is used")
    source.parts["vae"] = giver.parts["vae"]
    source.configs.pop("vae", None)
    source.configs |= giver.configs
    return f"the VAE is that of {giver.path.name}"


def _check_parts(source: OpenedSource) -> None:
    """Refuse a checkpoint that lacks a part as a whole, as pruned files do.

    Raises:
        BadInput: naming the part, and how to give it.
    """
    if not source.parts["vae"]:
        cure = "give one with --vae, such as vae-ft-mse-840000-ema-pruned.safetensors or the folder of its model"
        raise BadInput(str(source.path), f"holds no VAE, without which there are no pictures; {cure}")
    if not source.parts["text_encoder"]:
        raise BadInput(str(source.path), "holds no text encoder; take the file of this model that has one")


def _add_closed_blocks(source: OpenedSource, notes: list[str]) -> dict[str, PartAccount]:
    """Make room for InstanceDiffusion's blocks in a plain Stable Diffusion."""
    blocks = "InstanceDiffusion's blocks are made new, with closed gates"
    notes.append(f"{blocks}: it paints as before and ignores places, until it is trained")
    source.parts["unet"] |= {f"stock_{key}": t for key, t in source.parts["unet"].items() if key.startswith("conv_in.")}
    return {"stock": PartAccount("made here", "unet: a copy of the first convolution", new=2)}


def _configs(source: OpenedSource, words: CLIPTokenizer, folder: Path | None) -> dict[str, dict]:
    """Each part's configuration: the source's own, or what the tensors say."""
    parts = source.parts
    own = source.configs
    try:
        unet = own.get("unet") or models.unet_config(parts["unet"], source.heads)
        text = own.get("text_encoder") or models.text_config(parts["text_encoder"], words, folder)
        size = unet["cross_attention_dim"]
        width = parts["text_encoder"]["embeddings.token_embedding.weight"].shape[1]
        closed = {"text_dim": width, "out_dim": size, "mid_dim": 4 * size}
        places = own.get("unifusion") or (models.unifusion_config(parts["unifusion"]) if parts["unifusion"] else closed)
        vae = own.get("vae") or models.vae_config(parts["vae"], source.scaling_factor)
        latents = vae.get("latent_channels", unet["in_channels"])
        if latents != unet["in_channels"]:
            between = f"the VAE makes latents of {latents} channels, and the UNet reads {unet['in_channels']}"
            raise BadInput(str(source.path), f"{between}; they are not of one model")
        return {
            "unet": unet | {"has_stock_conv_in": "stock_conv_in.weight" in parts["unet"]},
            "unifusion": places,
            "vae": vae,
            "text_encoder": text | {"bos_token_id": words.bos_token_id, "eos_token_id": words.eos_token_id},
        }
    except (KeyError, IndexError) as error:
        raise BadInput(str(source.path), f"tensors are missing: {error.args[0]}") from error


def _fit(source: OpenedSource, configs: dict, new_rows: dict[str, PartAccount]) -> dict[str, models.EmptyModel]:
    """Each part's empty model with exactly the tensors of the source, and with new blocks (if ``new_rows``)."""
    empty = {}
    for part, config in configs.items():
        empty[part] = models.empty_model(part, config)
        shapes = models.expected_shapes(part, empty[part])
        if new_rows and part in ("unet", "unifusion"):
            names = [name for name in shapes if part == "unifusion" or ".fuser." in name or ".scaleu." in name]
            source.parts[part] |= models.new_tensors(shapes, names)
            new_rows[part] = PartAccount("made here", part, new=len(names))
        models.check(part, source.parts[part], shapes)
    return empty


def _index(model: AssembledModel) -> dict:
    """The content of ``model_index.json``."""
    defaults = read_defaults(model.folder) if model.folder else ModelDefaults()
    vae = "instdiff.model.autoencoder" if type(model.empty["vae"]).__name__ == "PatchAutoencoder" else "diffusers"
    return {
        "_class_name": "InstanceDiffusionPipeline",
        "_diffusers_version": version("diffusers"),
        "scheduler": ["diffusers", "PNDMScheduler"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "unet": ["instdiff.model.unet", "InstanceUNet"],
        "unifusion": ["instdiff.model.unifusion", "UniFusion"],
        "vae": [vae, type(model.empty["vae"]).__name__],
        **defaults.model_dump(),
    }


def _write_json(path: Path, content: dict) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n")


def check_target(out: Path, force: bool) -> None:
    """Refuse to replace what is there.

    Raises:
        BadInput: it exists, and either ``force`` is not given, or it is no model folder.
    """
    if out.exists() and not force:
        raise BadInput("out", f"{out} exists; choose another, or --force to replace it")
    if out.is_dir() and any(out.iterdir()) and not (out / "model_index.json").is_file():
        raise BadInput("out", f"{out} is no model folder, and is not replaced")


@contextmanager
def whole_target(out: Path, force: bool, nbytes: int) -> Iterator[Path]:
    """A place to write to, which becomes ``out`` when all is written, and vanishes if not."""
    check_target(out, force)
    out = out.absolute()
    out.parent.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(out.parent).free
    if free < nbytes:
        raise BadInput("out", f"{nbytes / 1e9:.1f} GB are needed in {out.parent}, which has {free / 1e9:.1f} GB")
    partial, old = (out.with_name(f".{out.name}.{ending}{os.getpid()}") for ending in ("partial", "old"))
    try:
        yield partial
        if out.exists():
            out.rename(old)
        try:
            partial.rename(out)
        except OSError:
            if old.exists():
                old.rename(out)
            raise
    finally:
        for path in (partial, old):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
