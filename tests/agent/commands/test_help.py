"""The installed command: each of its parts explains itself, says what was meant, and costs no torch to ask."""

import argparse
import re
import shlex
import shutil
import subprocess
import sys
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from agent.commands import COMMANDS, build_parser, completion, main
from instdiff import __version__
from instdiff.cli import PROGRAM, LazyParser
from instdiff.errors import BadInput

HEAVY = ("torch", "diffusers", "transformers", "langgraph", "streamlit")
# Help of every part, what is wrong in many ways, and what may be asked without a model: all in one process.
ASKED = [
    "--help",
    "--version",
    "mkae",
    *(f"{name} --help" for name in COMMANDS),
    "dataset make --help",
    "evaluate lmd --help",
    "train sd15 --help",
    "models get --help",
    "make",
    "make dog --rounds 99",
    "make dog --engine none-such",
    "make dog --verifier none-such",
    "make dog --planner none-such",
    "plan --prompts nowhere.txt",
    "edit nowhere 'add a cat'",
    "repair nowhere",
    "review nowhere",
    "models",
    "models get none-such",
    "dashboard --port 99999999",
    "completion csh",
]
CHECK = f"""
import sys, shlex
from agent.commands import main
for line in sys.argv[1:]:
    try:
        code = main(shlex.split(line))
    except SystemExit as end:
        code = end.code
    print(f"\\f{{code}} {{line}}")
    loaded = [name for name in {HEAVY} if name in sys.modules]
    assert not loaded, (line, loaded)
"""


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """What stdout says and the exit code, for each of the lines."""
    command = [sys.executable, "-c", CHECK, *ASKED]
    place = tmp_path_factory.mktemp("empty")
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=place)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "Traceback" not in done.stderr
    answers = {}
    text = ""
    for line in done.stdout.split("\n"):
        if line.startswith("\f"):
            code, _, asked = line[1:].partition(" ")
            answers[asked] = (int(code), text)
            text = ""
        else:
            text += line + "\n"
    return answers


def test_help_and_errors_need_nothing_heavy_and_have_their_exit_codes(answers):
    assert list(answers) == ASKED
    right = {line: 0 for line in ASKED if "--help" in line} | {"--version": 0, "models": 0}
    assert {line: code for line, (code, _) in answers.items()} == {line: right.get(line, 2) for line in ASKED}
    assert answers["--version"][1] == f"{PROGRAM} {__version__}\n"


@pytest.mark.parametrize("name", COMMANDS)
def test_each_part_teaches_by_examples_of_the_installed_command(name, answers):
    shown = answers[f"{name} --help"][1]
    assert shown.startswith(f"usage: {PROGRAM} {name}")
    assert f"{PROGRAM} {name} " in shown.partition("examples:")[2] + shown.partition("options:")[0]
    assert f"  {name}" in answers["--help"][1]


def examples(parser):
    """The words of all command lines that the help of a parser shows, and that of those below it."""
    if isinstance(parser, LazyParser):
        parser.fill()
    text = re.sub(r"\\\n\s+", "", parser.format_help())
    for line in re.findall(rf"^ +(?:[A-Z_]+=\S+ |[a-z]+ +)?{PROGRAM} (\S.*)", text, re.MULTILINE):
        yield shlex.split(re.split(r" {2,}|[;)]| > ", line)[0])
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for part in action.choices.values():
                yield from examples(part)


@pytest.mark.parametrize("name", COMMANDS)
def test_each_example_is_a_command_that_there_is(name, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shown = list(examples(import_module(COMMANDS[name].module).build_parser()))
    assert len([words for words in shown if words[0] == name]) >= 1
    for part, *words in shown:
        if part not in COMMANDS or "..." in words:
            continue
        try:
            import_module(COMMANDS[part].module).build_parser().parse_args(words)
        except SystemExit as end:
            assert end.code == 0
        except BadInput as error:
            assert error.reason.endswith("is not there"), (part, words, error)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("mkae 'a dog'", "did you mean make?"),
        ("make 'a dog' --sede 3", "did you mean --seed?"),
        ("make a dog", "put a sentence in quotes"),
        ("'a dog on a sofa'", f'{PROGRAM} make "a dog on a sofa"'),
        ("make dog --preset fats", "did you mean fast?"),
        ("plan dog --sise 64", "did you mean --size?"),
        ("repair --thign lamp", "did you mean --thing?"),
        ("dataset exprot folder", "did you mean export?"),
        ("dataset make new --scenes kitchen --cuont 3", "did you mean --count?"),
        ("evaluate lmdd", "did you mean lmd?"),
        ("evaluate lmd --stag layout --planer offline", "did you mean --planner?"),
        ("train sd15 --modle m", "did you mean --model?"),
        ("models gte owlv2", "did you mean get?"),
        ("models get owlv", "did you mean owlv2?"),
    ],
)
def test_what_is_mistyped_names_the_nearest(line, words, capsys):
    assert main(shlex.split(line)) == 2
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1 and error.startswith("error: ")


def test_without_a_part_the_help_is_shown(capsys):
    assert main([]) == 0
    assert capsys.readouterr().out == build_parser().format_help()


def test_the_script_is_installed_and_is_this_command():
    (script,) = entry_points(group="console_scripts", name=PROGRAM)
    assert script.load() is main
    place = shutil.which(PROGRAM, path=str(Path(sys.executable).parent))
    said = subprocess.run([place, "--version"], capture_output=True, text=True, check=True).stdout
    assert said == f"{PROGRAM} {__version__}\n"


@pytest.mark.parametrize("shell", completion.SHELLS)
def test_completion_knows_parts_and_options(shell, capsys):
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert all(name in script for name in (*COMMANDS, "candidates", "lmd", "prove"))


def test_completion_of_bash_completes(tmp_path, capsys):
    assert main(["completion", "bash"]) == 0
    (tmp_path / "completion").write_text(capsys.readouterr().out)
    lines = {
        "dataset ma": "make",
        "make --prese": "--preset",
        "make --preset tu": "turbo",
        "evaluate lmd --sta": "--stage",
    }
    for line, expected in lines.items():
        words = [PROGRAM, *line.split()]
        call = f"COMP_WORDS=({' '.join(words)}); COMP_CWORD={len(words) - 1}; _shtab_instdiff_agent"
        script = f'source {tmp_path / "completion"}; {call}; echo "${{COMPREPLY[@]}}"'
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
        assert done.stdout.split() == [expected], line
