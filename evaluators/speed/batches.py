"""Layouts with unequal numbers of instances, so many in one call of the pipeline: seconds a picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from diffusers import AutoencoderKL
from diffusers.utils import logging as diffusers_logging
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer
from transformers.utils import logging as transformers_logging

from evaluators.speed.measure import Models, Stopwatch, placed_things
from instdiff.engine import DRAFT_FOLDER
from instdiff.layout import Layout
from instdiff.model.pipeline import InstanceDiffusionPipeline

MOST = 7  # instances of a layout, from none on
MIS = 0.36


def pipeline_of(models: Models, size: str) -> InstanceDiffusionPipeline:
    """The whole pipeline of a model to measure; other parts than these have the published size and random weights."""
    device, dtype = models.unet.device, models.unet.dtype
    diffusers_logging.disable_progress_bar()
    transformers_logging.disable_progress_bar()
    if size == "draft":
        pipe = InstanceDiffusionPipeline.from_pretrained(DRAFT_FOLDER, dtype=dtype, local_files_only=True).to(device)
    else:
        tokenizer = CLIPTokenizer.from_pretrained(DRAFT_FOLDER / "tokenizer")
        width = models.unifusion.config.text_dim
        names = ("bos_token_id", "eos_token_id", "pad_token_id")
        text = CLIPTextConfig(
            vocab_size=len(tokenizer), hidden_size=width, intermediate_size=4 * width,
            num_attention_heads=max(width // 64, 1), **{name: getattr(tokenizer, name) for name in names},
        )  # fmt: skip
        kinds = {"down_block_types": ["DownEncoderBlock2D"] * 4, "up_block_types": ["UpDecoderBlock2D"] * 4}
        widths = (128, 256, 512, 512) if size == "sd15" else (32, 32, 32, 32)
        vae = AutoencoderKL(block_out_channels=widths, layers_per_block=2, **kinds)
        pipe = InstanceDiffusionPipeline(
            vae.eval().to(device, dtype), CLIPTextModel(text).eval().to(device, dtype), tokenizer, models.unet,
            models.unifusion, models.scheduler, defaults=models.defaults.stated,
        )  # fmt: skip
    pipe.set_progress_bar_config(disable=True)
    return pipe


def unequal_layouts(count: int, side: int) -> list[Layout]:
    """Layouts of a side in pixels with 0, 1, 2, ... instances, at most six each."""
    return [
        Layout(caption=f"scene {k}", width=side, height=side, instances=placed_things(k % MOST)) for k in range(count)
    ]


def batch_rows(
    models: Models, size: str, counts: Sequence[int], layouts: int, steps: int | None, repeat: int
) -> Iterator[dict]:
    """One dictionary for each batch, of the same layouts, so many at once; times in seconds, memory in bytes."""
    pipe = pipeline_of(models, size)
    every = unequal_layouts(layouts, models.latent_side * pipe.vae_scale_factor)
    for count in counts:
        batches = [every[first : first + count] for first in range(0, layouts, count)]
        if pipe.unet.device.type == "cuda":  # until calls are recorded
            _paint(pipe, batches, steps)
        _paint(pipe, batches[-1:], 2)
        watch = Stopwatch(pipe.unet.device)
        for _ in range(repeat):
            with watch.running():
                evaluations = _paint(pipe, batches, steps)
        yield {
            "batch": count, "layouts": layouts, "seconds": watch.wall, "cpu_seconds": watch.cpu,
            "a_picture": watch.typical / layouts, "evaluations": evaluations, "peak_bytes": watch.peak,
        }  # fmt: skip


def _paint(pipe: InstanceDiffusionPipeline, batches: Sequence[list[Layout]], steps: int | None) -> int:
    """The evaluations of the UNet that one call for each batch takes."""
    evaluations = 0
    for layouts in batches:
        generators = [torch.Generator().manual_seed(k) for k in range(len(layouts))]
        evaluations += pipe(layouts, num_inference_steps=steps, mis=MIS, generator=generators).unet_evaluations
    return evaluations
