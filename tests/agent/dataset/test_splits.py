"""Splits and classes: nothing is in two, nothing is empty, and nothing moves as a set grows."""

import json
import re
from collections import Counter
from dataclasses import replace

import pytest

from agent.dataset.__main__ import main
from agent.dataset.export.classes import read_classes
from agent.dataset.export.records import ExportOptions, read_records
from agent.dataset.export.splits import join_groups, split_pictures
from agent.dataset.folder import Folder
from agent.dataset.making import make
from agent.dataset.sources import Prompts
from instdiff.errors import BadInput
from tests.agent.doubles_dataset import COUNT, RECIPE, an_order, placed

SHARES = {"train": 0.7, "val": 0.2, "test": 0.1}


@pytest.fixture(autouse=True)
def doubles(monkeypatch):
    return placed(monkeypatch)


def made(path, count, prompts):
    order = replace(an_order(path, Prompts(prompts)), count=count)
    order.folder.open({**order.recipe.fingerprint(), **order.source.about()})
    make(order)
    order.folder.finish(count)
    return order.folder


def where(records):
    return {record.key: record.split for record in records}


def test_classes_are_spread_and_no_split_is_empty(tmp_path):
    keys = [(f"{number:03d}",) for number in range(100)]
    counts = [Counter({"rare" if number < 10 else "common": 1}) for number in range(100)]
    splits = split_pictures(Folder(tmp_path), keys, counts, SHARES)
    assert Counter(splits) == {"train": 70, "val": 20, "test": 10}
    assert Counter(splits[:10]) == {"train": 7, "val": 2, "test": 1}
    for name in ("few", "two"):
        (tmp_path / name).mkdir()
    few = split_pictures(Folder(tmp_path / "few"), keys[:3], counts[:3], SHARES)
    assert set(few) == set(SHARES)
    with pytest.raises(BadInput, match="^val: 2 different .* cannot fill train, val, test"):
        split_pictures(Folder(tmp_path / "two"), keys[:2], counts[:2], SHARES)


def test_what_shares_a_layout_or_a_prompt_is_together(tmp_path):
    keys = [("a", "p"), ("b", "p"), ("b", "q"), ("c", "r"), ("d", "s")]
    assert join_groups(keys) == ["a", "a", "a", "c", "d"]
    splits = split_pictures(Folder(tmp_path), keys, [Counter()] * 5, {"train": 0.6, "val": 0.4, "test": 0.0})
    assert len(set(splits[:3])) == 1 and set(splits) == {"train", "val"}


def test_a_larger_set_moves_nothing_and_renumbers_nothing(tmp_path):
    options = ExportOptions(val=0.3)
    prompts = ("a dog", "a tree", "a car", "a dog and a tree", "a dog and a car", "a car and a tree", "a cat")
    before = read_records(made(tmp_path, 6, prompts), options)
    assert before.classes == ["car", "dog", "tree"] and before.splits == ["train", "val"]
    after = read_records(made(tmp_path, 20, prompts), options)
    assert after.classes == ["car", "dog", "tree", "cat"]
    assert where(before).items() <= where(after).items()
    prompts_in = {split: {record.item.prompt for record in after.of(split)} for split in after.splits}
    assert not prompts_in["train"] & prompts_in["val"]


def test_classes_of_a_file_have_its_numbers_and_others_are_told(tmp_path, capsys):
    folder = made(tmp_path / "made", 6, ("a dog", "a tree", "a car and a dog"))
    (tmp_path / "names.txt").write_text("zebra\ndog\nautomobile\n")
    out = tmp_path / "out"
    arguments = ["export", str(folder.path), "--out", str(out), "--format", "coco,yolo", "--json", "--val", "0"]
    assert main([*arguments, "--classes", str(tmp_path / "names.txt")]) == 0
    notes = json.loads(capsys.readouterr().out)["notes"]
    assert notes == ["2 labels are left out, as --classes does not have them: tree (2)"]
    lines = {line.split()[0] for path in (out / "yolo/labels").rglob("*.txt") for line in path.read_text().splitlines()}
    assert lines == {"1", "2"}
    coco = json.loads((out / "coco/annotations/instances_train.json").read_text())
    assert [(one["id"], one["name"]) for one in coco["categories"]] == [(1, "zebra"), (2, "dog"), (3, "automobile")]
    assert read_classes(out / "yolo/data.yaml") == ["zebra", "dog", "automobile"]
    card = (out / "README.md").read_text()  # cars have labels, as automobiles; trees were to have none
    assert "Every planned class has labels." in card and re.search(r"\| tree \|.*\| left out \|", card)


@pytest.mark.parametrize("text", ["", "dog\ndog\n"])
def test_a_file_without_classes_is_refused(tmp_path, text):
    (tmp_path / "names.txt").write_text(text)
    with pytest.raises(BadInput, match="^classes: "):
        read_classes(tmp_path / "names.txt")


def test_what_is_missing_is_a_crowd_region_in_coco_and_counted_for_yolo(tmp_path, doubles, capsys):
    from pycocotools.coco import COCO

    doubles.forget("cat", seeds={RECIPE.seed_of(index) + more for index in range(0, 100, 2) for more in range(2)})
    order = an_order(tmp_path, Prompts(("a dog and a cat",)))
    order = replace(order, recipe=RECIPE.model_copy(update={"accept": "instance", "rounds": 1}))
    order.folder.open({**order.recipe.fingerprint(), **order.source.about()})
    make(order)
    order.folder.finish(COUNT)
    assert main(["export", str(tmp_path), "--format", "coco,yolo", "--val", "0", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    notes = [f"{COUNT // 2} regions to ignore are left out of yolo, which have no place for them"]
    assert (found["annotations"], found["ignored"], found["notes"]) == (COUNT + COUNT // 2, COUNT // 2, notes)
    coco = COCO(tmp_path / "export/coco/annotations/instances_train.json")
    crowd = coco.loadAnns(coco.getAnnIds(iscrowd=1))
    assert len(crowd) == COUNT // 2 and {one["category_id"] for one in crowd} == set(coco.getCatIds(["cat"]))
    for one in crowd:
        _x, _y, width, height = one["bbox"]
        assert coco.annToMask(one).sum() == pytest.approx(width * height, rel=0.1)
