"""A tiny model and pictures with annotations to train on. As a program it writes the gradient of two processes."""

import gc
import json
import os
import signal
import socket
import sys
from multiprocessing import connection, get_context

import numpy as np
import torch
from diffusers import AutoencoderKL, DDPMScheduler
from PIL import Image, ImageDraw
from torch.nn.parallel import DistributedDataParallel
from transformers import CLIPTextConfig, CLIPTextModel

from instdiff import InstanceDiffusionPipeline
from instdiff.model.unet import InstanceUNet
from instdiff.model.unifusion import UniFusion
from instdiff.training.draft.captions import train_tokenizer

COLOURS = ["red", "green", "blue"]


def make_model(folder, prediction_type="epsilon"):
    """A model of every part, the gates slightly open; pictures of 64 pixels are 16 x 16 latents."""
    torch.manual_seed(0)
    tokenizer = train_tokenizer([f"a {colour} ball beside a box" for colour in COLOURS] * 20, 700)
    text = CLIPTextConfig(
        vocab_size=len(tokenizer), hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    vae = dict(down_block_types=["DownEncoderBlock2D"] * 3, up_block_types=["UpDecoderBlock2D"] * 3, norm_num_groups=8)
    unet = dict(
        attention_levels=(True, False), layers_per_block=1, attention_heads=2, cross_attention_dim=16, norm_num_groups=8
    )
    pipeline = InstanceDiffusionPipeline(
        vae=AutoencoderKL(block_out_channels=(8, 8, 8), **vae),
        text_encoder=CLIPTextModel(text).eval(),
        tokenizer=tokenizer,
        unet=InstanceUNet(block_out_channels=(16, 16), has_stock_conv_in=False, **unet),
        unifusion=UniFusion(
            text_dim=16, out_dim=16, mid_dim=16, seg_size=64, convnext_dims=(8, 8, 8, 8), convnext_depths=(1, 1, 1, 1)
        ),
        scheduler=DDPMScheduler(beta_schedule="scaled_linear", prediction_type=prediction_type, clip_sample=False),
    )
    for name, parameter in pipeline.unet.named_parameters():
        if name.endswith(("alpha_attn", "alpha_dense")):
            parameter.data.fill_(0.5)
    pipeline.save_pretrained(folder)
    defaults = {"num_inference_steps": 2, "guidance_scale": 2.0, "alpha": 1.0, "mis": 0.0}
    (folder / "engine.json").write_text(json.dumps({"native_size": [64, 64], "max_side": 64, "defaults": defaults}))
    return folder


def make_pictures(folder, count=6):
    """Pictures of a coloured rectangle each, of which every third has a polygon, and their annotations."""
    (folder / "pictures").mkdir(parents=True)
    images = []
    annotations = []
    rng = np.random.default_rng(0)
    for number in range(1, count + 1):
        size = (96, 64) if number % 2 else (64, 80)
        x = int(rng.integers(20, 35))
        y = int(rng.integers(12, 30))
        colour = COLOURS[number % 3]
        image = Image.new("RGB", size, "white")
        ImageDraw.Draw(image).rectangle([x, y, x + 25, y + 30], fill=colour)
        image.save(folder / "pictures" / f"{number}.png")
        images.append(
            {
                "id": number,
                "file_name": f"{number}.png",
                "width": size[0],
                "height": size[1],
                "caption": f"a {colour} box",
            }
        )
        corners = [x, y, x + 26, y, x + 26, y + 31, x, y + 31]
        segmentation = [] if number % 3 else [corners]
        box = {"bbox": [x, y, 26, 31], "segmentation": segmentation, "caption": f"a {colour} box"}
        annotations.append({"id": number, "image_id": number, "category_id": 1, "iscrowd": 0, "area": 26 * 31, **box})
    categories = [{"id": 1, "name": "box"}]
    (folder / "train.json").write_text(
        json.dumps({"images": images, "annotations": annotations, "categories": categories})
    )
    return folder


def recipe_fields(folder, **changes):
    """A short training on what the two functions above made in ``folder``."""
    paths = {
        "model": folder / "start",
        "annotations": folder / "train.json",
        "images": folder / "pictures",
        "out": folder / "out",
    }
    return {
        **paths,
        "steps": 4,
        "batch": 2,
        "warmup": 2,
        "rate": 1e-3,
        "workers": 0,
        "log_every": 1,
        "checkpoint_every": 2,
        **changes,
    }


def write_gradient(fields, path):
    """The gradient of the first step, as process 0 has it."""
    from instdiff.training.sd15.recipe import TrainingRecipe
    from instdiff.training.sd15.training import make_trainer

    trainer = make_trainer(TrainingRecipe.parse(fields))
    trainer.gradients()
    if trainer.accelerator.is_main_process:
        trained = trainer.task.model.trained()
        gradients = {name: p.grad for name, p in trained.items() if p.grad is not None}
        torch.save(gradients | {"processes": torch.tensor(trainer.accelerator.num_processes)}, path)
    trainer.leave()
    assert not any(type(held) is DistributedDataParallel for held in gc.get_objects())  # see `leave`


def write_gradient_of_two(fields, path):
    """As `write_gradient`, in two processes, each told its place as torchrun tells it; returns whether all went well.

    They are copies of this one: what they need is imported once.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
    processes = []
    for rank in map(str, range(2)):
        os.environ.update({"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", **meeting})
        processes.append(get_context("fork").Process(target=write_gradient, args=(fields, path), daemon=True))
        processes[-1].start()
    while running := [process.sentinel for process in processes if process.is_alive()]:
        connection.wait(running)
        if any(process.exitcode for process in processes):
            break  # the other would wait for it; it ends with this process
    return all(process.exitcode == 0 for process in processes)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # with the two
    sys.exit(not write_gradient_of_two(json.loads(sys.argv[1]), sys.argv[2]))
