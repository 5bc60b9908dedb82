import json

import pytest

from agent.plans import keep_done, main, write_plans
from agent.request import read_prompts
from instdiff.errors import BadInput, ServiceError
from instdiff.formats import layout_from_json

SIZE = (512, 512)


def lines_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("a cat\n\n a dog \na cat\n", ["a cat", "a dog"]),
        ('{"prompt": "a cat", "checks": []}\n{"prompt": "a dog"}\n', ["a cat", "a dog"]),
        ('{"text": "a cat"}', "prompt"),
        ("{", "JSON"),
        ("\n\n", "no prompts"),
    ],
)
def test_prompts_come_from_text_or_json_lines(content, expected, tmp_path):
    path = tmp_path / "prompts"
    path.write_text(content)
    if isinstance(expected, list):
        assert read_prompts(path) == expected
    else:
        with pytest.raises(BadInput, match=expected):
            read_prompts(path)


@pytest.fixture
def prompts(tmp_path):
    path = tmp_path / "prompts.txt"
    path.write_text("a red cat\nno cats\ntwo dogs\n")
    return path


def test_each_prompt_becomes_a_layout_or_an_error(prompts, tmp_path):
    out = tmp_path / "plans.jsonl"
    assert main([str(prompts), "--out", str(out), "--seed", "3", "--size", "640x384"]) == 0
    first, second, third = lines_of(out)
    assert first["prompt"] == "a red cat"
    assert layout_from_json(first["layout"], "xywh").size == (640, 384)
    assert (first["planner"], first["seed"]) == ("offline", 3)
    assert first["seconds"] > 0
    assert "names nothing to paint" in second["error"]
    assert len(third["layout"]["annos"]) == 2


def test_stdout_carries_the_same_lines(prompts, capsys):
    assert main([str(prompts)]) == 0
    assert [json.loads(line)["prompt"] for line in capsys.readouterr().out.splitlines()] == [
        "a red cat",
        "no cats",
        "two dogs",
    ]


def test_work_goes_on_where_it_stopped(prompts, tmp_path):
    out = tmp_path / "plans.jsonl"
    main([str(prompts), "--out", str(out)])
    whole = out.read_text().splitlines(keepends=True)
    marked = json.loads(whole[0]) | {"notes": ["kept"]}
    out.write_text(json.dumps(marked) + "\n" + whole[1] + whole[2][:40])  # the last line is torn
    main([str(prompts), "--out", str(out)])
    again = lines_of(out)
    assert [line["prompt"] for line in again] == ["a red cat", "no cats", "two dogs"]
    assert again[0]["notes"] == ["kept"]
    with pytest.raises(BadInput, match="seed"):
        keep_done(out, 1, SIZE)


class Flaky:
    """A planner whose service fails for prompts with "fail" in them."""

    def __init__(self):
        self.asked = []

    def plan(self, prompt, size, seed):
        from agent.planners.offline import OfflinePlanner

        self.asked.append(prompt)
        if "fail" in prompt:
            raise ServiceError("no answer")
        return OfflinePlanner().plan("a cat", size, seed)


def test_failures_of_the_service_are_tried_again_and_end_the_work_after_three(tmp_path):
    out = tmp_path / "plans.jsonl"
    planner = Flaky()
    write_plans(planner, ["a", "fail", "b"], SIZE, 0, out)
    assert [("error" in line) for line in lines_of(out)] == [False, True, False]
    write_plans(planner, ["a", "fail", "b"], SIZE, 0, out)
    assert planner.asked == ["a", "fail", "b", "fail"]
    with pytest.raises(ServiceError, match="3 prompts in a row"):
        write_plans(planner, ["fail 1", "fail 2", "fail 3", "fail 4"], SIZE, 0, tmp_path / "other.jsonl")


@pytest.mark.parametrize(
    "arguments", [["missing.txt"], ["--planner", "nobody"], ["--size", "7"], ["--out", "no/such/folder/x"]]
)
def test_bad_input_is_exit_code_2(arguments, prompts, capsys):
    assert main(arguments if arguments[0] == "missing.txt" else [str(prompts), *arguments]) == 2
    assert capsys.readouterr().err.startswith("error: ")
