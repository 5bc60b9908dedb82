"""All batches of a dataset, one after the other in this process, and what every way of making one shares."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

from agent.dataset.folder import FAILED, ITEMS, Folder, items_before_a_gap
from agent.dataset.planning import Planning
from agent.dataset.quotas import Quota
from agent.dataset.recipe import Recipe
from agent.dataset.sources import Source
from agent.dataset.worker import Worker
from prompts.usage import Usage

if TYPE_CHECKING:
    from rich.table import Table

LINE_EVERY_S = 10.0  # where no terminal shows a bar
ROWS = 20  # of the table of classes

UsageCallback = Callable[[Usage], None]  # called after each batch, with what its planning took


@dataclass(frozen=True)
class Order:
    """What is asked for.

    Args:
        count: so many items.
        tries: at most so many candidates for each of them.
        retries: how often something is tried again that a service (or a worker's death) prevented.
        quota: what is wanted of each class; then ``count`` and ``tries`` are not looked at.
    """

    folder: Folder
    recipe: Recipe
    source: Source
    count: int
    tries: float = 4.0
    retries: int = 2
    quota: Quota | None = None

    @property
    def batches(self) -> int:
        """How many batches there are at most. Each is whole, so that it is the same for every count."""
        if self.quota:
            return self.quota.batches
        return ceil(self.count * max(self.tries, 1.0) / self.recipe.batch)

    def planning(self) -> Planning:
        return Planning(self.folder, self.recipe, self.source, self.retries)

    def needs(self, number: int) -> bool:
        """False if the dataset is there, or the items before a batch make it up, whatever else is still being made."""
        if self.quota:
            return self.quota.needs(number)
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
                if self.quota:
                    continue  # other cells may lack something
                return
            decided = self.folder.decided()
            if any(index not in decided for index in range(number * size, (number + 1) * size)):
                yield number


def make(order: Order, on_usage: UsageCallback = lambda usage: None, first: int = 0, step: int = 1) -> None:
    """Make the batches in this process; the next one is planned meanwhile.

    Raises:
        ServiceError: the planner failed for several candidates in a row, or a model cannot be loaded.
    """
    worker = Worker(order.folder, order.recipe, order.retries)
    planning = order.planning()
    for number, batch in planning.ahead(order.to_do(first, step)):
        if not order.needs(number):
            continue  # what was planned meanwhile has become needless
        revising = worker.run(batch)
        on_usage(planning.take_usage() + revising)


class MakingProgress:
    """How far the work is since its start: kept, share that passes, items a second, planner's cost, time left."""

    def __init__(self, folder: Folder, count: int, quota: Quota | None = None):
        self.folder = folder
        self.quota = quota
        self.count = quota.number * len(quota.cells) if quota else count
        self.usage = Usage()
        self.started = time.monotonic()
        self.kept_before = self._done()

    def line(self) -> str:
        """ "12 of 200 kept, 31% of 39 accepted, 1.20 kept a second, $0.02, 3:10 left" """
        decided = list(self.folder.decided().values())
        kept = decided.count(ITEMS)
        items = self._done()
        seconds = time.monotonic() - self.started
        pace = max(items - self.kept_before, 0) / seconds
        accepted = f"{kept / max(len(decided), 1):.0%} of {len(decided)} accepted"
        what = "things" if self.quota else "kept"
        parts = [f"{min(items, self.count)} of {self.count} {what}", accepted, f"{pace:.2f} {what} a second"]
        if failed := decided.count(FAILED):
            parts.append(f"{failed} failed")
        if self.usage.requests:
            parts.append(f"{self.usage.tokens} tokens" + ("" if self.usage.usd is None else f", ${self.usage.usd:.4f}"))
        parts.append(f"{_clock((self.count - items) / pace)} left" if pace else "time left unknown")
        return ", ".join(parts)

    @property
    def done(self) -> int:
        return min(self._done(), self.count)

    def table(self) -> Table | None:
        """The cells of a quota that lack most, with what was planned, painted and passed; None without a quota."""
        from rich.table import Table

        if self.quota is None:
            return None
        table = Table("class", "planned", "painted", "passed", "wanted")
        rows = [(self.quota.counts(cell), str(cell)) for cell in self.quota.cells]
        lacking = [row for row in rows if row[0].passed < self.quota.number]
        for counts, name in sorted(lacking, key=lambda row: (row[0].passed, -row[0].planned))[:ROWS]:
            table.add_row(name, *map(str, (counts.planned, counts.painted, counts.passed, self.quota.number)))
        return table

    def _done(self) -> int:
        return self.quota.done if self.quota else list(self.folder.decided().values()).count(ITEMS)


@contextmanager
def show_progress(folder: Folder, count: int, quota: Quota | None = None) -> Iterator[UsageCallback]:
    """A function to call after each batch; stderr shows a bar, or a line every ten seconds where it is no terminal.

    Of a quota a terminal shows a table, too: what the classes lack.
    """
    from rich.console import Console, Group
    from rich.live import Live
    from rich.progress import BarColumn, Progress, TextColumn

    progress = MakingProgress(folder, count, quota)
    console = Console(stderr=True)
    last = time.monotonic()
    bars = Progress(TextColumn("{task.description}"), BarColumn(24), console=console)
    task = bars.add_task("loading", total=progress.count)

    def shown() -> Group:
        table = progress.table()
        return Group(table, bars) if table else Group(bars)

    with Live(bars, console=console) if console.is_terminal else nullcontext() as live:

        def on_usage(usage: Usage) -> None:
            nonlocal last
            progress.usage += usage
            if live:
                bars.update(task, description=progress.line(), completed=progress.done)
                live.update(shown())
            elif time.monotonic() - last > LINE_EVERY_S:
                print(progress.line(), file=sys.stderr, flush=True)
                last = time.monotonic()

        yield on_usage
        if live:
            bars.update(task, description=progress.line(), completed=progress.done)
            live.update(shown())
    if not console.is_terminal:
        print(progress.line(), file=sys.stderr, flush=True)


def _clock(seconds: float) -> str:
    """ "3:10", or "1:03:10" """
    minutes, seconds = divmod(round(max(seconds, 0)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
