import pytest

from instdiff import knowledge
from instdiff.errors import BadInput
from instdiff.scene import Relation, Scene, SceneObject


def test_sizes_and_supports_come_from_knowledge():
    couch = SceneObject(id="a", category="couch")
    assert (couch.width_m, couch.height_m, couch.support, couch.caption) == (2.1, 0.9, "floor", "couch")
    assert SceneObject(id="b", category="couch", width_m=3.0, caption="a long couch").width_m == 3.0
    assert SceneObject(id="c", category="gizmo").support == "ground"


@pytest.mark.parametrize(
    ("word", "category", "plural"),
    [
        ("sofa", "couch", False),
        ("mug", "cup", False),
        ("mice", "mouse", True),
        ("people", "person", True),
        ("women", "person", True),
        ("wolves", "wolf", True),
        ("butterflies", "butterfly", True),
        ("houseplants", "potted plant", True),
        ("bookcases", "bookshelf", True),
        ("smartphone", "cell phone", False),
        ("puppies", "dog", True),
        ("knives", "knife", True),
    ],
)
def test_words_of_a_thing(word, category, plural):
    noun = knowledge.nouns()[word]
    assert (noun.meaning.name, noun.plural) == (category, plural)


def test_scenes_use_known_things_only():
    assert len(knowledge.settings()) >= 20
    for setting in knowledge.settings().values():
        for option in setting.objects:
            assert option.category in knowledge.things(), (setting.name, option.category)
            assert 1 <= option.count[0] <= option.count[1]


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
    assert Scene.parse({"caption": "x", "objects": objects, "relations": [Relation(subject="a", predicate="on", object="b")]}).relations
