import colorsys
import io
import subprocess
import sys
import tarfile

import numpy as np
import pytest

pytest.importorskip("cv2")

from instdiff.errors import BadInput
from instdiff.train.catalogue import COLOURS, THINGS
from instdiff.train.compose import IN_FRAME, MIN_PIXELS, VISIBLE, Composer
from instdiff.train.sprites import ART, Sprite, load_sprites, recolour, unpack
from instdiff.train.wording import article, plural

HUES = {"red": 0, "orange": 30, "yellow": 50, "green": 130, "blue": 220, "purple": 270, "pink": 335}


def solid(category, rgb, height=48, width=64):
    """An ellipse of one colour with a little shading from top to bottom."""
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    shaded = np.float32(rgb) * np.linspace(1, 0.7, height)[:, None, None]
    alpha = np.where(x**2 + y**2 <= 1, 255.0, 0.0)
    return Sprite(category, np.dstack([np.broadcast_to(shaded, (height, width, 3)), alpha]).astype(np.uint8))


@pytest.fixture(scope="module")
def composer():
    paints = {"cat": (200, 140, 90), "car": (220, 40, 50), "table": (160, 100, 50), "cup": (60, 90, 210)}
    paints |= {"person": (240, 180, 60), "sun": (250, 200, 30), "boat": (200, 50, 60), "clock": (210, 210, 215), "house": (200, 120, 80)}
    return Composer({name: [solid(name, rgb)] for name, rgb in paints.items()}, size=96)


@pytest.fixture(scope="module")
def scenes(composer):
    rng = np.random.default_rng(5)
    return [composer.compose(rng) for _ in range(150)]


def test_boxes_are_tight_around_masks_that_do_not_overlap(scenes):
    for scene in scenes:
        assert scene.image.shape == (96, 96, 3) and scene.image.dtype == np.uint8
        assert 1 <= len(scene.instances) <= 10
        assert np.sum([one.mask for one in scene.instances], axis=0).max() == 1
        for one in scene.instances:
            rows, columns = np.flatnonzero(one.mask.any(axis=1)), np.flatnonzero(one.mask.any(axis=0))
            tight = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
            assert one.box.to_corners((96, 96)) == pytest.approx(tight)
            assert one.mask.sum() >= MIN_PIXELS


def test_enough_is_seen_of_everything(composer, monkeypatch):
    kept = []
    visible = Composer._visible
    monkeypatch.setattr(Composer, "_visible", lambda self, layers: kept.append(visible(self, layers)) or kept[-1])
    rng = np.random.default_rng(9)
    for _ in range(60):
        composer.compose(rng)
    shares = [layer.mask.sum() / (layer.rgba[..., 3] >= 0.5).sum() for layers in kept for layer in layers]
    assert len(shares) > 100 and min(shares) >= VISIBLE
    assert min(shares) < 0.9, "nothing is ever hidden or cut"
    assert IN_FRAME > VISIBLE


def test_the_same_seed_gives_the_same_scene(composer):
    first, again, other = (composer.compose(np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert np.array_equal(first.image, again.image) and first.caption == again.caption
    assert [one.caption for one in first.instances] == [one.caption for one in again.instances]
    assert not np.array_equal(first.image, other.image)


def test_captions_name_the_category_and_the_colour_where_it_was_chosen(scenes):
    everything = [one for scene in scenes for one in scene.instances]
    for one in everything:
        words = one.caption.split()
        assert one.category in one.caption
        named = [colour for colour in COLOURS if colour in words and colour != one.category]
        assert named == ([one.colour] if one.colour else [])
        assert one.colour is None or one.colour in THINGS[one.category].colours
    assert not any(one.colour for one in everything if one.category == "person")
    tintable = [one.colour is not None for one in everything if THINGS[one.category].colours]
    assert 0.7 < np.mean(tintable) < 0.9
    assert len({scene.caption for scene in scenes}) > 100


def test_sizes_and_numbers_are_varied(scenes):
    numbers = [len(scene.instances) for scene in scenes]
    sides = [max(one.box.width, one.box.height) for scene in scenes for one in scene.instances]
    assert 2.5 < np.mean(numbers) < 5 and max(numbers) > 6
    assert np.mean(np.array(sides) > 0.5) > 0.1 and np.mean(np.array(sides) < 0.2) > 0.1


@pytest.mark.parametrize("colour", sorted(COLOURS))
@pytest.mark.parametrize("rgb", [(205, 60, 60), (90, 60, 40), (225, 225, 230), (60, 120, 220)])
def test_recolouring_gives_the_asked_colour_and_keeps_the_shading(rgb, colour):
    sprite = solid("car", rgb)
    tinted = recolour(sprite.rgba, colour)
    inside = sprite.rgba[..., 3] > 0
    hue, saturation, value = colorsys.rgb_to_hsv(*(tinted[inside][:, :3].mean(axis=0) / 255))
    if colour in HUES:
        assert abs((hue * 360 - HUES[colour] + 180) % 360 - 180) < 22 and saturation > 0.35
    elif colour == "brown":
        assert 15 < hue * 360 < 40 and value < 0.65
    else:
        assert saturation < 0.15 and {"black": value < 0.3, "gray": 0.35 < value < 0.75, "white": value > 0.8}[colour]
    assert np.array_equal(tinted[..., 3], sprite.rgba[..., 3])
    assert tinted[8, 32, :3].sum() > tinted[40, 32, :3].sum()


def test_a_part_of_another_hue_keeps_its_colour():
    rgba = solid("car", (215, 40, 40)).rgba.copy()
    rgba[16:24, 24:40, :3] = (60, 170, 240)
    tinted = recolour(rgba, "green")
    assert np.abs(tinted[18:22, 26:38, :3].astype(int) - (60, 170, 240)).max() <= 2
    assert tinted[34, 32, 1] > tinted[34, 32, 0] + 40


def test_the_package_is_unpacked_flat_and_pictures_only(tmp_path):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name in ("package/assets/1f408.webp", "../../escaped.webp", "package/run.js"):
            member = tarfile.TarInfo(name)
            member.size = 4
            archive.addfile(member, io.BytesIO(b"data"))
        link = tarfile.TarInfo("package/link.webp")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
        archive.addfile(link)
    unpack(packed.getvalue(), tmp_path / "sprites")
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == ["1f408.webp", "escaped.webp"]
    assert not (tmp_path / "sprites" / "link.webp").exists() and not (tmp_path.parent / "escaped.webp").exists()


def test_missing_pictures_are_refused(tmp_path):
    with pytest.raises(BadInput, match="--stage sprites"):
        load_sprites(tmp_path)


def test_every_thing_without_emoji_has_a_drawing():
    drawings = {path.stem for path in ART.glob("*.svg")}
    assert drawings == {name for name, thing in THINGS.items() if not thing.emoji}


@pytest.mark.parametrize(
    ("word", "one", "many"),
    [("sheep", "a sheep", "sheep"), ("umbrella", "an umbrella", "umbrellas"), ("couch", "a couch", "couches"),
     ("bus", "a bus", "buses"), ("butterfly", "a butterfly", "butterflies"), ("person", "a person", "people"),
     ("orange", "an orange", "oranges"), ("picture frame", "a picture frame", "picture frames")],
)  # fmt: skip
def test_articles_and_plurals(word, one, many):
    assert (article(word), plural(word)) == (one, many)


def test_importing_needs_no_heavy_library():
    code = "import sys, instdiff.train.compose; assert not {'torch', 'cv2', 'resvg_py'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
