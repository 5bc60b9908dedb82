"""Layouts as pictures, and as a notebook shows them."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from instdiff import Box, Instance, Layout, Mask, Point, Scribble
from instdiff.drawing import GROUND, PALETTE

HALF = np.zeros((4, 4))
HALF[:, 2:] = 1
PLACES = {
    "box": Box(x0=0.25, y0=0.25, x1=0.75, y1=0.75),
    "point": Point(x=0.5, y=0.5),
    "scribble": Scribble(points=(Point(x=0.25, y=0.75), Point(x=0.75, y=0.75))),
    "mask": Mask.from_array(HALF),
}
# where in each place its colour is seen, and where not, as fractions of the picture
SEEN = {
    "box": ((0.25, 0.6), (0.5, 0.6)),
    "point": ((0.5, 0.5), (0.25, 0.6)),
    "scribble": ((0.5, 0.75), (0.5, 0.6)),
    "mask": ((0.9, 0.9), (0.25, 0.9)),
}


def of(**places) -> Layout:
    return Layout(width=128, height=96, caption="c", instances=[Instance(caption="a dog", **places)])


def colour_at(image: Image.Image, x: float, y: float) -> tuple[int, ...]:
    return image.getpixel((round(x * image.width), round(y * image.height)))


@pytest.mark.parametrize("kind", PLACES)
def test_every_kind_of_place_is_drawn_where_it_is(kind):
    drawn = of(**{kind: PLACES[kind]}).draw()
    inside, outside = SEEN[kind]
    tinted = tuple(round(0.45 * a + 0.55 * b) for a, b in zip(PALETTE[0], GROUND, strict=True))
    assert drawn.mode == "RGB" and drawn.size == (768, 576)
    assert colour_at(drawn, *inside) == pytest.approx(tinted if kind == "mask" else PALETTE[0], abs=1)
    assert colour_at(drawn, *outside) == GROUND


def test_all_places_of_an_instance_are_drawn():
    drawn = of(**PLACES).draw()
    assert [colour_at(drawn, *SEEN[kind][0]) for kind in ("box", "point", "scribble")] == [PALETTE[0]] * 3
    assert colour_at(drawn, *SEEN["mask"][0]) != GROUND


def test_instances_have_their_own_colours_and_names():
    halves = [Box(x0=0, y0=0.5, x1=0.5, y1=1), Box(x0=0.5, y0=0.5, x1=1, y1=1)]
    layouts = [
        Layout(
            caption="c", instances=[Instance(caption=name, box=box) for name, box in zip(names, halves, strict=True)]
        )
        for names in (("dog", "cat"), ("dog", "cow"))
    ]
    first, second = (np.asarray(layout.draw()) for layout in layouts)
    assert (first == PALETTE[0]).all(-1).any() and (first == PALETTE[1]).all(-1).any()
    rows, columns = np.nonzero((first != second).any(-1))
    assert columns.min() > 384 and len(rows)  # the one label that differs


def test_a_layout_is_drawn_over_a_copy_of_a_picture():
    picture = Image.new("RGB", (1024, 512), (10, 20, 30))
    drawn = of(box=PLACES["box"]).draw(picture)
    assert drawn.size == (1024, 512) and colour_at(drawn, 0.5, 0.5) == (10, 20, 30)
    assert colour_at(drawn, 0.25, 0.6) == PALETTE[0]
    assert picture.getcolors() == [(1024 * 512, (10, 20, 30))]


def test_a_notebook_shows_the_picture_and_a_table_with_every_word_escaped():
    words = "<script>alert('x')</script>"
    layout = Layout(caption=words, instances=[Instance(caption=words, category=words, **PLACES)])
    page = layout._repr_html_()
    assert "<script" not in page and page.count("&lt;script&gt;") == 3 and "http" not in page
    assert "box 128, 128, 384, 384; point 256, 256; scribble of 2 points; mask" in page
    shown = re.search(r'src="data:image/jpeg;base64,([^"]+)"', page)
    assert Image.open(io.BytesIO(base64.b64decode(shown[1]))).size == (768, 768)
    assert "<table" not in Layout(caption="nothing")._repr_html_()
