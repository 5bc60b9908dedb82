"""The UNet of Stable Diffusion 1.5 with gated self-attention over grounding tokens, and ScaleU.

Parameter names are those of diffusers' `UNet2DConditionModel`, plus ``fuser.*``, ``scaleu.*`` and ``stock_conv_in``.
"""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from diffusers.loaders import PeftAdapterMixin
from diffusers.models.attention import Attention, FeedForward
from diffusers.models.embeddings import TimestepEmbedding, Timesteps
from diffusers.models.resnet import Downsample2D, ResnetBlock2D, Upsample2D
from torch import nn


class GatedSelfAttention(nn.Module):
    """Lets visual tokens look at grounding tokens, through gates that start closed (GLIGEN; InstanceDiffusion, section 3.1)."""

    def __init__(self, dim: int, token_dim: int, heads: int):
        super().__init__()
        self.linear = nn.Linear(token_dim, dim)
        self.attn = Attention(dim, heads=heads, dim_head=dim // heads)
        self.ff = FeedForward(dim, activation_fn="geglu")
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.alpha_attn, self.alpha_dense = nn.Parameter(torch.tensor(0.0)), nn.Parameter(torch.tensor(0.0))

    def forward(self, x: torch.Tensor, tokens: torch.Tensor, scale: float, mask: torch.Tensor | None) -> torch.Tensor:
        """x: (B, HW, C) visual tokens; tokens: (B, T, D); mask: (B, HW, T) True where a visual token may look, or None."""
        both = self.norm1(torch.cat([x, self.linear(tokens)], dim=1))  # (B, HW + T, C)
        if mask is not None:
            mask = F.pad(mask, (x.shape[1], 0), value=True)  # visual tokens always see each other
        # Queries are needed for the visual tokens alone: what the grounding tokens become is never read.
        x = x + scale * self.alpha_attn.tanh() * self.attn(both[:, : x.shape[1]], both, attention_mask=mask)
        return x + scale * self.alpha_dense.tanh() * self.ff(self.norm2(x))


class TransformerBlock(nn.Module):
    """Self-attention, grounding, cross-attention to the caption, feed-forward."""

    def __init__(self, dim: int, text_dim: int, token_dim: int, heads: int):
        super().__init__()
        self.norm1, self.norm2, self.norm3 = nn.LayerNorm(dim), nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.attn1 = Attention(dim, heads=heads, dim_head=dim // heads)
        self.fuser = GatedSelfAttention(dim, token_dim, heads)
        self.attn2 = Attention(dim, cross_attention_dim=text_dim, heads=heads, dim_head=dim // heads)
        self.ff = FeedForward(dim, activation_fn="geglu")

    def forward(self, x, text, tokens, scale, mask):
        x = x + self.attn1(self.norm1(x))
        if scale != 0 and tokens is not None:
            x = self.fuser(x, tokens, scale, mask)
        x = x + self.attn2(self.norm2(x), text)
        return x + self.ff(self.norm3(x))


class SpatialTransformer(nn.Module):
    """A transformer block over the positions of a feature map."""

    def __init__(self, dim: int, text_dim: int, token_dim: int, heads: int, groups: int):
        super().__init__()
        self.norm = nn.GroupNorm(groups, dim, eps=1e-6)
        self.proj_in, self.proj_out = nn.Conv2d(dim, dim, 1), nn.Conv2d(dim, dim, 1)
        self.transformer_blocks = nn.ModuleList([TransformerBlock(dim, text_dim, token_dim, heads)])

    def forward(self, x, text, tokens, scale, masks):
        height, width = x.shape[-2:]
        h = self.proj_in(self.norm(x)).flatten(2).transpose(1, 2)  # (B, HW, C)
        h = self.transformer_blocks[0](h, text, tokens, scale, masks.get((height, width)))
        return x + self.proj_out(h.transpose(1, 2).unflatten(2, (height, width)))


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
    waves, flat = _low_waves(height, width, x.device), x.float().flatten(2)
    # Re(c * conj(wave)) with c = sum(x * wave) is the product of the real parts plus that of the imaginary parts.
    low = (flat @ waves.T) @ waves / (height * width)  # (B, C, HW)
    return (flat + (scale.float() - 1) * low).view_as(x).to(x.dtype)


class ScaleU(nn.Module):
    """Learned scales before a decoder concatenation (InstanceDiffusion, section 3.2): b for channels of h, s for the skip."""

    def __init__(self, channels: int):
        super().__init__()
        self.b, self.s = nn.Parameter(torch.zeros(channels)), nn.Parameter(torch.zeros(1))

    def forward(self, h: torch.Tensor, skip: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return h * (self.b.tanh() + 1)[:, None, None], low_frequency_filter(skip, self.s.tanh() + 1)


class Block(nn.Module):
    """One level of the encoder, the middle or the decoder: ResNets, each followed by a transformer where there is attention."""

    def __init__(self, widths: list[tuple[int, int]], time_dim: int, groups: int, transformer: dict | None, scaleu: list[int] = ()):
        super().__init__()
        self.resnets = nn.ModuleList(
            ResnetBlock2D(in_channels=a, out_channels=b, temb_channels=time_dim, groups=groups, eps=1e-5) for a, b in widths
        )
        if transformer:
            self.attentions = nn.ModuleList(SpatialTransformer(dim=b, groups=groups, **transformer) for _, b in widths)
        if scaleu:
            self.scaleu = nn.ModuleList(ScaleU(channels) for channels in scaleu)

    def layer(self, i: int, x: torch.Tensor, time: torch.Tensor, context: tuple) -> torch.Tensor:
        x = self.resnets[i](x, time)
        return self.attentions[i](x, *context) if hasattr(self, "attentions") else x


class InstanceUNet(ModelMixin, ConfigMixin, PeftAdapterMixin):
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
        widths, levels, time_dim = block_out_channels, range(len(block_out_channels)), 4 * block_out_channels[0]
        attention = dict(text_dim=cross_attention_dim, token_dim=cross_attention_dim, heads=attention_heads)

        self.time_proj = Timesteps(widths[0], flip_sin_to_cos=True, downscale_freq_shift=0)
        self.time_embedding = TimestepEmbedding(widths[0], time_dim)
        self.conv_in = nn.Conv2d(in_channels, widths[0], 3, padding=1)
        if has_stock_conv_in:
            self.stock_conv_in = nn.Conv2d(in_channels, widths[0], 3, padding=1)

        self.down_blocks, skips, width = nn.ModuleList(), [widths[0]], widths[0]
        for level in levels:
            pairs = [(width if i == 0 else widths[level], widths[level]) for i in range(layers_per_block)]
            block = Block(pairs, time_dim, norm_num_groups, attention if attention_levels[level] else None)
            width = widths[level]
            skips += [width] * layers_per_block
            if level != levels[-1]:
                block.downsamplers = nn.ModuleList([Downsample2D(width, use_conv=True, name="op")])
                skips.append(width)
            self.down_blocks.append(block)

        self.mid_block = Block([(width, width)], time_dim, norm_num_groups, attention)
        self.mid_block.resnets.append(
            ResnetBlock2D(in_channels=width, out_channels=width, temb_channels=time_dim, groups=norm_num_groups, eps=1e-5)
        )

        self.up_blocks = nn.ModuleList()
        for level in reversed(levels):
            pairs, from_below = [], []
            for _ in range(layers_per_block + 1):
                from_below.append(width)
                pairs.append((width + skips.pop(), widths[level]))
                width = widths[level]
            block = Block(pairs, time_dim, norm_num_groups, attention if attention_levels[level] else None, from_below)
            if level != 0:
                block.upsamplers = nn.ModuleList([Upsample2D(width, use_conv=True)])
            self.up_blocks.append(block)

        self.conv_norm_out = nn.GroupNorm(norm_num_groups, width, eps=1e-5)
        self.conv_out = nn.Conv2d(width, out_channels, 3, padding=1)

    def forward(
        self,
        sample: torch.Tensor,
        timestep: torch.Tensor | float,
        encoder_hidden_states: torch.Tensor,
        grounding_tokens: torch.Tensor | None = None,
        regions: torch.Tensor | None = None,
        place_map: torch.Tensor | None = None,
        grounding_scale: float = 1.0,
        stock_conv_in: bool = False,
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

        Returns:
            (B, C, H, W).
        """
        timesteps = torch.as_tensor(timestep, device=sample.device).expand(len(sample))
        time = self.time_embedding(self.time_proj(timesteps).to(sample.dtype))
        masks = self._attention_masks(sample, grounding_tokens, regions)
        context = (encoder_hidden_states, grounding_tokens, grounding_scale, masks)

        x = (self.stock_conv_in if stock_conv_in else self.conv_in)(sample)
        if place_map is not None:
            x = x + grounding_scale * place_map
        skips = [x]
        for block in self.down_blocks:
            for i in range(len(block.resnets)):
                x = block.layer(i, x, time, context)
                skips.append(x)
            if hasattr(block, "downsamplers"):
                x = block.downsamplers[0](x)
                skips.append(x)

        x = self.mid_block.layer(0, x, time, context)
        x = self.mid_block.resnets[1](x, time)

        for block in self.up_blocks:
            for i in range(len(block.resnets)):
                h, skip = block.scaleu[i](x, skips.pop())
                x = block.layer(i, torch.cat([h, skip], dim=1), time, context)
            if hasattr(block, "upsamplers"):
                x = block.upsamplers[0](x, output_size=skips[-1].shape[-2:])

        return self.conv_out(F.silu(self.conv_norm_out(x)))

    def _attention_masks(self, sample: torch.Tensor, tokens: torch.Tensor | None, regions: torch.Tensor | None) -> dict:
        """{(H, W): (B, HW, T) bool} for every level, or nothing where the model is not instance-masked."""
        if not self.config.instance_masked or tokens is None or regions is None:
            return {}
        height, width = sample.shape[-2:]
        masks = {}
        for _ in self.down_blocks:
            cover = F.adaptive_max_pool2d(regions.to(sample.dtype), (height, width)).flatten(2) > 0  # (B, N, HW)
            four_kinds = cover.repeat(1, 4, 1)  # box, point, scribble and polygon tokens of the same instances
            segs = cover.any(dim=1, keepdim=True).expand(-1, tokens.shape[1] - four_kinds.shape[1], -1)
            masks[height, width] = torch.cat([four_kinds, segs], dim=1).transpose(1, 2)  # (B, HW, T)
            height, width = (height + 1) // 2, (width + 1) // 2
        return masks
