"""The rounds over one batch: paint, look, keep what passes, revise and paint again what does not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING

from agent.critic import criticise
from agent.dataset.folder import Failure, Folder, Item
from agent.dataset.planning import Planned, planner_of, spent, together, tried, used
from agent.dataset.recipe import Recipe
from agent.planners.plan import Plan
from agent.steps import whole
from evaluators.detectors import load_detector
from evaluators.matching import match, unchecked
from evaluators.report import Report, VerdictKind
from instdiff.engine import load_engine
from instdiff.errors import InstDiffError
from instdiff.formats import layout_from_json, layout_to_json
from instdiff.render_settings import RenderSettings
from prompts.usage import Usage

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass
class _Candidate:
    """A candidate on its way: the plan and seed of its coming picture, and the best round so far."""

    planned: Planned
    plan: Plan
    seed: int
    usage: Usage
    image: Image | None = None
    best: Item | None = None
    best_image: Image | None = None
    report: Report | None = None


class Worker:
    """Makes the pictures of batches. Planner, engine and verifier are loaded when they are needed, once.

    A batch always gives the same items: it is painted as a whole, also where some of its items are there already,
    because the pictures of a batch depend on each other in their last bits.
    """

    def __init__(self, folder: Folder, recipe: Recipe, retries: int):
        self.folder = folder
        self.recipe = recipe
        self.retries = retries
        self.settings = recipe.resolved_settings

    def run(self, batch: list[Planned]) -> Usage:
        """Decide every candidate of a batch; returns what planning anew took."""
        before = used(self._planner) if self._revises else Usage()
        self._load()
        going = []
        for planned in batch:
            if planned.plan is None:
                self._fail(planned, planned.error)
            else:
                seed = planned.plan.seed if planned.plan.seed is not None else self.recipe.seed_of(planned.index)
                going.append(_Candidate(planned, _as_written(planned.plan), seed, planned.usage))
        for number in range(self.recipe.rounds):
            self._paint(going)
            again = [one for one in going if one.image and self._looked(one, number)]
            going = [one for one in again if self._each(one, partial(self._revise, number=number + 1))]
        return spent(used(self._planner), before) if self._revises else Usage()

    def _load(self) -> None:
        """Load the models before anything is painted: one that cannot be loaded is no fault of a candidate."""
        _ = self._engine, self._detector

    @property
    def _revises(self) -> bool:
        return self.recipe.rounds > 1 and self.recipe.verifier != "none"

    @cached_property
    def _planner(self):
        return planner_of(self.recipe)

    @cached_property
    def _engine(self):
        return load_engine(self.recipe.engine)

    @cached_property
    def _detector(self):
        return None if self.recipe.verifier == "none" else load_detector(self.recipe.verifier, **self.recipe.looks)

    def _each(self, one: _Candidate, work: Callable[[_Candidate], object]) -> bool:
        """Do something for a candidate, again if a service fails; False if it cannot be done, which is written down."""
        try:
            tried(lambda: work(one), self.retries)
        except Exception as error:  # of any kind: one candidate must not take the others with it
            self._fail(
                one.planned, str(error) if isinstance(error, InstDiffError) else f"{type(error).__name__}: {error}"
            )
            return False
        return True

    def _fail(self, planned: Planned, error: str) -> None:
        self.folder.fail(Failure(index=planned.index, prompt=planned.prompt, error=error))

    def _paint(self, going: list[_Candidate]) -> None:
        """The next picture of each, those of one size and with the same settings at once; None where that fails."""
        groups: dict[tuple, list[_Candidate]] = {}
        for one in going:
            groups.setdefault((one.plan.layout.size, self._strengths(one.plan)), []).append(one)
        for (_, strengths), group in groups.items():
            settings = self.settings.model_copy(update=dict(strengths))
            try:
                self._paint_together(group, settings)
            except Exception:  # of any kind: a layout that the model cannot paint must not take the others with it
                for one in group:
                    self._paint_alone(one, settings)

    def _paint_together(self, group: list[_Candidate], settings: RenderSettings) -> None:
        images = self._engine.render_many([one.plan.layout for one in group], settings, [one.seed for one in group])
        for one, image in zip(group, images, strict=True):
            one.image = image

    def _paint_alone(self, one: _Candidate, settings: RenderSettings) -> None:
        one.image = None
        for attempt in range(self.retries + 1):
            try:
                return self._paint_together([one], settings)
            except Exception as error:  # see above
                if attempt == self.retries:
                    self._fail(one.planned, f"{type(error).__name__}: {error}")

    def _strengths(self, plan: Plan) -> tuple[tuple[str, float], ...]:
        """mis and alpha of the next picture: as the user gave them, else as the plan asks."""
        asked = {name: getattr(plan, name) for name in ("mis", "alpha") if getattr(self.recipe.settings, name) is None}
        return tuple(
            (name, getattr(self.settings, name) if asked.get(name) is None else asked[name])
            for name in ("mis", "alpha")
        )

    def _looked(self, one: _Candidate, number: int) -> bool:
        """Look at a candidate's new picture; True if it needs another round, and there is one."""
        if not self._each(one, self._look):
            return False
        item = self._item(one, number)
        if one.best is None or _rank(item) > _rank(one.best):
            one.best = item
            one.best_image = one.image
        if one.report.found < one.report.checked and number + 1 < self.recipe.rounds:
            return True
        return self._decide(one)

    def _look(self, one: _Candidate) -> None:
        layout = one.plan.layout
        threshold = self.recipe.min_iou
        if self.recipe.verifier == "none":
            one.report = unchecked(layout, threshold)
            return
        # one by one: what is asked for on one picture must not change what is seen on another
        seen = self._detector.detect([one.image], sorted({instance.name for instance in layout.instances}))[0]
        one.report = match(layout, seen, self._detector.canonical, threshold, self._detector.name)

    def _item(self, one: _Candidate, number: int) -> Item:
        report = one.report
        everything = tuple(range(len(report.verdicts)))
        found = tuple(verdict.instance for verdict in report.verdicts if verdict.kind is VerdictKind.FOUND)
        passed = {"all": everything, "picture": everything if report.verified else (), "instance": found}
        planned = one.planned
        return Item(
            index=planned.index,
            prompt=planned.prompt,
            seed=one.seed,
            round=number,
            split=self.recipe.split_of(planned.prompt),
            planner=one.plan.planner,
            notes=one.plan.notes,
            painted_with=dict(self._strengths(one.plan)),
            layout=layout_to_json(one.plan.layout),
            annotated=passed[self.recipe.accept],
            report=report,
            score=report.mean_iou,
            usage=one.usage,
        )

    def _decide(self, one: _Candidate) -> bool:
        """Keep the best round or reject the candidate; False, as it needs no further round."""
        if one.best.annotated or self.recipe.accept == "all":
            self.folder.keep(one.best, one.best_image)
        else:
            self.folder.reject(one.best)
        return False

    def _revise(self, one: _Candidate, number: int) -> None:
        """The plan of the next round; a given layout keeps its places and gets another seed."""
        prompt = one.planned.prompt
        seed = (self.recipe.seed_of(one.planned.index) + number) % 2**31
        plan = one.plan.model_copy(update={"seed": one.seed, **dict(self._strengths(one.plan))})  # as it was painted
        if one.planned.given:
            one.plan = plan.model_copy(update={"seed": None})
            one.seed = seed
            return
        before = used(self._planner)
        revised = whole(self._planner.revise(prompt, plan, one.report, seed), plan, seed)
        one.usage = together([one.usage, spent(used(self._planner), before)])
        revised = _as_written(criticise(revised, prompt).plan)
        same = (revised.layout, revised.seed, self._strengths(revised)) == (
            plan.layout,
            plan.seed,
            self._strengths(plan),
        )
        one.plan = revised
        one.seed = seed if same or revised.seed is None else revised.seed


def _rank(item: Item) -> tuple:
    """What the rounds of a candidate are ranked by; of equal ones the first stays."""
    return (bool(item.annotated), *item.report.score)


def _as_written(plan: Plan) -> Plan:
    """The plan with its layout as it is read back from a file, so that the files say exactly what is painted."""
    return plan.model_copy(update={"layout": layout_from_json(layout_to_json(plan.layout), boxes="xywh")})
