"""A refined picture counts, and the original is kept; presets and what they chose stand in run and picture."""

import json

import pytest

import run_agent
from agent.loop import Agent
from instdiff.errors import BadInput
from instdiff.formats import read_png
from instdiff.render_settings import RenderSettings
from tests.agent.doubles import ColourDetector, ListPlanner, RectanglePainter


class RefiningPainter(RectanglePainter):
    """Forgets the cat, which its refiner paints."""

    def render(self, layout, settings, on_step=None):
        rough, fine = (
            RectanglePainter(forgets).render(layout, settings, on_step) for forgets in ({settings.seed: {"cat"}}, {})
        )
        rough.refined = tuple(fine.images) if settings.cascade_strength else ()
        return rough


def run(folder, **settings):
    parts = {"planner": ListPlanner(), "engine": RefiningPainter(), "verifier": ColourDetector()}
    return Agent(**parts, out=folder, rounds=1, settings=RenderSettings(**settings)).run("dog cat")


def test_the_refined_picture_is_looked_at_and_both_are_kept(tmp_path):
    found = run(tmp_path, cascade_strength=0.3, num_images=2)
    assert found.verified and not run(tmp_path, num_images=2).verified
    assert found.best.images == ("round-0/refined.png", "round-0/refined-1.png")
    assert sorted(path.name for path in (found.folder / "round-0").glob("*.png")) == [
        "annotated.png", "image-1.png", "image.png", "refined-1.png", "refined.png",
    ]  # fmt: skip
    assert found.image.read_bytes() == (found.folder / found.best.image).read_bytes()
    for name in found.best.images:
        assert read_png(found.folder / name)[1]["cascade_strength"] == 0.3
    assert json.loads((found.folder / "run.json").read_text())["painted_with"]["cascade_strength"] == 0.3


def test_a_preset_stands_in_the_run_and_in_the_picture(tmp_path):
    found = run(tmp_path, preset="fast", num_inference_steps=3)
    stored = json.loads((found.folder / "run.json").read_text())
    assert stored["request"]["settings"]["preset"] == "fast"
    assert stored["painted_with"]["preset"] == read_png(found.image)[1]["preset"] == "fast"
    assert stored["painted_with"]["num_inference_steps"] == 3


STORED = {
    "seed": 4,
    "num_inference_steps": 12,
    "preset": "fast",
    "scheduler": "dpm++",
    "guidance_every": 2,
    "mis": 0.1,
    "engine": "draft",
}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, STORED),
        ({"preset": "fast"}, STORED),
        ({"steps": 30}, STORED | {"num_inference_steps": 30}),
        (
            {"preset": "turbo"},
            {"preset": "turbo", "num_inference_steps": None, "scheduler": None, "guidance_every": None},
        ),
        (
            {"preset": "exact", "steps": 9},
            {"preset": "exact", "num_inference_steps": 9, "scheduler": None, "guidance_every": None},
        ),
    ],
)
def test_a_picture_painted_again_keeps_its_preset_unless_another_is_given(given, expected):
    request = run_agent.build_request(given, STORED)
    settings = {**request.settings.model_dump(), "engine": request.engine}
    assert {name: settings[name] for name in expected} == expected
    assert (settings["seed"], settings["mis"]) == (4, 0.1)


def test_a_picture_of_before_there_were_presets_keeps_its_steps():
    assert run_agent.build_request({}, {"seed": 4, "num_inference_steps": 25}).settings.num_inference_steps == 25


def test_a_refiner_is_looked_for_before_anything_is_planned(tmp_path):
    with pytest.raises(BadInput, match="refine: the draft engine has no refiner"):
        Agent(planner=ListPlanner(), out=tmp_path, settings=RenderSettings(cascade_strength=0.3))
    assert not list(tmp_path.iterdir())
