"""What stays of a picture stays to the pixel; what is painted anew fades into it."""

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL
from PIL import Image

from instdiff.layout import Box
from instdiff.model.autoencoder import PatchAutoencoder
from instdiff.model.inpainting import FEATHER, keep, mask_of, match_ground, put_back

WIDTH, HEIGHT = SIZE = (144, 96)
REACH = round(FEATHER * HEIGHT)
INSIDE = (48, 24, 96, 72)  # pixels; a region with the old picture on all sides


def noise_picture(seed, size=SIZE):
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def mask_with(*rectangles, size=SIZE):
    """White in rectangles (x0, y0, x1, y1) of pixels."""
    mask = Image.new("L", size)
    for rectangle in rectangles:
        mask.paste(255, rectangle)
    return mask


def shares(mask):
    """(H, W) how much of the new picture is seen, 0..255: white is painted over black."""
    return np.asarray(put_back(Image.new("RGB", mask.size), Image.new("RGB", mask.size, "white"), mask))[..., 0]


@pytest.mark.parametrize(
    "rectangles",
    [[INSIDE], [(0, 0, 40, 96)], [(10, 10, 11, 11)], [INSIDE, (90, 60, 144, 96)], [(0, 0, *SIZE)], []],
    ids=["inside", "at the frame", "one pixel", "two that overlap", "everything", "nothing"],
)
def test_outside_of_the_mask_every_pixel_is_the_old_one_and_well_inside_the_new_one(rectangles):
    before, after, mask = noise_picture(0), noise_picture(1), mask_with(*rectangles)
    old, new, found = (np.asarray(image) for image in (before, after, put_back(before, after, mask)))
    outside = np.asarray(mask) == 0
    assert np.array_equal(found[outside], old[outside])
    inside = np.zeros_like(outside)
    for x0, y0, x1, y1 in rectangles:
        left, top, right, bottom = (x0 and x0 + REACH, y0 and y0 + REACH, x1 - REACH, y1 - REACH)
        inside[top : HEIGHT if y1 == HEIGHT else bottom, left : WIDTH if x1 == WIDTH else right] = True
    assert np.array_equal(found[inside], new[inside])


def test_between_the_two_one_fades_into_the_other():
    across = shares(mask_with(INSIDE))[48].astype(int)
    rise = across[: WIDTH // 2]
    assert (np.diff(rise) >= 0).all() and np.array_equal(across, across[::-1])
    assert ((rise > 0) & (rise < 255)).sum() == REACH - 1
    assert across[47:51].tolist() == [0, 128, 255, 255]  # half of white, rounded


@pytest.mark.parametrize("thickness", [1, 2, 3, 7, 20])
def test_a_region_thinner_than_the_fade_is_painted_anew_too(thickness):
    """At 1024 pixels the old picture fades out over 21: a lamp post of 20 pixels would never be new."""
    strip = (500, 300, 500 + thickness, 700)
    beside_another = (540, 200, 900, 800)
    found = shares(mask_with(strip, beside_another, size=(1024, 1024)))
    assert (found[500, 500 : 500 + thickness] == 255).sum() >= thickness / 2
    assert found[500, 499] == found[500, 500 + thickness] == 0


def test_the_frame_of_the_picture_is_no_edge():
    found = shares(mask_with((0, 0, 40, 60)))
    assert (found[: 60 - REACH, : 40 - REACH] == 255).all()
    assert found[0, 39] < 255 and found[59, 0] < 255


@pytest.mark.parametrize(("mode", "ink"), [("L", 128), ("1", 1), ("RGB", (255, 255, 255)), ("RGBA", "white")])
def test_masks_and_pictures_of_any_kind_of_pixel(mode, ink):
    mask = Image.new(mode, SIZE)
    mask.paste(ink, INSIDE)
    before = noise_picture(0).convert("RGBA")
    found = put_back(before, noise_picture(1), mask)
    expected = put_back(noise_picture(0), noise_picture(1), mask_with(INSIDE))
    assert found.mode == "RGB" and np.array_equal(np.asarray(found), np.asarray(expected))


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((0.0, 0.0, 1.0, 1.0), (0, 0, 100, 50)),
        ((0.1, 0.2, 0.5, 0.6), (10, 10, 50, 30)),
        ((0.104, 0.212, 0.496, 0.588), (10, 11, 50, 29)),  # to the nearest pixel
        ((0.106, 0.0, 0.107, 1.0), (11, 0, 12, 50)),  # never none
        ((0.999, 0.999, 1.0, 1.0), (99, 49, 100, 50)),
        ((0.0, 0.0, 0.001, 0.001), (0, 0, 1, 1)),
    ],
)
def test_boxes_as_a_mask(box, expected):
    region = Box(**dict(zip(("x0", "y0", "x1", "y1"), box, strict=True)))
    found = mask_of([region], (100, 50))
    assert found.size == (100, 50) and found.getbbox() == expected
    assert set(np.unique(np.asarray(found.crop(expected)))) == {255}


def test_a_mask_of_several_boxes_is_white_in_each():
    boxes = [Box(x0=0.1, y0=0.1, x1=0.3, y1=0.5), Box(x0=0.6, y0=0.4, x1=0.9, y1=0.9)]
    expected = mask_with((10, 5, 30, 25), (60, 20, 90, 45), size=(100, 50))
    assert np.array_equal(np.asarray(mask_of(boxes, (100, 50))), np.asarray(expected))
    assert mask_of([], (100, 50)).getbbox() is None


def variational():
    """Four pixels of the picture's side are a latent."""
    torch.manual_seed(0)
    kinds = {"down_block_types": ["DownEncoderBlock2D"] * 3, "up_block_types": ["UpDecoderBlock2D"] * 3}
    return AutoencoderKL(block_out_channels=(32, 32, 32), **kinds)


def patches():
    """Eight pixels of the picture's side are a latent."""
    torch.manual_seed(0)
    autoencoder = PatchAutoencoder(latent_channels=64, patch=8, decoder_channels=(8, 8, 8))
    smooth = torch.nn.functional.interpolate(torch.rand(40, 3, 8, 8), SIZE[::-1], mode="bicubic")
    autoencoder.fit(2 * smooth - 1)
    return autoencoder


@pytest.mark.parametrize(("make", "side"), [(variational, 4), (patches, 8)])
@torch.no_grad()
def test_every_latent_that_a_mask_touches_is_open(make, side):
    autoencoder = make()
    latent_size = (HEIGHT // side, WIDTH // side)
    rectangle = (side + 1, 2 * side - 1, 3 * side + 1, 3 * side)  # parts of latents 1 to 3 across, and 1 to 2 down
    pictures = [noise_picture(0), noise_picture(1)]
    first, second = keep(
        autoencoder, pictures, [mask_with(rectangle), Image.new("L", SIZE)], latent_size, torch.device("cpu")
    )
    expected = torch.zeros(1, 1, *latent_size)
    expected[..., 1:3, 1:4] = 1
    assert torch.equal(first.region, expected) and not second.region.any()
    alone = keep(autoencoder, pictures[1:], [mask_with()], latent_size, torch.device("cpu"))[0]
    assert second.latents.shape[2:] == latent_size and second.latents.dtype == torch.float32
    assert torch.allclose(second.latents, alone.latents, atol=1e-4)
    assert not torch.allclose(first.latents, second.latents, atol=0.1)


@torch.no_grad()
def test_kept_latents_are_the_picture():
    """What is decoded of them is what they were made of."""
    autoencoder = patches()
    smooth = Image.fromarray(np.random.default_rng(0).integers(0, 256, (4, 6, 3), dtype=np.uint8)).resize(SIZE)
    [kept] = keep(autoencoder, [smooth], [mask_with()], (HEIGHT // 8, WIDTH // 8), torch.device("cpu"))
    decoded = autoencoder.decode(kept.latents / autoencoder.config.scaling_factor).sample[0]
    shown = ((decoded + 1) * 127.5).clamp(0, 255).permute(1, 2, 0).numpy()
    assert np.abs(shown - np.asarray(smooth, dtype=float)).mean() < 3


def test_the_ground_takes_the_tones_around_the_region_and_things_keep_theirs():
    before = Image.new("RGB", (96, 96), (20, 40, 120))
    after = Image.new("RGB", (96, 96), (150, 140, 130))
    after.paste((200, 30, 30), (40, 40, 60, 60))
    mask = mask_of([Box(x0=0.2, y0=0.2, x1=0.8, y1=0.8)], before.size)
    cover = torch.zeros(96, 96)
    cover[40:60, 40:60] = 1
    matched = np.asarray(match_ground(before, after, mask, cover)).astype(int)
    inside = np.asarray(mask) > 0
    thing = cover.numpy() > 0
    assert abs(matched[inside & ~thing] - (20, 40, 120)).max() <= 2
    assert (matched[thing] == (200, 30, 30)).all() and (matched[~inside] == (150, 140, 130)).all()
    everywhere = mask_of([Box(x0=0.0, y0=0.0, x1=1.0, y1=1.0)], before.size)
    assert match_ground(before, after, everywhere, cover) is after  # no edge says what the ground was like


def test_ground_of_another_tone_on_each_side_becomes_a_gradient():
    ramp = np.zeros((64, 64, 3), np.uint8) + np.linspace(0, 200, 64).astype(np.uint8)[None, :, None]
    before = Image.fromarray(ramp)
    mask = mask_of([Box(x0=0.25, y0=0.25, x1=0.75, y1=0.75)], before.size)
    matched = match_ground(before, Image.new("RGB", (64, 64), (90, 90, 90)), mask, torch.zeros(8, 8))
    rows = np.asarray(matched).astype(int)[16:48, 16:48, 0]
    assert abs(rows - ramp[16:48, 16:48, 0].astype(int)).max() < 40 and rows[16, 0] < rows[16, 16] < rows[16, -1]
