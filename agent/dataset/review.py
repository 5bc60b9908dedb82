"""What a person says of the pictures of a folder: which are accepted, and what is on them where that was wrong.

    review.json              "accepted" or "rejected" by key
    corrected/000012.json    what is on a picture as a person put it right

Both lie beside the pictures and their manifest. What was made stays as it is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Lock

from agent.runs import write_json
from instdiff.errors import BadInput
from instdiff.formats.files import parse_json, read_bytes, write_bytes
from instdiff.layout import Instance
from instdiff.values import Value

REVIEW = "review.json"
CORRECTED = "corrected"
ACCEPTED = "accepted"
REJECTED = "rejected"
DECISIONS = (ACCEPTED, REJECTED)
WRITING = Lock()  # the pages of several people are threads of one process


class Correction(Value):
    """What is on a picture, all of it; ``sha256`` says of which picture."""

    sha256: str
    instances: tuple[Instance, ...]


def decisions(folder: Path) -> dict[str, str]:
    """What was decided of the pictures, by key.

    Raises:
        BadInput: the file holds something else.
    """
    path = folder / REVIEW
    by_key = parse_json(read_bytes(path), str(path)) if path.exists() else {}
    if not isinstance(by_key, dict) or not set(map(str, by_key.values())) <= set(DECISIONS):
        raise BadInput(REVIEW, f"{path} holds something else than decisions")
    return by_key


def decide(folder: Path, decided: Mapping[str, str | None]) -> None:
    """Keep decisions by key; None takes one back.

    Raises:
        BadInput: one of them is none, or the file cannot be read.
    """
    for decision in decided.values():
        if decision not in (*DECISIONS, None):
            raise BadInput("decision", f"{str(decision)[:40]!r} is none of {', '.join(DECISIONS)}")
    with WRITING:
        before = decisions(folder)
        by_key = {**before, **decided}
        after = {key: by_key[key] for key in sorted(by_key) if by_key[key]}
        if after != before:
            write_json(folder / REVIEW, after)


def correction(folder: Path, key: str, sha256: str) -> tuple[Instance, ...] | None:
    """What a person says is on a picture; None where nobody did, or of another picture of this name.

    Raises:
        BadInput: the file cannot be read.
    """
    path = folder / CORRECTED / f"{key}.json"
    if not path.exists():
        return None
    kept = Correction.parse(parse_json(read_bytes(path), str(path)), str(path))
    return kept.instances if kept.sha256 == sha256 else None


def correct(folder: Path, key: str, sha256: str, instances: Sequence[Instance] | None) -> None:
    """Keep what is on a picture, all of it; None: it is as it was made."""
    path = folder / CORRECTED / f"{key}.json"
    if instances is None:
        path.unlink(missing_ok=True)
        return
    path.parent.mkdir(exist_ok=True)
    kept = Correction(sha256=sha256, instances=tuple(instances))
    write_bytes(path, json.dumps(kept.model_dump(mode="json")).encode())
