"""Files of the Hugging Face Hub or of a mirror: fetched once, gone on with where they were stopped, checked by hash."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import httpx
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from agent.commands.registry import Remote
from instdiff import settings
from instdiff.errors import BadInput, ServiceError

BLOCK = 1 << 20  # bytes
ATTEMPTS = 5
TIMEOUT_S = 30.0
ON_HUB = "{base}/{repo}/resolve/{revision}/{path}"
BROKEN = (httpx.TransportError, httpx.StreamError)
SHA256 = re.compile(r"[0-9a-f]{64}")
GIT_HASH = re.compile(r"[0-9a-f]{40}")


class Found(NamedTuple):
    """A file as a server has it: its address, bytes, and SHA-256 (or Git's SHA-1 of it)."""

    remote: Remote
    url: str
    size: int
    digest: str


def open_client() -> httpx.Client:
    """Use as a context manager."""
    token = settings.hub_token()
    headers = {"Accept-Encoding": "identity"} | ({"Authorization": f"Bearer {token}"} if token else {})
    return httpx.Client(headers=headers, timeout=TIMEOUT_S, follow_redirects=True)


def find(client: httpx.Client, remotes: Sequence[Remote], base: str) -> list[Found]:
    """What the server says of the files; optional ones that it lacks are left out.

    Args:
        base: the address of the Hub, or of a mirror with its paths.

    Raises:
        BadInput: the address is none.
        ServiceError: the server cannot be reached, lacks a file, or says nothing by which it could be checked.
    """
    if not base.startswith(("http://", "https://")):
        raise BadInput("from", f"{base[:100]} is no address of a server; it begins with http:// or https://")
    found = [_find(client, remote, base.rstrip("/")) for remote in remotes]
    return [file for file in found if file]


def _find(client: httpx.Client, remote: Remote, base: str) -> Found | None:
    forms = [ON_HUB] if not remote.origin else [ON_HUB, remote.origin]
    if base == settings.HUB and remote.origin:
        forms = [remote.origin]  # it does not lie on the Hub
    for form in forms:
        url = form.format(base=base, **remote._asdict())
        answer = _retried(lambda url=url: client.head(url), url)
        if answer.status_code == httpx.codes.OK:
            return _described(client, remote, url, answer)
    if remote.optional and answer.status_code == httpx.codes.NOT_FOUND:
        return None
    raise ServiceError(f"{url} cannot be fetched: the server answers {answer.status_code} {answer.reason_phrase}")


def _described(client: httpx.Client, remote: Remote, url: str, answer: httpx.Response) -> Found:
    """Size and hash, from the headers of the answer and of those that led to it.

    The Hub gives the SHA-256 of a large file as the linked ETag, and Git's hash of a small one as the ETag.
    """
    said = {name: value.strip('W/"') for step in (*answer.history, answer) for name, value in step.headers.items()}
    size = said.get("x-linked-size") or said.get("content-length") or ""
    digest = remote.digest or said.get("x-linked-etag", "")
    if not digest and "x-repo-commit" in said:  # other servers mean other things by an ETag
        digest = said.get("etag", "")
    if not (SHA256.fullmatch(digest) or GIT_HASH.fullmatch(digest)):
        beside = _retried(lambda: client.get(f"{url}.sha256"), url)
        digest = beside.text.split()[0].lower() if beside.status_code == httpx.codes.OK and beside.text.strip() else ""
    if not size.isdigit() or not (SHA256.fullmatch(digest) or GIT_HASH.fullmatch(digest)):
        name = remote.path.rpartition("/")[2]
        cure = f"on a mirror of your own put the hash beside it: sha256sum {name} > {name}.sha256"
        raise ServiceError(f"{url} cannot be checked: the server says neither its size nor its hash; {cure}")
    return Found(remote, url, int(size), digest)


def fetch(client: httpx.Client, files: Sequence[Found], folder: Path, on_bytes: Callable[[int], object]) -> None:
    """Fetch files into a folder, each under its own path; what is there already is checked and not fetched again.

    A part that was fetched before stays beside its place and is gone on with.

    Args:
        on_bytes: told of every piece: how many more bytes are there.

    Raises:
        BadInput: there is no room.
        ServiceError: the connection breaks too often, or what came has another hash.
    """
    missing = sum(file.size for file in files if not (folder / file.remote.path).is_file())
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if missing > free:
        raise BadInput("to", f"{missing / 1e9:.1f} GB are needed in {folder}, which has {free / 1e9:.1f} GB")
    for file in files:
        place = folder / file.remote.path
        if place.is_file() and _hash_of(place, file.digest) == file.digest:
            on_bytes(file.size)
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        part = place.with_name(f".{place.name}.{file.digest[:12]}.part")
        on_bytes(part.stat().st_size if part.exists() else 0)
        _retried(lambda file=file, part=part: _stream(client, file, part, on_bytes), file.url)
        if (got := _hash_of(part, file.digest)) != file.digest:
            part.unlink()
            raise ServiceError(f"{file.url} came damaged: its hash is {got[:12]}, not {file.digest[:12]}; try again")
        part.replace(place)


def _stream(client: httpx.Client, file: Found, part: Path, on_bytes: Callable[[int], object]) -> None:
    """Add to the part what it lacks; from the beginning where the server gives no ranges."""
    start = part.stat().st_size if part.exists() else 0
    if start >= file.size:
        return
    with client.stream("GET", file.url, headers={"Range": f"bytes={start}-"} if start else {}) as answer:
        if answer.status_code not in (httpx.codes.OK, httpx.codes.PARTIAL_CONTENT):
            raise ServiceError(f"{file.url} cannot be fetched: the server answers {answer.status_code}")
        goes_on = answer.status_code == httpx.codes.PARTIAL_CONTENT
        if start and not goes_on:
            on_bytes(-start)
        with part.open("ab" if goes_on else "wb") as target:
            for block in answer.iter_raw():  # as it comes: what is there when it breaks is kept
                target.write(block)
                on_bytes(len(block))


def _retried(call: Callable, url: str):
    """Try again where a connection breaks."""
    retrying = Retrying(
        retry=retry_if_exception_type(BROKEN),
        stop=stop_after_attempt(ATTEMPTS),
        wait=wait_exponential(0.2, max=10),
        reraise=True,
    )
    try:
        return retrying(call)
    except (*BROKEN, httpx.HTTPError, httpx.InvalidURL) as error:
        raise ServiceError(f"{url} cannot be reached: {str(error) or type(error).__name__}") from error


def _hash_of(path: Path, like: str) -> str:
    """The hash of a file: SHA-256, or Git's where the other one is Git's."""
    size = path.stat().st_size
    digest = hashlib.sha256() if SHA256.fullmatch(like) else hashlib.sha1(f"blob {size}\0".encode())
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()
