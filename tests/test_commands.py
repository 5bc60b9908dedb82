"""Every command answers a path that cannot be used with one line that names it, and exit code 2."""

import json
import os
import shlex
from importlib import import_module
from pathlib import Path

import pytest

from instdiff.formats import layout_to_json
from instdiff.layout import Box, Instance, Layout
from tests.galleries import make_gallery, plain

ROOT = Path(__file__).parents[1]
COMMANDS = {
    "run_agent": "run_agent",
    "worker": "agent.worker.__main__",
    "batch": "agent.batch",
    "plans": "agent.plans",
    "benchmarks": "agent.benchmarks.__main__",
    "dataset": "agent.dataset.__main__",
    "shots": "agent.dashboard.shots",
    "warm": "agent.dashboard.warm",
    "evaluators": "evaluators.__main__",
    "label": "evaluators.label.__main__",
    "speed": "evaluators.speed.__main__",
    "checkpoint": "instdiff.checkpoint.__main__",
    "train": "instdiff.train",
    "composer": "instdiff.training.draft.composer",
    "agent": "agent.commands",
}
# What cannot be a file or folder that is read, and one that is written; ``locked`` may not be written to.
INPUT_FILE = ("nowhere", "folder")
INPUT_FOLDER = ("nowhere", "file.txt")
INPUT = ("nowhere",)
OUTPUT_FOLDER = ("file.txt", "file.txt/below", "locked/below")
OUTPUT_FILE = ("folder", "file.txt/below", "locked/below")
PATHS = [
    ("run_agent --layout {}", INPUT_FILE),
    ("run_agent --resume {}", INPUT_FOLDER),
    ("run_agent --approve {}", INPUT_FOLDER),
    ("run_agent --replan {}", INPUT_FOLDER),
    ("run_agent --reject {}", INPUT_FOLDER),
    ("run_agent dog --edit {}", INPUT_FOLDER),
    ("run_agent dog --engine {}", INPUT_FOLDER),
    ("run_agent dog --refine 0.3 --refiner {}", INPUT_FOLDER),
    ("run_agent dog --out {}", OUTPUT_FOLDER),
    ("worker {}", INPUT_FOLDER),
    ("batch {}", INPUT_FILE),
    ("batch file.txt --out {}", OUTPUT_FOLDER),
    ("plans {}", INPUT_FILE),
    ("plans file.txt --out {}", OUTPUT_FILE),
    ("benchmarks lmd --layouts {}", INPUT_FILE),
    ("benchmarks lmd --layouts plans.jsonl --out {}", OUTPUT_FILE),
    ("benchmarks lmd --stage image --pictures {}", INPUT_FOLDER),
    ("benchmarks lmd --stage image --keep {}", OUTPUT_FOLDER),
    ("benchmarks plan {}", INPUT_FILE),
    ("benchmarks plan checks.jsonl --layouts {}", INPUT_FILE),
    ("benchmarks plan checks.jsonl --layouts plans.jsonl --compare {}", INPUT),
    ("benchmarks plan checks.jsonl --layouts plans.jsonl --out {}", OUTPUT_FILE),
    ("benchmarks nsr {}", INPUT_FILE),
    ("benchmarks geneval {}", INPUT_FILE),
    ("benchmarks compbench {}.jsonl", ("nowhere",)),
    ("benchmarks readings {}", INPUT_FILE),
    ("benchmarks gain --prompts {}", INPUT_FILE),
    ("benchmarks gain --pictures {}", INPUT_FOLDER),
    ("benchmarks gain --out {}", OUTPUT_FOLDER),
    ("benchmarks showcase --prompts {}", INPUT_FILE),
    ("benchmarks showcase --sheet {}", OUTPUT_FILE),
    ("benchmarks showcase --out {}", OUTPUT_FOLDER),
    ("dataset make {} --scenes kitchen", OUTPUT_FOLDER),
    ("dataset make new --prompts {}", INPUT_FILE),
    ("dataset make new --layouts {}", INPUT),
    ("dataset export {}", INPUT_FOLDER),
    ("dataset export folder --out {}", OUTPUT_FOLDER),
    ("dataset prove {} --sprites folder", INPUT_FOLDER),
    ("dataset prove folder --sprites {}", INPUT_FOLDER),
    ("dataset check {}", INPUT_FOLDER),
    ("shots --shots {}", OUTPUT_FOLDER),
    ("shots --store {}", OUTPUT_FOLDER),
    ("evaluators draft --out {}", OUTPUT_FOLDER),
    ("evaluators draft --export-coco {}", OUTPUT_FOLDER),
    ("evaluators draft --export-coco new --sprites {}", INPUT_FOLDER),
    ("evaluators eye --out {}", OUTPUT_FOLDER),
    ("evaluators eye --plans {}", INPUT_FILE),
    ("evaluators eye --sprites {}", INPUT_FOLDER),
    ("evaluators eye --coco {} --images folder", INPUT_FILE),
    ("evaluators eye --coco coco.json --images {}", INPUT_FOLDER),
    ("evaluators coco --annotations {}", INPUT_FILE),
    ("evaluators coco --annotations coco.json --captions {}", INPUT_FILE),
    ("evaluators coco --annotations coco.json --images {}", INPUT_FOLDER),
    ("evaluators coco --annotations coco.json --out {}", OUTPUT_FOLDER),
    ("evaluators attributes --annotations {}", INPUT_FILE),
    ("evaluators attributes --annotations coco.json --images {}", INPUT_FOLDER),
    ("evaluators attributes --annotations coco.json --out {}", OUTPUT_FOLDER),
    ("evaluators pim {} --kind point", INPUT_FOLDER),
    ("evaluators pim folder --kind point --out {}", OUTPUT_FOLDER),
    ("evaluators fid {} --real folder", INPUT_FOLDER),
    ("evaluators fid pictures --real {}", INPUT_FOLDER),
    ("evaluators fid folder --real folder --out {}", OUTPUT_FOLDER),
    ("evaluators clip {}", INPUT_FOLDER),
    ("evaluators clip pictures --clip {}", INPUT_FOLDER),
    ("evaluators clip folder --out {}", OUTPUT_FOLDER),
    ("evaluators alignment {}", INPUT_FOLDER),
    ("evaluators alignment folder --out {}", OUTPUT_FOLDER),
    ("evaluators judge {} --model m", INPUT_FOLDER),
    ("evaluators judge pictures --model m --human {}", INPUT_FILE),
    ("evaluators judge folder --model m --out {}", OUTPUT_FOLDER),
    ("evaluators report {}", INPUT_FOLDER),
    ("evaluators report results --out {}", OUTPUT_FOLDER),
    ("label {} --out new --tags file.txt", INPUT_FOLDER),
    ("label images --out new --detector draft --tags {}", INPUT_FILE),
    ("label images --out new --detector draft --tagger {}", INPUT_FOLDER),
    ("label images --out new --tags file.txt --detector draft --segmenter {}", INPUT_FOLDER),
    ("label images --out new --tags file.txt --detector draft --captioner {}", INPUT_FOLDER),
    ("label images --out {} --tags file.txt", OUTPUT_FOLDER),
    ("speed --rows {}", INPUT_FILE),
    ("speed --rows rows.jsonl --write {}", OUTPUT_FILE),
    ("speed --rows rows.jsonl --write new.md --presets {}", INPUT_FILE),
    ("checkpoint {} --out new", INPUT),
    ("checkpoint folder --out {}", OUTPUT_FOLDER),
    ("checkpoint folder --to-reference --out {}", OUTPUT_FILE),
    ("checkpoint folder --out new --backbone {}", INPUT),
    ("checkpoint folder --out new --stock {}", INPUT),
    ("checkpoint folder --out new --lora {}", INPUT_FILE),
    ("checkpoint folder --out new --tokenizer {}", INPUT_FOLDER),
    ("train draft --stage sprites --out {}", OUTPUT_FOLDER),
    ("train draft --stage bundle --out folder --target {}", OUTPUT_FOLDER),
    ("train sd15 --annotations {} --images folder --model folder --out new", INPUT_FILE),
    ("train sd15 --annotations coco.json --images {} --model folder --out new", INPUT_FOLDER),
    ("train sd15 --annotations coco.json --images folder --model {} --out new", INPUT_FOLDER),
    ("train sd15 --annotations coco.json --images folder --model folder --convnext {} --out new", INPUT_FOLDER),
    ("train sd15 --annotations coco.json --images folder --model folder --out {}", OUTPUT_FOLDER),
    ("composer --sheet new.png --sprites {}", ("nowhere", *OUTPUT_FOLDER)),
    ("composer --sprites folder --sheet {}", OUTPUT_FILE),
    ("agent make --prompts {}", INPUT_FILE),
    ("agent plan --prompts {}", INPUT_FILE),
    ("agent plan dog --out {}", OUTPUT_FILE),
    ("agent edit {} 'add a dog'", INPUT_FOLDER),
    ("agent repair {}", INPUT_FOLDER),
    ("agent review {}", INPUT_FOLDER),
    ("agent dashboard --outputs {}", OUTPUT_FOLDER),
]
CASES = [(command, path) for command, paths in PATHS for path in paths]
COCO = {
    "images": [{"id": 1, "file_name": "1.png", "width": 64, "height": 64}],
    "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [8, 8, 32, 32], "area": 1024, "iscrowd": 0}],
    "categories": [{"id": 1, "name": "dog"}],
}
DOG = Layout(
    caption="a dog",
    width=64,
    height=64,
    instances=(Instance(caption="a dog", category="dog", box=Box(x0=0.1, y0=0.1, x1=0.9, y1=0.9)),),
)
TABLE = {"title": "t", "columns": ["a"], "rows": [["1"]]}


@pytest.fixture
def places(tmp_path, monkeypatch):
    """A working folder with a file, a folder, one that may not be written to, and inputs that can be read."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    for name in ("folder", "locked", "images", "results"):
        (tmp_path / name).mkdir()
    (tmp_path / "file.txt").write_text("a dog\n")
    (tmp_path / "coco.json").write_text(json.dumps(COCO))
    (tmp_path / "checks.jsonl").write_text('{"prompt": "a dog", "checks": [{"count": ["dog", 1]}]}\n')
    (tmp_path / "plans.jsonl").write_text(json.dumps({"prompt": "a dog", "layout": layout_to_json(DOG)}) + "\n")
    (tmp_path / "rows.jsonl").write_text("")
    (tmp_path / "images" / "1.png").write_bytes(b"")
    (tmp_path / "results" / "results.json").write_text(json.dumps({"evaluation": "e", "table": TABLE}))
    make_gallery(tmp_path / "pictures", {"dog": (plain("red"), DOG)})
    access = os.access

    def access_but_not_locked(path, *mode, **options):
        return "locked" not in str(path) and access(path, *mode, **options)

    monkeypatch.setattr(os, "access", access_but_not_locked)
    return tmp_path


@pytest.mark.parametrize(("command", "path"), CASES)
def test_a_path_that_cannot_be_used_is_one_line_and_code_2(command, path, places, capsys):
    name, *arguments = shlex.split(command.format(path))
    before = sorted(places.rglob("*"))
    code = import_module(COMMANDS[name]).main(arguments)
    lines = capsys.readouterr().err.splitlines()
    assert code == 2, lines
    assert lines and lines[-1].startswith("error: ") and path.split("/")[0] in lines[-1], lines
    assert not any("Traceback" in line for line in lines)
    assert sorted(places.rglob("*")) == before


def test_every_command_of_the_project_is_in_the_table():
    doors = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for package in ("agent", "evaluators", "instdiff", "prompts")
        for path in (ROOT / package).rglob("*.py")
        if "exit_code(" in path.read_text() and path.name != "cli.py" and path.parent != ROOT / "agent" / "commands"
    }
    assert doors | {"run_agent", "agent.commands"} == set(COMMANDS.values())
    named = {command.split()[0] for command, _ in PATHS}
    assert named | {"warm"} == set(COMMANDS)  # which takes no path


def test_parsers_and_exit_codes_stand_in_one_place():
    for package in ("agent", "evaluators", "instdiff", "prompts"):
        for path in (ROOT / package).rglob("*.py"):
            text = path.read_text()
            if path != ROOT / "instdiff" / "cli.py":
                assert "ArgumentParser(" not in text and "KeyboardInterrupt:\n        return" not in text, path
                assert not any(f"{name} = " in text for name in ("BAD_INPUT", "SERVICE_FAILED", "INTERRUPTED")), path
