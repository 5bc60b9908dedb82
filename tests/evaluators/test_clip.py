import json
import shutil

import pytest
import torch
from PIL import Image
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPTextConfig, CLIPVisionConfig

from evaluators.__main__ import main
from evaluators.clip import ClipModel, clip_scores
from instdiff.errors import ServiceError
from instdiff.layout import Layout
from tests.galleries import make_gallery, plain


@pytest.fixture(scope="module")
def folder(tmp_path_factory, golden):
    """A CLIP with random weights, small in every way, with the words of the golden one."""
    folder = tmp_path_factory.mktemp("clip")
    small = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    text = CLIPTextConfig(
        vocab_size=514, max_position_embeddings=77, bos_token_id=512, eos_token_id=513, pad_token_id=513, **small
    )
    config = CLIPConfig(
        text_config=text, vision_config=CLIPVisionConfig(image_size=32, patch_size=16, **small), projection_dim=16
    )
    torch.manual_seed(0)
    CLIPModel(config).save_pretrained(folder)
    CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}).save_pretrained(folder)
    for name in ("vocab.json", "merges.txt", "special_tokens_map.json", "tokenizer_config.json"):
        shutil.copy(golden / "mini_clip" / name, folder)
    return folder


def test_vectors_have_length_1_and_do_not_depend_on_the_batch(folder):
    model = ClipModel.load(folder)
    images = [plain("red"), plain("blue", (80, 40)), plain("green")] * 7
    words = ["a cat", "a long " * 200, ""]
    vectors = model.images(images)
    texts = model.texts(words)
    assert vectors.shape == (21, 16) and texts.shape == (3, 16)
    assert torch.allclose(vectors.norm(dim=-1), torch.ones(21)) and torch.allclose(texts.norm(dim=-1), torch.ones(3))
    assert torch.allclose(vectors[:3], vectors[18:], atol=1e-5) and not torch.allclose(
        vectors[0], vectors[1], atol=1e-3
    )
    assert torch.allclose(model.texts(["a cat"])[0], texts[0], atol=1e-5)
    assert model.images([]).shape[0] == 0


def test_vectors_are_those_of_the_model_itself(folder):
    model = ClipModel.load(folder)
    pixels = model.processor(images=[plain("red")], return_tensors="pt")
    tokens = model.tokenizer(["a cat"], return_tensors="pt")
    with torch.inference_mode():
        out = CLIPModel.from_pretrained(folder).eval()(**tokens, **pixels)
    assert torch.allclose(model.images([plain("red")]), out.image_embeds, atol=1e-5)
    assert torch.allclose(model.texts(["a cat"]), out.text_embeds, atol=1e-5)


def test_scores_of_a_manifest_and_the_upper_bound(folder, tmp_path, capsys):
    pictures = {name: (plain(name), Layout(caption=f"a {name} wall")) for name in ("red", "blue")}
    painted = make_gallery(tmp_path / "painted", pictures)
    real = tmp_path / "real"
    real.mkdir()
    plain("white").save(real / "red.png")
    plain("black").save(real / "blue.jpg")
    command = [
        "clip",
        str(painted),
        "--clip",
        str(folder),
        "--real",
        str(real),
        "--out",
        str(tmp_path / "out"),
        "--json",
    ]
    assert main(command) == 0
    result = json.loads(capsys.readouterr().out)
    model = ClipModel.load(folder)
    captions = ["a blue wall", "a red wall"]  # in the order of the manifest
    ours = clip_scores(model, [plain("blue"), plain("red")], captions)
    theirs = clip_scores(model, [Image.open(real / "blue.jpg"), plain("white")], captions)
    assert result["means"] == {
        "painted": pytest.approx(sum(ours) / 2, abs=1e-3),
        "real": pytest.approx(sum(theirs) / 2, abs=1e-3),
    }
    cosines = (model.images([plain("blue"), plain("red")]) * model.texts(captions)).sum(dim=-1)
    assert ours == pytest.approx([max(100 * float(cosine), 0) for cosine in cosines], abs=1e-3)
    assert "upper bound" in (tmp_path / "out" / "results.md").read_text()


def test_what_is_missing_is_said(folder, tmp_path, capsys):
    painted = make_gallery(tmp_path / "painted", {"red": (plain("red"), Layout(caption="a red wall"))})
    silent = make_gallery(tmp_path / "silent", {"red": (plain("red"), Layout(caption=" "))})
    (tmp_path / "real").mkdir()
    for command, words in (
        ([str(painted)], "hf download openai/clip-vit-large-patch14"),
        ([str(painted), "--clip", str(folder), "--real", str(tmp_path / "real")], "holds no red.png"),
        ([str(silent), "--clip", str(folder), "--out", str(tmp_path / "out")], "has no caption"),
        ([str(tmp_path), "--clip", str(folder)], "no manifest.json"),
    ):
        assert main(["clip", *command]) == 2
        assert words in capsys.readouterr().err
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ServiceError, match="cannot be loaded"):
        ClipModel.load(tmp_path)
