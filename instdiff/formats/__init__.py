"""Other people's files <-> `Layout`. The only place where pixels and ``[x, y, width, height]`` exist.

* `instdiff.formats.native`  the JSON of InstanceDiffusion, and corner boxes as language models write them
* `instdiff.formats.boxes`   what the numbers of a box mean, with the evidence
* `instdiff.formats.coco`    COCO annotations
* `instdiff.formats.other_tools`  CVAT, Datumaro, FiftyOne, Label Studio, labelme, YOLO: a module for each
* `instdiff.formats.png`     layout and settings inside a painted PNG
* `instdiff.formats.files`   files read within limits and written whole
"""

import json
from pathlib import Path

from instdiff.errors import BadInput
from instdiff.formats.boxes import BoxFormat, BoxFormatWarning, LayoutWarning, box_format
from instdiff.formats.coco import layouts_from_coco, layouts_to_coco
from instdiff.formats.coco_file import Crowd
from instdiff.formats.files import MAX_FILE_BYTES, parse_json, read_bytes, whole_file, write_bytes
from instdiff.formats.native import layout_from_json, layout_to_json
from instdiff.formats.png import SIGNATURE, read_png, write_png
from instdiff.layout import Layout

__all__ = ["BoxFormat", "BoxFormatWarning", "LayoutWarning", "box_format", "load_layout", "save_layout", "whole_file"]
__all__ += ["layout_from_json", "layout_to_json", "layouts_from_coco", "layouts_to_coco", "read_png", "write_png"]


def load_layout(path: str | Path, boxes: str = "auto", picture: str | None = None, crowd: Crowd = "auto") -> Layout:
    """Read a layout: the JSON of InstanceDiffusion, a PNG that this project painted, or annotations of another tool.

    Those are files of COCO (and LVIS), CVAT, Datumaro, FiftyOne, Label Studio, labelme and YOLO, and folders of the
    last two.

    Args:
        path: the file, at most 64 MiB, or the folder.
        boxes: ``xywh``, ``corners`` or ``auto`` (see `instdiff.formats.box_format`), of the JSON of InstanceDiffusion.
        picture: which picture of a file of many, by its file name or id; None takes the only one.
        crowd: what annotations of COCO with ``iscrowd`` are: ``regions`` that are no things, ``instances``, or ``auto``
            (see `instdiff.formats.coco_file.CocoFile`).

    Raises:
        BadInput: the file cannot be read, is no layout, does not fit its own canvas, or holds many pictures and none of
            them is named.
    """
    from instdiff.formats.other_tools import read_annotations, read_folder  # a reader for each tool

    path = Path(path)
    content = b"" if path.is_dir() else _content(path)
    if not path.is_dir() and (path.suffix.lower() == ".png" or content.startswith(SIGNATURE)):
        _refuse_picture(path, picture)
        return read_png(path)[0]
    found = read_folder(path) if path.is_dir() else read_annotations(path, content, crowd)
    if found is not None:
        return found.find(picture)
    if path.is_dir():
        raise BadInput(str(path), "is a folder without annotations of labelme or YOLO")
    _refuse_picture(path, picture)
    return layout_from_json(parse_json(content, str(path)), boxes)


def _content(path: Path) -> bytes:
    if path.is_file() and path.stat().st_size > MAX_FILE_BYTES:
        cure = "larger files, of many pictures, are read by instdiff.layouts_from_coco"
        raise BadInput(str(path), f"is larger than the limit of {MAX_FILE_BYTES // 2**20} MiB; {cure}")
    return read_bytes(path)


def _refuse_picture(path: Path, picture: str | None) -> None:
    if picture is not None:
        raise BadInput("picture", f"{path} is the layout of one picture; drop it")


def save_layout(layout: Layout, path: str | Path, form: str = "", picture: str = "picture.png") -> None:
    """Write a layout as JSON, whole or not at all.

    Args:
        form: as another tool has it, see `instdiff.formats.other_tools.FORMS`; empty: the JSON of InstanceDiffusion.
        picture: what such files call the picture.

    Raises:
        BadInput: there is no such form.

    Examples:
        >>> import tempfile
        >>> layout = Layout.from_boxes([[20, 130, 120, 220]], ["dog"], (256, 256))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_layout(layout, f"{folder}/dog.xml", form="cvat")
        ...     load_layout(f"{folder}/dog.xml").instances[0].box == layout.instances[0].box
        True
    """
    if form:
        from instdiff.formats.other_tools import save_annotations

        save_annotations([(picture, layout)], Path(path), form)
    else:
        write_bytes(path, (json.dumps(layout_to_json(layout), ensure_ascii=False, allow_nan=False) + "\n").encode())
