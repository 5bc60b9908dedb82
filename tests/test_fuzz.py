"""A small part of ``python tests/fuzz.py`` for every run of the tests, and proof that it would tell."""

import json
import time

import fuzz
import pytest
from fuzz_inputs import layout_files
from fuzz_targets import TARGETS, Target
from hypothesis import given
from hypothesis import strategies as st

from instdiff.errors import BadInput, InstDiffError
from instdiff.formats import layout_from_json

FEWER = {"run folder": 8, "pickled checkpoint": 14}


@pytest.mark.parametrize("name", TARGETS)
def test_spoiled_inputs_end_in_an_error_of_ours_or_a_result(name, tmp_path):
    cases = FEWER.get(name, 24)
    tally = fuzz.fuzz(name, cases, 7, tmp_path)
    assert (tally.failures, tally.cases, tally.refused + tally.accepted) == ([], cases, cases)
    assert tally.accepted


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
PLACES = (
    "width",
    "height",
    "caption",
    "negative_caption",
    "annos",
    *(("annos", 0, key) for key in ("bbox", "mask", "point", "scribble", "caption")),
)


@given(place=st.sampled_from(PLACES), value=ANY)
def test_any_value_in_any_place_of_a_layout(place, value):
    data = json.loads(layout_files("demos/*.json", 1)[0])
    *way, last = place if isinstance(place, tuple) else (place,)
    node = data
    for key in way:
        node = node[key]
    node[last] = value
    try:
        layout_from_json(data)
    except InstDiffError as error:
        assert str(error).isprintable()


def _raise(error):
    raise error


BROKEN = {
    "another error": (lambda path: _raise(KeyError("x")), "KeyError"),
    "a hang that computes": (lambda path: [0 for _ in iter(int, 1)], "longer than"),
    "a hang that waits": (lambda path: time.sleep(60), "longer than"),
    "memory": (lambda path: len(bytearray(2**28)), "took 2"),
    "letters for a terminal": (lambda path: _raise(Unprintable("x")), "printable"),
}


class Unprintable(BadInput):
    def __init__(self, field):
        super().__init__(field, "x")

    def __str__(self):
        return "\x1b[2J"


@pytest.mark.parametrize("case", BROKEN)
def test_what_goes_wrong_is_told_and_its_input_kept(case, tmp_path, monkeypatch, capsys):
    read, told = BROKEN[case]
    monkeypatch.setattr(fuzz, "CPU_LIMIT_S", 0.3)
    monkeypatch.setattr(fuzz, "WALL_LIMIT_S", 1.0)
    monkeypatch.setitem(TARGETS, "broken", Target(lambda: [b"real"], lambda data, rng: data + b" spoiled", read))
    assert fuzz.main(["--cases", "2", "--target", "broken", "--keep", str(tmp_path / "kept")]) == 1
    out, err = capsys.readouterr()
    assert "| broken | 2 | " in out and told in err
    assert [path.read_bytes() for path in sorted((tmp_path / "kept").iterdir())] == [b"real spoiled"] * 2


def test_the_same_seed_makes_the_same_cases():
    first, again, other = ([*fuzz.inputs("PNG", 9, seed)] for seed in (1, 1, 2))
    assert first == again != other
