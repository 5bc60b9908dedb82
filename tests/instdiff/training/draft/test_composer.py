import colorsys
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("cv2")

from instdiff.training.draft.captions import PATTERNS, Look, article, nouns, place_of, plural, scene_caption
from instdiff.training.draft.catalogue import COLOURS, COMMON, TEXTURES, THINGS
from instdiff.training.draft.composer import IN_FRAME, MIN_PIXELS, VISIBLE, Composer
from instdiff.training.draft.planned_scenes import MOST, STRETCH, WORLDS, place_in_world, twins_of_categories, world
from instdiff.training.draft.sprites import Sprite, paint, recolour
from instdiff.world import knowledge

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
    paints |= {
        "person": (240, 180, 60),
        "sun": (250, 200, 30),
        "boat": (200, 50, 60),
        "clock": (210, 210, 215),
        "house": (200, 120, 80),
    }
    return Composer({name: [solid(name, rgb)] for name, rgb in paints.items()}, size=96)


@pytest.fixture(scope="module")
def scenes(composer):
    rng = np.random.default_rng(5)
    return [composer.compose(rng) for _ in range(300)]


def test_boxes_are_tight_around_masks_that_do_not_overlap(scenes):
    for scene in scenes:
        assert scene.image.shape == (96, 96, 3) and scene.image.dtype == np.uint8
        assert len(scene.instances) <= MOST
        assert np.sum([instance.mask for instance in scene.instances], axis=0).max() == bool(scene.instances)
        for instance in scene.instances:
            rows = np.flatnonzero(instance.mask.any(axis=1))
            columns = np.flatnonzero(instance.mask.any(axis=0))
            tight = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
            assert instance.box.to_corners((96, 96)) == pytest.approx(tight)
            assert instance.mask.sum() >= MIN_PIXELS


def test_enough_is_seen_of_everything(composer, monkeypatch):
    scenes_layers = []
    visible = Composer._visible
    monkeypatch.setattr(
        Composer, "_visible", lambda self, layers: scenes_layers.append(visible(self, layers)) or scenes_layers[-1]
    )
    rng = np.random.default_rng(9)
    for _ in range(60):
        composer.compose(rng)
    shares = [layer.mask.sum() / (layer.rgba[..., 3] >= 0.5).sum() for layers in scenes_layers for layer in layers]
    assert len(shares) > 100 and min(shares) >= VISIBLE
    assert min(shares) < 0.9, "nothing is ever hidden or cut"
    assert IN_FRAME > VISIBLE


def test_the_same_seed_gives_the_same_scene(composer):
    first, again, other = (composer.compose(np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert np.array_equal(first.image, again.image) and first.caption == again.caption
    assert [instance.caption for instance in first.instances] == [instance.caption for instance in again.instances]
    assert not np.array_equal(first.image, other.image)


def test_captions_name_the_category_and_what_it_is_painted_in(scenes):
    everything = [instance for scene in scenes for instance in scene.instances]
    for instance in everything:
        words = instance.caption.replace("grey", "gray").split()
        assert any(noun in instance.caption for noun in (instance.category, *nouns(instance.category))), (
            instance.caption
        )
        assert [colour for colour in COLOURS if colour in words] == ([instance.colour] if instance.colour else [])
        textures = [
            name for name, (before, after) in PATTERNS.items() if set(before) & set(words) or after in instance.caption
        ]
        assert textures == ([instance.texture] if instance.texture else [])
        kind = THINGS[instance.category]
        assert instance.colour in (None, kind.natural, *kind.colours) and instance.texture in (None, *kind.textures)
    assert not any(instance.colour or instance.texture for instance in everything if instance.category == "person")
    tintable = [instance.colour is not None for instance in everything if THINGS[instance.category].colours]
    assert 0.5 < np.mean(tintable) < 0.85
    assert any(instance.texture for instance in everything)
    assert len({scene.caption for scene in scenes}) > 200


def test_a_few_scenes_are_empty_and_have_a_caption_all_the_same(scenes):
    empty = [scene for scene in scenes if not scene.instances]
    assert 1 <= len(empty) < 15
    assert all(scene.caption for scene in empty)


def test_the_second_look_comes_as_often_as_asked(composer):
    usual, other = (Sprite("cat", np.full((8, width, 4), 255, np.uint8)) for width in (8, 6))
    rng = np.random.default_rng(2)
    for share in (0.0, 0.3):
        both = Composer({"cat": [usual, other]}, 96, second_look=share)
        drawn = [both.pick("cat", rng) is other for _ in range(800)]
        assert np.mean(drawn) == pytest.approx(share, abs=0.06)


def test_sizes_and_numbers_are_varied(scenes):
    numbers = [len(scene.instances) for scene in scenes]
    sides = [max(instance.box.width, instance.box.height) for scene in scenes for instance in scene.instances]
    assert 2.5 < np.mean(numbers) < 5 and max(numbers) > 7
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


@pytest.mark.parametrize("texture", TEXTURES)
def test_textures_paint_the_body_alone_and_leave_the_outline(texture):
    rgba = solid("car", (215, 40, 40)).rgba.copy()
    rgba[16:24, 24:40, :3] = (60, 170, 240)
    textured = paint(rgba, "red", texture)
    plain = paint(rgba, "red")
    assert np.array_equal(textured[..., 3], rgba[..., 3])
    assert np.abs(textured[18:22, 26:38, :3].astype(int) - (60, 170, 240)).max() <= 2
    body = rgba[..., 3] > 0
    body[14:26, 22:42] = False
    changed = np.abs(textured.astype(int) - plain).max(axis=2)[body] > 12
    assert 0.15 < changed.mean() < 0.98
    assert paint(rgba, None) is rgba


@pytest.mark.parametrize(
    ("word", "single", "many"),
    [("sheep", "a sheep", "sheep"), ("umbrella", "an umbrella", "umbrellas"), ("couch", "a couch", "couches"),
     ("bus", "a bus", "buses"), ("butterfly", "a butterfly", "butterflies"), ("person", "a person", "people"),
     ("orange", "an orange", "oranges"), ("scissors", "scissors", "scissors"), ("woman", "a woman", "women"),
     ("picture frame", "a picture frame", "picture frames")],
)  # fmt: skip
def test_articles_and_plurals(word, single, many):
    assert (article(word), plural(word)) == (single, many)


def test_no_category_is_called_by_the_name_of_another():
    for category in THINGS:
        assert not set(nouns(category)) & set(THINGS), category
    assert "sofa" in nouns("couch") and "woman" not in nouns("person") and "lady" in nouns("person", "woman")


def test_scene_captions_tell_what_is_true():
    looks = [Look("cat", "black"), Look("cat", "black"), Look("couch", "red", "striped")]
    rng = np.random.default_rng(1)
    captions = [
        scene_caption(looks, (0, "on", 2), place_of(knowledge.settings()["living room"], "", rng), rng)
        for _ in range(300)
    ]
    words = set(" ".join(captions).replace(",", "").split())
    assert {"two", "cats", "striped", "red", "on", "room"} <= words
    assert not {"one", "three", "beach"} & words and not (set(COLOURS) - {"red", "black"}) & words
    assert any("sofa" in caption for caption in captions)
    assert np.mean(["cat" not in c and "couch" not in c and "sofa" not in c for c in captions]) > 0.05, (
        "some name only the place"
    )


@pytest.fixture(scope="module")
def worlds():
    names = tuple(sorted(THINGS))
    return [planned for planned in (world(seed, names) for seed in range(60)) if planned]


def test_worlds_come_from_the_planners_camera(worlds):
    names = tuple(sorted(THINGS))
    assert len(worlds) > 50 and WORLDS >= 1000
    assert len({planned.setting for planned in worlds}) > 15
    assert world(7, names) is world(7, names)
    assert sum(member.carrier is not None for planned in worlds for member in planned.members) > 5
    for planned in worlds:
        for index, member in enumerate(planned.members):
            assert member.category in THINGS and member.carrier != index
    assert world(3, ("spaceship",)) is None


def test_things_of_a_world_keep_their_places_and_nearly_their_shapes(worlds):
    rng = np.random.default_rng(0)
    names = tuple(sorted(THINGS))
    carried = 0
    for planned in worlds:
        placed = place_in_world(planned, names, lambda name: 0.8, False, rng)
        by_depth = {item.depth: item for item in placed}
        for item in placed:
            box = planned.members[item.depth].box
            natural = (box[2] - box[0]) / (box[3] - box[1])
            ratio = item.width / item.height
            assert 0.8 / STRETCH - 1e-6 <= ratio <= 0.8 * STRETCH + 1e-6 or ratio == pytest.approx(natural)
            assert (
                item.category == planned.members[item.depth].category
                or item.category in twins_of_categories(names)[planned.members[item.depth].category]
            )
            assert 0.75 < item.width * item.height / ((box[2] - box[0]) * (box[3] - box[1])) < 1.6
            if item.carrier is not None:
                under = by_depth[item.carrier]
                carried += 1
                assert under.top - 0.02 <= item.top + item.height <= under.top + under.height + 0.05
    assert carried > 5


def test_importing_needs_no_heavy_library():
    code = "import sys, instdiff.training.draft.composer; assert not {'torch', 'cv2', 'resvg_py'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_common_things_can_be_favoured_and_then_have_any_colour(composer):
    def seen(favour):
        rng = np.random.default_rng(3)
        favouring = Composer(composer.sprites, 96, favour=favour)
        return [instance for _ in range(150) for instance in favouring.compose(rng).instances]

    def share(instances):
        return np.mean([instance.category in COMMON for instance in instances])

    plain = seen(0)
    favoured = seen(10)
    assert share(favoured) > 1.4 * share(plain)
    assert {instance.colour for instance in plain if instance.category == "cat"} <= {*THINGS["cat"].colours, None}
    assert {instance.colour for instance in favoured if instance.category == "cat"} >= {"pink", "blue", "green"}
