import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

import run_agent
from agent import loop
from instdiff.cli import program
from instdiff.formats import layout_from_json, read_png
from tests.agent import doubles

ROOT = Path(__file__).parents[1]
HEAVY = ("torch", "diffusers", "transformers", "langchain_core", "langchain_openai", "langgraph")


@pytest.fixture
def door(tmp_path, monkeypatch, capfd):
    """Calls the command line with the doubles, in an empty folder; gives exit code, stdout, stderr."""
    for name in ("load_planner", "load_engine", "load_detector"):
        monkeypatch.setattr(loop, name, getattr(loop, name))
    monkeypatch.chdir(tmp_path)

    def call(arguments, **environment):
        for name, value in environment.items():
            monkeypatch.setenv(f"DOUBLES_{name.upper()}", value)
        doubles.install()
        code = run_agent.main(shlex.split(arguments))
        return code, *capfd.readouterr()

    return call


def python(script, *arguments, **environment):
    env = {**os.environ, "OMP_NUM_THREADS": "1", **environment}
    return subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        cwd=ROOT,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


BAD_INPUT = [
    ("", "prompt"),
    ("''", "prompt"),
    ("' '", "prompt"),
    ("a dog", "arguments"),
    ("dog --nonsense", "arguments"),
    ("dog --rounds many", "rounds"),
    ("dog --rounds 0", "rounds"),
    ("dog --rounds 21", "rounds"),
    ("dog --seed -1", "seed"),
    ("dog --seed 99999999999999999999", "seed"),
    ("dog --steps 0", "steps"),
    ("dog --steps", "steps"),
    ("dog --guidance nan", "guidance"),
    ("dog --guidance -2", "guidance"),
    ("dog --alpha 1.5", "alpha"),
    ("dog --mis 1", "mis"),
    ("dog --images 0", "images"),
    ("dog --preset warp", "preset"),
    ("dog --refine 0.3", "refine"),
    ("dog --refine 0.001", "refine"),
    ("dog --refine 2", "refine"),
    ("dog --refiner somewhere", "refiner"),
    ("dog --refine 0.3 --refiner nowhere", "refiner"),
    ("dog --size 10", "size"),
    ("dog --size big", "size"),
    ("dog --engine none-such", "engine"),
    (f"dog --engine {'x' * 300}", "engine"),
    ("dog --planner none-such", "planner"),
    ("dog --planner chat:m --planner-url http://[1/v1", "planner_url"),
    ("dog --planner chat:m --planner-url http://me:secret@127.0.0.1:1/v1", "planner_url"),
    ("dog --verifier none-such", "verifier"),
    ("dog --out taken", "out"),
    ("dog --verifier none --strict", "strict"),
    ("dog --layout l.json", "layout"),
    ("dog --resume run", "resume"),
    ("dog --box-format xywh", "box_format"),
    ("--layout l.json --planner offline", "planner"),
    ("--layout missing.json", "missing.json"),
    ("--layout taken", "taken"),
    ("--layout bad.json --box-format polar", "box_format"),
    ("--resume nowhere", "run"),
    (f"--resume {'x' * 300}", "run"),
    ("--resume nowhere --steps 5", "steps"),
]


@pytest.mark.parametrize("prompt", ["without a cat", "!!!", "cat " * 600])
def test_prompts_that_the_offline_planner_cannot_read(prompt, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    assert run_agent.main([prompt]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1) and err.startswith("error: prompt: ")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("arguments, field", BAD_INPUT)
def test_bad_input_is_one_line_and_code_2(door, arguments, field):
    Path("taken").write_text("a file")
    code, out, err = door(arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"error: {field}: ")
    assert [path.name for path in Path().iterdir()] == ["taken"]


@pytest.mark.parametrize(
    "arguments", ["--help", "", "dog --size 1", "dog --verifier none-such", "--layout missing.json", "--resume nowhere"]
)
def test_help_and_errors_import_nothing_heavy(arguments):
    script = (
        "import sys, run_agent\n"
        "try: run_agent.main(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        f"print('heavy:', *(name for name in {HEAVY} if name in sys.modules))"
    )
    out, _ = python(script, *shlex.split(arguments)).communicate(timeout=60)
    assert out.splitlines()[-1].split() == ["heavy:"]


def test_plan_only_prints_the_layout_and_needs_no_torch(tmp_path):
    loaded = f"[name for name in {HEAVY} if name in sys.modules]"
    script = f"import sys, run_agent; code = run_agent.main(sys.argv[1:]); sys.exit(code or {loaded} or 0)"
    process = python(
        script,
        "two dogs and a red car",
        "--planner",
        "offline",
        "--plan-only",
        "--size",
        "640x384",
        "--out",
        str(tmp_path / "o"),
    )
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    layout = layout_from_json(json.loads(out), boxes="xywh")
    assert layout.size == (640, 384)
    assert sorted(instance.category for instance in layout.instances).count("dog") == 2
    assert "planner: offline" in err
    assert not (tmp_path / "o").exists()


def test_json_is_alone_on_stdout(door):
    code, out, err = door("'dog cat' --json --steps 3")
    answer = json.loads(out)
    assert code == 0 and out.count("\n") == 1
    assert set(answer) == {
        "run",
        "image",
        "best_round",
        "rounds",
        "verified",
        "planner",
        "engine",
        "verifier",
        "seconds",
        "unet_evaluations",
    }
    assert (answer["best_round"], answer["verified"]) == (0, True)
    assert (answer["planner"], answer["engine"], answer["verifier"]) == ("offline", "draft", "draft")
    assert Path(answer["image"]).exists() and Path(answer["run"], "run.json").exists()
    assert [sorted(done) for done in answer["rounds"]] == [["image", "layout", "report"]]
    assert all(Path(path).exists() for path in answer["rounds"][0].values())
    assert "plan of round 0" in err and "found" in err


def test_a_person_sees_plan_progress_verdicts_and_picture(door):
    code, out, err = door("'dog [cat] ghost cat' --images 2")
    assert (code, err) == (0, "")
    for text in (
        "plan of round 0 by offline",
        "a dog",
        "loading the engine: draft",
        "not verified",
        "found: dog, cat (2 of 3)",
        "unchecked: ghost: colours does not know this name",
    ):
        assert text in out
    picture, command = out.splitlines()[-2:]
    image = Path(picture.removeprefix("picture: "))
    assert image.exists()
    assert command == f"go on with: {program()} edit {image.parent} 'make the dog larger'"


@pytest.mark.parametrize(
    "arguments, environment, code",
    [
        ("dog --strict", {}, 0),
        ("'dog ghost'", {}, 0),
        ("'dog ghost' --strict", {}, 3),
        ("dog --rounds 2 --strict", {"forgets": "dog"}, 3),
        ("dog", {"fails": "plan"}, 4),
        ("dog", {"forgets": "dog", "fails": "revise"}, 4),
        ("dog --verifier none", {}, 0),
    ],
)
def test_exit_codes(door, arguments, environment, code):
    found, _, err = door(arguments, **environment)
    assert found == code
    if code == 4:
        assert err.startswith("error: the planner is away") and "--resume outputs/" in err and err.count("\n") == 1


def test_a_picture_is_painted_again_from_its_own_file(door):
    first = json.loads(door("'dog cat' --json --seed 11 --images 2 --steps 5")[1])
    again = json.loads(door(f"--layout {first['run']}/round-0/image-1.png --json")[1])
    assert (again["planner"], len(again["rounds"])) == ("none", 1)
    source = Image.open(f"{first['run']}/round-0/image-1.png")
    assert Image.open(again["image"]).tobytes() == source.tobytes()
    assert read_png(again["image"]) == read_png(f"{first['run']}/round-0/image-1.png")
    other = json.loads(door(f"--layout {again['image']} --json --seed 13")[1])
    assert Image.open(other["image"]).tobytes() != source.tobytes()
    assert read_png(other["image"])[1]["num_inference_steps"] == 5


def test_a_layout_file_is_painted_and_resized(door):
    layout = door("'dog cat' --plan-only")[1]
    Path("l.json").write_text(layout)
    code, out, _ = door("--layout l.json --json --size 256x192")
    answer = json.loads(out)
    assert (code, answer["verified"], answer["planner"]) == (0, True, "none")
    assert Image.open(answer["image"]).size == (256, 192)


def test_interrupt_says_how_to_go_on(tmp_path):
    # a shell's background job would not hear it
    heard = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    script = (
        "import sys; from tests.agent import doubles; doubles.install(); import run_agent;"
        " sys.exit(run_agent.main(sys.argv[1:]))"
    )
    process = python(heard + script, "dog", "--out", str(tmp_path), "--json", DOUBLES_DELAY_S="0.5")
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("*/round-0/layout.json")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    (folder,) = tmp_path.iterdir()
    assert (process.returncode, out) == (130, "")
    assert err.splitlines()[-1] == f"stopped; go on with: {program()} make --resume {folder}"


def test_the_whole_way_with_the_bundled_models(tmp_path, capfd):
    arguments = [
        "a dog on the left of a cat",
        "--planner",
        "offline",
        "--rounds",
        "2",
        "--steps",
        "8",
        "--out",
        str(tmp_path),
        "--json",
    ]
    assert run_agent.main(arguments) == 0
    first = json.loads(capfd.readouterr().out)
    assert (first["planner"], first["engine"], first["verifier"]) == ("offline", "draft", "draft")
    report = json.loads(Path(first["rounds"][0]["report"]).read_text())
    assert report["checked"] == 2
    assert run_agent.main(["--layout", first["image"], "--out", str(tmp_path), "--json"]) == 0
    again = json.loads(capfd.readouterr().out)
    assert Image.open(again["image"]).tobytes() == Image.open(first["image"]).tobytes()


def test_explain_shows_how_the_words_are_read_and_paints_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run_agent.main(["two cats in a ray of light", "--explain"]) == 0
    shown = capsys.readouterr().out
    assert "cat" in shown and '"light" is left to the caption' in shown
    assert not list(tmp_path.iterdir())
    assert run_agent.main(["two cats", "--explain", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["things"][0]["how many"] == "2"


@pytest.mark.parametrize("arguments", [["ein grüner Frosch neben dem Ball"], [""], ["--layout", "plan.json"]])
def test_what_cannot_be_explained_is_one_line_and_code_2(arguments, capsys):
    assert run_agent.main([*arguments, "--explain"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
