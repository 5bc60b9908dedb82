from random import Random

import pytest

from instdiff.world.bearing import part_of, room_for, sits_on
from instdiff.world.camera import project
from instdiff.world.relations import broken_relations
from instdiff.world.scene import Relation, Scene, SceneObject

SIZES = [(512, 512), (768, 512), (512, 896)]


def scene(things: str, *relations: tuple[str, str, str]) -> Scene:
    """Objects "egg-1, basket" by ids that begin with their categories."""
    ids = things.split(", ")
    return Scene(
        caption="a test",
        objects=tuple(SceneObject(id=name, category=name.split("-")[0]) for name in ids),
        relations=tuple(Relation(subject=a, predicate=p, object=b) for a, p, b in relations),
    )


def placed(asked: Scene, size=(512, 512), seed=0):
    """{id: box} in painter's order."""
    layout, ids, relaxed = project(asked, size, Random(seed))
    assert not broken_relations(asked, layout, ids), relaxed
    return dict(zip(ids, (instance.box for instance in layout.instances), strict=True))


def share_down(box, at):
    """The height of a box's centre as a share of another's from its top."""
    return (box.centre.y - at.y0) / at.height


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("garment", "wearer", "highest", "lowest"),
    [
        ("hat", "person", -0.1, 0.15),
        ("crown", "person", -0.1, 0.15),
        ("sunglasses", "person", 0.05, 0.2),
        ("mask", "person", 0.05, 0.2),
        ("scarf", "person", 0.12, 0.35),
        ("tie", "person", 0.12, 0.45),
        ("jacket", "person", 0.2, 0.5),
        ("backpack", "person", 0.2, 0.5),
        ("dress", "person", 0.3, 0.6),
        ("trousers", "person", 0.6, 0.85),
        ("shoe", "person", 0.85, 1.0),
        ("glove", "person", 0.4, 0.65),
        ("hat", "cat", -0.2, 0.2),
        ("scarf", "dog", 0.2, 0.6),
    ],
)
def test_what_is_worn_is_on_its_part_of_the_body(garment, wearer, highest, lowest, size):
    for seed in range(6):
        boxes = placed(scene(f"{wearer}, {garment}", (garment, "worn by", wearer)), size, seed)
        assert list(boxes) == [wearer, garment]
        assert highest <= share_down(boxes[garment], boxes[wearer]) <= lowest


def test_each_wears_its_own():
    pairs = [(f"hat-{i}", "worn by", f"person-{i}") for i in range(3)]
    asked = scene("person-0, person-1, person-2, hat-0, hat-1, hat-2", *pairs)
    for seed in range(6):
        boxes = placed(asked, seed=seed)
        for hat, _, wearer in pairs:
            assert boxes[wearer].x0 < boxes[hat].centre.x < boxes[wearer].x1
            assert list(boxes).index(hat) > list(boxes).index(wearer)


def test_gloves_are_at_both_hands():
    pairs = [("glove-1", "worn by", "person"), ("glove-2", "worn by", "person")]
    boxes = placed(scene("person, glove-1, glove-2", *pairs))
    sides = sorted(boxes[glove].centre.x - boxes["person"].centre.x for glove in ("glove-1", "glove-2"))
    assert sides[0] < 0 < sides[1]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("thing", ["cup", "umbrella", "sword", "fishing rod", "surfboard", "balloon", "cell phone"])
def test_what_is_held_is_at_the_hand(thing, size):
    for seed in range(6):
        boxes = placed(scene(f"person, {thing}", (thing, "held by", "person")), size, seed)
        assert list(boxes) == ["person", thing]
        assert 0.3 <= share_down(boxes[thing], boxes["person"]) <= 0.75
        assert boxes[thing].intersection(boxes["person"]) > 0


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("thing", "container"),
    [("fish", "fishbowl"), ("cat", "box"), ("sword", "rock"), ("flower", "vase"), ("dog", "cup")],
)
def test_what_is_in_a_container_is_mostly_inside(thing, container, size):
    for seed in range(6):
        boxes = placed(scene(f"{thing}, {container}", (thing, "in", container)), size, seed)
        assert list(boxes) == [container, thing]
        assert boxes[thing].intersection(boxes[container]) >= 0.6 * boxes[thing].area


@pytest.mark.parametrize("count", [2, 5, 12, 25])
def test_many_things_find_room_in_one_container(count):
    eggs = [f"egg-{i}" for i in range(count)]
    asked = scene(", ".join(["basket", *eggs]), *((egg, "in", "basket") for egg in eggs))
    for seed in range(4):
        boxes = placed(asked, seed=seed)
        assert len(boxes) == count + 1
        assert all(boxes[a].iou(boxes[b]) < 0.2 for a in eggs for b in eggs if a < b)


def test_what_a_rider_holds_may_lie_over_the_horse():
    boxes = placed(scene("horse, person, sword", ("person", "on", "horse"), ("sword", "held by", "person")))
    assert list(boxes) == ["horse", "person", "sword"]


@pytest.mark.parametrize(
    ("category", "caption", "part"),
    [
        ("hat", "a red hat", "head"),
        ("thing", "a pair of leather boots", "feet"),
        ("bow tie", "a black bow tie", "knot"),
        ("something", "a strange thing", "torso"),
        ("coat", "a coat with buttons", "body"),
    ],
)
def test_the_part_of_the_body(category, caption, part):
    assert part_of(SceneObject(id="x", category=category, caption=caption)) == part


@pytest.mark.parametrize(("contents", "ratio"), [(1, 1.0), (12, 1.3), (12, 0.2), (30, 3.0)])
def test_there_is_a_cell_for_each(contents, ratio):
    columns, rows = room_for(contents, ratio)
    assert columns * rows >= contents
    assert columns * (rows - 1) < contents
    assert room_for(0, ratio) == (0, 0)


def test_flowers_stand_in_a_vase_in_one_row():
    flowers = [f"flower-{i}" for i in range(3)]
    boxes = placed(scene(", ".join(["vase", *flowers]), *((flower, "in", "vase") for flower in flowers)))
    assert len({round(boxes[flower].y1, 6) for flower in flowers}) == 1
    assert all(boxes[flower].y0 < boxes["vase"].y0 for flower in flowers)


@pytest.mark.parametrize(
    ("item", "carrier", "caption", "sits"),
    [
        ("person", "horse", "a person", True),
        ("person", "couch", "a person", True),
        ("person", "bench", "a person standing on a bench", False),
        ("person", "skateboard", "a person", False),
        ("cat", "couch", "a cat", False),
        ("cup", "chair", "a cup", False),
    ],
)
def test_who_sits_on_what(item, carrier, caption, sits):
    load = SceneObject(id="a", category=item, caption=caption)
    assert sits_on(load, SceneObject(id="b", category=carrier)) is sits
