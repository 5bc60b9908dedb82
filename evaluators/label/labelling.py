"""Pictures -> one JSON of labels each, whole or not at all, and in the end one COCO file of all."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from evaluators.detectors import Detector
from evaluators.label.models import Captioner, Segmenter, Tagger
from evaluators.report import Detection
from instdiff.errors import BadInput
from instdiff.formats.files import parse_json, read_bytes, write_bytes
from instdiff.layout import MAX_INSTANCES, Box

if TYPE_CHECKING:
    from PIL.Image import Image

ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
LABELS = "labels"
COCO = "annotations.json"
SETTINGS = "settings.json"
SMALLEST_PX = 32 * 32  # what is smaller shows too little to be described


@dataclass(frozen=True)
class Models:
    """What labels pictures; masks and captions only where there is a model for them."""

    tagger: Tagger
    detector: Detector
    segmenter: Segmenter | None
    captioner: Captioner | None


def pictures(folder: Path) -> list[str]:
    """The names of all pictures below a folder, in order."""
    found = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.suffix.lower() in ENDINGS)
    if not found:
        raise BadInput("images", f"{folder} holds no pictures ({', '.join(ENDINGS)})")
    return found


def check_settings(out: Path, settings: dict) -> None:
    """Labels of one folder are made alike: what they are made with is written beside them, and must not change.

    Raises:
        BadInput: the folder holds labels that were made otherwise.
    """
    path = out / SETTINGS
    if path.exists():
        before = parse_json(read_bytes(path), str(path))
        for name, value in settings.items():
            if before.get(name) != value:
                raise BadInput(
                    name, f"{out} was labelled with {before.get(name)}, not {value}; name another folder with --out"
                )
    else:
        out.mkdir(parents=True, exist_ok=True)
        write_bytes(path, (json.dumps(settings, indent=1) + "\n").encode())


def label_all(
    models: Callable[[], Models], images: Path, out: Path, names: list[str], told: Callable[[], None]
) -> list[str]:
    """Label the pictures that have no labels yet; returns those that cannot be read, which are left out.

    Args:
        models: loads them; called if there is anything to do.
        told: called after each picture, labelled now or before.
    """
    loaded = None
    broken = []
    for name in names:
        path = label_path(out, name)
        if not path.exists():
            image = _opened(images / name)
            if image is None:
                broken.append(name)
            else:
                loaded = loaded or models()
                path.parent.mkdir(parents=True, exist_ok=True)
                write_bytes(path, json.dumps(label(loaded, image, name), ensure_ascii=False).encode())
        told()
    return broken


def label(models: Models, image: Image, name: str) -> dict:
    """The labels of one picture: tags, boxes, masks, captions."""
    found = models.detector.detect([image], models.tagger.tags(image))[0]
    found = sorted(found, key=lambda seen: -seen.score)[:MAX_INSTANCES]
    masks = (
        models.segmenter.masks(image, [seen.box for seen in found])
        if models.segmenter
        else [seen.mask for seen in found]
    )
    captions = _captions(models.captioner, image, found) if models.captioner else [""] * (len(found) + 1)
    annotations = []
    for seen, mask, caption in zip(found, masks, captions[1:], strict=True):
        x, y, width, height = seen.box.to_coco(image.size)
        record = {
            "category": seen.category,
            "score": round(seen.score, 4),
            "bbox": [x, y, width, height],
            "area": width * height,
        }
        if mask:
            record |= {"area": int(mask.array.sum()), "segmentation": {"size": list(mask.size), "counts": mask.counts}}
        annotations.append(record | ({"caption": caption} if caption else {}))
    frame = {"file_name": name, "width": image.width, "height": image.height, "caption": captions[0]}
    return {**frame, "annotations": annotations}


def _captions(captioner: Captioner, image: Image, found: list[Detection]) -> list[str]:
    """That of the picture, then of each instance; empty where it is too small. What it is, is said if the model does
    not.
    """
    large = [seen for seen in found if _pixels(seen.box, image) >= SMALLEST_PX]
    first, *others = captioner.captions(
        [image, *(image.crop([round(v) for v in seen.box.to_corners(image.size)]) for seen in large)]
    )
    said = {id(seen): words if seen.category.lower() in words.lower() else f"{seen.category}, {words}".rstrip(", ")
            for seen, words in zip(large, others, strict=True)}  # fmt: skip
    return [first, *(said.get(id(seen), "") for seen in found)]


def _pixels(box: Box, image: Image) -> float:
    return box.area * image.width * image.height


def _opened(path: Path) -> Image | None:
    """The picture as it is meant to be seen, or None if it cannot be read."""
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as image:
            return ImageOps.exif_transpose(image).convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):  # what Pillow raises on damaged files
        return None


def label_path(out: Path, name: str) -> Path:
    return out / LABELS / f"{name}.json"


def write_coco(out: Path, names: list[str]) -> dict:
    """All labels as one COCO file, which `instdiff.formats` and the training read; returns what it holds, counted."""
    labels = list(_labels(out, names))
    kinds = sorted({anno["category"] for one in labels for anno in one["annotations"]})
    categories = {name: number for number, name in enumerate(kinds, start=1)}
    images = []
    annotations = []
    for number, one in enumerate(labels, start=1):
        images.append({"id": number, **{key: one[key] for key in ("file_name", "width", "height", "caption")}})
        for anno in one["annotations"]:
            ids = {
                "id": len(annotations) + 1,
                "image_id": number,
                "category_id": categories[anno["category"]],
                "iscrowd": 0,
            }
            annotations.append(ids | {key: value for key, value in anno.items() if key != "category"})
    content = {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": n, "name": name} for name, n in categories.items()],
    }
    write_bytes(out / COCO, json.dumps(content, ensure_ascii=False).encode())
    return {"pictures": len(images), "instances": len(annotations), "categories": len(categories)}


def _labels(out: Path, names: list[str]) -> Iterator[dict]:
    for name in names:
        if (path := label_path(out, name)).exists():
            yield parse_json(read_bytes(path), str(path))
