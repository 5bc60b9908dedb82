"""Checkpoints of others become our folder and go back, to the bit; nothing in them is run or lost."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler, UNet2DConditionModel
from golden_checkpoint import assembled, convert, mini_tensors, same, stable_diffusion, weights
from golden_figures import figures, small_grounding, tensors
from safetensors.torch import save_file

from instdiff import Box, Instance, InstanceDiffusionPipeline, InstanceUNet, Layout, UniFusion
from instdiff.checkpoint import parameter_names
from instdiff.checkpoint.__main__ import main
from instdiff.checkpoint.schedule import schedule_buffers
from instdiff.model.defaults import ModelDefaults

EXPECTED = "mini_checkpoint_expected"


@torch.no_grad()
@pytest.mark.parametrize(("options", "kind"), [([], "ema"), (["--no-ema"], "model")])
def test_the_mini_checkpoint_computes_what_the_reference_computes(files, tmp_path, options, kind):
    folder = convert(files / "mini.pth", tmp_path / "mini", "--dtype", "fp32", *options)
    golden = tensors(EXPECTED)
    inputs = tensors("unet_small")
    unet = InstanceUNet.from_pretrained(folder / "unet").eval()
    unifusion = UniFusion.from_pretrained(folder / "unifusion").eval()
    for name, grounding in (("box", small_grounding("box")), ("null", small_grounding("box").null())):
        eps = unet(inputs["x"], inputs["timesteps"], inputs["context"], unifusion(grounding))
        assert (eps - golden[f"eps_{name}_{kind}"]).abs().max() <= 1e-4
    assert (golden["eps_box_ema"] - golden["eps_box_model"]).abs().max() > 0.01  # the two can be told apart


@torch.no_grad()
def test_text_and_pictures_are_those_of_the_reference_too(mini):
    golden = tensors(EXPECTED)
    pipeline = InstanceDiffusionPipeline.from_pretrained(mini, dtype=torch.float32, local_files_only=True)
    ids = pipeline.tokenizer(
        ["a cat sitting on a mat, 2 dogs"], padding="max_length", truncation=True, return_tensors="pt"
    ).input_ids
    assert torch.equal(ids.long(), golden["text_input_ids"].long().view_as(ids))
    features, pooled = pipeline.encode_captions(["a cat sitting on a mat, 2 dogs"])
    assert (features - golden["text_last_hidden_state"]).abs().max() <= 1e-5
    assert (pooled - golden["text_pooler_output"]).abs().max() <= 1e-5
    image = pipeline.vae.decode(golden["ae_latent"] / pipeline.vae.config.scaling_factor).sample
    assert (image - golden["ae_image"]).abs().max() <= 1e-4


def test_the_folder_paints(mini):
    cat = Instance(caption="a cat", box=Box(x0=0.1, y0=0.2, x1=0.5, y1=0.7))
    pipeline = InstanceDiffusionPipeline.from_pretrained(mini, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    layout = Layout(width=64, height=64, caption="a cat", instances=[cat])
    assert pipeline(layout, num_inference_steps=2, mis=0.0).images[0].size == (64, 64)


@pytest.mark.parametrize("kind", [DDIMScheduler, DDPMScheduler])
def test_schedulers_made_from_the_folders_own_leave_latents_whole(mini, tmp_path, kind):
    """Their own default cuts latents to -1..1; Stable Diffusion's configuration says not to."""
    older = json.loads((mini / "scheduler" / "scheduler_config.json").read_text())
    older.pop("clip_sample", None)
    shutil.copytree(mini, tmp_path / "older")
    (tmp_path / "older" / "scheduler" / "scheduler_config.json").write_text(json.dumps(older))
    for folder in (mini, convert(tmp_path / "older", tmp_path / "again")):
        own = InstanceDiffusionPipeline.from_pretrained(folder, local_files_only=True).scheduler
        config = kind.from_config(own.config).config
        assert (
            config.clip_sample is False and config.get("set_alpha_to_one", False) is False and config.steps_offset == 1
        )
        said = ("beta_start", "beta_end", "beta_schedule", "num_train_timesteps", "trained_betas", "prediction_type")
        assert [config[name] for name in said] == [0.00085, 0.012, "scaled_linear", 1000, None, "epsilon"]


def test_the_defaults_of_a_model_are_kept(mini, tmp_path):
    assert InstanceDiffusionPipeline.from_pretrained(mini, local_files_only=True).defaults == ModelDefaults()
    shutil.copytree(mini, tmp_path / "own")
    index = json.loads((mini / "model_index.json").read_text())
    assert ModelDefaults.parse({name: index[name] for name in ModelDefaults.model_fields}) == ModelDefaults()
    (tmp_path / "own" / "model_index.json").write_text(
        json.dumps(index | {"noise_scale": 0.5, "mis": None, "native_size": None})
    )
    (tmp_path / "own" / "engine.json").write_text(
        json.dumps({"native_size": [64, 32], "defaults": {"mis": 0.2, "alpha": 0.3}})
    )
    again = InstanceDiffusionPipeline.from_pretrained(
        convert(tmp_path / "own", tmp_path / "again"), local_files_only=True
    )
    assert again.defaults == ModelDefaults(noise_scale=0.5, mis=0.2, native_size=(64, 32))


def test_back_and_forth_keeps_every_bit(mini, tmp_path):
    assert main([str(mini), "--to-reference", "--out", str(tmp_path / "back.pth")]) == 0
    back = torch.load(tmp_path / "back.pth", weights_only=True)
    parts = mini_tensors()
    for ours, theirs in (
        ("model", "ema"),
        ("ema", "ema"),
        ("autoencoder",) * 2,
        ("text_encoder",) * 2,
        ("diffusion",) * 2,
    ):
        assert same(back[ours], parts[theirs]), ours
    assert back["config_dict"]["_content"]["model"]["params"]["channel_mult"] == [1, 1, 2, 2]
    assert same(weights(convert(tmp_path / "back.pth", tmp_path / "again")), weights(mini))


def test_every_tensor_is_accounted_for(mini, files):
    account = json.loads((mini / "conversion.json").read_text())["parts"]
    left_out = {row["part"]: sum(map(len, row["left_out"].values())) for row in account}
    read = {row["part"]: row["read"] for row in account}
    assert read == {
        "unet": 980,
        "unifusion": 217,
        "vae": 176,
        "text_encoder": 37,
        "model": 1197,
        "schedule": 12,
        "training": 1,
    }
    assert left_out == {
        "unet": 0,
        "unifusion": 0,
        "vae": 0,
        "text_encoder": 1,
        "model": 1197,
        "schedule": 12,
        "training": 1,
    }
    assert len(weights(mini)) == 980 + 217 + 176 + 36


@pytest.mark.parametrize("name", ["keys_sd15", "keys_small"])
def test_names_go_there_and_back(name):
    for theirs in figures(name):
        place = theirs.startswith("position_net.")
        ours, back = (
            (parameter_names.unifusion_key, parameter_names.reference_unifusion_key)
            if place
            else (parameter_names.unet_key, parameter_names.reference_unet_key)
        )
        assert back(ours(theirs)) == theirs


@pytest.fixture(scope="module")
def closed(files) -> Path:
    """A plain Stable Diffusion as our folder."""
    return convert(files / "sd.safetensors", files / "closed")


@pytest.mark.parametrize("form", ["sd.ckpt", "old.ckpt", "sd"])
def test_all_forms_of_stable_diffusion_convert_alike(files, closed, form):
    found = assembled(files / form)
    whole = weights(closed)
    assert len(found) == 684 + 2 + 176 + 36 and same(found, {name: whole[name] for name in found})


@torch.no_grad()
def test_closed_blocks_paint_as_the_backbone_does(files, closed):
    inputs = tensors("unet_small")
    unet = InstanceUNet.from_pretrained(closed / "unet").eval()
    unifusion = UniFusion.from_pretrained(closed / "unifusion").eval()
    backbone = UNet2DConditionModel.from_pretrained(files / "sd" / "unet").float().eval()
    expected = backbone(inputs["x"], inputs["timesteps"], inputs["context"]).sample
    tokens = unifusion(small_grounding("box"))
    assert (tokens[0] - tokens[1]).abs().max() > 1e-3
    for stock in (False, True):
        found = unet.float()(inputs["x"], inputs["timesteps"], inputs["context"], tokens, stock_conv_in=stock)
        assert (found - expected).abs().max() <= 5e-5


def test_averages_of_stable_diffusion_are_taken_where_there_are_some(tmp_path):
    plain = stable_diffusion()
    prefix = "model.diffusion_model."
    averaged = {
        f"model_ema.{n.removeprefix('model.').replace('.', '')}": v + 1
        for n, v in plain.items()
        if n.startswith(prefix)
    }
    save_file({n: v.contiguous() for n, v in (plain | averaged).items()}, tmp_path / "full.safetensors")
    name = "unet/mid_block.resnets.0.conv1.bias"
    with_ema, without = (assembled(tmp_path / "full.safetensors", ema=ema)[name] for ema in (True, False))
    assert torch.equal(without, plain[f"{prefix}middle_block.0.in_layers.2.bias"])
    assert torch.equal(with_ema, without + 1)


@pytest.mark.parametrize("form", ["sd.ckpt", "sd"])
@pytest.mark.parametrize("start", ["mini.pth", "mini"])
def test_blocks_are_put_on_another_backbone(files, mini, closed, start, form):
    both = assembled(files / start, backbone=files / form)
    ours = weights(mini)
    base = weights(closed)
    assert both.keys() == base.keys()
    for name, value in both.items():
        trained = any(word in name for word in (".fuser.", ".scaleu.", "unifusion/", "unet/conv_in."))
        assert torch.equal(value, (ours if trained else base)[name]), name


@pytest.mark.parametrize("form", ["sd.ckpt", "sd", "conv.pth"])
def test_the_stock_convolution_alone_may_be_taken(files, mini, form):
    plain = stable_diffusion()
    conv = {end: plain[f"model.diffusion_model.input_blocks.0.0.{end}"] for end in ("weight", "bias")}
    torch.save(conv, files / "conv.pth")
    found = assembled(files / "mini.pth", stock=files / form)
    for end, value in conv.items():
        assert torch.equal(found.pop(f"unet/stock_conv_in.{end}"), value)
    assert same(found, weights(mini))


def test_a_folder_says_that_it_has_a_stock_convolution(files, mini, tmp_path):
    folder = convert(mini, tmp_path / "stock", "--stock", files / "sd")
    assert json.loads((folder / "unet" / "config.json").read_text())["has_stock_conv_in"]
    assert "unet/stock_conv_in.weight" in weights(folder)


def lora_pair(weight: torch.Tensor, seed: int, rank: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    """Factors (rank, in) and (out, rank) of a change of a linear layer."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rank, weight.shape[1], generator=generator), torch.randn(
        weight.shape[0], rank, generator=generator
    )


LORA_LAYERS = [
    "mid_block.attentions.0.transformer_blocks.0.attn1.to_q",
    "down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_out.0",
]


def processor(layer: str) -> str:
    head, _, last = layer.removesuffix(".0").rpartition(".")
    return f"unet.{head}.processor.{last}_lora"


def old_name(layer: str) -> str:
    return parameter_names.reference_unet_key(f"{layer}.weight").removesuffix(".weight")


# How a file calls the two factors of a layer.
LORA_FORMS = {
    "diffusers": lambda layer: [f"unet.{layer}.lora_A.weight", f"unet.{layer}.lora_B.weight"],
    "peft": lambda layer: [
        f"base_model.model.{layer}.lora_A.default.weight",
        f"base_model.model.{layer}.lora_B.default.weight",
    ],
    "old diffusers": lambda layer: [f"unet.{layer}.lora.down.weight", f"unet.{layer}.lora.up.weight"],
    "processors": lambda layer: [f"{processor(layer)}.down.weight", f"{processor(layer)}.up.weight"],
    "kohya": lambda layer: [f"lora_unet_{layer.replace('.', '_')}.lora_{way}.weight" for way in ("down", "up")],
    "kohya, old names": lambda layer: [
        f"lora_unet_{old_name(layer).replace('.', '_')}.lora_{way}.weight" for way in ("down", "up")
    ],
}
TEXT_LAYER = "encoder.layers.0.self_attn.q_proj"
TEXT_FORMS = {
    "diffusers": [f"text_encoder.text_model.{TEXT_LAYER}.lora_{way}.weight" for way in "AB"],
    "old diffusers": [f"text_encoder.text_model.{TEXT_LAYER}.lora_linear_layer.{way}.weight" for way in ("down", "up")],
    "kohya": [f"lora_te_text_model_{TEXT_LAYER.replace('.', '_')}.lora_{way}.weight" for way in ("down", "up")],
}


@pytest.mark.parametrize("form", LORA_FORMS)
def test_a_lora_is_merged(mini, tmp_path, form):
    before = weights(mini)
    lora = {}
    expected = {}
    layers = {f"unet/{layer}.weight": LORA_FORMS[form](layer) for layer in LORA_LAYERS}
    if form in TEXT_FORMS:
        layers[f"text_encoder/text_model.{TEXT_LAYER}.weight"] = TEXT_FORMS[form]
    alpha = 1.0 if "kohya" in form else 2.0  # of rank 2
    for seed, (layer, names) in enumerate(layers.items()):
        down, up = lora_pair(before[layer], seed)
        lora |= {names[0]: down, names[1]: up}
        if "kohya" in form:
            lora[names[0].replace(".lora_down.weight", ".alpha")] = torch.tensor(alpha)
        expected[layer] = before[layer].float() + 0.5 * alpha / 2 * up @ down
    save_file(lora, tmp_path / "lora.safetensors")
    after = assembled(mini, lora=tmp_path / "lora.safetensors", lora_scale=0.5)
    for layer, value in expected.items():
        assert torch.equal(after.pop(layer), value.half())
        assert not torch.allclose(before.pop(layer).float(), value, atol=2e-2)
    assert same(after, before)


@torch.no_grad()
def test_diffusers_trains_loads_and_fuses_a_lora_on_our_unet_and_the_command_merges_it_alike(mini, tmp_path):
    peft = pytest.importorskip("peft")
    inputs = tensors("unet_small")
    arguments = inputs["x"][:1], inputs["timesteps"][:1], inputs["context"][:1]
    unet = InstanceUNet.from_pretrained(mini / "unet").eval()
    before = unet(*arguments)
    torch.manual_seed(0)
    unet.add_adapter(
        peft.LoraConfig(r=2, lora_alpha=8, target_modules=["attn1.to_q", "attn2.to_k"], init_lora_weights=False)
    )
    trained = unet(*arguments)
    unet.save_lora_adapter(tmp_path, weight_name="lora.safetensors")
    assert (trained - before).abs().max() > 1e-2

    loaded = InstanceUNet.from_pretrained(mini / "unet").eval()
    loaded.load_lora_adapter(tmp_path, weight_name="lora.safetensors", prefix=None)
    assert (loaded(*arguments) - trained).abs().max() <= 1e-5
    loaded.fuse_lora()
    loaded.unload_lora()
    assert (loaded(*arguments) - trained).abs().max() <= 1e-4

    assert (
        main(
            [str(mini), "--lora", str(tmp_path / "lora.safetensors"), "--dtype", "fp32", "--out", str(tmp_path / "out")]
        )
        == 0
    )
    merged = InstanceUNet.from_pretrained(tmp_path / "out" / "unet").eval()
    assert (merged(*arguments) - trained).abs().max() <= 1e-2 * (trained - before).abs().max()


def test_the_schedule_is_the_one_of_the_golden_figures():
    stored = tensors("sampler_small")
    for name, buffer in schedule_buffers().items():
        assert torch.equal(buffer, stored[f"diffusion.{name}"]), name
