import json
from pathlib import Path

import pytest

from agent.benchmarks.plans import nsr
from instdiff.errors import BadInput
from tests.agent.benchmarks.hand_made import instance, layout, row

SAMPLES = Path(__file__).parent / "samples"
QUESTIONS = {
    question.prompt.split()[1] + " " + question.row: question
    for name in ("nsr_counting.json", "nsr_spatial.json")
    for question in nsr.read_questions(SAMPLES / name)
}


@pytest.mark.parametrize(
    ("key", "holds", "fails"),
    [
        ("photo counting, single-category", row("a lamp", "a lamp"), row("a lamp")),
        ("photo counting, single-category", row("a lamp", "a desk lamp"), row("a lamp", "a lamp", "a lamp")),
        (
            "tv counting, two-categories",
            row("a television", "a smartphone", "a phone", "a mobile phone"),
            row("a television", "a smartphone", "a phone"),
        ),
        ("owls counting, comparison", row(*["an owl"] * 2, *["a nest"] * 3), row(*["an owl"] * 2, *["a nest"] * 2)),
        ("owls counting, comparison", row(*["an owl"] * 2, *["a nest"] * 9), row("an owl", *["a nest"] * 4)),
        ("goat counting, comparison", row("a goat", "a barn"), row("a goat", "a barn", "a barn")),
        ("man counting, real", row("a goat", "a brown goat", "a man"), row("a goat", "a man")),
        ("goat spatial, template", row("a goat", "a barn"), row("a barn", "a goat")),
        (
            "goat spatial, template",
            row("a barn", "a goat", "a barn"),  # some pair
            layout(instance("a goat", 0.4, 0.2), instance("a barn", 0.6, 0.6)),  # more above than left
        ),
        (
            "lamp spatial, template",
            layout(instance("a lamp", 0.5, 0.8), instance("a dining table", 0.5, 0.4, category="dining table")),
            layout(instance("a lamp", 0.5, 0.2), instance("a dining table", 0.5, 0.6, category="dining table")),
        ),
        (
            "owl spatial, natural",
            row("a lamp", "an owl"),
            layout(instance("an owl", 0.5, 0.2), instance("a lamp", 0.5, 0.8)),
        ),
        ("owl spatial, natural", row("an owl", "a lamp"), row("an owl")),
    ],
)
def test_rules(key, holds, fails):
    assert QUESTIONS[key].faults(holds) == []
    assert QUESTIONS[key].faults(fails)


def test_prompts_have_no_space_around_them():
    assert "A man walks past two goats." in {question.prompt for question in QUESTIONS.values()}


GOOD = {"prompt": "a goat", "num_object": [["goat", 1]], "sub-type": "real"}
SPATIAL = {"prompt": "p", "obj1": ["goat", []], "obj2": ["barn", []], "relation": "left", "type": "natural"}


@pytest.mark.parametrize(
    ("records", "field"),
    [
        ({}, "file.json"),
        ([GOOD, 3], r"file.json\[1\]"),
        ([{"prompt": "a goat"}], r"\[0\]: has no"),
        ([{**GOOD, "prompt": " "}], r"\[0\]: has no"),
        ([{**GOOD, "prompt": 3}], r"\[0\].prompt"),
        ([{**GOOD, "num_object": []}], r"\[0\].num_object: is empty"),
        ([{**GOOD, "num_object": [["goat", 1.5]]}], r"\[0\].num_object.*whole"),
        ([{**GOOD, "num_object": [["goat"]]}], r"\[0\].num_object"),
        ([{**GOOD, "sub-type": "comparison"}], r"\[0\].num_object.*1 categories"),
        ([{**SPATIAL, "relation": "around"}], r"\[0\].relation.*around"),
        ([{**SPATIAL, "obj2": ["", []]}], r"\[0\].obj2"),
        ([{**SPATIAL, "obj1": None}], r"\[0\].obj1"),
    ],
)
def test_bad_records_are_refused_by_name(records, field, tmp_path):
    path = tmp_path / "file.json"
    path.write_text(json.dumps(records))
    with pytest.raises(BadInput, match=field):
        nsr.read_questions(path)
