"""A user's script: a planner, an engine and a verifier of one's own, typed, and the pipeline called on a layout.

``python own_parts.py FOLDER`` runs it; type checkers in their strict modes find nothing to say.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageOps

from agent import Agent
from agent.events import Event, Step
from agent.planners import Plan, Planner
from agent.runs import Run
from evaluators.detectors import Detector
from evaluators.report import Detection, Report
from instdiff import Box, Instance, InstanceDiffusionPipeline, Layout
from instdiff.engine import DRAFT_FOLDER, Engine, Rendering
from instdiff.render_settings import RenderSettings


class OneThing(Planner):
    """Plans one thing, and a larger one where it was not found."""

    name = "one-thing"

    def plan(self, prompt: str, size: tuple[int, int], seed: int) -> Plan:
        thing = Instance(caption=prompt, category="ball", box=Box(x0=0.4, y0=0.4, x1=0.6, y1=0.6))
        return Plan(layout=Layout(width=size[0], height=size[1], caption=prompt, instances=[thing]), planner=self.name)

    def revise(self, prompt: str, plan: Plan, report: Report, seed: int) -> Plan:
        found = [verdict.name for verdict in report.verdicts if verdict.kind == "found"]
        return plan if found else plan.with_box(0, Box(x0=0.2, y0=0.2, x1=0.8, y1=0.8))


class BlackBoxes:
    """Paints each box in black; of seed 0 it paints nothing."""

    name = "black-boxes"
    native_size = (96, 64)

    def render(
        self, layout: Layout, settings: RenderSettings, on_step: Callable[[int, int], None] | None = None
    ) -> Rendering:
        image = Image.new("RGB", layout.size, "white")
        for instance in layout.instances if settings.seed else ():
            if instance.extent:
                ImageDraw.Draw(image).rectangle(instance.extent.to_corners(layout.size), fill="black")
        if on_step:
            on_step(1, 1)
        return Rendering([image], layout, settings, self.name, "1", {}, seeds=(settings.seed,))


class BlackThings(Detector):
    """Finds whatever is black."""

    name = "black-things"
    threshold = 0.5
    found_score = 0.5

    def canonical(self, category: str) -> str | None:
        return category if category == "ball" else None

    def detect(
        self, images: list[Image.Image], asked: list[str], min_score: float | None = None
    ) -> list[list[Detection]]:
        return [self._find(image) if any(self.knows(name) for name in asked) else [] for image in images]

    def _find(self, image: Image.Image) -> list[Detection]:
        corners = ImageOps.invert(image.convert("L")).getbbox()
        boxes = [Box.from_corners(corners, image.size)] if corners else []
        return [Detection(category="ball", score=1.0, box=box) for box in boxes]


def on_event(event: Event) -> None:
    if isinstance(event, Step):
        print(f"step {event.step} of {event.steps}")


def make_agent(out: Path) -> Agent:
    engine: Engine = BlackBoxes()
    return Agent(planner=OneThing(), engine=engine, verifier=BlackThings(), out=out, on_event=on_event, rounds=3)


def paint(layouts: list[Layout]) -> list[Image.Image]:
    """Pictures by the bundled model."""
    pipeline = InstanceDiffusionPipeline.from_pretrained(DRAFT_FOLDER)
    generators = [torch.Generator().manual_seed(seed) for seed in range(len(layouts))]
    output = pipeline(layouts, num_inference_steps=1, generator=generators)
    return list(output.images)


def main() -> None:
    out = Path(sys.argv[1])
    run: Run = make_agent(out).run("a black ball")
    assert run.verified and len(run.rounds) == 2 and run.best is not None
    assert make_agent(out).resume(run.folder) == run
    points = [Instance(caption="a red ball", box=Box(x0=0.1, y0=0.1, x1=0.5, y1=0.5))]
    layouts = [Layout(width=64, height=64, caption=caption, instances=points) for caption in ("a ball", "a red ball")]
    pictures = paint(layouts)
    assert [picture.size for picture in pictures] == [(64, 64), (64, 64)]


if __name__ == "__main__":
    main()
