"""A layout file is changed in words, and nothing is painted."""

import json

import pytest

import run_agent
from instdiff.formats import layout_to_json, load_layout
from instdiff.layout import Box, Instance, Layout

WINDOW = Layout(
    caption="a black dog and a yellow cat at a window",
    instances=(
        Instance(caption="a black dog", category="dog", box=Box(x0=0.01, y0=0.3, x1=0.45, y1=0.92)),
        Instance(caption="a yellow cat", category="cat", box=Box(x0=0.55, y0=0.35, x1=0.99, y1=0.93)),
    ),
)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "window.json"
    path.write_text(json.dumps(layout_to_json(WINDOW)))
    return path


def call(capsys, *arguments):
    code = run_agent.main(list(map(str, arguments)))
    return code, *capsys.readouterr()


def test_the_changed_layout_is_printed_and_can_be_changed_again(file, tmp_path, capsys):
    code, out, err = call(capsys, "--edit", file, "remove the dog and make the cat black", "--plan-only")
    assert code == 0 and "Removed a black dog." in err and not (tmp_path / "outputs").exists()
    again = tmp_path / "again.json"
    again.write_text(out)
    layout = load_layout(again, boxes="xywh")
    assert [instance.caption for instance in layout.instances] == ["a black cat"]
    assert layout.instances[0].box.xyxy == pytest.approx(WINDOW.instances[1].box.xyxy, abs=1e-3)
    assert layout.negative_caption == "dog"


def test_boxes_are_read_as_they_are_said_to_be(file, capsys):
    data = json.loads(file.read_text())
    for thing in data["annos"]:
        x, y, width, height = thing["bbox"]
        thing["bbox"] = [x, y, x + width, y + height]
    file.write_text(json.dumps(data))
    code, out, _ = call(capsys, "--edit", file, "make the cat red", "--plan-only", "--box-format", "corners")
    assert code == 0 and json.loads(out)["annos"][1]["bbox"] == pytest.approx(
        WINDOW.instances[1].box.to_coco(WINDOW.size), abs=0.1
    )


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["remove the cat"], "holds a layout and no picture; add --plan-only"),
        (["remove the piano", "--plan-only"], "a black dog (1), a yellow cat (2)"),
        (["remove the cat", "--plan-only", "--layout", "x.json"], "cannot be used together"),
    ],
)
def test_what_cannot_be_done_is_refused(file, capsys, arguments, reason):
    code, out, err = call(capsys, "--edit", file, *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1) and reason in err


def test_a_file_that_is_not_there_is_named(tmp_path, capsys):
    code, _, err = call(capsys, "--edit", tmp_path / "none.json", "remove the cat", "--plan-only")
    assert code == 2 and "none.json" in err and "run.json" not in err
