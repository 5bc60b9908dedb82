"""CVAT's XML, version 1.1, of images and of video; it has no document types, so no entity is ever unfolded.

By hand with expat, where defusedxml would keep the whole tree in memory: a file has a line for each shape.
"""

from __future__ import annotations

import re
import xml.sax.saxutils as escaping
from collections.abc import Iterable, Iterator, Sequence
from xml.parsers import expat

import numpy as np

from instdiff import rle
from instdiff.errors import BadInput
from instdiff.formats.fields import numbers_in
from instdiff.formats.parts import caption_beside, crop_to_mask, label_of, labels_of, parts_of
from instdiff.formats.pictures import NO_PLACE, Findings, NamedLayout, Picture, Size, named, read_size
from instdiff.formats.places import (
    MAX_MASK_PIXELS,
    box_place,
    ellipse_place,
    line_place,
    mask_place,
    pairs_in,
    ring_place,
)
from instdiff.layout import Instance, Layout

SHAPES = ("box", "polygon", "polyline", "points", "mask", "ellipse", "cuboid", "skeleton", "tag")
CAPTION = "caption"  # the attribute of a shape that says more than its label, and the tag with that of the picture
MAX_TEXT = 20_000  # letters of one value between tags
_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def read(content: bytes, source: str, findings: Findings) -> list[Picture]:
    """The pictures of a file; of a video, the frames that have shapes.

    An attribute ``caption`` is a caption; shapes of one label and group are one thing.

    Raises:
        BadInput: it is no XML of CVAT, or has a document type.
    """
    reader = _Reader(source, findings)
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = reader.refuse_doctype
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    try:
        parser.Parse(content, True)
    except expat.ExpatError as error:
        place = f"line {error.lineno}, column {error.offset + 1}"
        raise BadInput(source, f"is not XML: {place}: {expat.ErrorString(error.code)}") from error
    except (ValueError, LookupError) as error:  # an encoding that there is not
        raise BadInput(source, "is not XML: its encoding is not known") from error
    return reader.finished()


class _Reader:
    """What the parser calls; what is not drawn on a picture passes by."""

    def __init__(self, source: str, findings: Findings):
        self._source = source
        self._findings = findings
        self._pictures: list[Picture] = []
        self._frames: dict[int, Picture] = {}
        self._depth = 0
        self._track: dict | None = None
        self._picture: Picture | None = None
        self._shape: tuple[str, dict] | None = None
        self._attributes: dict[str, str] = {}  # of the shape
        self._attribute: str | None = None
        self._text: list[str] = []
        self._length = 0
        self._original: dict[str, int] = {}  # size of a video's frames

    def refuse_doctype(self, *_: object) -> None:
        raise BadInput(self._source, "has a document type (DOCTYPE), which could unfold without end; CVAT writes none")

    def start(self, tag: str, values: dict[str, str]) -> None:
        self._depth += 1
        self._text = []
        self._length = 0
        if self._depth == 1 and tag != "annotations":
            known = "; it may be Pascal VOC, which is not read" if tag == "annotation" else ""
            raise BadInput(self._source, f"is no XML of CVAT: it begins with <{tag[:40]}>, not <annotations>{known}")
        if tag == "image":
            self._picture = Picture(values.get("name") or values.get("id", ""), _size(values))
            self._pictures.append(self._picture)
        elif tag == "track":
            self._track = values
        elif self._shape is None and tag in SHAPES and (self._picture or self._track):
            self._shape = tag, values
            self._attributes = {}
        elif tag == "attribute" and self._shape:
            self._attribute = values.get("name")
        elif tag == "original_size":
            self._original = {}

    def text(self, text: str) -> None:
        self._length += len(text)
        if self._length <= MAX_TEXT:
            self._text.append(text)

    def end(self, tag: str) -> None:
        self._depth -= 1
        if tag in ("width", "height") and not self._shape and not self._picture:
            text = "".join(self._text).strip()
            if text.isascii() and text.isdigit() and len(text) < 9:
                self._original.setdefault(tag, int(text))
        elif tag == "attribute" and self._shape and self._attribute:
            self._attributes[self._attribute] = "".join(self._text).strip()
            self._attribute = None
        elif self._shape and tag == self._shape[0]:
            self._add(*self._shape)
            self._shape = None
        elif tag == "image":
            self._picture = None
        elif tag == "track":
            self._track = None
        self._text = []

    def finished(self) -> list[Picture]:
        """All pictures of the file."""
        size = self._original.get("width"), self._original.get("height")
        for picture in self._frames.values():
            picture.size = picture.size or (size if all(size) else None)  # type: ignore[assignment]
        return self._pictures + [self._frames[frame] for frame in sorted(self._frames)]

    def _add(self, tag: str, values: dict[str, str]) -> None:
        if self._track is not None:
            values = {**self._track, **values, "group_id": ""}
        picture = self._picture or self._frame(values.get("frame", ""))
        where = f"{tag} of {picture.name[:80]}"
        if values.get("outside") == "1":
            return  # a thing of a video that has left the picture
        label = named(values.get("label"))
        if tag == "tag":
            return self._read_tag(picture, label, where)
        size = picture.size or self._frame_size()
        caption = next((text for name, text in self._attributes.items() if name.lower() == CAPTION), "")
        group = values.get("group_id", "").strip() or "0"
        words = tag, caption, None if group == "0" else group
        picture.add(self._findings, where, label, lambda: _place(tag, values, size), *words)

    def _frame_size(self) -> Size | None:
        return (self._original["width"], self._original["height"]) if len(self._original) == 2 else None

    def _frame(self, text: str) -> Picture:
        frame = int(text) if text.isascii() and text.isdigit() and len(text) < 19 else -1
        return self._frames.setdefault(frame, Picture(f"frame_{frame:06d}" if frame >= 0 else "no frame", None))

    def _read_tag(self, picture: Picture, label: str | None, where: str) -> None:
        if label == CAPTION:
            picture.caption = self._attributes.get("text", "")
            picture.negative_caption = self._attributes.get("negative", "")
        else:
            self._findings.add(NO_PLACE, where)


def _size(values: dict[str, str]) -> Size | None:
    return read_size(values.get("width"), values.get("height"))


def _place(tag: str, values: dict[str, str], size: Size | None) -> dict | None:
    """Where a shape is; None if its kind is not read."""
    if tag == "box":
        return box_place(*_numbers(values, "xtl", "ytl", "xbr", "ybr"), *_numbers(values, "rotation", default="0"))
    if tag == "ellipse":
        return ellipse_place(*_numbers(values, "cx", "cy", "rx", "ry"), *_numbers(values, "rotation", default="0"))
    if tag == "polygon":
        return ring_place(pairs_in(values.get("points")))
    if tag in ("polyline", "points"):
        return line_place(pairs_in(values.get("points")))
    if tag == "mask" and size:
        return _read_mask(values, size)
    return None


def _numbers(values: dict[str, str], *keys: str, default: str = "") -> list[float]:
    return numbers_in([values.get(key, default) for key in keys])


def _read_mask(values: dict[str, str], size: Size) -> dict:
    """Run lengths row after row, of a part of the picture, beginning with zeros."""
    left, top, width, height = (int(number) for number in _numbers(values, "left", "top", "width", "height"))
    counts = np.array(numbers_in(values.get("rle")), np.int64)
    if min(width, height) < 1 or width * height > MAX_MASK_PIXELS:
        raise ValueError("no mask")
    if counts.size and (counts.min() < 0 or counts.max() > MAX_MASK_PIXELS) or counts.sum() != width * height:
        raise ValueError("runs that do not fit")
    crop = np.repeat(np.arange(len(counts)) % 2 == 1, counts).reshape(height, width)
    return mask_place(crop, left, top, size)


def write(layouts: Iterable[NamedLayout]) -> bytes:
    """The file of many pictures, which CVAT loads as "CVAT 1.1".

    The caption of a thing is its attribute ``caption``, that of the picture the attribute ``text`` of its tag
    ``caption``; things of several shapes are groups.
    """
    layouts = list(layouts)
    return b"".join(write_parts(layouts, labels_of(layouts), len(layouts)))


def write_parts(layouts: Iterable[NamedLayout], labels: Sequence[str], count: int) -> Iterator[bytes]:
    """The file of `write` in parts, one for each picture, so that many take no more memory.

    Args:
        labels: of all things, without which CVAT loads nothing.
        count: of pictures.
    """
    head = [
        '<?xml version="1.0" encoding="utf-8"?>',
        "<annotations>",
        "  <version>1.1</version>",
        *_meta(labels, count),
    ]
    yield _lines(head)
    for index, (name, layout) in enumerate(layouts):
        lines = [f"  <image{_attributes(id=index, name=name, width=layout.width, height=layout.height)}>"]
        lines += _tag(layout)
        for number, instance in enumerate(layout.instances, start=1):
            lines += _elements(instance, layout.size, number)
        yield _lines([*lines, "  </image>"])
    yield _lines(["</annotations>"])


def _lines(lines: Sequence[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def _meta(labels: Sequence[str], count: int) -> list[str]:
    """The labels with their attributes, and the tag with the captions of pictures."""
    labelled = [f"      {_label(label, (CAPTION,))}" for label in labels if label != CAPTION]
    labelled.append(f"      {_label(CAPTION, ('text', 'negative'))}")
    size = f"    <size>{count}</size>"
    return ["  <meta>", "    <task>", size, "    <labels>", *labelled, "    </labels>", "    </task>", "  </meta>"]


def _label(label: str, attributes: tuple[str, ...]) -> str:
    kind = "<mutable>False</mutable><input_type>text</input_type><default_value></default_value><values></values>"
    inner = "".join(f"<attribute><name>{name}</name>{kind}</attribute>" for name in attributes)
    return f"<label><name>{_text(label)}</name><attributes>{inner}</attributes></label>"


def _tag(layout: Layout) -> list[str]:
    captions = {"text": layout.caption, "negative": layout.negative_caption}
    inner = [_attribute(name, text) for name, text in captions.items() if text]
    return ["    <tag" + _attributes(label=CAPTION, source="manual") + ">", *inner, "    </tag>"] if inner else []


def _elements(instance: Instance, size: Size, number: int) -> list[str]:
    box, mask, line, point = parts = parts_of(instance, size)
    common = {"label": label_of(instance), "source": "manual", "occluded": 0, "z_order": 0}
    common |= {"group_id": number} if parts.are_several else {}
    drawn: list[tuple[str, dict[str, object]]] = []
    if box:
        drawn.append(("box", dict(zip(("xtl", "ytl", "xbr", "ybr"), box, strict=True))))
    if mask is not None:
        drawn.append(("mask", _runs(mask)))
    if line:
        drawn.append(("polyline", {"points": ";".join(f"{x},{y}" for x, y in line)}))
    if point:
        drawn.append(("points", {"points": f"{point[0]},{point[1]}"}))
    caption = caption_beside(instance)
    inner = [_attribute(CAPTION, caption)] if caption else []
    lines = []
    for tag, place in drawn:
        lines += [f"    <{tag}{_attributes(**common, **place)}>", *inner, f"    </{tag}>"]
    return lines


def _runs(mask: np.ndarray) -> dict[str, object]:
    crop, left, top = crop_to_mask(mask)
    counts = rle.encode(crop.T)  # which goes down columns: those of the turned mask are the rows
    height, width = crop.shape
    return {"rle": ", ".join(map(str, counts)), "left": left, "top": top, "width": width, "height": height}


def _attribute(name: str, text: str) -> str:
    return f'      <attribute name="{name}">{_text(text)}</attribute>'


def _attributes(**values: object) -> str:
    return "".join(f" {name}={escaping.quoteattr(_plain(str(value)))}" for name, value in values.items())


def _text(text: str) -> str:
    return escaping.escape(_plain(text))


def _plain(text: str) -> str:
    """Without the characters that XML cannot hold."""
    return _NOT_IN_XML.sub(" ", text)
