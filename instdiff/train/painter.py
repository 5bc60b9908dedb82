"""Trains the draft UNet, UniFusion and text encoder together on latents of composed scenes."""

from __future__ import annotations

import copy
import json
import time
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F
from diffusers import DDPMScheduler
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from instdiff.grounding import Grounding, place_grounding
from instdiff.layout import Instance, Layout
from instdiff.train.scenes import StoredScene, read_shard
from instdiff.unet import InstanceUNet
from instdiff.unifusion import UniFusion

TEXT_DIM, SLOTS, SEG_SIZE = 128, 12, 128
# Kinds of place per layout, letters as in `StoredInstance.places`; "?" draws one for every instance.
PLACE_KINDS, PLACE_SHARES = ["b", "m", "s", "p", "?"], [0.66, 0.10, 0.08, 0.08, 0.08]
PARTS = ("unet", "unifusion", "text_encoder")
DROP_CAPTION, DROP_GROUNDING, DROP_BOTH, ONE_INSTANCE = 0.10, 0.07, 0.05, 0.08


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
            text_dim=TEXT_DIM, out_dim=TEXT_DIM, mid_dim=96, seg_size=SEG_SIZE, convnext_dims=(16, 32, 48, 64), convnext_depths=(1, 1, 1, 1)
        )
        self.unet = InstanceUNet(
            in_channels=latent_channels, out_channels=latent_channels, block_out_channels=(96, 160, 160),
            attention_levels=(True, True, True), layers_per_block=1, attention_heads=4,
            cross_attention_dim=TEXT_DIM, has_stock_conv_in=False, instance_masked=True,
        )  # fmt: skip
        for name, parameter in self.unet.named_parameters():
            if name.endswith(("alpha_attn", "alpha_dense")):
                nn.init.constant_(parameter, 0.55)  # tanh 0.5: open gates learn to place far sooner than closed ones

    def features(self, captions: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
        """Token features (n, 77, D) and pooled features (n, D) of captions."""
        tokens = self.tokenizer(captions, padding="max_length", truncation=True, max_length=77, return_tensors="pt")
        encoded = self.text_encoder(tokens.input_ids)
        return encoded.last_hidden_state, encoded.pooler_output

    def pooled(self, captions: list[str]) -> torch.Tensor:
        """Pooled features (n, D); the text model is causal, so short captions need no full padding."""
        tokens = self.tokenizer(captions, padding=True, truncation=True, max_length=77, return_tensors="pt")
        return self.text_encoder(tokens.input_ids).pooler_output

    def forward(self, noisy: torch.Tensor, timesteps: torch.Tensor, captions: list[str], grounding: Grounding, phrases: list[list[str]]):
        """Predicted clean latents (B, C, h, w)."""
        caption_features, _ = self.features(captions)
        pooled = iter(self.pooled([p for some in phrases for p in some] or [""]))
        text = torch.zeros(*grounding.used.shape, TEXT_DIM)
        rows = [(b, i) for b, some in enumerate(phrases) for i in range(len(some))]
        if rows:
            b, i = torch.tensor(rows).T
            text = text.index_put((b, i), torch.stack([next(pooled) for _ in rows]))
        grounding.text = text
        return self.unet(noisy, timesteps, caption_features, self.unifusion(grounding), grounding.regions)


class Scenes:
    """Stored scenes as training samples."""

    def __init__(self, folder: Path):
        self.folder, self.paths = folder, []
        self.latents: list[np.ndarray] = []
        self.scenes: list[StoredScene] = []
        self.refresh()

    def refresh(self) -> None:
        """Read shards that have appeared since."""
        for path in sorted(self.folder.glob("scenes-????.npz")):
            if path not in self.paths:
                latents, scenes = read_shard(path)
                self.paths.append(path)
                self.latents.extend(latents)
                self.scenes.extend(scenes)

    def batch(self, size: int, rng: np.random.Generator) -> tuple[torch.Tensor, list[str], Grounding, list[list[str]]]:
        """Latents, captions, grounding and instance captions, with everything dropped that guidance needs dropped."""
        picked = rng.integers(len(self.scenes), size=size)
        samples = [self._sample(self.scenes[i], rng) for i in picked]
        latents = torch.from_numpy(np.stack([self.latents[i] for i in picked])).float()
        captions, groundings, phrases = zip(*samples, strict=True)
        return latents, list(captions), Grounding.cat(list(groundings)), list(phrases)

    def _sample(self, scene: StoredScene, rng: np.random.Generator) -> tuple[str, Grounding, list[str]]:
        draw, stored, caption = rng.random(), scene.instances[:SLOTS], scene.caption
        if draw < ONE_INSTANCE and stored:  # what the Multi-Instance Sampler asks for
            stored = [stored[rng.integers(len(stored))]]
            caption = stored[0].caption
        elif draw < ONE_INSTANCE + DROP_CAPTION:
            caption = ""
        elif draw < ONE_INSTANCE + DROP_CAPTION + DROP_GROUNDING:
            stored = []
        elif draw < ONE_INSTANCE + DROP_CAPTION + DROP_GROUNDING + DROP_BOTH:
            stored, caption = [], ""
        kinds = rng.choice(PLACE_KINDS, p=PLACE_SHARES)
        order = rng.permutation(len(stored))
        instances = [
            Instance(caption=stored[i].caption, **stored[i].places(rng.choice(list("bpsm")) if kinds == "?" else kinds, rng)) for i in order
        ]
        grounding = place_grounding(Layout(caption=caption, instances=instances), int(rng.integers(2**31)), SEG_SIZE, SLOTS)
        return caption, grounding, [instance.caption for instance in instances]


def noise_scheduler() -> DDPMScheduler:
    """The cosine schedule of the draft model, which predicts the clean latents.

    A short training leaves errors in what is predicted; as clean latents they look soft, as noise or velocity grainy.
    """
    return DDPMScheduler(beta_schedule="squaredcos_cap_v2", prediction_type="sample", clip_sample=False)


def losses(painter: Painter, scheduler: DDPMScheduler, batch, timesteps: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    """Squared errors of the clean latents (B, h, w), averaged over channels."""
    latents, captions, grounding, phrases = batch
    noisy = scheduler.add_noise(latents, noise, timesteps)
    return (painter(noisy, timesteps, captions, grounding, phrases) - latents).square().mean(dim=1)


def noise_weights(scheduler: DDPMScheduler, timesteps: torch.Tensor, most: float = 5.0) -> torch.Tensor:
    """(B, 1, 1) weights 1 + min(SNR, most): those of a velocity loss, but bounded where there is hardly any noise."""
    signal = scheduler.alphas_cumprod[timesteps]
    return (1 + (signal / (1 - signal)).clamp(max=most))[:, None, None]


def place_weights(grounding: Grounding, size: tuple[int, int]) -> torch.Tensor:
    """(B, h, w) weights that count cells inside places three times: backgrounds are easy, and most of the picture."""
    inside = F.adaptive_max_pool2d(grounding.regions.any(dim=1, keepdim=True).float(), size)[:, 0]
    weights = 1 + 2 * inside
    return weights / weights.mean()


@torch.no_grad()
def check(painter: Painter, scheduler: DDPMScheduler, held_out: Scenes) -> dict[str, float]:
    """Error inside the places at 95% noise: grounded, without grounding, and with the captions shuffled among places."""
    results = {}
    for name in ("grounded", "ungrounded", "shuffled"):
        rng, generator = np.random.default_rng(0), torch.Generator().manual_seed(0)
        errors = []
        for _ in range(2):
            latents, captions, grounding, phrases = held_out.batch(32, rng)
            inside = F.adaptive_max_pool2d(grounding.regions.any(dim=1, keepdim=True).float(), latents.shape[-2:])[:, 0]
            if name == "ungrounded":
                grounding, phrases = grounding.null(), [[] for _ in phrases]
            if name == "shuffled":
                words = [p for some in phrases for p in some]
                words = iter(words[len(words) // 2 :] + words[: len(words) // 2])
                phrases = [[next(words) for _ in some] for some in phrases]
            noise = torch.randn(latents.shape, generator=generator)
            error = losses(painter, scheduler, (latents, [""] * 32, grounding, phrases), torch.full((32,), 950), noise)
            errors.append((error * inside).sum() / inside.sum())
        results[name] = round(float(torch.stack(errors).mean()), 4)
    return results


def train(
    scenes: Path, tokenizer: Path, out: Path, minutes: float, cooldown_minutes: float, batch_size: int, rate: float, resume: bool
) -> None:
    """Train for ``minutes``, the last ``cooldown_minutes`` of them with a falling learning rate; checkpoints land in ``out``.

    The schedule is warm-up, constant, then linear cool-down (it need not know how long the whole training lasts), so a
    training can be stopped and resumed at will and be finished by a last slice with a cool-down. Under ``torchrun`` each
    process takes ``batch_size`` pictures of its own.
    """
    if dist.is_torchelastic_launched():
        dist.init_process_group("gloo")
    rank = dist.get_rank() if dist.is_initialized() else 0
    torch.manual_seed(0)
    torch.set_flush_denormal(True)
    data = Scenes(scenes)
    held_out = Scenes(scenes / "held-out")
    painter = Painter(CLIPTokenizer.from_pretrained(tokenizer), data.latents[0].shape[0])
    average = copy.deepcopy(painter).requires_grad_(False)
    optimizer = torch.optim.AdamW(painter.parameters(), lr=rate, betas=(0.9, 0.98), weight_decay=0.01, fused=True)
    scheduler, step = noise_scheduler(), 0
    out.mkdir(parents=True, exist_ok=True)
    if resume and (out / "state.pt").exists():
        state = torch.load(out / "state.pt", weights_only=True)
        painter.load_state_dict(state["painter"])
        average.load_state_dict(state["average"])
        optimizer.load_state_dict(state["optimizer"])
        step = state["step"]
    elif resume and (out / "unet").exists():  # models without a training state, such as the bundled ones
        for name in PARTS:
            weights = type(getattr(painter, name)).from_pretrained(out / name).float().state_dict()
            getattr(painter, name).load_state_dict(weights)
            getattr(average, name).load_state_dict(weights)

    start, saved, first, elapsed = time.monotonic(), time.monotonic(), step, 0.0
    rng = np.random.default_rng([1000 + step, rank])
    torch.manual_seed(1_000_000 * rank + step)
    running = []
    while elapsed < minutes:
        fall = min((minutes - elapsed) / cooldown_minutes, 1.0) if cooldown_minutes else 1.0
        for group in optimizer.param_groups:
            group["lr"] = rate * min((step + 1) / 300, 1.0) * fall
        batch = data.batch(batch_size, rng)
        # A third of the steps go to heavy noise, where layout is decided.
        low = torch.where(torch.rand(batch_size) < 0.33, 600.0, 0.0)
        timesteps = (low + torch.rand(batch_size) * (1000 - low)).long()
        with torch.autocast("cpu", dtype=torch.bfloat16):  # several times faster where the CPU has bf16 instructions
            error = losses(painter, scheduler, batch, timesteps, torch.randn(batch[0].shape)).float()
        error = error * noise_weights(scheduler, timesteps)
        loss = (error * place_weights(batch[2], error.shape[-2:])).mean()
        optimizer.zero_grad()
        loss.backward()
        elapsed = share_gradients(painter, (time.monotonic() - start) / 60)
        nn.utils.clip_grad_norm_(painter.parameters(), 1.0)
        optimizer.step()
        step += 1
        decay = min(0.9995, (1 + step) / (10 + step))
        with torch.no_grad():
            torch._foreach_lerp_(list(average.parameters()), list(painter.parameters()), 1 - decay)
        if rank:
            continue
        running.append(loss.item())

        if step % 50 == 0:
            pace = (step - first) / (time.monotonic() - start)
            line = {
                "step": step,
                "minutes": round(elapsed, 1),
                "loss": round(float(np.mean(running[-100:])), 4),
                "steps_per_s": round(pace, 3),
            }
            if step % 500 == 0:
                line |= check(average, scheduler, held_out)
                data.refresh()
            print(json.dumps(line), flush=True)
            with (out / "log.jsonl").open("a") as log:
                log.write(json.dumps(line) + "\n")
        if time.monotonic() - saved > 240:
            save(out, painter, average, optimizer, step)
            saved = time.monotonic()
    if rank == 0:
        save(out, painter, average, optimizer, step)


def share_gradients(painter: Painter, elapsed: float) -> float:
    """Average the gradients of all processes, and the minutes too, so that all stop at the same step; returns the minutes."""
    if not dist.is_initialized():
        return elapsed
    parameters = list(painter.parameters())
    # A part that no sample of one process needed (the ConvNeXt, without masks) has no gradient there.
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
    flat = torch.cat([*(g.flatten() for g in gradients), torch.tensor([elapsed])])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    for parameter, mean in zip(parameters, flat[:-1].split([p.numel() for p in parameters]), strict=True):
        parameter.grad = mean.view_as(parameter)
    return float(flat[-1])


def save(out: Path, painter: Painter, average: Painter, optimizer: torch.optim.Optimizer, step: int) -> None:
    """The training state, whole or not at all, and the averaged models as folders that `from_pretrained` reads."""
    state = {"painter": painter.state_dict(), "average": average.state_dict(), "optimizer": optimizer.state_dict(), "step": step}
    torch.save(state, out / "state.tmp")
    (out / "state.tmp").replace(out / "state.pt")
    for name in PARTS:
        getattr(average, name).save_pretrained(out / name)
