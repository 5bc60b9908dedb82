"""Other people's files <-> `Layout`. The only place where pixels and ``[x, y, width, height]`` exist.

* `instdiff.formats.native`  the JSON of InstanceDiffusion, and corner boxes as language models write them
* `instdiff.formats.boxes`   what the numbers of a box mean, with the evidence
* `instdiff.formats.coco`    COCO annotations
* `instdiff.formats.png`     layout and settings inside a painted PNG
* `instdiff.formats.files`   files read within limits and written whole
"""

from instdiff.formats.boxes import BoxFormat, BoxFormatWarning, LayoutWarning, box_format
from instdiff.formats.coco import layouts_from_coco, layouts_to_coco
from instdiff.formats.files import whole_file
from instdiff.formats.native import layout_from_json, layout_to_json, load_layout, save_layout
from instdiff.formats.png import read_png, write_png

__all__ = [
    "BoxFormat",
    "BoxFormatWarning",
    "LayoutWarning",
    "box_format",
    "layout_from_json",
    "layout_to_json",
    "layouts_from_coco",
    "layouts_to_coco",
    "load_layout",
    "read_png",
    "save_layout",
    "whole_file",
    "write_png",
]
