"""Runs and datasets in `tests/data` were made by an earlier version: they open, go on, and are exported."""

import json
import shutil
from pathlib import Path

import pytest

from agent.dataset.__main__ import main as dataset
from agent.dataset.export.records import read_records
from agent.dataset.folder import Folder
from agent.dataset.recipe import Recipe
from agent.events import PlanReady
from agent.runs import Answer, Run
from instdiff.formats import load_layout, read_png
from tests.agent.doubles import RectanglePainter, make_agent

DATA = Path(__file__).parents[1] / "data"
MAKE = ["--scenes", "kitchen,street", "--per-picture", "2", "--colours", "red,blue", "--count", "3", "--batch", "2"]
MAKE += ["--size", "64", "--steps", "2", "--guidance", "1.7", "--rounds", "2", "--accept", "all", "--verifier", "draft"]
MACHINE = ("model_hash", "verifier_hash", "torch")  # of a manifest: what other weights and another machine change


@pytest.fixture
def older(tmp_path):
    def copy(name):
        return Path(shutil.copytree(DATA / name, tmp_path / name))

    return copy


@pytest.mark.parametrize("name", ["complete", "edited"])
def test_a_run_that_is_over_opens(older, tmp_path, name):
    folder = older(f"runs/{name}")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    run = make_agent(tmp_path, as_ours=True).resume(folder)
    assert run == Run.load(folder) and run.done and run.best
    assert before == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    layout, settings = read_png(folder / run.best.image)
    assert layout == load_layout(folder / run.best.layout, boxes="xywh") and settings["engine"] == "draft"
    assert json.loads(json.dumps(run.summary()))["best_round"] == run.best_round


def test_a_killed_run_goes_on_where_it_was(older, tmp_path):
    folder = older("runs/killed")
    first = (folder / "round-0/image.png").stat().st_mtime_ns
    planned = load_layout(folder / "round-1/layout.json", boxes="xywh")
    painter = RectanglePainter()
    run = make_agent(tmp_path, painter, as_ours=True).resume(folder)
    assert run.done and (folder / "round-0/image.png").stat().st_mtime_ns == first
    assert painter.painted[0][0] == planned and painter.painted[0][1].seed == 5
    assert len(run.rounds) == 1 + len(painter.painted) and run.rounds[0].score[0] == 0.5


def test_a_waiting_run_takes_each_answer(older, tmp_path):
    folder = older("runs/waiting")
    planned = load_layout(folder / "round-0/layout.json", boxes="xywh")
    painter = RectanglePainter()
    assert make_agent(tmp_path, painter, as_ours=True).resume(folder).review == "waiting"
    events = []
    again = make_agent(tmp_path, painter, as_ours=True, on_event=events.append).resume(
        folder, Answer(decision="replan")
    )
    assert again.review == "waiting" and any(isinstance(event, PlanReady) for event in events)
    shutil.rmtree(folder)
    older("runs/waiting")
    run = make_agent(tmp_path, painter, as_ours=True).resume(folder, Answer(decision="approve"))
    assert run.review == "approved" and run.done and painter.painted[0][0] == planned
    shutil.rmtree(folder)
    older("runs/waiting")
    assert make_agent(tmp_path, painter, as_ours=True).resume(folder, Answer(decision="reject")).review == "rejected"


@pytest.mark.parametrize(("name", "noun"), [("complete", "sofa"), ("edited", "sofa")])
def test_a_run_can_be_edited(older, tmp_path, name, noun):
    start = Run.load(older(f"runs/{name}"))
    painter = RectanglePainter()
    run = make_agent(tmp_path, painter, as_ours=True).edit(start.folder, f"make the {noun} blue")
    before = load_layout(start.folder / start.best.layout, boxes="xywh")
    after, settings = painter.painted[0]
    assert f"a blue {noun}" in [instance.caption for instance in after.instances]
    assert [instance.box for instance in after.instances] == [instance.box for instance in before.instances]
    assert (settings.seed, settings.num_inference_steps) == (0, 16)
    assert run.before_after.exists() and run.request.edited.run == str(start.folder)


@pytest.mark.parametrize("name", ["whole", "killed"])
def test_a_dataset_goes_on_and_is_exported(older, name):
    path = older(f"datasets/{name}")
    manifest_file = path / "items/manifest.json"
    manifest = json.loads(manifest_file.read_text())
    today = Recipe().fingerprint()
    manifest["painted_with"] |= {key: today[key] for key in MACHINE}
    manifest_file.write_text(json.dumps(manifest))
    before = {file: file.read_bytes() for file in path.rglob("0*") if file.is_file()}
    assert dataset(["make", str(path), *MAKE]) == 0 and dataset(["check", str(path)]) == 0
    assert {file: file.read_bytes() for file in before} == before  # what was done is not done again
    assert dataset(["export", str(path), "--format", "coco,yolo"]) == 0
    records = read_records(Folder(path))
    older_items = {item.key: item for item in Folder(DATA / "datasets/whole").read()}
    assert [record.key for record in records] == list(older_items)
    for record in records:
        assert record.item.plan() == older_items[record.key].plan()
        assert record.item.seed == older_items[record.key].seed
