"""``python -m agent.job RUN``: work on a run in a process of its own, which tells the run's folder what happens.

Whoever starts a job need not stay: the folder ``job`` of the run holds ``events.jsonl`` (one event a line),
``preview.png`` (the picture as far as it is), ``log.txt`` (what the process printed) and ``lock``, which the operating
system holds as long as the process lives. Any number of processes may look on.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

from agent.events import Event, Failed, PreviewReady, Starting, Stopped, event_from_json, event_to_json
from agent.runs import Answer
from instdiff.cli import DONE, Parser, exit_code
from instdiff.errors import BadInput, InstDiffError, printable
from instdiff.formats import whole_file
from instdiff.formats.files import parse_json, read_bytes, write_bytes

EVENTS = "events.jsonl"
PREVIEW = "preview.png"
LOG = "log.txt"
LOCK = "lock"
ANSWER = "answer.json"
PREVIEW_EVERY = 3  # steps


def job_folder(run: Path) -> Path:
    """Where the job of a run writes."""
    return run / "job"


def start(run: Path, answer: Answer | None = None) -> None:
    """Begin to work on a run, or go on with it, in a process that outlives this one.

    Raises:
        BadInput: a job works on the run already.
    """
    folder = job_folder(run)
    folder.mkdir(exist_ok=True)
    with (folder / LOCK).open("a+") as lock, (folder / LOG).open("ab") as log:
        _hold(lock, run.name)
        command = [sys.executable, "-m", "agent.job", str(run.resolve())]
        if answer:
            write_bytes(folder / ANSWER, answer.model_dump_json().encode())
            command += ["--answer", str((folder / ANSWER).resolve())]
        tell(folder, Starting())
        root = Path(__file__).parents[1]
        # The lock belongs to the open file, which the process inherits: it is held from here until the process is gone.
        fds = (lock.fileno(),)
        process = subprocess.Popen(
            command, cwd=root, stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=fds, start_new_session=True
        )
        lock.truncate(0)
        lock.write(str(process.pid))


def _hold(lock: IO[str], name: str) -> None:
    """Take the lock; who only looks on holds it for a moment, so that one refusal says nothing.

    By flock itself: a lock of the package filelock cannot be handed on to another process.
    """
    for _attempt in range(20):
        try:
            return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.01)
    raise BadInput("run", f"{name} is being worked on already")


def is_running(run: Path) -> bool:
    """True while a job works on the run."""
    try:
        with (job_folder(run) / LOCK).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # no job has ever been started
        return False
    return False


def stop(run: Path) -> None:
    """Ask the job of a run to stop; a second call makes it. The run can be gone on with."""
    if is_running(run):
        os.kill(int((job_folder(run) / LOCK).read_text()), signal.SIGTERM)


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


def main(argv: list[str] | None = None) -> int:
    """Go on with the run; returns the exit code."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = Parser(prog="python -m agent.job", description=__doc__, formatter_class=raw)
    parser.add_argument("run", metavar="RUN", type=Path, help="the folder of the run")
    parser.add_argument("--answer", metavar="FILE", type=Path, help="what a person says of a plan that waits, as JSON")
    return exit_code(lambda: _work(parser.parse_args(argv)))


def _work(args: argparse.Namespace) -> int:
    """Work, and tell how it ends."""
    folder = job_folder(args.run)
    try:
        signal.signal(signal.SIGTERM, _interrupt)
        answer = Answer.parse(parse_json(read_bytes(args.answer), str(args.answer)), "answer") if args.answer else None
        folder.mkdir(exist_ok=True)
        from agent.loop import Agent  # a page that watches a job needs none

        Agent(on_event=lambda event: _pass_on(folder, event), preview_every=PREVIEW_EVERY).resume(args.run, answer)
    except KeyboardInterrupt:
        tell(folder, Stopped())
        raise
    except (InstDiffError, OSError) as error:
        if folder.is_dir():
            tell(folder, Failed(reason=printable(str(error))))
        raise
    return DONE


def _interrupt(number, frame) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # who asks twice means it
    raise KeyboardInterrupt


def _pass_on(folder: Path, event: Event) -> None:
    if isinstance(event, PreviewReady) and event.picture:
        with whole_file(folder / PREVIEW) as temporary:
            event.picture.save(temporary, format="PNG")
    tell(folder, event)


if __name__ == "__main__":
    sys.exit(main())
