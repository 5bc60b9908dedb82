"""What a dataset is worth to a detector: with the doubles' pictures, and white rectangles as composites."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("cv2")

from agent.benchmarks.dataset_value import TRAININGS, prove, score
from agent.benchmarks.detector_examples import Photographs, dataset_examples, planned_classes, shared_classes
from agent.benchmarks.proof_options import ProofOptions
from agent.dataset import making
from agent.dataset.__main__ import main
from agent.dataset.export.card import PROOF
from agent.dataset.export.records import ExportOptions, read_records
from agent.dataset.folder import Folder
from instdiff.errors import BadInput
from instdiff.training.draft.labelled_pictures import IGNORED
from instdiff.training.draft.sprites import Sprite
from tests.agent.doubles_dataset import an_order, placed

THINGS = ("dog", "cat", "car", "tree")
SPRITES = {name: [Sprite(name, np.full((40, 60, 4), 255, np.uint8))] for name in THINGS}
QUICK = ProofOptions(count=3, steps=1, held_out=4, batch=2, side=64, seeds=1)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    order = an_order(tmp_path_factory.mktemp("made") / "dataset")
    order = replace(order, recipe=order.recipe.model_copy(update={"accept": "instance", "rounds": 1, "val": 0.0}))
    with pytest.MonkeyPatch.context() as monkeypatch:
        placed(monkeypatch).forget("tree", {order.recipe.seed_of(3)})  # of "a car and a tree"
        order.folder.open({**order.recipe.fingerprint(), **order.source.about()})
        making.make(order, lambda usage: None)
    order.folder.finish(order.count)
    return order.folder.path


@pytest.fixture
def folder(tmp_path, made):
    return Folder(shutil.copytree(made, tmp_path / "dataset"))


@pytest.fixture
def photographs(tmp_path):
    """Nine pictures of a pup and a crowd of horses, each 100 x 100, and a tenth that is not there."""
    names = {1: "puppy", 2: "horse"}
    annos = []
    for number in range(10):
        if number:
            Image.new("RGB", (100, 100), (20 * number, 0, 0)).save(tmp_path / f"{number}.jpg")
        own = {"image_id": number, "segmentation": {"size": [100, 100], "counts": [0, 1000, 9000]}, "iscrowd": 1}
        annos += [{**own, "id": 2 * number + 1, "category_id": 2, "bbox": [0, 0, 10, 100]}]
        place = {"bbox": [20, 20, 40, 40], "segmentation": [[20, 20, 60, 20, 60, 60, 20, 60]]}
        annos += [{"id": 2 * number + 2, "image_id": number, "category_id": 1, **place}]
    images = [{"id": number, "file_name": f"{number}.jpg", "width": 100, "height": 100} for number in range(10)]
    categories = [{"id": number, "name": name} for number, name in names.items()]
    path = tmp_path / "photographs.json"
    path.write_text(json.dumps({"images": images, "annotations": annos, "categories": categories}))
    return path


def test_all_learn_for_as_many_steps_and_the_card_says_so(folder, monkeypatch):
    monkeypatch.setattr("agent.benchmarks.dataset_value.LEAST_AP50", -1.0)
    options = QUICK.model_copy(update={"seeds": 2, "unrefined": True})
    proof = prove(folder, options, SPRITES, against=[folder])
    assert proof == json.loads((folder.path / PROOF).read_text())
    assert (proof["pictures"], proof["real"], proof["held_out"]) == (3, "composites", 4)
    rows = [proof[name] for name in ("dataset", "composites", "unrefined", str(folder.path), "both")]
    for found in rows:
        assert len(found["each"]) == 2 and found["interval"][0] <= found["ap50"] <= found["interval"][1]
        assert found["steps"] == 1
    assert proof["both"]["labels"] == rows[0]["labels"] + rows[1]["labels"]
    assert proof["ratios"].keys() == {"dataset", "unrefined", str(folder.path), "both"}
    assert main(["export", str(folder.path), "--format", "coco"]) == 0
    card = (folder.path / "export" / "README.md").read_text()
    assert "What a detector learns from it" in card and '"steps": 1' in card


def test_the_same_command_goes_on_with_what_was_stopped(folder, monkeypatch):
    monkeypatch.setattr("agent.benchmarks.dataset_value.LEAST_AP50", -1.0)
    proof = prove(folder, QUICK, SPRITES)
    kept = sorted((folder.path / TRAININGS).iterdir())
    assert len(kept) == 3
    kept[0].unlink()
    for path in kept[1:]:
        path.write_text(path.read_text().replace('"ap50": 0', '"ap50": 1'))
    again = prove(folder, QUICK, SPRITES)
    assert sorted([again[name]["ap50"] >= 1 for name in ("dataset", "composites", "both")]) == [False, True, True]
    assert {path.name for path in kept} == {path.name for path in (folder.path / TRAININGS).iterdir()} and proof


def test_minutes_of_the_first_training_say_how_many_steps_all_take(folder, monkeypatch):
    monkeypatch.setattr("agent.benchmarks.dataset_value.LEAST_AP50", -1.0)
    proof = prove(folder, QUICK.model_copy(update={"steps": None, "minutes": 0.01}), SPRITES)
    assert proof["dataset"]["steps"] == proof["composites"]["steps"] == proof["both"]["steps"] > 0


def test_a_training_too_short_to_mean_anything_is_refused(folder):
    with pytest.raises(BadInput, match="^minutes: 1 steps are too few: .* nothing is written"):
        prove(folder, QUICK, SPRITES)
    assert not (folder.path / PROOF).exists()


def test_regions_to_ignore_are_known_to_what_learns(folder):
    names = {name: name for name in THINGS}
    ignoring = dataset_examples(read_records(folder, ExportOptions(unverified="ignore")), names.get, THINGS, 64)
    without = dataset_examples(read_records(folder, ExportOptions(unverified="none")), names.get, THINGS, 64)
    assert (ignoring.labels <= IGNORED).any() and not (without.labels <= IGNORED).any()
    assert (ignoring.labels >= 0).sum() == (without.labels >= 0).sum() > 0


def test_a_dataset_is_of_what_was_planned(folder):
    path = folder.items / "000003.json"
    item = json.loads(path.read_text())
    item["seen"].append({"category": "bus", "score": 0.9, "box": {"x0": 0.0, "y0": 0.0, "x1": 0.1, "y1": 0.1}})
    path.write_text(json.dumps(item))
    records = read_records(folder)
    assert {*records.classes} - planned_classes(records) == {"bus"} and "car" in planned_classes(records)
    usual = list(records)
    rare = usual[0].labels[0].model_copy(update={"name": "pond"})
    ponds = [replace(usual[0], every=(rare,))]
    assert "pond" not in planned_classes(8 * usual + ponds) and "pond" in planned_classes(usual + ponds)


def test_photographs_are_learned_from_and_scored_on(folder, photographs, monkeypatch):
    monkeypatch.setattr("agent.benchmarks.dataset_value.LEAST_AP50", -1.0)
    assert shared_classes(Photographs.read(photographs), ("cat", "dog")) == {"puppy": "dog"}
    proof = prove(folder, QUICK.model_copy(update={"count": None}), photographs=Photographs.read(photographs))
    assert (proof["real"], proof["held_out"], proof["categories"]) == ("photographs", 3, 1)
    assert proof["photographs"]["labels"] == proof["pictures"] <= 6


def test_crowds_on_photographs_are_regions_to_ignore(photographs):
    """Of their class alone: where a crowd of horses stands, no dog is."""
    both = {"puppy": "dog", "horse": "horse"}
    found = Photographs.read(photographs).examples(slice(None), both.get, ("dog", "horse"), 64)
    assert found.images.shape == (9, 3, 64, 64) and found.labels.tolist() == [[IGNORED - 1, 0]] * 9
    assert found.boxes[0, 1].tolist() == pytest.approx([0.2, 0.2, 0.6, 0.6])
    dogs = Photographs.read(photographs).examples(slice(None), both.get, ("dog",), 64)
    assert dogs.labels.tolist() == [[0]] * 9


def test_photographs_of_other_things_or_elsewhere_are_refused(folder, photographs, tmp_path):
    other = photographs.read_text().replace("puppy", "airship")
    photographs.write_text(other)
    with pytest.raises(BadInput, match="^photographs: they show nothing that the dataset shows, but airship"):
        prove(folder, QUICK, photographs=Photographs.read(photographs))
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match="^photographs: none of .* see --images"):
        Photographs.read(photographs, tmp_path / "empty")


def test_scores_of_several_seeds():
    found = score([{"ap50": ap50, "recall": 0.5, "steps": 7} for ap50 in (0.2, 0.3, 0.4)])
    assert found["ap50"] == 0.3 and found["steps"] == 7
    assert found["interval"] == pytest.approx([0.3 - 0.2484, 0.3 + 0.2484], abs=1e-3)
    assert score([{"ap50": 0.2, "recall": 0.5, "steps": 7}])["interval"] is None


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        (["--count", "1000"], "count"),
        (["--count", "0"], "count"),
        (["--minutes", "0"], "minutes"),
        (["--side", "100"], "side"),
        (["--seeds", "0"], "seeds"),
        (["--photographs", "none.json"], "sprites"),
    ],
)
def test_what_cannot_be_proved_is_refused(folder, asked, field, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("instdiff.training.draft.sprites.load_sprites", lambda path: SPRITES)
    assert main(["prove", str(folder.path), "--sprites", str(tmp_path), "--held-out", "1", *asked]) == 2
    assert f"error: {field}" in capsys.readouterr().err and not (folder.path / PROOF).exists()
