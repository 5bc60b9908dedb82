import json
from collections import Counter

import pytest

from agent.benchmarks import lmd
from agent.benchmarks.__main__ import main
from instdiff.formats import layout_to_json
from instdiff.formats.layout_sets import load_layouts
from instdiff.layout import Box, Instance, Layout

CAT = Layout(
    caption="a cat", instances=(Instance(caption="a red cat", category="cat", box=Box(x0=0.1, y0=0.2, x1=0.4, y1=0.6)),)
)
LINE = {"prompt": "a red cat", "layout": layout_to_json(CAT), "seed": 0}


def test_lmd_has_400_prompts_of_four_tasks():
    counts = Counter()
    for case in lmd.cases():
        counts[case.group] += case.repeat
    assert counts == dict.fromkeys(lmd.TASKS, 100)


def test_lmd_scores_what_was_recorded_and_counts_what_is_missing():
    recorded = lmd.gpt4_layouts()
    whole = lmd.score(recorded)
    assert whole["all"]["of"] == 400
    assert whole["all"]["share"] > 0.95
    prompt = "A realistic photo of a scene with a dog on the left and a bottle on the right"
    recorded[prompt] = Layout(caption="", instances=tuple(reversed(recorded[prompt].instances)))
    assert lmd.score(recorded)["all"] == whole["all"]
    swapped = [
        i.model_copy(update={"caption": other.caption})
        for i, other in zip(*[iter(recorded[prompt].instances)] * 2, strict=True)
    ]
    recorded[prompt] = recorded[prompt].with_instances(swapped)
    del recorded["A realistic photo of a scene without cars"]
    result = lmd.score(recorded)
    assert result["tasks"]["negation"]["passed"] == whole["tasks"]["negation"]["passed"] - 10
    assert result["tasks"]["spatial"]["passed"] == whole["tasks"]["spatial"]["passed"] - 1


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cases.jsonl").write_text(
        json.dumps({"prompt": "a red cat", "checks": [{"attr": ["red", "cat"]}, {"count": ["cat", 2]}]}) + "\n"
    )
    (tmp_path / "plans.jsonl").write_text(
        json.dumps(LINE) + "\n" + json.dumps({"prompt": "nothing", "error": "no"}) + "\n"
    )
    return tmp_path


def test_plan_scores_given_layouts(files, capsys):
    out = files / "result.json"
    arguments = ["plan", str(files / "cases.jsonl"), "--layouts", str(files / "plans.jsonl")]
    assert main([*arguments, "--json", "--out", str(out), "--compare", str(files / "plans.jsonl")]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result == json.loads(out.read_text())
    assert result["checks"] == {"passed": 1, "of": 2, "share": 0.5}
    assert result["statistics"] == result["compared"]
    assert main(arguments) == 0
    shown = capsys.readouterr().out
    assert "50.0%  (1/2)" in shown
    assert "failed: exactly 2 cat: a red cat" in shown
    left = json.loads((files / "outputs/evaluations/plan/results.json").read_text())  # where the dashboard looks
    assert left["checks"] == result["checks"]


def test_plan_plans_what_is_not_given(files, capsys):
    assert main(["plan", str(files / "cases.jsonl"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["kinds"]["attr"] == {"passed": 1, "of": 1}


def test_lmd_leaves_the_figures_of_plans_where_the_dashboard_looks(files, capsys):
    line = {"prompt": lmd.cases()[0].prompt, "layout": layout_to_json(CAT), "seed": 0}
    (files / "lmd.jsonl").write_text(json.dumps(line) + "\n")
    assert main(["lmd", "--layouts", str(files / "lmd.jsonl"), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result == json.loads((files / "outputs/evaluations/lmd-layout/results.json").read_text())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["plan", "missing.jsonl"], "missing.jsonl"),
        (["plan", "cases.jsonl", "--layouts", "plans.jsonl", "--compare", "nowhere"], "nowhere"),
        (["lmd", "--layouts", "missing.jsonl"], "missing.jsonl"),
        (["lmd", "--planner", "nobody"], "planner"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(arguments, said, files, capsys):
    arguments = [str(files / part) if part.endswith(".jsonl") else part for part in arguments]
    assert main(arguments) == 2
    assert said in capsys.readouterr().err


def test_a_folder_of_corner_boxes_is_read_as_corners(tmp_path, capsys):
    for name, box in (("a", [300, 300, 500, 500]), ("b", [10, 10, 100, 200])):
        anno = {"bbox": box, "category_name": "cat", "caption": "a cat"}
        (tmp_path / f"{name}.json").write_text(
            json.dumps({"caption": "", "width": 512, "height": 512, "annos": [anno]})
        )
    boxes = [layout.instances[0].box.to_corners(layout.size) for layout in load_layouts(tmp_path)]
    assert boxes == [[300, 300, 500, 500], [10, 10, 100, 200]]
    assert "1 of 2 files" in capsys.readouterr().err


def test_prompts_without_checks_still_have_statistics(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "prompts.jsonl"
    path.write_text(json.dumps({"prompt": "a farm", "checks": []}))
    assert main(["plan", str(path)]) == 0
    assert "(0/0)" in capsys.readouterr().out
