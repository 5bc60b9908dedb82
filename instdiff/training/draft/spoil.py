"""Moves pictures with what is on them, and spoils them the way a small painter does: whole batches, on their device."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F

from instdiff.model.autoencoder import PatchAutoencoder
from instdiff.training.draft.labelled_pictures import IGNORED, NO_THING, LabelledPictures

ENLARGED = 0.7  # share of the pictures
ENLARGEMENT = (-0.1, 0.6)  # log of the factor
BENT = 0.35
BEND_CELLS = 12  # of a side: between their corners neighbours shift alike
LEFT_OVER = 0.6  # a thing of whose box less stays on the picture is no thing
SHORTEST_SIDE = 0.02  # of the picture
REPAINTED = 0.3
LATENT_NOISE = 0.4  # the most, in deviations of scaled latents
TINTED = 0.7
NOISED = 0.35
BLOCK = 8  # pixels, of a JPEG


class Repainter:
    """Passes some new pictures through one of the autoencoders, most of these with noise on their latents.

    It costs more than all other flaws together, so a picture goes through it once, before it is drawn for batches.
    """

    def __init__(self, autoencoders: Sequence[PatchAutoencoder], share: float = REPAINTED):
        self.autoencoders = [autoencoder.float().eval().requires_grad_(False) for autoencoder in autoencoders]
        self.share = share

    def __call__(self, images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Pictures (n, S, S, 3) uint8 with some of them repainted."""
        device = images.device
        chosen = torch.rand(len(images), generator=generator, device=device) < self.share
        choice = torch.randint(len(self.autoencoders), (len(images),), generator=generator, device=device)
        images = images.clone()
        for index, autoencoder in enumerate(self.autoencoders):
            own = (chosen & (choice == index)).nonzero()[:, 0]
            if len(own):
                pictures = images[own].permute(0, 3, 1, 2).float() / 127.5 - 1
                repainted = repaint(pictures, autoencoder.to(device), generator)
                images[own] = ((repainted + 1) * 127.5).round().byte().permute(0, 2, 3, 1)
        return images


@torch.no_grad()
def repaint(images: torch.Tensor, autoencoder: PatchAutoencoder, generator: torch.Generator) -> torch.Tensor:
    """Pictures (B, 3, S, S) in -1..1 through the autoencoder; two thirds of them with noise on their latents."""
    latents = autoencoder.encode(images).latent
    amounts = LATENT_NOISE * _uniform(images, generator) * (_uniform(images, generator) < 0.67)
    noise = torch.randn(latents.shape, generator=generator, device=images.device)
    decoded = autoencoder.decode(latents + noise * amounts / autoencoder.config.scaling_factor).sample
    return decoded.clamp(-1, 1)


def moved(pictures: LabelledPictures, generator: torch.Generator) -> LabelledPictures:
    """Half of the pictures mirrored, most enlarged and shifted, a third bent by a few pixels, with boxes and masks.

    Bending is no more than boxes and masks may be wrong by. What leaves the picture for the most part is no thing any
    more; the boxes of the rest are cut at the edge. What is beyond the edge shows the edge's colours: reflected, it
    would show things that no label names.
    """
    images, boxes, labels, colours, textures, masks = pictures
    b, _, side, _ = images.shape
    mirror = torch.where(_uniform(images, generator).flatten() < 0.5, -1.0, 1.0)
    low, high = ENLARGEMENT
    factor = torch.exp(low + (high - low) * _uniform(images, generator).flatten())
    zoom = torch.where(_uniform(images, generator).flatten() < ENLARGED, factor, 1.0)
    scale = torch.stack([mirror / zoom, 1 / zoom], dim=-1)  # (B, 2): of the picture's sides, x y
    # The window stays on the picture where it is smaller.
    shift = (2 * torch.rand(b, 2, generator=generator, device=images.device) - 1) * (1 - 1 / zoom).abs()[:, None]
    line = (torch.arange(side, device=images.device) + 0.5) * 2 / side - 1
    centres = torch.stack(torch.meshgrid(line, line, indexing="xy"), dim=-1)  # (S, S, 2) in -1..1
    grid = centres * scale[:, None, None] + shift[:, None, None]  # (B, S, S, 2): where each pixel comes from
    bent = grid + bends(images, generator)
    images = F.grid_sample(images, bent, padding_mode="border", align_corners=False)
    mask_grid = F.avg_pool2d(grid.permute(0, 3, 1, 2), side // masks.shape[-1]).permute(0, 2, 3, 1)
    masks = F.grid_sample(masks.float(), mask_grid, align_corners=False) > 0.5
    boxes, stays = moved_boxes(boxes, scale, shift)
    is_ignored = (labels <= IGNORED) & ((boxes[..., 2:] - boxes[..., :2]).amin(dim=-1) > 0)  # whatever is left of it
    labels = torch.where(stays | is_ignored, labels, NO_THING)
    return LabelledPictures(images, boxes, labels, colours, textures, masks)


def bends(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """How far each pixel is shifted, (B, S, S, 2) in halves of a side: up to 1 to 4 pixels in some of the pictures."""
    b, _, side, _ = images.shape
    pixels = (1 + 3 * _uniform(images, generator)) * (_uniform(images, generator) < BENT)
    corners = torch.rand(b, 2, BEND_CELLS, BEND_CELLS, generator=generator, device=images.device) * 2 - 1
    shifts = F.interpolate(corners * pixels * 2 / side, (side, side), mode="bilinear", align_corners=True)
    return shifts.permute(0, 2, 3, 1)


def moved_boxes(boxes: torch.Tensor, scale: torch.Tensor, shift: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Boxes (B, n, 4) on pictures whose point p shows what was at p * scale + shift, and which of them stay (B, n).

    Args:
        scale, shift: (B, 2) x y, in coordinates from -1 to 1.
    """
    corners = (boxes * 2 - 1 - shift.repeat(1, 2)[:, None]) / scale.repeat(1, 2)[:, None]
    x0, y0, x1, y1 = ((corners + 1) / 2).unbind(dim=-1)
    whole = torch.stack([torch.minimum(x0, x1), y0, torch.maximum(x0, x1), y1], dim=-1)
    cut = whole.clamp(0, 1)
    sides = cut[..., 2:] - cut[..., :2]
    area = (whole[..., 2:] - whole[..., :2]).prod(dim=-1)
    return cut, (sides.prod(dim=-1) > LEFT_OVER * area) & (sides.amin(dim=-1) > SHORTEST_SIDE)


def spoiled(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Pictures (B, 3, S, S) in -1..1 with random flaws; things stay where they are."""
    images = images.clone()
    b = len(images)
    for flaw, share in FLAWS:
        chosen = torch.randperm(b, generator=generator, device=images.device)[: max(int(b * share), 1)]
        images[chosen] = flaw(images[chosen], generator)
    images = torch.where(_uniform(images, generator) < TINTED, tint(images, generator), images)
    images = torch.where(_uniform(images, generator) < NOISED, add_noise(images, generator), images)
    return images.clamp(-1, 1)


def erase(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Replace two rectangles of each by a colour of the picture, or by another part of it."""
    b, _, side, _ = images.shape
    line = (torch.arange(side, device=images.device) + 0.5) / side
    for _ in range(2):
        centre = torch.rand(b, 2, 1, generator=generator, device=images.device)
        reach = (0.04 + 0.16 * torch.rand(b, 2, 1, generator=generator, device=images.device)) / 2
        across, down = ((line - centre).abs() < reach).unbind(dim=1)  # (B, S) each
        rectangle = across[:, None, None, :] & down[:, None, :, None]
        row, column, kind = torch.rand(3, generator=generator, device=images.device).tolist()
        row = int(row * side)
        column = int(column * side)
        other = images.roll((row, column), (2, 3)) if kind < 0.4 else images[:, :, row, column][:, :, None, None]
        images = torch.where(rectangle, other, images)
    return images


def shrink(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Scale down by up to 5 and up again."""
    side = images.shape[-1]
    amount, kind = torch.rand(2, generator=generator, device=images.device).tolist()
    small = F.interpolate(images, (int(side / (1 + 4 * amount)),) * 2, mode="area")
    return F.interpolate(small, (side, side), mode="bilinear" if kind < 0.5 else "bicubic", align_corners=False)


def blur(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Gaussian blur of up to 3 pixels."""
    sigma = 0.3 + 2.7 * torch.rand((), generator=generator, device=images.device)
    kernel = torch.exp(-0.5 * (torch.arange(-9, 10, device=images.device) / sigma) ** 2)
    kernel = (kernel / kernel.sum()).expand(3, 1, -1)
    padded = F.pad(images, (9,) * 4, mode="reflect")
    return F.conv2d(F.conv2d(padded, kernel[..., None], groups=3), kernel[:, :, None], groups=3)


def quantise(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Round the cosine transform of blocks, the finer waves more coarsely, as a strong JPEG compression does."""
    b, _, side, _ = images.shape
    index = torch.arange(BLOCK, device=images.device, dtype=torch.float32)
    waves = 0.5 * torch.cos((index + 0.5) * index[:, None] * torch.pi / BLOCK)  # (wave, pixel), orthonormal
    waves[0] *= 0.5**0.5
    blocks = images.reshape(b, 3, side // BLOCK, BLOCK, side // BLOCK, BLOCK)
    values = torch.einsum("ui,bchiwj,vj->bchuwv", waves, blocks, waves)
    coarse = 0.03 + 0.12 * torch.rand(b, 1, 1, 1, 1, 1, generator=generator, device=images.device)
    step = coarse * (1 + 0.5 * index[:, None, None] + 0.5 * index)
    return torch.einsum("ui,bchuwv,vj->bchiwj", waves, (values / step).round() * step, waves).reshape(images.shape)


def blotch(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Add coarse noise: blobs of wrong colour."""
    cells = 8 * 2 ** int(torch.randint(4, (), generator=generator, device=images.device))
    noise = torch.randn(len(images), 3, cells, cells, generator=generator, device=images.device)
    blobs = noise * (0.05 + 0.2 * _uniform(images, generator))
    return images + F.interpolate(blobs, images.shape[-2:], mode="bilinear", align_corners=False)


def tint(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Change saturation, contrast and brightness, and tint a little."""
    gray = images.mean(dim=1, keepdim=True)
    coloured = gray + (images - gray) * (0.5 + 0.9 * _uniform(images, generator))
    brightness = 0.4 * _uniform(images, generator) - 0.2
    colour = 0.05 * torch.randn(len(images), 3, 1, 1, generator=generator, device=images.device)
    return coloured * (0.6 + 0.65 * _uniform(images, generator)) + brightness + colour


def add_noise(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Add fine noise."""
    noise = torch.randn(images.shape, generator=generator, device=images.device)
    return images + noise * (0.01 + 0.14 * _uniform(images, generator))


Flaw = Callable[[torch.Tensor, torch.Generator], torch.Tensor]
# Each with the share of a batch that has it. Those of one strength for all that have it come twice.
FLAWS: tuple[tuple[Flaw, float], ...] = (
    (erase, 0.3), (shrink, 0.2), (shrink, 0.2), (blur, 0.15), (blur, 0.15), (quantise, 0.2), (blotch, 0.35),
)  # fmt: skip


def _uniform(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """A number in 0..1 for each picture, (B, 1, 1, 1)."""
    return torch.rand(len(images), 1, 1, 1, generator=generator, device=images.device)
