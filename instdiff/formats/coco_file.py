"""A file of COCO annotations: checked as a whole in one pass, then read image by image."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np

from instdiff.errors import BadInput
from instdiff.formats import coco_records as records
from instdiff.formats.coco_records import Identity, Places, canvas_size, identity
from instdiff.formats.fields import sequence
from instdiff.formats.files import decode_text, read_bytes
from instdiff.formats.json_lists import JsonList, JsonLists
from instdiff.formats.tally import Tally

MAX_COCO_BYTES = 2**30  # the training annotations of COCO 2017 have 450 MB
LISTS = ("images", "annotations", "categories")
NOWHERE = -1  # the place of an image that is left out
NO_BOX = (np.nan,) * 4

NO_RECORD = "records left out, as they are no objects"
NO_ID = "images left out, as they have no id"
NO_SIZE = "images left out, as they have no width and height in pixels"
NO_IMAGE = "annotations left out, as their image is not in the file"
NO_SIZED_IMAGE = "annotations left out with their image"
NO_NAME = "annotations left out, as nothing names their category"
NO_PLACE = "annotations left out, as they have no box or outline on their picture"
REGIONS = "crowd regions (iscrowd) left out, as they are no single things"
BRUSHES = "crowd regions (iscrowd) taken as single things: all masks are marked so, as CVAT writes brushes"
ASKED = "crowd regions (iscrowd) taken as single things, as is asked for"

FRACTIONS = "multiply fractions by the width and height of their picture"

_canvas_size = lru_cache(1000)(canvas_size)  # most pictures of a file have one of a few sizes

Crowd = Literal["auto", "instances", "regions"]
CROWD_HELP = "annotations with iscrowd: single things or regions (auto: things if all masks are marked so and drawn)"
USED, REGION, LEFT_OUT = range(3)  # what becomes of an annotation


def read_coco(source: dict | bytes | str | Path, crowd: Crowd = "auto", name: str = "") -> CocoFile:
    """Annotations from parsed JSON, the content of a file, or a path.

    Args:
        crowd: see `CocoFile`.
        name: what errors call the source, where it is no path.

    Raises:
        BadInput: the source cannot be read; see `CocoFile`.
    """
    if isinstance(source, dict):
        return CocoFile(source.items(), name or "annotations file", crowd)
    if not isinstance(source, bytes):
        name = str(source)
        source = read_bytes(source, MAX_COCO_BYTES)
    return CocoFile(JsonLists(decode_text(source, name), name).members(LISTS), name, crowd)


class CocoFile:
    """Annotations in COCO's format, checked as a whole; they are read again for the images that are asked for.

    One odd record never costs the file: what cannot be used is left out or mended, and ``findings`` say what and how
    often. Boxes are ``[x, y, width, height]`` in pixels: nothing asks whether they might be corners.

    Args:
        members: the lists of the file by their names, in the order of the file.
        source: the file's name.
        crowd: what annotations with ``iscrowd`` are: ``regions`` that are no things, ``instances``, or ``auto``:
            regions, unless every mask of the file is marked so and there is no polygon, as CVAT writes what was painted
            with a brush.

    Raises:
        BadInput: a list is missing, an id names two records, or there are annotations of which not one can be used.
    """

    def __init__(self, members: Iterable[tuple[str, object]], source: str, crowd: Crowd = "auto"):
        self.source = source
        self.images: list[dict] = []  # their records, each with an id, a width, a height and a caption
        self.findings = Tally()
        self._positions: dict[Identity, int] = {}  # id of an image -> its place in `images`
        self._names: dict[Identity | None, str] = {}  # id of a category -> its name
        self._annotations: Sequence[object] = ()
        self._seen = _Seen()
        self._read(members)
        self._leave_out_nameless()
        self._decide_crowd(crowd)
        self._group()
        if self.written and not self.count:
            crowds = [f"{REGIONS}: {self.regions}"] if self.regions else []
            reasons = "; ".join([*self.findings.sentences, *crowds])
            raise BadInput(source, f"0 of {self.written} annotations can be used; {reasons}")
        if self.count and bool((self.boxes[:, 2:] <= 1).all()):  # NaN, of what has no box, is not
            raise BadInput(source, f"all {self.count} boxes lie within 0..1 and pixels are expected; {FRACTIONS}")

    @property
    def notes(self) -> list[str]:
        """What was left out or mended, one sentence for each kind; crowd regions, of which there may be some, apart."""
        is_short = self.count + self.regions < self.written
        share = [f"{self.count} of {self.written} annotations are used"] if is_short else []
        return share + self.findings.sentences

    @property
    def regions(self) -> int:
        """How many annotations are crowd regions."""
        return self._seen.state.count(REGION)

    @property
    def written(self) -> int:
        """How many annotations the file holds."""
        return len(self._seen.state)

    @property
    def count(self) -> int:
        """How many of them are used."""
        return self._seen.state.count(USED)

    @property
    def counts(self) -> list[int]:
        """How many of them are used, of each image."""
        return np.bincount(self.image_of, minlength=len(self.images)).tolist()

    @property
    def image_of(self) -> np.ndarray:
        """(N,) place in `images` of each annotation that is used, N = ``count``."""
        return np.array(self._seen.image_of, np.int64)[self._is(USED)]

    @property
    def boxes(self) -> np.ndarray:
        """(N, 4) x0, y0, x1, y1 in pixels of each annotation that is used; NaN where it has no box."""
        return np.array(self._seen.boxes).reshape(-1, 4)[self._is(USED)]

    @property
    def areas(self) -> np.ndarray:
        """(N,) area of each annotation that is used, in square pixels."""
        return np.array(self._seen.areas)[self._is(USED)]

    def annotations(self, position: int) -> list[dict]:
        """The annotations of an image, in the order of the file, crowd regions too, as they are meant.

        Each has ``id`` (a number), ``category_name``, ``caption`` (may be empty), ``bbox`` (on the picture; None where
        it has a point or scribble alone), ``area`` (above 0), ``iscrowd`` (0 or 1), ``segmentation`` (what can be drawn
        of it, or an empty list) and the same as ``outline``; other keys stand as they are written.
        """
        first, last = self._bounds[position : position + 2]
        return [self._annotation(int(index), position) for index in self._order[first:last]]

    def _annotation(self, index: int, position: int) -> dict:
        anno = self._annotations[index]
        assert isinstance(anno, dict)  # others are left out
        places = records.read_places(anno, *self._sizes(position))
        own = identity(anno.get("id"))
        x0, y0, x1, y1 = places.box or NO_BOX
        undrawn = {} if places.has_drawing else {"point": None, "scribble": None}
        return {
            **anno,
            **undrawn,
            "id": own if isinstance(own, int) else index + 1,
            "image_id": self.images[position]["id"],
            "category_name": self._names.get(identity(anno.get("category_id"))) or records.own_name(anno),
            "caption": records.caption_of(anno, records.MAX_CAPTION)[0],
            "bbox": [x0, y0, x1 - x0, y1 - y0] if places.box else None,
            "area": records.area_px(anno, places.box),
            "iscrowd": int(self._seen.state[index] == REGION),
            "segmentation": places.outline.rings or places.outline.runs or [],
            "outline": places.outline,
        }

    def _read(self, members: Iterable[tuple[str, object]]) -> None:
        met: set[str] = set()
        for name, value in members:
            if name not in LISTS:
                continue
            if name in met:
                raise BadInput(name, "is there twice")
            met.add(name)
            elements = _elements(value, name)
            if name == "images":
                self._read_images(elements)
            elif name == "categories":
                self._read_categories(elements)
            else:
                self._annotations = value if isinstance(value, JsonList) else sequence(value, name)
                for index, anno in enumerate(elements):
                    if "images" in met:  # else they are looked at when the images are known
                        self._check(index, anno)
        for name in ("images", "annotations"):
            if name not in met:
                raise BadInput(name, "must be a list, and there is none")
        if not self.written:
            for index, anno in enumerate(self._annotations):
                self._check(index, anno)

    def _read_images(self, elements: Iterator[object]) -> None:
        first: dict[Identity, int] = {}
        for index, record in enumerate(elements):
            where = f"images[{index}]"
            if not isinstance(record, dict):
                self.findings.add(NO_RECORD, where)
                continue
            own = identity(record.get("id"))
            if own is None:
                self.findings.add(NO_ID, where)
                continue
            _refuse_second(first, own, index, "images")
            size = records.picture_size(record)
            self._positions[own] = len(self.images) if size else NOWHERE
            if not size:
                self.findings.add(NO_SIZE, f"image {own}")
                continue
            caption, is_odd = records.caption_of(record, records.MAX_SCENE)
            if is_odd:
                self.findings.add(records.NO_CAPTION, f"image {own}")
            self.images.append({**record, "id": own, "width": size[0], "height": size[1], "caption": caption})

    def _read_categories(self, elements: Iterator[object]) -> None:
        first: dict[Identity, int] = {}
        for index, record in enumerate(elements):
            if not isinstance(record, dict):
                self.findings.add(NO_RECORD, f"categories[{index}]")
                continue
            own = identity(record.get("id"))
            if own is not None:
                _refuse_second(first, own, index, "categories")
                self._names[own] = records.category_name(record)

    def _check(self, index: int, anno: object) -> None:
        """Look at an annotation; what it is like is kept, not the annotation."""
        seen = self._seen
        if not isinstance(anno, dict):
            self.findings.add(NO_RECORD, f"annotations[{index}]")
            return seen.add(LEFT_OUT)
        own = identity(anno.get("id"))
        if own is not None:
            _refuse_second(seen.first, own, index, "annotations")
        position = self._positions.get(identity(anno.get("image_id")))  # type: ignore[arg-type]  # None is no key
        if position is None or position == NOWHERE:
            self.findings.add(NO_IMAGE if position is None else NO_SIZED_IMAGE, lambda: _label(anno, index))
            return seen.add(LEFT_OUT)
        places = records.read_places(anno, *self._sizes(position))
        for fault in places.faults:
            self.findings.add(fault, lambda: _label(anno, index))
        if records.caption_of(anno, records.MAX_CAPTION)[1]:
            self.findings.add(records.NO_CAPTION, lambda: _label(anno, index))
        if not places.box and not places.has_drawing:
            self.findings.add(NO_PLACE, lambda: _label(anno, index))
            return seen.add(LEFT_OUT)
        area = records.area_px(anno, places.box)
        seen.add(
            seen.crowd_state(anno, places), position, identity(anno.get("category_id")), area, places.box or NO_BOX
        )

    def _leave_out_nameless(self) -> None:
        numbers = [number for own, number in self._seen.categories.items() if not self._names.get(own)]
        nameless = np.isin(np.array(self._seen.category_of, np.int64), numbers) & ~self._is(LEFT_OUT)
        for index in np.flatnonzero(nameless).tolist():
            anno = self._annotations[index]
            if not records.own_name(anno):  # type: ignore[arg-type]  # what is no object is left out
                self._seen.state[index] = LEFT_OUT
                self.findings.add(NO_NAME, lambda index=index: self._label(index))  # type: ignore[misc]

    def _decide_crowd(self, crowd: Crowd) -> None:
        if crowd == "instances" or (crowd == "auto" and self._seen.is_brushed):
            kind = ASKED if crowd == "instances" else BRUSHES
            for index in np.flatnonzero(self._is(REGION)).tolist():
                self.findings.add(kind, lambda index=index: self._label(index))  # type: ignore[misc]
                self._seen.state[index] = USED

    def _group(self) -> None:
        """The annotations by image: those of image i are at ``_bounds[i]`` to ``_bounds[i + 1]`` of ``_order``."""
        image_of = np.array(self._seen.image_of, np.int64)
        order = np.argsort(image_of, kind="stable")
        self._order = order[~self._is(LEFT_OUT)[order]]
        self._bounds = np.searchsorted(image_of[self._order], np.arange(len(self.images) + 1))

    def _is(self, state: int) -> np.ndarray:
        return np.frombuffer(self._seen.state, np.uint8) == state

    def _sizes(self, position: int) -> tuple[tuple[int, int], tuple[int, int]]:
        """(width, height) of an image in pixels, and of the canvas on which its outlines are drawn."""
        size = self.images[position]["width"], self.images[position]["height"]
        return size, _canvas_size(size)

    def _label(self, index: int) -> str:
        anno = self._annotations[index]
        return _label(anno if isinstance(anno, dict) else {}, index)


class _Seen:
    """What is kept of each annotation: some 60 bytes."""

    def __init__(self) -> None:
        self.first: dict[Identity, int] = {}  # id -> its place
        self.categories: dict[Identity | None, int] = {}  # id of a category -> its number in `category_of`
        self.state = bytearray()
        self.image_of = array("q")
        self.category_of = array("q")
        self.areas = array("d")
        self.boxes = array("d")
        self.polygons = 0
        self.masks = 0  # run lengths of single things
        self.crowd_masks = 0
        self.single_things = 0

    def add(
        self,
        state: int,
        position: int = NOWHERE,
        category: Identity | None = None,
        area: float = 0.0,
        box: tuple[float, ...] = NO_BOX,
    ) -> None:
        self.state.append(state)
        self.image_of.append(position)
        self.category_of.append(self.categories.setdefault(category, len(self.categories)))
        self.areas.append(area)
        self.boxes.extend(box)

    def crowd_state(self, anno: dict, places: Places) -> int:
        """Whether an annotation is one thing or a region; how many of each have masks is counted."""
        crowd = records.is_crowd(anno)
        self.polygons += bool(places.outline.rings)
        self.single_things += not crowd
        if places.outline.runs:
            self.crowd_masks += crowd
            self.masks += not crowd
        return REGION if crowd else USED

    @property
    def is_brushed(self) -> bool:
        """Whether ``iscrowd`` says how things were drawn, and not that they are many."""
        return not self.polygons and not self.masks and (self.crowd_masks > 0 or not self.single_things)


def _elements(value: object, name: str) -> Iterator[object]:
    if isinstance(value, JsonList):
        return value.first_pass()
    return iter(() if value is None and name == "categories" else sequence(value, name))


def _refuse_second(first: dict[Identity, int], own: Identity, index: int, name: str) -> None:
    """Raise BadInput where a record of this id was met before."""
    before = first.setdefault(own, index)
    if before != index:
        shown = f'"{own[:80]}"' if isinstance(own, str) else own
        raise BadInput(f"{name}[{index}].id", f"{shown} is the id of {name}[{before}] too; give each its own")


def _label(anno: dict, index: int) -> str:
    own = identity(anno.get("id"))
    return f"annotations[{index}]" if own is None else f"annotation {str(own)[:80]}"
