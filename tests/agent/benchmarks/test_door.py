"""``python -m agent.benchmarks``: the door of what runs the agent."""

import subprocess
import sys

import pytest

from agent.benchmarks.__main__ import BENCHMARKS, main

CHECK = """
import sys
from agent.benchmarks.__main__ import BENCHMARKS, main
for arguments in ["--help"], *([name, "--help"] for name in BENCHMARKS):
    try:
        main(arguments)
    except SystemExit as end:
        assert not end.code, arguments
        print("\\f", end="")
    assert "torch" not in sys.modules, arguments
"""


def test_help_needs_no_torch():
    shown = subprocess.run([sys.executable, "-c", CHECK], check=True, capture_output=True, text=True).stdout
    assert shown.count("\f") == len(BENCHMARKS) + 1


def test_every_benchmark_has_a_line_of_help(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    shown = capsys.readouterr().out
    assert all(name in shown for name in ("lmd", "plan", "gain", "showcase")) and "dataset prove" in shown


def test_what_is_no_benchmark_is_one_line_and_exit_code_2(capsys):
    assert main(["nothing"]) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("error: evaluation: ") and "\n" not in error


def test_the_showcase_is_a_sheet_and_shares(tmp_path, capsys):
    (tmp_path / "prompts.txt").write_text("")
    command = ["showcase", "--prompts", str(tmp_path / "prompts.txt"), "--sheet", str(tmp_path / "sheet.png")]
    assert main([*command, "--out", str(tmp_path)]) == 2
    assert "holds no prompts" in capsys.readouterr().err
