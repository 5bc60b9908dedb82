"""What the form of the Make page starts from: nothing, an earlier run, or a file that is dropped in."""

from __future__ import annotations

import hashlib
import secrets
import tempfile
import warnings
from collections.abc import Mapping
from functools import reduce
from pathlib import Path
from typing import Any, NamedTuple

from agent.dashboard.run_index import inside, run_folder
from agent.request import AUTO, Request
from agent.runs import GIVEN, Run
from instdiff.cli import options, parse_values, to_arguments
from instdiff.errors import BadInput
from instdiff.formats import load_layout, read_png
from instdiff.layout import Layout
from instdiff.render_settings import RenderSettings

MOST_SEED = 10**6  # of seeds that are drawn by lot
CHOSEN_BY_PRESET = ("scheduler", "guidance_every", "inner_every")  # settings that no field of the form shows


class Start(NamedTuple):
    """What the form is filled with.

    Attributes:
        key: another one for each thing to start from, as the fields of the form are then others.
        request: its options fill the fields; those without a field are taken over.
        layout: what is painted, instead of a plan of the words.
        notes: what is to be said of it.
    """

    key: str = ""
    request: Request = Request()
    layout: Layout | None = None
    notes: tuple[str, ...] = ()


def from_run(name: str, seed: str = "", number: str = "") -> Start:
    """A run as it was asked for; with another seed, or with the layout of one of its rounds in place of its words.

    All of them come from an address.

    Args:
        seed: a whole number; empty keeps that of the run.
        number: of the round, from 0; empty takes the words, or the layout that the run was given.

    Raises:
        BadInput: there is no such run or round, or the seed is none.
    """
    run = Run.load(run_folder(name))
    layout = _layout_of(run, number) if number else _given(run)
    if run.request.edited and not number:
        raise BadInput("run", f"{name[:100]} is an edit, which is made from its picture; start from its layout")
    changes: dict[str, Any] = {"edited": None, "own": ()}
    if run.request.planner == "none":  # it was given a layout; words need a planner
        changes["planner"] = AUTO
    request = run.request.model_copy(update=changes)
    if seed:
        request = with_values(request, {"seed": _whole("seed", seed)})
    return Start(f"{name}-{seed}-{number}", request, layout, _without_field(request))


def another_seed() -> str:
    """A seed by lot, for an address."""
    return str(secrets.randbelow(MOST_SEED))


def _whole(field: str, text: str) -> int:
    if not text.isdecimal() or len(text) > 18:
        raise BadInput(field, f'"{text[:40]}" is no whole number')
    return int(text)


def _layout_of(run: Run, number: str) -> Layout:
    index = _whole("round", number)
    if index >= len(run.rounds):
        raise BadInput("round", f"{run.folder.name} has {len(run.rounds)} rounds, counted from 0, and no {index}")
    return load_layout(inside(run.folder, run.rounds[index].layout), boxes="xywh")


def _given(run: Run) -> Layout | None:
    """The layout that the run was given in place of words."""
    path = run.folder / GIVEN
    return load_layout(path, boxes="xywh") if path.exists() else None


def _without_field(request: Request) -> tuple[str, ...]:
    """A sentence on options that are taken over and stand in no field."""
    shown = {option.path: option.of(Request()) for option in options(Request) if option.flag.label}
    words = to_arguments(with_paths(request, shown))
    return (f"Taken over as well: {' '.join(words)}",) if words else ()


def from_file(name: str, content: bytes) -> Start:
    """A layout file, or a picture that was painted here, with its settings.

    Raises:
        BadInput: it is neither, or its layout cannot be.
    """
    key = hashlib.sha256(content).hexdigest()[:16]
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        path = Path(folder) / f"dropped{Path(name).suffix.lower()}"
        path.write_bytes(content)
        try:
            if path.suffix == ".png":
                layout, stored = read_png(path)
                return Start(key, _request_of(stored), layout)
            layout = load_layout(path)
        except BadInput as error:
            raise BadInput(error.field.replace(str(path), name), error.reason.replace(str(path), name)) from error
        notes = tuple(str(one.message).replace(str(path), name) for one in told)
    return Start(key, Request(), layout, notes)


def _request_of(stored: Mapping[str, Any]) -> Request:
    """One round with the engine and the settings of a picture."""
    settings = {field: stored[field] for field in RenderSettings.model_fields if field in stored}
    return Request.parse({"engine": str(stored.get("engine", "draft")), "rounds": 1, "settings": settings}, "settings")


def with_values(request: Request, values: Mapping[str, Any]) -> Request:
    """The request with other values for options, by their keys; None stands for what is so by default.

    Raises:
        BadInput: a value cannot be used; it names the option.
    """
    paths = {option.path: values[option.key] for option in options(Request) if option.key in values}
    if values.get("preset", request.settings.preset) != request.settings.preset:  # another preset chooses anew
        paths |= {("settings", name): None for name in CHOSEN_BY_PRESET}
    return with_paths(request, paths)


def with_paths(request: Request, paths: Mapping[tuple[str, ...], Any]) -> Request:
    """The request with other values at these places in it."""
    data = request.model_dump()
    defaults = Request().model_dump()
    for path, value in paths.items():
        default = reduce(lambda inner, name: inner[name], path, defaults)
        reduce(lambda inner, name: inner[name], path[:-1], data)[path[-1]] = default if value is None else value
    return parse_values(Request, data)
