"""Many layouts in one place: a folder of files, or the JSON lines of many plans."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import overload

from instdiff.errors import BadInput
from instdiff.formats import BoxFormatWarning, layout_from_json, load_layout
from instdiff.formats.coco_file import MAX_COCO_BYTES, Crowd
from instdiff.formats.files import parse_json, read_bytes
from instdiff.layout import Layout


def read_lines(path: str | Path) -> list[object]:
    """The values of a JSON-lines file; empty lines are skipped."""
    text = read_bytes(path).decode("utf-8-sig", errors="replace")
    return [parse_json(line, f"{path} line {index}") for index, line in enumerate(text.split("\n"), 1) if line.strip()]


def layouts_by_prompt(path: str | Path) -> dict[str, Layout]:
    """Layouts from the JSON lines that ``python -m agent.plans`` writes; lines with an error have no layout."""
    layouts = {}
    for number, line in enumerate(read_lines(path), 1):
        if not isinstance(line, dict) or not isinstance(line.get("prompt"), str):
            raise BadInput(f"{path} line {number}", 'must be {"prompt": "...", "layout": {...}}')
        if "layout" in line:
            layouts[line["prompt"]] = layout_from_json(line["layout"], boxes="xywh")
    return layouts


class UnnamedLayouts(Sequence[Layout]):
    """Layouts without what they are called by, each made when it is asked for: outlines of many take long to draw."""

    def __init__(self, named: Sequence[tuple[object, Layout]]):
        self._named = named

    def __len__(self) -> int:
        return len(self._named)

    @overload
    def __getitem__(self, index: int) -> Layout: ...
    @overload
    def __getitem__(self, index: slice) -> list[Layout]: ...
    def __getitem__(self, index):
        if isinstance(index, slice):
            return [layout for _, layout in self._named[index]]
        return self._named[index][1]


def load_layouts(path: str | Path, crowd: Crowd = "auto") -> Sequence[Layout]:
    """All layouts of a folder of ``.json`` files, of one such file, of JSON lines, or of annotations of another tool.

    Those of annotations are made when they are asked for.

    A folder has one writer: if some of its files can only hold corner boxes, all of them are read as corners.

    Args:
        crowd: what annotations of COCO with ``iscrowd`` are, see `instdiff.formats.coco_file.CocoFile`.

    Raises:
        BadInput: there is nothing of that kind; see `load_layout`.
    """
    from instdiff.formats.other_tools import read_annotations, read_folder  # a reader for each tool

    path = Path(path)
    if path.is_dir():
        found = read_folder(path)
        if found is not None:
            return UnnamedLayouts(found)
        files = sorted(path.glob("*.json"))
        if not files:
            raise BadInput(str(path), "holds no .json files")
        layouts, with_corners = _load_all(files, "auto")
        if with_corners:
            reason = f"{with_corners} of {len(files)} files fit no other reading"
            print(f"note: {path}: boxes are read as corners; {reason}", file=sys.stderr)
            layouts, _ = _load_all(files, "corners")
        return layouts
    if path.suffix.lower() == ".jsonl":
        return list(layouts_by_prompt(path).values())
    found = None if path.suffix.lower() == ".png" else read_annotations(path, read_bytes(path, MAX_COCO_BYTES), crowd)
    return [load_layout(path)] if found is None else UnnamedLayouts(found)


def _load_all(files: list[Path], boxes: str) -> tuple[list[Layout], int]:
    """The layouts, and in how many files boxes can only be corners."""
    layouts = []
    with_corners = 0
    for file in files:
        with warnings.catch_warnings(record=True) as raised:
            warnings.simplefilter("always")
            layouts.append(load_layout(file, boxes))
        messages = [str(warning.message) for warning in raised if warning.category is BoxFormatWarning]
        with_corners += any("read as corners" in message for message in messages)
    return layouts, with_corners
