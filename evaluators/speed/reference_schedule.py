"""The published schedule of work, through our modules: each saving of the engine can be switched off, to be measured.

With everything switched off, one UNet call follows another: the grounding tokens are made anew for every call, the
ConvNeXt runs where there is no mask, grounding tokens ask questions whose answers nobody reads, closed gates are
computed, and ScaleU takes an FFT.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from unittest.mock import patch

import torch

from instdiff.model import attention, denoiser, graphs, sampler, unet
from instdiff.model.attention import GatedSelfAttention, Gates, Memory, TransformerBlock, attend, keys_values
from instdiff.model.denoiser import Condition, Denoiser

SAVINGS = {
    "tokens_once": "grounding tokens once per condition, not once per UNet call",
    "no_idle_convnext": "no ConvNeXt where a layout has no mask",
    "one_batch": "all branches of all layouts and both halves of guidance in one batch",
    "equal_rows_once": "rows with equal latents and condition once",
    "closed_gates_skipped": "no gated self-attention where alpha is 0",
    "visual_queries": "queries for visual tokens alone",
    "one_null_token": (
        "the equal tokens of empty slots as one with their weight; none where attention is instance-masked"
    ),
    "kept_keys": "keys and values of captions and grounding tokens once per condition",
    "closed_form_scaleu": "ScaleU's filter as four coefficients, without an FFT",
    "wide_heads": "narrow heads filled up to a vector (CPU)",
    "channels_last": "feature maps with channels last",
    "cuda_graphs": "a call of the UNet sent as one recorded CUDA graph (NVIDIA)",
}


def fft_filter(x: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """ScaleU's filter as published: the middle 2 x 2 of the centred spectrum of x (B, C, H, W) times ``scale``."""
    height, width = x.shape[-2:]
    spectrum = torch.fft.fftshift(torch.fft.fftn(x.float(), dim=(-2, -1)), dim=(-2, -1))
    row = height // 2
    column = width // 2
    mask = torch.ones(height, width, device=x.device)
    mask[max(row - 1, 0) : row + 1, max(column - 1, 0) : column + 1] = scale.float()
    return torch.fft.ifftn(torch.fft.ifftshift(spectrum * mask, dim=(-2, -1)), dim=(-2, -1)).real.to(x.dtype)


def _remember_with_queries(self: GatedSelfAttention, tokens: torch.Tensor) -> tuple:
    normed = self.norm1(tokens)
    return *keys_values(self.attn, normed), normed


def _forward_with_queries(
    self: GatedSelfAttention, x: torch.Tensor, tokens: tuple, gates: Gates, bias: torch.Tensor | None
):
    visual = self.norm1(x)
    keys, values = (torch.cat(pair, dim=1) for pair in zip(keys_values(self.attn, visual), tokens[:2], strict=True))
    bias = None if bias is None else bias[..., : keys.shape[1]]
    if bias is not None and bias.shape[2] > 1:  # what grounding tokens may see does not matter
        bias = torch.cat([bias, bias[:, :, :1].expand(-1, -1, tokens[2].shape[1], -1)], dim=2)
    everything = attend(self.attn, torch.cat([visual, tokens[2]], dim=1), (keys, values), bias)  # (B, N + T, D)
    x = x + gates[0] * everything[:, : x.shape[1]]
    return x + gates[1] * self.ff(self.norm2(x))


_RECORDED: dict[frozenset[str], weakref.WeakKeyDictionary] = {}  # graphs of UNets without some savings
_guide = sampler.guide
_block_forward = TransformerBlock.forward


class ThriftlessDenoiser(Denoiser):
    """A `Denoiser` that makes again what it could keep.

    Args:
        off: the savings to go without.
        remake: Condition -> its grounding tokens, made anew.
    """

    def __init__(self, *args, off: frozenset[str], remake: Callable[[Condition], torch.Tensor], **options):
        super().__init__(*args, **options)
        self.off = off
        self.remake = remake
        self.max_batch = 1 if "one_batch" in off else self.max_batch

    def __call__(self, latents, conditions, timestep, alpha):
        outputs = []
        for i in range(0, len(conditions), self.max_batch):
            if self.off & {"tokens_once", "kept_keys"}:
                self._make_again(conditions[i : i + self.max_batch])
            part = slice(i, i + self.max_batch)
            outputs.append(super().__call__(latents[part], conditions[part], timestep, alpha))
        return torch.cat(outputs)

    def _make_again(self, conditions: list[Condition]) -> None:
        distinct = list(dict.fromkeys(conditions))
        again = [replace(condition, tokens=self.remake(condition)) for condition in distinct]
        self.remember(again if "tokens_once" in self.off else distinct)
        self.numbers = {condition: number for number, condition in enumerate(distinct)}


def _guide_row_by_row(denoiser, scheduler, branches, evaluation, guidance):
    """`guide` for one branch after another, with equal rows computed as often as they occur."""
    outputs = []
    for branch in branches:
        latents = scheduler.scale_model_input(branch.latents, evaluation.timestep)
        grounded = denoiser(latents, [branch.condition], evaluation.device_timestep, evaluation.alpha)
        if guidance == 1.0:
            outputs.append(grounded)
            continue
        negative = denoiser(latents, [branch.negative], evaluation.device_timestep, evaluation.alpha)
        outputs.append(negative + guidance * (grounded - negative))
    return torch.cat(outputs)


def _guide_with_copies(denoiser, scheduler, branches, *args):
    """`guide` where no two rows are equal, since no two branches share their latents."""
    copies = [replace(branch, latents=branch.latents.clone()) for branch in branches]
    return _guide(denoiser, scheduler, copies, *args)


def _forward_with_closed_gates(
    self: TransformerBlock, x: torch.Tensor, memory: Memory, gates: Gates | None
) -> torch.Tensor:
    closed = self.fuser.alpha_attn * 0
    return _block_forward(self, x, memory, gates or (closed, closed))  # all is computed and nothing comes of it


@contextmanager
def without(off: frozenset[str], remake: Callable[[Condition], torch.Tensor]) -> Iterator[None]:
    """Within the block, `sampler.sample` goes without the savings named in ``off``."""
    patches: list[tuple[object, str, object]] = []
    if "cuda_graphs" in off:
        patches.append((denoiser, "graphs_of", lambda unet: None))
    elif off:  # what is recorded with all savings is another call
        patches.append((graphs, "_GRAPHS", _RECORDED.setdefault(off, weakref.WeakKeyDictionary())))
    if off & {"tokens_once", "kept_keys", "one_batch"}:
        patches.append((sampler, "Denoiser", partial(ThriftlessDenoiser, off=off, remake=remake)))
    if "equal_rows_once" in off:
        patches.append((sampler, "guide", _guide_row_by_row if "one_batch" in off else _guide_with_copies))
    if "visual_queries" in off:
        patches.append((GatedSelfAttention, "remember", _remember_with_queries))
        patches.append((GatedSelfAttention, "forward", _forward_with_queries))
    if "closed_gates_skipped" in off:
        patches.append((TransformerBlock, "forward", _forward_with_closed_gates))
    if "closed_form_scaleu" in off:
        patches.append((unet, "add_low_frequencies", lambda x, share: fft_filter(x, share + 1)))
    if "wide_heads" in off:
        patches.append((attention, "head_width", lambda width, device: width))
    if "channels_last" in off:
        patches.append((unet, "MEMORY_FORMAT", torch.contiguous_format))
    with ExitStack() as stack:
        for owner, name, value in patches:
            stack.enter_context(patch.object(owner, name, value))
        yield
