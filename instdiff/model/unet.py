"""The UNet of Stable Diffusion 1.5 with gated self-attention over grounding tokens, and ScaleU.

Parameter names are those of diffusers' `UNet2DConditionModel`, plus ``fuser.*``, ``scaleu.*`` and ``stock_conv_in``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import repeat

import torch
import torch.nn.functional as F
from diffusers import ConfigMixin, ModelMixin  # by the second, diffusers knows what a pipeline can load
from diffusers.configuration_utils import register_to_config
from diffusers.loaders import PeftAdapterMixin
from diffusers.models.embeddings import TimestepEmbedding
from diffusers.models.resnet import Downsample2D, ResnetBlock2D, Upsample2D
from diffusers.utils.accelerate_utils import apply_forward_hook
from torch import nn

from instdiff.errors import BadInput
from instdiff.model.attention import Gates, Memory, SpatialTransformer, side_by_side, visibility
from instdiff.model.graphs import forget_graphs
from instdiff.model.int8_weights import Int8Model

MEMORY_FORMAT = torch.channels_last
BLOCK_VARIANTS = 64  # of one function that torch compiles: 12 pairs of widths, and a few batches and sizes of each


@lru_cache(maxsize=64)
def _low_waves(height: int, width: int, device: torch.device, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    """The waves of frequencies {-1, 0} x {-1, 0}, real parts before imaginary parts: what takes the mean coefficients
    of HW values, (8, HW), and what makes values of them, (HW, 8).
    """
    rows = torch.arange(height, dtype=torch.float64)[:, None] * (2 * torch.pi / height)
    columns = torch.arange(width, dtype=torch.float64) * (2 * torch.pi / width)
    # Along a side of one pixel the frequencies 0 and -1 are the same, and count once.
    angles = torch.stack([f * rows + g * columns for f in (0, 1)[: min(height, 2)] for g in (0, 1)[: min(width, 2)]])
    waves = torch.cat([angles.cos(), angles.sin()]).flatten(1)
    return (waves / (height * width)).to(device, dtype), waves.T.contiguous().to(device, dtype)


@lru_cache(maxsize=8)
def _frequencies(count: int, device: torch.device) -> torch.Tensor:
    """(count,) float32, from 1 down to almost 1 / 10,000: of the waves that tell the time (Vaswani et al., 2017)."""
    return torch.exp(-math.log(10000) * torch.arange(count, dtype=torch.float32) / count).to(device)


def low_frequency_filter(x: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """Scale the frequencies {-1, 0} x {-1, 0} of x (B, C, H, W), and keep the real part.

    This is the Fourier filter of ScaleU with threshold 1 (InstanceDiffusion, section 3.2) in closed form: four
    coefficients, so no FFT. The window is not symmetric; the published weights were trained with it.
    """
    return add_low_frequencies(x, scale - 1)


def add_low_frequencies(x: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
    """x (B, C, H, W) and a share (1,) of its own frequencies {-1, 0} x {-1, 0} more."""
    height, width = x.shape[-2:]
    analysis, synthesis = _low_waves(height, width, x.device, x.dtype)
    flat = x.permute(0, 2, 3, 1).flatten(1, 2)  # (B, HW, C), a view where x is channels last
    # Re(c * conj(wave)) with c = sum(x * wave) is the product of the real parts plus that of the imaginary parts.
    coefficients = (analysis @ flat) * share  # (B, 8, C)
    filtered = torch.baddbmm(flat, synthesis.expand(len(x), -1, -1), coefficients.to(x.dtype))
    return filtered.unflatten(1, (height, width)).permute(0, 3, 1, 2)


class ScaleU(nn.Module):
    """Learned scales before a decoder concatenation (section 3.2): b for channels of h, s for the skip."""

    def __init__(self, channels: int):
        super().__init__()
        self.b = nn.Parameter(torch.zeros(channels))
        self.s = nn.Parameter(torch.zeros(1))

    def forward(
        self, h: torch.Tensor, skip: torch.Tensor, opened: Sequence[torch.Tensor]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Both scaled; ``opened`` are tanh(b) and tanh(s)."""
        return torch.addcmul(h, opened[0][:, None, None], h), add_low_frequencies(skip, opened[1])


class TimedResnet(ResnetBlock2D):
    """The published ResNet, given a time that went through its activation already, once for all of them."""

    def forward(self, x: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        """x: (B, C, H, W); time: (1 or B, D)."""
        h = self.conv1(F.silu(self.norm1(x))) + self.time_emb_proj(time)[:, :, None, None]
        h = self.conv2(F.silu(self.norm2(h)))
        return (x if self.conv_shortcut is None else self.conv_shortcut(x)) + h


@dataclass
class LayerInputs:
    """What the layers of one forward pass read beside features, each in the order in which they come to it."""

    time: torch.Tensor  # (1 or B, D), activated
    memories: Iterator[Memory]
    gates: Iterator[Gates | None]
    scales: Iterator[Sequence[torch.Tensor]]  # of `ScaleU`


class Block(nn.Module):
    """One level of encoder, middle or decoder: ResNets, each followed by a transformer where there is attention."""

    def __init__(
        self,
        widths: list[tuple[int, int]],
        time_dim: int,
        groups: int,
        transformer: dict | None,
        scaleu: Sequence[int] = (),
    ):
        super().__init__()
        self.resnets = nn.ModuleList(
            TimedResnet(in_channels=a, out_channels=b, temb_channels=time_dim, groups=groups, eps=1e-5)
            for a, b in widths
        )
        if transformer:
            self.attentions = nn.ModuleList(SpatialTransformer(dim=b, groups=groups, **transformer) for _, b in widths)
        if scaleu:
            self.scaleu = nn.ModuleList(ScaleU(channels) for channels in scaleu)

    @property
    def transformers(self) -> int:
        """How many it has."""
        return len(self.attentions) if hasattr(self, "attentions") else 0

    def layer(self, i: int, x: torch.Tensor, inputs: LayerInputs) -> torch.Tensor:
        """ResNet ``i`` and its transformer, which takes the next memory."""
        x = self.resnets[i](x, inputs.time)
        return self.attentions[i](x, next(inputs.memories), next(inputs.gates)) if hasattr(self, "attentions") else x

    def encode(self, x: torch.Tensor, skips: list[torch.Tensor], inputs: LayerInputs) -> torch.Tensor:
        """All layers of a level of the encoder; what each gives is added to ``skips``."""
        for i in range(len(self.resnets)):
            x = self.layer(i, x, inputs)
            skips.append(x)
        return x

    def decode(self, x: torch.Tensor, skips: list[torch.Tensor], inputs: LayerInputs) -> torch.Tensor:
        """All layers of a level of the decoder; each takes the last of ``skips`` beside x."""
        for i in range(len(self.resnets)):
            h, skip = self.scaleu[i](x, skips.pop(), next(inputs.scales))
            x = self.layer(i, torch.cat([h, skip], dim=1), inputs)
        return x


def _encoder(
    widths: Sequence[int], layers: int, time_dim: int, groups: int, transformers: list[dict | None]
) -> tuple[nn.ModuleList, list[int]]:
    """The levels of the encoder, and the widths of the features that they leave for the decoder, in order."""
    blocks = nn.ModuleList()
    skips = [widths[0]]
    before = widths[0]
    for level, width in enumerate(widths):
        pairs = [(before if i == 0 else width, width) for i in range(layers)]
        block = Block(pairs, time_dim, groups, transformers[level])
        before = width
        skips += [width] * layers
        if level != len(widths) - 1:
            block.downsamplers = nn.ModuleList([Downsample2D(width, use_conv=True, name="op")])
            skips.append(width)
        blocks.append(block)
    return blocks, skips


def _decoder(
    widths: Sequence[int], skips: list[int], layers: int, time_dim: int, groups: int, transformers: list[dict | None]
) -> nn.ModuleList:
    """The levels of the decoder, the innermost first; ``skips`` are the widths that the encoder leaves."""
    blocks = nn.ModuleList()
    before = widths[-1]
    for level in reversed(range(len(widths))):
        from_below = [before] + [widths[level]] * (layers - 1)
        pairs = [(width + skips.pop(), widths[level]) for width in from_below]
        block = Block(pairs, time_dim, groups, transformers[level], from_below)
        before = widths[level]
        if level != 0:
            block.upsamplers = nn.ModuleList([Upsample2D(before, use_conv=True)])
        blocks.append(block)
    return blocks


class InstanceUNet(Int8Model, ModelMixin, ConfigMixin, PeftAdapterMixin):
    """Predicts the noise (or velocity) of a latent, given the caption and the grounding tokens.

    Args:
        in_channels, out_channels: latent channels.
        block_out_channels: width of each level.
        attention_levels: which levels have transformers.
        layers_per_block: ResNets per encoder level; the decoder has one more.
        attention_heads: heads everywhere.
        cross_attention_dim: size of caption features and of grounding tokens.
        norm_num_groups: groups of every GroupNorm.
        has_stock_conv_in: True if there is a second first convolution, the backbone's own, for steps without grounding.
        instance_masked: True if a visual token sees only the grounding tokens of places that cover it (section 3.1);
            the published weights run without.
    """

    config_name = "config.json"
    _repeated_blocks = ["TimedResnet", "SpatialTransformer"]  # what `compile_repeated_blocks` compiles
    cuda_graphs = True  # False: on an NVIDIA card too, nothing is recorded (see `instdiff.model.graphs`)

    @register_to_config
    def __init__(
        self,
        in_channels: int = 4,
        out_channels: int = 4,
        block_out_channels: tuple[int, ...] = (320, 640, 1280, 1280),
        attention_levels: tuple[bool, ...] = (True, True, True, False),
        layers_per_block: int = 2,
        attention_heads: int = 8,
        cross_attention_dim: int = 768,
        norm_num_groups: int = 32,
        has_stock_conv_in: bool = True,
        instance_masked: bool = False,
    ):
        super().__init__()
        widths = block_out_channels
        time_dim = 4 * widths[0]
        attention = {"text_dim": cross_attention_dim, "token_dim": cross_attention_dim, "heads": attention_heads}
        transformers = [attention if has_attention else None for has_attention in attention_levels]

        self.time_embedding = TimestepEmbedding(widths[0], time_dim)
        self.conv_in = nn.Conv2d(in_channels, widths[0], 3, padding=1)
        if has_stock_conv_in:
            self.stock_conv_in = nn.Conv2d(in_channels, widths[0], 3, padding=1)

        self.down_blocks, skips = _encoder(widths, layers_per_block, time_dim, norm_num_groups, transformers)
        width = widths[-1]
        self.mid_block = Block([(width, width)], time_dim, norm_num_groups, attention)
        last = TimedResnet(in_channels=width, temb_channels=time_dim, groups=norm_num_groups, eps=1e-5)
        self.mid_block.resnets.append(last)
        self.up_blocks = _decoder(widths, skips, layers_per_block + 1, time_dim, norm_num_groups, transformers)

        self.conv_norm_out = nn.GroupNorm(norm_num_groups, widths[0], eps=1e-5)
        self.conv_out = nn.Conv2d(widths[0], out_channels, 3, padding=1)

    def to(self, *args, **kwargs) -> InstanceUNet:
        """As in torch; what graphs keep is freed."""
        forget_graphs(self)
        return super().to(*args, **kwargs)

    def lay_out(self) -> None:
        """Bring kernels into the layout of the features; on a card they would be turned at each call."""
        first = self.conv_in.weight
        if first.device.type == "cuda" and not first.is_contiguous(memory_format=MEMORY_FORMAT):
            nn.Module.to(self, memory_format=MEMORY_FORMAT)

    def constants(self, latents: torch.Tensor) -> list[torch.Tensor]:
        """All that `forward` reads for latents (B, C, H, W) beside weights and arguments: made once, and kept."""
        waves = [_low_waves(*size, latents.device, latents.dtype) for size in self._sizes(latents.shape[-2:])]
        return [
            _frequencies(self.config.block_out_channels[0] // 2, latents.device),
            *(w for pair in waves for w in pair),
        ]

    def _sizes(self, size: Sequence[int]) -> list[tuple[int, int]]:
        """(h, w) of each level for latents of a size (H, W)."""
        sizes = [(size[0], size[1])]
        for _ in self.down_blocks[1:]:
            sizes.append(((sizes[-1][0] + 1) // 2, (sizes[-1][1] + 1) // 2))
        return sizes

    def compile_repeated_blocks(self, *args, **kwargs) -> None:
        """As in diffusers; torch keeps as many variants of a block as four levels, batches and sizes need."""
        torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, BLOCK_VARIANTS)
        super().compile_repeated_blocks(*args, **kwargs)

    def forward(
        self,
        sample: torch.Tensor,
        timestep: torch.Tensor | float,
        encoder_hidden_states: torch.Tensor | None = None,
        grounding_tokens: torch.Tensor | None = None,
        regions: torch.Tensor | None = None,
        place_map: torch.Tensor | None = None,
        grounding_scale: float = 1.0,
        stock_conv_in: bool = False,
        memories: list[Memory] | None = None,
        inner: list[torch.Tensor] | None = None,
    ) -> torch.Tensor:
        """Predict the noise or velocity.

        Args:
            sample: (B, C, H, W) noisy latents.
            timestep: one for all, or (B,).
            encoder_hidden_states: (B, 77, D) caption features.
            grounding_tokens: (B, T, D) from UniFusion; None paints without grounding.
            regions: (B, N, 32, 32) bool, which cells each instance covers; read where the model is instance-masked.
            place_map: (B, C, H, W) what the cells show, where UniFusion makes one.
            grounding_scale: strength of the gates, 0..1 (alpha schedule).
            stock_conv_in: use the backbone's own first convolution.
            memories: from `remember`, instead of caption features, tokens and regions.
            inner: an empty list takes what all levels but the outermost give; a filled one stands for it, and only the
                outermost is computed: features change slowly from step to step (Ma et al., DeepCache, CVPR 2024).

        Returns:
            (B, C, H, W).
        """
        if memories is None:
            memories = self.remember(encoder_hidden_states, grounding_tokens, regions, size=sample.shape[-2:])
        outer = self.down_blocks[0]
        last = self.up_blocks[-1]
        known = bool(inner)
        if known:
            memories = memories[: outer.transformers] + memories[len(memories) - last.transformers :]
        blocks = [outer, last] if known else [*self.down_blocks, self.mid_block, *self.up_blocks]
        timesteps = torch.as_tensor(timestep, device=sample.device).reshape(-1)  # one for all stays one row
        angles = timesteps[:, None].float() * _frequencies(self.config.block_out_channels[0] // 2, sample.device)
        waves = torch.cat([angles.cos(), angles.sin()], dim=1)
        time = F.silu(self.time_embedding(waves.to(sample.dtype)))
        inputs = LayerInputs(time, iter(memories), *_opened(blocks, grounding_scale, sample.device))

        sample = sample.contiguous(memory_format=MEMORY_FORMAT)  # so a feature map is a row of tokens without a copy
        x = (self.stock_conv_in if stock_conv_in else self.conv_in)(sample)
        if place_map is not None:
            x = x + grounding_scale * place_map
        skips = [x]
        for block in [outer] if known else self.down_blocks:
            x = block.encode(x, skips, inputs)
            if hasattr(block, "downsamplers") and not known:
                x = block.downsamplers[0](x)
                skips.append(x)

        if not known:
            x = self.mid_block.layer(0, x, inputs)
            x = self.mid_block.resnets[1](x, inputs.time)

        for block in [last] if known else self.up_blocks:
            if block is last and inner is not None:
                if not known:
                    inner.append(x)
                x = inner[0]
            x = block.decode(x, skips, inputs)
            if hasattr(block, "upsamplers"):
                x = block.upsamplers[0](x, output_size=skips[-1].shape[-2:])

        return self.conv_out(F.silu(self.conv_norm_out(x)))

    @apply_forward_hook
    def remember(
        self,
        text: torch.Tensor,
        tokens: torch.Tensor | None,
        regions: torch.Tensor | None,
        size: tuple[int, int],
        counts: torch.Tensor | None = None,
    ) -> list[Memory]:
        """What the transformers read of captions and places, in the order in which `forward` comes to them.

        Args:
            text, tokens, regions: as ``encoder_hidden_states``, ``grounding_tokens`` and ``regions`` of `forward`.
            size: (H, W) of the latents.
            counts: (T,) how many equal tokens each token stands for; None is one.
        """
        sizes = self._sizes(size)
        biases: list[torch.Tensor | None] = [None] * len(sizes)
        if tokens is not None and regions is not None and self.config.instance_masked:
            reading = zip(sizes, [*self.config.attention_levels[:-1], True], strict=True)  # in the middle all do
            biases = [visibility(regions, tokens.shape[1], s, text.dtype) if reads else None for s, reads in reading]
        elif tokens is not None and counts is not None and text.device.type != "cpu":
            tokens = tokens.repeat_interleave(counts.long(), dim=1)  # there the fastest attention knows no bias
        elif counts is not None:
            biases = [F.pad(counts.log(), (h * w, 0)).to(text.dtype)[None, None, None] for h, w in sizes]
        blocks = [*self.down_blocks, self.mid_block, *self.up_blocks]
        levels = zip(blocks, [*biases, biases[-1], *biases[::-1]], strict=True)
        readers = [(t, bias) for block, bias in levels for t in getattr(block, "attentions", ())]
        inner = [transformer.transformer_blocks[0] for transformer, _ in readers]
        captions = [block.attn2 for block in inner]
        read = iter(side_by_side([linear for attn in captions for linear in (attn.to_k, attn.to_v)], text))
        pairs = [tuple(next(read).unflatten(2, (attn.heads, -1)) for _ in range(2)) for attn in captions]
        grounds = repeat(None) if tokens is None else side_by_side([block.fuser.linear for block in inner], tokens)
        return [t.remember(*own, bias) for (t, bias), *own in zip(readers, pairs, grounds)]  # noqa: B905


def _opened(
    blocks: Sequence[Block], scale: float, device: torch.device
) -> tuple[Iterator[Gates | None], Iterator[Sequence[torch.Tensor]]]:
    """Gates at a strength of the grounding, and both scales of each ScaleU, in order: all tanh in one operation."""
    fusers = [t.transformer_blocks[0].fuser for block in blocks for t in getattr(block, "attentions", ())]
    scaleus = [scaleu for block in blocks for scaleu in getattr(block, "scaleu", ())]
    gates = [gate for fuser in fusers for gate in (fuser.alpha_attn, fuser.alpha_dense)] if scale else []
    scales = [part for scaleu in scaleus for part in (scaleu.b, scaleu.s)]
    if scales[0].device != device:
        cure = "give pipe.enable_model_cpu_offload()"
        raise BadInput("unet", f"its layers rest on {scales[0].device} one by one, which it cannot work with; {cure}")
    opened = torch._foreach_tanh(gates + scales)
    gates, scales = opened[: len(gates)], opened[len(gates) :]
    if scale not in (0, 1):
        gates = torch._foreach_mul(gates, scale)
    pairs = zip(gates[::2], gates[1::2], strict=True) if scale else repeat(None)
    return iter(pairs), zip(scales[::2], scales[1::2], strict=True)
