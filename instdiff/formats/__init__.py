"""Other people's files <-> `Layout`. The only place where pixels and ``[x, y, width, height]`` exist.

* `instdiff.formats.native`  the JSON of InstanceDiffusion, and corner boxes as language models write them
* `instdiff.formats.boxes`   what the numbers of a box mean, with the evidence
* `instdiff.formats.coco`    COCO annotations
* `instdiff.formats.png`     layout and settings inside a painted PNG
* `instdiff.formats.files`   files read within limits and written whole
"""

import json
from pathlib import Path

from instdiff.formats.boxes import BoxFormat, BoxFormatWarning, LayoutWarning, box_format
from instdiff.formats.coco import layouts_from_coco, layouts_to_coco
from instdiff.formats.files import parse_json, read_bytes, whole_file, write_bytes
from instdiff.formats.native import layout_from_json, layout_to_json
from instdiff.formats.png import SIGNATURE, read_png, write_png
from instdiff.layout import Layout

__all__ = ["BoxFormat", "BoxFormatWarning", "LayoutWarning", "box_format", "load_layout", "save_layout", "whole_file"]
__all__ += ["layout_from_json", "layout_to_json", "layouts_from_coco", "layouts_to_coco", "read_png", "write_png"]


def load_layout(path: str | Path, boxes: str = "auto") -> Layout:
    """Read a layout: the JSON of InstanceDiffusion, or a PNG that this project painted.

    Args:
        path: the file, at most 64 MiB.
        boxes: ``xywh``, ``corners`` or ``auto`` (see `instdiff.formats.box_format`).

    Raises:
        BadInput: the file cannot be read, is no layout, or does not fit its own canvas.
    """
    content = read_bytes(path)
    if Path(path).suffix.lower() == ".png" or content.startswith(SIGNATURE):
        return read_png(path)[0]
    return layout_from_json(parse_json(content, str(path)), boxes)


def save_layout(layout: Layout, path: str | Path) -> None:
    """Write a layout as JSON, whole or not at all."""
    write_bytes(path, (json.dumps(layout_to_json(layout), ensure_ascii=False, allow_nan=False) + "\n").encode())
