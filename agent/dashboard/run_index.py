"""The runs of the outputs folder, as far as lists show them, and what people say of their pictures."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from pydantic import Field

from agent.runs import Run, write_json
from instdiff.errors import BadInput
from instdiff.formats.files import parse_json, read_bytes
from instdiff.settings import outputs_folder
from instdiff.values import Value

FILE = "ratings.json"


class Rating(Value):
    """How well the picture fits the words, how well it is painted, and how well the things are arranged."""

    fit: int = Field(ge=1, le=5)
    quality: int = Field(ge=1, le=5)
    arrangement: int = Field(ge=1, le=5)


def rate(run: Path, rating: Rating) -> None:
    """Keep a rating; an earlier one of the same run is replaced."""
    write_json(run / FILE, rating.model_dump())


def rating_of(run: Path) -> Rating | None:
    """The rating of a run, if there is one.

    Raises:
        BadInput: the file holds something else.
    """
    path = run / FILE
    return Rating.parse(parse_json(read_bytes(path), str(path)), FILE) if path.exists() else None


def ratings_csv(runs: Iterable[Path]) -> str:
    """The ratings of all runs that have one, as CSV with the columns picture, fit, quality and arrangement."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["picture", *Rating.model_fields])
    for run in runs:
        if rating := rating_of(run):
            table.writerow([f"{run.name}/best.png", *rating.model_dump().values()])
    return text.getvalue()


NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
STAMP = re.compile(r"(\d{8}-\d{6})-.*")
THUMBNAIL = 320  # pixels of the longer side
STATES = ("verified", "not verified", "unfinished", "waiting", "rejected")


class Summary(NamedTuple):
    """A run in a list. ``score`` is the share of planned instances that were found, 0..1; None without a picture."""

    name: str
    prompt: str
    planner: str
    engine: str
    state: str
    score: float | None
    rounds: int
    started: str
    edited: bool


class Filter(NamedTuple):
    """What a list is to show; what is empty or None lets everything pass."""

    words: str = ""
    states: tuple[str, ...] = ()
    planner: str | None = None
    engine: str | None = None
    min_score: float = 0.0

    def passes(self, run: Summary) -> bool:
        text = f"{run.prompt} {run.name}".lower()
        in_words = all(word in text for word in self.words.lower().split())
        in_state = not self.states or run.state in self.states
        by_planner = self.planner in (None, run.planner) and self.engine in (None, run.engine)
        return in_words and in_state and by_planner and (run.score or 0.0) >= self.min_score


def run_folder(name: str) -> Path:
    """The folder of a run by its name, which comes from an address: nothing outside of the outputs folder is reached.

    Raises:
        BadInput: there is no such run.
    """
    folder = outputs_folder() / name if NAME.fullmatch(name) else None
    if not folder or folder.is_symlink() or not (folder / "run.json").is_file():
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
    inside = [path for path in paths if path.resolve().is_relative_to(root.resolve())]
    return [path.parent for path in sorted(inside, key=lambda path: -path.stat().st_mtime)]


def summaries() -> list[Summary]:
    """All runs that can be read, the newest first."""
    root = outputs_folder()
    paths = (path for path in root.glob("*/run.json") if NAME.fullmatch(path.parent.name)) if root.is_dir() else ()
    read = (_summary(path, path.stat().st_mtime_ns) for path in paths)
    return sorted((run for run in read if run), key=lambda run: (run.started, run.name), reverse=True)


@lru_cache(maxsize=10_000)
def _summary(path: Path, changed_ns: int) -> Summary | None:
    """The run behind a ``run.json`` that was last changed at this time; None if it cannot be read."""
    try:
        run = Run.load(path.parent)
    except BadInput:
        return None
    stamp = STAMP.fullmatch(path.parent.name)
    started = stamp[1] if stamp else f"{datetime.fromtimestamp(changed_ns / 1e9):%Y%m%d-%H%M%S}"
    return Summary(
        name=path.parent.name,
        prompt=run.request.edited.words if run.request.edited else run.request.prompt,
        planner=run.planner or run.request.planner,
        engine=run.request.engine,
        state=state_of(run),
        score=run.best.score[0] if run.best else None,
        rounds=len(run.rounds),
        started=started,
        edited=run.request.edited is not None,
    )


def state_of(run: Run) -> str:
    """One of `STATES`."""
    if run.review in ("waiting", "rejected"):
        return run.review
    if not run.done:
        return "unfinished"
    return "verified" if run.verified else "not verified"


def thumbnail(path: Path) -> bytes | None:
    """A small WebP of a picture, or None if there is no such picture."""
    try:
        return _thumbnail(path, path.stat().st_mtime_ns)
    except OSError:
        return None


@lru_cache(maxsize=1000)
def _thumbnail(path: Path, changed_ns: int) -> bytes:
    from PIL import Image

    with Image.open(path) as image:
        small = image.convert("RGB")
    small.thumbnail((THUMBNAIL, THUMBNAIL))
    buffer = io.BytesIO()
    small.save(buffer, format="WEBP", quality=85)
    return buffer.getvalue()
