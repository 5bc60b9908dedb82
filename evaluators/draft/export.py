"""The held-out layouts as a data set in COCO's format, for ``python -m evaluators coco`` and for any other tool that reads it."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from evaluators.draft.layouts import HeldOut, recomposed
from instdiff.errors import BadInput
from instdiff.formats.coco import layouts_to_coco
from instdiff.formats.files import write_bytes
from instdiff.layout import Instance, Layout, Mask

if TYPE_CHECKING:
    from instdiff.train.compose import Composer, Composite

IMAGES, ANNOTATIONS, CAPTIONS = "images", "annotations.json", "captions.json"


def export_coco(held_out: Sequence[HeldOut], composer: Composer, folder: Path, written: Callable[[], None] = lambda: None) -> int:
    """Write the composed pictures, ``annotations.json`` and ``captions.json``; returns the number of annotations.

    Annotations have the box and the mask of what is seen, the caption, the point and the scribble that the benchmark tells of the
    thing, and ``attributes``: ``{"colour", "texture"}``, each where it has been painted so. Images are numbered from 1.

    Args:
        written: called after each picture.

    Raises:
        BadInput: a scene comes out differently than it is stored, or the folder cannot be written to.
    """
    try:
        (folder / IMAGES).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(str(folder), f"cannot be written to: {error.strerror or error}") from error
    layouts, attributes = [], []
    for number, (one, composite) in enumerate(zip(held_out, recomposed(held_out, composer), strict=True), start=1):
        write_bytes(folder / IMAGES / _file(number), _png(composite))
        layouts.append(_layout(one, composite))
        attributes += [_attributes(thing.colour, thing.texture) for thing in composite.instances]
        written()
    data = layouts_to_coco(layouts)
    for record in data["images"]:
        record["file_name"] = _file(record["id"])
    for annotation, shown in zip(data["annotations"], attributes, strict=True):
        annotation["attributes"] = shown
    captions = [{"id": image["id"], "image_id": image["id"], "caption": image["caption"]} for image in data["images"]]
    for name, content in ((ANNOTATIONS, data), (CAPTIONS, {"images": data["images"], "annotations": captions})):
        write_bytes(folder / name, json.dumps(content, ensure_ascii=False).encode())
    return len(data["annotations"])


def _layout(one: HeldOut, composite: Composite) -> Layout:
    """All places of the things on the picture, at its own size."""
    height, width = composite.image.shape[:2]
    point, scribble = (one.conditioned(kind, (width, height)).instances for kind in ("point", "scribble"))
    instances = [
        Instance(
            caption=thing.caption, category=thing.category, box=thing.box, mask=Mask.from_array(thing.mask),
            point=point[index].point, scribble=scribble[index].scribble,
        )
        for index, thing in enumerate(composite.instances)
    ]  # fmt: skip
    return Layout(width=width, height=height, caption=composite.caption, instances=tuple(instances))


def _attributes(colour: str | None, texture: str | None) -> dict[str, str]:
    return {name: value for name, value in (("colour", colour), ("texture", texture)) if value}


def _file(number: int) -> str:
    return f"{number:012d}.png"


def _png(composite: Composite) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(composite.image).save(buffer, format="PNG")
    return buffer.getvalue()
