import pytest

from instdiff.train import main
from instdiff.training.draft.options import CHOICES, NEEDS


@pytest.mark.parametrize("stage", NEEDS)
def test_a_stage_names_the_one_that_comes_before(stage, tmp_path, capsys):
    assert main(["draft", "--stage", stage, "--out", str(tmp_path)]) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("error: out: ") and printed.count("\n") == 1
    before = printed.split("run the stage ")[1].split(" ")[0]
    assert CHOICES.index(before) < CHOICES.index(stage)


def test_a_trained_detector_looks_only_where_it_can(tmp_path, capsys):
    for part in ("sprites", "vae", "tokenizer"):
        (tmp_path / part).mkdir(parents=True)
    arguments = ["draft", "--out", str(tmp_path), "--likeness", "--stage"]
    assert main([*arguments, "painter"]) == 2
    assert "run the stage detector first" in capsys.readouterr().err
    assert main([*arguments, "judge"]) == 2
    assert capsys.readouterr().err.startswith("error: likeness: ")


@pytest.mark.parametrize(
    ("arguments", "field"), [([], "arguments"), (["draft", "--stage", "magic", "--out", "x"], "stage")]
)
def test_bad_arguments_are_one_line(arguments, field, capsys):
    assert main(arguments) == 2
    printed = capsys.readouterr().err
    assert printed.startswith(f"error: {field}: ") and printed.count("\n") == 1
