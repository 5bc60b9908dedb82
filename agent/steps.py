"""The steps of a run: plan, criticise, render, verify, revise.

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

from agent.critic import Finding, criticise
from agent.critic.replan import settled
from agent.edit.runs import before_after
from agent.events import Criticised, Event, Judged, Planned, Preview, Step, Waiting
from agent.planners.plan import Plan
from agent.runs import (
    BEFORE,
    GIVEN,
    GIVEN_SCENE,
    Answer,
    Request,
    Round,
    Run,
    copy_whole,
    read_report,
    read_scene,
    write_json,
    write_scene,
)
from evaluators.matching import match, unchecked
from evaluators.report import Report
from instdiff import formats
from instdiff.layout import Layout
from instdiff.render_settings import RenderSettings
from prompts.usage import Usage


class State(TypedDict):
    """What the checkpoint holds: JSON and file names, never pictures."""

    plan: dict  # the plan that the coming round paints
    findings: list[dict]  # what the critic found in it, as `Finding`
    painted: dict  # seed, model and image names of the round that is painted, but not yet looked at
    rounds: list[dict]  # the rounds that are done, as `Round`
    seconds: dict[str, float]  # per step, all rounds together
    decision: str  # of `Answer`, if a person was asked
    again: int  # how often a person had it planned again


class Steps:
    """The steps of one run, bound to its folder and to the planner, engine and detector that do the work.

    Args:
        run: the run as far as it is.
        planner: plans and revises; not asked if a layout was given.
        engine: a function that gives the engine; it is called when the first picture is painted.
        detector: a function that gives the detector, or None if nothing is verified.
        size: (width, height) in pixels of a new plan.
        on_event: told what happens.
        preview_every: steps between two previews of a picture; 0 makes none.
    """

    def __init__(
        self,
        run: Run,
        planner,
        engine: Callable[[], object],
        detector: Callable[[], object] | None,
        size: tuple[int, int],
        on_event: Callable[[Event], None],
        preview_every: int = 0,
    ):
        self.run = run
        self.planner = planner
        self.engine = engine
        self.detector = detector
        self.size = size
        self.on_event = on_event
        self.preview_every = preview_every
        self._total_before = run.seconds.get("total", 0.0)
        self._started = time.monotonic()

    @property
    def request(self) -> Request:
        return self.run.request

    def plan(self, state: State) -> dict:
        """The first layout, from the planner or as it was given."""
        with self._clock(state, "plan") as seconds:
            given = self.run.folder / GIVEN
            if given.exists():
                notes = self.request.edited.notes if self.request.edited else ("the layout was given",)
                layout = Layout.from_file(given, boxes="xywh")
                plan = Plan(layout=layout, planner="none", notes=notes, **read_scene(self.run.folder / GIVEN_SCENE))
            else:
                plan = self.planner.plan(
                    self.request.prompt, self.size, self.request.settings.seed + state.get("again", 0)
                )
        self.on_event(Planned(0, plan))
        self._save([], seconds, planner=plan.planner)
        return {"plan": plan.model_dump(mode="json"), "seconds": seconds}

    def criticise(self, state: State) -> dict:
        """What is wrong is repaired, or planned again if it is the first plan; a given layout is only reported on."""
        index = len(state["rounds"])
        plan = Plan.model_validate(state["plan"])
        given = (self.run.folder / GIVEN).exists()
        with self._clock(state, "plan") as seconds:
            if given or index:
                critique = criticise(plan, "" if given else self.request.prompt, repair=not given)
            else:
                critique = settled(
                    plan, self.request.prompt, self.planner, self.request.settings.seed + state.get("again", 0)
                )
        if critique.findings:
            self.on_event(Criticised(index, critique.plan, critique.findings))
        findings = [finding.model_dump(mode="json") for finding in critique.findings]
        return {"plan": critique.plan.model_dump(mode="json"), "findings": findings, "seconds": seconds}

    def review(self, state: State) -> dict:
        """A person looks at the first plan: the process stops here, and this step runs again once there is an answer."""
        from langgraph.types import interrupt

        plan = Plan.model_validate(state["plan"])
        self._write_layout(self.run.folder / "round-0" / "layout.json", plan.layout)
        answer = Answer.model_validate(interrupt("review"))
        said = {"approve": "approved", "reject": "rejected"}.get(answer.decision)
        self.run = self.run.model_copy(update={"review": said})
        self.run.save()
        if answer.decision == "approve" and answer.layout:
            notes = (*plan.notes, "the plan was changed by hand before it was painted")
            plan = Plan(layout=answer.layout, planner=plan.planner, notes=notes)
        again = state.get("again", 0) + (answer.decision == "replan")
        return {"decision": answer.decision, "again": again, "plan": plan.model_dump(mode="json")}

    def wait(self) -> Run:
        """Write down that a person is to answer."""
        self.run = self.run.model_copy(update={"review": "waiting", "usage": self._usage})
        self.run.save()
        self.on_event(Waiting(self.run))
        return self.run

    def render(self, state: State) -> dict:
        """The pictures of the round, each with a seed of its own, so that each can be painted again alone."""
        index = len(state["rounds"])
        plan = Plan.model_validate(state["plan"])
        folder = self.run.folder / f"round-{index}"
        names = []
        rendering = None
        with self._clock(state, "render") as seconds:
            layout = self._write_layout(folder / "layout.json", plan.layout)
            write_scene(folder / "scene.json", plan)
            seed = self._seed(index, plan)
            count = self.request.settings.num_images
            for k in range(count):
                rendering = self._paint(layout, plan, seed + k, (index, k, count))
                names.append(_write_pictures(rendering, layout, folder, k))
        painted = {
            "seed": seed,
            "images": names,
            "model_hash": rendering.model_hash,
            "versions": dict(rendering.versions),
        }
        painted |= {"mis": rendering.settings.mis, "alpha": rendering.settings.alpha}
        painted["settings"] = rendering.settings.model_dump(exclude={"seed", "num_images"})
        return {"painted": painted, "seconds": seconds}

    def verify(self, state: State) -> dict:
        """One report per picture; the round keeps the best picture and its report."""
        index = len(state["rounds"])
        plan = Plan.model_validate(state["plan"])
        painted = state["painted"]
        folder = self.run.folder / f"round-{index}"
        with self._clock(state, "verify") as seconds:
            layout = Layout.from_file(folder / "layout.json", boxes="xywh")
            images = [_read_image(folder / name) for name in painted["images"]]
            reports = self._look(images, layout)
            best = max(range(len(reports)), key=lambda k: (reports[k].score, -k))
            findings = tuple(Finding.model_validate(finding) for finding in state.get("findings", []))
            result = self._write_round(folder, best, images[best], layout, reports[best], plan, painted, findings)
        self.on_event(Judged(index, layout, reports[best], result))
        rounds = [*(Round.model_validate(done) for done in state["rounds"]), result]
        about = {name: painted[name] for name in ("model_hash", "versions")} | {
            "painted_with": painted.get("settings", {})
        }
        self._save(rounds, seconds, planner=plan.planner, **about)
        return {"rounds": [done.model_dump(mode="json") for done in rounds], "seconds": seconds}

    def revise(self, state: State) -> dict:
        """The plan of the next round: what failed goes back to the planner. A given layout keeps its places."""
        index = len(state["rounds"])
        plan = Plan.model_validate(state["plan"])
        with self._clock(state, "revise") as seconds:
            seed = self._seed(index)
            if (self.run.folder / GIVEN).exists():
                notes = (f"the layout was given: its places are kept, and it is painted again with seed {seed}",)
                revised = plan.model_copy(update={"notes": notes, "seed": None})
            else:
                report = read_report(self.run.folder / state["rounds"][-1]["report"])
                seen = self._as_painted(plan, state)
                revised = whole(self.planner.revise(self.request.prompt, seen, report, seed), plan, seed)
                revised = revised if self._differs(revised, seen, seed) else revised.model_copy(update={"seed": seed})
        self.on_event(Planned(index, revised))
        return {"plan": revised.model_dump(mode="json"), "seconds": seconds}

    def _as_painted(self, plan: Plan, state: State) -> Plan:
        """The plan with the seed and settings of the picture that the report is about, so that they can be kept."""
        painted = state["painted"]
        done = state["rounds"][-1]
        seed = painted["seed"] + done["images"].index(done["image"])
        return plan.model_copy(update={"seed": seed, "mis": painted.get("mis"), "alpha": painted.get("alpha")})

    def _differs(self, revised: Plan, painted: Plan, seed: int) -> bool:
        """False if the revised plan would give the same picture again."""

        def ask(plan):
            return (plan.layout, plan.seed if plan.seed is not None else seed, *self._strengths(plan).values())

        return ask(revised) != ask(painted)

    def _strengths(self, plan: Plan) -> dict[str, float | None]:
        """mis and alpha of the next picture: as the user gave them, else as the plan asks."""
        given = self.request.settings
        return {
            "mis": plan.mis if given.mis is None else given.mis,
            "alpha": plan.alpha if given.alpha is None else given.alpha,
        }

    def is_enough(self, state: State) -> bool:
        """True if no further round can help: all that can be checked is found, or the rounds are spent."""
        report = read_report(self.run.folder / state["rounds"][-1]["report"])
        return report.found == report.checked or len(state["rounds"]) >= self.request.rounds

    def keep_usage(self) -> None:
        """Write down what the planner took, if it failed: who goes on with the run must not forget it."""
        self.run = self.run.model_copy(update={"usage": self._usage})
        self.run.save()

    @property
    def _usage(self) -> Usage:
        return getattr(self.planner, "used", None) or self.run.usage

    def finish(self, state: State) -> Run:
        """Mark the run as done, with the picture before and after if it is an edit."""
        if self.request.edited and self.run.best:
            before_after(self.run.folder / BEFORE, self.run.image, self.run.before_after)
        self._save([Round.model_validate(done) for done in state["rounds"]], state["seconds"], done=True)
        return self.run

    def _paint(self, layout: Layout, plan: Plan, seed: int, place: tuple[int, int, int]):
        """``place``: round, number of the picture in it, and pictures of the round."""
        settings = self.request.settings
        settings = RenderSettings.parse({**dict(settings), "seed": seed, "num_images": 1, **self._strengths(plan)})
        previews = {}
        if self.preview_every:
            previews["on_preview"] = lambda picture: self.on_event(Preview(*place[:2], picture))
            previews["preview_every"] = self.preview_every
        return self.engine().render(
            layout, settings, on_step=lambda step, steps: self.on_event(Step(*place, step, steps)), **previews
        )

    def _look(self, images: list[Image.Image], layout: Layout) -> list[Report]:
        threshold = self.request.iou_threshold
        if not self.detector:
            return [unchecked(layout, threshold)] * len(images)
        detector = self.detector()
        vocabulary = sorted({instance.name for instance in layout.instances})
        seen = detector.detect(images, vocabulary)
        return [match(layout, detections, detector.canonical, threshold, detector.name) for detections in seen]

    def _write_round(
        self,
        folder: Path,
        best: int,
        image: Image.Image,
        layout: Layout,
        report: Report,
        plan: Plan,
        painted: dict,
        findings: tuple[Finding, ...],
    ) -> Round:
        """Write what was found on the best picture of a round, and return the round."""
        from evaluators.drawing import draw_report

        name = painted["images"][best]
        with formats.whole_file(folder / "annotated.png") as temporary:
            draw_report(image, layout, report).save(temporary, format="PNG")
        verified = report.verified and self.detector is not None
        counts = {"found": report.found, "checked": report.checked, "mean_iou": report.mean_iou}
        about = {"image": name, "verified": verified, **counts, "notes": list(plan.notes)}
        about["findings"] = [finding.model_dump(mode="json") for finding in findings]
        write_json(folder / "report.json", {**about, **report.model_dump(mode="json")})
        paths = {"layout": "layout.json", "image": name, "annotated": "annotated.png", "report": "report.json"}
        return Round(
            **{key: f"{folder.name}/{file}" for key, file in paths.items()},
            images=tuple(f"{folder.name}/{file}" for file in painted["images"]),
            seed=painted["seed"],
            planner=plan.planner,
            notes=plan.notes,
            findings=findings,
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
        self.run = self.run.with_rounds(rounds, seconds=seconds, usage=self._usage, **changes)
        if self.run.best:
            copy_whole(self.run.folder / self.run.best.image, self.run.image)
        self.run.save()

    @contextmanager
    def _clock(self, state: State, step: str) -> Iterator[dict[str, float]]:
        """The seconds of the run so far; what passes inside is added to this step's."""
        seconds = dict(state["seconds"])
        started = time.monotonic()
        yield seconds
        seconds[step] = seconds.get(step, 0.0) + time.monotonic() - started


def _write_pictures(rendering, layout: Layout, folder: Path, k: int) -> str:
    """Write picture ``k`` of a round, and beside it what the refiner made of it; the name of the one that counts is
    returned.
    """
    about = {"engine": rendering.engine, "model_hash": rendering.model_hash, "versions": rendering.versions}
    for kind, image in zip(("image", "refined"), (rendering.images[0], *rendering.refined), strict=False):
        name = f"{kind}-{k}.png" if k else f"{kind}.png"
        formats.write_png(image, folder / name, layout, {**rendering.settings.model_dump(), **about})
    return name


def _read_image(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.convert("RGB")


def whole(revised: Plan, plan: Plan, seed: int) -> Plan:
    """The revised plan, if it still has everything in it; else the old one with another seed.

    What failed must not be mended by leaving it out: the score counts what is planned.
    """
    left = Counter(instance.name.lower() for instance in plan.layout.instances)
    left -= Counter(instance.name.lower() for instance in revised.layout.instances)
    if not left:
        return revised
    note = f"The revised plan left out {', '.join(left.elements())}; the plan before it is painted with another seed."
    return plan.model_copy(update={"seed": seed, "notes": (*plan.notes, note)})
