"""Trains the draft UNet, UniFusion and text encoder together on latents of composed scenes."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F
from diffusers import DDPMScheduler
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from instdiff.model.grounding import Grounding
from instdiff.model.unet import InstanceUNet
from instdiff.model.unifusion import UniFusion
from instdiff.training.draft.perceptual_loss import Likeness
from instdiff.training.draft.scenes import SEG_SIZE, Scenes
from instdiff.training.state import load_state, save_model, save_state

TEXT_DIM = 128
WIDTHS = (128, 192)
PARTS = ("unet", "unifusion", "text_encoder")
LIKENESS = 0.5
LOOKED_AT = 0.5  # weight of the likeness, and share of a batch whose likeness is looked at: it is costly


class Painter(nn.Module):
    """The three models that learn together."""

    def __init__(self, tokenizer: CLIPTokenizer, latent_channels: int):
        super().__init__()
        self.tokenizer = tokenizer
        self.text_encoder = CLIPTextModel(
            CLIPTextConfig(
                vocab_size=len(tokenizer), hidden_size=TEXT_DIM, intermediate_size=4 * TEXT_DIM, num_hidden_layers=3,
                num_attention_heads=4, max_position_embeddings=77, bos_token_id=tokenizer.bos_token_id,
                eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
            )
        )  # fmt: skip
        self.unifusion = UniFusion(
            text_dim=TEXT_DIM, out_dim=TEXT_DIM, mid_dim=96, seg_size=SEG_SIZE,
            convnext_dims=(16, 32, 48, 64), convnext_depths=(1, 1, 1, 1),
            place_map=dict(channels=WIDTHS[0], width=256, layers=4),
        )  # fmt: skip
        self.unet = InstanceUNet(
            in_channels=latent_channels, out_channels=latent_channels, block_out_channels=WIDTHS,
            attention_levels=(False, True), layers_per_block=1, attention_heads=4,
            cross_attention_dim=TEXT_DIM, has_stock_conv_in=False, instance_masked=True,
        )  # fmt: skip
        for name, parameter in self.unet.named_parameters():
            if name.endswith(("alpha_attn", "alpha_dense")):
                nn.init.constant_(parameter, 0.55)  # tanh 0.5: open gates learn to place far sooner than closed ones
        self.preview = nn.Conv2d(WIDTHS[0], latent_channels, 1)  # reads the place map alone; of use in training only

    def features(self, captions: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
        """Token features (n, 77, D) and pooled features (n, D) of captions."""
        tokens = self.tokenizer(captions, padding="max_length", truncation=True, max_length=77, return_tensors="pt")
        encoded = self.text_encoder(tokens.input_ids)
        return encoded.last_hidden_state, encoded.pooler_output

    def pooled(self, captions: list[str]) -> torch.Tensor:
        """Pooled features (n, D); the text model is causal, so short captions need no full padding."""
        tokens = self.tokenizer(captions, padding=True, truncation=True, max_length=77, return_tensors="pt")
        return self.text_encoder(tokens.input_ids).pooler_output

    def forward(
        self,
        noisy: torch.Tensor,
        timesteps: torch.Tensor,
        captions: list[str],
        grounding: Grounding,
        phrases: list[list[str]],
    ):
        """Predicted clean latents (B, C, h, w), and what the place map alone makes of them."""
        caption_features, scene = self.features(captions)
        place_map = self.place_map(grounding, phrases, scene, noisy.shape[-2:])
        output = self.unet(noisy, timesteps, caption_features, self.unifusion(grounding), grounding.regions, place_map)
        return output, self.preview(place_map)

    def place_map(
        self, grounding: Grounding, phrases: list[list[str]], scene: torch.Tensor, size: tuple[int, int]
    ) -> torch.Tensor:
        """The place map (B, W, h, w); puts the features of the instance captions into the grounding. ``scene``: (B, D)
        of captions.
        """
        pooled = iter(self.pooled([p for some in phrases for p in some] or [""]))
        text = torch.zeros(*grounding.used.shape, TEXT_DIM)
        rows = [(b, i) for b, some in enumerate(phrases) for i in range(len(some))]
        if rows:
            b, i = torch.tensor(rows).T
            text = text.index_put((b, i), torch.stack([next(pooled) for _ in rows]))
        grounding.text = text
        return self.unifusion.place_mapper(grounding, scene, size)


def noise_scheduler() -> DDPMScheduler:
    """The cosine schedule of the draft model, which predicts the clean latents.

    A short training leaves errors in what is predicted; as clean latents they look soft, as noise or velocity grainy.
    """
    return DDPMScheduler(beta_schedule="squaredcos_cap_v2", prediction_type="sample", clip_sample=False)


def losses(
    painter: Painter, scheduler: DDPMScheduler, batch, timesteps: torch.Tensor, noise: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Squared errors (B, h, w) of the clean latents and of their preview, averaged over channels."""
    latents, captions, grounding, phrases = batch
    noisy = scheduler.add_noise(latents, noise, timesteps)
    return tuple(_squares(output, latents) for output in painter(noisy, timesteps, captions, grounding, phrases))


def painting_losses(
    painter: Painter, scheduler: DDPMScheduler, batch, likeness: Likeness | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """The weighted mean errors of what is painted from noise, and of its preview; with ``likeness``, what it sees is in
    the former.
    """
    latents, captions, grounding, phrases = batch
    # A third of the pictures gets heavy noise, where layout is decided.
    low = torch.where(torch.rand(len(latents)) < 0.33, 600.0, 0.0)
    timesteps = (low + torch.rand(len(latents)) * (1000 - low)).long()
    noisy = scheduler.add_noise(latents, torch.randn(latents.shape), timesteps)
    painted, preview = painter(noisy, timesteps, captions, grounding, phrases)
    weights = place_weights(grounding, latents.shape[-2:])
    loss = (_squares(painted, latents) * noise_weights(scheduler, timesteps) * weights).mean()
    if likeness:
        some = slice(0, round(LOOKED_AT * len(latents)))
        loss = loss + LIKENESS * likeness.of_latents(painted[some], latents[some], weights[some])
    return loss, (_squares(preview, latents) * weights).mean()


def _squares(output: torch.Tensor, latents: torch.Tensor) -> torch.Tensor:
    """Squared errors (B, h, w), averaged over channels."""
    return (output.float() - latents).square().mean(dim=1)


def preview_loss(painter: Painter, batch) -> torch.Tensor:
    """Weighted mean error of the preview."""
    latents, captions, grounding, phrases = batch
    preview = painter.preview(
        painter.place_map(grounding, phrases, painter.pooled(captions), latents.shape[-2:])
    ).float()
    return ((preview - latents).square().mean(dim=1) * place_weights(grounding, latents.shape[-2:])).mean()


@torch.no_grad()
def fit_preview(
    painter: Painter, scenes: Scenes, rng: np.random.Generator, batches: int = 16, ridge: float = 1e-3
) -> None:
    """Solve the preview by weighted least squares, on batches of 64 scenes, with everything else as it is.

    Models without a training state have none, and what an unfitted one asks for would spoil a place map that is
    trained.
    """
    squares = products = 0
    for _ in range(batches):
        latents, captions, grounding, phrases = scenes.batch(64, rng)
        place_map = painter.place_map(grounding, phrases, painter.pooled(captions), latents.shape[-2:])
        weights = place_weights(grounding, latents.shape[-2:]).flatten()[:, None]
        known = F.pad(place_map.permute(0, 2, 3, 1).flatten(0, 2).double(), (0, 1), value=1.0)  # (cells, W + 1)
        wanted = latents.permute(0, 2, 3, 1).flatten(0, 2).double()  # (cells, C)
        squares = squares + known.T @ (weights * known)
        products = products + known.T @ (weights * wanted)
    squares.diagonal().add_(ridge * squares.diagonal().mean())
    solved = torch.linalg.solve(squares, products).T.float()  # (C, W + 1)
    painter.preview.weight.copy_(solved[:, :-1, None, None])
    painter.preview.bias.copy_(solved[:, -1])


def inside_mean(error: torch.Tensor, grounding: Grounding) -> torch.Tensor:
    """Mean of (B, h, w) over the cells that touch a place."""
    inside = covered(grounding, error.shape[-2:])
    return (error * inside).sum() / inside.sum().clamp(min=1)


def noise_weights(scheduler: DDPMScheduler, timesteps: torch.Tensor, most: float = 5.0) -> torch.Tensor:
    """(B, 1, 1) weights 1 + min(SNR, most): those of a velocity loss, but bounded where there is hardly any noise."""
    signal = scheduler.alphas_cumprod[timesteps]
    return (1 + (signal / (1 - signal)).clamp(max=most))[:, None, None]


def covered(grounding: Grounding, size: tuple[int, int]) -> torch.Tensor:
    """(B, h, w) 1 where a cell touches a place, else 0."""
    return F.adaptive_max_pool2d(grounding.regions.any(dim=1, keepdim=True).float(), size)[:, 0]


def place_weights(grounding: Grounding, size: tuple[int, int]) -> torch.Tensor:
    """(B, h, w) weights that count cells inside places three times: backgrounds are easy, and most of the picture."""
    weights = 1 + 2 * covered(grounding, size)
    return weights / weights.mean()


@torch.no_grad()
def check(painter: Painter, scheduler: DDPMScheduler, held_out: Scenes) -> dict[str, float]:
    """Error inside the places at 95% noise: grounded, without grounding, and with the captions shuffled among places."""
    results = {}
    for name in ("grounded", "ungrounded", "shuffled"):
        rng = np.random.default_rng(0)
        generator = torch.Generator().manual_seed(0)
        errors = []
        for _ in range(2):
            latents, captions, grounding, phrases = held_out.batch(32, rng)
            told = grounding
            if name == "ungrounded":
                grounding = grounding.null()
                phrases = [[] for _ in phrases]
            if name == "shuffled":
                words = [p for some in phrases for p in some]
                words = iter(words[len(words) // 2 :] + words[: len(words) // 2])
                phrases = [[next(words) for _ in some] for some in phrases]
            noise = torch.randn(latents.shape, generator=generator)
            error, _ = losses(
                painter, scheduler, (latents, [""] * 32, grounding, phrases), torch.full((32,), 950), noise
            )
            errors.append(inside_mean(error, told))
        results[name] = round(float(torch.stack(errors).mean()), 4)
    return results


def train(
    scenes: Path,
    tokenizer: Path,
    out: Path,
    minutes: float,
    cooldown_minutes: float,
    batch_size: int,
    rate: float,
    resume: bool,
    places_only: bool = False,
    likeness: Likeness | None = None,
    sheet: Callable[[Painter, Scenes, Path], None] | None = None,
) -> None:
    """Train for ``minutes``, the last ``cooldown_minutes`` of them with a falling learning rate; checkpoints land in
    ``out``.

    The schedule is warm-up, constant, then linear cool-down (it need not know how long the whole training lasts), so a
    training can be stopped and resumed at will and be finished by a last slice with a cool-down. Under ``torchrun``
    each process takes ``batch_size`` pictures of its own.

    ``places_only`` trains the text encoder and the place map alone, by the preview of the clean latents: it needs no
    noise and no UNet, and sees six times as many pictures a minute. ``likeness`` is looked at besides the error of the
    latents. ``sheet`` is given the averaged models, held-out scenes and a path for a picture at every checkpoint.
    """
    if dist.is_torchelastic_launched():
        dist.init_process_group("gloo")
    rank = dist.get_rank() if dist.is_initialized() else 0
    torch.manual_seed(0)
    data = Scenes(scenes)
    held_out = Scenes(scenes / "held-out")
    painter = Painter(CLIPTokenizer.from_pretrained(tokenizer), data.latents[0].shape[0])
    average = copy.deepcopy(painter).requires_grad_(False)
    painter.unet.requires_grad_(not places_only)
    optimizer = torch.optim.AdamW(painter.parameters(), lr=rate, betas=(0.9, 0.98), weight_decay=0.01, fused=True)
    scheduler = noise_scheduler()
    step = 0
    out.mkdir(parents=True, exist_ok=True)
    if resume and (state := load_state(out)):
        painter.load_state_dict(state["painter"])
        average.load_state_dict(state["average"])
        optimizer.load_state_dict(state["optimizer"])
        step = state["step"]
    elif resume and (out / "unet").exists():  # models without a training state, such as the bundled ones
        for name in PARTS:
            weights = type(getattr(painter, name)).from_pretrained(out / name).float().state_dict()
            getattr(painter, name).load_state_dict(weights)
            getattr(average, name).load_state_dict(weights)
        fit_preview(painter, data, np.random.default_rng(0))

    start = time.monotonic()
    saved = time.monotonic()
    first = step
    elapsed = 0.0
    rng = np.random.default_rng([1000 + step, rank])
    torch.manual_seed(1_000_000 * rank + step)
    running = []
    while elapsed < minutes:
        fall = min((minutes - elapsed) / cooldown_minutes, 1.0) if cooldown_minutes else 1.0
        for group in optimizer.param_groups:
            group["lr"] = rate * min((step - first + 1) / 100, 1.0) * fall
        batch = data.batch(batch_size, rng)
        with torch.autocast("cpu", dtype=torch.bfloat16):  # several times faster where the CPU has bf16 instructions
            painted, seen = (
                (torch.zeros(()), preview_loss(painter, batch))
                if places_only
                else painting_losses(painter, scheduler, batch, likeness)
            )
        optimizer.zero_grad()
        (painted + seen).backward()
        elapsed = share_gradients(painter, (time.monotonic() - start) / 60)
        nn.utils.clip_grad_norm_(painter.parameters(), 1.0)
        optimizer.step()
        step += 1
        decay = min(0.998, (1 + step) / (10 + step))
        with torch.no_grad():
            torch._foreach_lerp_(list(average.parameters()), list(painter.parameters()), 1 - decay)
        if rank:
            continue
        running.append((painted.item(), seen.item()))

        if step % 50 == 0:
            pace = (step - first) / (time.monotonic() - start)
            line = {
                "step": step,
                "minutes": round(elapsed, 1),
                "loss": round(float(np.mean(running[-100:], axis=0)[0]), 4),
                "preview": round(float(np.mean(running[-100:], axis=0)[1]), 4),
                "steps_per_s": round(pace, 3),
            }
            if step % 500 == 0:
                line |= {} if places_only else check(average, scheduler, held_out)
                data.refresh()
            print(json.dumps(line), flush=True)
            with (out / "log.jsonl").open("a") as log:
                log.write(json.dumps(line) + "\n")
        if time.monotonic() - saved > 240 or elapsed >= minutes:
            save(out, painter, average, optimizer, step)
            if sheet and not places_only:
                sheet(average, held_out, out / f"samples-{step:08d}.jpg")
            saved = time.monotonic()
    if dist.is_initialized():
        dist.destroy_process_group()  # ends gloo's threads while they may still take the interpreter's lock


def share_gradients(painter: Painter, elapsed: float) -> float:
    """Average the gradients of all processes, and the minutes too, so that all stop at the same step; returns the
    minutes.
    """
    if not dist.is_initialized():
        return elapsed
    parameters = [p for p in painter.parameters() if p.requires_grad]
    # A part that no sample of one process needed (the ConvNeXt, without masks) has no gradient there.
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
    flat = torch.cat([*(g.flatten() for g in gradients), torch.tensor([elapsed])])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    for parameter, mean in zip(parameters, flat[:-1].split([p.numel() for p in parameters]), strict=True):
        parameter.grad = mean.view_as(parameter)
    return float(flat[-1])


def save(out: Path, painter: Painter, average: Painter, optimizer: torch.optim.Optimizer, step: int) -> None:
    """The training state, and the averaged models as folders that `from_pretrained` reads."""
    state = {
        "painter": painter.state_dict(),
        "average": average.state_dict(),
        "optimizer": optimizer.state_dict(),
        "step": step,
    }
    save_state(out, state, step)
    for name in PARTS:
        save_model(getattr(average, name), out / name)
