"""WebDataset: ``SPLIT-000000.tar`` with KEY.png, KEY.json (annotations, COCO-like) and KEY.txt (the caption) for each picture."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Sequence
from pathlib import Path

from agent.dataset.export.records import SPLITS, Record, about
from instdiff.formats import whole_file

PICTURES_A_SHARD = 1000


def write(records: Sequence[Record], out: Path) -> None:
    """Write shards of 1000 pictures; the same dataset gives the same bytes."""
    out.mkdir(parents=True, exist_ok=True)
    for split in SPLITS:
        some = [record for record in records if record.split == split]
        for number, first in enumerate(range(0, len(some), PICTURES_A_SHARD)):
            with whole_file(out / f"{split}-{number:06d}.tar") as temporary, tarfile.open(temporary, "w") as tar:
                for record in some[first : first + PICTURES_A_SHARD]:
                    _add(tar, record)


def _add(tar: tarfile.TarFile, record: Record) -> None:
    files = {"png": record.path.read_bytes(), "json": json.dumps(about(record)).encode(), "txt": record.layout.caption.encode()}
    for ending, content in files.items():
        member = tarfile.TarInfo(f"{record.key}.{ending}")
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
