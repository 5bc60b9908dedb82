"""The steps of a run: plan, criticise, render, verify, revise.

Each step reads small plain data from the state, writes its files whole into the run's folder, and returns what
changed. A step that runs again after a kill overwrites its own round and nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypedDict

from PIL import Image
from pydantic import ConfigDict, Field

from agent import rounds, runs
from agent.critic.critic import criticise, criticise_and_replan
from agent.critic.findings import Finding
from agent.edit.runs import before_after
from agent.events import Criticised, Event, Judged, PlanReady, PreviewReady, Step, Waiting
from agent.planners import Planner
from agent.planners.plan import Plan
from agent.request import MAX_ROUNDS, Request
from agent.runs import Answer, Inside, Round, Run, read_report
from evaluators.detectors import Detector
from evaluators.report import Report
from instdiff import formats
from instdiff.engine import Engine, Rendering
from instdiff.errors import BadInput
from instdiff.layout import Layout
from instdiff.values import Fraction, Value
from prompts.usage import Usage


class State(TypedDict, total=False):
    """What the checkpoint holds: JSON and file names, never pictures."""

    plan: dict  # the plan that the coming round paints
    findings: list[dict]  # what the critic found in it, as `Finding`
    painted: dict  # the round that is painted, but not yet looked at, as `PaintedRound`
    rounds: list[dict]  # the rounds that are done, as `Round`
    seconds: dict[str, float]  # per step, all rounds together
    decision: str  # of `Answer`, if a person was asked
    again: int  # how often a person had it planned again


NO_STATE: State = {"plan": {}, "findings": [], "painted": {}, "rounds": [], "seconds": {}}


class PaintedRound(Value):
    """The pictures of a round that is painted, but not yet looked at."""

    model_config = ConfigDict(extra="ignore")
    seed: int = Field(description="of the first picture; each next one takes the next seed")
    images: tuple[Inside, ...] = Field(min_length=1, max_length=64)
    model_hash: str | None
    versions: dict[str, str]
    mis: Fraction | None = None
    alpha: Fraction | None = None
    settings: dict = {}


class CheckedState(Value):
    """A `State`, checked: it comes from a file, which may be somebody else's."""

    model_config = ConfigDict(extra="ignore")
    plan: Plan | None = None
    findings: tuple[Finding, ...] = ()
    painted: PaintedRound | None = None
    rounds: tuple[Round, ...] = Field(default=(), max_length=MAX_ROUNDS)
    seconds: dict[str, float] = {}
    decision: str = ""
    again: int = 0

    @classmethod
    def read(cls, state: State) -> CheckedState:
        """Raises BadInput for what no step could have written."""
        return cls.parse({name: value for name, value in state.items() if value != {}}, "checkpoint")

    @property
    def current(self) -> Plan:
        """The plan that the coming round paints."""
        if self.plan is None:
            raise BadInput("run", "its checkpoint holds no plan")
        return self.plan


class Steps:
    """The steps of one run, bound to its folder and to the planner, engine and detector that do the work.

    Args:
        run: the run as far as it is.
        planner: plans and revises; None where a layout was given.
        engine: a function that gives the engine; it is called when the first picture is painted.
        detector: a function that gives the detector, or None if nothing is verified.
        size: (width, height) in pixels of a new plan.
        on_event: is given each event.
        preview_every: steps between two previews of a picture; 0 makes none.
    """

    def __init__(
        self,
        run: Run,
        planner: Planner | None,
        engine: Callable[[], Engine],
        detector: Callable[[], Detector] | None,
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

    def plan(self, state: State) -> State:
        """The first layout, from the planner or as it was given."""
        with self._clock(state, "plan") as seconds:
            if self.planner is None:
                notes = self.request.edited.notes if self.request.edited else ("the layout was given",)
                layout = formats.load_layout(self.run.folder / runs.GIVEN, boxes="xywh")
                scene = runs.read_scene(self.run.folder / runs.GIVEN_SCENE)
                plan = Plan(layout=layout, planner="none", notes=notes, **scene)
            else:
                plan = self.planner.plan(self.request.prompt, self.size, self._planning_seed(state))
        self.on_event(PlanReady(round=0, plan=plan))
        self._save([], seconds, planner=plan.planner)
        return {"plan": plan.model_dump(mode="json"), "seconds": seconds}

    def criticise(self, state: State) -> State:
        """What is wrong is repaired, or planned again if it is the first plan; a given layout is only reported on."""
        index = len(state["rounds"])
        plan = CheckedState.read(state).current
        with self._clock(state, "plan") as seconds:
            if self.planner is None:
                critique = criticise(plan, "", repair=False)
            elif index:
                critique = criticise(plan, self.request.prompt)
            else:
                critique = criticise_and_replan(plan, self.request.prompt, self.planner, self._planning_seed(state))
        if critique.findings:
            self.on_event(Criticised(round=index, plan=critique.plan, findings=critique.findings))
        findings = [finding.model_dump(mode="json") for finding in critique.findings]
        return {"plan": critique.plan.model_dump(mode="json"), "findings": findings, "seconds": seconds}

    def review(self, state: State) -> State:
        """A person looks at the first plan: the process stops here; this step runs again once there is an answer."""
        from langgraph.types import interrupt

        plan = CheckedState.read(state).current
        self._write_layout(self.run.folder / "round-0" / "layout.json", plan.layout)
        answer = Answer.model_validate(interrupt("review"))
        decided = {"approve": "approved", "reject": "rejected"}.get(answer.decision)
        self.run = self.run.model_copy(update={"review": decided})
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
        self.on_event(Waiting(run=self.run))
        return self.run

    def render(self, state: State) -> State:
        """The pictures of the round, each with a seed of its own, so that each can be painted again alone."""
        index = len(state["rounds"])
        plan = CheckedState.read(state).current
        folder = self.run.folder / f"round-{index}"
        with self._clock(state, "render") as seconds:
            layout = self._write_layout(folder / "layout.json", plan.layout)
            runs.write_scene(folder / "scene.json", plan)
            seed = self._round_seed(index) if plan.seed is None else plan.seed
            names = []
            for image in range(self.request.settings.num_images):
                rendering = self._paint(layout, plan, seed + image, index, image)
                names.append(_write_pictures(rendering, layout, folder, image))
        painted = PaintedRound(
            seed=seed,
            images=tuple(names),
            model_hash=rendering.model_hash,
            versions=dict(rendering.versions),
            mis=rendering.settings.mis,
            alpha=rendering.settings.alpha,
            settings=rendering.settings.model_dump(exclude={"seed", "num_images"}),
        )
        return {"painted": painted.model_dump(mode="json"), "seconds": seconds}

    def verify(self, state: State) -> State:
        """One report per picture; the round keeps the best picture and its report."""
        now = CheckedState.read(state)
        if now.painted is None:
            raise BadInput("run", "its checkpoint holds no pictures to look at")
        index = len(now.rounds)
        folder = self.run.folder / f"round-{index}"
        with self._clock(state, "verify") as seconds:
            layout = formats.load_layout(folder / "layout.json", boxes="xywh")
            images = [_read_image(folder / name) for name in now.painted.images]
            detector = self.detector() if self.detector else None
            reports = rounds.look(detector, images, layout, self.request.iou_threshold)
            best = rounds.best_index([report.score for report in reports])
            result = self._write_round(now, now.painted, best, images[best], layout, reports[best])
        self.on_event(Judged(round=index, layout=layout, report=reports[best], result=result))
        model = {"model_hash": now.painted.model_hash, "versions": now.painted.versions}
        about = {"planner": now.current.planner, "painted_with": now.painted.settings, **model}
        self.run = self.run.model_copy(update=about)
        self._save([*now.rounds, result], seconds)
        return {"rounds": [done.model_dump(mode="json") for done in self.run.rounds], "seconds": seconds}

    def revise(self, state: State) -> State:
        """The plan of the next round: what failed goes back to the planner. A given layout keeps its places."""
        now = CheckedState.read(state)
        index = len(now.rounds)
        seed = self._round_seed(index)
        with self._clock(state, "revise") as seconds:
            if self.planner is None:
                notes = (f"the layout was given: its places are kept, and it is painted again with seed {seed}",)
                revised = now.current.model_copy(update={"notes": notes, "seed": seed})
            else:
                painted = self._as_painted(now)
                report = read_report(self.run.folder / now.rounds[-1].report)
                revised = rounds.revise_plan(self.planner, self.request.prompt, painted, report, seed)
                revised = rounds.with_next_seed(revised, painted, self.request.settings, seed)
        self.on_event(PlanReady(round=index, plan=revised))
        return {"plan": revised.model_dump(mode="json"), "seconds": seconds}

    def is_enough(self, state: State) -> bool:
        """True if no further round can help."""
        done = CheckedState.read(state).rounds
        return rounds.is_enough(read_report(self.run.folder / done[-1].report), len(done), self.request.rounds)

    def keep_usage(self) -> None:
        """Write down what the planner took, if it failed: who goes on with the run must not forget it."""
        self.run = self.run.model_copy(update={"usage": self._usage})
        self.run.save()

    def finish(self, state: State) -> Run:
        """Mark the run as done, with the picture before and after if it is an edit."""
        now = CheckedState.read(state)
        if self.run.before_after and self.run.best:
            before_after(self.run.folder / runs.BEFORE, self.run.image, self.run.before_after)
        self._save(list(now.rounds), now.seconds, done=True)
        return self.run

    @property
    def _usage(self) -> Usage:
        return self.planner.usage if self.planner else self.run.usage

    def _planning_seed(self, state: State) -> int:
        """Another one each time that a person has it planned again."""
        return self.request.settings.seed + state.get("again", 0)

    def _round_seed(self, index: int) -> int:
        """The seed of a round's first picture, if the plan asks for none; no two pictures of a run share one then."""
        settings = self.request.settings
        return rounds.round_seed(settings.seed, index, 2**63 - settings.num_images, settings.num_images)

    def _as_painted(self, now: CheckedState) -> Plan:
        """The plan with the seed and strengths of the picture that the last report is about."""
        if now.painted is None:
            raise BadInput("run", "its checkpoint holds no pictures to revise")
        last = now.rounds[-1]
        seed = now.painted.seed + last.images.index(last.image)
        return rounds.as_painted(now.current, seed, now.painted.mis, now.painted.alpha)

    def _paint(self, layout: Layout, plan: Plan, seed: int, index: int, image: int) -> Rendering:
        """Paint picture ``image`` of round ``index``."""
        settings = rounds.next_settings(self.request.settings, plan, seed)
        images = self.request.settings.num_images

        def on_step(step: int, steps: int) -> None:
            self.on_event(Step(round=index, image=image, images=images, step=step, steps=steps))

        def on_preview(picture: Image.Image) -> None:
            self.on_event(PreviewReady(round=index, image=image, picture=picture))

        if not self.preview_every:
            return self.engine().render(layout, settings, on_step)
        return self.engine().render(layout, settings, on_step, on_preview=on_preview, preview_every=self.preview_every)

    def _write_round(
        self, now: CheckedState, painted: PaintedRound, best: int, image: Image.Image, layout: Layout, report: Report
    ) -> Round:
        """Write what was found on the best picture of a round, and return the round."""
        from evaluators.drawing import draw_report

        folder = self.run.folder / f"round-{len(now.rounds)}"
        plan = now.current
        with formats.whole_file(folder / "annotated.png") as temporary:
            draw_report(image, layout, report).save(temporary, format="PNG")
        result = Round(
            layout=f"{folder.name}/layout.json",
            image=f"{folder.name}/{painted.images[best]}",
            images=tuple(f"{folder.name}/{name}" for name in painted.images),
            annotated=f"{folder.name}/annotated.png",
            report=f"{folder.name}/report.json",
            seed=painted.seed,
            planner=plan.planner,
            notes=plan.notes,
            findings=now.findings,
            verified=report.verified and self.detector is not None,
            score=report.score,
        )
        figures = {"found": report.found, "checked": report.checked, "mean_iou": report.mean_iou}
        from_round = result.model_dump(mode="json", include={"verified", "notes", "findings"})
        about = {"image": painted.images[best], **figures, **from_round}
        runs.write_json(folder / "report.json", {**about, **report.model_dump(mode="json")})
        return result

    def _write_layout(self, path: Path, layout: Layout) -> Layout:
        """Write a layout and return it as it is read back."""
        path.parent.mkdir(exist_ok=True)
        formats.save_layout(layout, path)
        return rounds.as_written(layout)

    def _save(self, results: list[Round], seconds: dict[str, float], **changes: object) -> None:
        total = self._total_before + time.monotonic() - self._started
        seconds = {name: round(value, 2) for name, value in {**seconds, "total": total}.items()}
        self.run = self.run.with_rounds(results, seconds=seconds, usage=self._usage, **changes)
        if self.run.best:
            runs.copy_whole(self.run.folder / self.run.best.image, self.run.image)
        self.run.save()

    @contextmanager
    def _clock(self, state: State, step: str) -> Iterator[dict[str, float]]:
        """The seconds of the run so far; what passes inside is added to this step's."""
        seconds = dict(state["seconds"])
        started = time.monotonic()
        yield seconds
        seconds[step] = seconds.get(step, 0.0) + time.monotonic() - started


def _write_pictures(rendering: Rendering, layout: Layout, folder: Path, number: int) -> str:
    """Write a picture of a round and what the refiner made of it; returns the name of the one that counts."""
    about = {"engine": rendering.engine, "model_hash": rendering.model_hash, "versions": rendering.versions}
    for kind, image in zip(("image", "refined"), (rendering.images[0], *rendering.refined), strict=False):
        name = f"{kind}-{number}.png" if number else f"{kind}.png"
        formats.write_png(image, folder / name, layout, {**rendering.settings.model_dump(), **about})
    return name


def _read_image(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.convert("RGB")
