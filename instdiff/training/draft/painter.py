"""`Painter`: the draft UNet, UniFusion and text encoder, as they learn together."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import torch
from diffusers import DDPMScheduler
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from instdiff.errors import BadInput
from instdiff.model.autoencoder import PatchAutoencoder
from instdiff.model.unet import InstanceUNet
from instdiff.model.unifusion import UniFusion
from instdiff.training.draft.painter_samples import CAPTION_TOKENS, SEG_SIZE, SceneBatch

TEXT_DIM = 128
WIDTHS = (64, 128, 192)
DRAWING_WIDTHS = (256, 192, 160, 96)
PARTS: dict[str, type[Any]] = {"unet": InstanceUNet, "unifusion": UniFusion, "text_encoder": CLIPTextModel}


class NoisyScenes(NamedTuple):
    """Scenes, and what is mixed with their latents for the UNet."""

    scenes: SceneBatch
    noise: torch.Tensor  # (B, C, h, w)
    timesteps: torch.Tensor  # (B,) of the noise
    guessed: torch.Tensor  # (B, 1, 1, 1) how much of the latents is those of the first guess, 0..1


class Painted(NamedTuple):
    """Drawings (D, 4, S, S) of captions, and of scenes clean latents (B, C, h, w): the UNet's, the first guess's."""

    drawings: torch.Tensor
    latents: torch.Tensor | None = None
    guess: torch.Tensor | None = None


class Told(NamedTuple):
    """What the UNet reads of scenes."""

    text: torch.Tensor  # (B, 77, D)
    tokens: torch.Tensor  # (B, T, D)
    regions: torch.Tensor  # (B, N, 32, 32) bool
    guess: torch.Tensor  # (B, 4, 4 h, 4 w)


class Painter(nn.Module):
    """The three models that learn together."""

    def __init__(self, vocabulary: int, end: int, start: int, latent_channels: int):
        """Models that have learned nothing.

        Args:
            vocabulary: how many tokens there are.
            end, start: the tokens that end and begin a caption.
        """
        super().__init__()
        self.text_encoder = CLIPTextModel(
            CLIPTextConfig(
                vocab_size=vocabulary, hidden_size=TEXT_DIM, intermediate_size=4 * TEXT_DIM, num_hidden_layers=3,
                num_attention_heads=4, max_position_embeddings=CAPTION_TOKENS, bos_token_id=start, eos_token_id=end,
                pad_token_id=end,
            )
        )  # fmt: skip
        self.unifusion = UniFusion(
            text_dim=TEXT_DIM, out_dim=TEXT_DIM, mid_dim=96, seg_size=SEG_SIZE,
            convnext_dims=(16, 32, 48, 64), convnext_depths=(1, 1, 1, 1),
            place_map=dict(channels=WIDTHS[0], width=256, layers=4, drawing_widths=DRAWING_WIDTHS),
        )  # fmt: skip
        self.unet = InstanceUNet(
            in_channels=latent_channels, out_channels=latent_channels, block_out_channels=WIDTHS,
            attention_levels=(False, True, True), layers_per_block=1, attention_heads=4,
            cross_attention_dim=TEXT_DIM, has_stock_conv_in=False, instance_masked=True,
        )  # fmt: skip
        for name, parameter in self.unet.named_parameters():
            if name.endswith(("alpha_attn", "alpha_dense")):
                nn.init.constant_(parameter, 0.55)  # tanh 0.5: open gates learn to place far sooner than closed ones

    @classmethod
    def of(cls, tokenizer: CLIPTokenizer, latent_channels: int) -> Painter:
        """One for a tokenizer's captions."""
        return cls(len(tokenizer), tokenizer.eos_token_id, tokenizer.bos_token_id, latent_channels)

    @property
    def device(self) -> torch.device:
        return self.unet.conv_out.weight.device

    def forward(
        self, captions: torch.Tensor, noisy: NoisyScenes | None, autoencoder: PatchAutoencoder, scheduler: DDPMScheduler
    ) -> Painted:
        """What is drawn for captions (D, 24), and what is painted of scenes, where there are any."""
        drawings = self.unifusion.place_mapper.drawer(self.text_encoder(captions).pooler_output).float()
        if noisy is None:
            return Painted(drawings)
        latents = noisy.scenes.latents
        told = self.read(noisy.scenes)
        guess = autoencoder.encode_sketch(told.guess[:, :3], latents.shape[-2:]).float()
        mixed = latents.lerp(guess.detach(), noisy.guessed)
        painted = self.denoise(told, scheduler.add_noise(mixed, noisy.noise, noisy.timesteps), noisy.timesteps)
        return Painted(drawings, painted, guess)

    def read(self, scenes: SceneBatch) -> Told:
        """What the UNet is told of scenes; puts the features of the instance captions into their grounding."""
        text = self.text_encoder(scenes.captions)
        grounding = scenes.grounding
        used = grounding.used
        grounding.text = text.pooler_output.new_zeros(*used.shape, TEXT_DIM)
        if used.any():
            features = self.text_encoder(scenes.phrases[used]).pooler_output
            grounding.text = grounding.text.masked_scatter(used[..., None], features.to(grounding.text.dtype))
        guess = self.unifusion.place_mapper.guess(grounding, text.pooler_output, scenes.latents.shape[-2:])
        return Told(text.last_hidden_state, self.unifusion(grounding), grounding.regions, guess)

    def denoise(self, told: Told, noisy: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        """Clean latents (B, C, h, w) float32, predicted from noisy ones."""
        place_map = self.unifusion.place_mapper.vectors(told.guess)
        return self.unet(noisy, timesteps, told.text, told.tokens, told.regions, place_map).float()


def take_over(painter: Painter, folder: Path) -> None:
    """Copy from the parts in a folder those weights that have the shapes of the painter's.

    Raises:
        BadInput: there are no such parts.
    """
    for name, kind in PARTS.items():
        try:
            started = kind.from_pretrained(folder / name).state_dict()
        except OSError as error:
            raise BadInput("start", f"{folder / name} holds no {kind.__name__}: {error}") from error
        part = getattr(painter, name)
        shapes = {key: value.shape for key, value in part.state_dict().items()}
        fits = {key for key, value in started.items() if shapes.get(key) == value.shape and not value.is_meta}
        fitting = {key: started[key].float() for key in fits}
        part.load_state_dict(fitting, strict=False)


def noise_scheduler() -> DDPMScheduler:
    """The cosine schedule of the draft model, which predicts the clean latents.

    A short training leaves errors in what is predicted; as clean latents they look soft, as noise or velocity grainy.
    """
    return DDPMScheduler(beta_schedule="squaredcos_cap_v2", prediction_type="sample", clip_sample=False)
