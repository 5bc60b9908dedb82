"""Conversion of a checkpoint of the published size: memory, time, names. ``pytest -m slow -s`` prints them."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from golden_checkpoint import CLIP
from golden_figures import figures
from golden_weights import fill
from safetensors import safe_open

from instdiff.checkpoint import parameter_names
from instdiff.checkpoint.schedule import schedule_buffers

ROOT = Path(__file__).parents[3]
MEASURED = """
import sys
from instdiff.checkpoint import convert, reference
from instdiff.checkpoint.__main__ import main
def kilobytes(field):
    return int(next(line for line in open("/proc/self/status") if line.startswith(field)).split()[1])
before = kilobytes("VmRSS")
code = main(sys.argv[1:])
print("increase", (kilobytes("VmHWM") - before) * 1024)
sys.exit(code)
"""


def measured(*arguments) -> tuple[int, float]:
    """Run the command alone; the largest increase of memory in bytes, and seconds."""
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *map(str, arguments)], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout.rsplit("increase", 1)[1]), time.monotonic() - start


def whole_tokenizer(folder: Path) -> Path:
    """A tokenizer with as many tokens as CLIP's, most of them without meaning."""
    folder.mkdir()
    words = list(json.loads((CLIP / "vocab.json").read_text()))
    words = words[:-2] + [f"filler{i}</w>" for i in range(49408 - len(words))] + words[-2:]
    (folder / "vocab.json").write_text(json.dumps({word: i for i, word in enumerate(words)}))
    for name in ("merges.txt", "tokenizer_config.json", "special_tokens_map.json"):
        (folder / name).write_text((CLIP / name).read_text())
    return folder


def full_checkpoint(path: Path) -> None:
    """A float32 checkpoint of the published size with the deterministic weights; ema shares the tensors of model."""
    from diffusers import AutoencoderKL
    from transformers import CLIPTextConfig, CLIPTextModel

    with torch.device("meta"):
        kinds = {"down_block_types": ["DownEncoderBlock2D"] * 4, "up_block_types": ["UpDecoderBlock2D"] * 4}
        vae = AutoencoderKL(block_out_channels=(128, 256, 512, 512), layers_per_block=2, **kinds).state_dict()
        config = CLIPTextConfig(hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12)
        text = CLIPTextModel(config).state_dict()
    model = {name: fill(name, tuple(shape)) for name, shape in figures("keys_sd15").items()}
    autoencoder = {}
    for name, value in vae.items():
        theirs = parameter_names.reference_vae_key(name)
        autoencoder[theirs] = fill(
            theirs, (*value.shape, 1, 1) if ".attn_1." in theirs and value.dim() == 2 else tuple(value.shape)
        )
    names = {name: f"transformer.text_model.{name.removeprefix('text_model.')}" for name in text}
    text_encoder = {names[name]: fill(names[name], tuple(value.shape)) for name, value in text.items()}
    parts = {
        "model": model,
        "ema": model,
        "autoencoder": autoencoder,
        "text_encoder": text_encoder,
        "diffusion": schedule_buffers(),
    }
    torch.save(parts, path)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_memory_stays_under_the_size_of_the_checkpoint(tmp_path):
    full_checkpoint(tmp_path / "full.pth")
    tokenizer = whole_tokenizer(tmp_path / "tokenizer")
    size = (tmp_path / "full.pth").stat().st_size
    for dtype in ("fp32", "fp16"):
        options = ["--tokenizer", tokenizer, "--dtype", dtype, "--out", tmp_path / dtype]
        increase, seconds = measured(tmp_path / "full.pth", *options)
        print(
            f"\n{dtype} folder: checkpoint {size / 1e9:.2f} GB, memory + {increase / size:.2f} of it, {seconds:.0f} s"
        )
        assert increase < 1.3 * size
    increase, seconds = measured(tmp_path / "fp32", "--to-reference", "--out", tmp_path / "back.pth")
    print(f"to the reference: memory + {increase / size:.2f} of the checkpoint, {seconds:.0f} s")
    assert increase < 1.3 * size

    name = "position_net.linears_list.3.0.weight"
    with safe_open(tmp_path / "fp32" / "unifusion" / "diffusion_pytorch_model.safetensors", "pt") as file:
        assert torch.equal(
            file.get_tensor(parameter_names.unifusion_key(name)), fill(name, tuple(figures("keys_sd15")[name]))
        )
    back = torch.load(tmp_path / "back.pth", weights_only=True, mmap=True)["model"]
    assert {key: list(value.shape) for key, value in back.items()} == figures("keys_sd15")
    assert all(torch.equal(back[key], fill(key, tuple(back[key].shape))) for key in list(back)[::50])
