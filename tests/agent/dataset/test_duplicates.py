"""Pictures that look alike are found and told."""

import json

import numpy as np
import pytest
from PIL import Image

from agent.dataset.__main__ import main
from agent.dataset.duplicates import near_duplicates
from tests.agent.doubles_dataset import placed


def test_a_spoiled_copy_is_alike_and_other_pictures_are_not(tmp_path):
    rng = np.random.default_rng(0)
    paths = [tmp_path / f"{number}.png" for number in range(7)]
    for path in paths[:6]:
        coarse = rng.integers(0, 255, (6, 6, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((128, 128), Image.Resampling.BICUBIC).save(path)
    with Image.open(paths[1]) as image:
        image.save(tmp_path / "copy.jpg", quality=70)
    paths[6] = tmp_path / "copy.jpg"
    assert [pair[:2] for pair in near_duplicates(paths)] == [(1, 6)]
    assert list(near_duplicates(paths[:1])) == []


@pytest.mark.parametrize("asked", [True, False])
def test_check_names_them_with_their_splits(tmp_path, monkeypatch, capsys, asked):
    placed(monkeypatch)
    (tmp_path / "prompts.txt").write_text("a dog\na cat and a car\na tree\n")
    arguments = ["--prompts", str(tmp_path / "prompts.txt"), "--size", "128x96", "--json"]
    assert main(["make", str(tmp_path / "made"), *arguments, "--count", "6", "--batch", "3"]) == 0
    capsys.readouterr()
    assert main(["check", str(tmp_path / "made"), "--json", *(["--duplicates"] if asked else [])]) == 0
    found = json.loads(capsys.readouterr().out)
    pairs = [text.split(":")[0] for text in found.get("near-duplicates", [])]
    same_prompts = ["000000 (val) and 000003 (val)", "000001 (train) and 000004 (train)"]
    assert ("near-duplicates" in found) == asked and (not asked or set(same_prompts) <= set(pairs))
