"""Layout and settings inside a PNG, as uncompressed text chunks.

Reading walks over the chunks by hand, where Pillow would decode the picture to reach the text after it, unfold
compressed text, pass over checksums, and stop at texts of 1 MiB, which layouts with masks exceed. Compressed text is
not read, so that a small file cannot unfold into a large one.
"""

from __future__ import annotations

import io
import json
import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from instdiff.errors import BadInput
from instdiff.formats.fields import mapping
from instdiff.formats.files import MAX_FILE_BYTES, parse_json, read_bytes, write_bytes
from instdiff.formats.native import layout_from_json, layout_to_json
from instdiff.layout import Layout

if TYPE_CHECKING:
    from PIL.Image import Image

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MAX_TEXT_BYTES = 16 * 2**20


def write_png(image: Image, path: str | Path, layout: Layout, settings: dict) -> None:
    """Write a picture with what is needed to paint it again, whole or not at all.

    Args:
        image: any size and mode that PNG knows.
        path: the file to write.
        layout: goes into the text chunk ``layout``, as JSON of InstanceDiffusion.
        settings: goes into the text chunk ``settings``, as JSON.

    Raises:
        BadInput: the layout or the settings are too large for a text chunk, or the file cannot be written.
    """
    from PIL.PngImagePlugin import PngInfo  # costs time that reading a layout does not need

    info = PngInfo()
    for key, value in (("layout", layout_to_json(layout)), ("settings", settings)):
        content = json.dumps(value, ensure_ascii=False, allow_nan=False)
        if len(content.encode()) > MAX_TEXT_BYTES:
            raise BadInput(key, f"is larger than {MAX_TEXT_BYTES // 2**20} MiB as text and does not fit into a PNG")
        info.add_itxt(key, content)
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", pnginfo=info)
    write_bytes(path, buffer.getvalue())


def read_png(path: str | Path) -> tuple[Layout, dict]:
    """The layout and the settings that a PNG was painted from.

    Raises:
        BadInput: the file is no PNG, is damaged, or carries no layout.
    """
    texts = _texts(read_bytes(path, MAX_FILE_BYTES), str(path))
    if "layout" not in texts:
        raise BadInput(str(path), "carries no layout; only pictures painted by this program do")
    layout = layout_from_json(parse_json(texts["layout"], f"{path} (layout)"), boxes="xywh")
    settings = parse_json(texts.get("settings", b"{}"), f"{path} (settings)")
    return layout, mapping(settings, f"{path} (settings)")


def _texts(content: bytes, source: str) -> dict[str, bytes]:
    """Keyword -> UTF-8 text of the uncompressed text chunks."""
    if not content.startswith(SIGNATURE):
        raise BadInput(source, "is no PNG picture")
    texts: dict[str, bytes] = {}
    position = len(SIGNATURE)
    kind = b""
    while kind != b"IEND":
        if position + 12 > len(content):
            raise BadInput(source, "is a PNG that is cut short")
        length, kind = struct.unpack_from(">I4s", content, position)
        data = content[position + 8 : position + 8 + length]
        if len(data) != length:
            raise BadInput(source, "is a PNG that is cut short")
        if kind in (b"tEXt", b"iTXt"):
            if length > MAX_TEXT_BYTES + 100:
                raise BadInput(source, f"has {length} bytes of text; at most {MAX_TEXT_BYTES // 2**20} MiB are read")
            if content[position + 8 + length : position + 12 + length] != zlib.crc32(kind + data).to_bytes(4, "big"):
                raise BadInput(source, "has a damaged text chunk")
            keyword, _, value = data.partition(b"\0")
            text = value if kind == b"tEXt" else _international(value)
            if text is not None:
                texts[keyword.decode("latin-1")] = text
        position += 12 + length
    return texts


def _international(value: bytes) -> bytes | None:
    """The text of an iTXt chunk after its keyword; None if it is compressed."""
    is_compressed = value[:1] != b"\0"
    parts = value[2:].split(b"\0", 2)  # language, translated keyword, text
    return None if is_compressed or len(parts) != 3 else parts[2]
