"""The pipeline changes a part of a picture, and drops pictures on the way; on a tiny model with random weights."""

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, LMSDiscreteScheduler
from PIL import Image
from tiny_pipeline import STEPS, layout, paint, tiny_pipeline

from instdiff import BadInput, Layout

SIZE = (64, 64)
REGION = (8, 20, 40, 52)  # x0, y0, x1, y1 in pixels


@pytest.fixture(scope="module")
def pipeline():
    return tiny_pipeline()


def photograph(seed=0, size=SIZE):
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def mask(size=SIZE, region=REGION):
    white = Image.new("L", size)
    white.paste(255, region)
    return white


def same_outside(image, before, region=REGION):
    outside = np.asarray(mask(region=region)) == 0
    return np.array_equal(np.asarray(image)[outside], np.asarray(before)[outside])


@pytest.mark.parametrize("options", [{}, {"strength": 0.5}, {"guidance_every": 2, "inner_every": 2}])
def test_outside_of_the_mask_nothing_changes_and_inside_seeds_differ(pipeline, options):
    before = photograph()
    options = {"image": before, "mask_image": mask(), "output_type": "pil", "num_images_per_layout": 3, **options}
    images = paint(pipeline, layout(), **options)
    assert len(images) == 3 and all(same_outside(image, before) for image in images)
    inside = [np.asarray(image.crop(REGION), dtype=float) for image in [before, *images]]
    for k, one in enumerate(inside):
        assert all(np.abs(one - other).mean() > 2 for other in inside[:k])
    again = paint(pipeline, layout(), **options)
    assert all(np.array_equal(np.asarray(one), np.asarray(other)) for one, other in zip(images, again, strict=True))


def test_each_layout_has_a_picture_and_a_mask_of_its_own(pipeline):
    before = [photograph(0), photograph(1)]
    regions = [REGION, (30, 0, 64, 30)]
    layouts = [layout(), layout("a car on a street", left=0.4)]
    masks = [mask(region=region) for region in regions]
    options = {"output_type": "pil", "apart": [[1], []]}
    together = paint(pipeline, layouts, image=before, mask_image=masks, **options)
    for k in range(2):
        assert same_outside(together[k], before[k], regions[k])
        alone = paint(
            pipeline, layouts[k], seed=k, image=before[k], mask_image=masks[k], output_type="pil",
            apart=[options["apart"][k]],
        )[0]  # fmt: skip
        assert np.abs(np.asarray(alone, dtype=int) - np.asarray(together[k], dtype=int)).max() <= 2


def test_without_a_mask_the_whole_picture_changes_the_less_the_less_strength(pipeline):
    before = photograph()
    [kept] = paint(pipeline, layout(), image=before, mask_image=mask(region=(0, 0, 0, 0)))
    scheduler = DDIMScheduler.from_config(pipeline.scheduler.config, clip_sample=False)
    options = {"image": before, "num_inference_steps": 20, "guidance_scale": 1.0, "mis": 0.0, "scheduler": scheduler}
    changes = []
    for strength in (1e-5, 0.2, 1.0):
        steps = []
        watch = {"callback_on_step_end": lambda pipe, step, timestep, tensors, steps=steps: steps.append(step)}
        [latents] = paint(pipeline, layout(), strength=strength, **options, **watch)
        changes.append(float((latents - kept).abs().mean()))
        assert len(steps) == max(1, round(20 * strength))
    assert changes == sorted(changes) and changes[0] < 0.05 and changes[-1] > 0.5


@pytest.mark.parametrize(
    ("output_type", "kind", "shape"),
    [
        ("np", np.ndarray, (1, 64, 64, 3)),
        ("pt", torch.Tensor, (1, 3, 64, 64)),
        ("latent", torch.Tensor, (1, 4, 16, 16)),
    ],
)
def test_output_types(pipeline, output_type, kind, shape):
    before = photograph()
    [image] = paint(pipeline, layout(), image=before, mask_image=mask(), output_type="pil")
    found = paint(pipeline, layout(), image=before, mask_image=mask(), output_type=output_type)
    assert isinstance(found, kind) and found.shape == shape
    if output_type != "latent":
        channels_last = found[0] if output_type == "np" else found[0].permute(1, 2, 0).numpy()
        assert np.array_equal((channels_last * 255).round(), np.asarray(image))


def test_only_the_instances_that_are_asked_for_are_denoised_on_their_own(pipeline):
    """Guidance doubles the rows, and at the first step all branches share the negative."""
    costs = []
    for apart in (None, [[0, 1]], [[1]], [[]]):
        output = pipeline(layout(), num_inference_steps=STEPS, mis=0.5, apart=apart, output_type="latent")
        costs.append(output.unet_evaluations)
    # PLMS evaluates its first step twice: 3 evaluations in which instances are apart, and 2 in which they are merged.
    assert costs == [4 + 2 * 6 + 2 * 2, 4 + 2 * 6 + 2 * 2, 3 + 2 * 4 + 2 * 2, 5 * 2]


def test_pictures_that_are_chosen_early_are_as_if_all_had_gone_on(pipeline):
    seen = []

    def choose(images):
        seen.extend(images)
        return [2, 0]

    options = {"num_images_per_layout": 2, "output_type": "pil"}
    layouts = [layout(), layout("a car on a street", left=0.4)]

    def paint_four(**more):
        generators = [torch.Generator().manual_seed(k) for k in range(4)]
        return pipeline(layouts, num_inference_steps=STEPS, mis=0.5, generator=generators, **options, **more)

    every, chosen = paint_four(), paint_four(choose=choose, choose_after=2)
    assert [image.size for image in seen] == [SIZE] * 4
    assert len(chosen.images) == 2 and chosen.unet_evaluations == every.unet_evaluations - 2 * 2 * 2
    for found, index in zip(chosen.images, [2, 0], strict=True):
        assert np.abs(np.asarray(found, dtype=int) - np.asarray(every.images[index], dtype=int)).max() <= 2


def test_pictures_that_are_chosen_early_stay_what_they_were_outside_of_their_own_masks(pipeline):
    before = [photograph(0), photograph(1)]
    regions = [REGION, (30, 0, 64, 30)]
    masks = [mask(region=region) for region in regions]
    [image] = paint(
        pipeline, [layout(), layout()], image=before, mask_image=masks, output_type="pil", choose=lambda images: [1]
    )
    assert same_outside(image, before[1], regions[1]) and not same_outside(image, before[0], regions[0])


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"image": photograph(size=(32, 64))}, "image"),
        ({"image": [photograph(), photograph(size=(64, 32))]}, "image"),
        ({"image": [photograph()]}, "image"),
        ({"image": []}, "image"),
        ({"image": [photograph()] * 3}, "image"),
        ({"mask_image": mask()}, "mask_image"),
        ({"image": photograph(), "mask_image": mask(size=(64, 128))}, "mask_image"),
        ({"image": photograph(), "mask_image": []}, "mask_image"),
        ({"image": photograph(), "mask_image": [mask()]}, "mask_image"),
        ({"image": photograph(), "strength": 0.0}, "strength"),
        ({"image": photograph(), "strength": 1.5}, "strength"),
        ({"image": photograph(), "strength": -0.5}, "strength"),
        ({"image": photograph(), "strength": float("nan")}, "strength"),
        ({"image": photograph(), "strength": 0.5, "scheduler": LMSDiscreteScheduler()}, "scheduler"),
        ({"apart": []}, "apart"),
        ({"apart": [[0]]}, "apart"),
        ({"apart": [[0], [0, 2]]}, "apart"),
        ({"apart": [[-1], []]}, "apart"),
        ({"choose": lambda images: []}, "choose"),
        ({"choose": lambda images: [0, 0]}, "choose"),
        ({"choose": lambda images: [2]}, "choose"),
        ({"choose": lambda images: [-1]}, "choose"),
    ],
)
def test_what_cannot_be_changed_is_refused(pipeline, options, field):
    layouts = [layout(), Layout(width=64, height=64, caption="a dog", instances=layout().instances)]
    with pytest.raises(BadInput) as error:
        pipeline(layouts, num_inference_steps=2, output_type="latent", **options)
    assert error.value.field == field
