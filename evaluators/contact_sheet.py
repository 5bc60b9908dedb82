"""A contact sheet: pictures side by side, each with a few words below it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from instdiff.formats.files import write_bytes

if TYPE_CHECKING:
    from PIL.Image import Image

SIDE = 208  # of a tile, in pixels
LINE = 15  # pixels
COLUMNS = 6


@dataclass(frozen=True)
class Tile:
    """A picture, and the lines below it; the last one in ``colour``."""

    image: Image
    lines: tuple[str, ...]
    colour: str = "dimgray"


def contact_sheet(tiles: Sequence[Tile], path: Path, side: int = SIDE, columns: int = COLUMNS) -> None:
    """Write the tiles as one PNG of 256 colours, ``side`` pixels wide each; lines that are too long are cut."""
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(12)
    height = side + LINE * max(len(tile.lines) for tile in tiles) + 6
    sheet = Image.new("RGB", (min(columns, len(tiles)) * side, -(-len(tiles) // columns) * height), "white")
    draw = ImageDraw.Draw(sheet)
    for index, tile in enumerate(tiles):
        x = index % columns * side
        y = index // columns * height
        sheet.paste(tile.image.convert("RGB").resize((side, side)), (x, y))
        for number, line in enumerate(tile.lines):
            line = _shorten(line, lambda text: draw.textlength(text, font) <= side - 8)
            last = number + 1 == len(tile.lines)
            draw.text((x + 4, y + side + 3 + LINE * number), line, fill=tile.colour if last else "black", font=font)
    encoded = BytesIO()
    # a third of the bytes; the pictures themselves are elsewhere
    sheet.quantize(256).save(encoded, "PNG", optimize=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, encoded.getvalue())


def _shorten(line: str, fits: Callable[[str], bool]) -> str:
    """The line, or as much of its beginning as fits with dots behind it."""
    if fits(line):
        return line
    while line and not fits(line.rstrip() + "…"):
        line = line[:-1]
    return line.rstrip() + "…"
