"""Inputs that once broke something, or were made to: each ends in one printable line, soon, and takes little memory."""

import io
import json
import os
import pickle
import shutil
import sqlite3
import zipfile
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from fuzz import limited, peak_mb
from fuzz_inputs import pickle_tricks

from agent import Agent, plans
from agent.edit import edit_plan
from agent.events import PlanReady, Stopped
from agent.job import events, job_folder, tell
from agent.painting import read_image
from agent.planners.offline import OfflinePlanner
from agent.planners.plan import Plan
from agent.runs import Run
from evaluators.detectors import dialects
from instdiff.checkpoint.pickles import read_pickle
from instdiff.checkpoint.sources import open_source
from instdiff.checkpoint.tensors import Extent, read_safetensors, view
from instdiff.errors import BadInput, ServiceError
from instdiff.formats.native import read_mask
from instdiff.layout import Layout
from tests.agent.doubles import ColourDetector, ListPlanner, RectanglePainter

HUGE = 10**400


@pytest.mark.parametrize(
    "error",
    [BadInput("\x1b]0;x\x07field", "a\nb\x9b31m\ud800\u202ec"), ServiceError("\x1b[2Jgone\r\n"), ServiceError("")],
)
def test_errors_are_one_printable_line(error):
    assert str(error).isprintable() and "\x1b" not in str(error)


@pytest.mark.parametrize(
    "text",
    [
        f'[{{"label": "cat", "box": [{HUGE}, 0, 1, 1]}}]',
        '{"box": ' * 7_000,
        '[{"label": "cat", "box": [0, 0, 1e999, NaN]}]',
    ],
)
def test_answers_of_vision_models(text):
    with limited(), pytest.raises(ServiceError):
        dialects.plain_json(text, (504, 504))


def test_a_good_box_behind_a_bad_one_is_read():
    text = f'[{{"label": "dog", "box": [{HUGE}, 0, 1, 1]}}, {{"label": "cat", "box": [0, 0, 0.5, 1]}}]'
    assert [label for label, _ in dialects.plain_json(text, (504, 504))] == ["cat"]


@pytest.mark.parametrize(
    "words",
    [
        "make " + "the " * 400 + "lamp red",
        "make the sofa twice" + " as" * 500,
        "remove" + " 1" * 900,
        "put " * 490,
        "add a \ud800 cat",
        "remove the lamp, make the sofa red and " + "(" * 800,
    ],
)
def test_edits(words):
    plan = OfflinePlanner().plan("a grey sofa and a lamp", (512, 512), 0)
    with limited(), suppress(BadInput):
        assert edit_plan(plan, words).layout != plan.layout


def test_half_a_character_in_a_file_of_prompts(tmp_path, capsys):
    (tmp_path / "prompts.jsonl").write_text('{"prompt": "a dog \\ud800"}\n{"prompt": "a cat"}\n')
    assert plans.main([str(tmp_path / "prompts.jsonl")]) == 2
    assert "prompts.jsonl line 1.prompt: holds half of a surrogate pair" in capsys.readouterr().err
    with pytest.raises(BadInput, match="not valid Unicode"):
        OfflinePlanner().plan("a dog \ud800", (512, 512), 0)


MASKS = {
    "many runs of nothing": {"size": [4096, 4096], "counts": "0" * 3_000_000},
    "polygons over and over": [[0, 0, 4096, 0, 4096, 4096, 0, 4096]] * 200,
    "a polygon without end": [[1, 1, 9, 1, 9, 9] * 60_000],
}


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
def test_masks_that_cost_more_than_they_say(mask):
    with limited(), pytest.raises(BadInput):
        read_mask(mask, (4096, 4096), "mask")


# checkpoints


@pytest.mark.parametrize("trick", range(len(pickle_tricks())))
def test_pickles_that_ask_for_much(trick, tmp_path):
    path = tmp_path / "x.pth"
    before = peak_mb()
    path.write_bytes(pickle_tricks()[trick])
    with limited(), pytest.raises(BadInput):
        open_source(path)
    assert peak_mb() - before < 500


class Forged:
    """Pickles as a call whose result gets attributes."""

    def __init__(self, call, arguments, state):
        self.call = call, arguments, state

    def __reduce__(self):
        return self.call


def test_a_pickle_cannot_change_how_a_dictionary_is_read(tmp_path):
    torch.save(Forged(OrderedDict, (), {"items": OrderedDict, "get": OrderedDict}), tmp_path / "x.pth")
    assert read_pickle(tmp_path / "x.pth") == {}
    with pytest.raises(BadInput, match="neither"):
        open_source(tmp_path / "x.pth")


def zipped(folder, **entries):
    path = folder / "x.pth"
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(f"archive/{name.replace('_', '.')}", content)
    path.write_bytes(out.getvalue())
    return path


def test_entries_that_unfold_are_not_unfolded(tmp_path):
    bomb = b"\0" * 2**27
    before = peak_mb()
    small = pickle.dumps({}, 2)
    for path in (zipped(tmp_path, data_pkl=small, byteorder=bomb), zipped(tmp_path, data_pkl=bomb)):
        assert path.stat().st_size < 2**20
        with limited(), pytest.raises(BadInput):
            read_pickle(path)
    assert peak_mb() - before < 100


def test_a_tensor_that_its_file_cannot_hold_takes_no_memory(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"\0" * 64)
    extent = Extent(path, 0, 10**12, torch.float32)
    before = peak_mb()
    with pytest.raises(BadInput, match="cut off"):
        extent.read(0, 10**12)
    for shape, stride in (((10**12,), (0,)), ((1,) * 1_000, (1,) * 1_000), ((-1,), (1,))):
        with pytest.raises(ValueError):
            view(extent, 0, shape, stride)
    assert peak_mb() - before < 10


@pytest.mark.parametrize(
    "shape", ["[1e999]", "[4, 1e999]", "[" + "1," * 100_000 + "1]", f"[{HUGE}]", "[-2, -2]", '["x"]', "{}"]
)
def test_absurd_shapes_in_safetensors(shape, tmp_path):
    index = f'{{"a": {{"dtype": "F32", "shape": {shape}, "data_offsets": [0, 16]}}}}'.encode()
    (tmp_path / "x.safetensors").write_bytes(len(index).to_bytes(8, "little") + index + b"\0" * 16)
    with limited(), pytest.raises(BadInput):
        read_safetensors(tmp_path / "x.safetensors")


# folders of runs


@pytest.fixture(scope="module")
def stopped_once(tmp_path_factory):
    """The folder of a run whose planner failed after the first round."""
    folder = tmp_path_factory.mktemp("stopped")
    with pytest.raises(ServiceError):
        an_agent(folder, fails=("revise",)).run("dog cat")
    (run,) = (folder / "out").iterdir()
    return run


@pytest.fixture
def stopped(stopped_once, tmp_path):
    """A copy of that run, to be damaged."""
    return Path(shutil.copytree(stopped_once, tmp_path / "out" / stopped_once.name))


def an_agent(tmp_path, fails=()):
    return Agent(
        planner=ListPlanner(fails=fails),
        engine=RectanglePainter({0: {"dog"}}),
        verifier=ColourDetector(),
        out=tmp_path / "out",
    )


def changed(path, change):
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


RUNS = {
    "a best round that is not there": lambda run: run.update(best_round=7),
    "a best round from the end": lambda run: run.update(best_round=-1),
    "a picture elsewhere": lambda run: run["rounds"][0].update(image="../../secret.png"),
    "a report elsewhere": lambda run: run["rounds"][0].update(report="/etc/passwd"),
    "a round without pictures": lambda run: run["rounds"][0].update(images=[]),
}


@pytest.mark.parametrize("change", RUNS.values(), ids=RUNS)
def test_a_run_that_points_elsewhere_is_refused(change, stopped):
    changed(stopped / "run.json", change)
    with pytest.raises(BadInput, match="^run"):
        Run.load(stopped)


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff", b'{"verdicts": [1]}', b"[" * 100_000])
def test_a_damaged_report_stops_the_run_in_one_line(content, stopped, tmp_path):
    (stopped / "round-0" / "report.json").write_bytes(content)
    with pytest.raises(BadInput, match=r"report\.json"):
        an_agent(tmp_path).resume(stopped)


def test_a_damaged_picture_is_refused(stopped):
    [picture, *_] = sorted((stopped / "round-0").glob("*.png"))
    content = bytearray(picture.read_bytes())
    start = content.index(b"IDAT") + 4
    content[start:] = b"\xff" * len(content[start:])
    picture.write_bytes(content)
    with pytest.raises(BadInput, match="damaged"):
        read_image(picture)


def spoil_values(path, encoding, content):
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE checkpoints SET type = ?, checkpoint = ?", (encoding, content))


CALL = b'{"v": 1, "x": {"lc": 2, "type": "constructor", "id": ["os", "mkdir"], "kwargs": {}}}'
DAMAGE = {
    "no database": lambda path: path.write_bytes(b"SQLite format 3\0" + b"\xff" * 5_000),
    "cut in half": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "no message pack": lambda path: spoil_values(path, "msgpack", b"\xc1\xff"),
    "a class to call": lambda path: spoil_values(path, "json", CALL),
    "a pickle": lambda path: spoil_values(path, "pickle", pickle.dumps({})),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_checkpoint_stops_the_run_in_one_line(damage, stopped, tmp_path):
    damage(stopped / "checkpoint.sqlite")
    with pytest.raises(BadInput, match="^run: "):
        an_agent(tmp_path).resume(stopped)
    assert json.loads((stopped / "run.json").read_text())["rounds"]


def test_a_checkpoint_with_other_values_is_refused(stopped, tmp_path, monkeypatch):
    from langgraph.pregel import Pregel

    read = Pregel.get_state

    def elsewhere(self, config, **options):
        found = read(self, config, **options)
        found.values["painted"]["pictures"][0]["name"] = "../../secret.png"
        return found

    monkeypatch.setattr(Pregel, "get_state", elsewhere)
    with pytest.raises(BadInput, match=r"checkpoint\.painted\.pictures"):
        an_agent(tmp_path).resume(stopped)


def test_a_run_with_a_link_is_not_gone_on_with(stopped, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    os.symlink(tmp_path / "elsewhere", stopped / "round-1")
    with pytest.raises(BadInput, match="is a link"):
        an_agent(tmp_path).resume(stopped)
    assert not list((tmp_path / "elsewhere").iterdir())


def test_events_that_cannot_be_read_are_left_out(tmp_path):
    folder = job_folder(tmp_path)
    folder.mkdir()
    plan = Plan(layout=Layout(caption="a dog"), planner="offline", notes=("one\u2028line",))
    tell(folder, PlanReady(round=0, plan=plan))
    with (folder / "events.jsonl").open("ab") as file:
        file.write(b'{"kind": "ste\n\xff\xfe\n[1]\n7\n' + b"[" * 100_000 + b"\n")
    tell(folder, Stopped())
    first, last = events(tmp_path)
    assert isinstance(first, PlanReady) and isinstance(last, Stopped)
    assert first.plan.notes == ("one\u2028line",)
