"""The commands of the benchmarks of plans, on small files of their shapes."""

import json
from pathlib import Path

import pytest

from agent.benchmarks.__main__ import main
from instdiff.formats import layout_to_json
from tests.agent.benchmarks.hand_made import row

SAMPLES = Path(__file__).parent / "samples"
FILES = {
    "nsr": ["nsr_counting.json", "nsr_spatial.json"],
    "geneval": ["geneval.jsonl"],
    "compbench": ["compbench.jsonl", "spatial_val.txt", "shape_val.txt"],
    "readings": ["readings.jsonl"],
}
PROMPTS = {"nsr": 8, "geneval": 4, "compbench": 6, "readings": 2}  # those that are asked of, each once


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", FILES)
def test_plans_are_made_scored_and_left_where_the_dashboard_looks(name, tmp_path, capsys):
    assert main([name, *(str(SAMPLES / file) for file in FILES[name]), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result == json.loads((tmp_path / f"outputs/evaluations/{name}/results.json").read_text())
    assert result["evaluation"] == name and result["planner"] == "offline"
    assert result["prompts"]["of"] == PROMPTS[name]
    assert result["prompts"]["passed"] == PROMPTS[name] - len(result["failures"])
    assert all(counts["of"] >= counts["passed"] for counts in result["rows"].values())
    assert FILES[name][0] in result["table"]["title"]


def test_given_plans_are_scored_and_faults_printed_on_demand(tmp_path, capsys):
    plans = tmp_path / "plans.jsonl"
    line = {"prompt": "a goat on the left of a barn", "layout": layout_to_json(row("a barn", "a goat")), "seed": 0}
    plans.write_text(json.dumps(line) + "\n")
    command = ["compbench", str(SAMPLES / "spatial_val.txt"), "--layouts", str(plans)]
    assert main(command) == 0
    shown = capsys.readouterr().out
    assert "50.0%  (1/2)" in shown and "left out: 1 prompts of other forms" in shown and "failed:" not in shown
    assert main([*command, "--wrong"]) == 0
    shown = capsys.readouterr().out
    assert "failed: relation: goat on the left of barn: a goat on the left of a barn" in shown
    assert "failed: no plan (no plan): an owl near a lamp" in shown


@pytest.mark.parametrize(
    ("command", "content", "reason"),
    [
        (["nsr", "file.json"], "[]", "file.json: no prompt"),
        (["compbench", "spatial_val.txt"], "goats\n", "spatial_val.txt: no prompt"),
        (["geneval", "file.jsonl"], "{}\n", "file.jsonl line 1"),
        (["readings", "file.jsonl"], '\n{"prompt": "p"}\n', "file.jsonl line"),
    ],
)
def test_bad_files_are_one_line_and_exit_code_2(command, content, reason, tmp_path, capsys):
    (tmp_path / command[1]).write_text(content)
    assert main(command) == 2
    error = capsys.readouterr().err.strip()
    assert reason in error and "\n" not in error
