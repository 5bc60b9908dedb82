"""A run that is worked on by another process, which tells the run's folder what happens.

Whoever starts a job need not stay: the job waits in the queue of the outputs folder (see `agent.job_queue`), and a
worker takes it from there (see `agent.worker`). The folder ``job`` of the run holds ``events.jsonl`` (one event a
line), ``preview.png`` (the picture as far as it is), ``log.txt`` (what was printed), ``answer.json`` (what a person
said of the plan) and ``stop`` (how often somebody asked for a stop). Any number of processes may look on.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, NamedTuple

import psutil

from agent.events import Event, Starting, Stopped, event_from_json, event_to_json
from agent.job_queue import END, FOLDER, LOG, STATUS, WORKER, Job, JobQueue, State
from agent.runs import Answer, Run
from agent.worker.expected import is_long
from instdiff.errors import BadInput
from instdiff.formats.fields import mapping
from instdiff.formats.files import parse_json, read_bytes, write_bytes

EVENTS = "events.jsonl"
PREVIEW = "preview.png"
JOB_LOG = "log.txt"
ANSWER = "answer.json"
STOP = "stop"
REVIVE_EVERY_S = 10.0  # a worker that cannot start is not started in a loop by who looks on


def job_folder(run: Path) -> Path:
    """Where the job of a run writes."""
    return run / "job"


def start(run: Path, answer: Answer | None = None) -> None:
    """Put a run into the queue, to be worked on or gone on with, and see that there is a worker.

    A run that will take long waits for `release` before it is begun.

    Raises:
        BadInput: the run is in the queue already, or nothing can be written there.
    """
    folder = job_folder(run)
    queue = JobQueue(run.parent)
    is_new = not answer and not any(isinstance(event, Starting) for event in events(run))
    state: State = "held" if is_new and is_long(queue, Run.load(run)) else "waiting"
    try:
        folder.mkdir(exist_ok=True)
        with queue.locked():
            if queue.find(run.name):
                raise BadInput("run", f"{run.name} is being worked on already")
            (folder / STOP).unlink(missing_ok=True)
            (folder / ANSWER).unlink(missing_ok=True)
            if answer:
                write_bytes(folder / ANSWER, answer.model_dump_json().encode())
            queue.add(run.name, state)
    except OSError as error:
        raise BadInput("run", f"{run.name} cannot be put into the queue: {error.strerror or error}") from error
    if state == "waiting":
        wake(run.parent)


def release(run: Path) -> None:
    """Let a job go on that was held because it takes long."""
    queue = JobQueue(run.parent)
    with queue.locked():
        job = queue.find(run.name)
        if job and job.state == "held":
            queue.move(job, "waiting")
    wake(run.parent)


def is_running(run: Path) -> bool:
    """True while the run is in the queue or worked on."""
    queue = JobQueue(run.parent)
    if queue.find(run.name):
        return True
    if not queue.folder.is_dir():
        return False
    with queue.locked():  # a name may be missed in the moment in which it changes
        return queue.find(run.name) is not None


def stop(run: Path) -> None:
    """Take the job of a run out of the queue, or ask it to stop; a second call ends it at once.

    The run can be gone on with.
    """
    queue = JobQueue(run.parent)
    if not queue.folder.is_dir():
        return
    with queue.locked():
        job = queue.find(run.name)
        if not job:
            return
        if job.state == "working" and _is_alive(queue):
            asked = job_folder(run) / STOP
            write_bytes(asked, str(_count(asked) + 1).encode())
        elif queue.remove(job):
            tell(job_folder(run), Stopped())


def stops(run: Path) -> int:
    """How often somebody asked the job of a run to stop."""
    return _count(job_folder(run) / STOP)


def _count(path: Path) -> int:
    with contextlib.suppress(OSError, ValueError):
        return int(path.read_text())
    return 0


# --- the worker of an outputs folder


def wake(out: Path) -> None:
    """See that the outputs folder has a worker: a process that outlives this one."""
    queue = JobQueue(out)
    with queue.locked():
        _wake(queue)


def revive(out: Path) -> None:
    """See that jobs which wait are worked on: start a worker where the last one is gone, but not in a loop."""
    queue = JobQueue(out)
    if not any(job.state in ("working", "waiting") for job in queue.jobs()):
        return
    with queue.locked():
        started = _changed(queue.folder / WORKER)
        if time.time() - started > REVIVE_EVERY_S:
            _wake(queue)


def is_awake(out: Path) -> bool:
    """True if the outputs folder has a worker."""
    queue = JobQueue(out)
    if not queue.folder.is_dir():
        return False
    with queue.locked():
        return _is_alive(queue)


class WorkerStatus(NamedTuple):
    """The worker of an outputs folder: bytes of memory, and the engine whose models it holds; None while it loads."""

    memory: int
    engine: str | None


def worker_status(out: Path) -> WorkerStatus | None:
    """What the worker of an outputs folder is at; None where there is none, or it has just begun."""
    path = out / FOLDER / STATUS
    if not is_awake(out) or not path.exists():
        return None
    try:
        about = mapping(parse_json(read_bytes(path), str(path)), str(path))
        return WorkerStatus(psutil.Process(about["pid"]).memory_info().rss, about["engine"])
    except (BadInput, KeyError, TypeError, ValueError, OverflowError, psutil.Error):  # it is gone, or just begins
        return None


def dismiss(out: Path) -> None:
    """Ask the worker of an outputs folder to end once its jobs are done."""
    queue = JobQueue(out)
    if queue.folder.is_dir():
        with queue.locked():
            if _is_alive(queue):
                (queue.folder / END).touch()


def _wake(queue: JobQueue) -> None:
    """Start a worker if there is none; the queue is locked by the caller.

    The lock belongs to the open file, which the process inherits: it is held from here until the worker is gone.
    """
    with (queue.folder / WORKER).open("a") as lock, (queue.folder / LOG).open("ab") as log:
        if not _take(lock):
            return
        os.utime(queue.folder / WORKER)
        (queue.folder / END).unlink(missing_ok=True)
        fd = str(lock.fileno())
        command = [sys.executable, "-m", "agent.worker", str(queue.folder.parent.resolve()), "--lock", fd]
        subprocess.Popen(
            command,
            cwd=Path(__file__).parents[1],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(lock.fileno(),),
            start_new_session=True,
        )


def _is_alive(queue: JobQueue) -> bool:
    """True if a worker holds its lock; the queue is locked by the caller, so that no two look at the same moment."""
    with (queue.folder / WORKER).open("a") as lock:
        return not _take(lock)


def _take(lock: IO) -> bool:
    """Take the lock, by flock itself: a lock of the package filelock cannot be handed on to another process."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _changed(path: Path) -> float:
    """When a file was last changed, seconds since 1970; 0 where there is none."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


# --- what happened


def events(run: Path) -> list[Event]:
    """What happened in the jobs of a run, the oldest first; a line that is damaged or being written is left out."""
    try:
        lines = (job_folder(run) / EVENTS).read_text(encoding="utf-8", errors="replace").split("\n")[:-1]
    except OSError:
        return []
    happened = []
    for line in lines:
        with contextlib.suppress(BadInput):
            happened.append(event_from_json(line))
    return happened


def tell(folder: Path, event: Event) -> None:
    """Add an event, in one piece."""
    file = os.open(folder / EVENTS, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(file, f"{event_to_json(event)}\n".encode())
    finally:
        os.close(file)


def place_in_queue(run: Path) -> tuple[Job, int] | None:
    """The job of a run, and how many others are worked on before it; None if it is not in the queue."""
    before = 0
    for job in JobQueue(run.parent).jobs():
        if job.run == run.name:
            return job, before
        before += job.state != "held"
    return None
