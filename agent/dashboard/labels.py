"""What people say of runs, in files of their folders: ratings, stars, tags, titles; and the bin of deleted ones."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Annotated

from pydantic import Field

from agent import job
from agent.runs import write_json
from instdiff.errors import BadInput
from instdiff.formats.files import parse_json, read_bytes
from instdiff.settings import outputs_folder
from instdiff.values import Value

LABEL = "label.json"
BIN = ".deleted"  # a folder of the outputs folder; lists and "latest" pass over it
MAX_TAGS = 20
Tag = Annotated[str, Field(min_length=1, max_length=40)]
RATINGS = "ratings.json"


class Rating(Value):
    """How well the picture fits the words, how well it is painted, and how well the things are arranged."""

    fit: int = Field(ge=1, le=5)
    quality: int = Field(ge=1, le=5)
    arrangement: int = Field(ge=1, le=5)

    @property
    def mean(self) -> float:
        """1..5."""
        return (self.fit + self.quality + self.arrangement) / 3


def rate(run: Path, rating: Rating) -> None:
    """Keep a rating; an earlier one of the same run is replaced."""
    write_json(run / RATINGS, rating.model_dump())


def rating_of(run: Path) -> Rating | None:
    """The rating of a run, if there is one.

    Raises:
        BadInput: the file holds something else.
    """
    path = run / RATINGS
    return Rating.parse(parse_json(read_bytes(path), str(path)), RATINGS) if path.exists() else None


def ratings_csv(runs: Iterable[Path]) -> str:
    """The ratings of all runs that have one that can be read, as CSV: picture, fit, quality and arrangement."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["picture", *Rating.model_fields])
    for run in runs:
        with suppress(BadInput):
            if rating := rating_of(run):
                table.writerow([f"{run.name}/best.png", *rating.model_dump().values()])
    return text.getvalue()


class Label(Value):
    """What a person calls a run, and how it is sorted."""

    title: str = Field(default="", max_length=200)
    starred: bool = False
    tags: tuple[Tag, ...] = Field(default=(), max_length=MAX_TAGS)


def label_of(run: Path) -> Label:
    """The label of a run; an empty one where it has none.

    Raises:
        BadInput: the file holds something else.
    """
    path = run / LABEL
    return Label.parse(parse_json(read_bytes(path), str(path)), LABEL) if path.exists() else Label()


def relabel(run: Path, **changes: object) -> None:
    """Change some fields of a run's label.

    Raises:
        BadInput: a field cannot be so.
    """
    write_json(run / LABEL, Label.parse({**dict(label_of(run)), **changes}, "label").model_dump(mode="json"))


def tag(run: Path, name: str) -> None:
    """Add a tag to a run."""
    relabel(run, tags=tuple(dict.fromkeys((*label_of(run).tags, " ".join(name.split())))))


def untag(run: Path, name: str) -> None:
    """Take a tag off a run."""
    relabel(run, tags=tuple(other for other in label_of(run).tags if other != name))


def bin_folder() -> Path:
    """Where deleted runs lie until they are put back."""
    return outputs_folder() / BIN


def delete(run: Path) -> None:
    """Move a run into the bin.

    Raises:
        BadInput: it is being worked on, or it cannot be moved.
    """
    if job.is_running(run):
        raise BadInput("run", f"{run.name} is being worked on; stop it first")
    bin_folder().mkdir(exist_ok=True)
    _move(run, bin_folder() / run.name)


def put_back(name: str) -> None:
    """Move a run out of the bin.

    Raises:
        BadInput: there is none of this name, or another has taken its place.
    """
    if os.sep in name or name.startswith("."):
        raise BadInput("run", f'there is no deleted run "{name[:100]}"')
    _move(bin_folder() / name, outputs_folder() / name)


def _move(folder: Path, place: Path) -> None:
    if place.exists():
        raise BadInput("run", f"{place} is there already")
    try:
        folder.rename(place)
    except OSError as error:
        raise BadInput("run", f"{folder.name} cannot be moved: {error.strerror}") from error
