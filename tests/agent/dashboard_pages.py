"""What tests of the dashboard's pages share: small runs to show, and eyes on a page."""

import json
import shutil
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from agent.loop import Agent
from agent.runs import Run
from tests.agent.doubles import ColourDetector, ListPlanner, RectanglePainter, RepaintingPainter

APP = str(Path(__file__).parents[2] / "streamlit_app.py")
CHROMIUM = shutil.which("chromium")
PATIENCE_MS = 30_000  # of a loaded machine

needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on PATH; apt-get install chromium")


def small_run(out: Path, prompt: str = "dog cat", **options) -> Run:
    parts = {"planner": ListPlanner(), "engine": RectanglePainter({0: {"dog"}}), "verifier": ColourDetector()}
    return Agent(**{**parts, "out": out, **options}).run(prompt)


NO_DOG = {seed: {"dog"} for seed in (0, 1, 21, 41)}  # all three tries of round 1 fail


def mended_run(out: Path, **options) -> tuple[Run, list]:
    """A run of which the first repair is refused and the second one accepted, and what happened."""
    events: list = []
    parts = {"planner": ListPlanner(), "engine": RepaintingPainter(NO_DOG), "verifier": ColourDetector()}
    run = Agent(**{**parts, "out": out, "on_event": events.append, **options}).run("dog cat")
    assert [done.repair and done.repair.accepted for done in run.rounds] == [None, False, True]
    return run, events


def edit_of(run: Run) -> Run:
    """The one run that was made of another."""
    runs = (Run.load(path.parent) for path in run.folder.parent.glob("*/run.json"))
    (edit,) = (other for other in runs if other.request.edited and Path(other.request.edited.run) == run.folder)
    return edit


def open_run(run: Run) -> AppTest:
    """The page of a run of the outputs folder, without a browser."""
    app = AppTest.from_file(APP, default_timeout=60)
    app.query_params["run"] = run.folder.name
    return app.run()


def planned_rows(app: AppTest) -> list[list]:
    """The rows of the table of a plan."""
    (table,) = (made for made in app.get("bidi_component") if made.proto.id.endswith("-plan"))
    return json.loads(table.proto.json)["rows"]


def run_named(out: Path, part: str) -> Path:
    (found,) = (path for path in out.iterdir() if part in path.name)
    return found


def see(page, text: str, exact: bool = False) -> None:
    from playwright.sync_api import expect

    expect(page.get_by_text(text, exact=exact).first).to_be_visible()


def stage_area(page) -> dict[str, float]:
    """Where the picture in the editor is, in pixels of the page, once the page is whole and stands still."""
    page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for()
    before = None
    while (area := page.locator(".editor .stage").bounding_box()) != before:
        before = area
        page.wait_for_timeout(100)
    return area


def place_on(page, x: float, y: float) -> tuple[float, float]:
    """A place of the picture in the editor, by fractions, in pixels of the page."""
    area = stage_area(page)
    return area["x"] + x * area["width"], area["y"] + y * area["height"]
