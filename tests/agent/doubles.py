"""A planner, a painter and a detector that are small and fast, and really do what they are for.

The painter paints each category as a rectangle of its own colour, the detector finds rectangles by their colour.
`install` puts them in the place of the bundled ones, for tests of the command line in a process of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from agent.loop import Agent
from agent.planners.plan import Plan, Planner
from evaluators.detectors import Detector
from evaluators.report import Detection, Report
from instdiff.errors import ServiceError
from instdiff.layout import Box, Instance, Layout
from instdiff.render_settings import RenderSettings

COLOURS = {"dog": (200, 30, 30), "cat": (30, 200, 30), "car": (30, 30, 200), "tree": (200, 200, 30)}
SIZE = (128, 96)


@dataclass
class Rendering:
    images: list[Image.Image]
    layout: Layout
    settings: RenderSettings
    engine: str
    model_hash: str
    versions: dict[str, str]
    refined: tuple[Image.Image, ...] = ()
    seeds: tuple[int, ...] = ()
    unet_evaluations: int = 0


class RectanglePainter:
    """Paints rectangles on a ground that depends on the seed.

    ``forgets`` says what is left out: {seed: categories}; ``delay_s`` is the time of a step; at the seed ``waits_at``
    painting takes until the process is killed.
    """

    name = "rectangles"
    native_size = SIZE

    def __init__(self, forgets: dict[int, set[str]] | None = None, delay_s: float = 0.0, waits_at: int | None = None):
        self.forgets = forgets or {}
        self.delay_s = delay_s
        self.waits_at = waits_at
        self.painted: list[tuple[Layout, RenderSettings]] = []

    def render(self, layout: Layout, settings: RenderSettings, on_step=None) -> Rendering:
        steps = settings.num_inference_steps or 4
        settings = settings.model_copy(update={"num_inference_steps": steps})
        for step in range(1, steps + 1):
            time.sleep(100 if settings.seed == self.waits_at else self.delay_s)
            if on_step:
                on_step(step, steps)
        self.painted.append((layout, settings))
        ground = np.random.default_rng(settings.seed).integers(90, 110, 3).tolist()  # noise would take long to compress
        image = Image.new("RGB", layout.size, tuple(ground))
        draw = ImageDraw.Draw(image)
        for instance in layout.instances:
            if instance.category in COLOURS and instance.category not in self.forgets.get(settings.seed, set()):
                x0, y0, x1, y1 = instance.extent.to_corners(layout.size)
                draw.rectangle([round(x0), round(y0), round(x1) - 1, round(y1) - 1], fill=COLOURS[instance.category])
        return Rendering([image], layout, settings, self.name, "rectangles-1", {"painter": "1"})


class RepaintingPainter(RectanglePainter):
    """Paints the rectangles in a part of a picture, too; of several pictures only those that are chosen."""

    def render(self, layout, settings, on_step=None, choose=None):
        seeds = [settings.seed + image for image in range(settings.num_images)]
        every = [
            super(RepaintingPainter, self).render(layout, settings.model_copy(update={"seed": seed}), on_step)
            for seed in seeds
        ]
        images = [rendering.images[0] for rendering in every]
        chosen = list(choose(images)) if choose else range(len(images))
        made = every[0]
        made.images = [images[index] for index in chosen]
        made.seeds = tuple(seeds[index] for index in chosen)
        made.unet_evaluations = 4 * len(seeds)
        return made

    def repaint(self, changes, settings, on_step=None, strength=1.0, choose=None):
        images = []
        for change in changes:
            own = settings.model_copy(update={"seed": change.seed})
            new = RectanglePainter.render(self, change.layout, own, on_step)
            image = change.picture.copy()
            for region in change.regions:
                corners = [round(side) for side in region.to_corners(image.size)]
                image.paste(new.images[0].crop(corners), corners[:2])
            images.append(image)
        chosen = list(choose(images)) if choose else range(len(images))
        images = [images[index] for index in chosen]
        seeds = tuple(changes[index].seed for index in chosen)
        versions = {"painter": "1"}
        made = Rendering(images, changes[0].layout, new.settings, self.name, "rectangles-1", versions, (), seeds)
        made.unet_evaluations = len(changes) + 3 * len(images)
        return made


class ColourDetector(Detector):
    """Sees at most one object of each category: all pixels of its colour."""

    name = "colours"
    threshold = 0.5
    found_score = 0.5

    def canonical(self, category: str) -> str | None:
        return category if category in COLOURS else None

    def detect(
        self, images: list[Image.Image], asked: list[str], min_score: float | None = None
    ) -> list[list[Detection]]:
        return [
            [detection for name in asked if name in COLOURS for detection in self._find(image, name)]
            for image in images
        ]

    def _find(self, image: Image.Image, name: str) -> list[Detection]:
        mask = (np.asarray(image) == COLOURS[name]).all(axis=-1)
        if not mask.any():
            return []
        rows = np.flatnonzero(mask.any(axis=1))
        columns = np.flatnonzero(mask.any(axis=0))
        corners = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
        return [Detection(category=name, score=0.9, box=Box.from_corners(corners, image.size))]


class ListPlanner(Planner):
    """Plans the known words of a prompt side by side. Each call adds to ``log``; ``fails`` names calls that fail."""

    name = "list"

    def __init__(self, log: Path | None = None, fails: tuple[str, ...] = ()):
        self.log = log
        self.fails = fails

    def plan(self, prompt: str, size: tuple[int, int], seed: int) -> Plan:
        self._log("plan")
        words = [word for word in prompt.split() if word in COLOURS or word == "ghost"]
        instances = [
            Instance(
                caption=f"a {word}",
                category=word,
                box=Box(x0=(k + 0.1) / len(words), y0=0.2, x1=(k + 0.9) / len(words), y1=0.8),
            )
            for k, word in enumerate(words)
        ]
        layout = Layout(width=size[0], height=size[1], caption=prompt, instances=tuple(instances))
        return Plan(layout=layout, planner=self.name, seed=None)

    def revise(self, prompt: str, plan: Plan, report: Report, seed: int) -> Plan:
        self._log("revise")
        failed = [verdict.name for verdict in report.verdicts if verdict.kind.value != "found"]
        return plan.model_copy(update={"notes": (f"once more: {', '.join(failed)}",)})

    def _log(self, call: str) -> None:
        if self.log:
            with self.log.open("a") as file:
                file.write(f"{call}\n")
        if call in self.fails:
            raise ServiceError(f"the planner is away ({call})")


OURS = {"planner": "offline", "engine": "draft", "verifier": "draft"}


def make_agent(tmp_path: Path, painter: RectanglePainter | None = None, as_ours: bool = False, **options) -> Agent:
    """An agent of doubles, whose runs land in ``out`` and whose planner writes its calls into ``calls``.

    With ``as_ours`` the doubles are called as the bundled parts, and go on with runs of those.
    """
    planner = ListPlanner(tmp_path / "calls")
    parts = {"planner": planner, "engine": painter or RectanglePainter(), "verifier": ColourDetector()}
    for kind, name in OURS.items() if as_ours else ():
        parts[kind].name = name
    return Agent(**{**parts, "out": tmp_path / "out", **options})


def open_door(*arguments: str, **environment: str) -> subprocess.Popen:
    """``run_agent.py`` with the doubles, in a process of its own, with more variables in its environment."""
    script = (
        "import sys; from tests.agent import doubles; doubles.install(); import run_agent;"
        " sys.exit(run_agent.main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", script, *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **environment}
    return subprocess.Popen(command, cwd=Path(__file__).parents[2], env=environment, text=True, **pipes)


def kill_in_round_1(tmp_path: Path, **environment: str) -> Path:
    """Run "dog cat" in a process that forgets the dog, kill it while it paints its second round; the run's folder."""
    out = tmp_path / "out"
    doubles = {"DOUBLES_LOG": str(tmp_path / "calls"), "DOUBLES_FORGETS": "dog", "DOUBLES_WAITS_AT": "1"}
    process = open_door("dog cat", "--planner", "offline", "--out", str(out), **doubles, **environment)
    deadline = time.monotonic() + 60
    while not list(out.glob("*/round-1")):
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.kill()
    process.communicate()
    (folder,) = out.iterdir()
    assert not (folder / "round-1/image.png").exists()
    return folder


def install() -> None:
    """Make the names ``offline`` and ``draft`` of the loop mean the doubles, set up by environment variables."""
    from agent import loop

    log, forgets, fails = (os.environ.get(f"DOUBLES_{name}", "") for name in ("LOG", "FORGETS", "FAILS"))
    planner = ListPlanner(Path(log) if log else None, tuple(fails.split()))
    missing = {seed: set(forgets.split()) for seed in range(3)} if forgets else {}
    kind = RepaintingPainter if os.environ.get("DOUBLES_REPAINT") else RectanglePainter
    waits_at = os.environ.get("DOUBLES_WAITS_AT")
    delay_s = float(os.environ.get("DOUBLES_DELAY_S", "0"))
    painter = kind(missing, delay_s, int(waits_at) if waits_at else None)
    planner.name = OURS["planner"]
    painter.name = OURS["engine"]
    loop.load_planner = lambda name, **options: planner
    loop.load_engine = lambda name, refiner=None: painter
    loop.load_detector = lambda name, *options, **more: ColourDetector()
