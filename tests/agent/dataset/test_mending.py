"""Nothing that was made is removed, and what is damaged costs itself alone until it is made again."""

import json
from dataclasses import replace

import pytest

from agent.dataset.__main__ import main
from agent.dataset.folder import Folder
from agent.dataset.mending import DAMAGED, find_damage
from evaluators.manifest import read_manifest
from tests.agent.doubles_dataset import an_order, files_of, placed

DAMAGE = {"000001.png": b"torn", "000002.json": b'{"index"', "000004.png": None, "000005.json": None}


@pytest.fixture(autouse=True)
def doubles(monkeypatch):
    return placed(monkeypatch)


def command(folder, *more):
    prompts = folder.parent / "prompts.txt"
    prompts.write_text("a dog\na cat\na dog and a cat\n")
    return ["make", str(folder), "--prompts", str(prompts), "--batch", "4", "--size", "128x96", *more]


def everything(folder):
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.glob("items/0*")}


@pytest.fixture
def made(tmp_path):
    assert main(command(tmp_path / "made", "--count", "6")) == 0
    return tmp_path / "made"


def test_what_was_made_beyond_the_count_stays_and_is_used_later(made):
    before = everything(made)
    assert len(before) == 2 * 8 and read_manifest(made / "items").keys == {f"00000{number}" for number in range(6)}
    for more in (("--count", "6"), (), ("--count", "2")):
        assert main(command(made, *more)) == 0
        assert everything(made) == before
    assert main(command(made, "--count", "8")) == 0
    assert everything(made) == before and len(read_manifest(made / "items").pictures) == 8


def test_a_process_that_is_ahead_loses_nothing(tmp_path):
    order = replace(an_order(tmp_path), count=3)
    order.folder.open({})
    from agent.dataset.making import make

    make(replace(order, count=20), first=1, step=2)
    make(order)
    before = everything(tmp_path)
    order.folder.finish(3)
    assert everything(tmp_path) == before and len(order.folder.members()) == 3 < len(before) / 2


def test_all_damage_is_named_and_made_again_as_it_was(made, capsys):
    whole = files_of(Folder(made))
    for name, content in DAMAGE.items():
        path = made / "items" / name
        path.write_bytes(content) if content else path.unlink()
    capsys.readouterr()
    assert main(["check", str(made), "--json"]) == 2
    wrong = json.loads(capsys.readouterr().out)["wrong"]
    assert len(wrong) == len(DAMAGE) and all(name[:6] in text for name, text in zip(DAMAGE, wrong, strict=True))
    assert main(["check", str(made), "--repair", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["made again"] == [name[:6] for name in DAMAGE]
    assert files_of(Folder(made)) == whole and not find_damage(Folder(made))
    assert (made / DAMAGED / "items/000001.png").read_bytes() == b"torn"


def test_damage_costs_an_export_that_item_alone(made, capsys):
    (made / "items/000001.png").write_bytes(b"torn")
    (made / "items/000002.json").write_bytes(b"{")
    capsys.readouterr()
    assert main(["export", str(made), "--format", "yolo", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["pictures"] == 4 and "000001, 000002; instdiff-agent dataset check" in found["damaged"][0]
    assert main(["make", str(made), *command(made, "--count", "6")[2:]]) == 0
    assert len(read_manifest(made / "items").pictures) == 6


@pytest.mark.parametrize("link", [True, False])
def test_an_export_is_of_copies_unless_links_are_asked_for(made, link):
    assert main(["export", str(made), "--format", "coco", *(["--link"] if link else [])]) == 0
    pictures = list((made / "export/coco/images").rglob("*.png"))
    assert len(pictures) == 6
    assert all(picture.samefile(made / "items" / picture.name) == link for picture in pictures)
