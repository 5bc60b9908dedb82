import json
from pathlib import Path

import pytest

from agent.benchmarks.plans import geneval
from instdiff.errors import BadInput
from tests.agent.benchmarks.hand_made import instance, layout, row

SAMPLE = Path(__file__).parent / "samples" / "geneval.jsonl"
QUESTIONS = {question.row: question for question in geneval.read_questions(SAMPLE)}


@pytest.mark.parametrize(
    ("tag", "planned", "kinds"),
    [
        ("single_object", row("a goat", "a goat"), []),  # at least
        ("single_object", row("an owl"), ["count"]),
        ("counting", row("an owl", "an owl"), []),
        ("counting", row("an owl"), ["count"]),
        ("counting", row("an owl", "an owl", "an owl"), ["count"]),
        ("color_attr", row("a grey lamp", "a red television"), []),
        ("color_attr", row("a red lamp", "a grey television"), ["colour", "colour"]),
        ("color_attr", row("a grey lamp", "a television"), ["colour"]),
        ("position", row("a goat", "a barn"), []),
        ("position", row("a barn", "a goat"), ["position"]),
        ("position", layout(instance("a goat", 0.4, 0.2), instance("a barn", 0.6, 0.6)), ["position"]),
        ("position", row("a barn"), ["count"]),
    ],
)
def test_rules(tag, planned, kinds):
    assert [fault.kind for fault in QUESTIONS[tag].faults(planned)] == kinds


GOOD = {"prompt": "a photo of a goat", "tag": "single_object", "include": [{"class": "goat", "count": 1}]}
LEFT = {"class": "owl", "count": 1, "position": ["left of", 1]}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ([], "line 2"),
        ({**GOOD, "prompt": ""}, "line 2.prompt"),
        ({**GOOD, "include": []}, "line 2.include"),
        ({**GOOD, "include": [{"class": "goat"}]}, "line 2.include.0.count"),
        ({**GOOD, "include": [{"class": "goat", "count": 1, "colour": "red"}]}, "line 2.include.0.colour"),
        ({**GOOD, "include": [LEFT]}, r"line 2.position: \['left of', 1\]"),
        ({**GOOD, "include": [{**LEFT, "position": ["round", 0]}]}, "line 2.position"),
    ],
)
def test_bad_lines_are_refused_by_name(line, reason, tmp_path):
    path = tmp_path / "file.jsonl"
    path.write_text(f"{json.dumps(GOOD)}\n{json.dumps(line)}\n")
    with pytest.raises(BadInput, match=reason):
        geneval.read_questions(path)
