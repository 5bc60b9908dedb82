import pytest

from agent.benchmarks.plan_checks import Case, instances_named, read_cases, read_check, score
from agent.benchmarks.plan_checks import holds as check_holds
from instdiff.errors import BadInput
from instdiff.layout import Box, Instance, Layout


def thing(caption: str, category: str, x: float, y: float, size: float = 0.1) -> Instance:
    """An instance with a square box around (x, y)."""
    return Instance(
        caption=caption, category=category, box=Box(x0=x - size / 2, y0=y - size / 2, x1=x + size / 2, y1=y + size / 2)
    )


SCENE = Layout(
    caption="a room",
    instances=(
        thing("a black cat", "cat", 0.2, 0.45),
        thing("a white kitten", "cat", 0.1, 0.8),
        thing("a grey sofa", "couch", 0.2, 0.55, 0.2),
        thing("a woman", "person", 0.5, 0.6, 0.3),
        thing("a man with a hat", "person", 0.8, 0.6, 0.3),
        thing("a tree stump", "tree stump", 0.65, 0.9),
        thing("a carrot", "carrot", 0.9, 0.05),
        thing("a teddy bear", "teddy bear", 0.6, 0.3),
    ),
)


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("cat", 2),
        ("cats", 2),
        ("kitten", 1),
        ("black cat", 1),
        ("couch", 1),
        ("sofa", 1),
        ("people", 2),
        ("woman", 1),
        ("man", 1),
        ("hat", 0),
        ("stump", 1),
        ("tree", 0),
        ("car", 0),
        ("carrot", 1),
        ("bear", 0),
        ("teddy bear", 1),
        ("gray couch", 1),
        ("white cat", 1),
    ],
)
def test_names_are_whole_words_with_synonyms(name, count):
    assert len(instances_named(name, SCENE.instances)) == count


CHECKS = [
    ({"count": ["cat", 2]}, True),
    ({"count": ["cat", 1]}, False),
    ({"type": "count", "object": "cat", "n": 2}, True),
    ({"count": {"category": "cat", "number": 2}}, True),
    ({"min": ["cat", 1]}, True),
    ({"min": ["cat", 3]}, False),
    ({"absent": ["dog"]}, True),
    ({"absent": "cat"}, False),
    ({"attr": ["black", "cat"]}, True),
    ({"attr": ["black", "sofa"]}, False),
    ({"type": "attr", "colour": "gray", "object": "sofa"}, True),
    ({"objects": ["cat", "sofa"]}, True),
    ({"objects": ["cat", "dog"]}, False),
    ({"rel": ["black cat", "on", "sofa"]}, True),
    ({"rel": ["cat", "on", "sofa"]}, False),  # not every cat
    ({"rel": ["woman", "to the left of", "man"]}, True),
    ({"rel": ["woman", "right of", "man"]}, False),
    ({"rel": ["woman", "between", ["sofa", "man"]]}, True),
    ({"rel": ["sofa", "between", ["woman", "man"]]}, False),
    ({"rel": ["carrot", "at the top"]}, True),
    ({"rel": ["carrot", "on the left"]}, False),
    ({"rel": ["woman", "larger than", "cat"]}, True),
    ({"type": "rel", "subject": "woman", "relation": "smaller than", "object": "cat"}, False),
    ({"rel": ["dog", "on", "sofa"]}, False),
]


@pytest.mark.parametrize(("data", "expected"), CHECKS)
def test_checks(data, expected):
    assert check_holds(read_check(data), SCENE) is expected


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ({}, "no check"),
        ([], "no check"),
        ({"many": ["cat", 2]}, "kinds are"),
        ({"count": ["cat", "two"]}, "whole number"),
        ({"count": ["cat", True]}, "whole number"),
        ({"count": [3, 3]}, "words"),
        ({"rel": ["cat", "beneathish", "dog"]}, "relations are"),
        ({"rel": ["cat", "on"]}, "words"),
        ({"objects": []}, "words"),
    ],
)
def test_bad_checks_name_the_cure(data, reason):
    with pytest.raises(BadInput, match=reason):
        read_check(data)


def test_score_counts_every_check_and_lists_what_fails():
    lines = [
        {"prompt": "two cats", "checks": [{"count": ["cat", 2]}, {"absent": ["person"]}]},
        {"prompt": "a dog", "checks": [{"count": ["dog", 1]}]},
    ]
    result = score(read_cases(lines, "file"), {"two cats": SCENE})
    assert result["checks"] == {"passed": 1, "of": 3, "share": 0.3333}
    assert result["prompts"]["passed"] == 0
    assert [(failure["failed"], failure["planned"]) for failure in result["failures"]] == [
        ("no person", True),
        ("exactly 1 dog", False),
    ]


def test_cases_without_checks_are_refused():
    with pytest.raises(BadInput, match="file line 1"):
        read_cases([{"prompt": "a dog"}], "file")
    assert isinstance(read_cases([{"prompt": "a dog", "checks": []}], "file")[0], Case)
