import pytest

from instdiff.layout import Box
from instdiff.world.arrangement import Arrangement
from instdiff.world.constraints import links_of
from instdiff.world.faults import BROKEN, INVERTED, judge, surroundings_of
from instdiff.world.predicates import Predicate
from instdiff.world.scene import Relation, Scene, SceneObject

DOG = Box(x0=0.5, y0=0.5, x1=0.8, y1=0.8)
LEFT = Box(x0=0.1, y0=0.55, x1=0.3, y1=0.8)
BEHIND = Box(x0=0.6, y0=0.6, x1=0.8, y1=0.8)


def judge_beside_dog(category: str, box: Box, predicate: Predicate | None = None) -> tuple[float, float]:
    """(faults, overlap) of a farther thing in this box, where a dog is placed already."""
    objects = tuple(SceneObject.parse({"id": name, "category": name}) for name in ("dog", category))
    relations = (Relation(subject=category, predicate=predicate, object="dog"),) if predicate else ()
    links = links_of(Scene(caption="a test", objects=objects, relations=relations))
    arrangement = Arrangement(boxes={"dog": DOG}, distance={"dog": 3.0}, hidden={"dog": 0.0})
    return judge(box, 5.0, surroundings_of(links, category, arrangement))


@pytest.mark.parametrize(
    ("category", "box", "predicate", "fault"),
    [
        ("cat", LEFT, None, 0.0),
        ("cat", LEFT, Predicate.LEFT_OF, 0.0),
        ("horse", Box(x0=0.1, y0=0.7, x1=0.2, y1=0.8), None, INVERTED),  # a horse that looks smaller than a dog
        ("cat", BEHIND, None, (1 + DOG.iou(BEHIND)) + (1 + 1.0)),  # too much overlap, and all of it is hidden
    ],
)
def test_what_is_wrong_with_a_box(category, box, predicate, fault):
    assert judge_beside_dog(category, box, predicate)[0] == pytest.approx(fault)


def test_a_relation_that_does_not_hold_is_worse_than_any_overlap():
    right = Box(x0=0.85, y0=0.55, x1=0.95, y1=0.7)
    hidden = Box(x0=0.55, y0=0.55, x1=0.75, y1=0.75)
    assert judge_beside_dog("cat", right, Predicate.LEFT_OF)[0] >= BROKEN > judge_beside_dog("cat", hidden)[0]


def test_overlap_is_measured_where_nothing_asks_for_it():
    box = Box(x0=0.4, y0=0.55, x1=0.6, y1=0.75)
    assert judge_beside_dog("cat", box)[1] == pytest.approx(box.intersection(DOG))
    assert judge_beside_dog("cat", box, Predicate.ON)[1] == 0.0
