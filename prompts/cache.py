"""Answers of chat models on disk, so that the same question is paid for once.

An entry is found by a hash of all that changes the answer, and holds the answer alone: no key, no address, no question.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from instdiff.errors import BadInput
from instdiff.formats.files import parse_json, read_bytes, write_bytes

VERSION = 1
MAX_ENTRY_BYTES = 400_000


class AnswerCache:
    """A folder of answers, made when the first is kept. One that cannot be read or written is as good as none."""

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)

    def get(self, question: list) -> str | None:
        """The answer that was kept for this question, or None."""
        try:
            entry = parse_json(read_bytes(self._path(question), MAX_ENTRY_BYTES), "cache")
        except BadInput:
            return None
        answer = entry.get("answer") if isinstance(entry, dict) else None
        return answer if isinstance(answer, str) else None

    def put(self, question: list, answer: str) -> None:
        """Keep an answer; the file is written whole or not at all."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_bytes(self._path(question), json.dumps({"answer": answer}, ensure_ascii=False).encode())
        except (BadInput, OSError):
            return  # a cache that cannot be written to is no reason not to plan

    def _path(self, question: list) -> Path:
        text = json.dumps([VERSION, *question], sort_keys=True, ensure_ascii=True)
        return self.folder / f"{hashlib.sha256(text.encode()).hexdigest()}.json"
