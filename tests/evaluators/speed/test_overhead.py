import torch
from golden_figures import plms
from sure_unet import tiny_unet

from evaluators.speed.measure import Models, Workload
from evaluators.speed.overhead import Operations, loop_milliseconds, operations, unet_operations
from instdiff.model.defaults import ModelDefaults
from instdiff.model.unifusion import UniFusion


def test_a_unet_call_sends_few_operations():
    """Counts, not times: what a GPU is sent, at most what was reached."""
    counted = unet_operations()
    without, with_tokens, in_the_loop, theirs = (counted[name].working for name in counted)
    assert without <= 690 < theirs
    assert with_tokens <= 1000 and in_the_loop <= 950
    # A number that is read back makes the processor wait for the device.
    assert not any("_local_scalar_dense" in each.counts for each in counted.values())


def test_views_are_no_work():
    counted = operations(lambda: torch.zeros(4, 4).t()[0].add(1))
    assert counted.counts.total() - counted.working == 2 and counted.working == 2
    assert isinstance(counted, Operations)


def test_the_loop_is_timed_without_the_unet():
    dims = {"seg_size": 64, "convnext_dims": (8, 8, 8, 8), "convnext_depths": (1, 1, 1, 1)}
    unifusion = UniFusion(text_dim=16, out_dim=16, mid_dim=16, **dims).eval()
    models = Models(tiny_unet(), unifusion, plms(), 8, ModelDefaults())
    before = Workload(models, 0, 0.0, 1, frozenset()).paint()
    assert isinstance(loop_milliseconds(models, instances=1, mis=0.36, repeat=1), float)
    assert torch.equal(Workload(models, 0, 0.0, 1, frozenset()).paint(), before)  # its UNet is as it was
