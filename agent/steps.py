"""The steps of a run: plan, criticise, render, verify, revise.

Each step reads small plain data from the state, writes its files whole into the run's folder, and returns what
changed. A step that runs again after a kill overwrites its own round and nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from PIL import Image

from agent import rounds, runs
from agent.critic.critic import Critique, criticise, criticise_and_replan
from agent.edit.runs import before_after
from agent.events import Criticised, Event, Judged, PlanReady, Repairing, Waiting
from agent.painting import Promise, RoundPainter, Start, read_image
from agent.planners import Planner
from agent.planners.plan import Plan
from agent.repair.failures import Failure, failures_of
from agent.repair.records import RepairRecord
from agent.repair.repairs import AT_ONCE, Repair, is_better, next_repairs
from agent.request import MAX_ROUNDS, Request
from agent.runs import Answer, Round, Run, read_report
from agent.state import CheckedState, PaintedPicture, PaintedRound, State
from evaluators.detectors import Detector
from evaluators.report import Report
from instdiff import formats
from instdiff.engine import Choice, Engine
from instdiff.errors import BadInput
from instdiff.layout import Layout
from prompts.usage import Usage


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
        """What is wrong with the first plan is repaired, or planned again; a given layout is only reported on."""
        plan = CheckedState.read(state).current
        with self._clock(state, "plan") as seconds:
            if self.planner is None:
                critique = criticise(plan, "", repair=False)
            else:
                critique = criticise_and_replan(plan, self.request.prompt, self.planner, self._planning_seed(state))
        if critique.findings:
            self.on_event(Criticised(round=0, plan=critique.plan, findings=critique.findings))
        findings = [finding.model_dump(mode="json") for finding in critique.findings]
        return {"plan": critique.plan.model_dump(mode="json"), "findings": findings, "seconds": seconds}

    def review(self, state: State) -> State:
        """A person looks at the first plan: the process stops here; this step runs again once there is an answer."""
        from langgraph.types import interrupt

        now = CheckedState.read(state)
        plan = now.current
        self._write_plan(self.run.folder / "round-0", plan)
        about = runs.PlanNotes(notes=plan.notes, findings=now.findings)
        runs.write_json(self.run.folder / "round-0" / runs.NOTES, about.model_dump(mode="json"))
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
        """The pictures of the round: of the plan, or of each way to mend the picture before."""
        now = CheckedState.read(state)
        index = len(now.rounds)
        folder = self.run.folder / f"round-{index}"
        with self._clock(state, "render") as seconds:
            folder.mkdir(exist_ok=True)
            painter = RoundPainter(self.engine(), self.request, folder, self.on_event, self.preview_every)
            if now.repairs:
                before = self.run.folder / now.rounds[-1].image
                painter.paint_repairs(now.repairs, before, self._round_seed(index), self._promise(now))
            else:
                self._paint_first(painter, now.current, self._round_seed(index))
        return {"painted": painter.done().model_dump(mode="json"), "seconds": seconds}

    def _paint_first(self, painter: RoundPainter, plan: Plan, seed: int) -> None:
        """The pictures of the first plan; those of an edit are what the words change of another picture."""
        self._write_plan(painter.folder, plan)
        seed = seed if plan.seed is None else plan.seed
        edited = self.request.edited
        if edited and edited.keep:
            painter.keep(plan, self.run.folder / runs.BEFORE, seed)
        elif edited and edited.regions and painter.can_repaint:
            start = Start(self.run.folder / runs.BEFORE, edited.regions, edited.apart)
            painter.paint_start(plan, start, seed)
        else:
            painter.paint_plan(plan, seed, self._choice(plan))

    def _choice(self, plan: Plan) -> Choice | None:
        """Which of several unfinished pictures go on, where that is asked for and somebody can tell."""
        detector = self.detector() if self.detector else None
        keep = self.request.settings.num_images
        if detector is None or self.request.candidates <= keep:
            return None
        return partial(rounds.choose_early, detector, plan.layout, self.request.iou_threshold, keep)

    def _promise(self, now: CheckedState) -> Promise | None:
        """How good a repair looks on an unfinished picture; None where nobody can tell."""
        detector = self.detector() if self.detector else None
        if detector is None:
            return None
        before = self._before(now)

        def promise(repair: Repair, image: Image.Image) -> tuple:
            layout = rounds.as_written(repair.plan.layout)
            [report] = rounds.look(detector, [image], layout, self.request.iou_threshold, self._unwanted)
            return (is_better(before, (layout, report)), *rounds.early_score(report))

        return promise

    def verify(self, state: State) -> State:
        """One report per picture; the best one counts, if it is the first, or better than the one before."""
        now = CheckedState.read(state)
        if now.painted is None:
            raise BadInput("run", "its checkpoint holds no pictures to look at")
        index = len(now.rounds)
        folder = self.run.folder / f"round-{index}"
        started = time.monotonic()
        with self._clock(state, "verify") as seconds:
            plans = [self._plan_of(now, picture) for picture in now.painted.pictures]
            layouts = [rounds.as_written(plan.layout) for plan in plans]
            images = [read_image(folder / picture.name) for picture in now.painted.pictures]
            detector = self.detector() if self.detector else None
            looked = [
                (layout, rounds.look(detector, [image], layout, self.request.iou_threshold, self._unwanted)[0])
                for layout, image in zip(layouts, images, strict=True)
            ]
            if now.repairs:
                best, accepted = rounds.best_repair(self._before(now), looked)
            else:
                best, accepted = rounds.best_index([report.score for _, report in looked]), True
            taken = plans[best] if accepted else now.current
            spent = round(now.painted.seconds + time.monotonic() - started, 3)
            result = self._write_round(now, now.painted, best, images[best], *looked[best], accepted, spent)
        self.on_event(Judged(round=index, layout=layouts[best], report=looked[best][1], result=result))
        about: dict[str, object] = {"planner": taken.planner}
        if now.painted.model_hash:
            about |= {"model_hash": now.painted.model_hash, "versions": now.painted.versions}
            about["painted_with"] = now.painted.settings
        self.run = self.run.model_copy(update=about)
        self._save([*now.rounds, result], seconds)
        done = [done.model_dump(mode="json") for done in self.run.rounds]
        return {"rounds": done, "plan": taken.model_dump(mode="json"), "repairs": [], "seconds": seconds}

    def revise(self, state: State) -> State:
        """What the next round tries: moves for what failed, painted in their places alone, or another whole picture."""
        now = CheckedState.read(state)
        seed = self._round_seed(len(now.rounds))
        with self._clock(state, "revise") as seconds:
            layout, report = self._before(now)
            repairs: list[Repair] = []
            findings: list[dict] = []
            edited = self.request.edited
            if self.request.repair and hasattr(self.engine(), "repaint"):
                given = self.planner is None and not edited
                repairs = next_repairs(now.current, self._failures(now), rounds.tried(now.rounds), given)
            if repairs:
                records = tuple(record(repair) for repair in repairs)
                layouts = tuple(repair.plan.layout for repair in repairs)
                self.on_event(Repairing(round=len(now.rounds), repairs=records, layouts=layouts))
            elif not edited:
                critique = self._anew(now, report, seed)
                findings = [finding.model_dump(mode="json") for finding in critique.findings]
                step = rounds.OTHER_NOISE if critique.plan.layout == layout else rounds.ANEW
                repairs = [Repair(steps=(step,), plan=critique.plan, anew=True)]
        return {"repairs": [r.model_dump(mode="json") for r in repairs], "findings": findings, "seconds": seconds}

    def _anew(self, now: CheckedState, report: Report, seed: int) -> Critique:
        """Another plan of everything, from the planner; a given layout keeps its places."""
        index = len(now.rounds)
        if self.planner is None:
            notes = (f"the layout was given: its places are kept, and it is painted again with seed {seed}",)
            critique = Critique(now.current.model_copy(update={"notes": notes, "seed": seed}), ())
        else:
            revised = rounds.revise_plan(self.planner, self.request.prompt, now.with_tried, report, seed)
            revised = rounds.with_next_seed(revised, now.current, self.request.settings, seed)
            critique = criticise(revised, self.request.prompt)
        self.on_event(PlanReady(round=index, plan=critique.plan))
        if critique.findings:
            self.on_event(Criticised(round=index, plan=critique.plan, findings=critique.findings))
        return critique

    def is_enough(self, state: State) -> bool:
        """True if no further round can help."""
        now = CheckedState.read(state)
        return len(now.rounds) >= self.request.rounds or not self._failures(now)

    def _failures(self, now: CheckedState) -> list[Failure]:
        """What is wrong with the picture so far; of one that was changed in some regions, with what is in them."""
        edited = self.request.edited
        regions = edited.regions if edited and edited.regions else None
        left = edited.failed if edited else ()
        failures = failures_of(*self._before(now), regions, self._unwanted)
        return [failure for failure in failures if not (failure.verdict and failure.verdict.instance in left)]

    def _still_seen(self, report: Report) -> bool:
        """True if something is seen that an edit took away."""
        return any(extra.category in self._unwanted for extra in report.extras)

    @property
    def _unwanted(self) -> tuple[str, ...]:
        """What an edit took away."""
        return self.request.edited.gone if self.request.edited else ()

    def _before(self, now: CheckedState) -> tuple[Layout, Report]:
        """What was planned of the picture that counts so far, and what was found."""
        last = now.rounds[-1]
        layout = formats.load_layout(self.run.folder / last.layout, boxes="xywh")
        return layout, read_report(self.run.folder / last.report)

    def _plan_of(self, now: CheckedState, picture: PaintedPicture) -> Plan:
        """The plan of a picture, with the seed and strengths that it was painted with."""
        plan = now.current if picture.repair is None else now.repairs[picture.repair].plan
        return rounds.as_painted(plan, picture.seed, picture.mis, picture.alpha)

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
        room = settings.num_images * MAX_ROUNDS * AT_ONCE
        return rounds.round_seed(settings.seed, index, 2**63 - room, settings.num_images)

    def _write_round(
        self,
        now: CheckedState,
        painted: PaintedRound,
        best: int,
        image: Image.Image,
        layout: Layout,
        report: Report,
        accepted: bool,
        spent: float,
    ) -> Round:
        """Write what was found on the best picture of a round, and return the round."""
        from evaluators.drawing import draw_report

        folder = self.run.folder / f"round-{len(now.rounds)}"
        picture = painted.pictures[best]
        plan = self._plan_of(now, picture)
        if now.repairs:
            self._write_plan(folder, plan)
        with formats.whole_file(folder / "annotated.png") as temporary:
            draw_report(image, layout, report).save(temporary, format="PNG")
        result = Round(
            layout=f"{folder.name}/layout.json",
            image=f"{folder.name}/{picture.name}",
            images=tuple(f"{folder.name}/{one.name}" for one in painted.pictures),
            annotated=f"{folder.name}/annotated.png",
            report=f"{folder.name}/report.json",
            seed=painted.pictures[0].seed,
            planner=plan.planner,
            notes=plan.notes,
            findings=now.findings,
            verified=report.verified and self.detector is not None and not self._still_seen(report),
            score=report.score,
            unet_evaluations=painted.unet_evaluations,
            seconds=spent,
        )
        if now.repairs:
            tried = record(now.repairs[picture.repair or 0], now.repairs, accepted)
            notes = () if not tried.anew else plan.notes
            result = result.model_copy(update={"repair": tried, "notes": notes})
        figures = {"found": report.found, "checked": report.checked, "mean_iou": report.mean_iou}
        from_round = result.model_dump(mode="json", include={"verified", "notes", "findings", "repair"})
        about = {"image": picture.name, **figures, **from_round}
        runs.write_json(folder / "report.json", {**about, **report.model_dump(mode="json")})
        if accepted:
            return result
        before = now.rounds[-1]
        kept = ("layout", "image", "annotated", "report", "planner", "verified", "score")
        return result.model_copy(update={name: getattr(before, name) for name in kept})

    def _write_plan(self, folder: Path, plan: Plan) -> None:
        """Write a plan into the folder of a round."""
        folder.mkdir(exist_ok=True)
        formats.save_layout(plan.layout, folder / "layout.json")
        runs.write_scene(folder / "scene.json", plan)

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


def record(repair: Repair, tried: tuple[Repair, ...] = (), accepted: bool = False) -> RepairRecord:
    """What a run remembers of a repair, and of the others that were tried with it."""
    others = dict.fromkeys(step for other in tried for step in other.steps if step not in repair.steps)
    return RepairRecord(
        steps=repair.steps,
        others=tuple(others),
        regions=repair.regions,
        share=min(repair.share, 1.0),
        anew=repair.anew,
        accepted=accepted,
    )
