"""The engine finds converted models, and reads what they say of themselves."""

import json

import pytest
from golden_checkpoint import convert

from instdiff.device import GB, Device, Placement
from instdiff.engine import engine_info, load_engine
from instdiff.errors import BadInput
from instdiff.layout import Box, Instance, Layout
from instdiff.render_settings import RenderSettings


def test_sd15_is_found_in_the_models_folder_and_in_the_hugging_face_cache(mini, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("INSTDIFF_CACHE", str(tmp_path / "cache"))
    with pytest.raises(BadInput, match="instdiff-agent models get sd15"):
        engine_info("sd15")
    cached = tmp_path / "hub" / "models--someone--instancediffusion-sd15" / "snapshots" / "0"
    cached.parent.mkdir(parents=True)
    cached.symlink_to(mini)
    assert engine_info("sd15").folder == cached
    monkeypatch.setenv("INSTDIFF_MODELS", str(tmp_path / "own"))
    assert engine_info("sd15").folder == cached
    convert(mini, tmp_path / "own" / "instancediffusion-sd15")
    assert engine_info("sd15").folder == tmp_path / "own" / "instancediffusion-sd15"
    monkeypatch.delenv("INSTDIFF_MODELS")
    (tmp_path / "cache").mkdir()
    (tmp_path / "own").rename(tmp_path / "cache" / "models")
    assert engine_info("sd15").folder == tmp_path / "cache" / "models" / "instancediffusion-sd15"


@pytest.mark.parametrize(
    ("text", "word"),
    [("{", "damaged"), ('{"native_size": 3}', "damaged"), ('{"defaults": {"alpha": 9}}', "alpha"), ("[]", "damaged")],
)
def test_a_folder_says_its_own_defaults(tmp_path, text, word):
    (tmp_path / "model_index.json").write_text("{}")
    assert engine_info(str(tmp_path)).native_size == (512, 512)
    said = {"native_size": [768, 640], "max_side": 1024, "defaults": {"num_inference_steps": 7}}
    (tmp_path / "engine.json").write_text(json.dumps(said))
    info = engine_info(str(tmp_path))
    assert (info.native_size, info.max_side, info.defaults.num_inference_steps) == ((768, 640), 1024, 7)
    assert (info.defaults.guidance_scale, info.defaults.mis) == (7.5, 0.36)  # what it does not say
    (tmp_path / "model_index.json").write_text('{"num_inference_steps": 9}')
    assert engine_info(str(tmp_path)).defaults.num_inference_steps == 9
    (tmp_path / "engine.json").write_text(text)
    with pytest.raises(BadInput, match=word):
        engine_info(str(tmp_path))
    (tmp_path / "engine.json").unlink()
    (tmp_path / "model_index.json").write_text(text.replace('{"defaults": {"alpha": 9}}', '{"alpha": 9}'))
    with pytest.raises(BadInput, match=word):
        engine_info(str(tmp_path))


def test_an_engine_paints_in_half_precision_and_few_rows_where_memory_is_small(mini, monkeypatch):
    small = Device("cpu", "a small machine", 4 * GB, GB)
    monkeypatch.setattr("instdiff.engine.device_of_torch", lambda: small)
    engine = load_engine(str(mini))
    assert engine.placement == Placement("bfloat16", max_batch=2)
    assert {str(part.dtype) for part in (engine.pipeline.unet, engine.pipeline.vae)} == {"torch.bfloat16"}
    things = [Instance(caption=f"a {name}", box=Box(x0=0.1, y0=0.1, x1=0.9, y1=0.9)) for name in ("dog", "cat")]
    layout = Layout(caption="a dog and a cat", width=64, height=64, instances=tuple(things))
    painted = engine.render(layout, RenderSettings(num_inference_steps=2, mis=0.5))
    assert painted.images[0].size == (64, 64) and len(painted.images[0].getcolors(64 * 64)) > 1
