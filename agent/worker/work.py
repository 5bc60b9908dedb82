"""The process that holds the models: takes job after job from the queue, and ends after a time without one."""

from __future__ import annotations

import contextlib
import fcntl
import gc
import json
import os
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from agent import job
from agent.events import Event, Failed, PreviewReady, Starting, Step, Stopped
from agent.job_queue import END, STATUS, Deaths, Job, JobQueue
from agent.request import Request
from agent.runs import Answer, Run
from agent.worker import AGAIN, CRASHED, KILLED
from agent.worker.expected import learn
from instdiff.cli import DONE, Parser, collect_seldom, input_folder
from instdiff.engine import engine_info
from instdiff.errors import BadInput, InstDiffError, printable
from instdiff.formats import whole_file
from instdiff.formats.files import parse_json, read_bytes, write_bytes
from instdiff.render_settings import resolve_settings
from instdiff.settings import worker_idle_s

if TYPE_CHECKING:
    from agent.loop import Agent

POLL_S = 0.03
STOP_POLL_S = 0.1
PREVIEW_EVERY = 3  # steps
FEW_STEPS = 12  # where there are no more, each is shown
MOST_CRASHES = 2  # that a job may cause
MOST_KILLS = 20  # that may fall on a job from outside
PACKAGES = ("__main__", "agent", "evaluators", "instdiff", "prompts")
STARTED_NS = time.time_ns()


class Worker:
    """Works on the jobs of one queue.

    Args:
        out: the outputs folder.
        lock: the open file whose lock says that a worker lives.
        idle_s: it ends after so many seconds without a job; at 0 with the last one, and loads nothing before the first.
    """

    def __init__(self, out: Path, lock: int, idle_s: float):
        self.out = out
        self.queue = JobQueue(out)
        self.lock = lock
        self.idle_s = idle_s
        self.modules: dict[str, tuple] = {}  # the files that are loaded, as they were then
        self.agent: Agent | None = None
        self.parts: tuple = ()  # what the agent has loaded
        self.current: Job | None = None
        self.is_warm = idle_s == 0

    def work(self) -> int:
        """Work until there is nothing left to do; returns the exit code."""
        signal.signal(signal.SIGINT, self._interrupt)
        threading.Thread(target=self._obey_stops, daemon=True).start()
        self._tell_status()
        self._is_outdated()  # from now on
        last = time.monotonic()
        while True:
            if any(job.state == "waiting" for job in self.queue.jobs()):
                if self._is_outdated():
                    return AGAIN
                if claimed := self.queue.claim():
                    self._do(claimed)
                    self.is_warm = True
                    last = time.monotonic()
            elif not self.is_warm:
                self._warm_up()
                last = time.monotonic()
            elif self._is_over(last):
                return DONE
            else:
                time.sleep(POLL_S)

    def _is_over(self, last: float) -> bool:
        """True if no work has come for long enough, or nobody wants more; then the lock is given back."""
        end = self.queue.folder / END
        if time.monotonic() - last < self.idle_s and not end.exists() and self.queue.folder.is_dir():
            return False
        with self.queue.locked():  # who brings a job now finds no worker, and starts one
            if any(job.state == "waiting" for job in self.queue.jobs()):
                return False
            end.unlink(missing_ok=True)
            fcntl.flock(self.lock, fcntl.LOCK_UN)
        return True

    def _is_outdated(self) -> bool:
        """True if a module that this process has loaded is another one on the disk now."""
        ours = [module for name, module in list(sys.modules.items()) if name.partition(".")[0] in PACKAGES]
        now = {file: _file(file) for module in ours if (file := getattr(module, "__file__", None))}
        self.modules = {**now, **self.modules}
        return any(self.modules[file] != about for file, about in now.items())

    def bury(self, died: str) -> None:
        """Put the job that the last worker died over back into the queue, unless too many died over it."""
        with self.queue.locked():
            for left in self.queue.jobs():
                if left.state == "working":
                    self._bury(left, died)

    def _bury(self, left: Job, died: str) -> None:
        run = self.out / left.run
        before = self.queue.deaths(left)
        deaths = Deaths(crashed=before.crashed + (died == CRASHED), killed=before.killed + (died != CRASHED))
        if job.stops(run):  # somebody wanted it to end
            _tell(run, Stopped())
        elif deaths.crashed < MOST_CRASHES and deaths.killed < MOST_KILLS:
            self.queue.count_death(left, deaths)
            self.queue.move(left, "waiting")
            return
        else:
            often = deaths.crashed + deaths.killed
            cause = f"its process died {often} times, as where memory runs out"
            _tell(run, Failed(reason=f"{cause}; what it printed is in {job.job_folder(Path(left.run)) / job.JOB_LOG}"))
        self.queue.remove(left)

    def _do(self, claimed: Job) -> None:
        """Work on one job, and tell how it ends."""
        run = self.out / claimed.run
        self.current = claimed
        try:
            with _printing_to(job.job_folder(run) / job.JOB_LOG):
                self._work_on_and_tell(run)
        except KeyboardInterrupt:  # a stop that came as it ended
            _tell(run, Stopped())
        self.current = None
        with self.queue.locked():
            self.queue.remove(claimed)
            (job.job_folder(run) / job.STOP).unlink(missing_ok=True)

    def _work_on_and_tell(self, run: Path) -> None:
        try:
            self._work_on(run)
        except KeyboardInterrupt:
            _tell(run, Stopped())
        except (InstDiffError, OSError) as error:
            self._fail(run, printable(str(error)))
        except Exception as error:  # of any kind: the next job must not suffer from it
            traceback.print_exc()
            self.agent = None
            self._fail(run, _reason(error))

    def _fail(self, run: Path, reason: str) -> None:
        print(f"error: {reason}", file=sys.stderr, flush=True)
        _tell(run, Failed(reason=reason))

    def _work_on(self, folder: Path) -> None:
        """Go on with a run as far as it goes, with the answer that was given to its plan."""
        _tell(folder, Starting())
        run = Run.load(folder)
        agent = self._agent(run.request)
        steps = _StepClock()

        def on_event(event: Event) -> None:
            _pass_on(folder, event)
            steps.count(event)

        agent.on_event = on_event
        settings = resolve_settings(run.request.settings, engine_info(run.request.engine).defaults)
        agent.preview_every = 1 if (settings.num_inference_steps or 1) <= FEW_STEPS else PREVIEW_EVERY
        answer = _answer_of(folder)
        try:
            done = agent.resume(folder, answer if run.review == "waiting" else None)
            if done.review == "waiting" and answer and answer.decision != "replan" and run.review != "waiting":
                agent.resume(folder, answer)  # a worker died before the answer was taken
        finally:
            self._tell_status()
            self._learn(run, steps)

    def _learn(self, run: Run, steps: _StepClock) -> None:
        with contextlib.suppress(BadInput):  # it cannot be written, or the run is gone: then nothing is learnt
            if steps.seconds:
                learn(self.queue, run, steps.seconds)

    def _agent(self, request: Request) -> Agent:
        """An agent with the models of a request; what it has loaded is kept for the next request of the same ones."""
        from agent.loop import Agent

        parts = _parts_of(request)
        if self.agent is None or parts != self.parts:
            self.agent = None  # one set of models at a time
            gc.collect()
            self.parts = ()
            self._tell_status()
            self.agent = Agent()
            self.parts = parts
        return self.agent

    def _warm_up(self) -> None:
        """Paint something with the bundled models, so that all is loaded before the first job."""
        from agent.loop import Agent

        self.is_warm = True
        steps = _StepClock()
        with tempfile.TemporaryDirectory() as scratch:
            agent = Agent(planner="offline", rounds=1, preview_every=1, out=scratch, on_event=steps.count)
            try:
                run = agent.run("a red car")
            except (InstDiffError, OSError, RuntimeError) as error:  # the first job will say so
                print(f"note: nothing is warm: {printable(str(error))}", file=sys.stderr, flush=True)
                return
            self._learn(run, steps)
        self.agent = agent
        self.parts = _parts_of(run.request)
        self._tell_status()

    def _tell_status(self) -> None:
        """Write down which process this is, and what it has loaded."""
        about = {"pid": os.getpid(), "since_ns": STARTED_NS, "engine": self.parts[0] if self.parts else None}
        with contextlib.suppress(BadInput):
            write_bytes(self.queue.folder / STATUS, json.dumps(about).encode())

    # --- stops

    def _obey_stops(self) -> None:
        """Look, beside the work, whether somebody wants the job at work to stop; the second time it ends at once.

        A thread, as one step of a large picture may take minutes in which no signal is heard.
        """
        told: Job | None = None
        while True:
            time.sleep(STOP_POLL_S)
            now = self.current
            often = job.stops(self.out / now.run) if now else 0
            if often > 1:
                self._end_at_once(now)
            elif often and now != told:
                told = now
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    def _end_at_once(self, now: Job | None) -> None:
        with self.queue.locked():
            if now is None or self.current is not now:
                return
            _tell(self.out / now.run, Stopped())
            self.queue.remove(now)
            os._exit(AGAIN)

    def _interrupt(self, number, frame) -> None:
        """Break off the job at work if a stop of it was asked for, and not of the one before it."""
        if self.current and job.stops(self.out / self.current.run):
            raise KeyboardInterrupt


def _parts_of(request: Request) -> tuple:
    """What tells apart the models of requests: their names, and the engine's files as they are now."""
    weights = tuple((str(path), _file(str(path))) for path in sorted(engine_info(request.engine).folder.rglob("*")))
    verifier = (request.verifier, request.verifier_url, request.verifier_dialect, request.found_score)
    planner = request.planner if request.planner.startswith("llama:") else ""  # others hold no model
    return (request.engine, request.refiner, weights, *verifier, planner)


class _StepClock:
    """How long the steps of the first picture take."""

    def __init__(self):
        self.steps: list[float] = []  # when each was done
        self.previews: list[float] = []  # seconds that each took

    def count(self, event: Event) -> None:
        """Take note of what happened."""
        if isinstance(event, Step) and event.round == event.image == 0:
            self.steps.append(event.time)
        elif isinstance(event, PreviewReady) and event.round == event.image == 0:
            self.previews.append(event.time - self.steps[-1])

    @property
    def seconds(self) -> float | None:
        """For a step of a picture that is shown as often as those of many steps; None as long as two are not done."""
        if len(self.steps) < 2:
            return None
        passed = self.steps[-1] - self.steps[0] - sum(self.previews)
        a_preview = sum(self.previews) / len(self.previews) if self.previews else 0.0
        return max(passed / (len(self.steps) - 1), 0.0) + a_preview / PREVIEW_EVERY or None


def _answer_of(run: Path) -> Answer | None:
    """What a person said of the plan, if that is what the job is about."""
    path = job.job_folder(run) / job.ANSWER
    return Answer.parse(parse_json(read_bytes(path), str(path)), "answer") if path.exists() else None


def _pass_on(run: Path, event: Event) -> None:
    folder = job.job_folder(run)
    if isinstance(event, PreviewReady) and event.picture:
        with whole_file(folder / job.PREVIEW) as temporary:
            event.picture.save(temporary, format="PNG")
    job.tell(folder, event)


def _tell(run: Path, event: Event) -> None:
    """Tell the run, if its folder is still there."""
    with contextlib.suppress(OSError):
        job.tell(job.job_folder(run), event)


def _reason(error: Exception) -> str:
    """What went wrong, in one line."""
    said = printable(str(error))[:300] or type(error).__name__
    if isinstance(error, MemoryError) or "memory" in said:
        return f"there was not enough memory for it; a smaller size or fewer pictures at once take less ({said})"
    return f"{type(error).__name__}: {said}"


@contextlib.contextmanager
def _printing_to(path: Path) -> Iterator[None]:
    """What is printed inside, by whatever library, goes to the end of a file."""
    try:
        log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    except OSError:  # the run is gone, which who works on it says
        log = os.open(os.devnull, os.O_WRONLY)
    before = [os.dup(number) for number in (1, 2)]
    try:
        for number in (1, 2):
            os.dup2(log, number)
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, file in zip((1, 2), before, strict=True):
            os.dup2(file, number)
            os.close(file)
        os.close(log)


def _file(path: str) -> tuple:
    """What is another once a file is: its size and when it was changed; empty where it is gone."""
    try:
        about = os.stat(path)
    except OSError:
        return ()
    return (about.st_size, about.st_mtime_ns)


def main(argv: list[str] | None = None) -> int:
    """Work for an outputs folder; returns the exit code."""
    parser = Parser(prog="python -m agent.worker.work", description=__doc__)
    parser.add_argument("out", metavar="OUTPUTS", type=input_folder)
    parser.add_argument("--lock", metavar="FD", type=int, required=True)
    parser.add_argument("--died", choices=(CRASHED, KILLED), default=KILLED)
    args = parser.parse_args(argv)
    collect_seldom()
    worker = Worker(args.out, args.lock, worker_idle_s())
    worker.bury(args.died)
    try:
        return worker.work()
    except FileNotFoundError:  # the outputs folder is gone
        return DONE


if __name__ == "__main__":
    sys.exit(main())
