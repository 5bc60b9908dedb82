"""The folder of a dataset. What lies in ``items`` and ``rejected`` is the truth about what is done.

    items/000012.png      the picture, with its layout and settings
    items/000012.json     its annotations and where they come from; written last, so that an item is whole or not there
    items/manifest.json   what all pictures were painted with, and their hashes (see `evaluators.manifest`)
    items/review.json     what a person says of them, with items/corrected/ (see `agent.dataset.review`)
    rejected/000013.json  what did not pass
    plans/000012.json     the plan of each candidate, so that no planner is asked twice
    failed.jsonl          what could not be made, and why
    asked.json            the largest count that was ever asked for
    recipe.json           how it is made, so that what is damaged can be made again
    damaged/              what took the place of damaged items was here before

Nothing that was made is ever removed. What was made beyond the count waits in ``items`` for a larger one: it stands in
no manifest, and is in no export.

Any number of processes may write at once: each file is written whole under its own temporary name, and two that make
the same item make the same files.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout
from pydantic import Field, model_validator

from agent.runs import clear_unfinished, write_json
from evaluators import manifest as manifests
from evaluators.manifest import Manifest, Picture
from evaluators.report import Detection, Report
from instdiff.errors import BadInput
from instdiff.formats import layout_from_json, write_png
from instdiff.formats.files import parse_json, read_bytes, write_bytes
from instdiff.layout import Layout
from instdiff.values import Value
from prompts.usage import Usage

if TYPE_CHECKING:
    from PIL.Image import Image

ITEMS = "items"
REJECTED = "rejected"
FAILED = "failed"
ASKED = "asked.json"
RECIPE = "recipe.json"


class Item(Value):
    """One candidate that was decided: ``annotated`` are the indices of the instances to annotate, none if it failed.

    ``painted_out`` are those that were painted over, as they were not verified: they are neither labelled nor ignored.
    ``seen`` is all that the verifier saw on the picture, of every class that it knows, whether planned or not and
    however unsure it was; None where nobody looked for that. ``score`` is the mean IoU of what was checked; ``usage``
    is what the planner took for it, its first plan included.
    """

    index: int = Field(ge=0)
    prompt: str
    seed: int = Field(description="of the picture's noise")
    round: int
    planner: str
    notes: tuple[str, ...] = ()
    painted_with: dict[str, str | int | float] = Field(description="what differs from the manifest's")
    layout: dict = Field(description="the JSON of InstanceDiffusion")
    annotated: tuple[int, ...]
    painted_out: tuple[int, ...] = ()
    report: Report
    seen: tuple[Detection, ...] | None = None
    score: float
    sha256: str = ""
    usage: Usage = Usage()

    @model_validator(mode="before")
    @classmethod
    def _read_older(cls, data: object) -> object:
        """Items once had a split by their prompt; they are split as they are exported (`export.splits`)."""
        return {name: value for name, value in data.items() if name != "split"} if isinstance(data, dict) else data

    @property
    def key(self) -> str:
        return key_of(self.index)

    def plan(self) -> Layout:
        """The whole layout, as it was painted."""
        return layout_from_json(self.layout, boxes="xywh")


class FailedCandidate(Value):
    """A candidate that could not be made."""

    index: int
    prompt: str
    error: str


class Asked(Value):
    """How many items a folder is to hold: the largest number that a command was given."""

    count: int = Field(ge=1)


def key_of(index: int) -> str:
    """What the files of a candidate are called."""
    return f"{index:06d}"


class Folder:
    """A dataset's folder. Reading and writing one takes no torch."""

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.items = self.path / ITEMS
        self.rejected = self.path / REJECTED
        self.failed = self.path / FAILED
        self.plans = self.path / "plans"

    def open(self, made_with: dict[str, str | int | float]) -> None:
        """Make the folder, or go on with it; what a killed process was writing is removed, what failed is forgotten.

        Raises:
            BadInput: its pictures were made with something else; the difference is named.
        """
        try:
            for folder in (self.items, self.rejected, self.failed, self.plans):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BadInput("folder", f"{self.path} cannot be written to: {error.strerror}") from error
        manifest = manifests.open_manifest(self.items, made_with, "another FOLDER")
        clear_unfinished(self.path)
        for path in self.failed.glob("*.json"):
            path.unlink()
        if not (self.items / manifests.FILE).exists():
            self._write_manifest(manifest)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep others from starting on the same folder, with a lock of the operating system: it goes with its process.

        Raises:
            BadInput: another process is working on the folder.
        """
        lock = FileLock(self.path / ".lock", timeout=0)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except Timeout as error:
            raise BadInput("folder", f"{self.path} is being worked on by another process") from error
        except OSError as error:
            raise BadInput("folder", f"{self.path} cannot be written to: {error.strerror}") from error
        try:
            yield
        finally:
            lock.release()

    def ask(self, count: int | None, default: int) -> int:
        """How many items a command is to make. The largest number so far is written down for `finish`.

        Args:
            count: as it was given; None asks for as many as before, and for ``default`` at least.
        """
        before = self._asked() or len(self._listed()) or len(list(self.items.glob("[0-9]*.json")))
        asked = count or max(default, before)
        write_json(self.path / ASKED, Asked(count=max(asked, before)).model_dump())
        return asked

    def _asked(self) -> int:
        path = self.path / ASKED
        return Asked.parse(parse_json(read_bytes(path), str(path)), str(path)).count if path.exists() else 0

    @cached_property
    def made_with(self) -> dict[str, str | int | float]:
        """What all pictures are made with, as the manifest says it."""
        return manifests.read_manifest(self.items).painted_with

    def decided(self) -> dict[int, str]:
        """What became of each candidate: ``items``, ``rejected`` or ``failed``."""
        folders = (self.failed, self.rejected, self.items)
        return {int(path.stem): folder.name for folder in folders for path in folder.glob("[0-9]*.json")}

    def keep(self, item: Item, image: Image) -> None:
        """Write an item: the picture first. What is there already stays as it is."""
        if (self.items / f"{item.key}.json").exists():
            return
        path = self.items / f"{item.key}.png"
        write_png(image, path, item.plan(), {**self.made_with, **item.painted_with, "seed": item.seed})
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        write_json(path.with_suffix(".json"), item.model_copy(update={"sha256": sha256}).model_dump(mode="json"))

    def reject(self, item: Item) -> None:
        """Write down that a candidate did not pass."""
        write_json(self.rejected / f"{item.key}.json", item.model_dump(mode="json"))

    def fail(self, failure: FailedCandidate) -> None:
        """Write down that a candidate could not be made; another start of the command tries again."""
        write_json(self.failed / f"{key_of(failure.index)}.json", failure.model_dump(mode="json"))

    def members(self) -> list[int]:
        """The numbers of the items that make up the set: all that there are, or the first as soon as these are enough.

        What stands in the manifest once stays in the set.
        """
        decided = self.decided()
        first_items = items_before_a_gap(decided)
        last = max(decided, default=-1)
        if (asked := self._asked()) and len(first_items) >= asked:
            last = max(first_items[asked - 1], max(map(int, self._listed()), default=-1))
        return sorted(index for index, became in decided.items() if became == ITEMS and index <= last)

    def read(self, damaged: dict[str, str] | None = None) -> Iterator[Item]:
        """The items of the set in the order of their numbers, one at a time.

        Args:
            damaged: takes the keys of items that cannot be read, and why, and the others are read on; without it the
                first of them is an error.

        Raises:
            BadInput: an item cannot be read.
        """
        for index in self.members():
            try:
                yield self.item(index)
            except BadInput as error:
                if damaged is None:
                    raise
                damaged[key_of(index)] = str(error)

    def item(self, index: int) -> Item:
        """One item. Raises BadInput if its file cannot be read."""
        path = self.items / f"{key_of(index)}.json"
        return Item.parse(parse_json(read_bytes(path), str(path)), str(path))

    def is_whole(self, item: Item) -> bool:
        """True if the picture of an item is the one that was painted."""
        path = self.items / f"{item.key}.png"
        return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == item.sha256

    def failures(self) -> list[FailedCandidate]:
        paths = sorted(self.failed.glob("*.json"))
        return [FailedCandidate.parse(parse_json(read_bytes(path), str(path))) for path in paths]

    def finish(self, count: int, stopped: bool = False) -> Manifest:
        """Write ``failed.jsonl`` and the manifest. What stands in the manifest once is never removed.

        As soon as the largest count that was ever asked for is reached, with all candidates before it decided, what
        several processes made beyond it is left out, so that the same command always leaves the same set.

        Args:
            count: 0 where there is none: all items are of the set.
            stopped: not everything could be made. Items after a candidate that is not decided stay, but not in the
                manifest: they may lie beyond the count.
        """
        clear_unfinished(self.path)
        if count > self._asked():
            write_json(self.path / ASKED, Asked(count=count).model_dump())
        lines = [failure.model_dump_json() + "\n" for failure in self.failures()]
        write_bytes(self.path / "failed.jsonl", "".join(lines).encode())
        before = self._listed()
        last = max(self.members(), default=-1)
        if stopped and self._asked():
            last = min(last, max(unbroken(self.decided()).stop - 1, max(map(int, before), default=-1)))
        read = {item.key: Picture(key=item.key, seed=item.seed, sha256=item.sha256) for item in self.read({})}
        listed = before | {key: picture for key, picture in read.items() if int(key) <= last}
        pictures = tuple(listed[key] for key in sorted(listed))
        manifest = manifests.read_manifest(self.items).model_copy(update={"pictures": pictures})
        self._write_manifest(manifest)
        return manifest

    def _listed(self) -> dict[str, Picture]:
        """The pictures that stand in the manifest, by key; none where there is none yet."""
        if not (self.items / manifests.FILE).exists():
            return {}
        return {picture.key: picture for picture in manifests.read_manifest(self.items).pictures}

    def _write_manifest(self, manifest: Manifest) -> None:
        write_bytes(self.items / manifests.FILE, json.dumps(manifest.model_dump(), indent=1).encode() + b"\n")


def unbroken(decided: dict[int, str]) -> range:
    """The candidates from the first on up to the first that is not decided."""
    return range(next(index for index in range(len(decided) + 1) if index not in decided))


def items_before_a_gap(decided: dict[int, str]) -> list[int]:
    """The items that have only decided candidates before them: the first of the dataset, whatever else is made."""
    return [index for index in unbroken(decided) if decided[index] == ITEMS]
