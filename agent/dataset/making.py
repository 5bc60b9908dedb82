"""All batches of a dataset, one after the other in this process, and what every way of making one shares."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import ceil

from agent.dataset.folder import ITEMS, Folder, items_before_a_gap
from agent.dataset.planning import Planning, planner_of, together
from agent.dataset.recipe import Recipe
from agent.dataset.sources import Layouts, Source
from agent.dataset.worker import Worker
from prompts.usage import Usage


@dataclass(frozen=True)
class Order:
    """What is asked for.

    Args:
        count: so many items.
        tries: at most so many candidates for each of them.
        retries: how often something is tried again that a service (or a worker's death) prevented.
    """

    folder: Folder
    recipe: Recipe
    source: Source
    count: int
    tries: float = 4.0
    retries: int = 2

    @property
    def batches(self) -> int:
        """How many batches there are at most. Each is whole, so that it is the same for every count."""
        return ceil(self.count * max(self.tries, 1.0) / self.recipe.batch)

    def planning(self) -> Planning:
        planner = None if isinstance(self.source, Layouts) else planner_of(self.recipe)
        return Planning(self.folder, self.recipe, self.source, planner, self.retries)

    def worker(self) -> Worker:
        return Worker(self.folder, self.recipe, self.retries)

    def needs(self, number: int) -> bool:
        """False if the dataset is there, or the items before a batch make it up, whatever else is still being made."""
        first = number * self.recipe.batch
        decided = self.folder.decided()
        before = sum(became == ITEMS and index < first for index, became in decided.items())
        return max(before, len(items_before_a_gap(decided))) < self.count

    def is_done(self) -> bool:
        """True if no batch is left to make."""
        return next(self.to_do(), None) is None

    def to_do(self, first: int = 0, step: int = 1) -> Iterator[int]:
        """Numbers of batches that are not done, as long as they are needed; every ``step``-th from ``first`` on."""
        size = self.recipe.batch
        for number in range(first, self.batches, step):
            if not self.needs(number):
                return
            decided = self.folder.decided()
            if any(index not in decided for index in range(number * size, (number + 1) * size)):
                yield number


Told = Callable[[Usage], None]  # called after each batch, with what its planning took


def make(order: Order, told: Told = lambda usage: None, first: int = 0, step: int = 1) -> None:
    """Make the batches in this process; the next one is planned meanwhile.

    Raises:
        ServiceError: the planner failed for several candidates in a row, or a model cannot be loaded.
    """
    worker = order.worker()
    planning = order.planning()
    for number, planned in planning.ahead(order.to_do(first, step)):
        if not order.needs(number):
            return
        revising = worker.run(planned)
        told(together([planning.take(), revising]))
