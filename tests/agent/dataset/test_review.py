"""What a person says of a dataset: kept beside it, and in the export that asks for it alone."""

import json

import numpy as np
import pytest
from pycocotools.coco import COCO

from agent.dataset.__main__ import main
from agent.dataset.export.corrections import corrected_labels
from agent.dataset.export.labels import Label
from agent.dataset.export.records import ExportOptions, read_records
from agent.dataset.folder import Folder
from agent.dataset.review import correct, correction, decide, decisions
from instdiff.errors import BadInput
from instdiff.layout import Box, Instance, Mask
from tests.agent.doubles_dataset import placed

SIZE = (128, 96)
ZEBRA = Instance(caption="", category="zebra", box=Box.from_coco([8, 16, 32, 24], SIZE))


@pytest.fixture
def made(tmp_path, monkeypatch):
    placed(monkeypatch)
    (tmp_path / "prompts.txt").write_text("a dog\na cat\na dog and a cat\n")
    command = ["make", str(tmp_path / "made"), "--prompts", str(tmp_path / "prompts.txt"), "--count", "4"]
    assert main([*command, "--size", "128x96", "--batch", "4"]) == 0
    return Folder(tmp_path / "made")


def test_decisions_and_corrections_are_kept_and_taken_back(tmp_path):
    assert decisions(tmp_path) == {} and correction(tmp_path, "a", "1") is None
    decide(tmp_path, {"b": "accepted", "a": "rejected"})
    decide(tmp_path, {"b": None})
    assert decisions(tmp_path) == {"a": "rejected"}
    correct(tmp_path, "a", "1", [ZEBRA])
    assert correction(tmp_path, "a", "1") == (ZEBRA,)
    assert correction(tmp_path, "a", "2") is None  # another picture took its place
    correct(tmp_path, "a", "1", None)
    assert correction(tmp_path, "a", "1") is None
    with pytest.raises(BadInput, match="perhaps"):
        decide(tmp_path, {"a": "perhaps"})
    (tmp_path / "review.json").write_text('{"a": "perhaps"}')
    with pytest.raises(BadInput, match="something else"):
        decisions(tmp_path)
    (tmp_path / "corrected" / "a.json").write_text('{"sha256": "1", "instances": [{"caption": "a dog"}]}')
    with pytest.raises(BadInput, match="no place"):
        correction(tmp_path, "a", "1")


def test_what_was_accepted_is_exported_as_it_was_put_right(made, tmp_path, capsys):
    before = {path: path.read_bytes() for path in made.items.iterdir()}
    first, second, third = list(made.read())[:3]
    decide(made.items, {first.key: "accepted", second.key: "rejected", third.key: "accepted"})
    correct(made.items, first.key, first.sha256, [ZEBRA])
    correct(made.items, second.key, second.sha256, [ZEBRA])
    assert len(read_records(made)) == 4 and "zebra" not in read_records(made).classes  # who does not ask gets all
    out = tmp_path / "out"
    command = ["export", str(made.path), "--format", "coco,yolo", "--reviewed", "--val", "0", "--json"]
    assert main([*command, "--out", str(out)]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["pictures"] == 2 and found["notes"] == ["2 pictures are left out, as nobody accepted them"]
    assert "A person accepted each of them" in (out / "README.md").read_text()
    coco = COCO(out / "coco/annotations/instances_train.json")
    (zebra,) = coco.loadAnns(coco.getAnnIds(imgIds=first.index))
    assert zebra["bbox"] == [8, 16, 32, 24] and zebra["verdict"] == zebra["source"] == "corrected"
    assert (zebra["caption"], coco.loadCats(zebra["category_id"])[0]["name"]) == ("a zebra", "zebra")
    labels = read_records(made, ExportOptions(reviewed=True))[1].labels  # of what was accepted as it was
    seen = coco.loadAnns(coco.getAnnIds(imgIds=third.index))
    assert [anno["bbox"] for anno in seen] == [pytest.approx(label.box.to_coco(SIZE)) for label in labels]
    lines = (out / f"yolo/labels/train/{first.key}.txt").read_text().split()
    assert np.array(lines[1:], dtype=float) == pytest.approx([24 / 128, 28 / 96, 32 / 128, 24 / 96], abs=1e-6)
    assert not (out / f"yolo/labels/train/{second.key}.txt").exists()
    assert {path: path.read_bytes() for path in before} == before
    assert main(["check", str(made.path)]) == 0
    decide(made.items, {first.key: None, third.key: None})
    assert main([*command, "--out", str(tmp_path / "none")]) == 2
    assert "no picture that a person accepted" in capsys.readouterr().err


def test_a_label_that_stayed_is_what_it_was_and_regions_give_way():
    def label(name, box, **more):
        made = {"name": name, "caption": f"a red {name}", "source": "seen", "verdict": "found", "score": 0.9}
        return Label(**{**made, "box": Box.from_coco(box, SIZE), **more})

    mask = Mask.from_array(np.ones(SIZE[::-1], dtype=bool))
    dog = label("dog", [0, 0, 64, 48], mask=mask)
    cat = label("cat", [64, 48, 64, 48])
    near, far = (label("car", box, ignore=True) for box in ([10, 16, 32, 24], [90, 0, 20, 20]))
    renamed = cat.instance.model_copy(update={"category": "fox"})
    smaller = dog.instance.model_copy(update={"box": Box.from_coco([0, 0, 10, 20], SIZE)})
    corrected = corrected_labels([dog, cat, near, far], [dog.instance, renamed, ZEBRA, smaller], SIZE)
    assert corrected[0] == dog and corrected[-1] == far and len(corrected) == 5
    fox, zebra, small = corrected[1:4]
    assert (fox.name, fox.caption, fox.score, fox.source) == ("fox", "a fox", None, "corrected")
    assert zebra.box == ZEBRA.box
    assert small.caption == "a red dog" and small.mask.array.sum() == 200  # the mask ends where the box does
