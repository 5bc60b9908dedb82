"""Files of other tools, told apart by what is in them: one picture or many, each with its layout."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path, PurePosixPath

from instdiff.errors import BadInput
from instdiff.formats import cvat, datumaro, fiftyone, label_studio, labelme, yolo
from instdiff.formats.coco import CocoLayouts, layouts_to_coco
from instdiff.formats.coco_file import Crowd, read_coco
from instdiff.formats.files import MAX_FILE_BYTES, decode_text, read_bytes, write_bytes
from instdiff.formats.json_lists import JsonLists
from instdiff.formats.named_layouts import NamedLayouts, named_layouts, warn
from instdiff.formats.parts import labels_of
from instdiff.formats.pictures import Findings, NamedLayout, Picture, base_name

FORMS = ("labelme", "label-studio", "cvat", "yolo", "datumaro", "fiftyone", "coco")
ARCHIVES = {b"PK\x03\x04": "zip", b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}


def read_annotations(path: Path, content: bytes, crowd: Crowd = "auto") -> NamedLayouts | None:
    """The pictures of a file of another tool; None if it is none, and may be a layout of this project.

    Args:
        crowd: what annotations of COCO with ``iscrowd`` are, see `CocoFile`.

    Raises:
        BadInput: it is one, and cannot be read.
    """
    source = str(path)
    for start, kind in ARCHIVES.items():
        if content.startswith(start):
            raise BadInput(source, f"is a {kind} archive; unpack it, and give the file with the annotations")
    findings = Findings()
    if path.suffix.lower() == ".txt":
        return named_layouts([yolo.read_file(path, findings)], findings, source)
    if path.suffix.lower() == ".xml" or content.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        return named_layouts(cvat.read(content, source, findings), findings, source)
    if len(content) > MAX_FILE_BYTES:  # too large for what the others become in memory
        return coco_set(content, source, crowd)
    data = _parse(content, source)
    if isinstance(data, dict) and "annos" not in data and "images" in data and "annotations" in data:
        return coco_set(data, source, crowd)
    pictures = _read_json(data, path, findings)
    return None if pictures is None else named_layouts(pictures, findings, source)


def coco_set(data: dict | bytes, source: str, crowd: Crowd = "auto") -> NamedLayouts:
    """The pictures of COCO annotations by their names; what is odd in them is said."""
    layouts = CocoLayouts(read_coco(data, crowd, source))
    warn(layouts.notes, source)
    return NamedLayouts(layouts)


def read_folder(folder: Path) -> NamedLayouts | None:
    """The pictures of a folder of label files of YOLO, or of files of labelme; None if it holds neither.

    Raises:
        BadInput: one of them cannot be read.
    """
    findings = Findings()
    labels = yolo.label_files(folder)
    if labels:
        return named_layouts([yolo.read_file(path, findings) for path in labels], findings, str(folder))
    files = [path for path in sorted(folder.glob("*.json")) if path.is_file()]
    found = [(path, _parse(read_bytes(path), str(path))) for path in files]
    pictures = [
        labelme.read(data, path, findings) for path, data in found if isinstance(data, dict) and "shapes" in data
    ]
    return named_layouts(pictures, findings, str(folder)) if found and len(pictures) == len(found) else None


def _parse(content: bytes, source: str) -> object:
    """JSON in which NaN and infinity spoil one number, not the file."""
    text = decode_text(content, source)
    lists = JsonLists(text, source)
    value, end = lists.value(lists.skip(0))
    if lists.skip(end) != len(text):
        raise BadInput(source, "is not JSON: something follows after its end")
    return value


def _read_json(data: object, path: Path, findings: Findings) -> list[Picture] | None:
    source = str(path)
    if isinstance(data, list):
        if any(map(label_studio.is_task, data)):
            return label_studio.read(data, source, findings)
        if data and all(isinstance(one, dict) and "bbox" in one for one in data):
            raise BadInput(source, "holds detections without their pictures; give the annotations that they belong to")
        return None
    if not isinstance(data, dict) or "annos" in data:
        return None
    if isinstance(data.get("shapes"), list):
        return [labelme.read(data, path, findings)]
    if isinstance(data.get("items"), list) and isinstance(data.get("categories"), dict):
        return datumaro.read(data, source, findings)
    if fiftyone.is_export(data):
        return fiftyone.read(data, path, findings)
    if label_studio.is_task(data):
        return label_studio.read(data, source, findings)
    for own, missing in (("imagePath", "shapes"), ("annotations", "images")):  # labelme, COCO
        if own in data and not isinstance(data.get(missing), list):
            raise BadInput(f"{source}.{missing}", f'must be a list beside "{own}", and there is none')
    return None


def save_annotations(layouts: Iterable[NamedLayout], out: Path, form: str) -> None:
    """Write pictures as another tool reads them.

    Args:
        layouts: file names of the pictures, and what is on them.
        out: a file; a folder for ``yolo`` and, of more than one picture, ``labelme``.
        form: one of `FORMS`.

    Raises:
        BadInput: the form is not known, has no place for an instance, or ``out`` cannot be written.
    """
    if form not in FORMS:
        raise BadInput("form", f'"{form}" is not known; choose from {", ".join(FORMS)}')
    named = list(layouts)
    if form == "labelme":
        _save_labelme(named, out)
    elif form == "yolo":
        _save_yolo(named, out)
    else:
        write_bytes(out, CONTENTS[form](named))


def _named_coco(layouts: Sequence[NamedLayout]) -> dict:
    data = layouts_to_coco([layout for _, layout in layouts])
    for record, (name, _) in zip(data["images"], layouts, strict=True):
        record["file_name"] = name
    return data


def _save_labelme(layouts: Sequence[NamedLayout], out: Path) -> None:
    if len(layouts) == 1 and out.suffix.lower() == ".json":
        write_bytes(out, _json(labelme.write(*layouts[0])))
        return
    _make_folder(out)
    for stem, (name, layout) in zip(_stems(layouts), layouts, strict=True):
        write_bytes(out / f"{stem}.json", _json(labelme.write(name, layout)))


def _save_yolo(layouts: Sequence[NamedLayout], out: Path) -> None:
    """Label files under ``labels``; the pictures belong under ``images``."""
    labels = labels_of(layouts)
    outlines = yolo.have_outlines(layouts)
    _make_folder(out / yolo.LABELS)
    for stem, (_, layout) in zip(_stems(layouts), layouts, strict=True):
        write_bytes(out / yolo.LABELS / f"{stem}.txt", yolo.write(layout, labels, outlines))
    write_bytes(out / "data.yaml", yolo.data_file(labels, yolo.IMAGES, yolo.IMAGES))


def _stems(layouts: Sequence[NamedLayout]) -> list[str]:
    """What the files of pictures are called that have one each: as the pictures, which tools find them by.

    Raises:
        BadInput: two would have one file.
    """
    stems: dict[str, str] = {}
    for name, _ in layouts:
        stem = re.sub(r'[\x00-\x1f"*:<>?|]', "_", PurePosixPath(base_name(name)).stem)
        if stem in stems:
            raise BadInput(name[:80], f"would have one file with {stems[stem][:80]}; give pictures names of their own")
        stems[stem] = name
    return list(stems)


# One file of many pictures, by its form.
CONTENTS: dict[str, Callable[[Sequence[NamedLayout]], bytes]] = {
    "cvat": cvat.write,
    "coco": lambda layouts: _json(_named_coco(layouts)),
    "datumaro": lambda layouts: _json(datumaro.write(layouts)),
    "fiftyone": lambda layouts: _json(fiftyone.write(layouts)),
    "label-studio": lambda layouts: _json(label_studio.write(layouts)),
}


def _make_folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(str(out), f"cannot be made: {error.strerror}") from error


def _json(data: object) -> bytes:
    return (json.dumps(data, ensure_ascii=False, allow_nan=False) + "\n").encode()
