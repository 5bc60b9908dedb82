"""LoRA files of few steps, as LCM-LoRA and Hyper-SD are published, put into a model that paints so by itself."""

import json

import pytest
import torch
from diffusers import DDIMScheduler, LCMScheduler, TCDScheduler
from golden_checkpoint import convert
from safetensors.torch import save_file

from instdiff import BadInput, InstanceDiffusionPipeline
from instdiff.checkpoint.__main__ import main
from instdiff.engine import load_engine
from instdiff.layout import Box, Instance, Layout
from instdiff.render_settings import RenderSettings, scheduler_for

LAYER = "mid_block_attentions_0_transformer_blocks_0_attn1_to_q"
DOG = Layout(
    width=64, height=64, caption="a dog", instances=[Instance(caption="a dog", box=Box(x0=0, y0=0, x1=1, y1=1))]
)
KINDS = {"lcm": LCMScheduler, "tcd": TCDScheduler}


@pytest.fixture(scope="module")
def lora(mini, tmp_path_factory):
    """A file in the format of the published ones: kohya's names, an alpha, a convolution among the layers."""
    pipe = InstanceDiffusionPipeline.from_pretrained(mini, local_files_only=True)
    size = pipe.unet.mid_block.attentions[0].transformer_blocks[0].attn1.to_q.in_features
    out, inner, *kernel = pipe.unet.conv_out.weight.shape
    generator = torch.Generator().manual_seed(0)
    tensors = {
        f"lora_unet_{LAYER}.lora_down.weight": torch.randn(4, size, generator=generator),
        f"lora_unet_{LAYER}.lora_up.weight": torch.randn(size, 4, generator=generator),
        f"lora_unet_{LAYER}.alpha": torch.tensor(2.0),
        "lora_unet_conv_out.lora_down.weight": torch.randn(4, inner, *kernel, generator=generator) * 0.1,
        "lora_unet_conv_out.lora_up.weight": torch.randn(out, 4, 1, 1, generator=generator) * 0.1,
        "lora_unet_conv_out.alpha": torch.tensor(4.0),
    }
    path = tmp_path_factory.mktemp("lora") / "few.safetensors"
    save_file(tensors, path)
    return path


def latents_of(pipe, **options) -> torch.Tensor:
    pipe.set_progress_bar_config(disable=True)
    return pipe(DOG, generator=torch.Generator().manual_seed(0), output_type="latent", **options).images


@pytest.mark.parametrize("kind", ["lcm", "tcd"])
def test_a_model_paints_in_few_steps_by_itself(mini, lora, tmp_path, kind):
    asked = ("--lora", str(lora), "--scheduler", kind, "--steps", "4", "--guidance", "1.5", "--dtype", "fp32")
    engine = load_engine(str(convert(mini, tmp_path / "few", *asked)))
    assert isinstance(engine.pipeline.scheduler, KINDS[kind])
    assert (engine.defaults.num_inference_steps, engine.defaults.guidance_scale, engine.defaults.mis) == (4, 1.5, 0.36)
    rendering = engine.render(DOG, RenderSettings())
    # Both halves of guidance; in the first of four steps the dog alone as well, from the same noise as the whole.
    assert rendering.unet_evaluations == 3 + 3 * 2

    loaded = InstanceDiffusionPipeline.from_pretrained(mini, dtype=torch.float32, local_files_only=True)
    own = {"num_inference_steps": 4, "guidance_scale": 1.5, "scheduler": scheduler_for(kind, loaded.scheduler)}
    without = latents_of(loaded, **own)
    loaded.load_lora_weights(str(lora))
    merged = latents_of(engine.pipeline)
    assert (latents_of(loaded, **own) - merged).abs().max() <= 1e-3 * merged.std()  # rounding of the merge
    assert (without - merged).abs().max() > 0.01 * merged.std()


def test_ddim_for_few_steps_begins_with_noise_alone(mini, tmp_path):
    folder = convert(mini, tmp_path / "ddim", "--scheduler", "ddim")
    assert json.loads((folder / "model_index.json").read_text())["num_inference_steps"] == 50  # as it was
    scheduler = DDIMScheduler.from_pretrained(folder / "scheduler")
    scheduler.set_timesteps(4)
    assert scheduler.timesteps.tolist() == [999, 749, 499, 249] and not scheduler.config.clip_sample


@pytest.mark.parametrize(
    "asked",
    [("--guidance", "-1"), ("--steps", "0"), ("--to-reference", "--scheduler", "lcm")],
    ids=lambda asked: asked[0],
)
def test_what_cannot_be_is_one_line(mini, tmp_path, asked, capsys):
    assert main([str(mini), "--out", str(tmp_path / "out"), *asked]) == 2
    assert capsys.readouterr().err.count("\n") == 1 and not (tmp_path / "out").exists()


def test_lcm_makes_no_more_steps_than_it_can(mini, tmp_path):
    engine = load_engine(str(convert(mini, tmp_path / "lcm", "--scheduler", "lcm")))
    with pytest.raises(BadInput, match="num_inference_steps: 60: LCMScheduler says"):
        engine.render(DOG, RenderSettings(num_inference_steps=60))
