import pytest

from instdiff.errors import BadInput
from instdiff.world.scene import Relation, Scene, SceneObject


def test_sizes_and_supports_come_from_knowledge():
    couch = SceneObject(id="a", category="couch")
    assert (couch.width_m, couch.height_m, couch.support, couch.caption) == (2.1, 0.9, "floor", "couch")
    assert SceneObject(id="b", category="couch", width_m=3.0, caption="a long couch").width_m == 3.0
    assert SceneObject(id="c", category="gizmo").support == "ground"


@pytest.mark.parametrize(
    ("category", "support", "backdrop", "far", "flat"),
    [
        ("cat", None, False, False, False),
        ("rug", None, False, False, True),
        ("sun", None, False, True, False),
        ("mountain", None, True, True, False),
        ("airplane", None, False, True, False),
        ("airplane", "ground", False, False, False),
    ],
)
def test_what_shows_its_real_size(category, support, backdrop, far, flat):
    item = SceneObject(id="a", category=category, support=support)
    assert (item.is_backdrop, item.is_far, item.is_flat) == (backdrop, far, flat)


@pytest.mark.parametrize(
    "relation",
    [
        {"subject": "a", "predicate": "on", "object": "nobody"},
        {"subject": "a", "predicate": "on", "object": "a"},
        {"subject": "a", "predicate": "on"},
        {"subject": "a", "predicate": "at the top", "object": "b"},
    ],
)
def test_relations_must_fit(relation):
    objects = [{"id": "a", "category": "cat"}, {"id": "b", "category": "couch"}]
    with pytest.raises(BadInput):
        Scene.parse({"caption": "x", "objects": objects, "relations": [relation]})
    assert Scene.parse(
        {"caption": "x", "objects": objects, "relations": [Relation(subject="a", predicate="on", object="b")]}
    ).relations
