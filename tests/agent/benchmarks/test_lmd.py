import json
from collections import Counter

import pytest

from agent.benchmarks import lmd
from agent.benchmarks.__main__ import main
from agent.benchmarks.lmd import DetectedPicture
from evaluators.gallery import PaintedPicture, check_apart
from evaluators.report import Detection
from instdiff.errors import BadInput
from instdiff.formats import layout_to_json
from instdiff.layout import Box, Instance, Layout
from tests.galleries import make_gallery, plain

START = "A realistic photo of a scene "


def seen(category: str, x: float, y: float, colour: str = "", score: float = 0.9) -> Detection:
    return Detection(category=category, score=score, box=Box(x0=x, y0=y, x1=x + 0.2, y1=y + 0.2), colour=colour)


CASES = [  # what the prompt asks, what is seen (surest first), does it hold
    ("without cats", [seen("dog", 0, 0)], True),
    ("without cats", [seen("cat", 0, 0)], False),
    ("with three dogs", [seen("dog", 0.3 * k, 0) for k in range(3)], True),
    ("with three dogs", [seen("dog", 0.2 * k, 0) for k in range(4)], False),
    ("with three dogs", [], False),
    ("with a gray dog and a brown chair", [seen("dog", 0, 0, "gray"), seen("chair", 0.5, 0, "brown")], True),
    ("with a gray dog and a brown chair", [seen("dog", 0, 0, "brown"), seen("chair", 0.5, 0, "gray")], False),
    ("with a gray dog and a brown chair", [seen("dog", 0, 0, "gray"), seen("chair", 0.5, 0, "")], False),
    ("with a dog on the left and a chair on the right", [seen("dog", 0, 0), seen("chair", 0.5, 0)], True),
    ("with a dog on the left and a chair on the right", [seen("dog", 0.5, 0), seen("chair", 0, 0)], False),
    ("with a dog on the left and a chair on the right", [seen("chair", 0.5, 0)], False),
    # the surest boxes are compared: another dog, less sure, does no harm, and does not help
    (
        "with a dog on the left and a chair on the right",
        [seen("dog", 0, 0), seen("chair", 0.5, 0), seen("dog", 0.7, 0, score=0.4)],
        True,
    ),
    (
        "with a dog on the left and a chair on the right",
        [seen("dog", 0.7, 0), seen("chair", 0.5, 0), seen("dog", 0, 0, score=0.4)],
        False,
    ),
    ("with a dog on the bottom and a car on the top", [seen("car", 0, 0.1), seen("dog", 0, 0.6)], True),
]


@pytest.mark.parametrize("asked, found, holds", CASES)
def test_what_is_seen_does_what_is_asked(asked, found, holds):
    [case] = [case for case in lmd.cases() if case.prompt == START + asked]
    painted = PaintedPicture("key", plain("white"), Layout(caption=case.prompt))
    result = lmd.picture_figures({case.prompt: DetectedPicture(painted, tuple(found))}, [case])
    assert result["tasks"][case.group] == {"passed": case.repeat * holds, "of": case.repeat, "share": float(holds)}
    assert (result["all"]["share"], len(result["failures"])) == (float(holds), not holds)


def test_all_is_the_mean_of_the_tasks_and_what_is_not_there_fails():
    chosen = lmd.choose_cases(8)
    painted = PaintedPicture("key", plain("white"), Layout(caption=""))
    looked = {case.prompt: DetectedPicture(painted, ()) for case in chosen if case.group == "negation"}
    result = lmd.picture_figures(looked, chosen)
    assert [counts["share"] for counts in result["tasks"].values()] == [1.0, 0.0, 0.0, 0.0] and result["all"][
        "share"
    ] == 0.25
    assert {failure["seen"] for failure in result["failures"]} == {"there is no picture"}


def test_some_prompts_are_spread_over_the_tasks_and_over_each_task():
    assert lmd.choose_cases(60)[:20] == lmd.choose_cases(20)
    assert Counter(case.group for case in lmd.choose_cases(20)) == dict.fromkeys(lmd.TASKS, 5)
    assert sorted(case.prompt for case in lmd.choose_cases(250)) == sorted(case.prompt for case in lmd.cases())
    numbers = Counter(case.checks[0].n for case in lmd.choose_cases(60) if case.group == "numeracy")
    assert set(numbers) == {1, 2, 3, 4, 5}  # not in the order of the benchmark, which starts with all ones


@pytest.mark.parametrize(
    "detector, verifier, refused",
    [
        ("judge", "draft", False),
        ("judge", "judge", True),
        ("judge", "none", False),
        ("yolo", "yolo:yolo11n-seg.pt", True),
        ("owlv2:a", "owlv2:b", False),
        ("vlm:gpt-4o", "vlm:gpt-4o", True),
    ],
)
def test_what_steers_does_not_score(detector, verifier, refused):
    if not refused:
        check_apart(detector, verifier)
        return
    with pytest.raises(BadInput, match="what steers must not score"):
        check_apart(detector, verifier)


def test_plan_paint_look_and_score(tmp_path, capsys):
    chosen = lmd.choose_cases(2)
    box = Box(x0=0.2, y0=0.2, x1=0.8, y1=0.8)
    assert [case.group for case in chosen] == ["negation", "numeracy"]
    layouts = tmp_path / "plans.jsonl"
    tree = Layout(caption="a tree", instances=(Instance(caption="a tree", category="tree", box=box),))
    layouts.write_text(
        "".join(json.dumps({"prompt": case.prompt, "layout": layout_to_json(tree)}) + "\n" for case in chosen)
    )
    command = [
        "lmd",
        "--stage",
        "image",
        "--count",
        "2",
        "--layouts",
        str(layouts),
        "--keep",
        str(tmp_path / "lmd"),
        "--json",
    ]
    assert main(command) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["tasks"]["negation"]["share"] == 1.0 and result["tasks"]["numeracy"]["share"] == 0.0  # trees alone
    assert [failure["prompt"] for failure in result["failures"]] == [chosen[1].prompt] and result["painted_with"][
        "engine"
    ] == "draft"
    assert (tmp_path / "lmd" / "failures.png").exists() and "LMD+, published" in (
        tmp_path / "lmd" / "results.md"
    ).read_text()
    layouts.unlink()  # all is painted: nothing is planned again
    assert main(command) == 0
    assert json.loads(capsys.readouterr().out)["tasks"] == result["tasks"]
    assert (
        main(["lmd", "--stage", "image", "--count", "2", "--pictures", str(tmp_path / "lmd" / "once"), *command[-3:]])
        == 0
    )
    assert json.loads(capsys.readouterr().out)["tasks"] == result["tasks"]


@pytest.mark.slow
def test_the_loop_paints_in_a_process_of_its_own(tmp_path, capsys):
    command = ["lmd", "--stage", "image", "--count", "2", "--rounds", "2", "--keep", str(tmp_path), "--json"]
    assert main(command) == 0
    result = json.loads(capsys.readouterr().out)
    assert list(result["columns"]) == ["round 0", "best round"] and result["painted_with"]["verifier"] == "draft"


@pytest.mark.parametrize(
    "more, words",
    [
        (["--count", "0"], "there are 250 prompts"),
        (["--rounds", "2", "--verifier", "judge"], "what steers must not score"),
        (["--detector", "draft", "--images", "2"], "what steers must not score"),
        (["--pictures", "photos"], "no photographs"),
        (["--pictures", "steered"], "what steers must not score"),
        (["--engine", "nothing"], '"nothing" is not known'),
        (["--rounds", "2", "--layouts", "plans.jsonl"], "are painted once"),
    ],
)
def test_bad_input_is_one_line(more, words, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    plain("red").save(tmp_path / "photos" / "a.png")
    make_gallery(tmp_path / "steered", {"a": (plain("red"), Layout(caption="x"))}, verifier="judge")
    assert main(["lmd", "--stage", "image", *more]) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("error: ") and words in error and "\n" not in error
