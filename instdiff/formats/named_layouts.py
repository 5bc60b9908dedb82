"""The pictures of one file or folder by their names, with a layout for each, made when it is asked for."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import overload

from instdiff.errors import BadInput
from instdiff.formats.boxes import LayoutWarning
from instdiff.formats.coco import CocoLayouts
from instdiff.formats.coco_file import CocoFile
from instdiff.formats.pictures import Findings, NamedLayout, Picture, base_name, to_coco
from instdiff.layout import Layout

SHOWN = 5  # names in an error


class NamedLayouts(Sequence[NamedLayout]):
    """The file names of pictures, each with its layout; ``reader`` is the function that reads all of such a file."""

    def __init__(self, layouts: CocoLayouts, reader: str = "instdiff.layouts_from_coco"):
        self._layouts = layouts
        self._reader = reader
        self.source = layouts.file.source
        self.names = [_name(record) for record in layouts.file.images]

    def __len__(self) -> int:
        return len(self.names)

    @overload
    def __getitem__(self, index: int) -> NamedLayout: ...
    @overload
    def __getitem__(self, index: slice) -> list[NamedLayout]: ...
    def __getitem__(self, index):
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        record, layout = self._layouts[index]
        negative = record.get("negative_caption")
        if isinstance(negative, str):
            layout = Layout.parse({**dict(layout), "negative_caption": negative}, self.names[index])
        return self.names[index], layout

    def find(self, picture: str | None) -> Layout:
        """The layout of a picture by its file's name, with or without its folders and ending, or its id in the file.

        Args:
            picture: None takes the only one.

        Raises:
            BadInput: there is none of this name, several, or several and no name is given.
        """
        if picture is None and len(self) == 1:
            return self[0][1]
        if picture is None:
            what = "holds no pictures" if not self.names else f"holds {len(self)} pictures: {self._shown(self.names)}"
            cure = f"; name one with --picture or picture=, or read all with {self._reader}"
            raise BadInput(self.source, what + (cure if self.names else ""))
        for found in self._matches(picture):
            if len(found) == 1:
                return self[found[0]][1]
            if found:
                which = self._shown([self.names[index] for index in found])
                raise BadInput("picture", f'"{picture}" may be {len(found)} pictures of {self.source}: {which}')
        raise BadInput("picture", f'"{picture}" is not in {self.source}, which holds {self._shown(self.names)}')

    def _matches(self, picture: str) -> Iterator[list[int]]:
        """Places in the set: of the whole name, then of less and less of it, then of the id."""
        ways = (lambda name: name, base_name, lambda name: base_name(name).rpartition(".")[0])
        for way in ways:
            yield [index for index, name in enumerate(self.names) if way(name) == picture]
        records = enumerate(self._layouts.file.images)
        yield [index for index, record in records if str(record["id"]) == picture]

    def _shown(self, names: list[str]) -> str:
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        return ", ".join(name[:80] for name in names[:SHOWN]) + more


def named_layouts(pictures: Sequence[Picture], findings: Findings, source: str) -> NamedLayouts:
    """The layouts of pictures; what was odd in their file is said, one warning for each kind.

    Raises:
        BadInput: the file holds shapes, and not one can be used.
    """
    coco = to_coco(pictures)
    if findings.left_out and not coco["annotations"]:
        raise BadInput(source, f"0 of {findings.left_out} shapes can be used; {findings}")
    layouts = CocoLayouts(CocoFile(coco.items(), source))
    warn([*findings.sentences, *layouts.notes], source)
    return NamedLayouts(layouts, "instdiff.formats.layout_sets.load_layouts")


def warn(sentences: Sequence[str], source: str) -> None:
    """Say what of a file is not as it is written."""
    for sentence in sentences:
        warnings.warn(f"{source}: {sentence}", LayoutWarning, stacklevel=4)


def _name(record: dict) -> str:
    """What an image of a COCO file is called; in LVIS, by its address. Halves of characters become question marks."""
    names = (record.get(key) for key in ("file_name", "coco_url", "flickr_url"))
    name = next((name for name in names if isinstance(name, str) and name), str(record["id"]))
    return name.encode(errors="replace").decode()
