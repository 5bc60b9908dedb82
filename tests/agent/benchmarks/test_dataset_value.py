"""What a dataset is worth to a detector: with the doubles' pictures, and white rectangles as composites."""

import json

import numpy as np
import pytest

pytest.importorskip("cv2")

from agent.benchmarks.dataset_value import prove, score
from agent.dataset import making
from agent.dataset.__main__ import main
from agent.dataset.export.card import PROOF
from instdiff.errors import BadInput
from instdiff.training.draft.sprites import Sprite
from tests.agent.doubles_dataset import an_order, placed

THINGS = ("dog", "cat", "car", "tree")
SPRITES = {name: [Sprite(name, np.full((40, 60, 4), 255, np.uint8))] for name in THINGS}
QUICK = {"minutes": 0.03, "held_out": 4, "batch": 2, "seed": 0}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    placed(monkeypatch)
    order = an_order(tmp_path / "dataset")
    order.folder.open({**order.recipe.fingerprint(), **order.source.about()})
    making.make(order, lambda usage: None)
    order.folder.finish(order.count)
    return order.folder


def test_all_learn_for_as_many_steps_and_the_card_says_so(folder, monkeypatch):
    monkeypatch.setattr("agent.benchmarks.dataset_value.LEAST_AP50", 0.0)
    proof = prove(folder, SPRITES, 3, **QUICK, seeds=2)
    assert proof == json.loads((folder.path / PROOF).read_text())
    assert proof["pictures"] == 3 and 1 <= proof["categories"] <= len(THINGS)
    assert proof["dataset"]["steps"] == proof["composites"]["steps"] == proof["both"]["steps"] > 0
    for found in (proof["dataset"], proof["composites"], proof["both"]):
        assert len(found["each"]) == 2 and found["interval"][0] <= found["ap50"] <= found["interval"][1]
    assert main(["export", str(folder.path), "--format", "coco"]) == 0
    card = (folder.path / "export" / "README.md").read_text()
    assert "What a detector learns from it" in card and f'"steps": {proof["dataset"]["steps"]}' in card


def test_a_training_too_short_to_mean_anything_is_refused(folder):
    with pytest.raises(BadInput, match="^minutes: 0.03 is too short: after .* nothing is written"):
        prove(folder, SPRITES, 3, **QUICK)
    assert not (folder.path / PROOF).exists()


def test_scores_of_several_seeds():
    found = score([{"ap50": ap50, "recall": 0.5, "steps": 7} for ap50 in (0.2, 0.3, 0.4)])
    assert found["ap50"] == 0.3 and found["steps"] == 7
    assert found["interval"] == pytest.approx([0.3 - 0.2484, 0.3 + 0.2484], abs=1e-3)
    assert score([{"ap50": 0.2, "recall": 0.5, "steps": 7}])["interval"] is None


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"count": 1000}, "count"),
        ({"count": 0}, "count"),
        ({"minutes": 0.0}, "minutes"),
        ({"held_out": 0}, "held_out"),
        ({"batch": -1}, "batch"),
        ({"seeds": 0}, "seeds"),
    ],
)
def test_what_cannot_be_proved_is_refused(folder, asked, field):
    with pytest.raises(BadInput, match=f"^{field}: "):
        prove(folder, SPRITES, **{"count": 3, **QUICK, **asked})
    assert not (folder.path / PROOF).exists()
