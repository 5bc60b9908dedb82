"""LoRA files in a pipeline: what merged weights give, and afterwards what it gave before."""

import json
from copy import deepcopy
from pathlib import Path

import peft
import pytest
import torch
from accelerate import cpu_offload, cpu_offload_with_hook
from diffusers.hooks import apply_group_offloading
from golden_checkpoint import convert, mini_content, save
from safetensors.torch import save_file
from tiny_pipeline import layout, paint, tiny_pipeline

from instdiff import BadInput, InstanceDiffusionPipeline
from instdiff.checkpoint.convert import assemble
from instdiff.checkpoint.lora import changed_weights, merge_lora, read_lora
from instdiff.checkpoint.parameter_names import reference_unet_key

QUERY = "mid_block.attentions.0.transformer_blocks.0.attn1.to_q"
OUT = "down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_out.0"
CONV = "up_blocks.0.resnets.0.conv1"
PROJECTION = "mid_block.attentions.0.proj_in"
TEXT_QUERY = "encoder.layers.0.self_attn.q_proj"
TEXT_MLP = "encoder.layers.0.mlp.fc1"


@pytest.fixture(scope="module")
def tiny():
    return tiny_pipeline()


@pytest.fixture
def pipe(tiny):
    yield tiny
    tiny.unload_lora_weights()


@pytest.fixture(scope="module")
def mini(tmp_path_factory) -> Path:
    """A model of the published one's layers, in float32."""
    folder = tmp_path_factory.mktemp("mini")
    save(mini_content(), folder / "mini.pth")
    return convert(folder / "mini.pth", folder / "mini", "--dtype", "fp32")


def load(folder: Path) -> InstanceDiffusionPipeline:
    pipe = InstanceDiffusionPipeline.from_pretrained(folder, dtype=torch.float32, local_files_only=True)
    pipe.set_progress_bar_config(disable=True)
    return pipe


@torch.no_grad()
def outputs(pipe) -> torch.Tensor:
    """What the text encoder says of a caption, and the UNet of noise and that."""
    features, pooled = pipe.encode_captions(["a red cat"])
    noise = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    return torch.cat([features.flatten(), pooled.flatten(), pipe.unet(noise, 500, features).flatten()])


def module(pipe, part: str, layer: str) -> torch.nn.Module:
    return getattr(pipe, part).get_submodule(layer)


def factors(pipe, part: str, layer: str, rank: int = 2, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Of a change of about a third of the layer's weight: (rank, in, ...) and (out, rank, 1, 1 of a convolution)."""
    out, *inner = module(pipe, part, layer).weight.shape
    generator = torch.Generator().manual_seed(seed)
    down = torch.randn(rank, *inner, generator=generator) * 0.1
    return down, torch.randn(out, rank, *(1 for _ in inner[1:]), generator=generator)


def diffusers_lora(pipe, seed: int = 0) -> dict[str, torch.Tensor]:
    down, up = factors(pipe, "unet", QUERY, seed=seed)
    text_down, text_up = factors(pipe, "text_encoder", TEXT_QUERY, rank=3, seed=seed + 1)
    return {
        f"unet.{QUERY}.lora_A.weight": down,
        f"unet.{QUERY}.lora_B.weight": up,
        f"text_encoder.text_model.{TEXT_QUERY}.lora_A.weight": text_down,
        f"text_encoder.text_model.{TEXT_QUERY}.lora_B.weight": text_up,
    }


def kohya_lora(pipe, levels=(True, True, True, False), layers: int = 2, seed: int = 5) -> dict[str, torch.Tensor]:
    """With convolutions, ranks and alphas of its own in each layer, and the UNet's names of before diffusers."""
    lora = {}
    places = [("unet", OUT, 2), ("unet", CONV, 3), ("unet", PROJECTION, 2), ("text_encoder", TEXT_MLP, 1)]
    for part, layer, rank in places:
        down, up = factors(pipe, part, layer, rank, seed + rank)
        if part == "unet":
            name = "lora_unet_" + reference_unet_key(f"{layer}.weight", levels, layers).removesuffix(".weight")
        else:
            name = f"lora_te_text_model_{layer}"
        name = name.replace(".", "_")
        if layer == PROJECTION:  # some trainers write it as a matrix
            down = down.flatten(1)
            up = up.flatten(1)
        lora |= {f"{name}.lora_down.weight": down, f"{name}.lora_up.weight": up, f"{name}.alpha": torch.tensor(1.0)}
    return lora


def test_two_adapters_are_the_weights_that_the_command_merges(mini, tmp_path):
    pipe = load(mini)
    before = outputs(pipe)
    save_file(diffusers_lora(pipe), tmp_path / "style.safetensors")
    torch.save(kohya_lora(pipe), tmp_path / "thing.pt")
    # What the command writes: it takes one LoRA, and a second one into what came out.
    parts = assemble(mini, lora=tmp_path / "style.safetensors", lora_scale=0.7).parts
    merge_lora(read_lora(tmp_path / "thing.pt"), parts, -0.4, "thing.pt")
    merged = {part: {name: tensor.load() for name, tensor in parts[part].items()} for part in ("unet", "text_encoder")}

    pipe.load_lora_weights(tmp_path / "style.safetensors", adapter_name="style")
    pipe.load_lora_weights(tmp_path, weight_name="thing.pt", adapter_name="thing")
    assert pipe.get_active_adapters() == ["thing"]
    pipe.set_adapters(["style", "thing"], [0.7, -0.4])
    at_run_time = outputs(pipe)
    assert (at_run_time - before).abs().max() > 0.1
    pipe.fuse_lora()
    pipe.unload_lora_weights()
    for part, expected in merged.items():
        fused = getattr(pipe, part).state_dict()
        assert fused.keys() == expected.keys()
        assert max((fused[name] - expected[name]).abs().max() for name in fused) <= 1e-6
        getattr(pipe, part).load_state_dict(expected)
    assert (at_run_time - outputs(pipe)).abs().max() <= 1e-5


def test_what_is_loaded_and_fused_comes_out_again(pipe):
    before = outputs(pipe)
    painted = paint(pipe, layout(), num_inference_steps=1, mis=0)
    levels, layers = pipe.unet.config.attention_levels, pipe.unet.config.layers_per_block
    pipe.load_lora_weights(diffusers_lora(pipe))
    pipe.load_lora_weights(kohya_lora(pipe, levels, layers))
    assert pipe.get_list_adapters() == {part: ["default_0", "default_1"] for part in ("unet", "text_encoder")}
    pipe.set_adapters(["default_0", "default_1"], [1.0, {"unet": 0.5, "text_encoder": 0.0}])
    both = outputs(pipe)
    assert (paint(pipe, layout(), num_inference_steps=1, mis=0) - painted).abs().max() > 1e-3
    pipe.disable_lora()
    assert torch.equal(outputs(pipe), before)
    pipe.enable_lora()
    assert torch.equal(outputs(pipe), both)

    pipe.fuse_lora(lora_scale=0.5)
    assert pipe.fused_loras == {"default_0", "default_1"}
    assert (outputs(pipe) - both).abs().max() > 0.01
    pipe.unfuse_lora()
    assert (outputs(pipe) - both).abs().max() <= 1e-5  # as strong as before

    pipe.delete_adapters("default_0")
    assert (pipe.get_active_adapters(), pipe.get_list_adapters()["unet"]) == (["default_1"], ["default_1"])
    pipe.delete_adapters("default_1")
    assert (pipe.get_active_adapters(), pipe.get_list_adapters()) == ([], {})
    assert (outputs(pipe) - before).abs().max() <= 1e-5
    pipe.load_lora_weights(diffusers_lora(pipe))
    pipe.unload_lora_weights()
    assert (paint(pipe, layout(), num_inference_steps=1, mis=0) - painted).abs().max() <= 1e-4


def test_what_peft_trains_and_saves_is_loaded(pipe, tmp_path):
    unet = tiny_pipeline().unet
    sizes = {"r": 2, "lora_alpha": 8, "alpha_pattern": {OUT: 2}, "use_rslora": True, "init_lora_weights": False}
    torch.manual_seed(0)
    trained = peft.get_peft_model(unet, peft.LoraConfig(target_modules=["attn1.to_q", "to_out.0"], **sizes))
    trained.save_pretrained(tmp_path)
    other = tiny_pipeline()
    other.unet = trained.merge_and_unload()
    expected = outputs(other)
    assert (outputs(pipe) - expected).abs().max() > 0.1
    pipe.load_lora_weights(tmp_path)
    assert (outputs(pipe) - expected).abs().max() <= 1e-5


def test_notes_of_diffusers_say_how_strong_a_layer_is(pipe, tmp_path):
    lora = diffusers_lora(pipe)
    notes = {"unet.lora_alpha": 8, "text_encoder.lora_alpha": 6, "text_encoder.alpha_pattern": {f"^{TEXT_QUERY}": 12}}
    save_file(lora, tmp_path / "lora.safetensors", metadata={"lora_adapter_metadata": json.dumps(notes)})
    shapes = {p: {f"{n}.weight": m.weight.shape for n, m in getattr(pipe, p).named_modules() if hasattr(m, "weight")}
              for p in ("unet", "text_encoder")}  # fmt: skip
    changes = changed_weights(read_lora(tmp_path / "lora.safetensors"), shapes, "lora", (True, True), 1)
    strengths = {part: change.strength for (part, _), change in changes.items()}
    assert strengths == {"unet": 8 / 2, "text_encoder": 12 / 3}


A, B = f"unet.{QUERY}.lora_A.weight", f"unet.{QUERY}.lora_B.weight"
REFUSED = [
    ({}, "no tensor"),
    ({"time_embedding.linear_1.weight": (128, 32)}, "time_embedding.linear_1.weight is no part of a LoRA"),
    ({A: (2, 32)}, "only down of the two factors"),
    ({A: (2, 48), B: (32, 2)}, r"\[32, 2\] and \[2, 48\] do not fit a weight of \[32, 32\]; .* another model"),
    ({A: (2, 32), B: (32, 3)}, "do not fit a weight"),
    ({"lora_te2_text_model_encoder_layers_0_mlp_fc1.lora_down.weight": (2, 32)}, "for Stable Diffusion XL"),
    ({"unet.down_blocks.1.attentions.0.transformer_blocks.7.attn1.to_q.lora_A.weight": (2, 32)}, "Diffusion XL"),
    ({"transformer.single_transformer_blocks.0.attn.to_q.lora_A.weight": (2, 32)}, "Stable Diffusion 3 or FLUX"),
    ({"unet.down_blocks.9.lora_A.weight": (2, 32)}, "belongs to no layer"),
    ({"lora_unet_conv_in.hada_w1_a": (2, 32)}, "other adapters"),
]


@pytest.mark.parametrize(("shapes", "reason"), REFUSED)
def test_what_is_no_lora_for_this_model_is_refused_and_nothing_is_loaded(pipe, tmp_path, shapes, reason):
    save_file({name: torch.zeros(shape) for name, shape in shapes.items()}, tmp_path / "it.safetensors")
    with pytest.raises(BadInput, match=f"it.safetensors.*{reason}"):
        pipe.load_lora_weights(tmp_path / "it.safetensors")
    assert pipe.get_list_adapters() == {}


def test_damaged_and_missing_files_are_refused(pipe, tmp_path):
    (tmp_path / "cut.safetensors").write_bytes(b"\0" * 20)
    torch.save({"x": print}, tmp_path / "code.bin")
    save_file({A: torch.full((2, 32), torch.nan), B: torch.zeros(32, 2)}, tmp_path / "nan.safetensors")
    for name, reason in [
        ("cut.safetensors", "damaged"),
        ("code.bin", "nothing was run"),
        ("nan.safetensors", "not finite"),
        ("none.safetensors", "not on the Hub"),
        ("", "name the file with weight_name"),
    ]:
        with pytest.raises(BadInput, match=reason):
            pipe.load_lora_weights(str(tmp_path / name))
    with pytest.raises(BadInput, match="weight: is no option here; there are weight_name"):
        pipe.load_lora_weights(tmp_path, weight="nan.safetensors")
    assert pipe.get_list_adapters() == {}


@pytest.mark.parametrize(
    "metadata",
    ["[]", '{"lora_adapter_metadata": 5}', '{"lora_adapter_metadata": "{"}']
    + [
        json.dumps({"lora_adapter_metadata": json.dumps({f"unet.{note}": value})})
        for note, value in [("use_dora", True), ("lora_alpha", "x"), ("alpha_pattern", {".*": 1}), ("alpha_pattern", 1)]
    ],
)
def test_notes_that_cannot_be_followed_are_refused(pipe, tmp_path, metadata):
    header = {A: {"dtype": "F16", "shape": [2, 32], "data_offsets": [0, 128]}}
    header |= {B: {"dtype": "F16", "shape": [32, 2], "data_offsets": [128, 256]}, "__metadata__": json.loads(metadata)}
    index = json.dumps(header).encode()
    (tmp_path / "lora.safetensors").write_bytes(len(index).to_bytes(8, "little") + index + b"\0" * 256)
    with pytest.raises(BadInput, match="lora.safetensors: is (damaged|a LoRA with)"):
        pipe.load_lora_weights(tmp_path / "lora.safetensors")


def test_a_model_that_is_offloaded_whole_takes_an_adapter_and_one_layer_by_layer_refuses(tiny):
    whole = deepcopy(tiny)
    cpu_offload_with_hook(whole.unet, execution_device="cpu")
    whole.load_lora_weights(diffusers_lora(tiny))
    assert (outputs(whole) - outputs(tiny)).abs().max() > 0.1
    by_layer = deepcopy(tiny)
    cpu_offload(by_layer.unet, execution_device=torch.device("cpu"))
    by_group = deepcopy(tiny)
    cpu = {"onload_device": torch.device("cpu"), "offload_device": torch.device("cpu")}
    apply_group_offloading(by_group.unet, offload_type="leaf_level", **cpu)
    for pipe in (by_layer, by_group):
        with pytest.raises(BadInput, match="offloaded one by one; load adapters before"):
            pipe.load_lora_weights(diffusers_lora(tiny))


def test_names_and_weights_are_checked_and_fused_adapters_stay_as_they_are(pipe, tmp_path):
    with pytest.raises(BadInput, match="load_lora_weights loads one"):
        pipe.fuse_lora()
    pipe.load_lora_weights(diffusers_lora(pipe), adapter_name="style")
    for call, reason in [
        (lambda: pipe.set_adapters(["style", "thing"]), r"\['thing'\] is not loaded; there are style"),
        (lambda: pipe.set_adapters("style", [0.5, 0.5]), "2 for 1 adapters"),
        (lambda: pipe.set_adapters("style", float("nan")), "nan is no finite number"),
        (lambda: pipe.set_adapters("style", {"vae": 1.0}), r"\['vae'\] are no parts"),
        (lambda: pipe.delete_adapters("thing"), "is not loaded"),
        (lambda: pipe.fuse_lora(["vae"]), r"\['vae'\] take no LoRA"),
        (lambda: pipe.load_lora_weights(diffusers_lora(pipe), "style"), '"style" is loaded already'),
        (lambda: pipe.load_lora_weights(diffusers_lora(pipe), "a.b"), "no dot"),
        (lambda: pipe.save_pretrained(tmp_path), "style are loaded beside the weights; call fuse_lora"),
    ]:
        with pytest.raises(BadInput, match=reason):
            call()
    lora = diffusers_lora(pipe)
    pipe.fuse_lora()
    for call in (
        lambda: pipe.load_lora_weights(lora, "thing"),
        lambda: pipe.set_adapters("style", 0.5),
        lambda: pipe.delete_adapters("style"),
    ):
        with pytest.raises(BadInput, match="style is fused; call unfuse_lora"):
            call()
    pipe.unfuse_lora()
