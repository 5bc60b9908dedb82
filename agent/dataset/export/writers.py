"""A dataset as COCO, YOLO, WebDataset or Hugging Face parquet."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Sequence
from pathlib import Path

from agent.dataset.export.records import SPLITS, AnnotatedPicture, categories, copy_picture, describe
from instdiff.errors import ServiceError
from instdiff.formats import layouts_to_coco, whole_file
from instdiff.formats.files import write_bytes
from instdiff.layout import Box

PICTURES_A_SHARD = 1000
HUB_SPLITS = {"train": "train", "val": "validation"}  # as the hub calls them


def write_coco(records: Sequence[AnnotatedPicture], out: Path) -> None:
    """Write both splits; a category has the same number in both, and an image is numbered as its item."""
    numbers = {name: number for number, name in enumerate(categories(records), start=1)}
    (out / "annotations").mkdir(parents=True, exist_ok=True)
    for split in SPLITS:
        part = [record for record in records if record.split == split]
        for record in part:
            copy_picture(record, out / "images" / split / record.path.name)
        _write(out / "annotations" / f"instances_{split}.json", _instances(part, numbers))
        _write(out / "annotations" / f"captions_{split}.json", _captions(part))


def _instances(records: Sequence[AnnotatedPicture], numbers: dict[str, int]) -> dict:
    """COCO annotations; beside its own keys, an annotation has ``caption``, ``score``, ``iou`` and ``verdict``."""
    data = layouts_to_coco([record.layout for record in records])
    names = {category["id"]: category["name"] for category in data["categories"]}
    for image, record in zip(data["images"], records, strict=True):
        image |= {"id": record.item.index, "file_name": record.path.name}
        image |= {"seed": record.item.seed, "score": record.item.score}
    verdicts = [(record, verdict) for record in records for verdict in record.verdicts]
    for annotation, (record, verdict) in zip(data["annotations"], verdicts, strict=True):
        annotation |= {"image_id": record.item.index, "category_id": numbers[names[annotation["category_id"]]]}
        annotation |= {"iou": verdict.iou, "verdict": verdict.kind.value}
        annotation |= {"score": verdict.detection.score} if verdict.detection else {}
    data["categories"] = [{"id": number, "name": name, "supercategory": "thing"} for name, number in numbers.items()]
    return {"info": {"description": "painted by InstanceDiffusion, verified"}, "licenses": [], **data}


def _captions(records: Sequence[AnnotatedPicture]) -> dict:
    images = [
        {"id": record.item.index, "file_name": record.path.name, "width": record.size[0], "height": record.size[1]}
        for record in records
    ]
    captions = [
        {"id": number, "image_id": record.item.index, "caption": record.layout.caption}
        for number, record in enumerate(records, start=1)
    ]
    return {"info": {}, "licenses": [], "images": images, "annotations": captions}


def _write(path: Path, data: dict) -> None:
    write_bytes(path, json.dumps(data, ensure_ascii=False).encode())


def write_yolo(records: Sequence[AnnotatedPicture], out: Path) -> None:
    """Write both splits; a picture without annotations has an empty label file, and counts as background."""
    names = categories(records)
    for split in SPLITS:
        for kind in ("images", "labels"):
            (out / kind / split).mkdir(parents=True, exist_ok=True)
    for record in records:
        copy_picture(record, out / "images" / record.split / record.path.name)
        instances = zip(record.layout.instances, record.boxes, strict=True)
        lines = [_line(names.index(instance.name), box) for instance, box in instances]
        write_bytes(out / "labels" / record.split / f"{record.key}.txt", "".join(lines).encode())
    # a relative path counts from the folder of data.yaml; names are quoted as JSON, which YAML takes as it is
    listed = "".join(f"  {number}: {json.dumps(name)}\n" for number, name in enumerate(names))
    val = "val" if any(record.split == "val" for record in records) else "train"
    write_bytes(out / "data.yaml", f"train: images/train\nval: images/{val}\nnames:\n{listed}".encode())


def _line(number: int, box: Box) -> str:
    return f"{number} {box.centre.x:.6f} {box.centre.y:.6f} {box.width:.6f} {box.height:.6f}\n"


def write_webdataset(records: Sequence[AnnotatedPicture], out: Path) -> None:
    """Write shards of 1000 pictures; the same dataset gives the same bytes."""
    out.mkdir(parents=True, exist_ok=True)
    for split in SPLITS:
        for number, shard in enumerate(_shards(records, split)):
            with whole_file(out / f"{split}-{number:06d}.tar") as temporary, tarfile.open(temporary, "w") as tar:
                for record in shard:
                    _add(tar, record)


def _shards(records: Sequence[AnnotatedPicture], split: str) -> list[list[AnnotatedPicture]]:
    """The records of a split, so many at a time as go into one file."""
    part = [record for record in records if record.split == split]
    return [part[first : first + PICTURES_A_SHARD] for first in range(0, len(part), PICTURES_A_SHARD)]


def _add(tar: tarfile.TarFile, record: AnnotatedPicture) -> None:
    files = {"png": record.path.read_bytes(), "json": json.dumps(describe(record)).encode()}
    for ending, content in {**files, "txt": record.layout.caption.encode()}.items():
        member = tarfile.TarInfo(f"{record.key}.{ending}")
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))


def write_parquet(records: Sequence[AnnotatedPicture], out: Path) -> None:
    """Write both splits in files of 1000 pictures.

    Raises:
        ServiceError: the package ``datasets`` is not installed.
    """
    try:
        from datasets import Dataset, disable_progress_bars
    except ImportError as error:
        raise ServiceError('parquet needs the package datasets; run pip install -e ".[dataset]"') from error
    disable_progress_bars()
    features = _features(categories(records))
    (out / "data").mkdir(parents=True, exist_ok=True)
    for split, name in HUB_SPLITS.items():
        shards = _shards(records, split)
        for number, shard in enumerate(shards):
            with whole_file(out / "data" / f"{name}-{number:05d}-of-{len(shards):05d}.parquet") as temporary:
                Dataset.from_list([_row(record) for record in shard], features=features).to_parquet(str(temporary))


def _features(names: list[str]):
    from datasets import ClassLabel, Features, Image, List, Value

    objects = {"bbox": List(Value("float32"), length=4), "category": ClassLabel(names=names)}
    objects |= {"caption": Value("string"), "iou": Value("float32"), "score": Value("float32")}
    plain = {"key": "string", "prompt": "string", "caption": "string", "width": "int32", "height": "int32"}
    plain |= {"seed": "int64", "score": "float32"}
    columns = {name: Value(kind) for name, kind in plain.items()}
    return Features({"image": Image(), **columns, "objects": List(objects)})


def _row(record: AnnotatedPicture) -> dict:
    return {"image": {"bytes": record.path.read_bytes(), "path": record.path.name}, **describe(record)}
