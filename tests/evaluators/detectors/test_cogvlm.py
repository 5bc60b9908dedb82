"""A tiny model with code of its own in the hub's cache, laid out as CogVLM's: it says what its config says."""

import json

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from evaluators.detectors import check_detector, load_detector
from instdiff.errors import BadInput

COMMIT = "0123456789abcdef0123456789abcdef01234567"
CODE = """
import pathlib
import torch
from transformers import PretrainedConfig, PreTrainedModel

pathlib.Path(__file__).with_name("ran").touch()
TRACE = []


class TinyConfig(PretrainedConfig):
    model_type = "tiny_grounding"


class TinyModel(PreTrainedModel):
    config_class = TinyConfig

    def __init__(self, config):
        super().__init__(config)
        self.scale = torch.nn.Parameter(torch.ones(1))
        self.post_init()

    def build_conversation_input_ids(self, tokenizer, *, query, history, images):
        ids = torch.tensor(tokenizer(query)["input_ids"])
        self.asked = (query, [image.size for image in images], history)
        images = [torch.zeros(3, 8, 8)]
        return {"input_ids": ids, "token_type_ids": ids * 0, "attention_mask": ids * 0 + 1, "images": images}

    def generate(self, input_ids, token_type_ids, attention_mask, images, max_new_tokens, do_sample):
        assert images[0][0].shape == (3, 8, 8) and not do_sample and max_new_tokens > 100
        return torch.cat([input_ids, torch.tensor([self.config.answer])], dim=1)
"""


@pytest.fixture()
def model(tmp_path, monkeypatch):
    """The name of a model in a hub cache of our own, and its folder."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from tokenizers.decoders import Fuse
    from transformers import PreTrainedTokenizerFast

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.file_download.HF_HUB_CACHE", str(tmp_path / "hub"), raising=False)
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))
    folder = tmp_path / "hub" / "models--me--tiny" / "snapshots" / COMMIT
    folder.mkdir(parents=True)
    letters = {chr(code): code - 31 for code in range(32, 127)} | {"?" * 2: 0}
    tokenizer = Tokenizer(models.WordLevel(letters, unk_token="??"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer.decoder = Fuse()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, clean_up_tokenization_spaces=False).save_pretrained(folder)
    answer = "A cat[[100,200,500,600]] and two sofas[[000,000,300,300;700,700,999,999]] near a lake[[1,2,3,4]]"
    about = {"model_type": "tiny_grounding", "answer": [ord(letter) - 31 for letter in answer]}
    classes = {"AutoConfig": "modeling_tiny.TinyConfig", "AutoModelForCausalLM": "modeling_tiny.TinyModel"}
    (folder / "config.json").write_text(json.dumps({**about, "auto_map": classes}))
    (folder / "modeling_tiny.py").write_text(CODE)
    save_file({"scale": torch.ones(1)}, folder / "model.safetensors", metadata={"format": "pt"})
    return f"cogvlm:me/tiny@{COMMIT}", folder


def test_what_the_model_says_becomes_detections(model):
    check_detector(model[0], trust_remote_code=True)
    detector = load_detector(model[0], trust_remote_code=True)
    found = detector.detect([Image.new("RGB", (80, 40)), Image.new("RGB", (40, 40))], ["sofa", "cat"])
    assert [[one.category for one in seen] for seen in found] == [["cat", "couch", "couch"]] * 2
    assert found[0][0].box.xyxy == pytest.approx((0.1, 0.2, 0.5, 0.6))
    question, sizes, history = detector.model.asked
    assert '["cat", "couch"]' in question and (sizes, history) == ([(40, 40)], [])
    assert detector.detect([Image.new("RGB", (8, 8))], []) == [[]]


@pytest.mark.parametrize(
    "change, trusted, words",
    [
        (lambda name: name, False, "--trust-remote-code"),
        (lambda name: name.partition("@")[0], True, "name its commit"),
        (lambda name: name[:-1], True, "name its commit"),
        (lambda name: name.replace(COMMIT, "main"), True, "name its commit"),
        (lambda name: "cogvlm", True, "name its commit"),
        (lambda name: name.replace(COMMIT, COMMIT[::-1]), True, f"--revision {COMMIT[::-1]}"),
    ],
)
def test_no_code_runs_unless_it_is_trusted_in_this_version(model, change, trusted, words, tmp_path):
    for ask in (check_detector, load_detector):
        with pytest.raises(BadInput, match=words):
            ask(change(model[0]), trust_remote_code=trusted)
    assert not list(tmp_path.rglob("ran"))


def test_code_of_another_model_is_refused(model):
    name, folder = model
    about = json.loads((folder / "config.json").read_text())
    about["auto_map"]["AutoModelForCausalLM"] = "else/where--modeling.Model"
    (folder / "config.json").write_text(json.dumps(about))
    with pytest.raises(BadInput, match="yet another model"):
        load_detector(name, trust_remote_code=True)
