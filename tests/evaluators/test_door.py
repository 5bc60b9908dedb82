"""``python -m evaluators``: the door of what reads pictures, and starts no agent."""

import subprocess
import sys

import pytest

from evaluators.__main__ import EVALUATIONS, main

CHECK = """
import sys
from evaluators.__main__ import EVALUATIONS, main
for arguments in ["--help"], *([name, "--help"] for name in EVALUATIONS):
    try:
        main(arguments)
    except SystemExit:
        print("\\f", end="")
    assert "torch" not in sys.modules and "agent" not in sys.modules, arguments
"""


def test_help_needs_neither_torch_nor_the_agent():
    shown = subprocess.run([sys.executable, "-c", CHECK], check=True, capture_output=True, text=True).stdout
    helps = shown.split("\f")[:-1]
    assert len(helps) == len(EVALUATIONS) + 1
    assert all("instdiff-agent evaluate" in text and len(text) > 500 for text in helps)


@pytest.mark.parametrize("name", ["lmd", "plan", "gain"])
def test_what_runs_the_agent_has_another_door(name, capsys):
    assert main([name, "--seed", "1"]) == 2
    error = capsys.readouterr().err.strip()
    assert f"it is now instdiff-agent evaluate {name}" in error and "\n" not in error


def test_a_name_that_is_not_known_is_one_line_and_exit_code_2(capsys):
    assert main(["nothing"]) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("error: evaluation: ") and "\n" not in error
