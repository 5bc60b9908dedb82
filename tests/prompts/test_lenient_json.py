"""Objects in the words of a model: JSON, Python, and what is nearly so."""

import math
import time

import pytest

from prompts.lenient_json import LEAST_EFFORT, MAX_EFFORT, objects_in


def values(text: str) -> list[dict]:
    return [found.value for found in objects_in(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a": 1}', [{"a": 1}]),
        ('So {"a": {"b": 1}}, and then {"c": 2} or {...}', [{"a": {"b": 1}}, {"c": 2}]),
        ("{'a': None, 'b': True, 'c': False, 'd': (1, 2.5)}", [{"a": None, "b": True, "c": False, "d": [1, 2.5]}]),
        ("{'a': 'it\\'s \"big\"', \"b\": \"it's\"}", [{"a": 'it\'s "big"', "b": "it's"}]),
        ('{"a": [1, 2,], "b": {},}', [{"a": [1, 2], "b": {}}]),
        ('{"a": 1 "b": [1 2]}', [{"a": 1, "b": [1, 2]}]),
        ("{a: 1, b_c: null}", [{"a": 1, "b_c": None}]),
        ('{"a": 0.1 m, "b": 20cm, "c": 5 %}', [{"a": "0.1 m", "b": "20cm", "c": "5 %"}]),
        ('{"a": 1, // one\n "b": 2, # two\n /* three */ "c": .5}', [{"a": 1, "b": 2, "c": 0.5}]),
        ('{"a": "line\nline"}', [{"a": "line\nline"}]),
        ("{'a': 'caf\\u00e9'}", [{"a": "café"}]),
        ("{'a': 1", []),
        ("{'a': open('x')}", []),
        ("{'a': __import__('os').system('true')}", []),
        ("{1: 2}", []),
        ("", []),
    ],
)
def test_what_is_read(text, expected):
    assert values(text) == expected


def test_what_is_no_number_is_read_as_such():
    (value,) = values("{'a': nan}")
    assert math.isnan(value["a"])


def test_where_an_object_stands():
    (found,) = objects_in("x {'a': 1} y")
    assert (found.start, found.end) == (2, 10)


@pytest.mark.parametrize(
    "text",
    ["{" * 100_000, '{"objects":' * 5000, '{"a":[' * 5000, "{'a':'" * 10_000, "{/*" * 20_000, "{a:1," * 10_000],
)
def test_no_text_takes_ever_longer(text):
    started = time.process_time()
    assert values(text) == []
    assert time.process_time() - started < 5


def test_far_more_braces_than_any_answer_has_are_given_up():
    assert values("{ " * 300 + '{"a": 1}') == [{"a": 1}]
    assert values("{ " * (MAX_EFFORT // LEAST_EFFORT + 1) + '{"a": 1}') == []
