"""A training begins with the weights of a folder, where these fit."""

import pytest
import torch

from instdiff.errors import BadInput
from instdiff.model.crop_classifier import CropClassifier
from instdiff.model.detector import DenseDetector
from instdiff.model.int8_weights import save_int8
from instdiff.train import main
from instdiff.training.draft.start import take_over

SMALL = {"channels": (4, 4, 8, 8, 8), "head_channels": 8}


def test_what_fits_is_taken_over_from_a_detector_of_other_categories(tmp_path):
    old = DenseDetector(("cat", "dog"), score_threshold=0.3, **SMALL)
    old.save_pretrained(tmp_path)
    new = DenseDetector(("cat", "dog", "cup"), **SMALL)
    before = new.heads[0][1].weight.clone()
    take_over(new, tmp_path)
    assert torch.equal(new.stem[0][0].weight, old.stem[0][0].weight)
    assert torch.equal(new.heads[0][1].weight, before), "what does not fit is learned anew"
    assert new.config.score_threshold == 0.3 and list(new.config.categories) == ["cat", "dog", "cup"]


def test_weights_of_one_byte_are_taken_over_with_their_scores(tmp_path):
    old = CropClassifier(channels=(4, 4, 8, 8, 8), crop_size=32, found_score=0.07)
    save_int8(old, tmp_path)
    new = CropClassifier(channels=(4, 4, 8, 8, 8), crop_size=32)
    take_over(new, tmp_path)
    for name, value in old.state_dict().items():
        assert torch.allclose(new.state_dict()[name].float(), value.float(), atol=0.01)
    assert new.config.found_score == 0.07


def test_other_models_are_refused(tmp_path):
    model = DenseDetector(("cat",), **SMALL)
    with pytest.raises(BadInput, match="start: .* holds no DenseDetector"):
        take_over(model, tmp_path)
    DenseDetector(("cat",), **SMALL | {"channels": (4, 4, 8, 8, 12)}).save_pretrained(tmp_path)
    with pytest.raises(BadInput, match=r"has the widths \[4, 4, 8, 8, 12\], not \[4, 4, 8, 8, 8\]"):
        take_over(model, tmp_path)


@pytest.mark.parametrize(
    ("stage", "option"),
    [("decoder", "--start ."), ("painter", "--second-vae ."), ("drawings", "--workers 1"), ("decoder", "--buffer 9")],
)
def test_options_are_refused_where_nothing_uses_them(stage, option, tmp_path, capsys):
    assert main(["draft", "--stage", stage, "--out", str(tmp_path), *option.split()]) == 2
    field = option.split()[0].strip("-").replace("-", "_")
    assert capsys.readouterr().err.startswith(f"error: {field}: is nothing that the stage {stage} uses")
