"""Hugging Face parquet: ``data/train-*.parquet`` and ``data/validation-*.parquet`` with a column of pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from agent.dataset.export.records import Record, about, categories
from instdiff.errors import ServiceError
from instdiff.formats import whole_file

PICTURES_A_SHARD = 1000
NAMES = {"train": "train", "val": "validation"}  # as the hub calls them


def write(records: Sequence[Record], out: Path) -> None:
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
    for split, name in NAMES.items():
        some = [record for record in records if record.split == split]
        shards = -(-len(some) // PICTURES_A_SHARD)
        for number in range(shards):
            part = some[number * PICTURES_A_SHARD : (number + 1) * PICTURES_A_SHARD]
            with whole_file(out / "data" / f"{name}-{number:05d}-of-{shards:05d}.parquet") as temporary:
                Dataset.from_list([_row(record) for record in part], features=features).to_parquet(str(temporary))


def _features(names: list[str]):
    from datasets import ClassLabel, Features, Image, List, Value

    each = {"bbox": List(Value("float32"), length=4), "category": ClassLabel(names=names), "caption": Value("string")}
    each |= {"iou": Value("float32"), "score": Value("float32")}
    plain = {
        "key": "string",
        "prompt": "string",
        "caption": "string",
        "width": "int32",
        "height": "int32",
        "seed": "int64",
        "score": "float32",
    }
    return Features({"image": Image(), **{name: Value(kind) for name, kind in plain.items()}, "objects": List(each)})


def _row(record: Record) -> dict:
    return {"image": {"bytes": record.path.read_bytes(), "path": record.path.name}, **about(record)}
