"""Puts trained parts together as the bundled draft models, in few bytes, and takes them apart to train on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from diffusers import DPMSolverMultistepScheduler, ModelMixin
from transformers import CLIPTextModel, CLIPTokenizer

from instdiff.model.autoencoder import PatchAutoencoder
from instdiff.model.crop_classifier import CropClassifier
from instdiff.model.defaults import ModelDefaults
from instdiff.model.detector import DenseDetector
from instdiff.model.int8_weights import Int8Model, save_int8
from instdiff.model.pipeline import InstanceDiffusionPipeline
from instdiff.model.unet import InstanceUNet
from instdiff.model.unifusion import UniFusion
from instdiff.training.draft.painter import PARTS, noise_scheduler

# Where a detector lies in a working folder, where in that of the bundled models, and what it is.
DETECTORS: tuple[tuple[str, str, type[ModelMixin]], ...] = (
    ("detector/detector", "detector", DenseDetector),
    ("judge/detector", "judge", DenseDetector),
    ("crops/crops", "detector/crops", CropClassifier),
    ("judge-crops/crops", "judge/crops", CropClassifier),
)
# How the draft models paint best: a little noise over the first guess, from which few steps lead away.
DEFAULTS = ModelDefaults(
    num_inference_steps=4, guidance_scale=1.0, alpha=1, mis=0, noise_scale=0.4, strength=0.2, native_size=(256, 256),
    max_side=256,
)  # fmt: skip


def bundle(work: Path, target: Path) -> int:
    """Write the models' folder from a working folder of `instdiff.train`; returns the bytes of all weights.

    Args:
        work: holds ``tokenizer``, ``painter`` and ``autoencoder`` or, while that is not trained, ``vae``.
        target: a folder in diffusers layout. What is not in ``work`` of the detectors and their crop
            classifiers is left as it is there.
    """
    painter = work / "painter"
    autoencoder = work / "autoencoder" / "vae"
    pipeline = assemble(
        PatchAutoencoder.from_pretrained(autoencoder if autoencoder.exists() else work / "vae"),
        CLIPTextModel.from_pretrained(painter / "text_encoder"),
        CLIPTokenizer.from_pretrained(work / "tokenizer"),
        InstanceUNet.from_pretrained(painter / "unet"),
        UniFusion.from_pretrained(painter / "unifusion"),
    )
    for name in ("vae", "text_encoder", "tokenizer", "unet", "unifusion", "scheduler"):
        shutil.rmtree(target / name, ignore_errors=True)
    pipeline.vae.half()
    pipeline.text_encoder.half()
    pipeline.save_pretrained(target)
    for name in ("unet", "unifusion"):
        bundle_int8(getattr(pipeline, name), target / name)
    for trained, bundled, kind in DETECTORS:
        if (work / trained).exists():
            bundle_detector(kind.from_pretrained(work / trained), target / bundled)
    for path in target.rglob("config.json"):  # where a model was trained is nobody's business
        config = json.loads(path.read_text())
        config.pop("_name_or_path", None)
        if path.parent.name == "text_encoder":
            config["dtype"] = "float32"  # whoever loads it: half precision is for the disk
        path.write_text(json.dumps(config, indent=2) + "\n")
    return sum(path.stat().st_size for path in target.rglob("*.safetensors"))


def bundle_detector(model: ModelMixin, folder: Path) -> None:
    """Write a detector in half precision, a crop classifier in one byte a weight, in place of what is there."""
    if isinstance(model, CropClassifier):
        bundle_int8(model, folder)
    else:
        model.half().save_pretrained(folder)


def bundle_int8(model: Int8Model, folder: Path) -> None:
    """Write a model in one byte a weight, in place of what is there."""
    for path in folder.glob("*.safetensors"):
        path.unlink()
    folder.mkdir(parents=True, exist_ok=True)
    save_int8(model, folder)


def assemble(vae, text_encoder, tokenizer, unet, unifusion) -> InstanceDiffusionPipeline:
    """The draft pipeline of these parts, with the scheduler and the defaults that it paints best with."""
    scheduler = DPMSolverMultistepScheduler.from_config(noise_scheduler().config, timestep_spacing="trailing")
    parts = {"vae": vae, "text_encoder": text_encoder, "tokenizer": tokenizer, "unet": unet, "unifusion": unifusion}
    return InstanceDiffusionPipeline(**parts, scheduler=scheduler, defaults=DEFAULTS.stated)


def unbundle(source: Path, work: Path) -> None:
    """Lay the bundled models out in a working folder, so that ``--resume`` trains on from them.

    Step counts and optimizer states are not bundled: those start anew.
    """
    for name in ("tokenizer", "vae"):
        shutil.copytree(source / name, work / name, dirs_exist_ok=True)
    shutil.copytree(source / "vae", work / "autoencoder" / "vae", dirs_exist_ok=True)
    for name, kind in PARTS.items():
        kind.from_pretrained(source / name).float().save_pretrained(work / "painter" / name)
    for trained, bundled, kind in DETECTORS:
        if (source / bundled).exists():
            kind.from_pretrained(source / bundled).save_pretrained(work / trained)
