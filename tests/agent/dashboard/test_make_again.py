"""The form of the Make page, filled from an earlier run or from a file that is dropped in."""

import json
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from agent.dashboard.start_point import from_file, from_run, with_values
from agent.loop import Agent
from agent.request import Request
from agent.runs import Run
from instdiff.errors import BadInput
from instdiff.formats import load_layout
from instdiff.render_settings import RenderSettings
from tests.agent.dashboard_pages import APP, small_run
from tests.agent.doubles import ColourDetector, RectanglePainter

ASKED = {"rounds": 2, "size": (128, 96), "repair": False, "found_score": 0.4}


@pytest.fixture
def out(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("INSTDIFF_OUTPUTS", str(tmp_path))
    return tmp_path


@pytest.fixture
def run(out) -> Run:
    """A run of two rounds that was asked for in many ways, by names alone."""
    settings = RenderSettings(seed=7, num_inference_steps=9, mis=0.25)
    run = small_run(out, **ASKED, settings=settings, engine=RectanglePainter({7: {"dog"}}))
    named = run.request.model_copy(
        update={"planner": "offline", "engine": "draft", "verifier": "draft", "own": (), **ASKED}
    )
    run = run.model_copy(update={"request": named})
    run.save()
    return run


def form(**address: str) -> AppTest:
    app = AppTest.from_file(APP, default_timeout=60)
    for key, value in address.items():
        app.query_params[key] = value
    return app.run()


def test_a_run_is_asked_for_again_with_all_that_it_was_asked_for(run):
    start = from_run(run.folder.name)
    assert start.request == run.request and start.layout is None
    (note,) = start.notes
    assert "--no-repair" in note and "--found-score 0.4" in note and "--steps" not in note
    other = from_run(run.folder.name, seed="99").request
    assert other == with_values(run.request, {"seed": 99}) and other != run.request


def test_the_layout_of_a_round_takes_the_place_of_the_words(run):
    start = from_run(run.folder.name, number="1")
    assert start.layout == load_layout(run.folder / run.rounds[1].layout, boxes="xywh")
    assert start.request == run.request


def test_a_run_of_a_layout_is_made_again_from_it(run, out):
    layout = load_layout(run.folder / run.best.layout, boxes="xywh")
    given = Agent(engine=RectanglePainter(), verifier=ColourDetector(), rounds=1, out=out).run(layout=layout)
    start = from_run(given.folder.name)
    assert start.layout == layout and start.request.planner == "auto" and start.request.own == ()


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"number": "2"}, "round: .* has 2 rounds, counted from 0, and no 2"),
        ({"number": "-1"}, 'round: "-1" is no whole number'),
        ({"seed": "x"}, 'seed: "x" is no whole number'),
        ({"name": "../x"}, "run: there is no run"),
    ],
)
def test_addresses_that_name_nothing(run, asked, says):
    with pytest.raises(BadInput, match=says):
        from_run(**{"name": run.folder.name, **asked})


def test_an_edit_is_made_again_from_its_layout_alone(run):
    edited = {"run": "x", "round": 0, "words": "add a cat"}
    run.model_copy(update={"request": run.request.model_copy(update={"edited": edited})}).save()
    with pytest.raises(BadInput, match="is an edit"):
        from_run(run.folder.name)
    assert from_run(run.folder.name, number="0").request.edited is None


def test_the_fields_hold_what_is_taken_over_and_the_address_fills_them_after_a_reload(run):
    for _ in range(2):
        app = form(like=run.folder.name, seed="5")
        assert not app.exception and not app.error
        assert app.text_area[0].value == "dog cat"
        values = {field.label: field.value for field in (*app.number_input, *app.text_input, *app.selectbox)}
        assert (values["Seed"], values["Steps"], values["MIS"], values["Rounds at most"]) == (5, 9, 0.25, 2)
        assert (values["Size in pixels"], values["Planner"], values["Engine"]) == ("128x96", "offline", "draft")
    wrong = form(like="no-such-run")
    assert "there is no run" in wrong.error[0].value and wrong.text_area[0].value == ""


def test_a_painted_picture_holds_its_layout_and_its_settings(run):
    start = from_file("best.png", run.image.read_bytes())
    assert start.layout == load_layout(run.folder / run.best.layout, boxes="xywh")
    assert start.request.rounds == 1 and start.request.settings.num_inference_steps == 9


def test_a_layout_file_is_read_with_what_is_to_be_said_of_it():
    annos = [{"bbox": [500, 0, 40, 40], "caption": "a dog", "category_name": "dog"}]
    content = json.dumps({"caption": "x", "width": 512, "height": 512, "annos": annos}).encode()
    start = from_file("mine.json", content)
    assert [instance.name for instance in start.layout.instances] == ["dog"] and start.request == Request()
    assert any("is cut at the border" in note for note in start.notes)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.json", b"{", "a.json: is not JSON"),
        ("a.png", b"words", "a.png: is no PNG picture"),
        ("../../a.json", b'{"annos": 3}', "^width: "),
        ("a", b"\xff", "^a: "),
    ],
)
def test_a_file_that_is_no_layout_is_refused_in_one_line_without_the_way_to_it(name, content, says):
    with pytest.raises(BadInput, match=says) as refused:
        from_file(name, content)
    assert "/tmp" not in str(refused.value) and "\n" not in str(refused.value)


def test_another_preset_chooses_what_no_field_shows():
    painted = Request.parse({"settings": {"preset": "exact", "scheduler": "own", "guidance_every": 1}})
    assert with_values(painted, {"preset": "exact"}) == painted
    turbo = with_values(painted, {"preset": "turbo", "steps": None}).settings
    assert (turbo.preset, turbo.scheduler, turbo.guidance_every) == ("turbo", None, None)
    with pytest.raises(BadInput, match="steps"):
        with_values(painted, {"steps": 0})
