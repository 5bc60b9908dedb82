"""The bundled engine: found by name, deterministic, any size."""

import numpy as np
import pytest
import torch

from instdiff import BadInput, Box, Instance, InstanceDiffusionPipeline, Layout, Point
from instdiff.engine import DRAFT_FOLDER, engine_info, load_engine
from instdiff.render_settings import RenderSettings

CAR = Instance(caption="a red car", category="car", box=Box(x0=0.1, y0=0.3, x1=0.8, y1=0.8))


@pytest.fixture(scope="module")
def engine():
    return load_engine("draft")


@pytest.fixture(scope="module")
def rendering(engine):
    """The red car with the engine's own settings."""
    return engine.render(layout(), RenderSettings(seed=0))


def layout(width=256, height=256):
    return Layout(width=width, height=height, caption="a red car on a street", instances=[CAR])


@pytest.mark.parametrize("name", ["dall-e", "", "sd15", "no/such/folder"])
def test_unknown_engines_are_refused(name, monkeypatch):
    monkeypatch.delenv("INSTDIFF_MODELS", raising=False)
    with pytest.raises(BadInput, match="^engine: "):
        engine_info(name)


def test_the_same_settings_give_the_same_picture_bit_for_bit(engine):
    settings = RenderSettings(seed=3, num_inference_steps=4, num_images=2)
    first = engine.render(layout(), settings)
    again = engine.render(layout(), settings)
    for one, other in zip(first.images, again.images, strict=True):
        assert np.array_equal(np.asarray(one), np.asarray(other))
    assert not np.array_equal(np.asarray(first.images[0]), np.asarray(first.images[1]))
    second_alone = engine.render(layout(), RenderSettings(seed=4, num_inference_steps=4)).images[0]
    # Batched arithmetic may round differently, never more than a grey level or two.
    assert np.abs(np.asarray(second_alone, dtype=int) - np.asarray(first.images[1], dtype=int)).max() <= 2


def test_the_pipeline_alone_paints_as_the_engine_does(engine, rendering, tmp_path):
    """The model's number of steps and guidance are its own, not those of the published model."""
    pipeline = InstanceDiffusionPipeline.from_pretrained(DRAFT_FOLDER, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    painted = pipeline(layout(), generator=torch.Generator().manual_seed(0)).images[0]
    change = np.abs(np.asarray(painted, dtype=int) - np.asarray(rendering.images[0]))
    assert change.max() <= 2  # weights lie elsewhere in memory
    assert pipeline.defaults.settings == engine.defaults == engine_info("draft").defaults
    pipeline.save_pretrained(tmp_path)
    saved = engine_info(str(tmp_path))
    bundled = engine_info("draft")
    assert (saved.defaults, saved.native_size, saved.max_side) == (
        bundled.defaults,
        bundled.native_size,
        bundled.max_side,
    )


def test_a_rendering_says_how_to_make_it_again(engine):
    rendering = engine.render(layout(), RenderSettings(num_inference_steps=2))
    assert all(value is not None for _, value in rendering.settings)
    assert rendering.settings.guidance_scale == engine.defaults.guidance_scale
    assert len(rendering.model_hash) == 16
    assert set(rendering.versions) == {"torch", "diffusers", "transformers"}


@pytest.mark.parametrize("size", [(256, 256), (512, 512), (300, 200), (64, 640)])
def test_pictures_have_the_size_of_the_layout(engine, size):
    assert engine.render(layout(*size), RenderSettings(num_inference_steps=1)).images[0].size == size


def test_steps_are_reported_from_one(engine):
    steps = []
    engine.render(
        layout(), RenderSettings(num_inference_steps=3), on_step=lambda step, count: steps.append((step, count))
    )
    assert steps == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize(
    "place",
    [{"box": Box(x0=0.2, y0=0.35, x1=0.45, y1=0.6)}, {"point": Point(x=0.32, y=0.47)}],
    ids=["box in a box", "point in a box"],
)
def test_a_part_added_to_a_thing_changes_the_thing_and_little_else(engine, place):
    """The same seed is the same noise, so a layout can be painted again and again with more in it."""
    part = Instance(caption="a blue ball", category="ball", **place)
    settings = RenderSettings(seed=0, num_inference_steps=8)
    before, after = (
        np.asarray(engine.render(one, settings).images[0], dtype=float)
        for one in (layout(), layout().with_instances([CAR, part]))
    )
    change = np.abs(after - before).mean(axis=-1)
    assert change[80:170, 40:130].mean() > 2 * change[:60].mean() and change.max() > 10


def test_presets_are_other_pictures_of_the_same_and_the_exact_one_is_as_ever(engine):
    asked = {
        name: value
        for name, value in engine.defaults
        if name in ("num_inference_steps", "guidance_scale", "alpha", "mis")
    }
    default, *others = (engine.render(layout(), RenderSettings(preset=name)) for name in ("exact", "fast", "turbo"))
    plain = engine.pipeline(layout(), **asked, generator=torch.Generator().manual_seed(0)).images[0]
    assert np.array_equal(np.asarray(default.images[0]), np.asarray(plain))
    for one in others:
        change = np.abs(np.asarray(one.images[0], dtype=int) - np.asarray(plain, dtype=int))
        assert 0 < change[90:190, 40:190].mean() < 20  # grey levels, of the car
        again = engine.render(layout(), RenderSettings.parse(one.settings.model_dump()))
        assert np.array_equal(np.asarray(again.images[0]), np.asarray(one.images[0]))
    steps = [one.settings.num_inference_steps for one in (default, *others)]
    assert steps == sorted(steps, reverse=True) and len(set(steps)) == 3


def test_the_red_car_is_red_and_in_its_place(rendering):
    """What the draft model is for: the place turns red, the rest does not."""
    pixels = np.asarray(rendering.images[0], dtype=float)
    redness = pixels[..., 0] - pixels[..., 1:].mean(axis=-1)
    inside = redness[96:188, 48:188].mean()
    outside = redness[:60].mean()
    assert inside > outside + 30
