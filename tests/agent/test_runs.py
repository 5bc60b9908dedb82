import json
import re

import pytest
from PIL import Image

from agent.loop import Agent
from agent.request import Request, parse_size
from agent.runs import Round, Run, clear_unfinished, copy_whole, new_folder, slug, write_json
from instdiff.errors import BadInput
from tests.agent.doubles import ColourDetector, ListPlanner, RectanglePainter


@pytest.mark.parametrize(
    "text, name",
    [
        ("A cozy living room", "a-cozy-living-room"),
        ("../../etc/passwd", "etc-passwd"),
        ("..", "picture"),
        ("", "picture"),
        ("日本の庭", "picture"),
        ("Café — crème\n\x00brûlée", "cafe-creme-brulee"),
        ("x" * 500, "x" * 40),
        ("a" * 39 + " b", "a" * 39),
        ("-rf /", "rf"),
    ],
)
def test_slug(text, name):
    assert slug(text) == name


def test_folders_never_coincide(tmp_path):
    folders = [new_folder(tmp_path / "deep" / "out", "Two dogs") for _ in range(50)]
    assert len(set(folders)) == 50
    for folder in folders:
        assert folder.is_dir() and folder.parent == tmp_path / "deep" / "out"
        assert re.fullmatch(r"\d{8}-\d{6}-two-dogs-[0-9a-f]{4}", folder.name)


@pytest.mark.parametrize("out", ["file", "file/below"])
def test_a_file_is_no_folder_for_runs(tmp_path, out):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(BadInput, match="^out: "):
        new_folder(tmp_path / out, "a dog")
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("text, size", [("512", (512, 512)), ("640x384", (640, 384)), (" 64X4096 ", (64, 4096))])
def test_parse_size(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text", ["", "0", "63", "4097", "512x", "x512", "-512", "512x512x3", "1e3", "640*480", "99999999999", "५१२"]
)
def test_parse_size_refuses(text):
    with pytest.raises(BadInput, match="^size: "):
        parse_size(text)


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "run.json"
    write_json(path, {"state": "old"})
    with pytest.raises((TypeError, ValueError)):
        write_json(path, {"state": object()})
    with pytest.raises(OSError):
        copy_whole(tmp_path / "nothing.png", path)
    assert json.loads(path.read_text()) == {"state": "old"}
    assert [file.name for file in tmp_path.iterdir()] == ["run.json"]


def test_clear_unfinished_takes_only_what_was_being_written(tmp_path):
    (tmp_path / "round-0").mkdir()
    for name in (".writing-77-run.json", "round-0/.writing-77-image.png", "run.json", "round-0/image.png"):
        (tmp_path / name).write_text("x")
    clear_unfinished(tmp_path)
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == ["image.png", "run.json"]


def a_round(found, iou, extras=0, verified=False):
    paths = {"layout": "l", "image": "i", "images": ("i",), "annotated": "a", "report": "r"}
    return Round(**paths, seed=0, planner="offline", verified=verified, score=(found, iou, -extras))


def a_run(folder):
    return Run(
        folder=folder,
        request=Request(prompt="a dog", planner="auto", engine="draft", verifier="draft", size=(640, 384)),
    )


@pytest.mark.parametrize(
    "rounds, best",
    [
        ([], None),
        ([a_round(0.0, 0.0)], 0),
        ([a_round(0.5, 0.9), a_round(1.0, 0.6)], 1),
        ([a_round(1.0, 0.6), a_round(0.5, 0.9)], 0),  # not the last
        ([a_round(0.5, 0.5), a_round(0.5, 0.7)], 1),
        ([a_round(0.5, 0.5, extras=2), a_round(0.5, 0.5)], 1),
        ([a_round(0.5, 0.5), a_round(0.5, 0.5)], 0),  # the earlier of equals
    ],
)
def test_best_round(tmp_path, rounds, best):
    assert a_run(tmp_path).with_rounds(rounds).best_round == best


def test_run_is_verified_by_its_best_round(tmp_path):
    good = a_round(1.0, 0.8, verified=True)
    bad = a_round(0.5, 0.5)
    assert a_run(tmp_path).with_rounds([good, bad]).verified
    assert not a_run(tmp_path).with_rounds([bad]).verified


def test_run_json_round_trip(tmp_path):
    run = a_run(tmp_path).with_rounds([a_round(0.5, 0.4)], seconds={"plan": 0.5}, planner="offline")
    run.save()
    assert Run.load(tmp_path) == run
    assert "folder" not in json.loads((tmp_path / "run.json").read_text())


@pytest.mark.parametrize(
    "content", [None, "", "[]", "{}", "null", "{", '{"request": 1}', '{"folder": "/etc"}', "[" * 100_000]
)
def test_load_refuses(tmp_path, content):
    if content is not None:
        (tmp_path / "run.json").write_text(content)
    with pytest.raises(BadInput):
        Run.load(tmp_path)


def test_a_run_draws_its_best_picture_and_shows_itself_in_a_notebook(tmp_path):
    agent = Agent(planner=ListPlanner(), engine=RectanglePainter(), verifier=ColourDetector(), out=tmp_path)
    run = agent.run("a dog and a cat")
    with Image.open(run.folder / run.best.annotated) as annotated:
        assert run.draw().tobytes() == annotated.tobytes()
    page = run._repr_html_()
    assert "a dog and a cat" in page and "verified, round 1" in page and "data:image/jpeg;base64," in page
    assert page.count("<td") == 2 * 4 and page.count("found") == 2
    empty = Run(folder=tmp_path, request=Request(prompt="<b>"))
    assert "&lt;b&gt;" in empty._repr_html_() and "no picture yet" in empty._repr_html_()
    with pytest.raises(BadInput, match="has no picture yet"):
        empty.draw()
