"""The UNet against the reference's predictions."""

import pytest
import torch
from golden_figures import figures, grounding, load_models, seg_planes, small_models, tensors

from instdiff.unet import InstanceUNet, low_frequency_filter


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
    unet = InstanceUNet(block_out_channels=(32, 32), attention_levels=(True, True), cross_attention_dim=16, has_stock_conv_in=False,
                        instance_masked=True).eval()  # fmt: skip
    regions = torch.zeros(1, 2, 32, 32, dtype=torch.bool)
    regions[0, 0, :16], regions[0, 1, 16:] = True, True
    fuser = unet.down_blocks[0].attentions[0].transformer_blocks[0].fuser
    fuser.alpha_attn.fill_(1.0)
    visual, tokens = torch.randn(1, 64, 32), torch.randn(1, 4 * 2 + 1, 16)
    mask = unet._attention_masks(torch.zeros(1, 4, 8, 8), tokens, regions)[8, 8]
    changed = tokens.clone()
    changed[:, [0, 2, 4, 6]] += 1  # the four tokens of instance 0
    difference = (fuser(visual, tokens, 1.0, mask) - fuser(visual, changed, 1.0, mask)).abs().amax(dim=-1)[0].view(8, 8)
    assert difference[:4].min() > 0
    assert difference[4:].max() == 0
