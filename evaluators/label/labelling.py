"""Pictures -> one JSON of labels each, whole or not at all, and in the end one COCO file of all."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from evaluators.detectors import Detector
from evaluators.label.models import Captioner, Segmenter, Tagger
from evaluators.report import Detection
from instdiff.errors import BadInput
from instdiff.formats.fields import mapping
from instdiff.formats.files import parse_json, read_bytes, write_bytes
from instdiff.formats.photographs import open_photograph
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
    """What labels pictures; masks and captions only where there is a model for them. What the detector gives less than
    ``min_score`` is left out; None takes its own threshold.
    """

    tagger: Tagger
    detector: Detector
    segmenter: Segmenter | None
    captioner: Captioner | None
    min_score: float | None = None


def picture_names(folder: Path) -> list[str]:
    """The names of all pictures below a folder, in order.

    Raises:
        BadInput: there are none.
    """
    paths = [path for path in folder.rglob("*") if path.suffix.lower() in ENDINGS]
    if not paths:
        raise BadInput("images", f"{folder} holds no pictures ({', '.join(ENDINGS)})")
    return sorted(path.relative_to(folder).as_posix() for path in paths)


def check_settings(out: Path, settings: dict) -> None:
    """Labels of one folder are made alike: what they are made with is written beside them, and must not change.

    Raises:
        BadInput: the folder holds labels that were made otherwise.
    """
    path = out / SETTINGS
    if path.exists():
        before = mapping(parse_json(read_bytes(path), str(path)), str(path))
        for name, value in settings.items():
            if before.get(name) != value:
                reason = f"{out} was labelled with {before.get(name)}, not {value}"
                raise BadInput(name, f"{reason}; name another folder with --out")
    else:
        out.mkdir(parents=True, exist_ok=True)
        write_bytes(path, (json.dumps(settings, indent=1) + "\n").encode())


def label_all(
    load_models: Callable[[], Models], images: Path, out: Path, names: list[str], progress: Callable[[], object]
) -> list[str]:
    """Label the pictures that have no labels yet; returns those that cannot be read, which are left out.

    Args:
        load_models: called if there is anything to do.
        progress: called after each picture, labelled now or before.
    """
    models = None
    broken = []
    for name in names:
        path = label_path(out, name)
        if not path.exists():
            image = _open(images / name)
            if image is None:
                broken.append(name)
            else:
                models = models or load_models()
                path.parent.mkdir(parents=True, exist_ok=True)
                write_bytes(path, json.dumps(label(models, image, name), ensure_ascii=False).encode())
        progress()
    return broken


def label(models: Models, image: Image, name: str) -> dict:
    """The labels of one picture: tags, boxes, masks, captions."""
    [detections] = models.detector.detect([image], models.tagger.tags(image), models.min_score)
    detections = sorted(detections, key=lambda detection: -detection.score)[:MAX_INSTANCES]
    masks = [detection.mask for detection in detections]
    if models.segmenter:
        masks = models.segmenter.masks(image, [detection.box for detection in detections])
    caption, *captions = [""] * (len(detections) + 1)
    if models.captioner:
        caption, *captions = _captions(models.captioner, image, detections)
    annotations = []
    for detection, mask, words in zip(detections, masks, captions, strict=True):
        bbox = detection.box.to_coco(image.size)
        record: dict = {"category": detection.category, "score": round(detection.score, 4)}
        record |= {"bbox": bbox, "area": bbox[2] * bbox[3]}
        if mask:
            record |= {"area": int(mask.array.sum()), "segmentation": {"size": list(mask.size), "counts": mask.counts}}
        annotations.append(record | ({"caption": words} if words else {}))
    frame = {"file_name": name, "width": image.width, "height": image.height, "caption": caption}
    return {**frame, "annotations": annotations}


def _captions(captioner: Captioner, image: Image, detections: list[Detection]) -> list[str]:
    """The caption of the picture, then of each detection, with its category; empty where it is too small."""
    large = [detection for detection in detections if detection.box.area * image.width * image.height >= SMALLEST_PX]
    picture_caption, *cut_captions = captioner.captions([image, *(_cut(image, detection.box) for detection in large)])
    captions = {
        id(detection): _with_category(words, detection.category)
        for detection, words in zip(large, cut_captions, strict=True)
    }
    return [picture_caption, *(captions.get(id(detection), "") for detection in detections)]


def _with_category(words: str, category: str) -> str:
    return words if category.lower() in words.lower() else f"{category}, {words}".rstrip(", ")


def _cut(image: Image, box: Box) -> Image:
    x0, y0, x1, y1 = (round(side) for side in box.to_corners(image.size))
    return image.crop((x0, y0, x1, y1))


def _open(path: Path) -> Image | None:
    """The picture as it is meant to be seen, or None if it cannot be read."""
    try:
        return open_photograph(path)
    except BadInput:
        return None


def label_path(out: Path, name: str) -> Path:
    """Where the labels of a picture are."""
    return out / LABELS / f"{name}.json"


def write_coco(out: Path, names: list[str]) -> dict:
    """All labels as one COCO file, which `instdiff.formats` and the training read; returns what it holds, counted."""
    paths = filter(Path.exists, (label_path(out, name) for name in names))
    labels = [mapping(parse_json(read_bytes(path), str(path)), str(path)) for path in paths]
    categories = sorted({anno["category"] for record in labels for anno in record["annotations"]})
    category_ids = {name: number for number, name in enumerate(categories, start=1)}
    images = []
    annotations: list[dict] = []
    for number, record in enumerate(labels, start=1):
        images.append({"id": number, **{key: record[key] for key in ("file_name", "width", "height", "caption")}})
        for anno in record["annotations"]:
            category_id = category_ids[anno["category"]]
            ids = {"id": len(annotations) + 1, "image_id": number, "category_id": category_id, "iscrowd": 0}
            annotations.append(ids | {key: value for key, value in anno.items() if key != "category"})
    numbered = [{"id": number, "name": name} for name, number in category_ids.items()]
    content = {"images": images, "annotations": annotations, "categories": numbered}
    write_bytes(out / COCO, json.dumps(content, ensure_ascii=False).encode())
    return {"pictures": len(images), "instances": len(annotations), "categories": len(category_ids)}
