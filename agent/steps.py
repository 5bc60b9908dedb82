"""The four steps of a run: plan, render, verify, revise.

Each step reads small plain data from the state, writes its files whole into the run's folder, and returns what
changed. A step that runs again after a kill overwrites its own round and nothing else.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypedDict

from PIL import Image

from agent.events import Event, Judged, Planned, Step
from agent.planners.plan import Plan
from agent.runs import Request, Round, Run, copy_whole, read_json, write_json
from evaluators.matching import match, unchecked
from evaluators.report import Report
from instdiff import formats
from instdiff.layout import Layout
from instdiff.settings import RenderSettings

GIVEN = "given.json"


class State(TypedDict):
    """What the checkpoint holds: JSON and file names, never pictures."""

    plan: dict  # the plan that the coming round paints
    painted: dict  # seed, model and image names of the round that is painted, but not yet looked at
    rounds: list[dict]  # the rounds that are done, as `Round`
    seconds: dict[str, float]  # per step, all rounds together


class Steps:
    """The steps of one run, bound to its folder and to the planner, engine and detector that do the work.

    Args:
        run: the run as far as it is.
        planner: plans and revises; not asked if a layout was given.
        engine: a function that gives the engine; it is called when the first picture is painted.
        detector: a function that gives the detector, or None if nothing is verified.
        size: (width, height) in pixels of a new plan.
        on_event: told what happens.
    """

    def __init__(
        self,
        run: Run,
        planner,
        engine: Callable[[], object],
        detector: Callable[[], object] | None,
        size: tuple[int, int],
        on_event: Callable[[Event], None],
    ):
        self.run, self.planner, self.engine, self.detector = run, planner, engine, detector
        self.size, self.on_event = size, on_event
        self._total_before, self._started = run.seconds.get("total", 0.0), time.monotonic()

    @property
    def request(self) -> Request:
        return self.run.request

    def plan(self, state: State) -> dict:
        """The first layout, from the planner or as it was given."""
        with self._clock(state, "plan") as seconds:
            given = self.run.folder / GIVEN
            if given.exists():
                plan = Plan(layout=Layout.from_file(given, boxes="xywh"), planner="none", notes=("the layout was given",))
            else:
                plan = self.planner.plan(self.request.prompt, self.size, self.request.settings.seed)
        self.on_event(Planned(0, plan))
        self._save([], seconds, planner=plan.planner)
        return {"plan": plan.model_dump(mode="json"), "seconds": seconds}

    def render(self, state: State) -> dict:
        """The pictures of the round, each with a seed of its own, so that each can be painted again alone."""
        index, plan = len(state["rounds"]), Plan.model_validate(state["plan"])
        folder = self.run.folder / f"round-{index}"
        names, rendering = [], None
        with self._clock(state, "render") as seconds:
            layout = self._write_layout(folder / "layout.json", plan.layout)
            seed = self._seed(index, plan)
            count = self.request.settings.num_images
            for k in range(count):
                rendering = self._paint(layout, plan, seed + k, lambda step, steps, k=k: Step(index, k, count, step, steps))
                name = f"image-{k}.png" if k else "image.png"
                about = {"engine": rendering.engine, "model_hash": rendering.model_hash, "versions": rendering.versions}
                formats.write_png(rendering.images[0], folder / name, layout, {**rendering.settings.model_dump(), **about})
                names.append(name)
        painted = {"seed": seed, "images": names, "model_hash": rendering.model_hash, "versions": dict(rendering.versions)}
        return {"painted": painted, "seconds": seconds}

    def verify(self, state: State) -> dict:
        """One report per picture; the round keeps the best picture and its report."""
        index, plan, painted = len(state["rounds"]), Plan.model_validate(state["plan"]), state["painted"]
        folder = self.run.folder / f"round-{index}"
        with self._clock(state, "verify") as seconds:
            layout = Layout.from_file(folder / "layout.json", boxes="xywh")
            images = [_read_image(folder / name) for name in painted["images"]]
            reports = self._look(images, layout)
            best = max(range(len(reports)), key=lambda k: (reports[k].score, -k))
            result = self._write_round(folder, painted["images"][best], images[best], layout, reports[best], plan, painted)
        self.on_event(Judged(index, layout, reports[best], result))
        rounds = [*(Round.model_validate(done) for done in state["rounds"]), result]
        self._save(rounds, seconds, planner=plan.planner, model_hash=painted["model_hash"], versions=painted["versions"])
        return {"rounds": [done.model_dump(mode="json") for done in rounds], "seconds": seconds}

    def revise(self, state: State) -> dict:
        """The plan of the next round: what failed goes back to the planner. A given layout keeps its places."""
        index, plan = len(state["rounds"]), Plan.model_validate(state["plan"])
        with self._clock(state, "revise") as seconds:
            seed = self._seed(index)
            if (self.run.folder / GIVEN).exists():
                notes = (f"the layout was given: its places are kept, and it is painted again with seed {seed}",)
                revised = plan.model_copy(update={"notes": notes, "seed": None})
            else:
                report = read_json(self.run.folder / state["rounds"][-1]["report"])
                report = Report.model_validate({key: report[key] for key in Report.model_fields})
                revised = self._whole(self.planner.revise(self.request.prompt, plan, report, seed), plan, seed)
        self.on_event(Planned(index, revised))
        return {"plan": revised.model_dump(mode="json"), "seconds": seconds}

    def _whole(self, revised: Plan, plan: Plan, seed: int) -> Plan:
        """The revised plan, if it still has everything in it; else the old one with another seed.

        What failed must not be mended by leaving it out: the score counts what is planned.
        """
        left = Counter(instance.name.lower() for instance in plan.layout.instances)
        left -= Counter(instance.name.lower() for instance in revised.layout.instances)
        if not left:
            return revised
        note = f"The revised plan left out {', '.join(left.elements())}; the plan before it is painted with another seed."
        return plan.model_copy(update={"seed": seed, "notes": (*plan.notes, note)})

    def is_enough(self, state: State) -> bool:
        """True if no further round can help: all that can be checked is found, or the rounds are spent."""
        report = read_json(self.run.folder / state["rounds"][-1]["report"])
        return report["found"] == report["checked"] or len(state["rounds"]) >= self.request.rounds

    def finish(self, state: State) -> Run:
        """Mark the run as done."""
        self._save([Round.model_validate(done) for done in state["rounds"]], state["seconds"], done=True)
        return self.run

    def _paint(self, layout: Layout, plan: Plan, seed: int, step_event: Callable[[int, int], Step]):
        settings = self.request.settings
        mis = plan.mis if settings.mis is None else settings.mis
        settings = RenderSettings.parse({**dict(settings), "seed": seed, "num_images": 1, "mis": mis})
        return self.engine().render(layout, settings, on_step=lambda step, steps: self.on_event(step_event(step, steps)))

    def _look(self, images: list[Image.Image], layout: Layout) -> list[Report]:
        threshold = self.request.iou_threshold
        if not self.detector:
            return [unchecked(layout, threshold)] * len(images)
        detector = self.detector()
        vocabulary = sorted({instance.name for instance in layout.instances})
        seen = detector.detect(images, vocabulary)
        return [match(layout, detections, detector.canonical, threshold, detector.name) for detections in seen]

    def _write_round(self, folder: Path, name: str, image: Image.Image, layout: Layout, report: Report, plan: Plan, painted: dict) -> Round:
        from evaluators.draw import draw_report

        with formats.whole_file(folder / "annotated.png") as temporary:
            draw_report(image, layout, report).save(temporary, format="PNG")
        verified = report.verified and self.detector is not None
        counts = {"found": report.found, "checked": report.checked, "mean_iou": report.mean_iou}
        about = {"image": name, "verified": verified, **counts, "notes": list(plan.notes)}
        write_json(folder / "report.json", {**about, **report.model_dump(mode="json")})
        paths = {"layout": "layout.json", "image": name, "annotated": "annotated.png", "report": "report.json"}
        return Round(
            **{key: f"{folder.name}/{file}" for key, file in paths.items()},
            images=tuple(f"{folder.name}/{file}" for file in painted["images"]),
            seed=painted["seed"],
            planner=plan.planner,
            notes=plan.notes,
            verified=verified,
            score=report.score,
        )

    def _write_layout(self, path: Path, layout: Layout) -> Layout:
        """Write a layout and return it as it is read back, so that the file says exactly what is painted."""
        path.parent.mkdir(exist_ok=True)
        layout.to_file(path)
        return Layout.from_file(path, boxes="xywh")

    def _seed(self, index: int, plan: Plan | None = None) -> int:
        """The seed of a round's first picture; no two pictures of a run share one, unless the plan asks for it."""
        if plan and plan.seed is not None:
            return plan.seed
        settings = self.request.settings
        return (settings.seed + index * settings.num_images) % (2**63 - settings.num_images)

    def _save(self, rounds: list[Round], seconds: dict[str, float], **changes) -> None:
        total = self._total_before + time.monotonic() - self._started
        seconds = {name: round(value, 2) for name, value in {**seconds, "total": total}.items()}
        self.run = self.run.with_rounds(rounds, seconds=seconds, **changes)
        if self.run.best:
            copy_whole(self.run.folder / self.run.best.image, self.run.image)
        self.run.save()

    @contextmanager
    def _clock(self, state: State, step: str) -> Iterator[dict[str, float]]:
        """The seconds of the run so far; what passes inside is added to this step's."""
        seconds, started = dict(state["seconds"]), time.monotonic()
        yield seconds
        seconds[step] = seconds.get(step, 0.0) + time.monotonic() - started


def _read_image(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.convert("RGB")
