import diffusers
import pytest
import torch
from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    DPMSolverSinglestepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    LCMScheduler,
    PNDMScheduler,
    SASolverScheduler,
    UniPCMultistepScheduler,
)

from instdiff import BadInput
from instdiff.checkpoint.convert import scheduler as published
from instdiff.model.schedulers import PAINTING, check_scheduler

OWN = published()


def of(kind, **more):
    """Made as a user makes it, from the model's own."""
    return kind.from_config(OWN.config, **more)


@pytest.mark.parametrize("apart", [True, False])
@pytest.mark.parametrize("kind", [DDIMScheduler, EulerAncestralDiscreteScheduler, LCMScheduler, PNDMScheduler])
def test_schedulers_of_noise_paint(kind, apart):
    check_scheduler(of(kind), OWN, apart)


def test_every_scheduler_of_diffusers_paints_or_is_refused_by_name():
    names = [name for name in dir(diffusers) if name.endswith("Scheduler") and not name.startswith("Flax")]
    assert set(PAINTING) <= set(names)
    for name in set(names) - set(PAINTING):
        kind = getattr(diffusers, name)
        with pytest.raises(BadInput, match=f"^scheduler: {name} "):
            check_scheduler(kind.__new__(kind), OWN, apart=False)


UNDONE = [
    of(UniPCMultistepScheduler),
    of(SASolverScheduler),
    of(DPMSolverSinglestepScheduler),
    of(PNDMScheduler, skip_prk_steps=False),
]


@pytest.mark.parametrize("scheduler", UNDONE, ids=lambda scheduler: type(scheduler).__name__)
def test_what_would_undo_the_multi_instance_sampler_is_refused_with_it_alone(scheduler):
    check_scheduler(scheduler, OWN, apart=False)
    with pytest.raises(BadInput, match="would undo the Multi-Instance Sampler; give .* or mis 0"):
        check_scheduler(scheduler, OWN, apart=True)


FLOW = of(DPMSolverMultistepScheduler, use_flow_sigmas=True, prediction_type="flow_prediction")
CLEAN = DDIMScheduler(prediction_type="sample", clip_sample=False)


@pytest.mark.parametrize(
    ("scheduler", "own", "reason"),
    [
        (
            of(DPMSolverMultistepScheduler, use_flow_sigmas=True, prediction_type="flow_prediction"),
            OWN,
            "flow matching",
        ),
        (EulerDiscreteScheduler(), OWN, "another noise schedule"),
        (of(EulerDiscreteScheduler, prediction_type="v_prediction"), OWN, 'predicts "v_prediction", and this one'),
        (of(EulerDiscreteScheduler), CLEAN, 'predicts "epsilon", and this one predicts "sample"'),
        (EulerAncestralDiscreteScheduler.from_config(CLEAN.config), CLEAN, "predicts clean latents"),
        (torch.nn.Linear(1, 1), OWN, "no diffusers scheduler"),
    ],
)
def test_a_scheduler_of_another_training_is_refused(scheduler, own, reason):
    with pytest.raises(BadInput, match=reason):
        check_scheduler(scheduler, own, apart=False)


def test_a_scheduler_of_ones_own_is_taken():
    class Calm(EulerDiscreteScheduler):
        """Steps as Euler does."""

    check_scheduler(of(Calm), OWN, apart=True)
    with pytest.raises(BadInput, match="FlowMatchEulerDiscreteScheduler is of flow matching"):
        check_scheduler(FlowMatchEulerDiscreteScheduler(), OWN, apart=True)
