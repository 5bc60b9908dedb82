"""Recorded calls of the UNet give what calls give, whatever changes between them."""

import logging

import pytest
import torch
from diffusers import DDIMScheduler, DPMSolverMultistepScheduler, EulerAncestralDiscreteScheduler
from tape import Recorder
from tiny_pipeline import layout, paint, tiny_pipeline

from instdiff import Box, Instance
from instdiff.model import graphs
from instdiff.model.graphs import TRIES, UNetGraphs

TOLERANCE = 1e-5
SHORT = {"num_inference_steps": 2, "mis": 0.0, "alpha": 0.5}  # a step with grounding, and one without
QUERY = "mid_block.attentions.0.transformer_blocks.0.attn1.to_q"


@pytest.fixture(scope="module")
def tiny():
    return tiny_pipeline()


@pytest.fixture
def pipe(tiny):
    yield tiny
    graphs._GRAPHS.pop(tiny.unet, None)
    tiny.unload_lora_weights()


def record(pipe, recorder=None, room=1 << 40, **options) -> UNetGraphs:
    """Let a pipeline's UNet be recorded on the processor."""
    graphs._GRAPHS[pipe.unet] = UNetGraphs(recorder or Recorder(), lambda: room, **options)
    return graphs._GRAPHS[pipe.unet]


def plain(pipe, *args, **options) -> torch.Tensor:
    """Painted with every operation sent."""
    own = graphs._GRAPHS.pop(pipe.unet, None)
    latents = paint(pipe, *args, **options)
    if own:
        graphs._GRAPHS[pipe.unet] = own
    return latents


def gap(one: torch.Tensor, other: torch.Tensor) -> float:
    return (one - other).abs().max().item()


def one_more(left=0.1):
    """A layout with three things."""
    cup = Instance(caption="a cup", box=Box(x0=0.6, y0=0.1, x1=0.8, y1=0.3))
    whole = layout(left=left)
    return whole.model_copy(update={"instances": (*whole.instances, cup)})


WAYS = {
    "plms": ([layout(), one_more()], {"num_inference_steps": 3}),
    "kept guidance, small batches": (layout(), {"guidance_every": 2, "max_batch": 2, "num_inference_steps": 2}),
    "kept features": (layout(), {"inner_every": 2, "scheduler": DDIMScheduler}),
    "no guidance, dpm++": (layout(), {"guidance_scale": 1.0, "scheduler": DPMSolverMultistepScheduler}),
    "ancestral": (layout(), {"mis": 0.0, "scheduler": EulerAncestralDiscreteScheduler}),
}


@pytest.mark.parametrize("way", WAYS)
def test_recorded_calls_paint_what_calls_paint(pipe, way):
    layouts, options = WAYS[way]
    if kind := options.get("scheduler"):
        options = options | {"scheduler": kind.from_config(pipe.scheduler.config)}
    recorder = Recorder()
    record(pipe, recorder)
    expected = plain(pipe, layouts, **options)
    assert expected.std() > 0.1
    for _ in range(2):  # the second time each shape is known
        assert gap(paint(pipe, layouts, **options), expected) <= TOLERANCE
    recorded = len(recorder.tapes)
    assert recorded > 0
    moved = [layout("a car", 0.3), *layouts[1:]] if isinstance(layouts, list) else layout("a car", 0.3)
    other = paint(pipe, moved, **options)
    assert len(recorder.tapes) == recorded  # other places and captions need no other graph
    assert gap(other, plain(pipe, moved, **options)) <= TOLERANCE and gap(other, expected) > 1e-3


def test_where_attention_is_masked_too():
    pipe = tiny_pipeline()
    pipe.unet.register_to_config(instance_masked=True)
    expected = plain(pipe, layout(), **SHORT)
    recorder = Recorder()
    record(pipe, recorder)
    assert all(gap(paint(pipe, layout(), **SHORT), expected) <= TOLERANCE for _ in range(2)) and recorder.tapes


def test_a_recording_reads_weights_buffers_and_what_is_kept_for_it(pipe):
    """Memory that nothing keeps would hold something else when a graph reads it."""
    recorder = Recorder()
    own = record(pipe, recorder)
    for _ in range(2):
        paint(pipe, layout(), num_inference_steps=6, inner_every=2)
    weights = {tensor.data_ptr() for tensor in (*pipe.unet.parameters(), *pipe.unet.buffers())}
    kept = set(weights)
    for graph in own.graphs.values():
        kept |= {tensor.data_ptr() for tensor in (*graph.buffers, *graph.constants)}
    assert len(recorder.tapes) == len(own.graphs) > 3
    for tape in recorder.tapes:
        read = {tensor.data_ptr() for tensor in tape.read_from_outside()}
        assert read <= kept and read & weights


def test_few_graphs_are_kept_and_none_is_recorded_for_ever(pipe):
    recorder = Recorder()
    own = record(pipe, recorder, limit=1)
    expected = plain(pipe, layout(), **SHORT)
    for _ in range(TRIES + 3):
        assert gap(paint(pipe, layout(), **SHORT), expected) <= TOLERANCE and len(own.graphs) <= 1
    shapes = len(own.recorded)
    assert shapes > 1 and max(own.recorded.values()) == TRIES and len(recorder.tapes) <= TRIES * shapes


def test_they_stay_in_their_room(pipe):
    recorder = Recorder(nbytes=1 << 20)
    own = record(pipe, recorder, room=(1 << 20) + (1 << 19))
    expected = plain(pipe, layout(), **SHORT)
    for _ in range(2):
        assert gap(paint(pipe, layout(), **SHORT), expected) <= TOLERANCE
        assert sum(graph.nbytes for graph in own.graphs.values()) <= own.room
    assert len(own.graphs) == 1 < len(recorder.tapes)
    own = record(pipe, recorder, room=1 << 10)
    assert all(gap(paint(pipe, layout(), **SHORT), expected) <= TOLERANCE and not own.graphs for _ in range(2))


def test_what_cannot_be_recorded_is_told_once_and_called(pipe, caplog, monkeypatch):
    """A number that is read back, as a call that is recorded cannot."""
    expected = plain(pipe, layout(), **SHORT)
    own = record(pipe)
    forward = type(pipe.unet.mid_block).layer

    def asks(self, i, x, inputs):
        return forward(self, i, x, inputs) * float(x.isfinite().all())

    monkeypatch.setattr(type(pipe.unet.mid_block), "layer", asks)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert gap(paint(pipe, layout(), **SHORT), expected) <= TOLERANCE
    assert not own.graphs and len(caplog.messages) == 1
    assert "_local_scalar_dense is not permitted" in caplog.text and "\n" not in caplog.messages[0]


def lora(pipe) -> dict[str, torch.Tensor]:
    size = pipe.unet.get_submodule(QUERY).weight.shape[0]
    generator = torch.Generator().manual_seed(3)
    return {
        f"unet.{QUERY}.lora_A.weight": torch.randn(2, size, generator=generator) * 0.3,
        f"unet.{QUERY}.lora_B.weight": torch.randn(size, 2, generator=generator),
    }


def test_adapters_that_change_on_the_way_change_the_picture(pipe):
    """The strength of an adapter is a number, which a graph would not read again."""

    def painted(recorded: bool) -> torch.Tensor:
        pipe.set_adapters("own", 1.0)
        changes = {2: lambda: pipe.set_adapters("own", 3.0), 4: pipe.disable_lora, 6: pipe.enable_lora}

        def change(pipe, step, timestep, tensors):
            changes.get(step, int)()
            return tensors

        paints = paint if recorded else plain
        return paints(pipe, layout(), num_inference_steps=8, alpha=1.0, mis=0.0, callback_on_step_end=change)

    pipe.load_lora_weights(lora(pipe), "own")
    recorder = Recorder()
    record(pipe, recorder)
    expected = painted(False)
    assert gap(painted(True), expected) <= TOLERANCE and len(recorder.tapes) == 3
    assert gap(plain(pipe, layout(), num_inference_steps=8, alpha=1.0, mis=0.0), expected) > 1e-3


CHANGES = {
    "loaded": lambda pipe: pipe.load_lora_weights(lora(pipe), "own"),
    "fused": lambda pipe: (pipe.set_adapters("own", 2.0), pipe.fuse_lora()),
    "weights": lambda pipe: (
        pipe.unload_lora_weights(),
        [weight.data.mul_(0.9) for weight in pipe.unet.mid_block.parameters()],
    ),
    "precision": lambda pipe: pipe.to(torch.bfloat16),
}


def test_a_unet_that_changes_is_recorded_anew():
    pipe = tiny_pipeline()
    own = record(pipe)
    before = plain(pipe, layout(), **SHORT)
    for _ in range(2):
        paint(pipe, layout(), **SHORT)
    for name, change in CHANGES.items():
        assert own.graphs, name
        change(pipe)
        expected = plain(pipe, layout(), **SHORT)
        assert gap(expected, before) > 1e-4, name
        assert all(gap(paint(pipe, layout(), **SHORT), expected) <= TOLERANCE for _ in range(2)), name
        before = expected
    assert own.graphs
    pipe.to(torch.float32)
    assert not own.graphs  # their memory is free before anything is painted again


def test_hooks_are_called_at_every_step(pipe):
    own = record(pipe)
    for _ in range(2):
        paint(pipe, layout())
    called = []
    with pipe.unet.conv_out.register_forward_hook(lambda *_: called.append(1)):
        paint(pipe, layout(), num_inference_steps=7, mis=0.0)
    assert len(called) == 8 and not own.graphs  # PLMS asks once more


def test_switched_off(pipe, monkeypatch):
    recorder = Recorder()
    for _ in range(2):
        record(pipe, recorder)
        monkeypatch.setattr(pipe.unet, "cuda_graphs", False)
        paint(pipe, layout())
        monkeypatch.undo()
        monkeypatch.setenv("INSTDIFF_CUDA_GRAPHS", "off")
        record(pipe, recorder)
        paint(pipe, layout())
        monkeypatch.undo()
    assert not recorder.tapes and pipe.unet not in graphs._GRAPHS
