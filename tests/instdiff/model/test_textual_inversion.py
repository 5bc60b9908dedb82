"""Words that were learned elsewhere: read from the files that people have, found in captions, taken out again."""

import pytest
import torch
from safetensors.torch import save_file
from tiny_pipeline import layout, paint, tiny_pipeline
from torch import nn

from instdiff import BadInput, InstanceDiffusionPipeline

WIDTH = 32  # of the tiny text encoder


@pytest.fixture(scope="module")
def tiny():
    return tiny_pipeline()


@pytest.fixture
def pipe(tiny):
    yield tiny
    tiny.unload_textual_inversion()


def vectors(count: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, WIDTH, generator=torch.Generator().manual_seed(seed))


def tokens_of(pipe, caption: str) -> list[str]:
    ids = pipe.tokenizer(pipe.maybe_convert_prompt(caption), add_special_tokens=False).input_ids
    names = {number: token for token, number in pipe.tokenizer.get_vocab().items()}
    return [names[number] for number in ids]


def automatic1111(parameters, name="blob") -> dict:
    more = {"string_to_token": {"*": 265}, "step": 500, "sd_checkpoint": "3e16efc8", "sd_checkpoint_name": "sd15"}
    return {"string_to_param": parameters, "name": name} | more


def test_files_of_every_form_give_their_word_and_vectors(pipe, tmp_path):
    old = nn.ParameterDict({"*": nn.Parameter(vectors(2, 4))})
    (tmp_path / "folder").mkdir()
    forms = [
        ("folder/learned_embeds.bin", {"<cat-toy>": vectors(1)[0]}, "<cat-toy>", 0),
        ("one.safetensors", {"<big>": vectors(3, 1)}, "<big>", 1),
        ("file-name.pt", automatic1111({"*": vectors(2, 2)}), "blob", 2),
        ("sparks.safetensors", {"emb_params": vectors(4, 3)}, "sparks", 3),
        ("old-paper.pt", {"string_to_token": {"*": 265}, "string_to_param": old}, "old-paper", 4),
    ]
    for name, content, word, seed in forms:
        (save_file if name.endswith("safetensors") else torch.save)(content, tmp_path / name)
        source = tmp_path / "folder" if name.startswith("folder") else tmp_path / name
        pipe.load_textual_inversion(source)
        tokens = tokens_of(pipe, f"a cat, {word.upper()} on a street")
        ids = pipe.tokenizer.convert_tokens_to_ids([token for token in tokens if token.startswith(word)])
        embedded = pipe.text_encoder.get_input_embeddings()(torch.tensor(ids))
        assert torch.equal(embedded, vectors(len(ids), seed)), name
    assert len(pipe.tokenizer) == len(pipe.text_encoder.get_input_embeddings().weight)


def test_a_caption_with_the_word_is_painted_otherwise_and_as_before_without_it(pipe, tmp_path):
    size = len(pipe.tokenizer)
    before = paint(pipe, layout("a blob"), num_inference_steps=1, mis=0)
    pipe.load_textual_inversion([{"<one>": vectors(1)}, vectors(2, 1)], token=[None, "<two>"])
    features, pooled = pipe.encode_captions(["a <two>"])
    assert (features - pipe.encode_captions(["a <one>"])[0]).abs().max() > 1e-2

    pipe.save_pretrained(tmp_path)
    again = InstanceDiffusionPipeline.from_pretrained(tmp_path, local_files_only=True)
    assert (again.encode_captions(["a <two>"])[1] - pooled).abs().max() <= 1e-5

    pipe.unload_textual_inversion("<one>")
    assert (pipe.encode_captions(["a <two>"])[0] - features).abs().max() <= 1e-5  # another number, the same vectors
    assert "<one>" not in tokens_of(pipe, "a <one>")
    pipe.unload_textual_inversion()
    assert (len(pipe.tokenizer), pipe.text_encoder.config.vocab_size) == (size, size)
    assert torch.equal(paint(pipe, layout("a blob"), num_inference_steps=1, mis=0), before)


def test_a_word_is_found_whole_and_whatever_its_case(pipe):
    pipe.load_textual_inversion([vectors(2), vectors(1)], token=["Art", "<art>"])
    assert pipe.maybe_convert_prompt("ART, party art_2 <art>") == "Art Art_1, party art_2 <art>"
    assert tokens_of(pipe, "art, <ART>")[:2] == ["Art", "Art_1"]
    assert "Art" not in tokens_of(pipe, "a party")


def test_an_encoder_of_an_old_config_pools_at_the_end_of_the_text(pipe):
    """Old configs of CLIP say that 2 is the end; the encoder then pools at the highest number."""
    known = pipe.text_encoder.eos_token_id
    pipe.text_encoder.eos_token_id = 2
    pipe.load_textual_inversion({"<it>": vectors(1)})
    features, pooled = pipe.encode_captions(["<it> cat"])
    ids = pipe.tokenizer("<it> cat").input_ids
    assert torch.equal(pooled[0], features[0, ids.index(known)])


@pytest.mark.parametrize(
    ("source", "token", "reason"),
    [
        ({"<it>": torch.zeros(2, 768)}, None, r"\[2, 768\], and the text encoder reads \(n, 32\): .* another model"),
        ({"clip_l": torch.zeros(1, 768), "clip_g": torch.zeros(1, 1280)}, None, "for Stable Diffusion XL"),
        ({"a.lora_A.weight": vectors(1), "a.lora_B.weight": vectors(1)}, None, "it holds 2 tensors"),
        ({}, None, "it holds 0 tensors"),
        ({"<it>": vectors(1) * torch.nan}, None, "not finite"),
        (vectors(1), None, "None is no word; give one without spaces as token"),
        (vectors(1), "two words", "is no word"),
        (vectors(1), "cat", '"cat" is a word of the tokenizer already'),
        ([vectors(1)], ["<a>", "<b>"], "2 for 1 sources"),
        ([vectors(1), vectors(1)], ["<a>", "<A>"], '"<A>" is a word'),
    ],
)
def test_what_cannot_be_loaded_is_refused_and_nothing_is(pipe, source, token, reason):
    with pytest.raises(BadInput, match=reason):
        pipe.load_textual_inversion(source, token)
    assert not pipe.tokenizer.get_added_vocab().keys() - set(pipe.tokenizer.all_special_tokens)


def test_files_that_would_run_something_and_words_that_are_not_there_are_refused(pipe, tmp_path):
    torch.save({"string_to_param": {"*": print}}, tmp_path / "code.pt")
    with pytest.raises(BadInput, match="nothing was run"):
        pipe.load_textual_inversion(tmp_path / "code.pt")
    pipe.load_textual_inversion(vectors(2), "<it>")
    with pytest.raises(BadInput, match="<that> are no loaded words; there are: <it>"):
        pipe.unload_textual_inversion("<that>")
