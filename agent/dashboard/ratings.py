"""What a person says of a picture, from 1 to 5, kept in the run's folder."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path

from pydantic import Field

from agent.runs import write_json
from instdiff.formats.files import parse_json, read_bytes
from instdiff.layout import _Value

FILE = "ratings.json"


class Rating(_Value):
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
