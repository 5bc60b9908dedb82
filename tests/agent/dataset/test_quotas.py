"""So many of each class: painted until they are there or their tries are spent, and what is missing is told."""

import json
from dataclasses import replace
from random import Random

import pytest

from agent.dataset.__main__ import main
from agent.dataset.making import MakingProgress, Order, make
from agent.dataset.quotas import Cell, Quota, QuotaScenes
from agent.dataset.sizing import resized
from agent.dataset.sources import Scenes, kinds_of_scenes
from agent.dataset.tally import Tally, size_of
from agent.planners.plan import Plan
from instdiff.layout import Box, Instance, Layout
from instdiff.world import knowledge
from tests.agent.doubles_dataset import RECIPE, Folder, placed

THINGS = ("dog", "cat", "car", "tree")
MAKE = ["--scenes", "all", "--per-picture", "1", "--things", ",".join(THINGS), "--batch", "2", "--size", "128x96"]


@pytest.fixture(autouse=True)
def doubles(monkeypatch):
    return placed(monkeypatch)


def command(folder, *more):
    return ["make", str(folder), *MAKE, "--json", *more]


def batches(doubles):
    return [[instance.category for layout in batch for instance in layout.instances] for batch in doubles.batches]


def test_each_class_has_its_number_and_no_more_is_painted(tmp_path, doubles, capsys):
    assert main(command(tmp_path, "--quota", "3", "--rounds", "1")) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["kept"], found["classes"], found["below quota"]) == (16, 4, [])
    assert batches(doubles) == [[name] * 2 for name in THINGS] * 2
    assert main(command(tmp_path, "--quota", "3", "--rounds", "1")) == 0 and len(doubles.batches) == 8
    assert main(command(tmp_path, "--quota", "5", "--rounds", "1")) == 0
    assert batches(doubles)[8:] == [[name] * 2 for name in THINGS]
    assert main(["export", str(tmp_path), "--format", "yolo"]) == 0
    card = (tmp_path / "export/README.md").read_text()
    assert "Every planned class has labels." in card and "| dog | 6 | 6 | 6 | 6 |" in card


def test_a_class_that_cannot_be_painted_spends_its_tries_and_is_named(tmp_path, doubles, capsys):
    doubles.forget("cat")
    assert main(command(tmp_path, "--quota", "2", "--tries", "3", "--rounds", "1", "--accept", "all")) == 3
    assert json.loads(capsys.readouterr().out)["below quota"] == ["cat 0 of 2"]
    assert [names[0] for names in batches(doubles)] == [*THINGS, "cat", "cat"]
    assert main(["export", str(tmp_path), "--format", "coco", "--unverified", "ignore"]) == 0
    card = (tmp_path / "export/README.md").read_text()
    assert "Planned and without any label: cat." in card and "| cat | 6 | 0 | 0 | 0 |" in card


def test_a_killed_command_goes_on_as_if_it_had_not_been(tmp_path):
    def order(path):
        folder = Folder(path)
        source = QuotaScenes(Scenes(kinds_of_scenes(("all",), THINGS), (1, 1), (), THINGS), RECIPE.batch)
        folder.open({**RECIPE.fingerprint(), **source.about()})
        return Order(folder, RECIPE, source, 0, quota=Quota(folder, source, 6, 2))

    whole = order(tmp_path / "whole")
    make(whole)
    killed = order(tmp_path / "killed")
    make(replace(killed, quota=replace(killed.quota, number=2)))
    make(order(tmp_path / "killed"))
    assert len(whole.folder.finish(0).pictures) == 32
    assert order(tmp_path / "killed").is_done() and killed.folder.finish(0) == whole.folder.finish(0)


def test_pairs_of_class_and_colour(tmp_path):
    source = QuotaScenes(Scenes(kinds_of_scenes(("all",), ()), (1, 3), ("red", "blue"), ()), 8)
    cells = source.cells
    assert {cell.name for cell in cells} == set(knowledge.things()) and Cell("cup", "red") in cells
    assert Cell("person") in cells
    for place in range(0, len(cells), 7):
        colour = cells[place].colour
        prompt = source.candidate(8 * place, 0)
        assert colour in prompt and prompt == source.candidate(8 * place, 0)
    quota = Quota(Folder(tmp_path), source, 10, 2)
    assert quota.batches == 3 * len(cells) and quota.done == 0 and len(quota.below()) == len(cells)


def test_the_table_shows_what_lacks_most(tmp_path, doubles):
    doubles.forget("cat")
    assert main(command(tmp_path, "--quota", "2", "--tries", "1", "--rounds", "1")) == 3
    source = QuotaScenes(Scenes(kinds_of_scenes(("all",), THINGS), (1, 1), (), THINGS), 2)
    progress = MakingProgress(Folder(tmp_path), 0, Quota(Folder(tmp_path), source, 3, 1))
    columns = [list(column.cells) for column in progress.table().columns]
    assert next(zip(*columns, strict=True)) == ("cat", "2", "0", "0", "3") and len(columns[0]) == 4
    assert progress.line().startswith("6 of 12 things, 75% of 8 accepted")
    tally = Tally(Folder(tmp_path)).update()
    assert tally.by_size.keys() == {"large"} and tally.by_colour["any"].share == 0.75 and tally.rejected == 2


def test_each_class_comes_in_each_size(tmp_path, capsys):
    asked = ["--sizes", "small,large", "--quota", "2", "--rounds", "1", "--tries", "1", "--size", "128x128"]
    assert main(command(tmp_path, *asked)) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["kept"], found["classes"], found["below quota"]) == (16, 8, [])
    tally = Tally(Folder(tmp_path)).update()
    assert tally.by_size.keys() == {"small", "large"} and tally.by_cell["dog", "", "small"].passed == 2
    assert Folder(tmp_path).made_with["sizes"] == "small,large"
    assert main(["export", str(tmp_path), "--format", "yolo"]) == 0
    assert "| dog | 4 | 4 | 4 | 4 | 2 / 0 / 2 |" in (tmp_path / "export/README.md").read_text()


@pytest.mark.parametrize("size", ["small", "medium", "large"])
def test_a_thing_comes_nearer_or_goes_farther_in_its_shape(size):
    tall = Instance(caption="a tree", category="tree", box=Box(x0=0.4, y0=0.35, x1=0.5, y1=0.65))
    plan = Plan(layout=Layout(width=256, height=256, caption="a tree", instances=(tall,)), planner="none")
    for seed in range(20):
        box = resized(plan, 0, size, Random(seed)).layout.instances[0].box
        assert size_of(box.area) == size
        if size != "large":  # which may be longer than the picture
            assert box.width / box.height == pytest.approx(1 / 3)
    assert (box.y1 > 0.65) == (size == "large") and (box.y1 < 0.65) == (size == "small")


@pytest.mark.parametrize(
    ("field", "more"),
    [
        ("quota", ["--quota", "2", "--count", "3"]),
        ("quota", ["--quota", "0"]),
        ("sizes", ["--quota", "1", "--sizes", "huge"]),
        ("sizes", ["--sizes", "small"]),
    ],
)
def test_what_does_not_go_together_is_refused(tmp_path, field, more, capsys):
    assert main(command(tmp_path / "made", *more)) == 2
    assert f"error: {more[-2][2:] if '--sizes' in more else 'quota'}" in capsys.readouterr().err
