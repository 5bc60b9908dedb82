"""Plans for candidates, kept on the disk and made ahead of the painting."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from random import Random
from typing import TYPE_CHECKING

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from agent.critic.critic import criticise_and_replan
from agent.dataset.folder import Folder, key_of
from agent.dataset.quotas import QuotaScenes
from agent.dataset.recipe import Recipe
from agent.dataset.scattering import scatter
from agent.planners import load_planner
from agent.planners.plan import Plan, Planner
from agent.runs import write_json
from instdiff.engine import engine_info
from instdiff.errors import MAX_FAILURES, InstDiffError, ServiceError
from instdiff.formats.files import parse_json, read_bytes
from instdiff.layout import Layout
from instdiff.values import Value
from prompts.usage import Usage

if TYPE_CHECKING:
    from agent.dataset.sources import Source

WAIT_S = 0.5  # before the first new try, twice as long before each next one


class PlannedCandidate(Value):
    """A candidate with its plan, or with the reason why there is none; a ``given`` layout is kept in all rounds."""

    index: int
    prompt: str
    given: bool = False
    plan: Plan | None = None
    error: str = ""
    usage: Usage = Usage()


def service_retries(retries: int) -> Retrying:
    """Calls a function again, ``retries`` times at most, where a service fails; the last error is raised."""
    failed = retry_if_exception_type(ServiceError)
    wait = wait_exponential(WAIT_S)
    return Retrying(retry=failed, stop=stop_after_attempt(retries + 1), wait=wait, reraise=True)


def planner_of(recipe: Recipe) -> Planner:
    """The recipe's planner; whoever works at the same time as another has one of its own."""
    return load_planner(recipe.planner, cached=True, base_url=recipe.planner_url, planning=recipe.planning)


class Planning:
    """Plans candidates with one planner; what was planned once is read from the folder.

    Args:
        retries: how often a candidate is tried again after a service failed.
    """

    def __init__(self, folder: Folder, recipe: Recipe, source: Source, retries: int):
        self.folder = folder
        self.recipe = recipe
        self.source = source
        self.retries = retries
        self.failures = 0
        self._used = Usage()
        self._taken = Usage()

    @cached_property
    def planner(self) -> Planner:
        return planner_of(self.recipe)

    def take_usage(self) -> Usage:
        """What the planner was asked for since the last call."""
        before = self._taken
        self._taken = self._used
        return self._taken - before

    def batch(self, number: int) -> list[PlannedCandidate]:
        """All candidates of a batch. Raises ServiceError where the service failed for several in a row."""
        first = number * self.recipe.batch
        return [self._candidate(index) for index in range(first, first + self.recipe.batch)]

    def ahead(self, numbers: Iterable[int], batches: int = 1) -> Iterator[tuple[int, list[PlannedCandidate]]]:
        """Batch after batch; while the caller works on one, the next ``batches`` are planned in a thread."""
        numbers = iter(numbers)
        waiting: list[tuple[int, Future[list[PlannedCandidate]]]] = []
        with ThreadPoolExecutor(1) as thread:

            def begin() -> None:
                number = next(numbers, None)
                if number is not None:
                    waiting.append((number, thread.submit(self.batch, number)))

            for _ in range(batches + 1):
                begin()
            try:
                while waiting:
                    number, future = waiting.pop(0)
                    batch = future.result()
                    yield number, batch
                    begin()
            finally:
                for _, future in waiting:
                    future.cancel()

    def _candidate(self, index: int) -> PlannedCandidate:
        wanted = self.source.candidate(index, self.recipe.seed)
        path = self.folder.plans / f"{key_of(index)}.json"
        if path.exists():
            return PlannedCandidate.parse(parse_json(read_bytes(path), str(path)), str(path))
        if isinstance(wanted, Layout):
            layout = wanted.with_size(*self.recipe.size) if self.recipe.size else wanted
            plan = Plan(layout=layout, planner="none")
            candidate = PlannedCandidate(index=index, prompt=layout.caption, given=True, plan=plan)
        else:
            candidate = self._plan(wanted, index)
            self._used += candidate.usage
        if candidate.plan and isinstance(self.source, QuotaScenes):
            sized = self.source.arrange(candidate.plan, index, self.recipe.seed)
            candidate = candidate.model_copy(update={"plan": sized})
        if candidate.plan and self.recipe.scatters(index):
            scattered = scatter(candidate.plan, Random(f"{self.recipe.seed} places {index}"))
            candidate = candidate.model_copy(update={"plan": scattered})
        if candidate.plan:
            write_json(path, candidate.model_dump(mode="json"))
        return candidate

    def _plan(self, prompt: str, index: int) -> PlannedCandidate:
        """Ask the planner, again where its service fails."""
        size = self.recipe.size or engine_info(self.recipe.engine).native_size
        seed = self.recipe.seed_of(index)
        before = self.planner.usage

        def ask() -> Plan:
            return criticise_and_replan(self.planner.plan(prompt, size, seed), prompt, self.planner, seed).plan

        try:
            plan = service_retries(self.retries)(ask)
        except InstDiffError as error:
            self.failures = self.failures + 1 if isinstance(error, ServiceError) else 0
            if self.failures == MAX_FAILURES:
                reason = f"the planner failed for {self.failures} prompts in a row; the last: {error}"
                raise ServiceError(reason) from error
            usage = self.planner.usage - before
            return PlannedCandidate(index=index, prompt=prompt, error=str(error), usage=usage)
        self.failures = 0
        return PlannedCandidate(index=index, prompt=prompt, plan=plan, usage=self.planner.usage - before)
