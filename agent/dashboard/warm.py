"""``python -m agent.dashboard.warm``: seconds from a click to the first preview, by a warm worker and by a cold one."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from agent.dashboard.shots import open_browser, serve
from instdiff.cli import DONE, Parser, exit_code

if TYPE_CHECKING:
    from playwright.sync_api import Browser

PROMPTS = ("a red car", "two dogs to the left of a red car", "a cozy living room", "a kitchen", "a harbour with a boat")
PREVIEW = "img[alt='the picture as far as it is denoised']"
WIDTH = 1280
HEIGHT = 1000  # pixels
PATIENCE_MS = 300_000


def main(argv: list[str] | None = None) -> int:
    """Measure, and print the figures as JSON; returns the exit code."""
    shown = argparse.ArgumentDefaultsHelpFormatter
    parser = Parser(prog="python -m agent.dashboard.warm", description=__doc__, formatter_class=shown)
    times = "pictures by the warm worker; the median is printed"
    parser.add_argument("--times", type=int, default=5, metavar="N", help=times)
    return exit_code(lambda: run(parser.parse_args(argv)))


def run(args: argparse.Namespace) -> int:
    """The command."""
    with open_browser() as browser:
        cold = _measure(browser, 1, idle_s=0)
        warm = _measure(browser, args.times, idle_s=600)
    print(json.dumps({"cold_s": cold, "warm_s": warm, "warm_median_s": round(median(warm), 2)}, indent=1))
    return DONE


def _measure(browser: Browser, times: int, idle_s: int) -> list[float]:
    """Seconds of so many pictures in a row, the first of which is not counted: the page is new then.

    A worker that does not stay is a process of its own for each job.
    """
    with tempfile.TemporaryDirectory() as folder, serve(Path(folder), INSTDIFF_WORKER_IDLE=str(idle_s)) as address:
        return [_paint(browser, address, PROMPTS[number % len(PROMPTS)]) for number in range(times + 1)][1:]


def _paint(browser: Browser, address: str, prompt: str) -> float:
    """Seconds from the press of the button to the first preview, or to the picture where that came first."""
    tab = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
    tab.set_default_timeout(PATIENCE_MS)
    tab.goto(address)
    tab.get_by_label("The scene in words").fill(prompt)
    tab.wait_for_timeout(1000)  # a person takes as long
    started = time.monotonic()
    tab.get_by_role("button", name="Make the picture").click()
    done = tab.get_by_text("What was planned and found")
    tab.locator(PREVIEW).or_(done).first.wait_for()
    seconds = time.monotonic() - started
    done.first.wait_for()
    tab.close()
    return round(seconds, 2)


if __name__ == "__main__":
    sys.exit(main())
