"""Grids: runs that are alike but for one setting, kept as a file ``grids/NAME.json`` of the outputs folder."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import Field

from agent.dashboard.run_index import NAME
from agent.dashboard.start_point import with_values
from agent.loop import Agent
from agent.request import Request
from agent.runs import read_json, write_json
from instdiff.cli import Option
from instdiff.errors import BadInput
from instdiff.layout import Layout
from instdiff.settings import outputs_folder
from instdiff.values import Value

FOLDER = "grids"
MOST = 16  # runs of a grid
RANGE = re.compile(r"(\d{1,15})-(\d{1,15})")  # of whole numbers, both ends with it


class Cell(Value):
    """A run of a grid, and the value that is its own."""

    value: str
    run: str


class Grid(Value):
    """Runs that are alike but for one setting."""

    title: str
    setting: str
    cells: tuple[Cell, ...] = Field(min_length=1, max_length=MOST)


def can_vary(option: Option) -> bool:
    """True for options of the form with more values than on and off."""
    return bool(option.flag.label) and option.type is not bool


def read_values(option: Option, text: str) -> list[Any]:
    """The values of an option that are written with commas between them; whole numbers also as ``0-7``.

    Raises:
        BadInput: a value cannot be read, or there are too few or too many of them.
    """
    values: list[Any] = []
    for word in filter(None, (part.strip() for part in text.split(","))):
        numbers = RANGE.fullmatch(word) if option.type is int else None
        if numbers:
            values += range(int(numbers[1]), min(int(numbers[2]), int(numbers[1]) + MOST) + 1)
            continue
        try:
            values.append((option.flag.read or option.type)(word))
        except ValueError as error:
            raise BadInput(option.key, f'"{word[:40]}" is no number') from error
    values = list(dict.fromkeys(values))
    if not 2 <= len(values) <= MOST:
        raise BadInput("values", f"a grid has 2 to {MOST} different values, and these are {_count(values)}")
    return values


def _count(values: list[Any]) -> str:
    return str(len(values)) if len(values) <= MOST else f"more than {MOST}"


def prepare(
    request: Request, prompt: str | None, layout: Layout | None, option: Option, values: list[Any]
) -> tuple[str, list[Path]]:
    """Prepare a run for each value, to be started; the name of the grid comes back, and the folders of its runs.

    All are checked before the first one is made, so that a value that cannot be leaves nothing behind.

    Raises:
        BadInput: a run cannot be asked for so.
    """
    asked = [with_values(request, {**_follows(option, request), option.key: value}) for value in values]
    agents = [Agent(each, out=outputs_folder()) for each in asked]
    runs = [agent.prepare(prompt, layout) for agent in agents]
    cells = [Cell(value=shown(value), run=run.folder.name) for value, run in zip(values, runs, strict=True)]
    grid = Grid(title=runs[0].request.prompt, setting=option.flag.label, cells=tuple(cells))
    name = cells[0].run
    _path(name).parent.mkdir(exist_ok=True)
    write_json(_path(name), grid.model_dump(mode="json"))
    return name, [run.folder for run in runs]


def _follows(option: Option, request: Request) -> dict[str, Any]:
    """The bundled verifier knows the pictures of one engine: where engines differ each gets its own."""
    return {"verifier": None} if option.key == "engine" and request.verifier == "draft" else {}


def shown(value: Any) -> str:
    """A value as it is typed."""
    return "x".join(map(str, value)) if isinstance(value, tuple) else str(value)


def load(name: str) -> Grid:
    """A grid by its name, which comes from an address.

    Raises:
        BadInput: there is none, or its file holds something else.
    """
    if not NAME.fullmatch(name) or not _path(name).is_file():
        raise BadInput("grid", f'there is no grid "{name[:100]}"')
    return Grid.parse(read_json(_path(name)), f"{name}.json")


def all_grids() -> Iterator[tuple[str, Grid | BadInput]]:
    """The names of all grids, the newest first, and what they are; or what cannot be read of one."""
    for path in sorted((outputs_folder() / FOLDER).glob("*.json"), reverse=True):
        try:
            yield path.stem, load(path.stem)
        except BadInput as error:
            yield path.stem, error


def _path(name: str) -> Path:
    return outputs_folder() / FOLDER / f"{name}.json"
