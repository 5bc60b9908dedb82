"""What became of the things that were planned, by class, colour and size: planned, painted, passed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from agent.dataset.folder import ITEMS, REJECTED, Folder, Item
from evaluators.report import VerdictKind
from instdiff.errors import BadInput
from instdiff.formats.files import parse_json, read_bytes
from instdiff.world.nouns import asked_colour, label_of

PAINTED = (VerdictKind.FOUND, VerdictKind.WRONG_ATTRIBUTE, VerdictKind.MISPLACED)  # seen somewhere
SIZES = {"small": 0.0, "medium": 0.125, "large": 0.375}  # root of the share of the picture: 32 and 96 of 256 pixels


@dataclass
class Counts:
    """How many were planned, are seen on the picture, and passed: on a picture that is kept, in their place."""

    planned: int = 0
    painted: int = 0
    passed: int = 0

    def add(self, is_painted: bool, has_passed: bool) -> None:
        """Count one more."""
        self.planned += 1
        self.painted += is_painted
        self.passed += has_passed

    @property
    def share(self) -> float:
        """Of the planned ones, those that passed."""
        return self.passed / max(self.planned, 1)


@dataclass
class Tally:
    """Everything that was decided in a folder; `update` reads what is new there.

    ``by_pair`` has the pairs of class and asked colour, with "" where none was asked for; ``by_cell`` also the size,
    and every thing once more without its colour.
    """

    folder: Folder
    by_class: dict[str, Counts] = field(default_factory=dict)
    by_pair: dict[tuple[str, str], Counts] = field(default_factory=dict)
    by_cell: dict[tuple[str, str, str], Counts] = field(default_factory=dict)
    by_size: dict[str, Counts] = field(default_factory=dict)
    by_colour: dict[str, Counts] = field(default_factory=dict)
    seen: Counter[str] = field(default_factory=Counter)  # files that were read, by folder
    _read: set[tuple[str, str]] = field(default_factory=set)

    def update(self) -> Tally:
        """Count what was decided since the last call; returns itself. What cannot be read is left out."""
        for item, kept in self._new():
            self._add(item, kept)
        return self

    def _new(self) -> Iterator[tuple[Item, bool]]:
        for folder in (self.folder.items, self.folder.rejected):
            for path in sorted(folder.glob("[0-9]*.json")):
                if (folder.name, path.stem) in self._read:
                    continue
                self._read.add((folder.name, path.stem))
                try:
                    item = Item.parse(parse_json(read_bytes(path), str(path)), str(path))
                except BadInput:
                    continue
                self.seen[folder.name] += 1
                yield item, folder.name == ITEMS

    def _add(self, item: Item, kept: bool) -> None:
        for instance, verdict in zip(item.plan().instances, item.report.verdicts, strict=True):
            name = instance.category or label_of(instance.caption)
            colour = asked_colour(instance.caption, instance.category) or ""
            painted = verdict.kind in PAINTED
            in_place = verdict.kind in (VerdictKind.FOUND, VerdictKind.WRONG_ATTRIBUTE)
            of_colour = verdict.kind is VerdictKind.FOUND
            _of(self.by_class, name).add(painted, kept and in_place)
            _of(self.by_pair, (name, colour)).add(painted, kept and of_colour)
            _of(self.by_colour, colour or "any").add(painted, kept and of_colour)
            if instance.extent:
                size = size_of(instance.extent.area)
                _of(self.by_size, size).add(painted, kept and in_place)
                _of(self.by_cell, (name, "", size)).add(painted, kept and in_place)
                if colour:
                    _of(self.by_cell, (name, colour, size)).add(painted, kept and of_colour)

    @property
    def rejected(self) -> int:
        return self.seen[REJECTED]


def size_of(area: float) -> str:
    """ "small", "medium" or "large", by the share of the picture."""
    return [name for name, least in SIZES.items() if area**0.5 >= least][-1]


def _of(counts: dict, key) -> Counts:
    return counts.setdefault(key, Counts())
