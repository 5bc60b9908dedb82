"""The UNet against the reference's predictions."""

import copy

import pytest
import torch
from golden_figures import figures, grounding, load_models, seg_planes, small_models, tensors

from instdiff.model.attention import rows_of
from instdiff.model.unet import InstanceUNet, low_frequency_filter
from instdiff.model.unifusion import token_counts


def filter_cases():
    for name, expected in tensors("fourier").items():
        # The model has threshold 1 alone; the file has a case of threshold 2 as well.
        if name.startswith("filter.") and name.endswith(".out") and ".s" in name and ".thr2." not in name:
            size, scale = name.removeprefix("filter.").removesuffix(".out").split(".s", 1)
            yield pytest.param(f"filter.{size}.in", float(scale), expected, id=f"{size} s={scale}")


@pytest.mark.parametrize(("inputs", "scale", "expected"), list(filter_cases()))
def test_scaleu_filter_equals_the_reference(inputs, scale, expected):
    filtered = low_frequency_filter(tensors("fourier")[inputs], torch.tensor(scale))
    assert (filtered - expected).abs().max() <= 1e-6


def predict(tokens, x="x", text="context", **options):
    golden = tensors("unet_small")
    unet, _ = small_models()
    with torch.no_grad():
        return unet(golden[x], golden["timesteps"], golden[text], tokens, **options)


@pytest.mark.parametrize(
    ("tokens", "options", "expected"),
    [
        ("box", {}, "eps_box"),
        ("mask", {}, "eps_mask"),
        ("point", {}, "eps_point"),
        ("scribble", {}, "eps_scribble"),
        ("null", {}, "eps_null"),
        ("null", {"text": "uc"}, "eps_null_uc"),
        ("box", {"grounding_scale": 0.0}, "eps_box_alpha0"),
        ("box", {"grounding_scale": 0.5}, "eps_box_alpha05"),
        ("box", {"x": "x_rect"}, "eps_box_rect"),
        ("box", {"grounding_scale": 0.0, "stock_conv_in": True}, "eps_sdconv_alpha0"),
        ("null", {"text": "uc", "grounding_scale": 0.0, "stock_conv_in": True}, "eps_sdconv_alpha0_null"),
    ],
)
def test_small_unet_equals_the_reference(tokens, options, expected):
    difference = predict(tensors("unifusion_small")[f"objs_{tokens}"], **options) - tensors("unet_small")[expected]
    assert difference.abs().max() <= 1e-4


def test_the_modes_of_the_golden_figures_differ():
    """Guards the comparison itself: the smallest deliberate difference is far above the tolerance."""
    golden = tensors("unet_small")
    assert (golden["eps_box"] - golden["eps_point"]).abs().max() > 0.03


@pytest.mark.parametrize("tokens", ["box", "mask", "null"])
@torch.no_grad()
def test_one_null_token_stands_for_all_empty_slots(tokens):
    golden = tensors("unet_small")
    slots = 6  # the golden layouts have at most five instances
    unet, unifusion = small_models()
    found = tensors("unifusion_small")[f"objs_{tokens}"]
    kinds = found[:, :120].unflatten(1, (4, 30))
    segs = found[:, 120:]
    assert (kinds[:, :, slots:] - kinds[:, :, slots - 1 : slots]).abs().max() < 1e-5
    folded = torch.cat([kinds[:, :, :slots].flatten(1, 2), segs], dim=1)
    counts = token_counts(slots, unifusion.seg_tokens)
    assert counts.sum() == found.shape[1] and len(counts) == folded.shape[1] == 88

    def painted(tokens, counts):
        memories = unet.remember(golden["context"], tokens, None, size=(32, 32), counts=counts)
        return unet(golden["x"], golden["timesteps"], memories=memories)

    expected = golden[f"eps_{tokens}"]
    assert (painted(folded, counts) - expected).abs().max() <= 1e-4
    assert (painted(folded, None) - expected).abs().max() > 1e-3  # the weight matters


@torch.no_grad()
def test_masked_attention_needs_no_tokens_of_empty_slots():
    torch.manual_seed(0)
    unet = InstanceUNet(
        block_out_channels=(32, 32),
        attention_levels=(True, True),
        cross_attention_dim=16,
        has_stock_conv_in=False,
        instance_masked=True,
    ).eval()
    for name, parameter in unet.named_parameters():
        if name.endswith(("alpha_attn", "alpha_dense")):
            parameter.fill_(1.0)
    slots = [0, 1, 30, 31, 60, 61, 90, 91, 120]
    regions = torch.zeros(1, 30, 32, 32, dtype=torch.bool)
    regions[0, 0, :16], regions[0, 1, :, 20:] = True, True  # the rest of the picture sees no token at all
    x = torch.randn(1, 4, 8, 8)
    text = torch.randn(1, 77, 16)
    tokens = torch.randn(1, 121, 16)
    whole = unet(x, 5, text, tokens, regions)
    used = unet(x, 5, text, tokens[:, slots], regions[:, :2])
    assert (whole - used).abs().max() <= 1e-5
    assert (whole - unet(x, 5, text, tokens[:, slots], regions[:, :2].flip(1))).abs().max() > 1e-3


@torch.no_grad()
def test_memories_of_repeated_rows():
    golden = tensors("unet_small")
    unet, _ = small_models()
    memories = unet.remember(golden["context"], tensors("unifusion_small")["objs_box"], None, size=(32, 32))
    found = unet(
        golden["x"][[1, 0, 1]],
        golden["timesteps"][[1, 0, 1]],
        memories=rows_of(memories, torch.tensor([1, 0, 1])),
    )
    assert (found - golden["eps_box"][[1, 0, 1]]).abs().max() <= 1e-4


@torch.no_grad()
def test_half_precision_stays_near():
    golden = tensors("unet_small")
    unet, _ = small_models()
    half = copy.deepcopy(unet).bfloat16()
    found = half(
        golden["x"].bfloat16(),
        golden["timesteps"],
        golden["context"].bfloat16(),
        tensors("unifusion_small")["objs_box"].bfloat16(),
    )
    assert found.dtype == torch.bfloat16
    assert (found.float() - golden["eps_box"]).std() <= 0.03 * golden["eps_box"].std()


@pytest.mark.slow
@torch.no_grad()
def test_full_size_unet_equals_the_reference():
    unet, unifusion = load_models("keys_sd15", {}, {})
    golden = tensors("unet_sd15")
    segs = seg_planes(figures("segs_sd15")["segs"])
    tokens = {mode: unifusion(grounding(golden, segs, mode)) for mode in ("box", "mask")}
    tokens["null"] = unifusion(grounding(golden, segs, "box").null())
    for name, found in tokens.items():
        assert (found - golden[f"objs_{name}"]).abs().max() <= 1e-4, name
    for name, kind, timestep, options in [
        ("eps_box_t981", "box", 981, {}),
        ("eps_box_t21", "box", 21, {}),
        ("eps_null_t981", "null", 981, {}),
        ("eps_null_t21", "null", 21, {}),
        ("eps_mask_t981", "mask", 981, {}),
        ("eps_sdconv_alpha0_t21", "box", 21, {"grounding_scale": 0.0, "stock_conv_in": True}),
    ]:
        eps = unet(golden["x"], timestep, golden["context"], tokens[kind], **options)
        assert (eps - golden[name]).abs().max() / golden[name].abs().max() <= 1e-3, name


@torch.no_grad()
def test_instance_masked_attention_keeps_an_instance_to_its_place():
    """Changing one instance's tokens changes nothing at a visual token outside its place, in one attention block."""
    torch.manual_seed(0)
    unet = InstanceUNet(
        block_out_channels=(32, 32),
        attention_levels=(True, True),
        cross_attention_dim=16,
        has_stock_conv_in=False,
        instance_masked=True,
    ).eval()
    regions = torch.zeros(1, 2, 32, 32, dtype=torch.bool)
    regions[0, 0, :16], regions[0, 1, 16:] = True, True
    fuser = unet.down_blocks[0].attentions[0].transformer_blocks[0].fuser
    fuser.alpha_attn.fill_(1.0)
    visual = torch.randn(1, 64, 32)
    tokens = torch.randn(1, 4 * 2 + 1, 16)
    bias = unet.remember(torch.zeros(1, 77, 16), tokens, regions, size=(8, 8))[0].bias
    changed = tokens.clone()
    changed[:, [0, 2, 4, 6]] += 1  # the four tokens of instance 0
    gates = fuser.alpha_attn.tanh(), fuser.alpha_dense.tanh()
    before, after = (fuser(visual, fuser.remember(fuser.linear(each)), gates, bias) for each in (tokens, changed))
    difference = (before - after).abs().amax(dim=-1)[0].view(8, 8)
    assert difference[:4].min() > 0
    assert difference[4:].max() == 0


def test_a_mask_lies_as_attention_on_a_card_reads_it():
    """Rows that are no multiple of 8 long would be copied at every call."""
    dims = {"block_out_channels": (32, 32), "attention_levels": (True, True), "cross_attention_dim": 16}
    unet = InstanceUNet(**dims, layers_per_block=1, attention_heads=2, instance_masked=True).eval()
    text, tokens, regions = torch.zeros(2, 77, 16), torch.zeros(2, 9, 16), torch.ones(2, 2, 32, 32, dtype=torch.bool)
    with torch.no_grad():
        memories = unet.remember(text, tokens, regions, (6, 7))
    for memory in (*memories, *rows_of(memories, torch.tensor([1, 0]))):
        assert all(stride % 8 == 0 for stride in memory.bias.stride()[:-1]) and memory.bias.stride(-1) == 1
        assert 0 <= memory.bias.shape[-1] - (memory.bias.shape[-2] + 9) < 8
