"""How a diffusers user calls the pipeline: odd arguments, callbacks, an end on the way."""

import json
import logging

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, DiffusionPipeline, UniPCMultistepScheduler
from diffusers.callbacks import (
    IPAdapterScaleCutoffCallback,
    MultiPipelineCallbacks,
    PipelineCallback,
    SDCFGCutoffCallback,
)
from tiny_pipeline import STEPS, layout, paint, tiny_pipeline

from instdiff import BadInput, InstanceDiffusionPipeline
from instdiff.engine import DRAFT_FOLDER


@pytest.fixture(scope="module")
def pipeline():
    return tiny_pipeline()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("num_inference_steps", 0),
        ("num_inference_steps", -1),
        ("num_inference_steps", 2.5),
        ("num_inference_steps", "many"),
        ("guidance_scale", float("nan")),
        ("guidance_scale", -1.0),
        ("alpha", 1.1),
        ("mis", -0.1),
        ("mis", float("inf")),
        ("num_images_per_layout", 0),
        ("choose_after", 0),
        ("max_batch", 0),
        ("guidance_every", 0),
        ("eta", -1.0),
        ("output_type", "jpeg"),
        ("generator", [torch.Generator()] * 3),
        ("generator", 7),
        ("callback_on_step_end", 7),
        ("scheduler", "euler"),
        ("layouts", "a red cat"),
        ("layouts", [layout(), "a red cat"]),
        ("image", ["cat.png"]),
    ],
)
def test_what_makes_no_sense_is_refused_before_the_first_step(pipeline, field, value):
    options = {"num_inference_steps": 1, "layouts": layout(), field: value}
    watch = {"callback_on_step_end": lambda *_: pytest.fail("it began to paint")}
    with pytest.raises(BadInput) as error:
        pipeline(**(watch | options))
    assert error.value.field == field


def test_numbers_of_numpy_and_torch_are_numbers(pipeline):
    plain = paint(pipeline, layout(), guidance_scale=2.0)
    assert torch.equal(paint(pipeline, layout(), guidance_scale=np.float32(2), num_inference_steps=np.int64(4)), plain)


def test_diffusers_name_of_the_number_of_pictures_is_understood(pipeline):
    assert len(paint(pipeline, [layout()] * 2, num_images_per_prompt=1, num_inference_steps=1)) == 2
    options = {"num_inference_steps": 1, "output_type": "latent", "callback_on_step_end_tensor_inputs": None}
    assert len(pipeline(layout(), num_images_per_prompt=2, **options).images) == 2
    with pytest.raises(BadInput, match="num_images_per_layout"):
        pipeline(layout(), num_images_per_prompt=0, **options)


def test_a_callback_ends_the_picture_after_its_step(pipeline):
    seen = []

    def stop(pipe, step, timestep, tensors):
        seen.append((step, tensors["latents"]))
        pipe._interrupt = step == 1
        return tensors

    found = paint(pipeline, layout(), callback_on_step_end=stop, mis=0.0)
    assert [step for step, _ in seen] == [0, 1] and torch.equal(found, seen[-1][1]) and pipeline.interrupt
    assert torch.isfinite(paint(pipeline, layout())).all() and not pipeline.interrupt


def test_diffusers_own_callback_turns_guidance_off(pipeline):
    calls = []

    class Count(PipelineCallback):
        tensor_inputs = ["latents"]

        def callback_fn(self, pipeline, step_index, timesteps, callback_kwargs):
            calls.append((step_index, pipeline.guidance_scale, pipeline.num_timesteps))
            return callback_kwargs

    cut = SDCFGCutoffCallback(cutoff_step_ratio=None, cutoff_step_index=1)
    both = MultiPipelineCallbacks([cut, Count()])
    options = {"guidance_scale": 3.0, "mis": 0.0, "output_type": "latent", "num_inference_steps": STEPS}

    def painted(**more):
        return pipeline(layout(), generator=torch.Generator().manual_seed(0), **options, **more)

    found = painted(callback_on_step_end=both)
    assert calls == [(0, 3.0, STEPS), (1, 0.0, STEPS), (2, 0.0, STEPS), (3, 0.0, STEPS)]
    evaluations = STEPS + 1  # of PLMS; the first two steps of this solver are three
    assert found.unet_evaluations == 2 * 3 + (evaluations - 3) and painted().unet_evaluations == 2 * evaluations
    assert not torch.equal(found.images, painted().images)


def test_tensors_that_are_not_there_are_a_value_error(pipeline):
    for callback in (IPAdapterScaleCutoffCallback(), lambda *_: None):
        names = {"callback_on_step_end_tensor_inputs": ["image_embeds"]}
        if isinstance(callback, PipelineCallback):
            callback.tensor_inputs, names = ["image_embeds"], {}
        with pytest.raises(ValueError, match="image_embeds.* is not there"):
            pipeline(layout(), callback_on_step_end=callback, **names)


def test_a_callback_reads_the_captions_features(pipeline):
    shapes = []
    names = {"callback_on_step_end_tensor_inputs": ["prompt_embeds"]}
    watch = {
        "callback_on_step_end": lambda pipe, step, timestep, tensors: shapes.append(tensors["prompt_embeds"].shape)
    }
    paint(pipeline, [layout(), layout("a street")], num_inference_steps=1, **names, **watch)
    assert shapes == [(4, 77, 32)]


def test_encoding_and_decoding_keep_no_gradients(pipeline):
    latents = torch.zeros(1, 4, 16, 16, requires_grad=True)
    assert not pipeline.decode(latents, "pt").requires_grad
    assert not any(features.requires_grad for features in pipeline.encode_captions(["a cat"]))


def test_a_scheduler_that_undoes_the_sampler_is_refused_before_the_first_step(pipeline):
    unipc = UniPCMultistepScheduler.from_config(pipeline.scheduler.config)
    with pytest.raises(BadInput, match="UniPCMultistepScheduler .* give DPMSolverMultistepScheduler, or mis 0"):
        paint(pipeline, layout(), scheduler=unipc)
    assert torch.isfinite(paint(pipeline, layout(), scheduler=unipc, mis=0.0)).all()


def test_diffusers_finds_the_pipelines_class_in_a_folder(pipeline, tmp_path):
    pipeline.save_pretrained(tmp_path)
    assert isinstance(DiffusionPipeline.from_pretrained(tmp_path, local_files_only=True), InstanceDiffusionPipeline)


def test_an_older_folders_scheduler_is_told_not_to_clip(pipeline, tmp_path, caplog):
    pipeline.save_pretrained(tmp_path)
    path = tmp_path / "scheduler" / "scheduler_config.json"
    path.write_text(json.dumps({k: v for k, v in json.loads(path.read_text()).items() if k != "clip_sample"}))
    with caplog.at_level(logging.INFO, "instdiff"):
        loaded = InstanceDiffusionPipeline.from_pretrained(tmp_path, local_files_only=True)
    assert DDIMScheduler.from_config(loaded.scheduler.config).config.clip_sample is False
    assert "latents are not clipped" in caplog.text


def test_captions_are_read_and_things_drawn_once_and_nothing_for_guidance_that_is_off():
    pipe = InstanceDiffusionPipeline.from_pretrained(DRAFT_FOLDER, local_files_only=True)
    parts = {"read": pipe.text_encoder, "drawn": pipe.unifusion.place_mapper.drawer, "sketched": pipe.vae.encoder}
    counts = {name: [] for name in parts}
    for name, part in parts.items():
        part.register_forward_pre_hook(
            lambda _, given, options, name=name: counts[name].append(len([*given, *options.values()][0])),
            with_kwargs=True,
        )

    def count(**options):
        for each in counts.values():
            each.clear()
        pipe(layout(negative_caption="dark"), mis=0.5, num_inference_steps=2, output_type="latent", **options)
        return counts

    assert count() == {"read": [3], "drawn": [2], "sketched": [1]}
    assert count(guidance_scale=2.0)["read"] == [4]
    seen = []
    count(
        callback_on_step_end=lambda *given: seen.append(given[3]), callback_on_step_end_tensor_inputs=["prompt_embeds"]
    )
    assert counts["read"] == [4]  # it is shown the negative, and may turn guidance on
    assert not torch.equal(*seen[0]["prompt_embeds"])
