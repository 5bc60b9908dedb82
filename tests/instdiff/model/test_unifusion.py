"""UniFusion against the reference's tokens."""

import pytest
import torch
from golden_figures import figures, small_grounding, small_models, tensors

from instdiff.model.unifusion import fourier_features


@pytest.mark.parametrize("kind", ["boxes", "points", "scribbles", "polygons"])
def test_fourier_features_equal_the_reference(kind):
    golden = tensors("fourier")
    features = fourier_features(golden[f"embed.{kind}.in"])
    assert (features - golden[f"embed.{kind}.out"]).abs().max() <= 1e-6


@pytest.mark.parametrize("mode", ["box", "mask", "point", "scribble"])
@torch.no_grad()
def test_tokens_equal_the_reference(mode):
    _, unifusion = small_models()
    assert (unifusion(small_grounding(mode)) - tensors("unifusion_small")[f"objs_{mode}"]).abs().max() <= 1e-5


@torch.no_grad()
def test_null_grounding_equals_the_reference():
    _, unifusion = small_models()
    assert (unifusion(small_grounding("mask").null()) - tensors("unifusion_small")["objs_null"]).abs().max() <= 1e-5


@torch.no_grad()
def test_a_layout_without_masks_beside_one_with_masks():
    _, unifusion = small_models()
    grounding = small_grounding("mask")
    grounding.segs[0] = 0
    assert (unifusion(grounding) - tensors("unifusion_small")["objs_mask_noseg0"]).abs().max() <= 1e-5


@torch.no_grad()
def test_convnext_features_equal_the_reference():
    _, unifusion = small_models()
    segs = small_grounding("mask").segs
    golden = tensors("unifusion_small")
    planes = unifusion.seg_conv_in(segs)
    assert (planes[:, :, :16, :16] - golden["in_conv_corner"]).abs().max() <= 1e-5
    assert (unifusion.convnext(planes).last_hidden_state - golden["convnext_features"]).abs().max() <= 1e-4
    assert figures("segs_small")["height"] == segs.shape[-1]
