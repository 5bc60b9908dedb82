"""The UNet of Stable Diffusion 1.5 with gated self-attention over grounding tokens, and ScaleU.

Parameter names are those of diffusers' `UNet2DConditionModel`, plus ``fuser.*``, ``scaleu.*`` and ``stock_conv_in``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

import torch
import torch.nn.functional as F
from diffusers import ConfigMixin, ModelMixin  # by the second, diffusers knows what a pipeline can load
from diffusers.configuration_utils import register_to_config
from diffusers.loaders import PeftAdapterMixin
from diffusers.models.embeddings import TimestepEmbedding, Timesteps
from diffusers.models.resnet import Downsample2D, ResnetBlock2D, Upsample2D
from diffusers.utils.accelerate_utils import apply_forward_hook
from torch import nn

from instdiff.model.attention import Memory, SpatialTransformer
from instdiff.model.int8_weights import Int8Model

MEMORY_FORMAT = torch.channels_last
BLOCK_VARIANTS = 64  # of one function that torch compiles: 12 pairs of widths, and a few batches and sizes of each


@lru_cache(maxsize=64)
def _low_waves(height: int, width: int, device: torch.device) -> torch.Tensor:
    """(8, HW) float32: real parts, then imaginary parts, of the waves of frequencies {-1, 0} x {-1, 0}."""
    rows = torch.arange(height, dtype=torch.float64)[:, None] * (2 * torch.pi / height)
    columns = torch.arange(width, dtype=torch.float64) * (2 * torch.pi / width)
    # Along a side of one pixel the frequencies 0 and -1 are the same, and count once.
    angles = torch.stack([f * rows + g * columns for f in (0, 1)[: min(height, 2)] for g in (0, 1)[: min(width, 2)]])
    return torch.cat([angles.cos(), angles.sin()]).flatten(1).to(device, torch.float32)


def low_frequency_filter(x: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """Scale the frequencies {-1, 0} x {-1, 0} of x (B, C, H, W), and keep the real part.

    This is the Fourier filter of ScaleU with threshold 1 (InstanceDiffusion, section 3.2) in closed form: four
    coefficients, so no FFT. The window is not symmetric; the published weights were trained with it.
    """
    height, width = x.shape[-2:]
    waves = _low_waves(height, width, x.device)
    flat = x.float().permute(0, 2, 3, 1).flatten(1, 2)  # (B, HW, C), a view where x is channels last
    # Re(c * conj(wave)) with c = sum(x * wave) is the product of the real parts plus that of the imaginary parts.
    coefficients = (waves @ flat) * ((scale.float() - 1) / (height * width))  # (B, 8, C)
    filtered = torch.baddbmm(flat, waves.T.expand(len(x), -1, -1), coefficients)
    return filtered.unflatten(1, (height, width)).permute(0, 3, 1, 2).to(x.dtype)


class ScaleU(nn.Module):
    """Learned scales before a decoder concatenation (section 3.2): b for channels of h, s for the skip."""

    def __init__(self, channels: int):
        super().__init__()
        self.b = nn.Parameter(torch.zeros(channels))
        self.s = nn.Parameter(torch.zeros(1))

    def forward(self, h: torch.Tensor, skip: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return h * (self.b.tanh() + 1)[:, None, None], low_frequency_filter(skip, self.s.tanh() + 1)


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
            ResnetBlock2D(in_channels=a, out_channels=b, temb_channels=time_dim, groups=groups, eps=1e-5)
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

    def layer(
        self, i: int, x: torch.Tensor, time: torch.Tensor, memories: Iterator[Memory], scale: float
    ) -> torch.Tensor:
        """ResNet ``i`` and its transformer, which takes the next memory."""
        x = self.resnets[i](x, time)
        return self.attentions[i](x, next(memories), scale) if hasattr(self, "attentions") else x

    def encode(
        self, x: torch.Tensor, skips: list[torch.Tensor], time: torch.Tensor, memories: Iterator[Memory], scale: float
    ) -> torch.Tensor:
        """All layers of a level of the encoder; what each gives is added to ``skips``."""
        for i in range(len(self.resnets)):
            x = self.layer(i, x, time, memories, scale)
            skips.append(x)
        return x

    def decode(
        self, x: torch.Tensor, skips: list[torch.Tensor], time: torch.Tensor, memories: Iterator[Memory], scale: float
    ) -> torch.Tensor:
        """All layers of a level of the decoder; each takes the last of ``skips`` beside x."""
        for i in range(len(self.resnets)):
            h, skip = self.scaleu[i](x, skips.pop())
            x = self.layer(i, torch.cat([h, skip], dim=1), time, memories, scale)
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
    _repeated_blocks = ["ResnetBlock2D", "SpatialTransformer"]  # what `compile_repeated_blocks` compiles

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

        self.time_proj = Timesteps(widths[0], flip_sin_to_cos=True, downscale_freq_shift=0)
        self.time_embedding = TimestepEmbedding(widths[0], time_dim)
        self.conv_in = nn.Conv2d(in_channels, widths[0], 3, padding=1)
        if has_stock_conv_in:
            self.stock_conv_in = nn.Conv2d(in_channels, widths[0], 3, padding=1)

        self.down_blocks, skips = _encoder(widths, layers_per_block, time_dim, norm_num_groups, transformers)
        width = widths[-1]
        self.mid_block = Block([(width, width)], time_dim, norm_num_groups, attention)
        last = ResnetBlock2D(in_channels=width, temb_channels=time_dim, groups=norm_num_groups, eps=1e-5)
        self.mid_block.resnets.append(last)
        self.up_blocks = _decoder(widths, skips, layers_per_block + 1, time_dim, norm_num_groups, transformers)

        self.conv_norm_out = nn.GroupNorm(norm_num_groups, widths[0], eps=1e-5)
        self.conv_out = nn.Conv2d(widths[0], out_channels, 3, padding=1)

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
        in_order = iter(memories)
        timesteps = torch.as_tensor(timestep, device=sample.device).reshape(-1)  # one for all stays one row
        time = self.time_embedding(self.time_proj(timesteps).to(sample.dtype))

        sample = sample.contiguous(memory_format=MEMORY_FORMAT)  # so a feature map is a row of tokens without a copy
        x = (self.stock_conv_in if stock_conv_in else self.conv_in)(sample)
        if place_map is not None:
            x = x + grounding_scale * place_map
        skips = [x]
        for block in [outer] if known else self.down_blocks:
            x = block.encode(x, skips, time, in_order, grounding_scale)
            if hasattr(block, "downsamplers") and not known:
                x = block.downsamplers[0](x)
                skips.append(x)

        if not known:
            x = self.mid_block.layer(0, x, time, in_order, grounding_scale)
            x = self.mid_block.resnets[1](x, time)

        for block in [last] if known else self.up_blocks:
            if block is last and inner is not None:
                if not known:
                    inner.append(x)
                x = inner[0]
            x = block.decode(x, skips, time, in_order, grounding_scale)
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
        sizes = [size]  # (h, w) of each level
        for _ in self.down_blocks[1:]:
            sizes.append(((sizes[-1][0] + 1) // 2, (sizes[-1][1] + 1) // 2))
        biases: list[torch.Tensor | None] = [None] * len(sizes)
        if tokens is not None and regions is not None and self.config.instance_masked:
            biases = [_visibility(regions, tokens.shape[1], level).log().to(text.dtype) for level in sizes]  # 0 or -inf
        elif tokens is not None and counts is not None and text.device.type != "cpu":
            tokens = tokens.repeat_interleave(counts.long(), dim=1)  # there the fastest attention knows no bias
        elif counts is not None:
            biases = [F.pad(counts.log(), (h * w, 0)).to(text.dtype)[None, None, None] for h, w in sizes]
        blocks = [*self.down_blocks, self.mid_block, *self.up_blocks]
        bias_of = zip(blocks, [*biases, biases[-1], *biases[::-1]], strict=True)
        return [t.remember(text, tokens, bias) for block, bias in bias_of for t in getattr(block, "attentions", ())]


def _visibility(regions: torch.Tensor, num_tokens: int, size: tuple[int, int]) -> torch.Tensor:
    """(B, 1, HW, HW + T), 1 where a visual token may look: at visual tokens, and at those of places that cover it."""
    cover = (F.adaptive_max_pool2d(regions.float(), size).flatten(2) > 0).float()  # (B, N, HW)
    four_kinds = cover.repeat(1, 4, 1)  # box, point, scribble and polygon tokens of the same instances
    segs = cover.amax(dim=1, keepdim=True).expand(-1, num_tokens - four_kinds.shape[1], -1)
    visible = torch.cat([four_kinds, segs], dim=1).transpose(1, 2)  # (B, HW, T)
    return F.pad(visible, (visible.shape[1], 0), value=1.0)[:, None]
