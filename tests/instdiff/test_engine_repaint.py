"""Engines paint a part of a picture anew, and choose from pictures early."""

from dataclasses import replace

import numpy as np
import pytest
from golden_checkpoint import convert, mini_content, save
from PIL import Image

from instdiff import BadInput, Box, Instance, Layout, Mask, Point, Scribble
from instdiff.engine import Change, load_engine
from instdiff.model.inpainting import mask_of
from instdiff.render_settings import RenderSettings

SIZE = (96, 64)
PLACE = Box(x0=0.2, y0=0.25, x1=0.6, y1=0.8)
REGION = Box(x0=0.15, y0=0.2, x1=0.65, y1=0.85)
FOUR_STEPS = RenderSettings(num_inference_steps=4)


@pytest.fixture(scope="module")
def sd15(tmp_path_factory):
    """A model of Stable Diffusion 1.5's shape, converted from a checkpoint, with random weights."""
    folder = tmp_path_factory.mktemp("models")
    save(mini_content(), folder / "mini.pth")
    convert(folder / "mini.pth", folder / "instancediffusion-sd15")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INSTDIFF_MODELS", str(folder))
        return load_engine("sd15")


@pytest.fixture(scope="module")
def draft():
    return load_engine("draft")


def photograph(size=SIZE, seed=0):
    """As busy as no painted picture is."""
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def layout(size=SIZE, **place):
    cat = Instance(caption="a red cat", category="cat", **place or {"box": PLACE})
    dog = Instance(caption="a dog", category="dog", box=Box(x0=0.6, y0=0.1, x1=0.95, y1=0.9))
    return Layout(width=size[0], height=size[1], caption="a cat and a dog", instances=[cat, dog])


def change(size=SIZE, seed=0, **place):
    return Change(photograph(size), layout(size, **place), (REGION,), (0,), seed)


def assert_changed_inside_alone(image, one):
    assert image.size == one.layout.size
    inside = np.asarray(mask_of(one.regions, image.size)) > 0
    before, after = (np.asarray(picture.convert("RGB"), dtype=int) for picture in (one.picture, image))
    assert np.array_equal(before[~inside], after[~inside])
    assert np.abs(after - before)[inside].mean() > 5


def shape():
    array = np.zeros((64, 96), dtype=bool)
    array[20:50, 30:60] = True
    return Mask.from_array(array)


PLACES = {
    "box": {"box": PLACE},
    "point": {"point": Point(x=0.4, y=0.5)},
    "scribble": {"scribble": Scribble(points=[Point(x=0.25, y=0.3), Point(x=0.4, y=0.6), Point(x=0.55, y=0.75)])},
    "mask": {"mask": shape()},
}


def test_things_given_by_any_place_are_painted_anew_and_nothing_else_is(sd15):
    changes = [change(**place) for place in PLACES.values()]
    rendering = sd15.repaint(changes, FOUR_STEPS)
    assert len(rendering.images) == len(changes) and rendering.seeds == (0,) * 4
    for image, one in zip(rendering.images, changes, strict=True):
        assert_changed_inside_alone(image, one)


@pytest.mark.parametrize("preset", ["cached", "fast", "turbo"])
def test_with_any_preset_the_same_again_is_the_same(sd15, preset):
    one = change()
    first = sd15.repaint([one], RenderSettings(preset=preset, num_inference_steps=4))
    assert_changed_inside_alone(first.images[0], one)
    assert all(value is not None for _, value in first.settings)
    again = sd15.repaint([one], first.settings)
    assert first.unet_evaluations == again.unet_evaluations > 0
    assert np.array_equal(np.asarray(first.images[0]), np.asarray(again.images[0]))


@pytest.mark.parametrize("size", [(64, 160), (100, 70), (65, 64)])
def test_at_any_size(sd15, size):
    one = change(size)
    [image] = sd15.repaint([one], FOUR_STEPS).images
    assert_changed_inside_alone(image, one)


def test_at_a_size_that_is_painted_smaller_and_enlarged(sd15, monkeypatch):
    monkeypatch.setattr(sd15, "info", replace(sd15.info, max_side=64))
    one = change((200, 120))
    [image] = sd15.repaint([one], FOUR_STEPS).images
    assert_changed_inside_alone(image, one)


def test_seeds_of_one_batch_are_pictures_of_their_own(sd15):
    rendering = sd15.repaint([change(seed=seed) for seed in (3, 4, 5)], FOUR_STEPS)
    assert rendering.seeds == (3, 4, 5)
    inside = np.asarray(mask_of([REGION], SIZE)) > 0
    parts = [np.asarray(image, dtype=int)[inside] for image in rendering.images]
    assert all(np.abs(one - other).mean() > 2 for k, one in enumerate(parts) for other in parts[:k])
    [alone] = sd15.repaint([change(seed=4)], FOUR_STEPS).images
    assert np.abs(np.asarray(alone, dtype=int)[inside] - parts[1]).max() <= 2


@pytest.mark.parametrize(("strength", "count"), [(1.0, 4), (0.5, 2), (0.01, 1)])
def test_less_strength_takes_fewer_steps_and_tells_how_many(sd15, strength, count):
    steps = []
    one = change()
    settings = RenderSettings(num_inference_steps=4, mis=0.0)
    found = sd15.repaint([one], settings, on_step=lambda *step: steps.append(step), strength=strength)
    assert_changed_inside_alone(found.images[0], one)
    assert steps == [(step, count) for step in range(1, count + 1)]
    assert found.unet_evaluations == 2 * (count + (count > 1))  # with guidance; PLMS evaluates its first step twice


def test_where_no_region_is_given_all_stays(sd15):
    one = replace(change(), regions=())
    [image] = sd15.repaint([one], RenderSettings(num_inference_steps=1)).images
    assert np.array_equal(np.asarray(image), np.asarray(one.picture))


@pytest.mark.parametrize(
    ("changes", "options", "field"),
    [
        ([], {}, "changes"),
        ([change(), change((64, 96))], {}, "changes"),
        ([replace(change(), picture=photograph((64, 96)))], {}, "picture"),
        ([replace(change(), apart=(2,))], {}, "apart"),
        ([replace(change(), apart=(-1,))], {}, "apart"),
        ([change()], {"strength": 0.0}, "strength"),
        ([change()], {"strength": 1.5}, "strength"),
        ([change()], {"strength": float("nan")}, "strength"),
    ],
)
def test_what_cannot_be_painted_anew_is_refused(sd15, changes, options, field):
    with pytest.raises(BadInput) as error:
        sd15.repaint(changes, FOUR_STEPS, **options)
    assert error.value.field == field


CAR = Box(x0=0.1, y0=0.3, x1=0.8, y1=0.8)


def car(colour, side=256):
    thing = Instance(caption=f"a {colour} car", category="car", box=CAR)
    return Layout(width=side, height=side, caption=f"a {colour} car on a street", instances=[thing])


@pytest.mark.parametrize("side", [256, 400], ids=["as painted", "enlarged"])
def test_a_red_car_becomes_blue_and_nothing_else_changes(draft, side):
    [before] = draft.render(car("red", side), RenderSettings()).images
    [after] = draft.repaint([Change(before, car("blue", side), (CAR,), (0,), 1)], RenderSettings()).images
    inside = np.asarray(mask_of([CAR], before.size)) > 0
    red, blue = (np.asarray(image, dtype=float) for image in (before, after))
    assert np.array_equal(red[~inside], blue[~inside])
    body = (slice(side // 2, 7 * side // 10), slice(side // 5, 7 * side // 10))
    assert (red[body][..., 0] - red[body][..., 2]).mean() > 40
    assert (blue[body][..., 2] - blue[body][..., 0]).mean() > 40


def steepness(image, box):
    """Mean change from one pixel to the next across the edge of a box, and across lines beside it that run along."""
    x0, y0, x1, y1 = (round(corner) for corner in box.to_corners(image.size))
    grey = np.asarray(image.convert("L"), dtype=float)
    across = []
    beside = []
    for picture, first, last, edges in ((grey, y0, y1, (x0, x1)), (grey.T, x0, x1, (y0, y1))):
        steps = np.abs(np.diff(picture[first:last], axis=1))
        for edge in edges:
            across.append(steps[:, edge - 1])
            beside += [steps[:, edge - 1 + away] for away in range(-10, 11) if away]
    return np.concatenate(across).mean(), np.concatenate(beside).mean()


def test_no_seam_is_seen_where_the_same_is_painted_anew(draft):
    """Where the whole picture is painted as its first guess is; the bundled model shifts the light of some scenes."""
    dog = Instance(caption="a brown dog", category="dog", box=Box(x0=0.08, y0=0.45, x1=0.4, y1=0.9))
    cat = Instance(caption="a white cat", category="cat", box=Box(x0=0.55, y0=0.5, x1=0.9, y1=0.9))
    told = Layout(width=256, height=256, caption="a dog and a cat in a garden", instances=[dog, cat])
    region = Box(x0=0.5, y0=0.44, x1=0.95, y1=0.94)
    [before] = draft.render(told, RenderSettings()).images
    changes = [Change(before, told, (region,), (1,), seed) for seed in (0, 1, 2)]
    for image in draft.repaint(changes, RenderSettings()).images:
        across, beside = steepness(image, region)
        assert across < 1.3 * beside


def test_an_engine_goes_on_with_the_pictures_that_are_chosen(draft):
    settings = RenderSettings(seed=7, num_images=3)
    layout = car("red", 300)
    every = draft.render(layout, settings)
    seen = []
    chosen = draft.render(layout, settings, choose=lambda images: seen.extend(images) or [2, 1])
    assert [image.size for image in seen] == [(300, 300)] * 3
    assert every.seeds == (7, 8, 9) and chosen.seeds == (9, 8)
    assert every.unet_evaluations == 12 and chosen.unet_evaluations == 12 - 3  # a quarter of four steps is one
    for image, index in zip(chosen.images, [2, 1], strict=True):
        assert np.abs(np.asarray(image, dtype=int) - np.asarray(every.images[index], dtype=int)).max() <= 2
    body = np.asarray(seen[2], dtype=float)[150:210, 60:210]
    assert (body[..., 0] - body[..., 2]).mean() > 40  # a red car already


def test_where_one_step_is_all_there_is_nothing_to_choose_early(draft):
    settings = RenderSettings(num_images=2, num_inference_steps=1)
    found = draft.render(car("red"), settings, choose=lambda images: [1])
    assert len(found.images) == 2 and found.seeds == (0, 1)
