"""What tests of the dashboard's pages share: small runs to show, and eyes on a page."""

import json
import shutil
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from agent.loop import Agent
from agent.runs import Run
from tests.agent.doubles import ColourDetector, ListPlanner, RectanglePainter

APP = str(Path(__file__).parents[2] / "streamlit_app.py")
CHROMIUM = shutil.which("chromium")
PATIENCE_MS = 30_000  # of a loaded machine

needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on PATH; apt-get install chromium")


def small_run(out: Path, prompt: str = "dog cat", **options) -> Run:
    parts = {"planner": ListPlanner(), "engine": RectanglePainter({0: {"dog"}}), "verifier": ColourDetector()}
    return Agent(**{**parts, "out": out, **options}).run(prompt)


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
