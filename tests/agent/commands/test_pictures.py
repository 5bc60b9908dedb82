"""The parts of the installed command that make and change pictures, with planner, painter and detector of doubles."""

import json
import shlex
from pathlib import Path

import pytest

from agent import batch, loop
from agent.commands import main
from instdiff.formats import load_layout
from instdiff.render_settings import RenderSettings
from tests.agent import doubles


@pytest.fixture
def door(tmp_path, monkeypatch, capfd):
    """Calls the command with the doubles, in an empty folder; gives exit code, stdout, stderr."""
    for name in ("load_planner", "load_engine", "load_detector"):
        monkeypatch.setattr(loop, name, getattr(loop, name))
    monkeypatch.chdir(tmp_path)

    def call(line, **environment):
        for name, value in environment.items():
            monkeypatch.setenv(f"DOUBLES_{name.upper()}", value)
        doubles.install()
        code = main(shlex.split(line))
        return code, *capfd.readouterr()

    return call


def runs():
    return sorted(Path("outputs").glob("*/run.json"), key=lambda path: path.stat().st_mtime_ns)


def test_a_plan_is_printed_or_written_and_painted(door):
    code, out, err = door("plan 'dog cat' --size 96x64")
    assert code == 0 and [anno["category_name"] for anno in json.loads(out)["annos"]] == ["dog", "cat"]
    assert "planner: offline" in err
    code, out, err = door("plan 'dog cat' --out plan.json")
    assert (code, out) == (0, "") and "make --layout plan.json" in err
    assert len(load_layout("plan.json").instances) == 2 and not Path("outputs").exists()
    assert door("make --layout plan.json --quiet")[0] == 0
    assert len(runs()) == 1


def test_a_plan_is_edited_as_a_file(door):
    door("plan 'dog cat' --out plan.json")
    code, out, _ = door("edit plan.json 'remove the cat'")
    assert code == 0 and [anno["category_name"] for anno in json.loads(out)["annos"]] == ["dog"]


def test_plans_of_a_file_are_the_lines_of_the_older_door(tmp_path, monkeypatch, capsys):
    from agent import plans

    monkeypatch.chdir(tmp_path)
    Path("prompts.txt").write_text("a dog\n\na red car beside a tree\n")
    assert main(shlex.split("plan --prompts prompts.txt --out new.jsonl --seed 3")) == 0
    assert plans.main(shlex.split("prompts.txt --out old.jsonl --seed 3")) == 0
    assert main(shlex.split("plan --prompts prompts.txt --seed 3")) == 0
    printed = capsys.readouterr().out.splitlines()
    new, old, shown = (
        [{**json.loads(line), "seconds": 0} for line in lines]
        for lines in (Path("new.jsonl").read_text().splitlines(), Path("old.jsonl").read_text().splitlines(), printed)
    )
    assert new == old == shown and [line["prompt"] for line in new] == ["a dog", "a red car beside a tree"]


@pytest.mark.parametrize(
    ("line", "field"),
    [
        ("plan", "prompt"),
        ("plan dog --prompts p.txt", "prompt"),
        ("plan --prompts p.txt --explain", "explain"),
        ("plan --prompts p.txt --engine draft", "engine"),
        ("plan dog --json", "json"),
        ("plan dog --explain --out p.json", "out"),
        ("make dog --prompts p.txt", "prompts"),
        ("make --prompts p.txt --review", "review"),
        ("make --prompts p.txt --strict", "strict"),
        ("make dog --json --quiet", "quiet"),
        ("edit p.txt", "arguments"),
        ("repair latest --planner offline", "arguments"),
        ("repair", "edit"),
        ("review", "run"),
        ("review latest --approve --reject", "reject"),
    ],
)
def test_what_makes_no_sense_is_one_line(door, line, field):
    Path("p.txt").write_text("dog\n")
    code, out, err = door(line)
    assert (code, out, err.count("\n")) == (2, "", 1) and err.startswith(f"error: {field}: ")


def test_a_picture_is_edited_and_repaired(door):
    assert door("make 'dog cat' --quiet", forgets="dog")[0] == 0
    code, out, err = door("edit latest 'remove the cat' --quiet")
    assert code == 0 and err == "" and Path(out.strip()).name == "best.png"
    changed = json.loads(runs()[-1].read_text())
    assert changed["request"]["edited"]["words"] == "remove the cat"
    code, out, _ = door("repair latest --thing dog --json")
    assert code == 0 and json.loads(out)["verified"] in (True, False)
    assert json.loads(runs()[-1].read_text())["request"]["edited"]["words"] == "repair dog"
    assert len(runs()) == 3


def test_quiet_says_the_path_alone_and_json_one_object(door):
    code, out, err = door("make 'dog cat' --quiet")
    assert (code, err, out.count("\n")) == (0, "", 1) and Path(out.strip()).is_file()


def test_a_plan_that_waits_is_shown_and_approved(door):
    assert door("make 'dog cat' --review")[0] == 0
    (run,) = runs()
    code, out, err = door("review")
    assert (code, err) == (0, "") and "a dog" in out and f"review {run.parent} --approve" in out
    assert door("review latest --replan")[0] == 0
    assert json.loads(door("review --json")[1])["review"] == "waiting"
    code, out, _ = door("review latest --approve --quiet")
    assert code == 0 and Path(out.strip()).is_file()
    code, _, err = door("review")
    assert code == 2 and "waits for nobody" in err


class Painter(doubles.RectanglePainter):
    """The painter of rectangles, with what a manifest says of an engine."""

    model_hash = "rectangles-1"
    defaults = RenderSettings(num_inference_steps=4, guidance_scale=1.0, alpha=1.0, mis=0.0)


def test_every_prompt_of_a_file_is_painted(door, monkeypatch):
    monkeypatch.setattr(batch, "load_engine", lambda name: Painter())
    Path("prompts.txt").write_text("dog cat\ncar\n")
    code, out, _ = door("make --prompts prompts.txt --rounds 1 --steps 3 --out made --verifier none")
    assert code == 0, out
    summary = json.loads(out)
    assert (summary["prompts"], summary["failed"]) == (2, [])
    assert len(list(Path("made/runs").glob("*/best.png"))) == len(list(Path("made/best").glob("*.png"))) == 2
    steps = {
        json.loads(path.read_text())["request"]["settings"]["num_inference_steps"]
        for path in Path("made/runs").glob("*/run.json")
    }
    assert steps == {3}
