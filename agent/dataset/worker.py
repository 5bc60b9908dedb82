"""The rounds over one batch: paint, look, keep what passes, revise and paint again what does not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING, TypeVar

from tenacity import Retrying, stop_after_attempt

from agent import rounds
from agent.critic.critic import criticise
from agent.dataset.folder import FailedCandidate, Folder, Item
from agent.dataset.painting_out import paint_out
from agent.dataset.planning import PlannedCandidate, planner_of, service_retries
from agent.dataset.recipe import Recipe
from agent.planners.plan import Plan, Planner
from agent.repair.failures import failures_of
from agent.repair.repairs import AT_ONCE, Repair, next_repairs
from evaluators.detectors import Detector, load_detector
from evaluators.questions import names_to_ask_for
from evaluators.report import Detection, Report, VerdictKind
from instdiff.engine import BatchEngine, Change, engine_info, load_engine
from instdiff.errors import InstDiffError
from instdiff.formats import layout_to_json
from instdiff.render_settings import RenderSettings, resolve_settings
from prompts.usage import Usage

if TYPE_CHECKING:
    from PIL.Image import Image

T = TypeVar("T")

LOWEST_SCORE = 0.1  # what is seen with less certainty is not even a place to ignore
IN_PLACE = (VerdictKind.FOUND, VerdictKind.WRONG_ATTRIBUTE)  # another colour does not cost a thing its box


@dataclass
class _Try:
    """A picture that is painted for a candidate: of its plan, or of a way to mend the picture before."""

    plan: Plan
    settings: RenderSettings  # nothing is None
    repair: Repair | None = None
    image: Image | None = None


@dataclass
class _Candidate:
    """A candidate on its way: what is painted for it next, and the picture that counts so far, with its report."""

    planned: PlannedCandidate
    usage: Usage
    tries: list[_Try]
    plan: Plan
    settings: RenderSettings  # of the picture that counts
    image: Image | None = None
    report: Report | None = None
    round: int = 0
    tried: set[tuple[str, str]] = field(default_factory=set)
    steps: list[str] = field(default_factory=list)  # that were accepted


class Worker:
    """Makes the pictures of batches. Planner, engine and verifier are loaded when they are needed, once.

    A batch always gives the same items: it is painted as a whole, also where some of its items are there already,
    because the pictures of a batch depend on each other in their last bits.
    """

    def __init__(self, folder: Folder, recipe: Recipe, retries: int):
        self.folder = folder
        self.recipe = recipe
        self.retries = retries
        self.defaults = engine_info(recipe.engine).defaults

    def run(self, batch: list[PlannedCandidate]) -> Usage:
        """Decide every candidate of a batch; returns what planning anew took."""
        before = self._used
        _ = self._engine, self._detector  # before anything is painted: what cannot be loaded is no candidate's fault
        begun = [self._attempt(planned, partial(self._begin, planned)) for planned in batch]
        going = [candidate for candidate in begun if candidate]
        for number in range(self.recipe.rounds):
            self._paint(going)
            failed = [candidate for candidate in going if self._judge(candidate, number)]
            going = []
            for candidate in failed:
                if self._attempt(candidate.planned, partial(self._revise, candidate, number + 1)):
                    going.append(candidate)
        return self._used - before

    @property
    def _used(self) -> Usage:
        revises = self.recipe.rounds > 1 and self.recipe.verifier != "none"
        return self._planner.usage if revises else Usage()

    @cached_property
    def _planner(self) -> Planner:
        return planner_of(self.recipe)

    @cached_property
    def _engine(self) -> BatchEngine:
        return load_engine(self.recipe.engine)

    @cached_property
    def _detector(self) -> Detector | None:
        recipe = self.recipe
        if recipe.verifier == "none":
            return None
        return load_detector(
            recipe.verifier, recipe.verifier_url, recipe.verifier_dialect, found_score=recipe.found_score
        )

    def _attempt(self, planned: PlannedCandidate, work: Callable[[], T], again: Retrying | None = None) -> T | None:
        """What ``work`` gives, called again where a service fails, or as ``again`` says; None if it fails for good."""
        try:
            return (again or service_retries(self.retries))(work)
        except Exception as error:  # of any kind: one candidate must not take the others with it
            reason = str(error) if isinstance(error, InstDiffError) else f"{type(error).__name__}: {error}"
            self.folder.fail(FailedCandidate(index=planned.index, prompt=planned.prompt, error=reason))
            return None

    def _begin(self, planned: PlannedCandidate) -> _Candidate:
        if planned.plan is None:
            raise InstDiffError(planned.error)
        seed = self.recipe.seed_of(planned.index) if planned.plan.seed is None else planned.plan.seed
        plan = _as_written(planned.plan)
        settings = self._settings(plan, seed)
        return _Candidate(planned, planned.usage, [_Try(plan, settings)], plan, settings)

    def _settings(self, plan: Plan, seed: int) -> RenderSettings:
        return resolve_settings(rounds.next_settings(self.recipe.settings, plan, seed), self.defaults)

    def _paint(self, going: list[_Candidate]) -> None:
        """The next pictures of each, those of one kind, size and strength at once; None where that fails."""
        groups: dict[tuple, list[tuple[_Candidate, _Try]]] = {}
        for candidate in going:
            for one in candidate.tries:
                repaints = one.repair is not None and not one.repair.anew
                if one.repair and repaints and not one.repair.regions:  # the plan alone is another
                    one.image = candidate.image
                    continue
                key = (repaints, one.plan.layout.size, one.settings.mis, one.settings.alpha)
                groups.setdefault(key, []).append((candidate, one))
        for group in groups.values():
            try:
                self._paint_together(group)
            except Exception:  # of any kind: a layout that the model cannot paint must not take the others with it
                for candidate, one in group:
                    one.image = None
                    again = Retrying(stop=stop_after_attempt(self.retries + 1), reraise=True)
                    self._attempt(candidate.planned, partial(self._paint_together, [(candidate, one)]), again)

    def _paint_together(self, group: list[tuple[_Candidate, _Try]]) -> None:
        settings = group[0][1].settings
        if group[0][1].repair and not group[0][1].repair.anew:
            changes = [
                Change(candidate.image, one.plan.layout, one.repair.regions, one.repair.apart, one.settings.seed)
                for candidate, one in group
                if candidate.image and one.repair
            ]
            images = self._engine.repaint(changes, settings).images
        else:
            layouts = [one.plan.layout for _, one in group]
            images = self._engine.render_many(layouts, settings, [one.settings.seed for _, one in group])
        for (_, one), image in zip(group, images, strict=True):
            one.image = image

    def _judge(self, candidate: _Candidate, number: int) -> bool:
        """Look at the new pictures; True if another round is to come, else what counts is kept or rejected."""
        if any(one.image is None for one in candidate.tries):
            return False
        reports = [
            self._attempt(candidate.planned, partial(self._look, one.plan, one.image))
            for one in candidate.tries
            if one.image
        ]
        looked = [(one.plan.layout, report) for one, report in zip(candidate.tries, reports, strict=True) if report]
        if len(looked) < len(candidate.tries):
            return False
        best, accepted = 0, True
        if candidate.report:
            best, accepted = rounds.best_repair((candidate.plan.layout, candidate.report), looked)
        if accepted:
            self._take(candidate, candidate.tries[best], looked[best][1], number)
        report = candidate.report
        assert report and candidate.image
        if number + 1 < self.recipe.rounds and any(failures_of(candidate.plan.layout, report)):
            return True
        item = self._item(candidate, report)
        if item.annotated or self.recipe.accept == "all":
            if kept := self._attempt(candidate.planned, partial(self._finish, candidate, item, candidate.image)):
                self.folder.keep(*kept)
        else:
            self.folder.reject(item)
        return False

    def _take(self, candidate: _Candidate, best: _Try, report: Report, number: int) -> None:
        """A new picture counts from here on."""
        candidate.plan = best.plan
        candidate.settings = best.settings
        candidate.image = best.image
        candidate.report = report
        candidate.round = number
        if best.repair and best.repair.anew:
            candidate.tried.clear()
            candidate.steps.clear()
        elif best.repair:
            candidate.steps += [step.sentence for step in best.repair.steps]

    def _look(self, plan: Plan, image: Image) -> Report:
        # one picture at a time: what is asked for on one must not change what is seen on another
        return rounds.look(self._detector, [image], plan.layout, self.recipe.min_iou)[0]

    def _finish(self, candidate: _Candidate, item: Item, image: Image) -> tuple[Item, Image]:
        """The item as it is kept, with everything that is seen on its picture."""
        if self.recipe.paint_out and self._detector:
            seed = rounds.round_seed(item.seed, self.recipe.rounds, 2**31 - AT_ONCE, AT_ONCE)
            look = partial(self._look, candidate.plan)
            item, image = paint_out(item, image, self._engine, look, candidate.settings, seed)
        return item.model_copy(update={"seen": self._everything(item, image)}), image

    def _everything(self, item: Item, image: Image) -> tuple[Detection, ...] | None:
        """What is seen on a picture of all classes that the verifier knows, or of those planned where it knows any."""
        if self._detector is None:
            return None
        names = getattr(self._detector, "categories", None) or names_to_ask_for(item.plan())
        return tuple(self._detector.detect([image], list(names), LOWEST_SCORE)[0])

    def _item(self, candidate: _Candidate, report: Report) -> Item:
        planned = candidate.planned
        every = tuple(range(len(report.verdicts)))
        in_place = tuple(verdict.instance for verdict in report.verdicts if verdict.kind in IN_PLACE)
        accepted = {"all": every, "picture": every if report.verified else (), "instance": in_place}
        return Item(
            index=planned.index,
            prompt=planned.prompt,
            seed=candidate.settings.seed,
            round=candidate.round,
            planner=candidate.plan.planner,
            notes=(*candidate.plan.notes, *candidate.steps),
            painted_with=candidate.settings.model_dump(include={"mis", "alpha"}),
            layout=layout_to_json(candidate.plan.layout),
            annotated=accepted[self.recipe.accept],
            report=report,
            score=report.mean_iou,
            usage=candidate.usage,
        )

    def _revise(self, candidate: _Candidate, number: int) -> list[_Try]:
        """What is tried next: moves for what failed, painted in their places alone, or another whole picture."""
        planned = candidate.planned
        assert candidate.report
        settings = candidate.settings
        stays = planned.given or self.recipe.scatters(planned.index)
        painted = rounds.as_painted(candidate.plan, settings.seed, settings.mis, settings.alpha)
        seed = rounds.round_seed(self.recipe.seed_of(planned.index), number, 2**31 - AT_ONCE, AT_ONCE)
        repairs: list[Repair] = []
        if hasattr(self._engine, "repaint"):
            failures = list(failures_of(painted.layout, candidate.report))
            repairs = next_repairs(painted, failures, candidate.tried, stays)
        if repairs:
            candidate.tried |= {(step.thing, step.move) for repair in repairs for step in repair.steps}
            plans = [_as_written(repair.plan) for repair in repairs]
            rows = zip(plans, repairs, strict=True)
            candidate.tries = [
                _Try(plan, self._settings(plan, seed + k), repair) for k, (plan, repair) in enumerate(rows)
            ]
            return candidate.tries
        if stays:
            plan = painted.model_copy(update={"seed": seed})
        else:
            before = self._planner.usage
            revised = rounds.revise_plan(self._planner, planned.prompt, painted, candidate.report, seed)
            candidate.usage += self._planner.usage - before
            revised = _as_written(criticise(revised, planned.prompt).plan)
            plan = rounds.with_next_seed(revised, painted, self.recipe.settings, seed)
            seed = seed if plan.seed is None else plan.seed
        anew = Repair(steps=(rounds.ANEW,), plan=plan, anew=True)
        candidate.tries = [_Try(plan, self._settings(plan, seed), anew)]
        return candidate.tries


def _as_written(plan: Plan) -> Plan:
    return plan.model_copy(update={"layout": rounds.as_written(plan.layout)})
