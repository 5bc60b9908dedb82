from random import Random

import pytest

from instdiff.camera import Camera, project
from instdiff.scene import Relation, Scene, SceneObject


def scene(categories: str, *relations: tuple[str, ...]) -> Scene:
    """Objects named by their categories, comma separated; relations as (subject, predicate[, object])."""
    objects = [SceneObject(id=name, category=name) for name in categories.split(",")]
    made = [Relation(**dict(zip(("subject", "predicate", "object"), relation, strict=False))) for relation in relations]
    return Scene(caption="a test", objects=tuple(objects), relations=tuple(made))


def boxes(layout):
    return {instance.category: instance.box for instance in layout.instances}


HOLDS = {
    "left of": lambda a, b: a.centre.x < b.centre.x,
    "right of": lambda a, b: a.centre.x > b.centre.x,
    "above": lambda a, b: a.centre.y < b.centre.y,
    "below": lambda a, b: a.centre.y > b.centre.y,
    "on": lambda a, b: a.centre.y < b.centre.y and b.x0 < a.centre.x < b.x1,
    "under": lambda a, b: a.centre.y > b.centre.y,
    "next to": lambda a, b: max(a.x0 - b.x1, b.x0 - a.x1) <= 0.13,
    "in front of": lambda a, b: a.y1 > b.y1,
    "behind": lambda a, b: a.y1 < b.y1,
}


@pytest.mark.parametrize(
    ("subject", "predicate", "target"),
    [
        ("dog", "left of", "car"),
        ("car", "right of", "dog"),
        ("lamp", "above", "table"),
        ("dog", "above", "cat"),
        ("boat", "below", "car"),
        ("cat", "on", "couch"),
        ("cup", "on", "table"),
        ("cat", "on", "rug"),
        ("person", "on", "horse"),
        ("ball", "under", "chair"),
        ("dog", "under", "sun"),
        ("bear", "under", "sheep"),
        ("cat", "next to", "dog"),
        ("bird", "next to", "tree"),
        ("dog", "in front of", "house"),
        ("tree", "behind", "house"),
        ("apple", "behind", "house"),
    ],
)
@pytest.mark.parametrize("size", [(512, 512), (768, 512), (512, 896)])
def test_relations_hold_on_the_picture(subject, predicate, target, size):
    for seed in range(12):
        found = boxes(project(scene(f"{subject},{target}", (subject, predicate, target)), size, Random(seed)))
        assert HOLDS[predicate](found[subject], found[target]), (seed, found)


@pytest.mark.parametrize(
    ("place", "axis", "low", "high"),
    [("on the left", "x", 0, 0.5), ("on the right", "x", 0.5, 1), ("at the top", "y", 0, 0.5), ("at the bottom", "y", 0.5, 1)],
)
@pytest.mark.parametrize("category", ["bear", "car", "bird", "cup"])
def test_parts_of_the_picture(place, axis, low, high, category):
    for seed in range(12):
        found = boxes(project(scene(f"{category},tree", (category, place)), (512, 512), Random(seed)))
        assert low < getattr(found[category].centre, axis) < high


def test_a_camera_sees_far_things_smaller_and_higher():
    camera = Camera(horizon=0.4, height_m=1.6, aspect=2.0)
    assert camera.extent(2.0, 1.0, 4.0) == (0.25, 0.25)
    assert camera.ground(4.0) == pytest.approx(0.8)
    assert 0.4 < camera.ground(40.0) < camera.ground(4.0)


def test_real_sizes_show():
    for seed in range(10):
        found = boxes(project(scene("house,dog"), (512, 512), Random(seed)))
        assert found["house"].height > found["dog"].height
        assert 0.45 <= max(found["house"].width, found["house"].height) <= 0.75


def test_painters_order_and_the_same_seed():
    layout = project(scene("car,dog,sun,tree", ("dog", "in front of", "car")), (512, 512), Random(3))
    order = [instance.category for instance in layout.instances]
    assert order[0] == "sun"
    assert order.index("car") < order.index("dog")
    assert layout == project(scene("car,dog,sun,tree", ("dog", "in front of", "car")), (512, 512), Random(3))


def test_contradictions_still_give_a_layout():
    circle = [("cat", "left of", "dog"), ("dog", "left of", "cat"), ("cat", "on", "dog"), ("dog", "on", "cat")]
    assert len(project(scene("cat,dog", *circle)).instances) == 2
    assert project(Scene(caption="nothing")).instances == ()
