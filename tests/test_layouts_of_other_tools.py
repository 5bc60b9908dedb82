"""``run_agent.py --layout`` takes the files of other tools; of many pictures it wants one named."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from annotation_files import FILES

import run_agent

ONE_OF_EACH = [
    "CVAT, mask",
    "LVIS v1",
    "Roboflow",
    "Label Studio, brush",
    "labelme, rectangle and polygon",
    "YOLO, names in a list",
    "Datumaro, mask",
    "FiftyOne, masks",
]


@pytest.fixture
def put(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write(name: str) -> str:
        for file, content in FILES[name].files.items():
            (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / file).write_bytes(content)
        return FILES[name].read or "."

    return write


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_a_file_of_one_picture_is_a_plan(put, capsys, name):
    assert run_agent.main(["--layout", put(name), "--plan-only"]) == 0
    plan = json.loads(capsys.readouterr().out)
    [things] = FILES[name].pictures.values()
    assert [anno["category_name"] for anno in plan["annos"]] == [label for label, _, _ in things]
    assert [anno["bbox"] for anno in plan["annos"]] == [pytest.approx(box, abs=0.5) for _, box, _ in things]


def test_of_many_pictures_one_is_named(put, capsys):
    file = put("CVAT, boxes of two pictures")
    assert run_agent.main(["--layout", file, "--plan-only"]) == 2
    assert "holds 2 pictures: street.jpg, b/park.jpg; name one with --picture" in capsys.readouterr().err
    assert run_agent.main(["--layout", file, "--picture", "park", "--plan-only"]) == 0
    assert json.loads(capsys.readouterr().out)["annos"][0]["category_name"] == "cat"
    assert run_agent.main(["--layout", file, "--picture", "moon", "--plan-only"]) == 2
    assert 'error: picture: "moon" is not in annotations.xml' in capsys.readouterr().err


def test_crowd_regions_are_things_when_asked(put, capsys):
    file = put("CVAT as COCO, brush")
    for crowd, things in (("auto", 1), ("instances", 1), ("regions", None)):
        code = run_agent.main(["--layout", file, "--crowd", crowd, "--plan-only"])
        out, err = capsys.readouterr()
        assert (len(json.loads(out)["annos"]) if out else None, code) == (things, 0 if things else 2)
    assert "crowd regions (iscrowd) left out" in err
    assert run_agent.main(["a dog", "--crowd", "auto"]) == 2
    assert "crowd: is about the file of --layout" in capsys.readouterr().err


def test_a_picture_without_a_file_is_refused(capsys):
    assert run_agent.main(["a dog", "--picture", "park"]) == 2
    assert "picture: is about the file of --layout" in capsys.readouterr().err


def test_fractions_are_said_in_one_line(tmp_path):
    boxes = {"cat": [0.1, 0.3, 0.4, 0.6], "lamp": [0.6, 0.1, 0.3, 0.7]}
    annos = [{"bbox": box, "mask": [], "category_name": name, "caption": name} for name, box in boxes.items()]
    file = tmp_path / "fractions.json"
    file.write_text(json.dumps({"caption": "a cat beside a lamp", "width": 512, "height": 512, "annos": annos}))
    code = "import sys, run_agent; sys.exit(run_agent.main(sys.argv[1:]))"  # pytest would keep the warning
    command = [sys.executable, "-c", code, "--layout", str(file), "--plan-only"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[1])
    assert done.returncode == 0
    assert [line for line in done.stderr.splitlines() if "0..1" in line] == [
        'note: all boxes lie within 0..1 and are read as fractions of the canvas; if they are pixels, add "units":'
        ' "pixels"'
    ]
    plan = json.loads(done.stdout)
    assert plan["annos"][1]["bbox"] == pytest.approx([307.2, 51.2, 153.6, 358.4])
