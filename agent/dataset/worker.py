"""The rounds over one batch: paint, look, keep what passes, revise and paint again what does not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, TypeVar

from tenacity import Retrying, stop_after_attempt

from agent import rounds
from agent.critic.critic import criticise
from agent.dataset.folder import FailedCandidate, Folder, Item
from agent.dataset.planning import PlannedCandidate, planner_of, service_retries
from agent.dataset.recipe import Recipe
from agent.planners.plan import Plan, Planner
from evaluators.detectors import Detector, load_detector
from evaluators.report import Report, VerdictKind
from instdiff.engine import Engine, engine_info, load_engine
from instdiff.errors import InstDiffError
from instdiff.formats import layout_to_json
from instdiff.render_settings import RenderSettings, resolve_settings
from prompts.usage import Usage

if TYPE_CHECKING:
    from PIL.Image import Image

T = TypeVar("T")


@dataclass
class _Candidate:
    """A candidate on its way: plan and settings of its coming picture, the new picture, and the best round so far."""

    planned: PlannedCandidate
    plan: Plan
    settings: RenderSettings  # nothing is None
    usage: Usage
    image: Image | None = None
    best: tuple[Item, Image] | None = None


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
            failed = [(candidate, report) for candidate in going if (report := self._judge(candidate, number))]
            going = []
            for candidate, report in failed:
                if self._attempt(candidate.planned, partial(self._revise, candidate, report, number + 1)):
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
    def _engine(self) -> Engine:
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
        return _Candidate(planned, plan, self._settings(plan, seed), planned.usage)

    def _settings(self, plan: Plan, seed: int) -> RenderSettings:
        return resolve_settings(rounds.next_settings(self.recipe.settings, plan, seed), self.defaults)

    def _paint(self, going: list[_Candidate]) -> None:
        """The next picture of each, those of one size and with the same settings at once; None where that fails."""
        groups: dict[tuple, list[_Candidate]] = {}
        for candidate in going:
            key = (candidate.plan.layout.size, candidate.settings.mis, candidate.settings.alpha)
            groups.setdefault(key, []).append(candidate)
        for group in groups.values():
            try:
                self._paint_together(group)
            except Exception:  # of any kind: a layout that the model cannot paint must not take the others with it
                for candidate in group:
                    candidate.image = None
                    again = Retrying(stop=stop_after_attempt(self.retries + 1), reraise=True)
                    self._attempt(candidate.planned, partial(self._paint_together, [candidate]), again)

    def _paint_together(self, group: list[_Candidate]) -> None:
        layouts = [candidate.plan.layout for candidate in group]
        seeds = [candidate.settings.seed for candidate in group]
        images = self._engine.render_many(layouts, group[0].settings, seeds)
        for candidate, image in zip(group, images, strict=True):
            candidate.image = image

    def _judge(self, candidate: _Candidate, number: int) -> Report | None:
        """Look at the new picture; the report if another round is to come, else the best round is kept or rejected."""
        image = candidate.image
        report = image and self._attempt(candidate.planned, partial(self._look, candidate.plan, image))
        if not image or not report:
            return None
        item = self._item(candidate, report, number)
        if candidate.best is None or _rank(item) > _rank(candidate.best[0]):
            candidate.best = (item, image)
        if not rounds.is_enough(report, number + 1, self.recipe.rounds):
            return report
        best, best_image = candidate.best
        if best.annotated or self.recipe.accept == "all":
            self.folder.keep(best, best_image)
        else:
            self.folder.reject(best)
        return None

    def _look(self, plan: Plan, image: Image) -> Report:
        # one picture at a time: what is asked for on one must not change what is seen on another
        return rounds.look(self._detector, [image], plan.layout, self.recipe.min_iou)[0]

    def _item(self, candidate: _Candidate, report: Report, number: int) -> Item:
        planned = candidate.planned
        every = tuple(range(len(report.verdicts)))
        found_instances = tuple(verdict.instance for verdict in report.verdicts if verdict.kind is VerdictKind.FOUND)
        accepted = {"all": every, "picture": every if report.verified else (), "instance": found_instances}
        return Item(
            index=planned.index,
            prompt=planned.prompt,
            seed=candidate.settings.seed,
            round=number,
            split=self.recipe.split_of(planned.prompt),
            planner=candidate.plan.planner,
            notes=candidate.plan.notes,
            painted_with=candidate.settings.model_dump(include={"mis", "alpha"}),
            layout=layout_to_json(candidate.plan.layout),
            annotated=accepted[self.recipe.accept],
            report=report,
            score=report.mean_iou,
            usage=candidate.usage,
        )

    def _revise(self, candidate: _Candidate, report: Report, number: int) -> Plan:
        """The plan of the next round; a given layout keeps its places and gets another seed."""
        planned = candidate.planned
        seed = rounds.round_seed(self.recipe.seed_of(planned.index), number, 2**31)
        settings = candidate.settings
        painted = rounds.as_painted(candidate.plan, settings.seed, settings.mis, settings.alpha)
        if planned.given:
            plan = painted
        else:
            before = self._planner.usage
            revised = rounds.revise_plan(self._planner, planned.prompt, painted, report, seed)
            candidate.usage += self._planner.usage - before
            revised = _as_written(criticise(revised, planned.prompt).plan)
            plan = rounds.with_next_seed(revised, painted, self.recipe.settings, seed)
            seed = seed if plan.seed is None else plan.seed
        candidate.plan = plan
        candidate.settings = self._settings(plan, seed)
        return plan


def _rank(item: Item) -> tuple:
    """What the rounds of a candidate are ranked by; of equal ones the first stays."""
    return (bool(item.annotated), *item.report.score)


def _as_written(plan: Plan) -> Plan:
    return plan.model_copy(update={"layout": rounds.as_written(plan.layout)})
