"""``python -m agent.dashboard.shots``: measure the dashboard in a browser with many runs, and picture its pages."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from agent import job
from agent.benchmarks.__main__ import main as evaluate
from agent.loop import Agent
from agent.runs import Run
from evaluators.manifest import Job, open_manifest, paint, painted_with
from instdiff.cli import DONE, Parser, exit_code, output_folder
from instdiff.engine import load_engine
from instdiff.errors import BadInput, ServiceError
from instdiff.render_settings import RenderSettings
from instdiff.settings import environment

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

ROOT = Path(__file__).parents[2]
PROMPTS = ("a cozy living room", "two dogs to the left of a red car", "a kitchen", "a harbour with three boats")
DATASET = ("a dog on a beach", "a cat on a couch", "a red car and a tree", "two chairs at a table")
STEPS = 12
PATIENCE_S = 300  # for a dashboard to come up
EMPTY = "nothing else"  # the one text of an empty page
WIDTH = 1280
HEIGHT = 1000  # pixels
LAST_JOB_S = 30.0  # that the worker has to put down what it is at
MAX_COLOURS = 128  # of a screenshot, so that it stays small
READY = {  # each page, and a text that stands on it once all is drawn
    "make": ("/", "Make the picture"),
    "runs": ("/runs", "found, offline"),  # on a card
    "failures": ("/failures", "failed, in"),
    "run": ("/run?run={name}", "Keep the rating"),
    "edit": ("/edit?run={name}", "with the mouse, or both"),
    "datasets": ("/datasets", "Statistics"),
    "evaluations": ("/evaluations", "Figures beside each other"),
}


def main(argv: list[str] | None = None) -> int:
    """Measure and take pictures; returns the exit code."""
    shown = argparse.ArgumentDefaultsHelpFormatter
    parser = Parser(prog="python -m agent.dashboard.shots", description=__doc__, formatter_class=shown)
    parser.add_argument("--runs", type=int, default=200, metavar="N", help="runs in the store, most of them copies")
    times = "how often each page is opened; the median is printed"
    parser.add_argument("--times", type=int, default=5, metavar="N", help=times)
    shots = "take pictures of the pages into this folder, such as docs"
    parser.add_argument("--shots", type=output_folder, metavar="FOLDER", help=shots)
    store = "keep the outputs folder here, and take what is there already"
    parser.add_argument("--store", type=output_folder, metavar="FOLDER", help=store)
    return exit_code(lambda: run(parser.parse_args(argv)))


def run(args: argparse.Namespace) -> int:
    """The command; the figures are printed as JSON."""
    with contextlib.nullcontext(args.store) if args.store else tempfile.TemporaryDirectory() as folder:
        store = Path(folder)
        fill(store, args.runs)
        with open_browser() as browser:
            empty = measure_empty(browser, args.times)
            # no worker, which would load its models beside what is measured
            with serve(store, INSTDIFF_WORKER_IDLE="0") as address:
                figures = measure(browser, address, store, args.times)
            print(json.dumps(empty | figures, indent=1))
            if args.shots:
                with serve(store) as address:
                    picture_all(browser, address, store, args.shots)
    return DONE


def fill(store: Path, count: int) -> None:
    """An outputs folder with so many runs, a small dataset and two evaluations; runs that are there are copied."""
    runs = sorted(path.parent for path in store.glob("*/run.json")) or _make(store)
    for number in range(count - len(runs)):  # as if they had been made one each hour before
        source = runs[number % len(runs)]
        stamp = datetime.now() - timedelta(hours=number + 1)
        shutil.copytree(source, store / f"{stamp:%Y%m%d-%H%M%S}-{source.name.split('-', 2)[2]}-{number}")


def _make(store: Path) -> list[Path]:
    """The folders of a few real runs; a dataset and evaluations beside them."""
    agent = Agent(planner="offline", rounds=2, settings=RenderSettings(num_inference_steps=STEPS), out=store)
    runs = [agent.run(prompt).folder for prompt in PROMPTS]
    _dataset(store / "datasets" / "small", agent)
    for seed in (0, 1):
        results = store / "evaluations" / f"lmd-seed-{seed}" / "results.json"
        results.parent.mkdir(parents=True)
        with contextlib.redirect_stdout(io.StringIO()):
            evaluate(["lmd", "--seed", str(seed), "--out", str(results)])
    return runs


def _dataset(folder: Path, agent: Agent) -> None:
    """A few pictures with a manifest."""
    engine = load_engine("draft")
    settings = RenderSettings.parse({**dict(engine.defaults), "num_inference_steps": STEPS})
    jobs = [Job(f"{number:06d}", agent.plan(prompt).layout, number) for number, prompt in enumerate(DATASET)]
    paint(folder, open_manifest(folder, painted_with(engine, settings)), jobs, engine, settings, batch=len(jobs))


@contextmanager
def serve(store: Path, patience_s: float = PATIENCE_S, **more: str) -> Iterator[str]:
    """A dashboard over an outputs folder, on a free port of this machine; its address. ``more`` are variables for it.

    Raises:
        ServiceError: it does not come up.
    """
    try:
        with _serve("streamlit_app.py", patience_s, INSTDIFF_OUTPUTS=str(store.resolve()), **more) as address:
            yield address
    finally:
        for run in store.iterdir():
            job.stop(run)
        job.dismiss(store)
        deadline = time.monotonic() + LAST_JOB_S
        while job.is_awake(store) and time.monotonic() < deadline:
            time.sleep(0.05)


@contextmanager
def _serve(script: str, patience_s: float, **variables: str) -> Iterator[str]:
    """Streamlit over a script, with the settings of this project."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", script, "--server.port", str(port)]
    quiet = subprocess.DEVNULL
    server = subprocess.Popen(command, cwd=ROOT, env=environment(**variables), stdout=quiet, stderr=quiet)
    try:
        deadline = time.monotonic() + patience_s
        while not _answers(f"http://127.0.0.1:{port}/_stcore/health"):
            if server.poll() is not None or time.monotonic() > deadline:
                raise ServiceError("the dashboard does not come up; try: streamlit run streamlit_app.py")
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


def _answers(url: str) -> bool:
    try:
        return urllib.request.urlopen(url, timeout=1).status == 200
    except OSError:
        return False


@contextmanager
def open_browser() -> Iterator[Browser]:
    """A chromium without a window.

    Raises:
        BadInput: there is none on this machine.
    """
    from playwright.sync_api import TimeoutError, sync_playwright

    chromium = shutil.which("chromium")
    if not chromium:
        raise BadInput("chromium", "is not on PATH; apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        try:
            yield browser
        except TimeoutError as error:
            raise ServiceError(f"a page is not drawn in time: {str(error).splitlines()[0]}") from error
        finally:
            browser.close()


def measure_empty(browser: Browser, times: int) -> dict[str, float]:
    """Median seconds until a page of one word is seen: what Streamlit's own start takes in the browser.

    ``again`` is in a browser that has been here before, and need not fetch Streamlit's files.
    """
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "empty.py"
        script.write_text(f'import streamlit as st\nst.text("{EMPTY}")\n')
        with _serve(str(script), PATIENCE_S) as address:
            used = browser.new_context()
            for opener in (browser, used):
                _seen(opener, address, EMPTY)
            seconds = {
                "empty_page_s": [_seen(browser, address, EMPTY) for _ in range(times)],
                "empty_page_again_s": [_seen(used, address, EMPTY) for _ in range(times)],
            }
            used.close()
    return {name: round(median(measured), 2) for name, measured in seconds.items()}


def measure(browser: Browser, address: str, store: Path, times: int) -> dict[str, float]:
    """Median seconds to the last text of a page being seen, the first visit apart.

    They count from the page's address being entered, which starts the dashboard anew in the browser, and for runs also
    from a click in a dashboard that is open. ``again`` is in a browser that has been here before.
    """
    name = _newest(store)
    used = browser.new_context()
    figures: dict[str, float] = {"runs": len(list(store.glob("*/run.json")))}
    figures["first_visit_s"] = round(_visit(browser, address, "make", name), 2)
    for page in READY:
        _visit(browser, address, page, name)  # what is imported or read once is not what is measured
        figures[f"{page}_s"] = round(median(_visit(browser, address, page, name) for _ in range(times)), 2)
        if page in ("runs", "run"):
            again = [_visit(used, address, page, name) for _ in range(times + 1)][1:]
            figures[f"{page}_again_s"] = round(median(again), 2)
    used.close()
    clicks = zip(*(_click(browser, address, name) for _ in range(times)), strict=True)
    names = ("runs_by_click_s", "search_s", "run_by_click_s")
    return figures | {name: round(median(seconds), 2) for name, seconds in zip(names, clicks, strict=True)}


def _click(browser: Browser, address: str, run: str) -> tuple[float, float, float]:
    """Seconds from the menu to the list of runs, from the key that ends a search to its hits, and to a run's page."""
    tab = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
    tab.goto(address)
    tab.get_by_text(READY["make"][1]).first.wait_for(timeout=120_000)
    search = tab.get_by_label("Search")
    steps = (
        (lambda: tab.get_by_role("link", name="Runs").first.click(), tab.get_by_text(READY["runs"][1])),
        (lambda: search.press("Enter"), tab.get_by_text("1 of ")),
        (lambda: tab.locator(f"a[href*='{run}']").first.click(), tab.get_by_text(READY["run"][1])),
    )
    seconds = []
    for act, end in steps:
        started = time.monotonic()
        act()
        end.first.wait_for(timeout=120_000)
        seconds.append(time.monotonic() - started)
        tab.wait_for_timeout(1000)  # until all of it stands still, as it does when a person reads
        if not seconds[1:]:
            search.fill(run)
    tab.close()
    return seconds[0], seconds[1], seconds[2]


def _newest(store: Path) -> str:
    """The name of the newest run that is finished."""
    runs = [Run.load(path.parent) for path in store.glob("*/run.json")]
    return max(run.folder.name for run in runs if run.done and run.best)


def _visit(browser: Browser | BrowserContext, address: str, page: str, run: str) -> float:
    path, text = READY[page]
    return _seen(browser, address + path.format(name=run), text)


def _seen(browser: Browser | BrowserContext, address: str, text: str) -> float:
    """Seconds from the address being entered to the text being seen."""
    tab = browser.new_page()
    tab.set_viewport_size({"width": WIDTH, "height": HEIGHT})
    started = time.monotonic()
    tab.goto(address)
    tab.get_by_text(text).first.wait_for(timeout=120_000)
    seconds = time.monotonic() - started
    tab.close()
    return seconds


def picture_all(browser: Browser, address: str, store: Path, folder: Path) -> None:
    """A picture of each page; the Make page is caught while it paints."""
    folder.mkdir(parents=True, exist_ok=True)
    run = _newest(store)
    for page, (path, text) in reversed(READY.items()):  # Make is the last, as its job slows down what comes after it
        tab = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        tab.goto(address + path.format(name=run))
        tab.get_by_text(text).first.wait_for(timeout=120_000)
        if page == "make":
            _paint(tab)
        # tables come later than text, and pictures last
        tab.wait_for_function("() => !document.querySelector('[data-testid=stSkeleton]')", timeout=120_000)
        tab.wait_for_timeout(2000)
        _save(tab.screenshot(), folder / f"dashboard-{page}.png")
        tab.close()


def _paint(tab: Page) -> None:
    """Start a picture and wait until something of it can be recognised."""
    tab.get_by_label("The scene in words").fill("two dogs to the left of a red car")
    tab.get_by_text("More settings").click()
    tab.get_by_role("spinbutton", name="Steps").fill("200")
    tab.get_by_text("More settings").click()
    tab.get_by_role("button", name="Make the picture").click()
    tab.get_by_text("as far as it is").first.wait_for(timeout=300_000)
    tab.get_by_text(re.compile(r"step [89]\d of")).first.wait_for(timeout=300_000)  # the first steps show noise alone


def _save(content: bytes, path: Path) -> None:
    from PIL import Image

    with Image.open(io.BytesIO(content)) as image:
        image.convert("RGB").quantize(MAX_COLOURS).save(path, optimize=True)


if __name__ == "__main__":
    sys.exit(main())
