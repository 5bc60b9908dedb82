"""The classes of an export and their numbers, which never change as a set grows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import yaml

from agent.dataset.folder import Folder
from agent.runs import write_json
from instdiff.errors import BadInput
from instdiff.formats.files import parse_json, read_bytes
from instdiff.world.nouns import class_of

FILE = "classes.json"  # in the dataset's folder


def numbered_classes(folder: Folder, names: Iterable[str]) -> list[str]:
    """The classes of a folder in the order of their numbers: those it had before, then new ones, sorted.

    Raises:
        BadInput: what the folder says of its classes cannot be read.
    """
    path = folder.path / FILE
    before = _checked(parse_json(read_bytes(path), str(path)), path) if path.exists() else []
    new = sorted(set(names) - set(before))
    if new:
        write_json(path, [*before, *new])
    return [*before, *new]


def read_classes(path: Path) -> list[str]:
    """Names from a file, a class on each line, or YOLO's ``data.yaml``; the first has number 0.

    Raises:
        BadInput: it cannot be read, names nothing, or one name twice.
    """
    text = read_bytes(path).decode("utf-8-sig", errors="replace")
    if path.suffix.lower() not in (".yaml", ".yml", ".json"):
        return _checked([line.strip() for line in text.splitlines() if line.strip()], path)
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise BadInput("classes", f"{path} is no YAML") from error
    names = found.get("names") if isinstance(found, dict) else found
    if isinstance(names, dict):
        names = [names[number] for number in sorted(names)] if sorted(names) == list(range(len(names))) else None
    return _checked(names, path)


def class_in(name: str, classes: Sequence[str]) -> str | None:
    """The class that a name belongs to: its own, or what it is a word for; None where there is none."""
    return name if name in classes else class_of(name, tuple(classes))


def _checked(names: object, path: Path) -> list[str]:
    if not isinstance(names, list) or not names or not all(isinstance(name, str) and name for name in names):
        raise BadInput("classes", f"{path} names no classes, numbered from 0; write one on each line")
    if twice := {name for name in names if names.count(name) > 1}:
        raise BadInput("classes", f'{path} names "{min(twice)}" twice')
    return names
