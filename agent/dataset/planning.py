"""Plans for candidates, kept on the disk and made ahead of the painting."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from agent.critic.replan import settled
from agent.dataset.folder import Folder, key_of
from agent.dataset.recipe import Recipe
from agent.dataset.sources import Source
from agent.planners import Planner, load_planner
from agent.planners.plan import Plan
from agent.runs import write_json
from instdiff.errors import InstDiffError, ServiceError
from instdiff.formats.files import parse_json, read_bytes
from instdiff.layout import Layout
from instdiff.values import Value
from prompts.usage import Usage

MAX_FAILURES = 3  # so many candidates in a row that a service failed for end the work: it can be gone on with later
WAIT_S = 0.5  # before the first new try, twice as long before each next one
T = TypeVar("T")


class Planned(Value):
    """A candidate with its plan, or with the reason why there is none. ``given``: the layout is kept as it is in all
    rounds.
    """

    index: int
    prompt: str
    given: bool = False
    plan: Plan | None = None
    error: str = ""
    usage: Usage = Usage()


def tried(work: Callable[[], T], retries: int) -> T:
    """What ``work`` gives; where a service fails, it is tried again ``retries`` times.

    Raises:
        ServiceError: the last one.
    """
    for attempt in range(retries + 1):
        try:
            return work()
        except ServiceError:
            if attempt == retries:
                raise
            time.sleep(WAIT_S * 2**attempt)
    raise AssertionError("there is at least one try")


def planner_of(recipe: Recipe) -> Planner:
    """The recipe's planner; whoever works at the same time as another has one of its own."""
    options = {"planning": recipe.planning} if recipe.planner != "offline" else {}
    return load_planner(recipe.planner, base_url=recipe.planner_url, cached=True, **options)


def used(planner: Planner | None) -> Usage:
    """What a planner was asked for so far."""
    return planner.usage if planner else Usage()


def spent(after: Usage, before: Usage = Usage()) -> Usage:  # noqa: B008 (immutable)
    """The difference."""
    usd = None if after.usd is None or before.usd is None else after.usd - before.usd
    counts = {
        name: getattr(after, name) - getattr(before, name) for name in ("requests", "prompt_tokens", "answer_tokens")
    }
    return Usage(**counts, usd=usd, estimated=after.estimated)


def together(some: Iterable[Usage]) -> Usage:
    """The sum."""
    total = Usage()
    for one in some:
        usd = None if total.usd is None or one.usd is None else total.usd + one.usd
        counts = {
            name: getattr(total, name) + getattr(one, name) for name in ("requests", "prompt_tokens", "answer_tokens")
        }
        total = Usage(**counts, usd=usd, estimated=total.estimated or one.estimated)
    return total


class Planning:
    """Plans candidates with one planner; what was planned once is read from the folder.

    Args:
        retries: how often a candidate is tried again after a service failed.
    """

    def __init__(self, folder: Folder, recipe: Recipe, source: Source, planner: Planner | None, retries: int):
        self.folder = folder
        self.recipe = recipe
        self.source = source
        self.planner = planner
        self.retries = retries
        self.failures = 0
        self.counted = used(planner)

    def take(self) -> Usage:
        """What the planner was asked for since the last call."""
        now = used(self.planner)
        taken = spent(now, self.counted)
        self.counted = now
        return taken

    def batch(self, number: int) -> list[Planned]:
        """All candidates of a batch.

        Raises:
            ServiceError: the service failed for several candidates in a row.
        """
        first = number * self.recipe.batch
        return [self._candidate(index) for index in range(first, first + self.recipe.batch)]

    def ahead(self, numbers: Iterable[int], batches: int = 1) -> Iterator[tuple[int, list[Planned]]]:
        """Batch after batch; while the caller works on one, the next ``batches`` are planned in a thread."""
        numbers = iter(numbers)
        waiting = []
        with ThreadPoolExecutor(1) as thread:

            def begin() -> None:
                number = next(numbers, None)
                if number is not None:
                    waiting.append((number, thread.submit(self.batch, number)))

            for _ in range(batches + 1):
                begin()
            try:
                while waiting:
                    number, planned = waiting.pop(0)
                    result = planned.result()
                    yield number, result
                    begin()
            finally:
                _cancel(waiting)

    def _candidate(self, index: int) -> Planned:
        wanted = self.source.candidate(index, self.recipe.seed)
        path = self.folder.plans / f"{key_of(index)}.json"
        if path.exists():
            return Planned.parse(parse_json(read_bytes(path), str(path)), str(path))
        if isinstance(wanted, Layout):
            layout = wanted.resized(*self.recipe.size) if self.recipe.size else wanted
            return Planned(index=index, prompt=layout.caption, given=True, plan=Plan(layout=layout, planner="none"))
        before = used(self.planner)
        try:
            plan = tried(lambda: self._plan(wanted, index), self.retries)
        except InstDiffError as error:
            self.failures = self.failures + 1 if isinstance(error, ServiceError) else 0
            if self.failures == MAX_FAILURES:
                raise ServiceError(
                    f"the planner failed for {self.failures} prompts in a row; the last: {error}"
                ) from error
            return Planned(index=index, prompt=wanted, error=str(error), usage=spent(used(self.planner), before))
        self.failures = 0
        planned = Planned(index=index, prompt=wanted, plan=plan, usage=spent(used(self.planner), before))
        write_json(path, planned.model_dump(mode="json"))
        return planned

    def _plan(self, prompt: str, index: int) -> Plan:
        seed = self.recipe.seed_of(index)
        return settled(self.planner.plan(prompt, self.recipe.size, seed), prompt, self.planner, seed).plan


def _cancel(waiting: list[tuple[int, Future]]) -> None:
    for _, planned in waiting:
        planned.cancel()
