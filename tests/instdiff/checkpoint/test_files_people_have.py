"""Checkpoints as people have them: merged, pruned, in bfloat16; and files of other models, which are named."""

import json
from pathlib import Path

import pytest
import torch
from golden_checkpoint import CLIP, assembled, convert, mini_content, same, save, stable_diffusion, weights
from safetensors.torch import save_file

from instdiff.checkpoint.__main__ import main
from instdiff.checkpoint.schedule import schedule_buffers
from instdiff.checkpoint.sources import open_source, open_vae

POSITIONS = "cond_stage_model.transformer.text_model.embeddings.position_ids"
CONV = "model.diffusion_model.input_blocks.0.0.weight"
CROSS = "model.diffusion_model.input_blocks.4.1.transformer_blocks.0.attn2.to_k.weight"


def write(tensors: dict, path: Path) -> Path:
    save_file({name: value.contiguous().clone() for name, value in tensors.items()}, path)
    return path


@pytest.fixture(scope="module")
def closed(files) -> dict:
    """What a conversion of the plain Stable Diffusion writes, without the blocks that it makes anew."""
    return assembled(files / "sd.safetensors")


def refusal(capsys, path: Path, *options) -> str:
    """The one line that the command refuses with; nothing is left behind."""
    capsys.readouterr()
    out = path.parent / "out"
    assert main([str(path), "--out", str(out), "--tokenizer", str(CLIP), *map(str, options)]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and not out.exists()
    return lines[0]


def spoilt(ids: torch.Tensor) -> torch.Tensor:
    ids = ids.float()
    ids[..., 41] = 40
    return ids


@pytest.mark.parametrize(
    "change",
    [
        lambda ids: spoilt(ids).half(),
        lambda ids: spoilt(ids).bfloat16(),
        lambda ids: ids.double() * 0.3 + 0.7,
        lambda ids: ids.flatten(),
        lambda ids: torch.zeros(0, dtype=torch.int64),
    ],
    ids=["merged", "merged in bfloat16", "weighted", "flat", "empty"],
)
def test_position_ids_are_left_out_in_any_form_and_that_is_said(tmp_path, change):
    plain = stable_diffusion()
    source = open_source(write(plain | {POSITIONS: change(plain[POSITIONS])}, tmp_path / "x.safetensors"))
    assert "embeddings.position_ids" not in source.parts["text_encoder"]
    assert len([note for row in source.rows.values() for note in row.notes if "position_ids" in note]) == 1


def test_a_merge_converts(closed, tmp_path, capsys):
    plain = stable_diffusion()
    path = write(plain | {POSITIONS: spoilt(plain[POSITIONS]).half()}, tmp_path / "x.safetensors")
    found = weights(convert(path, tmp_path / "out"))
    assert len(found) > len(closed) and same({name: found[name] for name in closed}, closed)
    assert f"left out of x.safetensors: {POSITIONS}: " in capsys.readouterr().out


def test_those_of_the_published_model_are_left_out_too(tmp_path):
    content = mini_content()
    name = "transformer.text_model.embeddings.position_ids"
    content["text_encoder"][name] = spoilt(content["text_encoder"][name]).half()
    save(content, tmp_path / "x.pth")
    assert sum(map(len, open_source(tmp_path / "x.pth").rows["text_encoder"].left_out.values())) == 1


@pytest.mark.parametrize("kept", [torch.bfloat16, torch.float32], ids=["bfloat16", "and back in float32"])
def test_a_file_in_bfloat16_has_the_schedule(tmp_path, kept):
    source = open_source(write(in_bfloat16(kept), tmp_path / "x.safetensors"))
    assert source.rows["schedule"].read == 12


def in_bfloat16(kept: torch.dtype) -> dict:
    return {n: v.bfloat16().to(kept) if v.is_floating_point() else v for n, v in stable_diffusion().items()}


def test_a_file_in_bfloat16_converts(closed, tmp_path):
    rounded = in_bfloat16(torch.bfloat16)
    found = assembled(write(rounded, tmp_path / "x.safetensors"))
    assert found.keys() == closed.keys()
    name = "unet/mid_block.resnets.0.conv1.weight"
    assert torch.equal(found[name], rounded["model.diffusion_model.middle_block.0.in_layers.2.weight"])


@pytest.mark.parametrize(
    "betas",
    [torch.linspace(0.00085, 0.012, 1000), torch.linspace(0.00085**0.5, 0.0125**0.5, 1000) ** 2],
    ids=["linear", "a little longer"],
)
def test_another_schedule_is_still_told_from_a_rounded_one(tmp_path, capsys, betas):
    signal = (1 - betas).cumprod(0)
    path = write(stable_diffusion() | {"alphas_cumprod": signal.half()}, tmp_path / "x.safetensors")
    assert not torch.allclose(signal, schedule_buffers()["alphas_cumprod"], rtol=2**-6)
    assert "alphas_cumprod is not the noise schedule" in refusal(capsys, path)


@pytest.mark.parametrize(
    "channels, kind", [(9, "an inpainting model"), (8, "InstructPix2Pix"), (7, "reads 7 channels")]
)
def test_a_unet_that_reads_more_than_latents_is_refused(tmp_path, capsys, channels, kind):
    plain = stable_diffusion()
    wide = torch.cat([plain[CONV]] * 3, 1)[:, :channels]
    line = refusal(capsys, write(plain | {CONV: wide}, tmp_path / "x.safetensors"))
    assert kind in line and f"reads {channels} channels, where Stable Diffusion 1.x reads 4" in line


def test_an_inpainting_backbone_and_its_convolution_are_refused_too(files, tmp_path, capsys):
    plain = stable_diffusion()
    wide = torch.cat([plain[CONV]] * 3, 1)[:, :9]
    path = write(plain | {CONV: wide}, tmp_path / "x.safetensors")
    torch.save({"weight": wide, "bias": torch.zeros(len(wide))}, tmp_path / "conv.pth")
    (tmp_path / "mini.pth").symlink_to(files / "mini.pth")
    assert "an inpainting model" in refusal(capsys, tmp_path / "mini.pth", "--backbone", path)
    assert "an inpainting model" in refusal(capsys, tmp_path / "mini.pth", "--stock", tmp_path / "conv.pth")


@pytest.mark.parametrize(
    "names, kind",
    [
        (["cond_stage_model.model.transformer.resblocks.0.attn.in_proj_weight", CROSS], "is Stable Diffusion 2.x"),
        (["conditioner.embedders.1.model.ln_final.weight", CROSS], "is Stable Diffusion XL"),
        (["model.diffusion_model.label_emb.0.0.weight"], "is Stable Diffusion XL"),
        (["model.diffusion_model.joint_blocks.0.x_block.attn.qkv.weight"], "is Stable Diffusion 3"),
        (["model.diffusion_model.double_blocks.0.img_attn.qkv.weight"], "is FLUX"),
        (["double_blocks.0.img_attn.qkv.weight"], "is FLUX"),
        (["control_model.zero_convs.0.0.weight"], "is a ControlNet"),
        (["lora_unet_mid_block_attentions_0_proj_in.lora_down.weight"], "give it with --lora"),
        (["model.diffusion_model.out.2.weight", "v_pred"], "predicts velocity"),
        (["model.diffusion_model.middle_block.1.proj_in.weight.absmax"], "holds quantised weights"),
        (["decoder.conv_in.weight", "encoder.down.0.block.0.conv1.weight"], "give it with --vae"),
        (["down_blocks.0.resnets.0.conv1.weight"], "is a UNet alone"),
        (["text_model.encoder.layers.0.mlp.fc1.weight"], "is a text encoder alone"),
        (["emb_params"], "is a textual inversion"),
    ],
)
def test_files_of_other_models_are_named(tmp_path, capsys, names, kind):
    path = write({name: torch.zeros(4, 4) for name in names}, tmp_path / "x.safetensors")
    assert kind in refusal(capsys, path)


@pytest.mark.parametrize(
    "width, kind", [(1024, "Stable Diffusion 2.x"), (2048, "Stable Diffusion XL"), (1280, "refiner")]
)
def test_models_are_told_by_the_width_of_their_captions(tmp_path, capsys, width, kind):
    path = write({CROSS: torch.zeros(2, width)}, tmp_path / "x.safetensors")
    line = refusal(capsys, path)
    assert kind in line and f"{width} numbers wide" in line


@pytest.mark.parametrize(
    "index, unet, kind",
    [
        ("StableDiffusionXLPipeline", {}, "is a StableDiffusionXLPipeline"),
        ("StableDiffusion3Pipeline", None, "is a StableDiffusion3Pipeline"),
        ("StableDiffusionPipeline", {"cross_attention_dim": 1024, "in_channels": 4}, "is Stable Diffusion 2.x"),
        ("StableDiffusionInpaintPipeline", {"cross_attention_dim": 768, "in_channels": 9}, "an inpainting model"),
    ],
)
def test_folders_of_other_models_are_named(tmp_path, capsys, index, unet, kind):
    folder = tmp_path / "x"
    (folder / "unet").mkdir(parents=True)
    (folder / "model_index.json").write_text(json.dumps({"_class_name": index}))
    if unet is not None:
        (folder / "unet" / "config.json").write_text(json.dumps(unet))
    assert kind in refusal(capsys, folder)


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.float8_e5m2])
@pytest.mark.parametrize("ending", ["safetensors", "ckpt"])
def test_weights_in_eight_bits_are_named(tmp_path, capsys, dtype, ending):
    tensors = {"model.diffusion_model.out.2.weight": torch.zeros(4, 4).to(dtype)}
    path = tmp_path / f"x.{ending}"
    save_file(tensors, path) if ending == "safetensors" else torch.save({"state_dict": tensors}, path)
    assert "8-bit floats (fp8) are not read; take the file of this model in fp16" in refusal(capsys, path)


@pytest.mark.parametrize(
    "content, word",
    [
        (b"GGUF\x03\0\0\0" + bytes(100), "is a GGUF file"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 4265146304\n", "git lfs pull"),
        (b"<!DOCTYPE html><html><body>Sign in</body></html>", "is a web page"),
    ],
    ids=["GGUF", "pointer", "page"],
)
@pytest.mark.parametrize("name", ["x.gguf", "x.safetensors", "x.ckpt"])
def test_files_of_other_kinds_are_named(tmp_path, capsys, content, word, name):
    (tmp_path / name).write_bytes(content)
    assert word in refusal(capsys, tmp_path / name)


@pytest.fixture(scope="module")
def pruned(files) -> Path:
    plain = {name: value for name, value in stable_diffusion().items() if not name.startswith("first_stage_model.")}
    return write(plain, files / "pruned.safetensors")


def test_a_file_without_a_vae_asks_for_one(pruned, capsys):
    line = refusal(capsys, pruned)
    assert "pruned.safetensors: holds no VAE" in line and "give one with --vae" in line


@pytest.mark.parametrize(
    "form", ["sd.safetensors", "sd", "sd/vae", "alone.safetensors", "alone.ckpt", "todays.safetensors"]
)
def test_a_vae_is_taken_from_any_form(files, closed, form):
    alone = {n.removeprefix("first_stage_model."): v for n, v in stable_diffusion().items() if n.startswith("first_st")}
    write(alone, files / "alone.safetensors")
    torch.save({"state_dict": alone | {"loss.logvar": torch.zeros(1)}}, files / "alone.ckpt")
    (files / "todays.safetensors").write_bytes((files / "sd/vae/diffusion_pytorch_model.safetensors").read_bytes())
    found = {f"vae/{name}": tensor.load() for name, tensor in open_vae(files / form).parts["vae"].items()}
    assert same(found, {name: value for name, value in closed.items() if name.startswith("vae/")})


def test_a_file_without_a_vae_converts_with_one(files, pruned, closed):
    assert same(assembled(pruned, vae=files / "sd" / "vae"), closed)


def test_a_vae_takes_the_place_of_another(files, closed, tmp_path):
    others = {n: v + 1 for n, v in stable_diffusion().items() if n.startswith("first_stage_model.")}
    path = write(others, tmp_path / "other.safetensors")
    found = assembled(files / "sd.safetensors", vae=path)
    for name, value in found.items():
        assert torch.equal(value, closed[name] + 1 if name.startswith("vae/") else closed[name]), name


def test_a_vae_of_another_model_is_refused(files, pruned, tmp_path, capsys):
    folder = tmp_path / "vae"
    folder.mkdir()
    config = json.loads((files / "sd/vae/config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"scaling_factor": 0.13025}))
    assert "scaled by 0.13025" in refusal(capsys, pruned, "--vae", folder)
    words = write({"text_model.final_layer_norm.bias": torch.zeros(4)}, tmp_path / "x.safetensors")
    assert "holds no VAE" in refusal(capsys, pruned, "--vae", words)
    deep = {name: value for name, value in stable_diffusion().items() if name.startswith("first_stage_model.")}
    for layer in ("post_quant_conv.weight", "decoder.conv_in.weight"):
        deep[f"first_stage_model.{layer}"] = torch.zeros(16, 16, 1, 1)
    assert "latents of 16 channels" in refusal(capsys, pruned, "--vae", write(deep, tmp_path / "deep.safetensors"))


def test_a_file_without_words_says_so(tmp_path, capsys):
    plain = {name: value for name, value in stable_diffusion().items() if not name.startswith("cond_stage_model.")}
    assert "holds no text encoder" in refusal(capsys, write(plain, tmp_path / "x.safetensors"))
