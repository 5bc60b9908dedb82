"""What tests of the dashboard's pages share: small runs to show, and eyes on a page."""

import shutil
from pathlib import Path

import pytest

from agent.loop import Agent
from agent.runs import Run
from tests.agent.doubles import ColourDetector, ListPlanner, RectanglePainter

CHROMIUM = shutil.which("chromium")
PATIENCE_MS = 250_000  # of a loaded machine

needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on PATH; apt-get install chromium")


def small_run(out: Path, prompt: str = "dog cat", **options) -> Run:
    parts = {"planner": ListPlanner(), "engine": RectanglePainter({0: {"dog"}}), "verifier": ColourDetector()}
    return Agent(**{**parts, "out": out, **options}).run(prompt)


def run_named(out: Path, part: str) -> Path:
    (found,) = (path for path in out.iterdir() if part in path.name)
    return found


def see(page, text: str, exact: bool = False) -> None:
    from playwright.sync_api import expect

    expect(page.get_by_text(text, exact=exact).first).to_be_visible()
