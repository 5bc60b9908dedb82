"""``python -m agent.job RUN``: work on a run in a process of its own, which tells the run's folder what happens.

Whoever starts a job need not stay: the folder ``job`` of the run holds ``events.jsonl`` (one event a line),
``preview.png`` (the picture as far as it is), ``log.txt`` (what the process printed) and ``lock``, which the operating
system holds as long as the process lives. Any number of processes may look on.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from agent.events import Criticised, Done, Event, Judged, Loading, Planned, Preview, Started, Step, Waiting
from agent.runs import Answer
from instdiff.cli import Parser
from instdiff.errors import BadInput, InstDiffError, ServiceError
from instdiff.formats import layout_to_json, whole_file
from instdiff.formats.files import parse_json, read_bytes, write_bytes

BAD_INPUT = 2
SERVICE_FAILED = 4
INTERRUPTED = 130
EVENTS = "events.jsonl"
PREVIEW = "preview.png"
LOG = "log.txt"
LOCK = "lock"
ANSWER = "answer.json"
ENDINGS = ("done", "waiting", "stopped", "failed")  # the last event of a process that was not killed
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
        tell(folder, {"kind": "starting"})
        # The lock belongs to the open file, which the process inherits: it is held from here until the process is gone.
        process = subprocess.Popen(
            command,
            cwd=Path(__file__).parents[1],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(lock.fileno(),),
            start_new_session=True,
        )
        lock.truncate(0)
        lock.write(str(process.pid))


def _hold(lock, name: str) -> None:
    """Take the lock; who only looks on holds it for a moment, so that one refusal says nothing."""
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


def events(run: Path) -> list[dict]:
    """What the jobs of a run told, the oldest first; a line that is being written is left for later."""
    try:
        lines = (job_folder(run) / EVENTS).read_text(encoding="utf-8", errors="replace").split("\n")[:-1]
    except OSError:
        return []
    return [event for event in map(_event, lines) if event]


def _event(line: str) -> dict | None:
    """One event, None if the line was damaged."""
    try:
        event = parse_json(line, EVENTS)
    except BadInput:
        return None
    return event if isinstance(event, dict) and "kind" in event else None


def tell(folder: Path, event: dict) -> None:
    """Add an event, in one piece."""
    line = json.dumps({"time": round(time.time(), 2), **event}, ensure_ascii=False) + "\n"
    file = os.open(folder / EVENTS, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(file, line.encode())
    finally:
        os.close(file)


def told(event: Event) -> dict:
    """An event as plain data: its kind, and what a page shows of it."""
    kind = {"kind": type(event).__name__.lower()}
    match event:
        case Started(resumed=resumed):
            return kind | {"resumed": resumed}
        case Loading(what=what, name=name):
            return kind | {"what": what, "name": name}
        case Planned(round=index, plan=plan):
            return kind | {
                "round": index,
                "planner": plan.planner,
                "notes": plan.notes,
                "layout": layout_to_json(plan.layout),
            }
        case Criticised(round=index, plan=plan, findings=findings):
            return kind | {
                "round": index,
                "notes": [f.sentence for f in findings],
                "layout": layout_to_json(plan.layout),
            }
        case Step(round=index, image=image, images=images, step=step, steps=steps):
            return kind | {"round": index, "image": image, "images": images, "step": step, "steps": steps}
        case Preview(round=index, image=image):
            return kind | {"round": index, "image": image}
        case Judged(round=index, report=report, result=result):
            counts = {"found": report.found, "planned": len(report.verdicts), "mean_iou": round(report.mean_iou, 3)}
            return kind | {"round": index, **counts, "verified": result.verified}
        case Waiting() | Done():
            return kind


def main(argv: list[str] | None = None) -> int:
    """Go on with the run; returns the exit code."""
    parser = Parser(
        prog="python -m agent.job", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", metavar="RUN", type=Path, help="the folder of the run")
    parser.add_argument("--answer", metavar="FILE", type=Path, help="what a person says of a plan that waits, as JSON")
    try:
        args = parser.parse_args(argv)
    except BadInput as error:
        print(f"error: {error}", file=sys.stderr)
        return BAD_INPUT
    return _work(args.run, args.answer)


def _work(run: Path, answer: Path | None) -> int:
    """Work, and tell how it ends."""
    folder = job_folder(run)
    try:
        signal.signal(signal.SIGTERM, _interrupt)
        said = Answer.parse(parse_json(read_bytes(answer), str(answer)), "answer") if answer else None
        folder.mkdir(exist_ok=True)
        from agent.loop import Agent

        Agent(on_event=lambda event: _pass_on(folder, event), preview_every=PREVIEW_EVERY).resume(run, said)
    except KeyboardInterrupt:
        tell(folder, {"kind": "stopped"})
        return INTERRUPTED
    except (InstDiffError, OSError) as error:
        reason = " ".join(str(error).split())
        print(f"error: {reason}", file=sys.stderr)
        if folder.is_dir():
            tell(folder, {"kind": "failed", "reason": reason})
        return SERVICE_FAILED if isinstance(error, ServiceError) else BAD_INPUT
    return 0


def _interrupt(number, frame) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # who asks twice means it
    raise KeyboardInterrupt


def _pass_on(folder: Path, event: Event) -> None:
    if isinstance(event, Preview):
        with whole_file(folder / PREVIEW) as temporary:
            event.picture.save(temporary, format="PNG")
    tell(folder, told(event))


if __name__ == "__main__":
    sys.exit(main())
