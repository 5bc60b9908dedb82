"""Puts trained parts together as the bundled draft models, in half precision, and takes them apart to train on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from diffusers import DPMSolverMultistepScheduler
from transformers import CLIPTextModel, CLIPTokenizer

from instdiff.model.autoencoder import PatchAutoencoder
from instdiff.model.defaults import ModelDefaults
from instdiff.model.pipeline import InstanceDiffusionPipeline
from instdiff.model.unet import InstanceUNet
from instdiff.model.unifusion import UniFusion
from instdiff.training.draft.painter import noise_scheduler

DETECTORS = ("detector", "judge")
# How the draft models paint best; of full noise a short training makes a mosaic.
DEFAULTS = ModelDefaults(
    num_inference_steps=16, guidance_scale=1.7, alpha=1, mis=0, noise_scale=0.6, native_size=(256, 256), max_side=256
)


def bundle(work: Path, target: Path) -> int:
    """Write the models' folder from a working folder of `instdiff.train`; returns the bytes of all weights.

    Args:
        work: holds ``tokenizer``, ``painter`` and ``autoencoder`` or, while that is not trained, ``vae``.
        target: a folder in diffusers layout. A detector or judge that is not in ``work`` is left as it is there.
    """
    painter = work / "painter"
    trained = work / "autoencoder" / "vae"
    pipeline = assemble(
        PatchAutoencoder.from_pretrained(trained if trained.exists() else work / "vae"),
        CLIPTextModel.from_pretrained(painter / "text_encoder"),
        CLIPTokenizer.from_pretrained(work / "tokenizer"),
        InstanceUNet.from_pretrained(painter / "unet"),
        UniFusion.from_pretrained(painter / "unifusion"),
    )
    for name in ("vae", "text_encoder", "tokenizer", "unet", "unifusion", "scheduler"):
        shutil.rmtree(target / name, ignore_errors=True)
    for model in (pipeline.vae, pipeline.text_encoder, pipeline.unet, pipeline.unifusion):
        model.half()
    pipeline.save_pretrained(target)
    for name in DETECTORS:
        if (work / name / "detector").exists():
            shutil.copytree(work / name / "detector", target / name, dirs_exist_ok=True)
    for path in target.glob("*/config.json"):  # where a model was trained is nobody's business
        config = json.loads(path.read_text())
        config.pop("_name_or_path", None)
        path.write_text(json.dumps(config, indent=2) + "\n")
    return sum(path.stat().st_size for path in target.rglob("*.safetensors"))


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
    for name, model in (("unet", InstanceUNet), ("unifusion", UniFusion), ("text_encoder", CLIPTextModel)):
        model.from_pretrained(source / name).float().save_pretrained(work / "painter" / name)
    for name in DETECTORS:
        shutil.copytree(source / name, work / name / "detector", dirs_exist_ok=True)
