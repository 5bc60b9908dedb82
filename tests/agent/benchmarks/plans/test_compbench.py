from pathlib import Path

import pytest

from agent.benchmarks.plans import compbench
from agent.benchmarks.plans.compbench import BOTH, ROWS, questions_of, read_counts, read_records
from instdiff.errors import BadInput
from tests.agent.benchmarks.hand_made import instance, layout, row

SAMPLES = Path(__file__).parent / "samples"
ABOVE = layout(instance("a goat", 0.5, 0.2), instance("a barn", 0.5, 0.8))
BELOW = layout(instance("a goat", 0.5, 0.8), instance("a barn", 0.5, 0.2))
NESTED = layout(instance("a goat", 0.5, 0.5, 0.1, 0.1), instance("a barn", 0.5, 0.5, 0.6, 0.6))


def kinds(kind: str, prompt: str, planned) -> list[str]:
    """The kinds of the faults of the last question of a prompt, which is not whether both things are there."""
    question = questions_of(kind, prompt)[-1]
    assert question.row == ROWS[kind]
    return [fault.kind for fault in question.faults(planned)]


@pytest.mark.parametrize(
    ("relation", "holds", "fails"),
    [
        ("on the left of", row("a goat", "a barn"), row("a barn", "a goat")),
        ("on the right of", row("a barn", "a goat"), ABOVE),
        ("on the top of", ABOVE, row("a goat", "a barn")),
        ("on the bottom of", BELOW, ABOVE),
        ("next to", row("a goat", "a barn"), NESTED),
        ("near", ABOVE, NESTED),
        ("on side of", row("a barn", "a goat"), NESTED),
        ("in front of", BELOW, ABOVE),
        ("behind", ABOVE, BELOW),
        ("hidden by", NESTED, BELOW),
    ],
)
def test_relations(relation, holds, fails):
    kind = "3d_spatial" if relation in ("in front of", "behind", "hidden by") else "spatial"
    prompt = f"a goat {relation} a barn"
    assert kinds(kind, prompt, holds) == []
    assert kinds(kind, prompt, fails) == ["relation"]
    assert kinds(kind, prompt, row("a goat")) == ["missing"]


def test_both_things_are_asked_for_apart_from_their_relation():
    both, _ = questions_of("spatial", "a goat near a barn")
    assert both.row == BOTH and both.faults(NESTED) == []
    assert [fault.text for fault in both.faults(row("a goat"))] == ["barn"]


@pytest.mark.parametrize(
    ("words", "counts"),
    [
        ("seven goats", {"goats": 7}),
        ("two owls and three goats", {"owls": 2, "goats": 3}),
        ("one goat, two owls, four lamps and an apple", {"goat": 1, "owls": 2, "lamps": 4, "apple": 1}),
        ("a lamp, two traffic lights, and three owls filled the room", {"lamp": 1, "traffic lights": 2, "owls": 3}),
        ("one owl perched on a lamp", {"owl": 1}),
        ("a dozen wozzles", {"wozzles": 12}),
        ("goats in the sun", {}),
    ],
)
def test_numbers_are_read_with_their_nouns(words, counts):
    assert read_counts(words) == counts


def test_numeracy_is_every_number():
    prompt = "two owls and a lamp"
    assert kinds("numeracy", prompt, row("an owl", "an owl", "a lamp", "a barn")) == []
    assert kinds("numeracy", prompt, row("an owl", "a lamp", "a lamp")) == ["count", "count"]


@pytest.mark.parametrize(
    ("prompt", "planned", "faults"),
    [
        ("a gray owl and a red lamp", row("a grey owl", "a red lamp"), []),
        ("a gray owl and a red lamp", row("a grey owl", "a lamp"), ["attribute"]),
        ("a gray owl and a red lamp", row("a grey and red owl", "a red lamp"), ["attribute"]),
        ("a gray owl and a red lamp", row("a grey owl", "a grey owl", "a red lamp"), ["count"]),
        ("a gray owl and a red lamp", row("a grey owl"), ["count"]),
        ("a red car and a blue car", row("a red car", "a blue car"), []),
        ("a red car and a blue car", row("a red car", "a red car"), ["count", "count"]),
        ("a leather shoes and a glass cup", row("leather shoes", "leather shoes", "a glass cup"), []),
        ("The round lamp and the square slice of pizza.", row("a round lamp", "a square slice of pizza"), []),
    ],
)
def test_each_thing_has_its_own_adjective(prompt, planned, faults):
    assert kinds("attribute", prompt, planned) == faults


@pytest.mark.parametrize(
    ("kind", "prompt"),
    [
        ("spatial", "a goat and a barn"),
        ("3d_spatial", "goats"),
        ("numeracy", "goats"),
        ("attribute", "rubber gloves and a wooden table"),
        ("attribute", "a round lamp and the owl were in the red room"),
    ],
)
def test_other_forms_are_left_out(kind, prompt):
    assert questions_of(kind, prompt) == []


def test_files_of_the_benchmark_say_their_kind_in_their_name(tmp_path):
    assert read_records(SAMPLES / "spatial_val.txt")[0] == ("spatial", "a goat on the left of a barn")
    assert read_records(SAMPLES / "shape_val.txt") == [("attribute", "a round lamp and a square barn")]
    assert [kind for kind, _ in read_records(SAMPLES / "compbench.jsonl")] == list(ROWS)
    for name, kind in (("3d_spatial_train", "3d_spatial"), ("texture_val_unseen", "attribute"), ("color", "attribute")):
        (tmp_path / f"{name}.txt").write_text("\na goat\n\n")
        assert read_records(tmp_path / f"{name}.txt") == [(kind, "a goat")]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("complex_val.txt", "a goat", "complex_val.txt: its name says no kind"),
        (
            "file.jsonl",
            '{"kind": "numeracy", "prompt": "two owls"}\n{"kind": "numbers", "prompt": "x"}',
            "line 2: must be",
        ),
        ("file.jsonl", '{"kind": "spatial"}', "line 1: must be"),
        ("file.jsonl", '{"kind": "spatial", "prompt": 3}', "line 1.prompt"),
        ("file.jsonl", "[]", "line 1"),
        ("file.jsonl", "nonsense", "line 1"),
    ],
)
def test_bad_files_are_refused_by_name(name, content, reason, tmp_path):
    (tmp_path / name).write_text(content)
    with pytest.raises(BadInput, match=reason):
        compbench.read_records(tmp_path / name)
