"""A pipeline with random weights, something to paint, and how."""

import torch
from diffusers import AutoencoderKL
from golden_figures import plms
from transformers import CLIPTextConfig, CLIPTextModel

from instdiff import Box, Instance, InstanceDiffusionPipeline, Layout
from instdiff.model.unet import InstanceUNet
from instdiff.model.unifusion import UniFusion
from instdiff.training.draft.captions import train_tokenizer

STEPS = 4
LATENTS = (16, 16)  # of a picture of 64 x 64 pixels


def tiny_pipeline():
    """A model with random weights, of which four pixels of the picture's side are a latent."""
    torch.manual_seed(0)
    tokenizer = train_tokenizer(["a red cat and two dogs", "a car on a street"] * 20, 700)
    text = CLIPTextConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2,
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    pipe = InstanceDiffusionPipeline(
        vae=AutoencoderKL(
            block_out_channels=(32, 32, 32),
            down_block_types=["DownEncoderBlock2D"] * 3,
            up_block_types=["UpDecoderBlock2D"] * 3,
        ),
        text_encoder=CLIPTextModel(text).eval(),
        tokenizer=tokenizer,
        unet=InstanceUNet(
            block_out_channels=(32, 32),
            attention_levels=(True, True),
            layers_per_block=1,
            attention_heads=2,
            cross_attention_dim=32,
        ),
        unifusion=UniFusion(
            text_dim=32, out_dim=32, mid_dim=16, seg_size=64, convnext_dims=(8, 8, 8, 8), convnext_depths=(1, 1, 1, 1)
        ),
        scheduler=plms(),
    )
    for name, parameter in pipe.unet.named_parameters():
        if name.endswith(("alpha_attn", "alpha_dense")):
            parameter.data.fill_(1.0)  # with the gates closed no layout would change anything
    pipe.set_progress_bar_config(disable=True)
    return pipe


def layout(caption="a red cat", left=0.1, **fields):
    """A cat and a dog on a picture of 64 x 64 pixels."""
    cat = Instance(caption="a cat", box=Box(x0=left, y0=0.2, x1=left + 0.4, y1=0.7))
    dog = Instance(caption="a dog", box=Box(x0=0.5, y0=0.5, x1=0.9, y1=0.9))
    return Layout(width=64, height=64, caption=caption, instances=[cat, dog], **fields)


def paint(pipe, layouts, seed=0, **options):
    """Latents of layouts, with seeds that count up, if the options do not say otherwise."""
    options = {"num_inference_steps": STEPS, "output_type": "latent", "mis": 0.5, **options}
    count = len(layouts) if isinstance(layouts, list) else options.get("num_images_per_layout", 1)
    generators = [torch.Generator().manual_seed(seed + k) for k in range(count)]
    return pipe(layouts, generator=generators, **options).images
