import argparse

import pytest

from agent.benchmarks.plans import scoring
from agent.benchmarks.plans.scoring import Fault, Question, count_faults, find_both, instances_by_name
from tests.agent.benchmarks.hand_made import layout, row

ALWAYS = Question("a lamp", "first", lambda planned: [])
NEVER = Question("a lamp", "second", lambda planned: [Fault("count", "0 lamp, not 1"), Fault("count", "0 lamp, not 1")])
UNPLANNED = Question("an owl", "first", lambda planned: [])


@pytest.fixture
def scores():
    return scoring.score([ALWAYS, NEVER, UNPLANNED], {" a lamp ": row("a lamp")}, "somebody")


def test_a_prompt_passes_where_all_of_its_questions_do(scores):
    assert scores.rows["first"] == {"passed": 1, "of": 2, "share": 0.5}
    assert scores.rows["second"] == {"passed": 0, "of": 1, "share": 0.0}
    assert scores.prompts == {"passed": 0, "of": 2, "share": 0.0}
    assert scores.kinds == {"count": 1, "no plan": 1}
    assert scores.failures == [
        {"prompt": "a lamp", "failed": ["count: 0 lamp, not 1"], "planned": True},
        {"prompt": "an owl", "failed": ["no plan"], "planned": False},
    ]


@pytest.mark.parametrize("wrong", [False, True])
def test_published_figures_stand_beside_and_faults_are_in_the_json(scores, wrong, tmp_path):
    published = {"others": {"first": 43.0, scoring.MEAN: 40.0}}
    args = argparse.Namespace(files=[tmp_path / "a.json"], wrong=wrong)
    result = scoring.to_result(args, "name", "Name", scores, published, ["a note"])
    cells = {line[0]: list(line[1:]) for line in result.tables[0].rows}
    assert cells["first"] == [" 50.0%  (1/2)", "43.0"] and cells["second"][1] == "-"
    assert cells[scoring.MEAN] == ["25.0", "40.0"] and cells["all prompts"][0].endswith("(0/2)")
    assert result.tables[0].title == "Name, a.json" and result.notes[0] == "a note"
    assert result.to_json()["failures"] == scores.failures
    assert (result.failures is not None) is wrong


def test_a_mean_stands_only_beside_a_published_mean(scores, tmp_path):
    args = argparse.Namespace(files=[tmp_path], wrong=False)
    rows = scoring.to_result(args, "name", "Name", scores, {}).tables[0].rows
    assert [line[0] for line in rows] == ["first", "second", "all prompts"]


def test_what_has_a_name_of_its_own_is_not_counted_under_the_wider_one():
    planned = row("a man", "a boy", "a boy", "a pear")
    named = instances_by_name(("people", "boys"), planned)
    assert [len(named[name]) for name in ("people", "boys")] == [1, 2]
    assert len(instances_by_name(("people",), planned)["people"]) == 3
    assert count_faults({"people": 1, "boys": 2}, planned) == []
    assert count_faults({"people": 3, "pears": 1}, planned) == []
    assert [fault.text for fault in count_faults({"people": 2, "pears": 2}, planned)] == [
        "3 people, not 2",
        "1 pears, not 2",
    ]


def test_one_instance_does_not_stand_for_two_names():
    assert [fault.text for fault in find_both(("sofa", "couch"), row("a sofa"))[2]] == ["couch"]
    assert find_both(("owl", "lamp"), row("an owl", "a lamp"))[2] == []
    assert [fault.text for fault in find_both(("owl", "lamp"), layout())[2]] == ["owl", "lamp"]
