"""The refiner, on a tiny SDXL refiner with random weights."""

import json
import shutil

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, EulerDiscreteScheduler, StableDiffusionXLImg2ImgPipeline, UNet2DConditionModel
from PIL import Image
from transformers import CLIPTextConfig, CLIPTextModelWithProjection

from instdiff import BadInput, Box, Instance, Layout
from instdiff.engine import load_engine
from instdiff.errors import ServiceError
from instdiff.model.refine import SDXL_REFINER, Refiner, find_refiner
from instdiff.render_settings import RenderSettings
from instdiff.training.draft.captions import train_tokenizer

LAYOUT = Layout(
    width=64,
    height=64,
    caption="a red cat",
    instances=[Instance(caption="a cat", box=Box(x0=0.1, y0=0.2, x1=0.6, y1=0.8))],
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The parts of the SDXL refiner, each as small as its kind can be."""
    torch.manual_seed(0)
    tokenizer = train_tokenizer(["a red cat and two dogs", "a car on a street"] * 20, 700)
    text = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        projection_dim=16,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    unet = UNet2DConditionModel(
        sample_size=32,
        block_out_channels=(16, 32),
        layers_per_block=1,
        norm_num_groups=8,
        cross_attention_dim=16,
        attention_head_dim=8,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=4,
        # size and corner of the picture, its aesthetic score, and the caption
        projection_class_embeddings_input_dim=5 * 4 + 16,
    )
    vae = AutoencoderKL(
        block_out_channels=(16, 16),
        down_block_types=["DownEncoderBlock2D"] * 2,
        up_block_types=["UpDecoderBlock2D"] * 2,
        norm_num_groups=8,
    )
    pipeline = StableDiffusionXLImg2ImgPipeline(
        vae=vae,
        text_encoder=None,
        text_encoder_2=CLIPTextModelWithProjection(text),
        tokenizer=None,
        tokenizer_2=tokenizer,
        unet=unet,
        scheduler=EulerDiscreteScheduler(),
        requires_aesthetics_score=True,
        force_zeros_for_empty_prompt=False,
    )
    place = tmp_path_factory.mktemp("models") / SDXL_REFINER
    pipeline.save_pretrained(place)
    return place


@pytest.fixture(scope="module")
def refiner(folder):
    return Refiner(folder)


def pictures(*seeds, size=(64, 64)):
    """Coloured noise."""
    return [
        Image.fromarray(np.random.default_rng(seed).integers(0, 255, (*size[::-1], 3), dtype=np.uint8))
        for seed in seeds
    ]


def difference(a, b) -> int:
    return np.abs(np.asarray(a, dtype=int) - np.asarray(b, dtype=int)).max()


def test_a_list_is_refined_picture_by_picture(refiner):
    images = pictures(1, 2)
    refined = refiner.refine(images, LAYOUT, 0.3, [5, 6])
    assert [image.size for image in refined] == [image.size for image in images]
    assert all(difference(one, other) > 0 for one, other in zip(refined, images, strict=True))
    assert difference(refined[1], refiner.refine(images[1:], LAYOUT, 0.3, [6])[0]) == 0
    assert difference(refined[0], refiner.refine(images[:1], LAYOUT, 0.3, [7])[0]) > 0


@pytest.mark.parametrize("strength, steps", [(0.02, 1), (0.3, 15), (1.0, 50)])
def test_the_strength_is_a_share_of_the_steps(refiner, strength, steps):
    done = []
    hook = refiner.pipeline.unet.register_forward_pre_hook(lambda module, given: done.append(1))
    try:
        refiner.refine(pictures(1), LAYOUT, strength, [0])
    finally:
        hook.remove()
    assert len(done) == steps


@pytest.mark.parametrize(
    "size, canvas", [((64, 64), (64, 64)), ((32, 32), (64, 64)), ((30, 17), (64, 36)), ((100, 50), (100, 50))]
)
def test_small_pictures_are_refined_at_the_size_that_the_refiner_knows(refiner, size, canvas):
    assert refiner._canvas(size) == canvas
    assert refiner.refine(pictures(1, size=size), LAYOUT, 0.02, [0])[0].size == size


@pytest.mark.parametrize(
    ("engine", "named", "field", "said"),
    [
        ("draft", None, "refine", "the draft engine has no refiner; "),
        ("sd15", None, "refine", "instdiff-agent models get refiner"),
        ("draft", "no/such/folder", "refiner", "model_index.json"),
    ],
)
def test_where_there_is_no_refiner_it_is_said_what_to_do(engine, named, field, said, monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(BadInput) as error:
        find_refiner(engine, named)
    assert error.value.field == field and said in error.value.reason and "\n" not in error.value.reason


@pytest.mark.parametrize(
    ("index", "part", "said"),
    [
        ({"_class_name": "StableDiffusionPipeline"}, None, "is a folder of StableDiffusionPipeline, no refiner"),
        (
            {"_class_name": "InstanceDiffusionPipeline"},
            None,
            "is a folder of InstanceDiffusionPipeline, no refiner",
        ),
        ({"tokenizer_2": [None, None]}, None, "lacks tokenizer_2; fetch the whole folder"),
        ({}, "vae", "lacks vae; fetch the whole folder"),
        ("nothing", None, "is missing or damaged"),
    ],
)
def test_the_folder_of_another_model_is_refused_before_painting(folder, tmp_path, index, part, said):
    place = shutil.copytree(folder, tmp_path / "refiner")
    before = json.loads((place / "model_index.json").read_text())
    (place / "model_index.json").write_text(json.dumps({**before, **index}) if isinstance(index, dict) else index)
    if part:
        shutil.rmtree(place / part)
    with pytest.raises(BadInput) as error:
        find_refiner("draft", str(place))
    assert error.value.field == "refiner" and said in error.value.reason and "\n" not in error.value.reason


def test_a_refiner_that_cannot_be_loaded_costs_no_picture(refiner, tmp_path):
    refiner.pipeline.save_pretrained(tmp_path)
    (tmp_path / "unet" / "config.json").write_text("{")
    steps = []
    with pytest.raises(ServiceError, match="refiner: .* cannot be loaded"):
        settings = RenderSettings(num_inference_steps=1, cascade_strength=0.1)
        load_engine("draft", refiner=str(tmp_path)).render(LAYOUT, settings, lambda *step: steps.append(step))
    assert not steps


def test_it_is_found_among_the_models_and_in_the_cache(folder, monkeypatch, tmp_path):
    monkeypatch.setenv("INSTDIFF_MODELS", str(folder.parent))
    assert find_refiner("sd15") == folder
    assert find_refiner("draft", str(folder)) == folder
    monkeypatch.delenv("INSTDIFF_MODELS")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    cached = tmp_path / f"models--stabilityai--{SDXL_REFINER}" / "snapshots" / "1"
    cached.parent.mkdir(parents=True)
    cached.symlink_to(folder)
    assert find_refiner("sd15") == cached


def test_half_precision_weights_alone_will_do_and_damaged_ones_are_named(refiner, tmp_path):
    refiner.pipeline.save_pretrained(tmp_path, variant="fp16")
    assert Refiner(tmp_path).folder == tmp_path
    (tmp_path / "vae" / "config.json").write_text("{")
    with pytest.raises(ServiceError, match="refiner: .* cannot be loaded"):
        Refiner(tmp_path)


def test_the_engine_keeps_the_original_and_one_refiner(folder, monkeypatch):
    loaded = []
    monkeypatch.setattr("instdiff.model.refine.Refiner", lambda place: loaded.append(place) or Refiner(place))
    engine = load_engine("draft", refiner=str(folder))
    settings = RenderSettings(num_inference_steps=2, num_images=2)
    plain = engine.render(LAYOUT, settings)
    assert plain.refined == () and "refiner" not in plain.versions and not loaded
    both = engine.render(LAYOUT, settings.model_copy(update={"cascade_strength": 0.1}))
    again = engine.render(LAYOUT, settings.model_copy(update={"cascade_strength": 0.1}))
    assert loaded == [folder] and len(both.versions["refiner"]) == 16
    for k in range(2):
        assert difference(both.images[k], plain.images[k]) == 0
        assert difference(both.refined[k], both.images[k]) > 0 and difference(both.refined[k], again.refined[k]) == 0


@pytest.mark.parametrize("strength", [0.01, 1.1, -0.1, float("nan")])
def test_strengths_that_mean_nothing_are_refused(strength):
    with pytest.raises(BadInput, match="cascade_strength"):
        RenderSettings.parse({"cascade_strength": strength})
