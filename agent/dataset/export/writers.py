"""A dataset as YOLO, WebDataset or Hugging Face parquet; written picture by picture."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from agent.dataset.export.labels import Label
from agent.dataset.export.records import AnnotatedPicture, Records, copy_picture, describe
from instdiff.errors import ServiceError
from instdiff.formats import whole_file
from instdiff.formats.files import write_bytes
from instdiff.formats.yolo import outline

PICTURES_A_SHARD = 1000
HUB_SPLITS = {"train": "train", "val": "validation", "test": "test"}  # as the hub calls them


def write_yolo(records: Records, out: Path, outlines: bool = False) -> None:
    """Write all splits; a picture without labels has an empty label file, and counts as background.

    Regions to ignore have no place in these files, and are left out.
    """
    numbers = {name: number for number, name in enumerate(records.classes)}
    for split in records.splits:
        for record in records.of(split):
            copy_picture(record, out / "images" / split / record.path.name)
            lines = [_line(numbers[label.name], label, outlines) for label in record.labels]
            path = out / "labels" / split / f"{record.key}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_bytes(path, "".join(lines).encode())
    # a relative path counts from the folder of data.yaml; names are quoted as JSON, which YAML takes as it is
    listed = "".join(f"  {number}: {json.dumps(name)}\n" for name, number in numbers.items())
    val = "val" if "val" in records.splits else "train"  # trainers want one
    test = "test: images/test\n" if "test" in records.splits else ""
    write_bytes(out / "data.yaml", f"train: images/train\nval: images/{val}\n{test}names:\n{listed}".encode())


def write_yolo_outlines(records: Records, out: Path) -> None:
    """As `write_yolo`, for segmentation: the outline of each mask, or of the box where there is none."""
    write_yolo(records, out, outlines=True)


def _line(number: int, label: Label, outlines: bool) -> str:
    box = label.box
    values = [box.centre.x, box.centre.y, box.width, box.height]
    if outlines:
        x0, y0, x1, y1 = box.xyxy
        corners = [x0, y0, x1, y0, x1, y1, x0, y1]
        values = [min(max(value, 0.0), 1.0) for value in outline(label.mask)] if label.mask else corners
    return f"{number} {' '.join(f'{value:.6f}' for value in values)}\n"


def write_webdataset(records: Records, out: Path) -> None:
    """Write shards of 1000 pictures; the same dataset gives the same bytes."""
    out.mkdir(parents=True, exist_ok=True)
    for split in records.splits:
        pictures = records.of(split)
        for number in range(_shards(records, split)):
            with whole_file(out / f"{split}-{number:06d}.tar") as temporary, tarfile.open(temporary, "w") as tar:
                for record in islice(pictures, PICTURES_A_SHARD):
                    _add(tar, record)


def _shards(records: Records, split: str) -> int:
    return -(-records.number_in(split) // PICTURES_A_SHARD)


def _add(tar: tarfile.TarFile, record: AnnotatedPicture) -> None:
    files = {"png": record.path.read_bytes(), "json": json.dumps(describe(record)).encode()}
    for ending, content in {**files, "txt": record.caption.encode()}.items():
        member = tarfile.TarInfo(f"{record.key}.{ending}")
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))


def write_parquet(records: Records, out: Path) -> None:
    """Write all splits in files of 1000 pictures.

    Raises:
        ServiceError: the package ``datasets`` is not installed.
    """
    try:
        import datasets
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise ServiceError('parquet needs the package datasets; run pip install -e ".[dataset]"') from error
    features = _features(datasets, records.classes)
    (out / "data").mkdir(parents=True, exist_ok=True)
    for split in records.splits:
        rows = map(_row, records.of(split))
        shards = _shards(records, split)
        for number in range(shards):
            name = f"{HUB_SPLITS[split]}-{number:05d}-of-{shards:05d}.parquet"
            with whole_file(out / "data" / name) as temporary:
                _write_rows(islice(rows, PICTURES_A_SHARD), features, temporary, datasets, parquet)


def _write_rows(rows: Iterator[dict], features, path: Path, datasets, parquet, at_once: int = 50) -> None:
    """A file of rows, a few of which are in memory at a time."""

    def next_table():
        part = list(islice(rows, at_once))
        return datasets.Dataset.from_list(part, features=features).data.table if part else None

    table = next_table()
    with parquet.ParquetWriter(path, table.schema) as writer:
        while table is not None:
            writer.write_table(table)
            table = next_table()


def _features(datasets, names: Sequence[str]):
    value = datasets.Value
    objects = {"bbox": datasets.List(value("float32"), length=4), "category": datasets.ClassLabel(names=list(names))}
    objects |= {"caption": value("string"), "iou": value("float32"), "score": value("float32")}
    objects |= {"source": value("string"), "verdict": value("string"), "ignore": value("bool")}
    plain = {"key": "string", "prompt": "string", "caption": "string", "width": "int32", "height": "int32"}
    plain |= {"seed": "int64", "score": "float32"}
    columns = {name: value(kind) for name, kind in plain.items()}
    return datasets.Features({"image": datasets.Image(), **columns, "objects": datasets.List(objects)})


def _row(record: AnnotatedPicture) -> dict:
    return {"image": {"bytes": record.path.read_bytes(), "path": record.path.name}, **describe(record)}
