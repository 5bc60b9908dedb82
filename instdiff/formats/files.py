"""Files from outside, read within limits, and files of ours, written whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from instdiff.errors import BadInput

MAX_FILE_BYTES = 64 * 2**20


def read_bytes(path: str | Path, limit: int = MAX_FILE_BYTES) -> bytes:
    """The content of a regular file of at most ``limit`` bytes; anything else is a `BadInput`."""
    path = Path(path)
    try:
        if path.exists() and not path.is_file():
            raise BadInput(str(path), "is not a regular file")
        with path.open("rb") as file:
            stated = os.fstat(file.fileno()).st_size
            content = file.read(min(stated, limit) + 1)  # so much room is taken at once, whatever there is
            if len(content) > stated:  # it grows, or is one of those that say they are empty
                content += file.read(limit + 1 - len(content))
    except (OSError, ValueError) as error:  # ValueError: a path with a null byte
        raise BadInput(str(path), f"cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if len(content) > limit:
        raise BadInput(str(path), f"is larger than the limit of {limit // 2**20} MiB")
    return content


def decode_text(content: bytes, source: str) -> str:
    """UTF-8, with or without the mark that some writers begin it with; ``source`` names it in errors."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput(source, f"is not UTF-8 text (byte {error.start})") from error


def parse_json(content: bytes | str, source: str) -> object:
    """JSON -> Python values, without NaN and infinity; ``source`` names the text in errors."""

    def refuse(constant: str) -> NoReturn:
        raise BadInput(source, f"{constant} is no JSON number")

    text = content if isinstance(content, str) else decode_text(content, source)
    try:
        return json.loads(text, parse_constant=refuse)
    except json.JSONDecodeError as error:
        raise BadInput(source, f"is not JSON: line {error.lineno}, column {error.colno}: {error.msg}") from error
    except RecursionError as error:
        raise BadInput(source, "is nested too deeply") from error
    except ValueError as error:  # an integer with thousands of digits
        raise BadInput(source, "holds a number that is too long") from error


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """A name to write to in the same folder; it becomes ``path`` at once when the block ends without an error.

    By hand: it must be on the disk before it is renamed, and nothing may be left behind where the block fails.
    """
    path = Path(path)
    temporary = path.with_name(f".writing-{os.getpid()}-{path.name}")
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())  # otherwise a power cut can leave the name without the content
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: str | Path, content: bytes) -> None:
    """Write a file whole or not at all; a place that cannot be written to is a `BadInput`."""
    try:
        with whole_file(path) as temporary:
            temporary.write_bytes(content)
    except OSError as error:
        raise BadInput(str(path), f"cannot be written: {error.strerror or error}") from error
