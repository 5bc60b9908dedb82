"""The photographs that annotations are of: found under their folder, turned as they are to be seen, checked."""

from __future__ import annotations

import hashlib
import io
import json
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from instdiff.errors import BadInput
from instdiff.formats.files import parse_json, read_bytes, write_bytes
from instdiff.settings import cache_folder

if TYPE_CHECKING:
    from PIL.Image import Image

READERS = 16  # threads, which wait for the disk or the network most of the time
ORIENTATION = 0x0112  # the tag of EXIF
QUARTER_TURNS = (5, 6, 7, 8)  # its values that exchange width and height
TAILS = {"JPEG": b"\xff\xd9", "MPO": b"\xff\xd9", "PNG": b"IEND\xaeB`\x82"}  # how whole files end
URLS = ("coco_url", "flickr_url", "url")
VERSION = 2  # of what is kept of a check

MISSING = "pictures left out, as they are not there"
UNREADABLE = "pictures left out, as they cannot be read"
OTHER_SHAPE = "pictures left out, as they have other proportions than their record says"
OTHER_SCALE = "pictures larger or smaller than their record says, whose boxes and outlines were scaled with them"


class Photograph(NamedTuple):
    """The file of an image record, and what is odd about it: a kind for a `Tally`, and the detail; both may be ""."""

    path: Path
    oddity: str = ""
    detail: str = ""

    @property
    def is_usable(self) -> bool:
        return self.oddity in ("", OTHER_SCALE)


def find_photograph(record: dict, folder: Path) -> Path:
    """The file of an image record, below ``folder``.

    Its name may have backslashes, begin with the folder's own name, or be the path on another machine, of which the
    last part counts; where it has none, the address that it was fetched from ends in one (LVIS). LVIS v0.5 calls
    pictures ``COCO_val2014_000000001268.jpg`` that COCO calls ``000000001268.jpg``.

    Raises:
        BadInput: there is no such file.
    """
    written, parts = _name_parts(record)
    names = [parts]
    if len(parts) > 1 and parts[0] == folder.absolute().name:
        names.append(parts[1:])
    if parts and parts[-1].startswith("COCO_"):
        names.append((*parts[:-1], parts[-1].rpartition("_")[2]))
    for name in names:
        path = folder.joinpath(*name)
        if name and path.is_file():
            return path
    raise BadInput(f"image {record['id']}.file_name", f'"{written}" is not in {folder}')


def _name_parts(record: dict) -> tuple[str, tuple[str, ...]]:
    """The name of a picture as it is written, and its parts below the folder."""
    name = record.get("file_name")
    if isinstance(name, str) and name.strip():
        parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]
        is_of_elsewhere = name.startswith(("/", "\\")) or ".." in parts or (parts and ":" in parts[0])
        return name, tuple(parts[-1:] if is_of_elsewhere else parts)
    address = next((value for key in URLS if isinstance(value := record.get(key), str) and value), "")
    parts = list(PurePosixPath(address.partition("?")[0]).parts[-2:])
    return address, tuple(part for part in parts if part not in ("/", "..") and ":" not in part)


def open_photograph(path: Path, content: bytes | None = None) -> Image:
    """The picture as it is to be seen, turned as its EXIF says, as RGB.

    Args:
        content: of the file, where it has been read.

    Raises:
        BadInput: it cannot be read.
    """
    from PIL import Image, ImageOps

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of damaged EXIF, and of many pixels
            with Image.open(path if content is None else io.BytesIO(content)) as image:
                turned = ImageOps.exif_transpose(image) if _orientation(image) > 1 else image
                return turned.convert("RGB")
    except Exception as error:  # whatever damaged files raise in Pillow
        raise BadInput(str(path), f"is no picture that can be read: {_in_words(error)}") from error


def photograph_size(path: Path) -> tuple[int, int]:
    """(width, height) in pixels of a picture as it is to be seen; of files that end as whole ones, the header is read.

    Raises:
        BadInput: it cannot be read.
    """
    from PIL import Image

    try:
        with Image.open(path) as image:
            width, height = image.size
            if _orientation(image) in QUARTER_TURNS:
                width, height = height, width
            if not _ends_whole(path, image.format):
                image.load()  # which fails if the rest is missing
        return width, height
    except Exception as error:  # whatever damaged files raise in Pillow
        raise BadInput(str(path), f"is no picture that can be read: {_in_words(error)}") from error


def _in_words(error: Exception) -> str:
    """Without the address in memory that Pillow puts into some of its errors."""
    text = getattr(error, "strerror", None) or str(error).partition(" <")[0] or type(error).__name__
    return " ".join(text.split())[:200]


def _orientation(image: Image) -> int:
    """How the EXIF says that a picture is to be turned, 1 to 8; 1 where it says nothing, or is damaged."""
    if image.format == "PNG" and "exif" not in image.info:  # Pillow would decode the picture to look behind it
        return 1
    try:
        value = image.getexif().get(ORIENTATION, 1)
    except Exception:  # whatever damaged EXIF raises in Pillow
        return 1
    return value if value in range(1, 9) else 1


def _ends_whole(path: Path, kind: str | None) -> bool:
    tail = TAILS.get(kind or "")
    if tail is None:
        return True
    with path.open("rb") as file:
        file.seek(0, 2)
        file.seek(max(file.tell() - len(tail), 0))
        return file.read() == tail


def has_proportions(size: tuple[int, int], stated: tuple[int, int]) -> bool:
    """Whether places that are fractions of a (width, height) picture are the same on the other, but for roundings."""
    return abs(size[0] * stated[1] - size[1] * stated[0]) <= max(size) + max(stated)


def check_photographs(
    records: Sequence[dict], folder: Path, progress: Callable[[int], object] = lambda done: None
) -> list[Photograph]:
    """Find the file of each record, and open its header; what was found is kept, and read again for the same files.

    Args:
        records: of images, as `CocoFile` gives them.
        progress: called with how many were looked at since.

    Raises:
        BadInput: there is no such folder, or two records of different names mean the same file.
    """
    if not folder.is_dir():
        raise BadInput(str(folder), "is no folder")
    with ThreadPoolExecutor(READERS) as pool, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = list(pool.map(lambda record: _find(record, folder), records))
        _refuse_shared(records, found)
        kept = _kept_as(records, found, pool)
        odd = _read_kept(kept)
        if odd is not None:
            progress(len(records))
        else:
            odd = {}
            pairs = zip(records, found, strict=True)
            for index, checked in enumerate(pool.map(lambda pair: _look(*pair), pairs)):
                if checked.oddity:
                    odd[index] = checked
                progress(1)
            _keep(kept, odd)
    return [odd.get(index, photograph) for index, photograph in enumerate(found)]


def _find(record: dict, folder: Path) -> Photograph:
    try:
        return Photograph(find_photograph(record, folder))
    except BadInput as error:
        return Photograph(folder, MISSING, error.reason)


def _look(record: dict, photograph: Photograph) -> Photograph:
    if photograph.oddity:
        return photograph
    try:
        size = photograph_size(photograph.path)
    except BadInput as error:
        return photograph._replace(oddity=UNREADABLE, detail=f"{photograph.path.name} {error.reason}")
    stated = record["width"], record["height"]
    if size == stated:
        return photograph
    detail = f"{photograph.path.name} has {size[0]} x {size[1]}, and not {stated[0]} x {stated[1]}"
    return photograph._replace(oddity=OTHER_SCALE if has_proportions(size, stated) else OTHER_SHAPE, detail=detail)


def _refuse_shared(records: Sequence[dict], found: Sequence[Photograph]) -> None:
    """Raise BadInput where the names of two records, which differ, lead to one file: one of them would be wrong."""
    first: dict[Path, dict] = {}
    for record, photograph in zip(records, found, strict=True):
        before = first.setdefault(photograph.path, record)
        if not photograph.oddity and _name_parts(before)[0] != _name_parts(record)[0]:
            names = f'"{_name_parts(record)[0]}" and "{_name_parts(before)[0]}" of image {before["id"]}'
            raise BadInput(f"image {record['id']}.file_name", f"{names} would both be {photograph.path}")


def _kept_as(records: Sequence[dict], found: Sequence[Photograph], pool: ThreadPoolExecutor) -> Path:
    """Where the result of this check is kept: named after the files, as they are now, and what their records say."""
    states = zip(records, pool.map(_state, found), strict=True)
    said = [[record["id"], record["width"], record["height"], *state] for record, state in states]
    digest = hashlib.sha256(json.dumps([VERSION, said]).encode()).hexdigest()
    return cache_folder() / "photographs" / f"{digest[:32]}.json"


def _state(photograph: Photograph) -> list:
    try:
        state = photograph.path.stat()
    except OSError:
        return [str(photograph.path)]
    return [str(photograph.path), photograph.oddity, state.st_size, state.st_mtime_ns]


def _read_kept(path: Path) -> dict[int, Photograph] | None:
    """The pictures about which something is odd, by their place; None if they have not been looked at."""
    if not path.is_file():
        return None
    try:
        kept = parse_json(read_bytes(path), str(path))
        rows = [(int(index), Photograph(Path(file), *rest)) for index, file, *rest in kept]  # type: ignore[attr-defined]
        return dict(rows)
    except (BadInput, TypeError, ValueError):
        return None


def _keep(path: Path, odd: dict[int, Photograph]) -> None:
    rows = [[index, str(one.path), one.oddity, one.detail] for index, one in odd.items()]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, json.dumps(rows).encode())
    except (BadInput, OSError):  # then it is looked at again the next time
        return
