import pytest
import torch

from instdiff.checkpoint.sources import unpack_lazily
from instdiff.checkpoint.tensors import read_safetensors
from instdiff.model.crop_classifier import CropClassifier
from instdiff.model.int8_weights import FILE, pack, save_int8, unpack

CHANNELS = (4, 8, 8, 8, 8)


def test_weights_come_back_within_half_of_a_step_of_each_row():
    weights = {"kernel": torch.randn(5, 3, 3, 3), "bias": torch.randn(5), "count": torch.tensor(7)}
    restored = unpack(pack(weights))
    step = weights["kernel"].flatten(1).abs().amax(dim=1) / 127
    error = (restored["kernel"] - weights["kernel"]).abs().flatten(1).amax(dim=1)
    assert (error <= step / 2 + 1e-6).all()
    assert torch.allclose(restored["bias"], weights["bias"], atol=2e-3)
    assert restored["count"] == 7


def test_a_row_of_zeros_stays_zero():
    assert not unpack(pack({"kernel": torch.zeros(2, 4)}))["kernel"].any()


def test_a_model_is_saved_in_a_third_of_its_size_and_says_the_same(tmp_path):
    torch.manual_seed(0)
    model = CropClassifier(("cat", "dog"), channels=(16, 32, 32, 64, 64)).eval()
    save_int8(model, tmp_path / "small")
    model.save_pretrained(tmp_path / "large")
    crops = torch.rand(3, 3, 96, 96) * 2 - 1
    with torch.no_grad():
        said = model(crops).logits.softmax(dim=1)
        from_small = CropClassifier.from_pretrained(tmp_path / "small")(crops).logits.softmax(dim=1)
        from_large = CropClassifier.from_pretrained(tmp_path / "large")(crops).logits.softmax(dim=1)
    assert torch.allclose(from_small, said, atol=0.02)
    assert torch.equal(from_large, said)
    sizes = [sum(path.stat().st_size for path in (tmp_path / name).iterdir()) for name in ("small", "large")]
    assert sizes[0] < sizes[1] / 3


def test_weights_of_another_model_are_refused(tmp_path):
    save_int8(CropClassifier(("cat",), channels=CHANNELS), tmp_path)
    CropClassifier(("cat", "dog"), channels=CHANNELS).save_config(tmp_path)
    with pytest.raises(OSError, match="other weights"):
        CropClassifier.from_pretrained(tmp_path)


def test_a_model_folder_with_such_weights_is_a_source_of_a_conversion(tmp_path):
    model = CropClassifier(("cat", "dog"), channels=CHANNELS)
    save_int8(model, tmp_path)
    read = {name: tensor.load() for name, tensor in unpack_lazily(read_safetensors(tmp_path / FILE)).items()}
    expected = CropClassifier.from_pretrained(tmp_path).state_dict()
    assert read.keys() == expected.keys()
    assert all(torch.equal(value.float(), expected[name].float()) for name, value in read.items())


def test_such_weights_are_loaded_in_the_precision_that_is_asked_for(tmp_path):
    save_int8(CropClassifier(("cat",), channels=CHANNELS), tmp_path)
    assert CropClassifier.from_pretrained(tmp_path).dtype == torch.float32
    assert CropClassifier.from_pretrained(tmp_path, dtype=torch.float16).dtype == torch.float16
