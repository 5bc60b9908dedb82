"""Contact sheets: what is below a picture fits there."""

import numpy as np
import pytest
from PIL import Image

from evaluators.contact_sheet import LINE, SIDE, Tile, _shorten, contact_sheet


@pytest.mark.parametrize(
    ("line", "shown"),
    [("a cat", "a cat"), ("a kitchen with a table", "a kitchen…"), ("a kitche n", "a kitche n"), ("", "")],
)
def test_a_long_line_ends_in_dots(line, shown):
    assert _shorten(line, lambda text: len(text) <= 10) == shown


def test_words_stay_below_their_own_picture(tmp_path):
    tiles = [
        Tile(Image.new("RGB", (64, 64), colour), ("a long line of words " * 9, "short")) for colour in ("red", "blue")
    ]
    contact_sheet(tiles, tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as sheet:
        pixels = np.asarray(sheet.convert("RGB"))
    assert (
        pixels.shape[1] == 2 * SIDE
        and (pixels[20, 20] == (255, 0, 0)).all()
        and (pixels[20, SIDE + 20] == (0, 0, 255)).all()
    )
    words = pixels[SIDE + 3 : SIDE + 3 + LINE]
    assert words.min() < 100 and (words[:, SIDE - 3 : SIDE + 3] == 255).all()
