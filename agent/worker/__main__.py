"""``python -m agent.worker OUTPUTS``: see that the jobs in the queue of an outputs folder are worked on.

This process is small. It starts another one, which holds the models (`agent.worker.work`), and starts that anew where
it dies: what a job does to its worker costs that job alone. Both end when there has been no work for a time. The
dashboard starts this by itself; there is at most one for each outputs folder.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from agent.worker import AGAIN, CRASHED, KILLED
from instdiff.cli import DONE, FAILED_PARTLY, Parser, exit_code, input_folder
from instdiff.errors import BadInput
from instdiff.settings import wait_passively

QUICK_S = 3.0  # a worker that dies so soon has not come to its work
MAX_QUICK = 5


def main(argv: list[str] | None = None) -> int:
    """Start workers, one after the other, until one ends without an error; returns the exit code."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = Parser(prog="python -m agent.worker", description=__doc__, formatter_class=raw)
    parser.add_argument("out", metavar="OUTPUTS", type=input_folder, help="the outputs folder")
    parser.add_argument("--lock", metavar="FD", type=int, help="the open file whose lock says that a worker lives")
    return exit_code(lambda: _look_after(parser.parse_args(argv)))


def _look_after(args: argparse.Namespace) -> int:
    lock = _own_lock(args.out) if args.lock is None else args.lock
    died = ""
    quick = 0
    signal.signal(signal.SIGTERM, _interrupt)
    wait_passively()  # the browser that looks on needs the cores, too
    while quick < MAX_QUICK:
        killed_before = _killed_for_memory()
        started = time.monotonic()
        command = [sys.executable, "-m", "agent.worker.work", str(args.out.resolve()), "--lock", str(lock)]
        process = subprocess.Popen([*command, *(["--died", died] if died else [])], pass_fds=(lock,))
        try:
            code = process.wait()
        finally:
            process.terminate()  # where this process is asked to end
        if code == DONE:
            return DONE
        if code == AGAIN:
            died = ""
            continue
        quick = quick + 1 if time.monotonic() - started < QUICK_S else 0
        from_outside = code in (-signal.SIGKILL, -signal.SIGTERM) and _killed_for_memory() == killed_before
        died = KILLED if from_outside else CRASHED
    print(f"error: the worker of {args.out} cannot start", file=sys.stderr)
    return FAILED_PARTLY


def _own_lock(out: Path) -> int:
    """The lock of a worker that is started by hand.

    Raises:
        BadInput: there is a worker already.
    """
    from agent.job_queue import WORKER, JobQueue

    queue = JobQueue(out)
    with queue.locked():
        lock = os.open(queue.folder / WORKER, os.O_WRONLY | os.O_CREAT, 0o644)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BadInput("out", f"{out} has a worker already") from error
    return lock


def _killed_for_memory() -> int:
    """How many processes Linux has killed because there was no memory left; 0 where it does not say."""
    try:
        lines = Path("/proc/vmstat").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)


def _interrupt(number, frame) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
