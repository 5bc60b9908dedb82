from instdiff.world.constraints import links_of
from instdiff.world.scene import Relation, Scene, SceneObject


def links(things: str, *relations: tuple[str, ...]):
    """Objects "cat, dog" by their categories; relations as (subject, predicate[, object])."""
    made = [Relation(**dict(zip(("subject", "predicate", "object"), relation, strict=False))) for relation in relations]
    objects = tuple(SceneObject(id=name, category=name.split("-")[0]) for name in things.split(", "))
    return links_of(Scene(caption="a test", objects=objects, relations=tuple(made)))


def test_what_is_between_two_things_is_placed_after_both():
    found = links("cat, dog, horse", ("cat", "right of", "dog"), ("cat", "left of", "horse"))
    assert found.between == {"cat": ("dog", "horse")}
    assert found.rank("cat") > max(found.rank("dog"), found.rank("horse"))
    assert found.directions["dog"]["horse"] == ("x", -1)


def test_two_that_are_between_each_other_do_not_turn_in_a_circle():
    row = [("cat", "right of", "dog"), ("cat", "left of", "cow"), ("cow", "right of", "cat"), ("cow", "left of", "pig")]
    found = links("dog, cat, cow, pig", *row)
    assert set(found.between) == {"cat", "cow"}
    assert all(found.rank(name) < 10 for name in found.objects)


def test_opposite_parts_of_the_picture_are_directions():
    found = links("cat, dog, sun", ("cat", "on the left"), ("dog", "on the right"), ("sun", "at the top"))
    assert found.directions == {"cat": {"dog": ("x", -1)}, "dog": {"cat": ("x", 1)}, "sun": {}}


def test_a_crowd_has_no_directions():
    cats = [f"cat-{i}" for i in range(5)]
    found = links(", ".join(["dog", *cats]), *((cat, "left of", "dog") for cat in cats))
    assert not any(found.directions.values())


def test_what_belongs_together():
    found = links(
        "horse, person, sword, hat, cup",
        ("person", "on", "horse"),
        ("sword", "held by", "person"),
        ("hat", "worn by", "person"),
    )
    assert found.belong("sword", "horse") and found.belong("sword", "hat") and not found.belong("cup", "horse")
    assert found.bears("sword", "person") and not found.bears("person", "horse")
    assert found.borne("person", "worn") == ["hat"]


def test_the_larger_of_two_neighbours_is_placed_first():
    assert links("car, cup", ("car", "next to", "cup")).anchor_of("cup").target == "car"
    assert links("sun, cat", ("cat", "next to", "sun")).anchor_of("sun").target == "cat"


def test_what_is_on_two_things_is_on_the_smaller_one():
    for first, second in (("blanket", "bed"), ("bed", "blanket")):
        found = links("cat, bed, blanket", ("cat", "on", first), ("cat", "on", second))
        assert found.anchor_of("cat") == ("blanket", "on")
        assert found.anchor_of("blanket") == ("bed", "on")


def test_what_rests_on_something_has_over_it_what_it_is_under():
    found = links("cat, table, umbrella", ("cat", "on", "table"), ("cat", "under", "umbrella"))
    assert found.anchor_of("umbrella") == ("cat", "above")
    assert found.relaxed == ["the umbrella floats above the cat, as the words ask"]
    assert links("cat, chair", ("chair", "under", "cat"), ("cat", "on", "chair")).anchor_of("cat") == ("chair", "on")


def test_what_rests_on_something_goes_under_or_up_with_it():
    bench = links("person, bench, tree", ("person", "on", "bench"), ("person", "under", "tree"))
    assert bench.anchor_of("bench") == ("tree", "under")
    cage = links("bird, birdcage, couch", ("bird", "in", "birdcage"), ("bird", "above", "couch"))
    assert cage.anchor_of("birdcage") == ("couch", "above")
    desk = links("cat, desk, mouse", ("cat", "on", "desk"), ("cat", "above", "mouse"))
    assert "desk" not in desk.anchors and desk.relaxed == []
