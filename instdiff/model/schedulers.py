"""Which of diffusers' schedulers paint with our models, and why the others do not."""

from __future__ import annotations

import torch
from diffusers import SchedulerMixin

from instdiff.errors import BadInput

# Tried, each with the same seed twice, with clean latents that are known, and with instances that are merged;
# ``python -m evaluators schedulers`` tries them again.
PAINTING = (
    "DDIMScheduler", "DDIMParallelScheduler", "DDPMScheduler", "DDPMParallelScheduler", "DEISMultistepScheduler",
    "DPMSolverMultistepScheduler", "DPMSolverSDEScheduler", "DPMSolverSinglestepScheduler",
    "EulerAncestralDiscreteScheduler", "EulerDiscreteScheduler", "HeunDiscreteScheduler",
    "KDPM2AncestralDiscreteScheduler", "KDPM2DiscreteScheduler", "LCMScheduler", "LMSDiscreteScheduler",
    "PNDMScheduler", "SASolverScheduler", "TCDScheduler", "UniPCMultistepScheduler",
)  # fmt: skip
# What diffusers has besides, by a part of the name, the first that fits.
OTHERS = (
    ("Inverse", "goes from a picture to noise"),
    ("Flow", "is of flow matching: models of straight paths"),
    ("LTX", "is of flow matching: models of straight paths"),
    ("Helios", "is of flow matching: models of straight paths"),
    ("Piflow", "is of flow matching: models of straight paths"),
    ("MiniMax", "is of flow matching: models of straight paths"),
    ("Proteina", "is of flow matching: models of straight paths"),
    ("SCM", "is of continuous-time consistency models (SANA Sprint)"),
    ("CMStochastic", "is of consistency models, which predict in another scale of the noise"),
    ("EDM", "is of models that are trained in the scale of the noise of EDM"),
    ("Cosine", "is of models that are trained in the scale of the noise of EDM"),
    ("IPNDM", "has a noise schedule of its own, which no betas change"),
    ("CogVideoX", "shifts the noise schedule to that of video models"),
    ("Wuerstchen", "has the noise schedule of Wuerstchen"),
    ("UnCLIP", "has the noise schedule of unCLIP"),
    ("RePaint", "needs a picture and a mask in each of its steps; give image and mask_image to the call instead"),
    ("KarrasVe", "asks the model twice in a way of its own in each step"),
    ("ScoreSde", "is of score-based models"),
)
# Of models that predict clean latents they make no step.
NO_CLEAN = (
    "EulerAncestralDiscreteScheduler", "KDPM2DiscreteScheduler", "KDPM2AncestralDiscreteScheduler",
    "DPMSolverSDEScheduler",
)  # fmt: skip
CURE = "give DPMSolverMultistepScheduler, or mis 0"


def check_scheduler(scheduler: SchedulerMixin, own: SchedulerMixin, apart: bool) -> None:
    """Refuse a scheduler that does not paint what the model predicts.

    A class that diffusers does not have is taken if it has what a call needs; whoever wrote it knows what it does.

    Args:
        own: the model's own, which has the noise schedule and the kind of prediction of its training.
        apart: instances are denoised on their own for some steps (the Multi-Instance Sampler).

    Raises:
        BadInput: naming the scheduler and why.
    """
    kinds = [kind.__name__ for kind in type(scheduler).__mro__]
    name = next((kind for kind in kinds if kind in PAINTING), None)
    if not name and type(scheduler).__module__.split(".")[0] == "diffusers":
        raise BadInput("scheduler", f"{kinds[0]} {other_reason(kinds[0])}; give one of {', '.join(PAINTING)}")
    if not all(hasattr(scheduler, part) for part in ("alphas_cumprod", "init_noise_sigma", "add_noise", "step")):
        needed = "alphas_cumprod, init_noise_sigma, add_noise and step"
        raise BadInput("scheduler", f"{kinds[0]} is no diffusers scheduler of noise: it needs {needed}")
    if scheduler.config.get("use_flow_sigmas"):
        raise BadInput("scheduler", f"{kinds[0]} with use_flow_sigmas {OTHERS[1][1]}; leave it out")
    _check_training(scheduler, own, kinds[0], name)
    if apart and (undone := undoes_merging(scheduler)):
        raise BadInput("scheduler", f"{kinds[0]} {undone}, and would undo the Multi-Instance Sampler; {CURE}")


def _check_training(scheduler: SchedulerMixin, own: SchedulerMixin, kind: str, name: str | None) -> None:
    """Refuse a scheduler of another training than that of the model's own."""
    predicts = scheduler.config.get("prediction_type", "epsilon")
    trained = own.config.get("prediction_type", "epsilon")
    if predicts == "sample" and name in NO_CLEAN:
        raise BadInput("scheduler", f"{kind} knows no model that predicts clean latents, as this one does")
    cure = f"make it with {kind}.from_config(pipe.scheduler.config)"
    if predicts != trained:
        reason = f'{kind} is made for a model that predicts "{predicts}", and this one predicts "{trained}"; {cure}'
        raise BadInput("scheduler", reason)
    if scheduler.config.get("rescale_betas_zero_snr") or own.config.get("rescale_betas_zero_snr"):
        return
    ours, theirs = own.alphas_cumprod.cpu(), scheduler.alphas_cumprod.cpu()
    if len(ours) != len(theirs) or not torch.allclose(ours, theirs, atol=1e-4):
        raise BadInput("scheduler", f"{kind} has another noise schedule than the one that the model knows; {cure}")


def undoes_merging(scheduler: SchedulerMixin) -> str:
    """Why latents that are changed between two steps do not stay so with this scheduler; empty if they do."""
    kinds = {kind.__name__ for kind in type(scheduler).__mro__}
    if "UniPCMultistepScheduler" in kinds or "SASolverScheduler" in kinds:
        return "computes the step before once more in each step"
    if "DPMSolverSinglestepScheduler" in kinds and scheduler.config.solver_order > 1:
        return "computes several steps from one of them"
    if "PNDMScheduler" in kinds and not scheduler.config.skip_prk_steps:
        return "without skip_prk_steps computes the first steps from several of them"
    return ""


def other_reason(kind: str) -> str:
    """Why a scheduler of diffusers that is not `PAINTING` does not paint."""
    return next((reason for part, reason in OTHERS if part in kind), "is not of models that denoise latents")
