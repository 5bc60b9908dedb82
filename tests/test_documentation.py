"""What README and the pages of docs/ tell a newcomer to type can be typed, and what they say of the code is so."""

import re
import shlex
from importlib import import_module
from pathlib import Path

import pytest

from agent.benchmarks.__main__ import BENCHMARKS
from agent.commands import COMMANDS, main
from evaluators.__main__ import EVALUATIONS
from instdiff.errors import BadInput

ROOT = Path(__file__).parents[1]
MADE_BY_COMMANDS = {"performance.md", "reliability.md", "schedulers.md"}
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"(?:^<!-- not run: (?P<reason>.+) -->\n)?^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.M | re.S)

# Programs that are not ours, and why a test does not call them.
OTHERS = {
    "python3": "makes a virtual environment",
    "pip": "installs",
    "source": "is of the shell",
    "export": "is of the shell",
    "cd": "is of the shell",
    "git": "changes the checkout",
    "${EDITOR:-nano}": "waits for a person",
    "hf": "downloads",
    "pytest": "is what runs this",
    "ruff": "is run in CI",
    "mypy": "is run in CI",
    "lint-imports": "is run in CI",
    "pre-commit": "installs hooks",
}
MODULES_OF_OTHERS = {"mkdocs": "is run in CI", "build": "is run by tests/test_wheel.py", "pre_commit": "installs hooks"}
# Ours paint, train or ask servers for longer than a page's test may take: the options are parsed as they stand, and
# the work itself is done, with small models, in these.
RUN_IN = {
    "make": "tests/test_run_agent.py",
    "plan": "tests/test_documentation.py",
    "edit": "tests/agent/edit/test_edit.py",
    "repair": "tests/agent/test_repairing.py",
    "review": "tests/agent/test_review.py",
    "dataset": "tests/agent/dataset/test_making.py",
    "evaluate": "tests/evaluators/test_door.py",
    "train": "tests/instdiff/training/sd15/test_training.py",
    "convert": "tests/instdiff/checkpoint/test_convert.py",
    "label": "tests/evaluators/label/test_labelling.py",
    "speed": "tests/evaluators/speed/test_speed.py",
    "dashboard": "tests/agent/dashboard/test_pages.py",
    "models": "tests/agent/commands/test_models.py",
    "completion": "tests/agent/commands/test_help.py",
}
# What the pages suppose to be there, as files or folders of a newcomer.
FILES = (
    "kitchen.json annotations.xml annotations.json prompts.txt prompts.jsonl words.txt instancediffusion_sd15.pth"
    " SD_v1_5_input_conv_weight_bias.pth v1-5-pruned-emaonly.safetensors photo.jpg FILE people.csv readings.jsonl"
    " counting.val.json spatial.val.json evaluation_metadata.jsonl spatial_val.txt color_val.txt"
    " tests/agent/plan_prompts.jsonl outputs/RUN/best.png labelled/annotations.json"
)
FOLDERS = (
    "outputs/RUN outputs/rooms outputs/ten outputs/learn outputs/evaluations/coco/point pictures models/start"
    " training/model training/sprites FOLDER PHOTOS LAYOUTS models/stable-diffusion-xl-refiner-1.0"
)


def commands_of(block: str) -> list[list[str]]:
    """The commands of a block of shell, as words: without comments, variables, redirections and loops."""
    lexer = shlex.shlex(block.replace("\\\n", " ").replace("\n", "\n;\n"), posix=True, punctuation_chars=";&|<>")
    lexer.whitespace_split = True
    commands: list[list[str]] = [[]]
    values = {}
    for word in lexer:
        if set(word) <= set(";&|"):
            commands.append([])
        else:
            commands[-1].append(word)
    found = []
    for words in commands:
        words = words[: words.index(">")] if ">" in words else words
        if words[:1] == ["for"]:
            values[f"${words[1]}"] = words[3]
            continue
        words = [values.get(word, word) for word in words if word not in ("do", "done")]
        while words and re.match(r"\w+=", words[0]):
            del words[0]
        if words:
            found.append([words[0].removeprefix(".venv/bin/"), *words[1:]])
    return found


TYPED = [
    pytest.param(words, id=f"{page.name}: {' '.join(words)}"[:90])
    for page in PAGES
    if page.name not in MADE_BY_COMMANDS
    for block in BLOCK.finditer(page.read_text())
    if block["language"] in ("bash", "console", "sh")
    for words in commands_of(block["text"])
]
SNIPPETS = [
    pytest.param(block, id=f"{page.name}: {block['text'].splitlines()[0]}")
    for page in PAGES
    for block in BLOCK.finditer(page.read_text())
    if block["language"] == "python"
]


def parse(module: str, arguments: list[str]) -> None:
    """Parse as the command would, and do nothing."""
    try:
        import_module(module).build_parser().parse_args(arguments)
    except SystemExit as stop:  # of --help
        assert not stop.code
    except BadInput as error:
        pytest.fail(str(error))


@pytest.fixture(scope="module")
def newcomers_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("newcomer")
    for name in FOLDERS.split():
        (folder / name).mkdir(parents=True, exist_ok=True)
    for name in FILES.split():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


@pytest.mark.parametrize("words", TYPED)
def test_a_command_on_a_page_can_be_typed(words, newcomers_folder, monkeypatch, capsys):
    monkeypatch.chdir(newcomers_folder)
    program, *arguments = words
    if program in ("torchrun", "python") and "-m" in arguments:
        start = arguments.index("-m") + 1
        module, arguments = arguments[start], arguments[start + 1 :]
        if module in MODULES_OF_OTHERS:
            return
        parse(module if module == "instdiff.train" else f"{module}.__main__", arguments)
    elif program == "python":
        assert (ROOT / arguments[0]).is_file()
    elif program == "instdiff-agent" and arguments[:1] != ["--help"]:
        parse(COMMANDS[arguments[0]].module, arguments[1:])
    else:
        assert program in OTHERS or program == "instdiff-agent", f"{program} is not known here"


def test_quick_commands_of_the_pages_do_what_the_pages_say(tmp_path, monkeypatch, capsys):
    """Those that paint are run by tests of their own; these are as they stand on the pages."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "prompts.txt").write_text("a dog\ntwo cats on a sofa\n")
    typed = [shlex.join(parameter.values[0]) for parameter in TYPED]
    for command in (
        "instdiff-agent plan 'a kitchen' --out kitchen.json",
        "instdiff-agent plan 'two cats in a ray of light' --explain",
        "instdiff-agent plan --prompts prompts.txt --out plans.jsonl --seed 7",
        "instdiff-agent edit kitchen.json 'make the refrigerator larger'",
    ):
        assert command in typed
        assert main(shlex.split(command)[1:]) == 0, capsys.readouterr().err
    assert (tmp_path / "kitchen.json").is_file() and len((tmp_path / "plans.jsonl").read_text().splitlines()) == 2
    assert '"annos"' in capsys.readouterr().out


@pytest.mark.parametrize("block", SNIPPETS)
def test_python_on_a_page_runs_or_says_why_not(block, tmp_path, monkeypatch):
    code = compile(block["text"], "page", "exec")
    if block["reason"] is None:
        monkeypatch.chdir(tmp_path)
        exec(code, {"__name__": "page"})


def test_what_a_page_cannot_run_is_run_elsewhere():
    assert set(RUN_IN) == set(COMMANDS)
    assert [path for path in RUN_IN.values() if not (ROOT / path).is_file()] == []


def test_the_first_page_is_a_page():
    readme = (ROOT / "README.md").read_text()
    assert len(readme.split()) <= 1200
    assert readme.count("<!-- test command -->") == 1
    missing = [name for name in COMMANDS if f"`{name}" not in readme]
    assert missing == []
    for link in re.findall(r"\]\(([^)#]+)", readme):
        assert (ROOT / link).exists(), link


def test_every_page_is_in_the_navigation():
    navigation = (ROOT / "mkdocs.yml").read_text()
    assert [page.name for page in (ROOT / "docs").glob("*.md") if f": {page.name}\n" not in navigation] == []


def test_the_page_of_the_command_names_every_option_of_make():
    parser = import_module("agent.commands.make").build_parser()
    flags = [flag for action in parser._actions for flag in action.option_strings if flag.startswith("--")]
    section = (ROOT / "docs" / "command.md").read_text().split("## Options of make")[1]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `--")]
    assert set(re.findall(r"--[a-z-]+", " ".join(rows))) == {*flags} - {"--help"}


def test_the_page_of_evaluations_names_each():
    page = (ROOT / "docs" / "evaluations.md").read_text()
    assert [name for name in EVALUATIONS | BENCHMARKS if f"instdiff-agent evaluate {name}" not in page] == []
