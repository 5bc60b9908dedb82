"""The runs of the outputs folder, as far as lists show them; what cannot be read of one stands in its place."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from agent.dashboard import labels
from agent.runs import Run, read_json
from instdiff.errors import BadInput, printable
from instdiff.settings import outputs_folder

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
STAMP = re.compile(r"(\d{8}-\d{6})-.*")
UNREADABLE = "unreadable"
STATES = ("verified", "not verified", "unfinished", "waiting", "rejected", UNREADABLE)
RUN = "run.json"
FAILED = ("missing", "misplaced", "wrong attribute")  # verdicts on things that are not as planned


class Judged(NamedTuple):
    """What became of a planned thing: its place in the plan, its name, and the verdict on it."""

    instance: int
    name: str
    verdict: str


class Summary(NamedTuple):
    """A run in a list.

    Attributes:
        title: what a person calls it, else what was asked for, else the name of its folder.
        score: the share of planned instances that were found, 0..1; None without a picture.
        things: the names of what is planned on its best picture.
        judged: what became of them.
        rating: the mean of its stars, 1..5; None where nobody rated it.
        problem: what cannot be read of it, one line.
        is_open: there is a page of it.
    """

    name: str
    title: str
    started: datetime
    state: str = UNREADABLE
    prompt: str = ""
    planner: str = ""
    engine: str = ""
    score: float | None = None
    rounds: int = 0
    edited: bool = False
    things: tuple[str, ...] = ()
    judged: tuple[Judged, ...] = ()
    rating: float | None = None
    starred: bool = False
    tags: tuple[str, ...] = ()
    problem: str = ""
    is_open: bool = True

    @property
    def failures(self) -> list[Judged]:
        """The things that are not as planned on its best picture."""
        return [one for one in self.judged if one.verdict in FAILED]


class Filter(NamedTuple):
    """What a list is to show; what is empty or None lets everything pass."""

    words: str = ""
    states: tuple[str, ...] = ()
    planner: str | None = None
    engine: str | None = None
    min_score: float = 0.0
    thing: str | None = None
    min_rating: float = 0.0
    tag: str | None = None
    starred: bool = False

    def passes(self, run: Summary) -> bool:
        text = f"{run.title} {run.prompt} {run.name} {' '.join(run.tags)}".lower()
        in_words = all(word in text for word in self.words.lower().split())
        in_state = not self.states or run.state in self.states
        by_planner = self.planner in (None, run.planner) and self.engine in (None, run.engine)
        shows = self.thing is None or self.thing in run.things
        is_liked = (run.rating or 0.0) >= self.min_rating and (run.starred or not self.starred)
        is_tagged = self.tag is None or self.tag in run.tags
        is_good = (run.score or 0.0) >= self.min_score
        return in_words and in_state and by_planner and shows and is_liked and is_tagged and is_good


ORDERS = {  # each by what it is called: the key of a sort, the least first
    "newest": lambda run: -run.started.timestamp(),
    "oldest": lambda run: run.started.timestamp(),
    "most found": lambda run: -1.0 if run.score is None else -1.0 - run.score,
    "least found": lambda run: 2.0 if run.score is None else run.score,
    "best rated": lambda run: -(run.rating or 0.0),
    "title": lambda run: run.title.lower(),
}


def run_folder(name: str) -> Path:
    """The folder of a run by its name, which comes from an address: nothing outside of the outputs folder is reached.

    Raises:
        BadInput: there is no such run.
    """
    folder = outputs_folder() / name if NAME.fullmatch(name) else None
    if not folder or folder.is_symlink() or not (folder / RUN).is_file():
        raise BadInput("run", f'there is no run "{name[:100]}"')
    return folder


def inside(folder: Path, name: str) -> Path:
    """A file of a folder by a name that stands in one of its files.

    Raises:
        BadInput: it leads out of the folder.
    """
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise BadInput(folder.name, f'names a file outside of itself, "{name[:100]}"')
    return path


def folders_with(file: str, *under: str) -> list[Path]:
    """The folders up to three levels below the outputs folder that hold such a file, the newest first."""
    root = outputs_folder().joinpath(*under)
    paths = [path for depth in ("*/", "*/*/", "*/*/*/") for path in root.glob(f"{depth}{file}")]
    shown = [path for path in paths if not any(part.startswith(".") for part in path.relative_to(root).parts)]
    inside = [path for path in shown if path.resolve().is_relative_to(root.resolve())]
    return [path.parent for path in sorted(inside, key=lambda path: -path.stat().st_mtime)]


def summaries(deleted: bool = False) -> list[Summary]:
    """All runs, the newest first, or those that are deleted and can be put back."""
    root = labels.bin_folder() if deleted else outputs_folder()
    return sorted(_found(root), key=lambda run: (run.started, run.name), reverse=True)


def _found(root: Path) -> Iterator[Summary]:
    """One for each folder with a ``run.json``, even where that cannot be read."""
    with suppress(FileNotFoundError), os.scandir(root) as entries:
        for entry in entries:
            with suppress(FileNotFoundError, NotADirectoryError):  # no run, or one that is deleted just now
                yield summary_of(entry.path)


def summary_of(folder: str | Path) -> Summary:
    """The run of a folder, even where it cannot be read.

    Raises:
        FileNotFoundError, NotADirectoryError: there is no ``run.json`` in it.
    """
    folder = os.fspath(folder)
    changed_ns = os.lstat(f"{folder}/{RUN}").st_mtime_ns
    return _summary(
        folder, changed_ns, _changed_ns(f"{folder}/{labels.LABEL}"), _changed_ns(f"{folder}/{labels.RATINGS}")
    )


def _changed_ns(path: str) -> int:
    """When a file was last changed, nanoseconds; -1 where there is none."""
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return -1


@lru_cache(maxsize=20_000)
def _summary(place: str, changed_ns: int, labelled_ns: int, rated_ns: int) -> Summary:
    """The run of a folder whose files were last changed at these times."""
    folder = Path(place)
    name = printable(folder.name)
    started = _started(name, changed_ns)
    if not NAME.fullmatch(folder.name):
        reason = "the name of its folder cannot stand in an address; rename it to letters, digits, dots and dashes"
        return Summary(name, name, started, problem=reason, is_open=False)
    if folder.is_symlink() or not (folder / RUN).is_file() or (folder / RUN).is_symlink():
        return Summary(name, name, started, problem="it is a link, or its run.json is no file", is_open=False)
    try:
        run = Run.load(folder)
    except BadInput as error:
        return Summary(name, name, started, problem=_short(error, folder))
    summary = _of_run(run, started)
    problems = []
    try:
        label = labels.label_of(folder)
        summary = summary._replace(starred=label.starred, tags=label.tags, title=label.title or summary.title)
    except BadInput as error:
        problems.append(_short(error, folder))
    try:
        rating = labels.rating_of(folder)
        summary = summary._replace(rating=rating.mean if rating else None)
    except BadInput as error:
        problems.append(_short(error, folder))
    return summary._replace(problem="; ".join(problems))


def _of_run(run: Run, started: datetime) -> Summary:
    """What a list shows of a run that can be read."""
    asked = run.request.edited.words if run.request.edited else run.request.prompt
    judged = _judged(run)
    return Summary(
        name=run.folder.name,
        title=asked or run.folder.name,
        started=started,
        state=state_of(run),
        prompt=asked,
        planner=run.planner or run.request.planner,
        engine=run.request.engine,
        score=run.best.score[0] if run.best else None,
        rounds=len(run.rounds),
        edited=run.request.edited is not None,
        things=tuple(sorted({one.name for one in judged})),
        judged=judged,
    )


def _judged(run: Run) -> tuple[Judged, ...]:
    """The verdicts on its best picture; none where its report cannot be read, which its page says."""
    if not run.best:
        return ()
    with suppress(BadInput, OSError):
        verdicts = read_json(inside(run.folder, run.best.report)).get("verdicts")
        read = [_verdict(verdict) for verdict in verdicts] if isinstance(verdicts, list) else []
        return tuple(one for one in read if one)
    return ()


def _verdict(verdict: object) -> Judged | None:
    if not isinstance(verdict, dict):
        return None
    instance, name, kind = (verdict.get(key) for key in ("instance", "name", "kind"))
    if isinstance(instance, int) and isinstance(name, str) and isinstance(kind, str):
        return Judged(instance, name.lower(), kind)
    return None


def _short(error: BadInput, folder: Path) -> str:
    """What an error says, without the way to the folder, which the list shows."""
    return printable(str(error).replace(f"{folder}{os.sep}", ""))


def _started(name: str, changed_ns: int) -> datetime:
    """When a run was begun, as its name says, or where that is no time, as its file says."""
    stamp = STAMP.fullmatch(name)
    with suppress(ValueError):
        if stamp:
            return datetime.strptime(stamp[1], "%Y%m%d-%H%M%S")
    with suppress(ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(changed_ns / 1e9)
    return datetime(1970, 1, 1)


def state_of(run: Run) -> str:
    """One of `STATES`."""
    if run.review in ("waiting", "rejected"):
        return run.review
    if not run.done:
        return "unfinished"
    return "verified" if run.verified else "not verified"
