import pytest

from instdiff.world import knowledge, nouns

COCO = (
    "person,bicycle,car,motorcycle,airplane,bus,train,truck,boat,traffic light,fire hydrant,stop sign,"
    "parking meter,bench,bird,cat,dog,horse,sheep,cow,elephant,bear,zebra,giraffe,backpack,umbrella,handbag,tie,"
    "suitcase,frisbee,skis,snowboard,sports ball,kite,baseball bat,baseball glove,skateboard,surfboard,"
    "tennis racket,bottle,wine glass,cup,fork,knife,spoon,bowl,banana,apple,sandwich,orange,broccoli,carrot,"
    "hot dog,pizza,donut,cake,chair,couch,potted plant,bed,dining table,toilet,tv,laptop,mouse,remote,keyboard,"
    "cell phone,microwave,oven,toaster,sink,refrigerator,book,clock,vase,scissors,teddy bear,hair drier,"
    "toothbrush"
).split(",")


def test_enough_is_known():
    assert len(knowledge.things()) >= 400
    assert len(knowledge.settings()) >= 60
    assert len(COCO) == 80
    assert set(COCO) <= set(knowledge.things())


def test_tables_carry_things():
    assert all(knowledge.things()[name].surface == 1 for name in knowledge.TABLES)


def test_each_word_means_one_thing():
    owner = {}
    for thing in knowledge.things().values():
        for word in (thing.name, *thing.synonyms, *thing.kinds):
            assert word == word.lower().strip()
            assert owner.setdefault(word, thing.name) == thing.name, word
    for setting in knowledge.settings().values():
        for word in (setting.name, *setting.synonyms):
            assert owner.setdefault(word, setting.name) == setting.name, word
            assert nouns.known(word).meaning is setting, word


def test_each_setting_can_be_filled():
    for setting in knowledge.settings().values():
        categories = [option.category for option in setting.objects]
        assert len(set(categories)) == len(categories), setting.name
        assert set(categories) <= set(knowledge.things()), setting.name
        assert all(1 <= option.count[0] <= option.count[1] for option in setting.objects)
        assert sum(option.count[1] for option in setting.objects) >= 5 or setting.name == "aquarium", setting.name
        assert setting.phrase.split()[0] in ("in", "on", "at", "by", "under"), setting.phrase


@pytest.mark.parametrize(
    ("smaller", "larger", "at_least", "at_most"),
    [
        ("mouse", "cat", 3, 8),
        ("cat", "horse", 3, 6),
        ("person", "giraffe", 2, 5),
        ("cup", "table", 5, 15),
        ("apple", "watermelon", 2, 5),
        ("person", "bus", 3, 8),
        ("ladybug", "butterfly", 5, 20),
        ("book", "bookshelf", 4, 10),
        ("car", "house", 2, 5),
        ("house", "skyscraper", 5, 20),
        ("violin", "piano", 2, 5),
        ("tennis ball", "tennis racket", 4, 10),
    ],
)
def test_real_sizes(smaller, larger, at_least, at_most):
    small, large = ((w * h) ** 0.5 for w, h in map(knowledge.size_of, (smaller, larger)))
    assert at_least <= large / small <= at_most


def test_what_is_like_another_thing_has_its_places_and_not_its_name():
    owner = {}
    words = [*knowledge.things().values(), *knowledge.lookalikes().values()]
    for thing in words:
        for word in (thing.name, *thing.synonyms, *thing.kinds):
            assert owner.setdefault(word, thing.name) == thing.name, word
            assert not thing.like or nouns.known(word).thing is thing, word
    assert len(knowledge.lookalikes()) > 150
    for name, thing in knowledge.lookalikes().items():
        other = knowledge.things()[thing.like]
        assert thing.on == other.on and not thing.colours, name
        assert nouns.category_of(f"two {nouns.plural_of(name)}") == name
        assert nouns.open_name(name) == name and nouns.class_of(name, (other.name,)) is None
        assert nouns.class_of(nouns.plural_of(name), (other.name, name)) == name
    assert knowledge.size_of("spaghetti") == knowledge.size_of("noodles")
    assert knowledge.with_alike(("strawberry", "cup")) == {"strawberry", "cherry", "cup"}


def test_a_kind_is_as_large_as_its_thing_where_nothing_else_is_known():
    dog = knowledge.things()["dog"]
    assert dog.kinds["poodle"] == (dog.width_m, dog.height_m) != dog.kinds["puppy"]
    assert nouns.open_name("three poodles") == "poodle" and nouns.category_of("poodle") == "dog"
    assert nouns.special_name("dog", "a white poodle") == "poodle"
    assert nouns.special_name("dog", "a white dog") is None and nouns.special_name("cat", "a poodle") is None
