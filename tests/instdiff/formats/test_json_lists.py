"""Records met one by one are those that the standard reader gives, and damage is named by its place."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instdiff.errors import BadInput
from instdiff.formats.json_lists import JsonList, JsonLists

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def read(text: str) -> dict:
    """All members; elements of lists as they are met, which are the same when they are read again."""
    members = {}
    for name, value in JsonLists(text, "x.json").members(("images", "annotations")):
        if isinstance(value, JsonList):
            met = list(value.first_pass())
            assert repr(list(value)) == repr(met) and repr(value[1:]) == repr(met[1:])  # NaN is not itself
            value = met
        members[name] = value
    return members


@given(st.dictionaries(st.sampled_from(["images", "annotations", "info", ""]), values), st.sampled_from([None, 0, 3]))
def test_the_same_as_the_standard_reader(data, indent):
    text = json.dumps(data, indent=indent, ensure_ascii=bool(indent))
    assert read(f" {text}\n") == json.loads(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1, column 1: Expecting value"),
        ("[]", "must be an object"),
        ('{"images": [{}, ]}', "line 1, column 17: Illegal trailing comma"),
        ('{"images": [{}\n {}]}', "line 2, column 2: Expecting ',' delimiter"),
        ('{"images": [{}', "line 1, column 15: Expecting ',' delimiter"),
        ('{"images" [{}]}', "Expecting ':' delimiter"),
        ('{"images": []} x', "line 1, column 16: Extra data"),
        ('{"images": [{"a": }]}', "line 1, column 19: Expecting value"),
        ("{5: []}", "Expecting property name"),
        ('{"images": [' + "[" * 100_000, "is nested too deeply"),
        ('{"images": [' + "9" * 5000 + "]}", "holds a number that is too long"),
    ],
)
def test_damage_is_named(text, message):
    with pytest.raises(BadInput, match="^x.json: ") as caught:
        read(text)
    assert message in str(caught.value)


def test_numbers_that_are_none_spoil_themselves():
    assert str(read('{"images": [NaN, -Infinity, 5]}')["images"]) == "[nan, -inf, 5]"
