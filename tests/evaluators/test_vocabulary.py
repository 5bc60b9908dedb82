import pytest

from evaluators.vocabulary import asked_name, class_of, open_name, phrase_words

COCO = (
    "person",
    "car",
    "dog",
    "couch",
    "tv",
    "cell_phone",
    "dining table",
    "teddy bear",
    "orange",
    "potted plant",
    "kitten",
)


@pytest.mark.parametrize(
    "text, words",
    [
        ("The dog, on a red mat", ["dog"]),
        ("a cup of tea", ["cup"]),
        ("", []),
        ("the", []),
        ("on", ["on"]),
        ("T-shirt!", ["t-shirt"]),
    ],
)
def test_phrase_words(text, words):
    assert phrase_words(text) == words


@pytest.mark.parametrize(
    "text, name",
    [
        ("sofa", "couch"),
        ("two red sofas", "couch"),
        ("Couch", "couch"),
        ("television", "tv"),
        ("tv", "tv"),
        ("cell phone", "cell_phone"),
        ("woman", "person"),
        ("people", "person"),
        ("puppies", "dog"),
        ("kitten", "kitten"),
        ("cat", None),  # a class of kittens does not find cats
        ("teddy bear", "teddy bear"),
        ("bear", None),
        ("an orange", "orange"),
        ("zebra", None),
        ("", None),
    ],
)
def test_class_of_a_detector_with_classes(text, name):
    assert class_of(text, COCO) == name


def test_every_class_is_its_own_word():
    assert [class_of(name.replace("_", " "), COCO) for name in COCO] == list(COCO)


@pytest.mark.parametrize(
    "text, name",
    [
        ("sofa", "couch"),
        ("two red sofas", "couch"),
        ("a red sofa by the window", "couch"),
        ("dark red sofas", "dark red sofa"),
        ("kittens", "kitten"),
        ("orange", "orange"),
        ("an orange orange", "orange"),
        ("a rubber duck", "rubber duck"),
        ("zorps", "zorp"),
        ("big old ugly smelly broken wet blorb", "old ugly smelly broken wet blorb"),
        ("", None),
        ("!!!", None),
    ],
)
def test_open_name(text, name):
    assert open_name(text) == name


@pytest.mark.parametrize(
    "label, names, name",
    [
        ("Dogs", ["cat", "dog"], "dog"),
        ("fern", ["dog", "potted fern"], "potted fern"),
        ("a person riding a bicycle", ["bicycle", "dog"], "bicycle"),
        ("chair", ["office chair", "garden chair"], "chair"),  # which one is not said
        ("car", ["dog"], "car"),
        ("", ["dog"], None),
    ],
)
def test_asked_name(label, names, name):
    assert asked_name(label, names) == name
