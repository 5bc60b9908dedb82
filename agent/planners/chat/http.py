"""HTTP as services and their failures use it: bodies that end, addresses without secrets, times to wait."""

from __future__ import annotations

import email.utils
import importlib
import math
import time
from datetime import UTC, datetime
from urllib.parse import urlsplit

from instdiff.errors import BadInput

MAX_BODY_BYTES = 1_000_000
PLAIN_BODY = {"Accept-Encoding": "identity"}  # a compressed body can be a thousand times its size


class BodyTooLong(Exception):
    """A service's answer does not end in time or in size."""


class CompressedBody(Exception):
    """A service compresses its answer although it was asked not to; its true size cannot be bounded."""


def bounded(stream, response_type: type, deadline: float):
    """The same stream, which raises `BodyTooLong` past ``deadline`` (monotonic seconds) or `MAX_BODY_BYTES`."""
    # the openai and ollama clients come with different httpx packages; each checks for its own base class
    base = importlib.import_module(response_type.__module__.partition(".")[0]).SyncByteStream

    class Bounded(base):
        def __iter__(self):
            total = 0
            for chunk in stream:
                total += len(chunk)
                if total > MAX_BODY_BYTES or time.monotonic() > deadline:
                    raise BodyTooLong
                yield chunk

        def close(self) -> None:
            stream.close()

    return Bounded()


def retry_after(value: str | None) -> float | None:
    """Seconds to wait according to a Retry-After header (seconds or a date), None if it says nothing usable."""
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = (email.utils.parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError):  # TypeError: a date without a time zone
            return None
    return max(seconds, 0.0) if math.isfinite(seconds) else None


def place_of(url: str, path: bool = False) -> str:
    """The address for messages: scheme, host and port (and path).

    Raises:
        BadInput: it is no address, or holds a secret, which HTTP clients would write into their logs.
    """
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError as error:
        raise BadInput("planner_url", f"this is no address ({error})") from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BadInput("planner_url", "an address looks like http://127.0.0.1:8000/v1 or https://HOST/v1")
    place = f"{parts.scheme}://{parts.hostname}{port}"
    if parts.username or parts.password or parts.query:
        raise BadInput(
            "planner_url",
            f"the address at {place} holds a user, password or query; leave it out and set OPENAI_API_KEY",
        )
    return place + (parts.path.rstrip("/") if path else "")
