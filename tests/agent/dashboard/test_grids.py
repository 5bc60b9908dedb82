"""Grids: which values one has, the runs that are prepared for it, and the page that shows them."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from agent.dashboard import grid_page, grids
from agent.dashboard.grids import Grid, read_values
from agent.request import Request
from agent.runs import GIVEN, Run
from instdiff.cli import options
from instdiff.errors import BadInput
from instdiff.formats import load_layout
from instdiff.layout import Box, Instance, Layout
from tests.agent.dashboard_pages import small_run

OPTIONS = {option.key: option for option in options(Request)}


@pytest.fixture
def out(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("INSTDIFF_OUTPUTS", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("key", "text", "values"),
    [
        ("seed", "0-3", [0, 1, 2, 3]),
        ("seed", "5, 7-8, 5", [5, 7, 8]),
        ("mis", "0, 0.25,.5", [0.0, 0.25, 0.5]),
        ("size", "128x96, 64", [(128, 96), (64, 64)]),
        ("engine", "draft, sd15", ["draft", "sd15"]),
    ],
)
def test_values_are_read_as_their_option_is(key, text, values):
    assert read_values(OPTIONS[key], text) == values


@pytest.mark.parametrize(
    ("key", "text", "says"),
    [
        ("seed", "", "values: a grid has 2 to 16 different values, and these are 0"),
        ("seed", "3,3", "these are 1"),
        ("seed", "0-999999999", "these are more than 16"),
        ("steps", "1, two", 'steps: "two" is no number'),
        ("size", "128, 1x1", "size: 1x1 is outside"),
    ],
)
def test_values_that_make_no_grid(key, text, says):
    with pytest.raises(BadInput, match=says):
        read_values(OPTIONS[key], text)


def test_what_is_on_or_off_is_not_varied():
    assert grids.can_vary(OPTIONS["seed"]) and not grids.can_vary(OPTIONS["review"])


def test_runs_are_alike_but_for_one_setting_and_the_file_keeps_them(out):
    request = Request(planner="offline", verifier="draft")
    name, folders = grids.prepare(request, "a red car", None, OPTIONS["steps"], [2, 4])
    runs = [Run.load(folder) for folder in folders]
    assert [run.request.settings.num_inference_steps for run in runs] == [2, 4]
    assert len({run.request.model_copy(update={"settings": request.settings}) for run in runs}) == 1
    grid = grids.load(name)
    assert (grid.title, grid.setting) == ("a red car", "Steps")
    assert [(cell.value, cell.run) for cell in grid.cells] == [("2", folders[0].name), ("4", folders[1].name)]
    assert [found for found, _ in grids.all_grids()] == [name]


def test_a_layout_is_painted_in_each_run(out):
    box = Box(x0=0, y0=0, x1=0.5, y1=0.5)
    layout = Layout(width=64, height=64, caption="a dog", instances=(Instance(caption="a dog", box=box),))
    _, folders = grids.prepare(Request(), None, layout, OPTIONS["seed"], [1, 2])
    assert [load_layout(folder / GIVEN, boxes="xywh") for folder in folders] == [layout] * 2


def test_where_engines_differ_the_bundled_verifier_of_one_looks_at_no_other():
    request = Request(verifier="draft")
    assert grids._follows(OPTIONS["engine"], request) == {"verifier": None}
    assert grids._follows(OPTIONS["seed"], request) == {}


def test_a_value_that_cannot_be_leaves_nothing_behind(out):
    with pytest.raises(BadInput, match="mis"):
        grids.prepare(Request(planner="offline"), "a dog", None, OPTIONS["mis"], [0.5, 2.0])
    with pytest.raises(BadInput, match="engine"):
        grids.prepare(Request(planner="offline"), "a dog", None, OPTIONS["engine"], ["draft", "no-such"])
    assert list(out.iterdir()) == []


def grid_of(out: Path, *prompts: str) -> str:
    """A grid of finished runs, and of one that is gone."""
    cells = [{"value": str(number), "run": small_run(out, prompt).folder.name} for number, prompt in enumerate(prompts)]
    grid = Grid.parse({"title": "dog cat", "setting": "Seed", "cells": [*cells, {"value": "9", "run": "gone"}]})
    (out / "grids").mkdir()
    (out / "grids" / "mine.json").write_text(grid.model_dump_json())
    return "mine"


def page(**address: str) -> AppTest:
    def script() -> None:
        from agent.dashboard import grid_page

        grid_page.show()

    app = AppTest.from_function(script, default_timeout=30)
    for key, value in address.items():
        app.query_params[key] = value
    return app.run()


def test_the_page_of_a_grid_says_how_far_it_is_and_the_address_keeps_it(out):
    name = grid_of(out, "dog cat", "cat")
    (out / "grids" / "spoiled.json").write_text("{")
    app = page(grid=name)
    assert not app.exception and "2 of 3 done, 2 verified" in [text.value for text in app.text]
    every = page()
    assert not every.exception and "spoiled" in every.error[0].value
    lines = [grid_page._line(run, cell) for cell in grids.load(name).cells if (run := grid_page._run(cell))]
    assert lines == ["verified, 100% found"] * 2
    cards = [grid_page._card(grids.load(name), cell) for cell in grids.load(name).cells]
    assert [card["title"] for card in cards] == ["Seed 0", "Seed 1", "Seed 9"]
    assert [bool(card["picture"] and card["address"]) for card in cards] == [True, True, False]
    assert cards[2]["problem"] == "deleted, or not there"
