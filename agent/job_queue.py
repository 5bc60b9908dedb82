"""The queue of an outputs folder, on disk: one small file for each job, which names what is to be done with it.

``outputs/.queue/00001700000000000000-RUN.waiting`` is a job; its number is when it was put there, and the oldest comes
first. The end of the name is its state, and is changed by renaming, so that no job is ever in two states or in none.
What the file holds counts how often a worker died over it. A job that is over has no file.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal, NamedTuple, get_args

from pydantic import Field

from instdiff.errors import BadInput
from instdiff.formats.files import parse_json, read_bytes, write_bytes
from instdiff.values import Value

FOLDER = ".queue"
MUTEX = "lock"  # held for moments, by whoever reads and changes the queue
WORKER = "worker.lock"  # held as long as a worker lives
END = "end"  # asks the worker to end once its jobs are done
LOG = "worker.log"
STATUS = "worker.json"  # which process the worker is
State = Literal["working", "waiting", "held"]  # in the order of a list; a held job waits for a person's word
ORDER = get_args(State)


class Deaths(Value):
    """How often a worker died over a job: by itself, or because it was killed."""

    crashed: int = Field(default=0, ge=0)
    killed: int = Field(default=0, ge=0)


class Job(NamedTuple):
    """A job in the queue; ``number`` is when it was put there, in nanoseconds since 1970."""

    number: int
    run: str
    state: State

    @property
    def name(self) -> str:
        """The name of its file."""
        return f"{self.number:020d}-{self.run}.{self.state}"


class JobQueue:
    """The jobs of the runs in an outputs folder. All that it does is done for every process that asks the same folder.

    Args:
        out: the outputs folder. Its hidden folder ``.queue`` is made with the first job.
    """

    def __init__(self, out: Path):
        self.folder = out / FOLDER

    def jobs(self) -> list[Job]:
        """The jobs at work, then those that wait, then those that are held; of each the oldest first."""
        try:
            names = os.listdir(self.folder)
        except FileNotFoundError:
            return []
        found = [job for job in map(_job_of, names) if job]
        return sorted(found, key=lambda job: (ORDER.index(job.state), job.number))

    def find(self, run: str) -> Job | None:
        """The job of a run, if it has one that is not over."""
        return next((job for job in self.jobs() if job.run == run), None)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else changes the queue inside. Not to be nested."""
        self.folder.mkdir(exist_ok=True)
        with (self.folder / MUTEX).open("a") as mutex:
            fcntl.flock(mutex, fcntl.LOCK_EX)
            yield

    def add(self, run: str, state: State) -> Job:
        """Put a job at the end; the queue is locked by the caller.

        Raises:
            BadInput: the run has a job already.
        """
        if self.find(run):
            raise BadInput("run", f"{run} is being worked on already")
        last = max((job.number for job in self.jobs()), default=0)
        job = Job(max(time.time_ns(), last + 1), run, state)
        write_bytes(self.folder / job.name, Deaths().model_dump_json().encode())
        return job

    def move(self, job: Job, state: State) -> Job:
        """Give a job another state; the queue is locked by the caller."""
        moved = job._replace(state=state)
        os.rename(self.folder / job.name, self.folder / moved.name)
        return moved

    def remove(self, job: Job) -> bool:
        """Take a job out of the queue, whatever became of it; True if it was there."""
        try:
            os.unlink(self.folder / job.name)
        except FileNotFoundError:
            return False
        return True

    def claim(self) -> Job | None:
        """The job that is to be worked on next, which is marked as being at work; None where none waits."""
        with self.locked():
            waiting = [job for job in self.jobs() if job.state == "waiting"]
            return self.move(waiting[0], "working") if waiting else None

    def deaths(self, job: Job) -> Deaths:
        """How often a worker died over a job."""
        path = self.folder / job.name
        with suppress(BadInput):
            return Deaths.parse(parse_json(read_bytes(path), str(path)), job.name)
        return Deaths()  # spoiled: who asks has to go on

    def count_death(self, job: Job, deaths: Deaths) -> None:
        """Write down how often a worker died over a job."""
        write_bytes(self.folder / job.name, deaths.model_dump_json().encode())


def _job_of(name: str) -> Job | None:
    """The job of a file's name; None for other files."""
    number, _, rest = name.partition("-")
    run, _, state = rest.rpartition(".")
    is_number = number.isascii() and number.isdigit()
    if state not in ORDER or not is_number or not run or run.startswith("."):  # ".." is no run
        return None
    return Job(int(number), run, state)  # type: ignore[arg-type]
