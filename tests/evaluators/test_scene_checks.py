import pytest

from evaluators.report import Detection
from evaluators.scene_checks import attribute_holds, count_of, relation_holds
from instdiff.layout import Box
from instdiff.scene import Predicate


def seen(category, x0, y0, x1, y1, score=0.9, **looks):
    return Detection(category=category, score=score, box=Box(x0=x0, y0=y0, x1=x1, y1=y1), **looks)


ROOM = [
    seen("cat", 0.1, 0.5, 0.3, 0.7),
    seen("cat", 0.35, 0.5, 0.5, 0.7),
    seen("couch", 0.05, 0.6, 0.55, 0.95),
    seen("dog", 0.7, 0.6, 0.9, 0.9),
    seen("dog", 0.0, 0.0, 0.1, 0.1, score=0.3),
    seen("ceiling lamp", 0.4, 0.0, 0.5, 0.1),
]


@pytest.mark.parametrize("category, count", [("cat", 2), ("cats", 2), ("sofa", 1), ("dog", 1), ("horse", 0), ("", 0)])
def test_count(category, count):
    assert count_of(ROOM, category) == count


def test_count_speaks_the_detectors_words():
    assert count_of(ROOM, "dog", min_score=0.2) == 2
    assert count_of(ROOM, "cat", canonical=lambda _: None) == 0
    assert count_of(ROOM, "wolf", canonical={"wolf": "dog", "dog": "dog"}.get) == 1


@pytest.mark.parametrize(
    "subject, predicate, other, holds",
    [
        ("cat", Predicate.ON, "sofa", True),
        ("dog", Predicate.ON, "sofa", False),
        ("cat", Predicate.LEFT_OF, "dog", True),
        ("dog", Predicate.LEFT_OF, "cat", False),
        ("dog", Predicate.RIGHT_OF, "dog", False),  # nothing is right of itself
        ("cat", Predicate.LEFT_OF, "cat", False),  # the right one of the two is not
        ("dog", Predicate.RIGHT, None, True),
        ("cat", Predicate.RIGHT, None, False),
        ("couch", Predicate.LARGER_THAN, "cat", True),
        ("cat", Predicate.NEXT_TO, "horse", False),  # not there
        ("horse", Predicate.LEFT_OF, "cat", False),
        ("horse", Predicate.LEFT, None, False),
    ],
)
def test_relations(subject, predicate, other, holds):
    assert relation_holds(ROOM, subject, predicate, other) is holds


@pytest.mark.parametrize(
    "looks, attribute, holds",
    [
        ({"colour": "red"}, "red", True),
        ({"colour": "red"}, "dark crimson", True),
        ({"colour": "red"}, "blue", False),
        ({"texture": "striped"}, "blue", None),
        ({"texture": "striped"}, "Striped", True),
        ({"texture": "plain"}, "striped", False),
        ({"colour": "red"}, "striped", None),
        ({}, "red", None),
    ],
)
def test_attributes(looks, attribute, holds):
    assert attribute_holds(seen("car", 0, 0, 1, 1, **looks), attribute) is holds
