"""How far the work is: kept, the share that passes, pictures a second, what the planner costs, and the time left."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from agent.dataset.folder import FAILED, ITEMS, Folder
from agent.dataset.planning import together
from prompts.usage import Usage

LINE_EVERY_S = 10.0  # where no terminal shows a bar


class Progress:
    """What is known of the work since it was started here."""

    def __init__(self, folder: Folder, count: int):
        self.folder = folder
        self.count = count
        self.usage = Usage()
        self.started = time.monotonic()
        self.before = self._kept()

    def add(self, usage: Usage) -> None:
        """A batch is done; this is what its planning took."""
        self.usage = together([self.usage, usage])

    def line(self) -> str:
        """ "12 of 200 kept, 31% of 39 accepted, 1.20 kept a second, $0.02, 3:10 left" """
        decided = list(self.folder.decided().values())
        kept = decided.count(ITEMS)
        tried = len(decided)
        seconds = time.monotonic() - self.started
        pace = max(kept - self.before, 0) / seconds
        parts = [
            f"{min(kept, self.count)} of {self.count} kept",
            f"{kept / max(tried, 1):.0%} of {tried} accepted",
            f"{pace:.2f} kept a second",
        ]
        if failed := decided.count(FAILED):
            parts.append(f"{failed} failed")
        if self.usage.requests:
            parts.append(f"{self.usage.tokens} tokens" + ("" if self.usage.usd is None else f", ${self.usage.usd:.4f}"))
        left = (self.count - kept) / pace if pace else None
        return ", ".join([*parts, "time left unknown" if left is None else f"{_clock(left)} left"])

    @property
    def done(self) -> int:
        return min(self._kept(), self.count)

    def _kept(self) -> int:
        return list(self.folder.decided().values()).count(ITEMS)


@contextmanager
def shown(folder: Folder, count: int) -> Iterator:
    """A function to call after each batch; on stderr is a bar, or a line every ten seconds where that is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bars

    progress = Progress(folder, count)
    console = Console(stderr=True)
    last = time.monotonic()
    with Bars(
        TextColumn("{task.description}"), BarColumn(24), console=console, disable=not console.is_terminal
    ) as bars:
        task = bars.add_task("loading", total=count)

        def told(usage: Usage) -> None:
            nonlocal last
            progress.add(usage)
            if console.is_terminal:
                bars.update(task, description=progress.line(), completed=progress.done)
            elif time.monotonic() - last > LINE_EVERY_S:
                print(progress.line(), file=sys.stderr, flush=True)
                last = time.monotonic()

        yield told
        bars.update(task, description=progress.line(), completed=progress.done)
    if not console.is_terminal:
        print(progress.line(), file=sys.stderr, flush=True)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(max(seconds, 0)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
