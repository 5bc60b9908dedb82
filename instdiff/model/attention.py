"""The UNet's transformers: self-attention, gated self-attention over grounding tokens, cross-attention to the caption.

What no denoising step changes, the keys and values of the caption and of the grounding tokens, is a `Memory`: made
once, read at every step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from diffusers.models.attention import Attention, FeedForward
from torch import nn

KeysValues = tuple[torch.Tensor, ...]  # keys and values, (B, T, heads, D) each
Gates = tuple[torch.Tensor, torch.Tensor]  # of the attention and of the feed-forward, no dimensions each


class Memory(NamedTuple):
    """What one transformer reads and no denoising step changes, for B rows.

    ``bias`` (B or 1, 1, HW or 1, HW + T or more) is added to the scores of the gated self-attention: -inf where a
    visual token may not look, the logarithm of their number where one key stands for several equal ones; None where
    there is neither.
    """

    text: KeysValues
    tokens: KeysValues | None
    bias: torch.Tensor | None

    def map(self, function: Callable[[torch.Tensor], torch.Tensor]) -> Memory:
        """The memory with ``function`` applied to every tensor."""
        text = tuple(map(function, self.text))
        tokens = None if self.tokens is None else tuple(map(function, self.tokens))
        return Memory(text, tokens, None if self.bias is None else function(self.bias))


def rows_of(memories: Sequence[Memory], index: torch.Tensor) -> list[Memory]:
    """The memories of rows ``index`` (B',), which may repeat; a bias that several share they go on to share."""
    biases = {id(bias): bias for memory in memories if (bias := memory.bias) is not None}
    taken = {key: bias if len(bias) == 1 else bias[index] for key, bias in biases.items()}
    rows = (memory._replace(bias=None).map(lambda tensor: tensor[index]) for memory in memories)
    return [own._replace(bias=taken.get(id(memory.bias))) for own, memory in zip(rows, memories, strict=True)]


def head_width(width: int, device: torch.device) -> int:
    """Width at which a head is computed: on CPUs a narrow head is faster filled with zeros to one vector of 16."""
    return max(width, 16) if device.type == "cpu" else width


def side_by_side(layers: Sequence[nn.Module], x: torch.Tensor) -> Sequence[torch.Tensor]:
    """What linear layers make of the same x (..., C), in one product; one by one where they are not plain and here."""
    if any(type(layer) is not nn.Linear or layer.weight.device != x.device for layer in layers):
        return [layer(x) for layer in layers]
    bias = None if layers[0].bias is None else torch.cat([layer.bias for layer in layers])
    return F.linear(x, torch.cat([layer.weight for layer in layers]), bias).split(
        [layer.out_features for layer in layers], dim=-1
    )


def keys_values(attn: Attention, x: torch.Tensor) -> KeysValues:
    """The keys and values of x (B, T, C)."""
    return attn.to_k(x).unflatten(2, (attn.heads, -1)), attn.to_v(x).unflatten(2, (attn.heads, -1))


def attend(attn: Attention, x: torch.Tensor, read: KeysValues, bias: torch.Tensor | None = None) -> torch.Tensor:
    """x: (B, Q, C) asks; ``read`` answers; bias: broadcast to (B, heads, Q, T). Returns (B, Q, C)."""
    query = attn.to_q(x).unflatten(2, (attn.heads, -1))
    width = query.shape[-1]
    missing = head_width(width, x.device) - width
    parts = (query, *read)
    if missing and query.shape == read[0].shape:
        parts = F.pad(torch.stack(parts), (0, missing)).unbind()
    elif missing:
        parts = tuple(F.pad(part, (0, missing)) for part in parts)  # zeros, which change no product
    query, keys, values = (part.transpose(1, 2) for part in parts)
    read_values = F.scaled_dot_product_attention(query, keys, values, attn_mask=bias, scale=width**-0.5)
    return attn.to_out[0](read_values[..., :width].transpose(1, 2).flatten(2))  # (B, heads, Q, D') -> (B, Q, C)


def visibility(
    regions: torch.Tensor, num_tokens: int, size: tuple[int, int], dtype: torch.dtype = torch.float32
) -> torch.Tensor:
    """(B, 1, HW, HW + T or more): 0 where a visual token may look, at visual tokens and at places that cover it; -inf
    where it may not.

    The last side is a multiple of 8, so that attention on a card reads it as it is; what is too much is not read.
    """
    cover = F.adaptive_max_pool2d(regions.float(), size).flatten(2)  # (B, N, HW), 0 or 1
    four_kinds = cover.repeat(1, 4, 1)  # box, point, scribble and polygon tokens of the same instances
    segs = cover.amax(dim=1, keepdim=True).expand(-1, num_tokens - four_kinds.shape[1], -1)
    places = torch.cat([four_kinds, segs], dim=1).transpose(1, 2).log().to(dtype)  # (B, HW, T)
    return F.pad(places, (places.shape[1], -sum(places.shape[1:]) % 8))[:, None]


class GatedSelfAttention(nn.Module):
    """Lets visual tokens look at grounding tokens, through gates that start closed (GLIGEN; section 3.1)."""

    def __init__(self, dim: int, token_dim: int, heads: int):
        super().__init__()
        self.linear = nn.Linear(token_dim, dim)
        self.attn = Attention(dim, heads=heads, dim_head=dim // heads)
        self.ff = FeedForward(dim, activation_fn="geglu")
        self.norm1 = nn.LayerNorm(dim)
        self.norm2 = nn.LayerNorm(dim)
        self.alpha_attn = nn.Parameter(torch.tensor(0.0))
        self.alpha_dense = nn.Parameter(torch.tensor(0.0))

    def remember(self, tokens: torch.Tensor) -> KeysValues:
        """tokens: (B, T, C), what ``linear`` makes of them -> their keys and values.

        They ask nothing: what grounding tokens become is never read.
        """
        return keys_values(self.attn, self.norm1(tokens))

    def forward(self, x: torch.Tensor, tokens: KeysValues, gates: Gates, bias: torch.Tensor | None) -> torch.Tensor:
        """x: (B, HW, C) visual tokens; tokens: from `remember`; bias: see `Memory`."""
        visual = self.norm1(x)
        keys, values = keys_values(self.attn, visual)
        read = torch.cat([keys, tokens[0]], dim=1), torch.cat([values, tokens[1]], dim=1)  # (B, HW + T, heads, D)
        bias = None if bias is None else bias[..., : read[0].shape[1]]
        x = torch.addcmul(x, gates[0], attend(self.attn, visual, read, bias))
        return torch.addcmul(x, gates[1], self.ff(self.norm2(x)))


class TransformerBlock(nn.Module):
    """Self-attention, grounding, cross-attention to the caption, feed-forward."""

    def __init__(self, dim: int, text_dim: int, token_dim: int, heads: int):
        super().__init__()
        self.norm1 = nn.LayerNorm(dim)
        self.norm2 = nn.LayerNorm(dim)
        self.norm3 = nn.LayerNorm(dim)
        self.attn1 = Attention(dim, heads=heads, dim_head=dim // heads)
        self.fuser = GatedSelfAttention(dim, token_dim, heads)
        self.attn2 = Attention(dim, cross_attention_dim=text_dim, heads=heads, dim_head=dim // heads)
        self.ff = FeedForward(dim, activation_fn="geglu")

    def forward(self, x: torch.Tensor, memory: Memory, gates: Gates | None) -> torch.Tensor:
        """x: (B, HW, C); without gates nothing of the grounding is read."""
        visual = self.norm1(x)
        x = x + attend(self.attn1, visual, keys_values(self.attn1, visual))
        if gates and memory.tokens is not None:
            x = self.fuser(x, memory.tokens, gates, memory.bias)
        x = x + attend(self.attn2, self.norm2(x), memory.text)
        return x + self.ff(self.norm3(x))


class SpatialTransformer(nn.Module):
    """A transformer block over the positions of a feature map."""

    def __init__(self, dim: int, text_dim: int, token_dim: int, heads: int, groups: int):
        super().__init__()
        self.norm = nn.GroupNorm(groups, dim, eps=1e-6)
        self.proj_in = nn.Conv2d(dim, dim, 1)
        self.proj_out = nn.Conv2d(dim, dim, 1)
        self.transformer_blocks = nn.ModuleList([TransformerBlock(dim, text_dim, token_dim, heads)])

    def remember(self, text: KeysValues, tokens: torch.Tensor | None, bias: torch.Tensor | None) -> Memory:
        """text: keys and values of the caption; tokens: see `GatedSelfAttention.remember`; bias: see `Memory`."""
        return Memory(text, None if tokens is None else self.transformer_blocks[0].fuser.remember(tokens), bias)

    def forward(self, x: torch.Tensor, memory: Memory, gates: Gates | None) -> torch.Tensor:
        """x: (B, C, H, W); gates: see `TransformerBlock`."""
        height, width = x.shape[-2:]
        h = self.proj_in(self.norm(x)).flatten(2).transpose(1, 2)  # (B, HW, C)
        h = self.transformer_blocks[0](h, memory, gates)
        return x + self.proj_out(h.transpose(1, 2).unflatten(2, (height, width)))
