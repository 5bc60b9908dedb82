"""A script as users write it: it runs, and type checkers in their strict modes find nothing to say."""

import os
import runpy
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "tests/data/scripts/own_parts.py"
# Large, and typed in part only: without them a check takes seconds instead of minutes.
SKIPPED = "accelerate diffusers langchain_core langgraph peft scipy skimage torch transformers"
CONFIG = f"""
[mypy]
strict = True
follow_imports = silent
ignore_missing_imports = True
[mypy-{",".join(f"{package}.*" for package in SKIPPED.split())}]
follow_imports = skip
"""


def test_it_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), str(tmp_path)])
    runpy.run_path(str(SCRIPT), run_name="__main__")
    assert capsys.readouterr().out.count("step 1 of 1") == 2


def test_its_types_are_right_and_known(tmp_path):
    """With a mistake in it, mypy says so: our types are seen, and are not Any."""
    (tmp_path / "mypy.ini").write_text(CONFIG)
    wrong = SCRIPT.read_text().replace("rounds=3)", "rounds=3).image").replace("-> str | None", "-> int | None")
    (tmp_path / "wrong.py").write_text(wrong)
    command = [sys.executable, "-m", "mypy", "--config-file", "mypy.ini", "--cache-dir", os.devnull]
    environment = {**os.environ, "MYPYPATH": str(ROOT)}
    command += [str(SCRIPT), "wrong.py"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=250)
    errors = [line for line in done.stdout.splitlines() if ": error: " in line]
    assert {error.partition(":")[0] for error in errors} == {"wrong.py"}, done.stdout + done.stderr
    assert '"Agent" has no attribute "image"' in done.stdout and 'supertype "evaluators' in done.stdout


def test_every_package_says_that_it_is_typed():
    """The marks are there, and among the files that a wheel takes along."""
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    assert "py.typed" in tools["setuptools"]["package-data"]["*"]
    assert all((ROOT / package / "py.typed").is_file() for package in tools["mypy"]["packages"])
