"""Two pictures side by side, for people to compare."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from instdiff.formats import whole_file

GAP, LABEL = 8, 22  # pixels between the pictures, and for the words under them


def before_after(before: Path, after: Path, path: Path) -> None:
    """Write the pictures of an edit side by side, the one before scaled to the height of the one after."""
    with Image.open(before) as first, Image.open(after) as second:
        left, right = first.convert("RGB"), second.convert("RGB")
    left = left.resize((max(round(left.width * right.height / left.height), 1), right.height))
    sheet = Image.new("RGB", (left.width + GAP + right.width, right.height + LABEL), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(14)
    for x, image, word in ((0, left, "before"), (left.width + GAP, right, "after")):
        sheet.paste(image, (x, 0))
        draw.text((x + 4, right.height + 2), word, fill="black", font=font)
    with whole_file(path) as temporary:
        sheet.save(temporary, format="PNG")
