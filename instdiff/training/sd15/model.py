"""What learns: UniFusion, the gated self-attention and ScaleU, in a backbone that stays as it is."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from diffusers import DDPMScheduler
from torch import nn
from torch.utils.checkpoint import checkpoint
from transformers import ConvNextModel

from instdiff.errors import BadInput
from instdiff.model.grounding import Grounding
from instdiff.model.pipeline import InstanceDiffusionPipeline
from instdiff.model.unet import InstanceUNet, ScaleU
from instdiff.model.unifusion import UniFusion
from instdiff.training.sd15.examples import Batch


def is_trained(name: str) -> bool:
    """Whether the parameter of a `Learner` learns; the rest is the backbone's."""
    return name.startswith("unifusion.") or ".fuser." in name or ".scaleu." in name


class Learner(nn.Module):
    """The two models that predict together; on many processes, all that they share goes through `forward`."""

    def __init__(self, unet: InstanceUNet, unifusion: UniFusion, gradient_checkpointing: bool = False):
        super().__init__()
        self.unet = unet
        self.unifusion = unifusion
        for name, parameter in self.named_parameters():
            parameter.requires_grad_(is_trained(name))
        for module in unet.modules():
            if gradient_checkpointing and type(module).__name__ in unet._repeated_blocks:
                module.forward = partial(checkpoint, module.forward, use_reentrant=False)
            if isinstance(module, ScaleU):
                # torch calls the forward that an instance holds
                module.forward = partial(_in_full_precision, module.forward)  # type: ignore[method-assign]

    def trained(self) -> dict[str, nn.Parameter]:
        """The parameters that learn, by name."""
        return {name: parameter for name, parameter in self.named_parameters() if parameter.requires_grad}

    def forward(
        self,
        noisy: torch.Tensor,
        timesteps: torch.Tensor,
        text: torch.Tensor,
        scene: torch.Tensor,
        grounding: Grounding,
    ) -> torch.Tensor:
        """The prediction (B, C, h, w) for noisy latents, given features (B, 77, D) and (B, D) of captions."""
        place_map = self.unifusion.place_mapper and self.unifusion.place_mapper(grounding, scene, noisy.shape[-2:])
        return self.unet(noisy, timesteps, text, self.unifusion(grounding), grounding.regions, place_map)


def load_convnext(unifusion: UniFusion, folder: Path) -> None:
    """Let the part that reads masks begin with the weights of a ConvNeXt that was trained on pictures.

    Raises:
        BadInput: the folder holds none, or one of other sizes.
    """
    try:
        weights = ConvNextModel.from_pretrained(folder, local_files_only=True, use_safetensors=True).state_dict()
        missing, _ = unifusion.convnext.load_state_dict(weights, strict=False)  # the last norm is left over
    except (OSError, ValueError, RuntimeError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[-1].strip()
        raise BadInput("convnext", f"{folder}: {reason}") from error
    if missing:
        raise BadInput("convnext", f"{folder} lacks {missing[0]}")


def _in_full_precision(forward, h: torch.Tensor, skip: torch.Tensor, opened: Sequence[torch.Tensor]):
    """ScaleU sums over a whole feature map, which can leave the range of float16."""
    with torch.autocast(h.device.type, enabled=False):
        return forward(h, skip, opened)


class Lesson(NamedTuple):
    """What the learner is shown of a batch, as in `Learner.forward`, and what it should predict."""

    noisy: torch.Tensor  # (B, C, h, w)
    timesteps: torch.Tensor  # (B,)
    text: torch.Tensor  # (B, 77, D)
    scene: torch.Tensor  # (B, D)
    grounding: Grounding
    target: torch.Tensor  # (B, C, h, w)


class Teacher:
    """The frozen text encoder and autoencoder, which make lessons of batches.

    Args:
        pipeline: its text encoder and autoencoder stay in float32.
    """

    def __init__(self, pipeline: InstanceDiffusionPipeline):
        self.pipeline = pipeline
        self.scheduler = DDPMScheduler.from_config(pipeline.scheduler.config)
        for model in (pipeline.vae, pipeline.text_encoder):
            model.requires_grad_(False).eval()

    @torch.no_grad()
    def lesson(self, batch: Batch) -> Lesson:
        """The lesson of a batch on the device of the models."""
        latents = self._latents(batch.pixels, batch.spread)
        noisy = self.scheduler.add_noise(latents, batch.noise, batch.timesteps)
        text, scene, batch.grounding.text = self._caption_features(batch)
        target = self._target(latents, batch)
        return Lesson(noisy, batch.timesteps, text, scene, batch.grounding, target)

    def _target(self, latents: torch.Tensor, batch: Batch) -> torch.Tensor:
        match self.scheduler.config.prediction_type:
            case "epsilon":
                return batch.noise
            case "sample":
                return latents
            case "v_prediction":
                return self.scheduler.get_velocity(latents, batch.noise, batch.timesteps)
        raise ValueError(f"no target is known for {self.scheduler.config.prediction_type}")

    def _latents(self, pixels: torch.Tensor, spread: torch.Tensor) -> torch.Tensor:
        """Pictures (B, 3, S, S) -> latents as they are denoised."""
        encoded = self.pipeline.vae.encode(pixels)
        if hasattr(encoded, "latent_dist"):
            latents = encoded.latent_dist.mean + encoded.latent_dist.std * spread
        else:
            latents = encoded.latent
        return latents * self.pipeline.vae.config.scaling_factor

    def _caption_features(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Features (B, 77, D) and pooled ones (B, D) of captions, and pooled ones (B, N, D) of instances in slots."""
        texts = list(dict.fromkeys([*batch.captions, *(phrase for phrases in batch.phrases for phrase in phrases)]))
        features, pooled = self.pipeline.encode_captions(texts)
        slots = pooled.new_zeros(*batch.grounding.used.shape, pooled.shape[-1])  # (B, N, D)
        for row, phrases in zip(slots, batch.phrases, strict=True):
            if phrases:
                row[: len(phrases)] = pooled[[texts.index(phrase) for phrase in phrases]]
        captions = [texts.index(caption) for caption in batch.captions]
        return features[captions], pooled[captions], slots


def squared_error(predicted: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """The mean squared error, in float32."""
    return F.mse_loss(predicted.float(), target.float())
