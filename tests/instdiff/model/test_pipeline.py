"""The pipeline's promises, on a tiny model with random weights."""

import copy
import json

import numpy as np
import pytest
import torch
from accelerate.hooks import ModelHook, add_hook_to_module, remove_hook_from_module
from diffusers import (
    DDIMScheduler,
    DDPMScheduler,
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    KDPM2AncestralDiscreteScheduler,
    LCMScheduler,
    TCDScheduler,
)
from tiny_pipeline import LATENTS, STEPS, layout, paint, tiny_pipeline

from instdiff import BadInput, Box, Instance, InstanceDiffusionPipeline, Layout, Point
from instdiff.engine import engine_info
from instdiff.model.conditions import ConditionReader, captions_of, encoded, slots_of
from instdiff.model.defaults import ModelDefaults
from instdiff.model.unet import InstanceUNet


@pytest.fixture(scope="module")
def pipeline():
    return tiny_pipeline()


def test_the_same_seed_gives_the_same_picture_and_another_another(pipeline):
    first = paint(pipeline, layout())
    assert torch.equal(first, paint(pipeline, layout()))
    assert not torch.allclose(first, paint(pipeline, layout(), seed=5))


@pytest.mark.parametrize(
    ("change", "options"),
    [
        ({"caption": "a car"}, {}),
        ({"left": 0.3}, {}),
        ({"negative_caption": "dogs"}, {}),
        ({}, {"guidance_scale": 2.0}),
        ({}, {"alpha": 0.25}),
        ({}, {"mis": 0.0}),
    ],
)
def test_everything_that_is_asked_for_changes_the_picture(pipeline, change, options):
    assert not torch.allclose(paint(pipeline, layout()), paint(pipeline, layout(**change), **options), atol=1e-5)


def test_different_layouts_in_one_batch_are_painted_as_alone(pipeline):
    layouts = [layout(), layout("a car on a street", left=0.4), Layout(width=64, height=64, caption="a street")]
    together = paint(pipeline, layouts)
    for k, one in enumerate(layouts):
        assert torch.allclose(together[k : k + 1], paint(pipeline, one, seed=k), atol=1e-4)


@pytest.mark.parametrize("scheduler", [DDIMScheduler, EulerDiscreteScheduler])
def test_other_schedulers_work(pipeline, scheduler):
    before = pipeline.scheduler
    try:
        pipeline.scheduler = scheduler.from_config(before.config)
        found = paint(pipeline, layout())
    finally:
        pipeline.scheduler = before
    assert torch.isfinite(found).all()
    assert not torch.allclose(found, paint(pipeline, layout()))


STOCHASTIC = {
    "euler ancestral": (EulerAncestralDiscreteScheduler, {}, {}),
    "ddpm": (DDPMScheduler, {"clip_sample": False}, {}),
    "lcm": (LCMScheduler, {}, {}),
    "tcd": (TCDScheduler, {}, {}),
    "kdpm2 ancestral": (KDPM2AncestralDiscreteScheduler, {}, {}),
    "sde-dpm++": (DPMSolverMultistepScheduler, {"algorithm_type": "sde-dpmsolver++"}, {}),
    "ddim with eta": (DDIMScheduler, {"clip_sample": False}, {"eta": 1.0}),
}


@pytest.mark.parametrize("name", STOCHASTIC)
def test_the_noise_of_stochastic_schedulers_is_the_generators_too(pipeline, name):
    kind, config, options = STOCHASTIC[name]
    options = {**options, "scheduler": kind.from_config(pipeline.scheduler.config, **config)}
    start = pipeline.noise((64, 64), torch.Generator().manual_seed(9))  # so that only the noise of the steps differs
    layouts = [layout(), Layout(width=64, height=64, caption="a street")]
    first, second = paint(pipeline, layouts, latents=start, **options)
    torch.rand(3)  # torch's own generator has no say
    assert torch.equal(paint(pipeline, layouts, latents=start, **options), torch.stack([first, second]))
    alone = paint(pipeline, layouts[1], latents=start, seed=1, **options)[0]
    assert torch.allclose(alone, second, atol=1e-3)
    other_seed = paint(pipeline, layouts[0], latents=start, seed=5, **options)[0]
    assert not torch.allclose(other_seed, first, atol=1e-3)


def test_one_generator_gives_each_picture_noise_of_its_own(pipeline):
    ancestral = EulerAncestralDiscreteScheduler.from_config(pipeline.scheduler.config)
    options = {"num_inference_steps": STEPS, "mis": 0.5, "output_type": "latent", "scheduler": ancestral}
    start = pipeline.noise((64, 64), torch.Generator().manual_seed(9))

    def paint_two(generator):
        return pipeline([layout()] * 2, generator=generator, latents=start, **options).images

    one, other = paint_two(torch.Generator().manual_seed(0))
    assert not torch.allclose(one, other, atol=1e-3)
    assert torch.equal(paint_two(torch.Generator().manual_seed(0)), torch.stack([one, other]))
    torch.manual_seed(0)
    without = paint_two(None)
    torch.manual_seed(0)
    assert torch.equal(paint_two(None), without)


DEFAULTS = {
    "num_inference_steps": 3, "guidance_scale": 2.0, "alpha": 0.5, "mis": 0.4,
    "noise_scale": 0.5, "native_size": (64, 32), "max_side": 64,
}  # fmt: skip

SETTINGS = {name: DEFAULTS[name] for name in ("num_inference_steps", "guidance_scale", "alpha", "mis")}


def save_and_load(pipe, folder):
    pipe.save_pretrained(folder)
    return InstanceDiffusionPipeline.from_pretrained(folder, local_files_only=True)


def load_what_an_older_version_wrote(pipe, folder):
    """Its defaults are in a file beside the model, all but the scale of the noise; its modules lie elsewhere."""
    defaults = {"noise_scale": DEFAULTS["noise_scale"]}
    InstanceDiffusionPipeline(**pipe.components | {"defaults": defaults}).save_pretrained(folder)
    index = folder / "model_index.json"
    index.write_text(index.read_text().replace("instdiff.model.", "instdiff."))
    said = {"defaults": SETTINGS, "native_size": [64, 32], "max_side": 64}
    (folder / "engine.json").write_text(json.dumps(said))
    return InstanceDiffusionPipeline.from_pretrained(folder, local_files_only=True)


@pytest.mark.parametrize(
    "make",
    [
        lambda pipe, folder: pipe,
        lambda pipe, folder: InstanceDiffusionPipeline.from_pipe(pipe),
        lambda pipe, folder: InstanceDiffusionPipeline(**pipe.components),
        lambda pipe, folder: InstanceDiffusionPipeline(**pipe.components, **pipe.parameters),
        save_and_load,
        load_what_an_older_version_wrote,
        lambda pipe, folder: save_and_load(load_what_an_older_version_wrote(pipe, folder / "old"), folder / "new"),
    ],
    ids=["itself", "from_pipe", "components", "parameters", "saved", "older folder", "older folder, saved"],
)
def test_a_model_keeps_its_own_defaults(pipeline, tmp_path, make):
    found = make(InstanceDiffusionPipeline(**pipeline.components, **DEFAULTS), tmp_path)
    found.set_progress_bar_config(disable=True)
    assert found.defaults == ModelDefaults(**DEFAULTS)
    steps = []
    options = {
        "output_type": "latent",
        "callback_on_step_end": lambda pipe, step, timestep, tensors: steps.append(step),
    }
    painted = found(layout(), generator=torch.Generator().manual_seed(0), **options).images
    assert steps == [0, 1, 2]
    assert torch.equal(paint(found, layout(), **SETTINGS), painted)


def test_what_is_asked_for_wins_over_the_models_own_defaults(pipeline):
    own = InstanceDiffusionPipeline(**pipeline.components, **DEFAULTS)
    own.set_progress_bar_config(disable=True)
    painted = paint(own, layout(), **SETTINGS)
    for name, value in {"num_inference_steps": 2, "guidance_scale": 0.0, "alpha": 0.0, "mis": 0.0}.items():
        changed = paint(own, layout(), **SETTINGS | {name: value})
        assert not torch.allclose(changed, painted, atol=1e-5)
    changed = InstanceDiffusionPipeline(**own.components, alpha=0.0)
    assert changed.defaults == ModelDefaults(**DEFAULTS | {"alpha": 0.0})
    assert own.defaults.alpha == 0.5


def test_a_model_that_says_nothing_paints_as_the_published_one(pipeline, tmp_path):
    published = ModelDefaults(num_inference_steps=50, guidance_scale=7.5, alpha=0.8, mis=0.36)
    assert pipeline.defaults == published
    assert save_and_load(pipeline, tmp_path).defaults == published
    assert engine_info(str(tmp_path)).defaults == published.settings
    with pytest.raises(BadInput, match="alpha"):
        InstanceDiffusionPipeline(**pipeline.components, alpha=2.0)


def test_saved_and_loaded_it_paints_the_same(pipeline, tmp_path):
    pipeline.save_pretrained(tmp_path)
    loaded = InstanceDiffusionPipeline.from_pretrained(tmp_path, local_files_only=True)
    loaded.set_progress_bar_config(disable=True)
    # Weights that are mapped from a file lie elsewhere in memory, and vector code may round differently there.
    assert torch.allclose(paint(loaded, layout()), paint(pipeline, layout()), atol=1e-4)
    assert not list(tmp_path.rglob("*.bin"))


def test_callback_sees_every_step_and_may_change_the_latents(pipeline):
    steps = []

    def watch(pipe, step, timestep, tensors):
        steps.append(step)
        return {"latents": torch.zeros_like(tensors["latents"])} if step == STEPS - 1 else tensors

    assert not paint(pipeline, layout(), callback_on_step_end=watch).any()
    assert steps == list(range(STEPS))


def test_a_callback_is_given_the_tensors_that_it_asks_for(pipeline):
    given = []
    options = {"callback_on_step_end": lambda pipe, step, timestep, tensors: given.append(list(tensors))}
    expected = paint(pipeline, layout())
    assert torch.equal(paint(pipeline, layout(), **options), expected)
    assert torch.equal(paint(pipeline, layout(), **options, callback_on_step_end_tensor_inputs=[]), expected)
    assert given == [["latents"]] * STEPS + [[]] * STEPS
    with pytest.raises(BadInput, match='"image_embeds" is not there'):
        paint(pipeline, layout(), **options, callback_on_step_end_tensor_inputs=["latents", "image_embeds"])


def test_latents_may_be_given(pipeline):
    latents = torch.randn(1, 4, *LATENTS, generator=torch.Generator().manual_seed(0))
    assert torch.equal(paint(pipeline, layout(), latents=latents), paint(pipeline, layout()))


def test_layouts_that_start_from_the_same_noise_differ_in_what_was_changed(pipeline):
    """One call with the noise of one picture: each layout is painted from it, as alone."""
    noise = pipeline.noise((64, 64), torch.Generator().manual_seed(0))
    layouts = [layout(), layout(left=0.3), layout()]
    first, moved, same = paint(pipeline, layouts, latents=noise)
    assert torch.allclose(first, same, atol=1e-5) and not torch.allclose(first, moved, atol=1e-5)
    assert torch.allclose(paint(pipeline, layout(left=0.3), latents=noise)[0], moved, atol=1e-4)
    assert torch.equal(paint(pipeline, layout(), latents=noise), paint(pipeline, layout()))  # what a generator draws


def test_a_model_may_start_from_less_noise(pipeline, tmp_path):
    latents = torch.randn(1, 4, *LATENTS, generator=torch.Generator().manual_seed(0))
    calmer = InstanceDiffusionPipeline(**pipeline.components, noise_scale=0.5)
    calmer.set_progress_bar_config(disable=True)
    assert torch.equal(paint(calmer, layout()), paint(pipeline, layout(), latents=latents / 2))
    calmer.save_pretrained(tmp_path)
    assert InstanceDiffusionPipeline.from_pretrained(tmp_path, local_files_only=True).config.noise_scale == 0.5
    assert pipeline.defaults.noise_scale == 1.0


def test_a_model_without_a_place_map_has_no_sketch_to_begin_from(pipeline):
    with pytest.raises(BadInput, match="^strength: "):
        InstanceDiffusionPipeline(**pipeline.components, strength=0.5)


def test_little_noise_leaves_the_first_guess_as_it_is():
    draft = InstanceDiffusionPipeline.from_pretrained(engine_info("draft").folder, local_files_only=True)
    cat = Instance(caption="an orange cat", box=Box(x0=0.2, y0=0.3, x1=0.8, y1=0.9))
    told = Layout(width=256, height=256, caption="an orange cat in a garden", instances=(cat,))
    faithful = InstanceDiffusionPipeline(**draft.components, strength=0.01)
    faithful.set_progress_bar_config(disable=True)
    noise = torch.Generator().manual_seed(0)
    [painted] = faithful(told, num_inference_steps=1, generator=noise, output_type="pt").images
    names = captions_of([told], guided=False)
    captions = encoded(names, *faithful.encode_captions(names))
    parts = (faithful.unet, faithful.unifusion, faithful.vae, captions, (32, 32), torch.device("cpu"), torch.float32)
    reader = ConditionReader(*parts, sketches=True, slots=slots_of([told], faithful.unet))
    conditions, _ = reader.read([told], apart=[()], guided=False)
    [sketched] = faithful.decode(conditions[0][0].sketch, "pt")
    orange = sketched[:, 160, 128]
    assert orange[0] > orange[1] > orange[2]
    assert (painted - sketched).abs().mean() < 0.05


def test_parts_of_things_are_instances_like_any_other(pipeline):
    """A layout may be painted again from the same noise with parts added, as boxes or points."""
    whole = layout()
    latents = torch.randn(1, 4, *LATENTS, generator=torch.Generator().manual_seed(0))
    parts = [
        Instance(caption="a red ear", point=Point(x=0.2, y=0.25)),
        Instance(caption="a nose", box=Box(x0=0.2, y0=0.3, x1=0.3, y1=0.4)),
    ]
    with_parts = Layout(width=64, height=64, caption=whole.caption, instances=[*whole.instances, *parts])
    first, second = (paint(pipeline, each, latents=latents) for each in (whole, with_parts))
    assert torch.isfinite(second).all()
    assert not torch.allclose(first, second, atol=1e-5)


def test_small_batches_paint_the_same(pipeline):
    assert torch.allclose(paint(pipeline, layout(), max_batch=2), paint(pipeline, layout()), atol=1e-4)


def test_models_are_fetched_before_they_are_used(pipeline):
    """Under model offload every way into a model goes through its hook."""
    fetched = []

    class Hook(ModelHook):
        def pre_forward(self, module, *args, **kwargs):
            fetched.append(type(module).__name__)
            return args, kwargs

    models = [pipeline.text_encoder, pipeline.unifusion, pipeline.unet]
    for model in models:
        add_hook_to_module(model, Hook())
    try:
        paint(pipeline, layout(), num_inference_steps=1, mis=0.0, guidance_scale=1.0, output_type="latent")
    finally:
        for model in models:
            remove_hook_from_module(model)
    # One set of tokens (without guidance there is no negative); the UNet once for its memories, once for the step.
    assert fetched == ["CLIPTextModel", "UniFusion", "InstanceUNet", "InstanceUNet"]


def test_the_blocks_of_all_levels_can_be_compiled(pipeline):
    """Narrow, but of as many levels and kinds of blocks as the published UNet has."""
    torch.manual_seed(0)
    deep = copy.copy(pipeline)
    widths = {"block_out_channels": (32, 64, 96, 96), "layers_per_block": 1, "cross_attention_dim": 32}
    deep.unet = InstanceUNet(**widths).eval()
    expected = paint(deep, layout(), num_inference_steps=1, guidance_scale=1.0, mis=0.0)
    deep.unet.compile_repeated_blocks(fullgraph=True, backend="eager")
    found = paint(deep, layout(), num_inference_steps=1, guidance_scale=1.0, mis=0.0)
    assert torch.allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize(
    ("output_type", "kind", "shape"), [("np", np.ndarray, (2, 64, 64, 3)), ("pt", torch.Tensor, (2, 3, 64, 64))]
)
def test_output_types(pipeline, output_type, kind, shape):
    images = paint(pipeline, layout(), output_type=output_type, num_images_per_layout=2)
    assert isinstance(images, kind) and images.shape == shape


def test_pictures_are_pil_by_default(pipeline):
    image = pipeline(layout(), num_inference_steps=1).images[0]
    assert image.size == (64, 64)


@pytest.mark.parametrize(
    ("layouts", "options", "field"),
    [
        ([layout(), Layout(width=128, height=64, caption="")], {}, "layouts"),
        ([], {}, "layouts"),
        (Layout(width=65, height=64, caption=""), {}, "size"),
        (layout(), {"latents": torch.zeros(1, 4, 8, 8)}, "latents"),
        ([layout()] * 3, {"latents": torch.zeros(2, 4, *LATENTS)}, "latents"),
        ([layout()] * 3, {"generator": [torch.Generator(), torch.Generator()]}, "generator"),
    ],
)
def test_what_cannot_be_painted_is_refused(pipeline, layouts, options, field):
    with pytest.raises(BadInput) as error:
        pipeline(layouts, **options)
    assert error.value.field == field
